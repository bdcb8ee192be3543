package awscli

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// fold puts the value of a flag that is no parameter of the API where it belongs.
type fold func(p *parser, value any) error

// customise adds and hides flags as the AWS CLI does for ec2
// (awscli/customizations/ec2).
func customise(a vpc.Action, flags []flag) []flag {
	switch a.Name {
	case "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress":
		for i, f := range flags {
			switch f.name {
			case "ip-protocol", "from-port", "to-port", "cidr-ip", "source-security-group-name", "source-security-group-owner-id":
				flags[i].hidden = true
			}
		}
		return append(flags, groupRuleFlags...)
	case "RunInstances":
		flags = slices.DeleteFunc(flags, func(f flag) bool { return f.name == "min-count" || f.name == "max-count" })
		return append(flags, instanceFlags...)
	}
	return flags
}

// finish changes the parameters as a whole before they become the Input.
func (p *parser) finish() {
	switch p.action.Name {
	case "CreateNetworkAclEntry", "ReplaceNetworkAclEntry":
		if name, ok := p.params["Protocol"].(string); ok {
			p.params["Protocol"] = protocolNumber(name)
		}
	case "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress":
		p.allPorts()
	case "RunInstances":
		p.foldInterface()
		for _, member := range []string{"MinCount", "MaxCount"} {
			if p.params[member] == nil {
				p.params[member] = "1"
			}
		}
	}
	p.encodeUserData()
}

// encodeUserData encodes user data as the API wants it; on the command line it
// is the text itself or file://.
func (p *parser) encodeUserData() {
	f, ok := p.action.Input.FieldByName("UserData")
	if !ok || f.Type != textType {
		return
	}
	switch v := p.params["UserData"].(type) {
	case string:
		p.params["UserData"] = base64.StdEncoding.EncodeToString([]byte(v))
	case []byte:
		p.params["UserData"] = base64.StdEncoding.EncodeToString(v)
	}
}

// --- security group rules ---

var groupRuleFlags = []flag{
	{name: "protocol", typ: textType, fold: foldProtocol, about: "tcp, udp, icmp, all or a protocol number"},
	{name: "port", typ: textType, fold: foldPort, about: "22, 8000-8100 or all; for icmp TYPE-CODE"},
	{name: "cidr", typ: textType, fold: foldCidr, about: "an IPv4 range; a single address with /32"},
	{name: "source-group", typ: textType, fold: foldSourceGroup, about: "a security group by ID or name"},
	{name: "group-owner", typ: textType, fold: foldGroupOwner, about: "the account of that group"},
}

// permission is the one that the simple flags describe.
func (p *parser) permission() (map[string]any, error) {
	if _, both := p.given["ip-permissions"]; both {
		return nil, errors.New("cannot be combined with --ip-permissions: put all into it")
	}
	if p.source["IpPermissions"] == "" {
		p.params["IpPermissions"] = []any{map[string]any{}}
		p.source["IpPermissions"] = p.reading
	}
	return p.params["IpPermissions"].([]any)[0].(map[string]any), nil
}

func foldProtocol(p *parser, value any) error {
	text, _ := value.(string)
	m, err := p.permission()
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(text); err == nil {
		if n < -1 || n > 255 {
			return fmt.Errorf("%d: a protocol number is 0 to 255, or -1 for all", n)
		}
	} else {
		switch text {
		case "tcp", "udp", "icmp", "icmpv6":
		case "all":
			text = "-1"
		default:
			return fmt.Errorf("%q: use tcp, udp, icmp, all or a protocol number", text)
		}
	}
	m["IpProtocol"] = text
	return nil
}

func foldPort(p *parser, value any) error {
	text, _ := value.(string)
	m, err := p.permission()
	if err != nil {
		return err
	}
	from, to := text, text
	switch {
	case text == "all", text == "-1":
		from, to = "-1", "-1"
	case strings.Contains(strings.TrimPrefix(text, "-"), "-"):
		i := strings.Index(text[1:], "-") + 1
		from, to = text[:i], text[i+1:]
	}
	for _, n := range []string{from, to} {
		if _, err := strconv.ParseInt(n, 10, 32); err != nil {
			return fmt.Errorf("%q: write a port, a range or all: 22, 8000-8100", text)
		}
	}
	m["FromPort"], m["ToPort"] = from, to
	return nil
}

func foldCidr(p *parser, value any) error {
	m, err := p.permission()
	if err != nil {
		return err
	}
	m["IpRanges"] = []any{map[string]any{"CidrIp": value}}
	return nil
}

// allPorts makes --port all of TCP and UDP the range that the AWS CLI's help says
// it means; -1, which the AWS CLI sends, is only defined for ICMP.
func (p *parser) allPorts() {
	if port := p.given["port"]; len(port) == 0 || port[0] != "all" {
		return
	}
	m, err := p.permission()
	if err != nil {
		return
	}
	switch m["IpProtocol"] {
	case "tcp", "udp", "6", "17":
		m["FromPort"], m["ToPort"] = "0", "65535"
	}
}

