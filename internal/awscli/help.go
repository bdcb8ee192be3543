package awscli

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Help is the usage text of an action.
func Help(a vpc.Action) string {
	var b strings.Builder
	name := kebab(a.Name)
	fmt.Fprintf(&b, "%s on the lab, with the parameters of `aws ec2 %s`.\n", a.Name, name)
	if awsActions()[name] == nil {
		b.Reset()
		fmt.Fprintf(&b, "%s on the lab; vpcemu's own, AWS has no such action.\n", a.Name)
	}
	flags := shownFlags(a)
	fmt.Fprintf(&b, "\nUsage:\n%s\n\nFlags:\n", usageLine(a, flags))
	for _, f := range flags {
		fmt.Fprintf(&b, "  %s\n", f.helpLine(isRequired(a, f.name)))
		if t := structureOf(f.typ); t != nil && f.kind != booleanValue && f.kind != boolean {
			fmt.Fprintf(&b, "        %s\n", f.usage())
		}
	}
	b.WriteString("\nFlags of every action:\n")
	for _, g := range globals {
		if g.about == "" {
			continue
		}
		left := "--" + g.name
		if g.value {
			left += " VALUE"
		}
		fmt.Fprintf(&b, "  %-28s %s\n", left, g.about)
	}
	b.WriteString("\nWherever an ID is wanted, an object may also be named by its lab name. Lists are separated\n" +
		"by spaces; structures may also be JSON; file://FILE stands for a value, fileb://FILE for a binary one.\n")
	if e := examples[a.Name]; len(e) > 0 {
		b.WriteString("\nExamples:\n")
		for _, line := range e {
			fmt.Fprintf(&b, "  vpcemu ec2 %s %s\n", name, line)
		}
	}
	return b.String()
}

// shownFlags are the flags for the help, the required ones first.
func shownFlags(a vpc.Action) []flag {
	flags := slices.DeleteFunc(flagsOf(a), func(f flag) bool { return f.hidden || f.off })
	slices.SortStableFunc(flags, func(x, y flag) int {
		switch rx, ry := isRequired(a, x.name), isRequired(a, y.name); {
		case rx && !ry:
			return -1
		case ry && !rx:
			return 1
		}
		return 0
	})
	return flags
}

const helpWidth = 96

func usageLine(a vpc.Action, flags []flag) string {
	line := "  vpcemu ec2 " + kebab(a.Name)
	var lines []string
	for _, f := range flags {
		word := f.synopsis()
		if !isRequired(a, f.name) {
			word = "[" + word + "]"
		}
		if len(line)+1+len(word) > helpWidth {
			lines = append(lines, line)
			line = "     "
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n")
}

// synopsis is the flag with a short word for its value.
func (f flag) synopsis() string {
	switch f.kind {
	case boolean, booleanValue:
		return "--" + f.name + " | --" + offName(f)
	case structure:
		return "--" + f.name + " STRUCTURE"
	case structures:
		return "--" + f.name + " STRUCTURE..."
	}
	return "--" + f.name + " " + f.usage()
}

func (f flag) helpLine(required bool) string {
	left := "--" + f.name
	if f.kind == boolean || f.kind == booleanValue {
		left += " | --" + offName(f)
	}
	about := "(" + typeName(f.typ) + ")"
	if required {
		about += " required"
	}
	if note := cmp.Or(f.about, notes[f.member]); note != "" {
		about += " " + note
	}
	return fmt.Sprintf("%-44s %s", left, about)
}

// notes say, for members of the API, what their type does not.
var notes = map[string]string{
	"UserData":          "the text itself, or file://FILE",
	"PublicKeyMaterial": "fileb://FILE, or base64",
	"Protocol":          "tcp, udp, icmp, all or a protocol number",
	"RuleAction":        "allow or deny",
	"LinkType":          "vpcemu's own: tun (default) or tap",
	"Devices":           "vpcemu's own: device files of this machine that the instance shall have",
	"Rootfs":            "vpcemu's own: host, host-read-only, or the path of a directory or tar archive",
	"Limits":            "vpcemu's own: Cpus=0.5,Memory=512MiB, or InstanceType=true; what is not named is not limited",
	"DryRun":            "only check whether it would succeed",
}

// usage is the form of the flag's value.
func (f flag) usage() string {
	switch t := structureOf(f.typ); f.kind {
	case boolean:
		return ""
	case booleanValue:
		return "[Value=true|false]"
	case structure:
		return shorthandForm(t, 0)
	case structures:
		return shorthandForm(t, 0) + " ..."
	case scalars:
		return strings.ToUpper(typeName(f.typ.Elem())) + "..."
	}
	return strings.ToUpper(typeName(f.typ))
}

// typeName is the type as the AWS CLI's help calls it.
func typeName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == blobType:
		return "blob"
	case t == textType, isText(t):
		return "string"
	case t.Kind() == reflect.String:
		return "id"
	case t.Kind() == reflect.Bool, kindOf(t) == booleanValue:
		return "boolean"
	case t.Kind() == reflect.Slice:
		return "list of " + typeName(t.Elem()) + "s"
	case t.Kind() == reflect.Struct:
		return "structure"
	}
	return "integer"
}

