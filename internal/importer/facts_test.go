package importer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// facts is an oracle: it reads answers of describe calls for itself, without this package's types, and says what is so
// in the account, without IDs. Two accounts with the same facts filter and carry the same packets.
//
// Not among them is what a lab hands out itself (public addresses, IDs) and what it has not.
func facts(t *testing.T, sources []Source) []string {
	t.Helper()
	f := &factory{name: map[string]string{}, all: map[string][]object{}}
	for _, s := range sources {
		f.read(t, s)
	}
	f.nameThings()
	f.networks()
	f.filters()
	f.machines()
	slices.Sort(f.list)
	return slices.Compact(f.list)
}

type object map[string]any

type factory struct {
	all  map[string][]object
	name map[string]string // ID -> what it is, in words
	list []string
}

func (f *factory) read(t *testing.T, s Source) {
	text, err := decodeText(s.Data)
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(text))); d.More(); {
		var doc object
		if err := d.Decode(&doc); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		for key, v := range doc {
			if items, ok := v.([]any); ok {
				for _, i := range items {
					f.all[key] = append(f.all[key], i.(map[string]any))
				}
			}
		}
		if doc["VpcId"] != nil || doc["InstanceId"] != nil {
			f.all["attributes"] = append(f.all["attributes"], doc)
		}
	}
	for _, r := range f.all["Reservations"] {
		f.all["Instances"] = append(f.all["Instances"], r.each("Instances")...)
	}
	delete(f.all, "Reservations")
}

