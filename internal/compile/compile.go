// Package compile turns the cloud model into what the packet path reads. It is
// the only package that knows both. It decides nothing: what a rule means on
// packets is in dataplane, filter and nat; what a rule is, in vpc.
package compile

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Ports finds the ends of links that exist on the host at the moment; it answers
// nil where there is none.
type Ports interface {
	ENI(handle uint32) dataplane.Port
	// Services is the port of a VPC's own servers, or of the Internet's for "".
	Services(id vpc.VpcID) dataplane.Port
	// Refused are destinations that the uplink does not carry: those of the machine's own networks.
	Refused() []netip.Prefix
}

// Snapshot compiles m. An error means that the model is inconsistent, which its
// operations prevent; it names the object.
func Snapshot(m *vpc.Model, ports Ports, generation uint64) (*dataplane.Snapshot, error) {
	return new(Memory).Snapshot(m, ports, generation)
}

// Memory keeps the compiled rules of groups from one snapshot for the next, where most are
// the same: a change of a large lab looks at all of it, and compiles little. The zero Memory is
// empty and ready. It is not safe for concurrent use; what is shared with packets is only read.
type Memory struct{ rules map[string]remembered }

// Snapshot is as the function, and remembers.
func (mem *Memory) Snapshot(m *vpc.Model, ports Ports, generation uint64) (*dataplane.Snapshot, error) {
	c := &compiler{
		m: m, ports: ports, before: mem.rules,
		s: &dataplane.Snapshot{Generation: generation, ENIs: map[uint32]*dataplane.ENI{},
			Internet: &dataplane.Internet{
				Hosts:     map[packet.Addr]*dataplane.InternetHost{},
				GatewayOf: map[packet.Addr]*dataplane.InternetGateway{},
			}},
		vpcs:    map[vpc.VpcID]*dataplane.VPC{},
		subnets: map[vpc.SubnetID]*dataplane.Subnet{},
		enis:    map[vpc.NetworkInterfaceID]*dataplane.ENI{},
		nats:    map[vpc.NatGatewayID]*dataplane.NATGateway{},
		igws:    map[vpc.InternetGatewayID]*dataplane.InternetGateway{},
		groups:  map[vpc.SecurityGroupID]uint32{},
		rules:   make(map[string]remembered, len(mem.rules)),
		acls:    map[vpc.NetworkAclID]*filter.ACL{},
		tables:  map[vpc.RouteTableID]*dataplane.RouteTable{},
	}
	for _, step := range []func() error{
		c.makeVPCs, c.makeSubnets, c.makeENIs, c.makeNATGateways, c.makeInternetGateways, c.makeRoutes, c.makeHosts, c.makeOutside,
		c.makeLinks, c.makeFailures,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	c.s.Finish()
	mem.rules = c.rules
	return c.s, nil
}

type compiler struct {
	m       *vpc.Model
	ports   Ports
	s       *dataplane.Snapshot
	vpcs    map[vpc.VpcID]*dataplane.VPC
	subnets map[vpc.SubnetID]*dataplane.Subnet
	enis    map[vpc.NetworkInterfaceID]*dataplane.ENI
	nats    map[vpc.NatGatewayID]*dataplane.NATGateway
	igws    map[vpc.InternetGatewayID]*dataplane.InternetGateway
	groups  map[vpc.SecurityGroupID]uint32 // handle of a group, from 1
	rules   map[string]remembered          // by the list of groups: ENIs with the same groups share them
	before  map[string]remembered          // those of the last snapshot
	acls    map[vpc.NetworkAclID]*filter.ACL
	tables  map[vpc.RouteTableID]*dataplane.RouteTable
}

func ref(id, name string) dataplane.Ref { return dataplane.Ref{ID: id, Name: name} }

func (c *compiler) makeVPCs() error {
	for id := range c.m.SecurityGroups.All() {
		c.groups[id] = uint32(len(c.groups) + 1)
	}
	for id, v := range c.m.Vpcs.All() {
		out := &dataplane.VPC{Ref: ref(string(id), v.Name()), Services: c.ports.Services(id)}
		for _, a := range v.Cidrs {
			if a.State == "associated" {
				out.CIDRs = append(out.CIDRs, a.CidrBlock)
			}
		}
		if v.EnableDnsSupport {
			out.ResolverAddrs = []packet.Addr{ // DNS-01, DNS-04
				packet.AddrFrom(plus(v.CidrBlock, 2)),
				packet.AddrFrom(netip.AddrFrom4([4]byte{169, 254, 169, 253})),
			}
		}
		c.vpcs[id] = out
		c.s.VPCs = append(c.s.VPCs, out)
	}
	return nil
}

func (c *compiler) makeSubnets() error {
	for id, s := range c.m.Subnets.All() {
		v := c.vpcs[s.VpcID]
		if v == nil {
			return fmt.Errorf("subnet %s: vpc %s does not exist", id, s.VpcID)
		}
		acl, err := c.acl(s.NetworkAclID)
		if err != nil {
			return fmt.Errorf("subnet %s: %w", id, err)
		}
		out := &dataplane.Subnet{Ref: ref(string(id), s.Name()), VPC: v, CIDR: s.CidrBlock,
			Router: packet.AddrFrom(plus(s.CidrBlock, 1)), ACL: acl, Zone: s.AvailabilityZone}
		c.subnets[id] = out
		v.Subnets = append(v.Subnets, out)
	}
	return nil
}

func (c *compiler) acl(id vpc.NetworkAclID) (*filter.ACL, error) {
	if a := c.acls[id]; a != nil {
		return a, nil
	}
	a := c.m.NetworkAcls.Get(id)
	if a == nil {
		return nil, fmt.Errorf("network ACL %s does not exist", id)
	}
	rules := make([]filter.ACLRule, 0, len(a.Entries))
	for i := range a.Entries {
		r, err := aclRule(&a.Entries[i])
		if err != nil {
			return nil, fmt.Errorf("network ACL %s rule %d: %w", id, a.Entries[i].RuleNumber, err)
		}
		rules = append(rules, r)
	}
	c.acls[id] = filter.CompileACL(string(id), a.Name(), rules)
	return c.acls[id], nil
}

func aclRule(e *vpc.NetworkAclEntry) (filter.ACLRule, error) {
	proto, err := strconv.ParseInt(e.Protocol, 10, 16)
	if err != nil || proto < -1 || proto > 255 {
		return filter.ACLRule{}, fmt.Errorf("protocol %q", e.Protocol)
	}
	cidr := e.CidrBlock
	if !cidr.IsValid() {
		cidr = e.Ipv6Cidr
	}
	return filter.ACLRule{Number: e.RuleNumber, Dir: direction(e.Egress), Allow: e.RuleAction == "allow",
		Proto: int16(proto), CIDR: cidr, FromPort: int32(e.FromPort), ToPort: int32(e.ToPort),
		ICMPType: int16(e.IcmpType), ICMPCode: int16(e.IcmpCode)}, nil
}

func direction(egress bool) filter.Direction {
	if egress {
		return filter.Egress
	}
	return filter.Ingress
}

// plus is the n-th address of a block, counted from its base.
func plus(p netip.Prefix, n int) netip.Addr {
	a := p.Masked().Addr()
	for range n {
		a = a.Next()
	}
	return a
}