// shorthandForm shows how a structure is written in shorthand, as the AWS CLI's
// documentation does: Name=string,Values=string,string.
func shorthandForm(t reflect.Type, depth int) string {
	var parts []string
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		parts = append(parts, wireName(f)+"="+valueForm(f.Type, depth))
	}
	return strings.Join(parts, ",")
}

func valueForm(t reflect.Type, depth int) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch inner := structureOf(t); {
	case depth > shorthandDepth:
		return "..."
	case t.Kind() == reflect.Slice && t != blobType && inner != nil:
		return "[{" + shorthandForm(inner, depth+1) + "},...]"
	case t.Kind() == reflect.Slice && t != blobType && depth == 0:
		return typeName(t.Elem()) + "," + typeName(t.Elem())
	case t.Kind() == reflect.Slice && t != blobType:
		return "[" + typeName(t.Elem()) + "," + typeName(t.Elem()) + "]"
	case inner != nil:
		return "{" + shorthandForm(inner, depth+1) + "}"
	}
	return typeName(t)
}

// examples are command lines of the common actions, without the action itself.
var examples = map[string][]string{
	"AllocateAddress":  {"--domain vpc --tag-specifications 'ResourceType=elastic-ip,Tags=[{Key=Name,Value=web}]'"},
	"AssociateAddress": {"--instance-id web --allocation-id eipalloc-0123456789abcdef0", "--instance-id db --allocation-id web --allow-reassociation"},
	"AssociateRouteTable": {
		"--route-table-id public --subnet-id public",
	},
	"AttachInternetGateway":  {"--internet-gateway-id igw --vpc-id book"},
	"AttachNetworkInterface": {"--network-interface-id extra --instance-id web --device-index 1"},
	"AuthorizeSecurityGroupIngress": {
		"--group-id web --protocol tcp --port 22 --cidr 198.51.100.0/24",
		"--group-id db --protocol tcp --port 3306 --source-group web",
		"--group-id web --ip-permissions 'IpProtocol=tcp,FromPort=80,ToPort=80,IpRanges=[{CidrIp=0.0.0.0/0,Description=\"from anywhere\"}]'",
	},
	"AuthorizeSecurityGroupEgress":  {"--group-id web --protocol all --cidr 0.0.0.0/0"},
	"RevokeSecurityGroupIngress":    {"--group-id web --protocol tcp --port 22 --cidr 198.51.100.0/24"},
	"RevokeSecurityGroupEgress":     {"--group-id web --protocol all --cidr 0.0.0.0/0"},
	"CreateDhcpOptions":             {"--dhcp-configurations Key=domain-name-servers,Values=10.2.5.1,10.2.5.2 Key=domain-name,Values=example.com"},
	"CreateInternetGateway":         {"--tag-specifications 'ResourceType=internet-gateway,Tags=[{Key=Name,Value=igw}]'"},
	"ModifyInternetHost":            {"--internet-host-id server --dns-names www.example.com example.com", "--internet-host-id laptop --limits Memory=512MiB"},
	"CreateInternetHost":            {"--host-name laptop --public-ip 198.51.100.10"},
	"ModifyImpairment":              {"--place web --delay 20ms --loss 1%", "--place zone:a --to zone:c --direction egress --rate 10mbit"},
	"CreateFailure":                 {"--place zone:a", "--place web --to internet"},
	"CreateKeyPair":                 {"--key-name book --key-type ed25519 --output text"},
	"ImportKeyPair":                 {"--key-name book --public-key-material fileb://~/.ssh/id_ed25519.pub"},
	"CreateNatGateway":              {"--subnet-id public --allocation-id nat"},
	"CreateNetworkAcl":              {"--vpc-id book"},
	"CreateNetworkAclEntry":         {"--network-acl-id public --ingress --rule-number 100 --protocol tcp --port-range From=22,To=22 --cidr-block 0.0.0.0/0 --rule-action allow", "--network-acl-id public --egress --rule-number 110 --protocol icmp --icmp-type-code Type=-1,Code=-1 --cidr-block 0.0.0.0/0 --rule-action allow"},
	"ReplaceNetworkAclEntry":        {"--network-acl-id public --ingress --rule-number 100 --protocol tcp --port-range From=22,To=22 --cidr-block 203.0.113.0/24 --rule-action deny"},
	"DeleteNetworkAclEntry":         {"--network-acl-id public --ingress --rule-number 100"},
	"CreateNetworkInterface":        {"--subnet-id private --private-ip-address 172.30.1.20 --groups db"},
	"CreateRoute":                   {"--route-table-id public --destination-cidr-block 0.0.0.0/0 --gateway-id igw", "--route-table-id private --destination-cidr-block 0.0.0.0/0 --nat-gateway-id nat"},
	"ReplaceRoute":                  {"--route-table-id private --destination-cidr-block 0.0.0.0/0 --network-interface-id appliance"},
	"DeleteRoute":                   {"--route-table-id public --destination-cidr-block 0.0.0.0/0"},
	"CreateRouteTable":              {"--vpc-id book"},
	"CreateSecurityGroup":           {"--group-name web --description 'web servers' --vpc-id book"},
	"CreateSubnet":                  {"--vpc-id book --cidr-block 172.30.0.0/24 --availability-zone ap-northeast-1a", "--vpc-id book --cidr-block 172.30.1.0/24 --tag-specifications 'ResourceType=subnet,Tags=[{Key=Name,Value=private}]'"},
	"CreateTags":                    {"--resources i-0123456789abcdef0 subnet-0123456789abcdef0 --tags Key=Stage,Value=test 'Key=Owner,Value=\"a, b\"'"},
	"CreateVpc":                     {"--cidr-block 172.30.0.0/16 --tag-specifications 'ResourceType=vpc,Tags=[{Key=Name,Value=book}]'"},
	"DescribeInstances":             {"--filters Name=instance-state-name,Values=running Name=tag:Name,Values=web,db"},
	"DescribeNatGateways":           {"--filter Name=state,Values=available"},
	"DescribeNetworkInterfaces":     {"--filters Name=subnet-id,Values=subnet-0123456789abcdef0 --output table"},
	"DescribeSubnets":               {"--filters Name=vpc-id,Values=vpc-0123456789abcdef0"},
	"ModifyInstanceAttribute":       {"--instance-id nat --no-source-dest-check", "--instance-id web --groups web admin"},
	"ModifyInstanceMetadataOptions": {"--instance-id web --http-tokens required", "--instance-id web --http-put-response-hop-limit 2 --instance-metadata-tags enabled"},
	"ModifyNetworkInterfaceAttribute": {
		"--network-interface-id appliance --no-source-dest-check",
	},
	"ModifyPrivateDnsNameOptions":  {"--instance-id web --enable-resource-name-dns-a-record"},
	"ModifySubnetAttribute":        {"--subnet-id public --map-public-ip-on-launch"},
	"ModifyVpcAttribute":           {"--vpc-id book --enable-dns-hostnames", "--vpc-id book --enable-dns-support '{\"Value\":false}'"},
	"ReplaceNetworkAclAssociation": {"--association-id aclassoc-0123456789abcdef0 --network-acl-id public"},
	"ReplaceRouteTableAssociation": {"--association-id rtbassoc-0123456789abcdef0 --route-table-id public"},
	"RunInstances": {
		"--subnet-id public --security-group-ids web --key-name book --associate-public-ip-address --wait",
		"--subnet-id private --private-ip-address 172.30.1.10 --user-data file://setup.sh",
	},
	"StartInstances":     {"--instance-ids web --wait"},
	"StopInstances":      {"--instance-ids web db --wait"},
	"TerminateInstances": {"--instance-ids web"},
}