// pair is the group that the simple flags name.
func (p *parser) pair() (map[string]any, error) {
	m, err := p.permission()
	if err != nil {
		return nil, err
	}
	if m["UserIdGroupPairs"] == nil {
		m["UserIdGroupPairs"] = []any{map[string]any{}}
	}
	return m["UserIdGroupPairs"].([]any)[0].(map[string]any), nil
}

// foldSourceGroup puts a name, too, where an ID belongs: a lab's objects may be
// named wherever AWS wants an ID, while GroupName serves the default VPC only.
func foldSourceGroup(p *parser, value any) error {
	m, err := p.pair()
	if err != nil {
		return err
	}
	m["GroupId"] = value
	return nil
}

func foldGroupOwner(p *parser, value any) error {
	m, err := p.pair()
	if err != nil {
		return err
	}
	m["UserId"] = value
	return nil
}

// --- network ACL entries ---

// protocolNumber reads the names that the AWS CLI knows besides the numbers.
func protocolNumber(name string) string {
	switch name {
	case "tcp":
		return "6"
	case "udp":
		return "17"
	case "icmp":
		return "1"
	case "all":
		return "-1"
	}
	return name
}

// --- run-instances ---

var instanceFlags = []flag{
	{name: "count", typ: textType, fold: foldCount, about: "how many instances: 1, or MIN:MAX"},
	{name: "secondary-private-ip-addresses", kind: scalars, typ: reflect.TypeFor[[]string](), fold: foldSecondary, about: "further private addresses of the interface"},
	{name: "secondary-private-ip-address-count", typ: reflect.TypeFor[int](), fold: foldInterfaceMember("SecondaryPrivateIpAddressCount"), about: "how many further private addresses"},
	{name: "associate-public-ip-address", kind: boolean, typ: boolType, fold: foldInterfaceMember("AssociatePublicIpAddress"), about: "give the instance a public address, or none, whatever the subnet says"},
	{name: "no-associate-public-ip-address", kind: boolean, typ: boolType, off: true, fold: foldInterfaceMember("AssociatePublicIpAddress")},
}

func foldCount(p *parser, value any) error {
	text, _ := value.(string)
	low, high, ranged := strings.Cut(text, ":")
	if !ranged {
		high = low
	}
	for _, n := range []string{low, high} {
		if _, err := strconv.ParseInt(n, 10, 32); err != nil {
			return fmt.Errorf("%q: write a number, or MIN:MAX", text)
		}
	}
	p.params["MinCount"], p.params["MaxCount"] = low, high
	p.source["MinCount"], p.source["MaxCount"] = "count", "count"
	return nil
}

// networkInterface is the one that the simple flags describe.
func (p *parser) networkInterface() (map[string]any, error) {
	if _, both := p.given["network-interfaces"]; both {
		return nil, errors.New("cannot be combined with --network-interfaces: put all into it")
	}
	if p.source["NetworkInterfaces"] == "" {
		p.params["NetworkInterfaces"] = []any{map[string]any{"DeviceIndex": "0"}}
		p.source["NetworkInterfaces"] = p.reading
	}
	return p.params["NetworkInterfaces"].([]any)[0].(map[string]any), nil
}

func foldInterfaceMember(member string) fold {
	return func(p *parser, value any) error {
		m, err := p.networkInterface()
		if err != nil {
			return err
		}
		if _, both := m[member]; both {
			return errors.New("cannot be combined with its opposite")
		}
		m[member] = value
		return nil
	}
}

func foldSecondary(p *parser, value any) error {
	m, err := p.networkInterface()
	if err != nil {
		return err
	}
	var list []any
	for _, address := range value.([]any) {
		list = append(list, map[string]any{"PrivateIpAddress": address, "Primary": false})
	}
	m["PrivateIpAddresses"] = list
	return nil
}

// foldInterface moves subnet, groups and address into the interface, if the
// request has one that says anything of them: the API takes them at one place
// only. The AWS CLI forgets the secondary addresses where there is a primary one
// too; here both go in.
func (p *parser) foldInterface() {
	interfaces, _ := p.params["NetworkInterfaces"].([]any)
	if len(interfaces) == 0 {
		return
	}
	m, ok := interfaces[0].(map[string]any)
	if !ok || m["PrivateIpAddresses"] == nil && m["SecondaryPrivateIpAddressCount"] == nil && m["AssociatePublicIpAddress"] == nil {
		return
	}
	for from, to := range map[string]string{"SubnetId": "SubnetId", "SecurityGroupIds": "Groups"} {
		if v, given := p.params[from]; given {
			m[to] = v
			delete(p.params, from)
		}
	}
	if v, given := p.params["PrivateIpAddress"]; given {
		list, _ := m["PrivateIpAddresses"].([]any)
		m["PrivateIpAddresses"] = slices.Concat([]any{map[string]any{"PrivateIpAddress": v, "Primary": true}}, list)
		delete(p.params, "PrivateIpAddress")
	}
}
