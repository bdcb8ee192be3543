package explain

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// words names what is in a model.
type words struct{ m *vpc.Model }

// Kinds of objects in a trace, besides those of endpoint.
const (
	kindACL     = "network acl"
	kindTable   = "route table"
	kindNAT     = "nat gateway"
	kindIGW     = "internet gateway"
	kindSubnet  = "subnet"
	kindVPC     = "vpc"
	kindENI     = "interface"
	kindHost    = "internet host"
	kindOutside = "internet"
	kindLink    = "impairment"
	kindFailure = "failure"
)

// object is whom a step belongs to.
func (w *words) object(s *dataplane.Step) control.Object {
	o := control.Object{ID: s.By.ID, Name: s.By.Name}
	switch s.Stage {
	case dataplane.StageACLEgress, dataplane.StageACLIngress:
		o.Kind = kindACL
	case dataplane.StageRoute, dataplane.StageEdgeRoute:
		o.Kind = kindTable
	case dataplane.StageNAT:
		o.Kind = kindNAT
	case dataplane.StageIGWEgress, dataplane.StageIGWIngress:
		o.Kind = kindIGW
	case dataplane.StageInternet:
		o.Kind = kindHost
	case dataplane.StageLink:
		o.Kind = kindLink
		if s.Rule.Link == nil {
			o.Kind = kindFailure
		}
		return o
	default:
		o.Kind = kindENI
	}
	// A stage's object may be another than usual: the VPC that has nobody with the
	// destination address, the gateway that has it.
	switch {
	case s.By.ID == "":
		o.Kind = kindOutside
		o.Name = "internet"
	case w.m.Vpcs.Get(vpc.VpcID(s.By.ID)) != nil:
		o.Kind = kindVPC
	case w.m.Subnets.Get(vpc.SubnetID(s.By.ID)) != nil:
		o.Kind = kindSubnet
	case w.m.InternetGateways.Get(vpc.InternetGatewayID(s.By.ID)) != nil:
		o.Kind = kindIGW
	case w.m.NetworkInterfaces.Get(vpc.NetworkInterfaceID(s.By.ID)) != nil:
		o.Kind = kindENI
	}
	return o
}

func (w *words) eni(e *dataplane.ENI) control.Object {
	return control.Object{Kind: kindENI, ID: e.ID, Name: e.Name}
}

// rule is what decided at a step, in words, and its ID or number.
func (w *words) rule(s *dataplane.Step) (text, id string) {
	switch r := s.Rule; {
	case r.Group != nil:
		return w.groupRule(r.Group), r.Group.RuleID
	case r.ACL != nil:
		return aclRule(r.ACL), r.ACL.Label()
	case r.Route != nil:
		return r.Route.Dest.String() + " → " + w.target(r.Route), r.Route.Dest.String()
	case r.Link != nil:
		return r.Link.Conditions.String(), ""
	case r.Tracked:
		return "tracked connection", ""
	case r.Related:
		return "ICMP error about an admitted flow", ""
	}
	return "", ""
}

// groupRule is what a rule of a security group says: "ssh: tcp 22 from 0.0.0.0/0".
func (w *words) groupRule(r *filter.GroupRule) string {
	peer := r.CIDR.String()
	if r.Group != 0 {
		peer = w.peerOf(r)
	}
	return r.GroupName + ": " + describe(r.Proto, r.FromPort, r.ToPort) + toFrom(r.Dir == filter.Egress) + peer
}

// peerOf names the group that a rule refers to.
func (w *words) peerOf(r *filter.GroupRule) string {
	g := w.m.SecurityGroups.Get(vpc.SecurityGroupID(r.GroupID))
	if g == nil {
		return "a group"
	}
	rules := g.Ingress
	if r.Dir == filter.Egress {
		rules = g.Egress
	}
	for i := range rules {
		if string(rules[i].ID) == r.RuleID {
			return w.peer(&rules[i])
		}
	}
	return "a group"
}

