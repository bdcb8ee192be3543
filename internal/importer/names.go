package importer

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/vpcemu/vpcemu/internal/topology"
)

// names gives objects the names of a topology file: a word, unique among those of its kind. by finds them again by the
// account's ID.
type names struct {
	taken map[string]map[string]bool // kind -> name
	by    map[string]string          // ID -> name
	keys  map[string]string          // ID -> name that stays what it is
}

func newNames() *names {
	return &names{taken: map[string]map[string]bool{}, by: map[string]string{}, keys: map[string]string{}}
}

// keep has an object be called by the key of the file that made it, "subnets.public", whatever its tags say now.
func (n *names) keep(source, id string) {
	kind, name, _ := strings.Cut(source, ".")
	if n.taken[kind] == nil {
		n.taken[kind] = map[string]bool{}
	}
	n.taken[kind][name], n.keys[id] = true, name
}

// of is the name of an object that was brought over.
func (n *names) of(id string) (string, bool) {
	name, ok := n.by[id]
	return name, ok && id != ""
}

var (
	notInWord   = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)
	notInHost   = regexp.MustCompile(`[^a-z0-9-]+`)
	looksLikeID = regexp.MustCompile(`^[a-z]+-[0-9a-f]{8,17}$`)
	letterFirst = regexp.MustCompile(`^[A-Za-z]`)
)

// prefixes make a word of what would not be one as it is: it starts with a digit, it looks like an ID.
var prefixes = map[string]string{"vpcs": "vpc", "subnets": "subnet", "internet_gateways": "igw", "elastic_ips": "eip", "nat_gateways": "nat",
	"route_tables": "table", "security_groups": "group", "network_acls": "acl", "dhcp_options": "dhcp", "key_pairs": "key",
	"network_interfaces": "eni", "instances": "host", "flow_logs": "log"}

// give names an object after the first of the wishes that is not empty, as closely as a topology file allows.
func (n *names) give(kind, id string, wishes ...string) string {
	if name, ok := n.keys[id]; ok {
		n.by[id] = name
		return name
	}
	base := ""
	for _, w := range wishes {
		if base = word(kind, w); base != "" {
			break
		}
	}
	if base == "" {
		base = prefixes[kind] + "-1"
	}
	if n.taken[kind] == nil {
		n.taken[kind] = map[string]bool{}
	}
	name := base
	for i := 2; n.taken[kind][name]; i++ {
		suffix := fmt.Sprintf("-%d", i)
		name = strings.TrimRight(base[:min(len(base), 63-len(suffix))], "-_.") + suffix
	}
	n.taken[kind][name] = true
	if id != "" {
		n.by[id] = name
	}
	return name
}

// word is text as a name of the kind, or "" where nothing of it is left.
func word(kind, text string) string {
	host := kind == "instances"
	if host {
		text = notInHost.ReplaceAllString(strings.ToLower(text), "-")
	} else {
		text = notInWord.ReplaceAllString(text, "-")
	}
	text = strings.Trim(text, "-")
	if !host {
		text = strings.TrimRight(text, "_.")
	}
	if text == "" {
		return ""
	}
	refused := looksLikeID.MatchString(text) || text == topology.DefaultName || text == "none" || text == "local" ||
		!host && !letterFirst.MatchString(text) ||
		kind == "subnets" && strings.HasPrefix(text, topology.DefaultName+"-") ||
		kind == "security_groups" && (strings.HasPrefix(text, "sg-") || text == "self")
	if refused {
		text = prefixes[kind] + "-" + text
	}
	if len(text) > 60 {
		text = text[:60]
	}
	return strings.TrimRight(text, "-_.")
}