func (o object) str(keys ...string) string {
	for _, k := range keys[:len(keys)-1] {
		m, _ := o[k].(map[string]any)
		o = m
	}
	if v := o[keys[len(keys)-1]]; v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

func (o object) each(key string) (list []object) {
	items, _ := o[key].([]any)
	for _, i := range items {
		list = append(list, i.(map[string]any))
	}
	return list
}

func (f *factory) say(format string, a ...any) { f.list = append(f.list, fmt.Sprintf(format, a...)) }

var odd = regexp.MustCompile(`[^a-z0-9]+`)

// plain is a name as far as a topology file keeps it.
func plain(s string) string { return strings.Trim(odd.ReplaceAllString(strings.ToLower(s), "-"), "-") }

func (f *factory) nameThings() {
	for _, v := range f.all["Vpcs"] {
		f.name[v.str("VpcId")] = "vpc " + v.str("CidrBlock")
	}
	for _, s := range f.all["Subnets"] {
		f.name[s.str("SubnetId")] = "subnet " + s.str("CidrBlock") + " of " + f.name[s.str("VpcId")]
	}
	for _, g := range f.all["SecurityGroups"] {
		f.name[g.str("GroupId")] = "group " + plain(g.str("GroupName")) + " of " + f.name[g.str("VpcId")]
	}
	for _, n := range f.all["NetworkInterfaces"] {
		f.name[n.str("NetworkInterfaceId")] = "interface " + n.str("PrivateIpAddress") + " in " + f.name[n.str("SubnetId")]
	}
	for _, i := range f.all["Instances"] {
		f.name[i.str("InstanceId")] = "instance " + i.str("PrivateIpAddress") + " in " + f.name[i.str("SubnetId")]
	}
	for _, n := range f.all["NatGateways"] {
		f.name[n.str("NatGatewayId")] = "NAT gateway " + n.each("NatGatewayAddresses")[0].str("PrivateIp") + " in " + f.name[n.str("SubnetId")]
	}
	for _, g := range f.all["InternetGateways"] {
		f.name[g.str("InternetGatewayId")] = "detached Internet gateway"
		for _, a := range g.each("Attachments") {
			f.name[g.str("InternetGatewayId")] = "Internet gateway of " + f.name[a.str("VpcId")]
		}
		f.say("%s", f.name[g.str("InternetGatewayId")])
		f.tags(g, g.str("InternetGatewayId"))
	}
	for _, o := range f.all["DhcpOptions"] {
		var options []string
		for _, c := range o.each("DhcpConfigurations") {
			var values []string
			for _, v := range c.each("Values") {
				values = append(values, v.str("Value"))
			}
			options = append(options, c.str("Key")+"="+strings.Join(values, ","))
		}
		slices.Sort(options)
		f.name[o.str("DhcpOptionsId")] = "dhcp options " + strings.Join(options, " ")
		f.say("%s", f.name[o.str("DhcpOptionsId")])
	}
}

func (f *factory) tags(o object, id string) {
	for _, t := range append(o.each("Tags"), o.each("TagSet")...) {
		if k := t.str("Key"); k != "Name" && !strings.HasPrefix(k, "aws:") {
			f.say("%s has the tag %s=%s", f.name[id], k, t.str("Value"))
		}
	}
}

func (f *factory) networks() {
	for _, v := range f.all["Vpcs"] {
		id := v.str("VpcId")
		f.say("%s has %s, tenancy %s", f.name[id], f.name[v.str("DhcpOptionsId")], v.str("InstanceTenancy"))
		for _, a := range v.each("CidrBlockAssociationSet") {
			if a.str("CidrBlockState", "State") == "associated" {
				f.say("%s has the range %s", f.name[id], a.str("CidrBlock"))
			}
		}
		f.tags(v, id)
	}
	for _, a := range f.all["attributes"] {
		for _, k := range []string{"EnableDnsSupport", "EnableDnsHostnames", "DisableApiTermination", "DisableApiStop", "InstanceInitiatedShutdownBehavior"} {
			if v := a.str(k, "Value"); v != "" {
				f.say("%s: %s %s", f.name[a.str("VpcId")]+f.name[a.str("InstanceId")], k, v)
			}
		}
		if b, err := base64.StdEncoding.DecodeString(a.str("UserData", "Value")); err == nil && len(b) > 0 {
			f.say("%s: user data %q", f.name[a.str("InstanceId")], b)
		}
	}
	for _, s := range f.all["Subnets"] {
		f.say("%s in %s, public addresses %s, names %s %s", f.name[s.str("SubnetId")], s.str("AvailabilityZone"), s.str("MapPublicIpOnLaunch"),
			s.str("PrivateDnsNameOptionsOnLaunch", "HostnameType"), s.str("PrivateDnsNameOptionsOnLaunch", "EnableResourceNameDnsARecord"))
		f.tags(s, s.str("SubnetId"))
	}
	for _, r := range f.all["SubnetIpv4CidrReservations"] {
		f.say("%s keeps %s (%s) free: %s", f.name[r.str("SubnetId")], r.str("Cidr"), r.str("ReservationType"), r.str("Description"))
	}
	for _, t := range f.all["RouteTables"] {
		f.routes(t)
	}
	for _, n := range f.all["NatGateways"] {
		if state := n.str("State"); state == "available" || state == "pending" {
			f.say("%s is %s", f.name[n.str("NatGatewayId")], n.str("ConnectivityType"))
			f.tags(n, n.str("NatGatewayId"))
		}
	}
}

// routes says of each subnet and gateway by which routes it goes, not which table has them.
func (f *factory) routes(t object) {
	var users []string
	explicit := map[string]bool{}
	for _, o := range f.all["RouteTables"] {
		for _, a := range o.each("Associations") {
			explicit[a.str("SubnetId")] = true
		}
	}
	for _, a := range t.each("Associations") {
		switch {
		case a.str("SubnetId") != "":
			users = append(users, f.name[a.str("SubnetId")])
		case a.str("GatewayId") != "":
			users = append(users, f.name[a.str("GatewayId")])
		case a.str("Main") == "true":
			users = append(users, "main of "+f.name[t.str("VpcId")])
			for _, s := range f.all["Subnets"] {
				if s.str("VpcId") == t.str("VpcId") && !explicit[s.str("SubnetId")] {
					users = append(users, f.name[s.str("SubnetId")])
				}
			}
		}
	}
	for _, r := range t.each("Routes") {
		target := ""
		for _, k := range []string{"NatGatewayId", "NetworkInterfaceId", "InstanceId", "GatewayId", "TransitGatewayId", "VpcPeeringConnectionId", "EgressOnlyInternetGatewayId", "CoreNetworkArn"} {
			if id := r.str(k); id != "" && target == "" {
				target = firstOf(f.name[id], id)
			}
		}
		for _, u := range users {
			f.say("%s routes %s to %s (%s)", u, r.str("DestinationCidrBlock")+r.str("DestinationIpv6CidrBlock")+r.str("DestinationPrefixListId"), target, r.str("State"))
		}
	}
}

func (f *factory) filters() {
	for _, r := range f.all["SecurityGroupRules"] {
		way := map[string]string{"false": "from", "true": "to"}[r.str("IsEgress")]
		peer := r.str("CidrIpv4") + r.str("CidrIpv6") + r.str("PrefixListId") + f.name[r.str("ReferencedGroupInfo", "GroupId")]
		for _, t := range r.each("Tags") {
			f.say("%s allows %s %s-%s %s %s with the tag %s=%s", f.name[r.str("GroupId")], r.str("IpProtocol"), r.str("FromPort"), r.str("ToPort"), way, peer, t.str("Key"), t.str("Value"))
		}
	}
	for _, g := range f.all["SecurityGroups"] {
		f.say("%s: %s", f.name[g.str("GroupId")], g.str("Description"))
		f.tags(g, g.str("GroupId"))
		for key, way := range map[string]string{"IpPermissions": "from", "IpPermissionsEgress": "to"} {
			for _, p := range g.each(key) {
				what := fmt.Sprintf("%s %s-%s", p.str("IpProtocol"), p.str("FromPort"), p.str("ToPort"))
				rule := func(peer, description string) {
					f.say("%s allows %s %s %s %q", f.name[g.str("GroupId")], what, way, peer, description)
				}
				for _, r := range p.each("IpRanges") {
					rule(r.str("CidrIp"), r.str("Description"))
				}
				for _, r := range p.each("Ipv6Ranges") {
					rule(r.str("CidrIpv6"), r.str("Description"))
				}
				for _, r := range p.each("PrefixListIds") {
					rule(r.str("PrefixListId"), r.str("Description"))
				}
				for _, r := range p.each("UserIdGroupPairs") {
					rule(firstOf(f.name[r.str("GroupId")], r.str("GroupId")), r.str("Description"))
				}
			}
		}
	}
	for _, a := range f.all["NetworkAcls"] {
		for _, s := range a.each("Associations") {
			for _, e := range a.each("Entries") {
				number := e.str("RuleNumber")
				f.say("%s acl egress=%s %s %s %s %s ports %s-%s type %s/%s", f.name[s.str("SubnetId")], e.str("Egress"), number, e.str("RuleAction"), e.str("Protocol"),
					e.str("CidrBlock")+e.str("Ipv6CidrBlock"), e.str("PortRange", "From"), e.str("PortRange", "To"), e.str("IcmpTypeCode", "Type"), e.str("IcmpTypeCode", "Code"))
			}
		}
	}
}

func (f *factory) machines() {
	live := map[string]bool{}
	for _, i := range f.all["Instances"] {
		id := i.str("InstanceId")
		if i.str("State", "Name") == "terminated" {
			continue
		}
		live[id] = true
		m := i.str("MetadataOptions", "HttpTokens") + " " + i.str("MetadataOptions", "HttpPutResponseHopLimit") + " " + i.str("MetadataOptions", "HttpEndpoint") + " " + i.str("MetadataOptions", "InstanceMetadataTags")
		f.say("%s is a %s of %s, %s, tenancy %s, key %s", f.name[id], i.str("InstanceType"), i.str("ImageId"), i.str("State", "Name"), i.str("Placement", "Tenancy"), plain(i.str("KeyName")))
		f.say("%s has the metadata options %s", f.name[id], m)
		f.tags(i, id)
	}
	for _, n := range f.all["NetworkInterfaces"] {
		id := n.str("NetworkInterfaceId")
		if kind := n.str("InterfaceType"); n.str("RequesterManaged") == "true" || kind != "" && kind != "interface" {
			continue
		}
		var groups, addresses []string
		for _, g := range n.each("Groups") {
			groups = append(groups, f.name[g.str("GroupId")])
		}
		for _, p := range n.each("PrivateIpAddresses") {
			addresses = append(addresses, p.str("PrivateIpAddress"))
			if a, ok := p["Association"].(map[string]any); ok {
				f.say("%s has a public address for %s, Elastic %v", f.name[id], p.str("PrivateIpAddress"), a["IpOwnerId"] != "amazon")
			}
		}
		slices.Sort(groups)
		slices.Sort(addresses)
		attached := ""
		if i := n.str("Attachment", "InstanceId"); live[i] {
			attached = n.str("Attachment", "DeviceIndex") + " of " + f.name[i]
		}
		f.say("%s: addresses %s, groups %s, check %s, number %s", f.name[id], strings.Join(addresses, " "), strings.Join(groups, " "), n.str("SourceDestCheck"), attached)
	}
	for _, k := range f.all["KeyPairs"] {
		f.say("key pair %s %.60s", plain(k.str("KeyName")), k.str("PublicKey"))
	}
	for range f.all["Addresses"] {
		f.list = append(f.list, fmt.Sprintf("Elastic IP number %d", f.count("Elastic IP number")+1))
	}
	for _, l := range f.all["FlowLogs"] {
		f.say("flow log of %s: %s %s %s %s %s", f.name[l.str("ResourceId")], l.str("TrafficType"), l.str("LogDestinationType"), l.str("LogGroupName")+l.str("LogDestination"), l.str("MaxAggregationInterval"), l.str("LogFormat"))
	}
}

func (f *factory) count(prefix string) (n int) {
	for _, s := range f.list {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

// difference is what only a has ("-") and only b has ("+").
func difference(a, b []string) (diff []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			diff = append(diff, "- "+s)
		}
	}
	for _, s := range b {
		if !slices.Contains(a, s) {
			diff = append(diff, "+ "+s)
		}
	}
	return diff
}