// aclRule is what an entry of a network ACL says: "allow tcp 22 from 0.0.0.0/0".
func aclRule(r *filter.ACLRule) string {
	verdict := "deny "
	if r.Allow {
		verdict = "allow "
	}
	from, to := r.FromPort, r.ToPort
	if r.Proto == packet.ProtoICMP {
		from, to = int32(r.ICMPType), int32(r.ICMPCode)
	}
	return verdict + describe(r.Proto, from, to) + toFrom(r.Dir == filter.Egress) + r.CIDR.String()
}

// describe gives protocol and ports of a rule: "all", "tcp 22", "udp 1024-65535", "icmp".
func describe(proto int16, from, to int32) string {
	if proto < 0 {
		return "all"
	}
	name := protocolName(uint8(proto))
	switch {
	case !hasPorts(uint8(proto)) && proto != packet.ProtoICMP:
		return "protocol " + name
	case proto == packet.ProtoICMP && from == -1, from <= 0 && to >= 65535, hasPorts(uint8(proto)) && from == -1:
		return name
	case proto == packet.ProtoICMP && to == -1:
		return fmt.Sprintf("%s type %d", name, from)
	case proto == packet.ProtoICMP:
		return fmt.Sprintf("%s type %d code %d", name, from, to)
	case from == to:
		return name + " " + strconv.Itoa(int(from))
	}
	return fmt.Sprintf("%s %d-%d", name, from, to)
}

// target names where a route leads.
func (w *words) target(r *dataplane.Route) string {
	name := w.targetName(r.TargetID)
	if name == "" || name == r.TargetID {
		return r.TargetID
	}
	return name + " (" + r.TargetID + ")"
}

// targetName is the name of what a route leads to, "" for none.
func (w *words) targetName(id string) string {
	if n := w.m.NetworkInterfaces.Get(vpc.NetworkInterfaceID(id)); n != nil {
		return w.interfaceName(n)
	}
	if g := w.m.NatGateways.Get(vpc.NatGatewayID(id)); g != nil {
		return g.Name()
	}
	if g := w.m.InternetGateways.Get(vpc.InternetGatewayID(id)); g != nil {
		return g.Name()
	}
	return ""
}

// interfaceName is the interface's own name, or that of its instance.
func (w *words) interfaceName(n *vpc.NetworkInterface) string {
	if n.Name() != "" || n.Attachment == nil {
		return n.Name()
	}
	i := w.m.Instances.Get(n.Attachment.InstanceID)
	switch {
	case i == nil:
		return ""
	case n.Attachment.DeviceIndex > 0:
		return fmt.Sprintf("%s eth%d", i.Name(), n.Attachment.DeviceIndex)
	}
	return i.Name()
}

// note adds what the pipeline does not say.
func (w *words) note(s *dataplane.Step, l *Leg) string {
	switch {
	case s.End && l.Middlebox != nil && l.Reason == dataplane.ForwardingLoop:
		return "the packet has met too many middleboxes: they send it to one another"
	case s.End && l.Middlebox != nil && l.Reason == dataplane.TTLExpired:
		return "a middlebox: its hop took the last of the TTL"
	case s.End && l.Middlebox != nil:
		return "a middlebox: assumed to forward the packet unchanged, TTL less one"
	case s.Stage == dataplane.StageSourceCheck && !s.End && s.At != nil && !s.At.SourceDestCheck && !owns(s.At, s.Tuple.Src):
		return "source/destination check is off: it may send for others"
	case s.End && s.Reason == dataplane.ToResolver:
		return "the VPC's resolver, exempt from security groups and ACLs"
	case s.End && s.Reason == dataplane.ToMetadata:
		return "the instance metadata service, exempt from security groups and ACLs"
	case s.End && s.Reason == dataplane.ToTime:
		return "the Amazon Time Sync Service, exempt from security groups and ACLs"
	case s.Stage == dataplane.StageACLEgress || s.Stage == dataplane.StageACLIngress:
		if s.At != nil {
			return "subnet " + cmp.Or(s.At.Subnet.Name, s.At.Subnet.ID)
		}
	}
	return ""
}