// nameAll names everything that is brought over. Objects without a Name tag are called after what they are or where.
func (c *converter) nameAll() {
	n := c.names
	if c.labDefault != nil {
		n.by[c.labDefault.VpcId] = topology.DefaultName
	}
	for _, v := range c.vpcs {
		fallback := "vpc-" + strings.TrimSuffix(v.CidrBlock, "/16")
		if v.IsDefault {
			fallback = "default-vpc"
		}
		n.give("vpcs", v.VpcId, nameOf(v.Tags), own(v.origin), fallback)
	}
	for _, s := range c.Subnets {
		if c.labDefault != nil && s.VpcId == c.labDefault.VpcId && s.DefaultForAz {
			n.by[s.SubnetId] = topology.DefaultName + "-" + s.AvailabilityZone
			continue
		}
		range_, _, _ := strings.Cut(s.CidrBlock, "/")
		n.give("subnets", s.SubnetId, nameOf(s.Tags), own(s.origin), "subnet-"+range_)
	}
	for _, g := range c.InternetGateways {
		if c.labDefault != nil && g.vpc() == c.labDefault.VpcId {
			n.by[g.InternetGatewayId] = topology.DefaultName
			continue
		}
		fallback := "igw"
		if v := n.by[g.vpc()]; v != "" && len(c.vpcs) > 1 {
			fallback = v + "-igw"
		}
		n.give("internet_gateways", g.InternetGatewayId, nameOf(g.Tags), own(g.origin), fallback)
	}
	for _, g := range c.SecurityGroups {
		if g.GroupName == "default" {
			n.by[g.GroupId] = topology.DefaultName
			continue
		}
		n.give("security_groups", g.GroupId, firstOf(g.GroupName, g.namePrefix), nameOf(g.Tags), own(g.origin))
	}
	for _, o := range c.DhcpOptions {
		if !c.regionsOwn(o) {
			n.give("dhcp_options", o.DhcpOptionsId, nameOf(o.Tags), own(o.origin), "dhcp")
		}
	}
	for _, k := range c.KeyPairs {
		n.give("key_pairs", "key/"+k.KeyName, k.KeyName)
	}
	c.nameMachines()
}

func (c *converter) nameMachines() {
	n := c.names
	for _, i := range c.Instances {
		// An instance without a name is called as its resolver calls it: ip-10-0-0-4.
		n.give("instances", i.InstanceId, nameOf(i.Tags), own(i.origin), "ip-"+strings.ReplaceAll(c.primaries[i.InstanceId].primary(), ".", "-"))
	}
	for _, e := range c.NetworkInterfaces {
		if c.standsAlone(e) {
			n.give("network_interfaces", e.NetworkInterfaceId, nameOf(e.TagSet), own(e.origin), "eni-"+e.primary())
		}
	}
	for _, g := range c.NatGateways {
		n.give("nat_gateways", g.NatGatewayId, nameOf(g.Tags), own(g.origin), "nat-"+n.by[g.SubnetId])
	}
	for _, a := range c.Addresses {
		n.give("elastic_ips", a.AllocationId, nameOf(a.Tags), own(a.origin), c.holder(a), "eip-"+a.PublicIp)
	}
	for _, a := range c.NetworkAcls {
		if !a.IsDefault {
			n.give("network_acls", a.NetworkAclId, nameOf(a.Tags), own(a.origin), c.after("acl-of-", a.subnets()), "acl-in-"+n.by[a.VpcId])
		}
	}
	for _, t := range c.RouteTables {
		if c.listed(t) {
			n.give("route_tables", t.RouteTableId, nameOf(t.Tags), own(t.origin), c.after("table-of-", t.subnets()), "table-in-"+n.by[t.VpcId])
		}
	}
}

// after is a name after the first of the subnets that is known, "" for none.
func (c *converter) after(prefix string, ids []string) string {
	for _, id := range ids {
		if name, ok := c.names.of(id); ok {
			return prefix + name
		}
	}
	return ""
}

// holder is what an Elastic IP is for: the name of a NAT gateway or instance.
func (c *converter) holder(a *rawAddress) string {
	for _, g := range c.NatGateways {
		for _, n := range g.NatGatewayAddresses {
			if n.AllocationId == a.AllocationId {
				return c.names.by[g.NatGatewayId]
			}
		}
	}
	if name, ok := c.names.of(a.InstanceId); ok {
		return name
	}
	return c.names.by[a.NetworkInterfaceId]
}

// own is what a Terraform configuration calls an object: the resource's name, with its index. Modules call their one
// resource of a type "this"; then the module's name tells more.
func own(at origin) string {
	if at.address == "" {
		return ""
	}
	parts := splitAddress(at.address)
	name := parts[len(parts)-1]
	if plain := withoutIndexes(name); len(parts) > 3 && (plain == "this" || plain == "main" || plain == "default") {
		return parts[len(parts)-3] + strings.TrimPrefix(name, plain)
	}
	return name
}
