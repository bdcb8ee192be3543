// Package compile turns the cloud model into what the packet path reads. It is
// the only package that knows both. It decides nothing: what a rule means on
// packets is in dataplane, filter and nat; what a rule is, in vpc.
package compile

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/nat"
)

// vpcMTU is what a network interface of a VPC carries, in bytes (MT-01).
const vpcMTU = 9001

// natIdle is the idle timeout of a NAT gateway (NA-07).
const natIdle = 350 * time.Second

// Ports finds the ends of links that exist on the host at the moment; it answers
// nil where there is none.
type Ports interface {
	ENI(handle uint32) dataplane.Port
	Services(id vpc.VpcID) dataplane.Port
}

// Snapshot compiles m. An error means that the model is inconsistent, which its
// operations prevent; it names the object.
func Snapshot(m *vpc.Model, ports Ports, generation uint64) (*dataplane.Snapshot, error) {
	c := &compiler{
		m: m, ports: ports,
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
		rules:   map[string]*filter.Groups{},
		acls:    map[vpc.NetworkAclID]*filter.ACL{},
		tables:  map[vpc.RouteTableID]*dataplane.RouteTable{},
	}
	for _, step := range []func() error{
		c.makeVPCs, c.makeSubnets, c.makeENIs, c.makeNATGateways, c.makeInternetGateways, c.makeRoutes, c.makeHosts,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	c.s.Finish()
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
	rules   map[string]*filter.Groups      // by the list of groups: ENIs with the same groups share them
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
			Router: packet.AddrFrom(plus(s.CidrBlock, 1)), ACL: acl}
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
	for _, e := range a.Entries {
		proto, err := strconv.ParseInt(e.Protocol, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("network ACL %s rule %d: protocol %q", id, e.RuleNumber, e.Protocol)
		}
		cidr := e.CidrBlock
		if !cidr.IsValid() {
			cidr = e.Ipv6Cidr
		}
		rules = append(rules, filter.ACLRule{Number: e.RuleNumber, Dir: direction(e.Egress), Allow: e.RuleAction == "allow",
			Proto: int16(proto), CIDR: cidr, FromPort: int32(e.FromPort), ToPort: int32(e.ToPort),
			ICMPType: int16(e.IcmpType), ICMPCode: int16(e.IcmpCode)})
	}
	c.acls[id] = filter.CompileACL(string(id), a.Name(), rules)
	return c.acls[id], nil
}

func direction(egress bool) filter.Direction {
	if egress {
		return filter.Egress
	}
	return filter.Ingress
}

func (c *compiler) makeENIs() error {
	for id, e := range c.m.NetworkInterfaces.All() {
		s := c.subnets[e.SubnetID]
		if s == nil {
			return fmt.Errorf("network interface %s: subnet %s does not exist", id, e.SubnetID)
		}
		mac, err := net.ParseMAC(e.MacAddress)
		if err != nil || len(mac) != 6 {
			return fmt.Errorf("network interface %s: MAC address %q", id, e.MacAddress)
		}
		out := &dataplane.ENI{Ref: ref(string(id), c.eniName(e)), Handle: e.Handle, Subnet: s, MAC: [6]byte(mac),
			SourceDestCheck: e.SourceDestCheck, MTU: vpcMTU, Timeouts: timeouts(e)}
		for _, p := range e.PrivateIps {
			out.Addrs = append(out.Addrs, packet.AddrFrom(p.PrivateIp))
		}
		if e.InterfaceType != "natGateway" {
			if err := c.attachENI(e, out); err != nil {
				return fmt.Errorf("network interface %s: %w", id, err)
			}
		}
		c.enis[id] = out
		c.s.ENIs[e.Handle] = out
	}
	return nil
}

// eniName is what a person calls the ENI: its own name, or its instance's.
func (c *compiler) eniName(e *vpc.NetworkInterface) string {
	if e.Name() != "" || e.Attachment == nil {
		return e.Name()
	}
	i := c.m.Instances.Get(e.Attachment.InstanceID)
	if i == nil || e.Attachment.DeviceIndex == 0 {
		return nameOf(i)
	}
	return fmt.Sprintf("%s eth%d", nameOf(i), e.Attachment.DeviceIndex)
}

func nameOf(i *vpc.Instance) string {
	if i == nil {
		return ""
	}
	return i.Name()
}

// attachENI adds what only an instance's interface has: groups, DHCP, a port.
func (c *compiler) attachENI(e *vpc.NetworkInterface, out *dataplane.ENI) (err error) {
	if out.Groups, err = c.groupsOf(e.Groups); err != nil {
		return err
	}
	for _, g := range e.Groups {
		out.GroupHandles = append(out.GroupHandles, c.groups[g])
	}
	slices.Sort(out.GroupHandles)
	out.DHCP = c.reservation(e, out.MAC)
	if a := e.Attachment; a != nil && a.InstanceID != "" {
		out.Instance = ref(string(a.InstanceID), nameOf(c.m.Instances.Get(a.InstanceID)))
		out.Port = c.ports.ENI(e.Handle)
	}
	return nil
}

func (c *compiler) groupsOf(ids []vpc.SecurityGroupID) (*filter.Groups, error) {
	var key strings.Builder
	for _, id := range ids {
		key.WriteString(string(id))
	}
	if g := c.rules[key.String()]; g != nil {
		return g, nil
	}
	var rules []filter.GroupRule
	for _, id := range ids {
		g := c.m.SecurityGroups.Get(id)
		if g == nil {
			return nil, fmt.Errorf("security group %s does not exist", id)
		}
		for _, dir := range []filter.Direction{filter.Ingress, filter.Egress} {
			list := g.Ingress
			if dir == filter.Egress {
				list = g.Egress
			}
			for _, r := range list {
				out, ok, err := c.rule(g, r, dir)
				if err != nil {
					return nil, fmt.Errorf("security group %s rule %s: %w", id, r.ID, err)
				}
				if ok {
					rules = append(rules, out)
				}
			}
		}
	}
	c.rules[key.String()] = filter.CompileGroups(rules)
	return c.rules[key.String()], nil
}

// protocols that the model names instead of numbering (SG-05).
var protocols = map[string]int16{"-1": -1, "icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}

// rule compiles one rule. ok is false for a stale one: the group that it names is
// gone, so it matches nothing (SG-10).
func (c *compiler) rule(g *vpc.SecurityGroup, r vpc.SecurityGroupRule, dir filter.Direction) (out filter.GroupRule, ok bool, err error) {
	proto, named := protocols[r.IpProtocol]
	if !named {
		n, err := strconv.ParseUint(r.IpProtocol, 10, 8)
		if err != nil {
			return out, false, fmt.Errorf("protocol %q", r.IpProtocol)
		}
		proto = int16(n)
	}
	out = filter.GroupRule{RuleID: string(r.ID), GroupID: string(g.ID), GroupName: g.GroupName, Dir: dir,
		Proto: proto, FromPort: int32(r.FromPort), ToPort: int32(r.ToPort), CIDR: r.CidrIpv4}
	if r.CidrIpv6.IsValid() {
		out.CIDR = r.CidrIpv6
	}
	if r.GroupID != "" {
		out.Group = c.groups[r.GroupID]
		return out, out.Group != 0, nil
	}
	return out, out.CIDR.IsValid(), nil
}

// timeouts are the ENI's own idle timeouts over the defaults (CT-02).
func timeouts(e *vpc.NetworkInterface) *conntrack.Timeouts {
	if e.TcpEstablishedTimeout == 0 && e.UdpTimeout == 0 && e.UdpStreamTimeout == 0 {
		return nil
	}
	t := conntrack.DefaultTimeouts()
	set := func(d *time.Duration, seconds int) {
		if seconds != 0 {
			*d = time.Duration(seconds) * time.Second
		}
	}
	set(&t.TCPEstablished, e.TcpEstablishedTimeout)
	set(&t.UDP, e.UdpTimeout)
	set(&t.UDPStream, e.UdpStreamTimeout)
	return &t
}

// reservation is what the subnet's DHCP service tells this ENI (DH-01 to DH-06).
func (c *compiler) reservation(e *vpc.NetworkInterface, mac [6]byte) *dhcp.Reservation {
	s, v := c.m.Subnets.Get(e.SubnetID), c.m.Vpcs.Get(e.VpcID)
	r := &dhcp.Reservation{Addr: e.PrivateIps[0].PrivateIp, Subnet: s.CidrBlock, Router: plus(s.CidrBlock, 1),
		LeaseTime: dhcp.DefaultLeaseTime, MTU: vpcMTU}
	if e.LinkType == "tap" {
		r.MAC = mac // a TUN device has none to show
	}
	o := c.m.DhcpOptions.Get(v.DhcpOptionsID)
	if o == nil {
		return r // "default": no option set (DH-02)
	}
	r.DomainName = o.DomainName
	for _, server := range o.DomainNameServers {
		if server == "AmazonProvidedDNS" {
			if v.EnableDnsSupport {
				r.DNS = append(r.DNS, plus(v.CidrBlock, 2))
			}
		} else if a, err := netip.ParseAddr(server); err == nil {
			r.DNS = append(r.DNS, a)
		}
	}
	r.NTP = addrs(o.NtpServers)
	r.NetBIOSNames = addrs(o.NetbiosNameServers)
	r.NetBIOSNodeType = uint8(o.NetbiosNodeType)
	return r
}

func addrs(list []string) (out []netip.Addr) {
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, a)
		}
	}
	return out
}

func (c *compiler) makeNATGateways() error {
	for id, n := range c.m.NatGateways.All() {
		e := c.enis[n.NetworkInterfaceID]
		if n.State != "available" || e == nil {
			continue // its routes are blackholes (RT-10)
		}
		out := &dataplane.NATGateway{Ref: ref(string(id), n.Name()), ENI: e}
		out.Handle = e.Handle
		out.IdleTimeout = natIdle
		for _, a := range n.Addresses {
			if a.Status == "disassociating" {
				out.Draining = append(out.Draining, packet.AddrFrom(a.PrivateIp)) // NA-17
			} else {
				out.Addrs = append(out.Addrs, packet.AddrFrom(a.PrivateIp))
			}
		}
		e.NAT = out
		if e.Name == "" {
			e.Name = n.Name()
		}
		c.nats[id] = out
	}
	return nil
}

func (c *compiler) makeInternetGateways() error {
	pairs := map[vpc.VpcID][]nat.Pair{}
	for _, e := range c.m.NetworkInterfaces.All() {
		if e.Attachment == nil && e.InterfaceType != "natGateway" {
			continue // IG-03: the ENI has no attachment
		}
		for _, p := range e.PrivateIps {
			if public := c.publicOf(e, p); public.IsValid() {
				pairs[e.VpcID] = append(pairs[e.VpcID], nat.Pair{Private: packet.AddrFrom(p.PrivateIp), Public: packet.AddrFrom(public)})
			}
		}
	}
	for id, g := range c.m.InternetGateways.All() {
		v := c.vpcs[g.VpcID]
		if v == nil {
			continue // detached
		}
		out := &dataplane.InternetGateway{Ref: ref(string(id), g.Name()), VPC: v, NAT: nat.NewOneToOne(pairs[g.VpcID])}
		v.IGW = out
		c.igws[id] = out
		for _, p := range pairs[g.VpcID] {
			c.s.Internet.GatewayOf[p.Public] = out
		}
	}
	return nil
}

// publicOf is the public address of a private one: an Elastic IP, or the primary
// address's automatic one.
func (c *compiler) publicOf(e *vpc.NetworkInterface, p vpc.PrivateAddress) netip.Addr {
	if a := c.m.Addresses.Get(p.AllocationID); a != nil {
		return a.PublicIp
	}
	if p.Primary {
		return e.PublicIp
	}
	return netip.Addr{}
}

func (c *compiler) makeRoutes() error {
	for id, s := range c.subnets {
		t := c.m.RouteTableOf(id)
		if t == nil {
			return fmt.Errorf("subnet %s: no route table", id)
		}
		s.Routes = c.table(t)
	}
	for _, t := range c.m.RouteTables.All() {
		for _, a := range t.Associations {
			if g := c.igws[a.GatewayID]; g != nil {
				g.Ingress = c.table(t) // RT-14
			}
		}
	}
	return nil
}

func (c *compiler) table(t *vpc.RouteTable) *dataplane.RouteTable {
	if out := c.tables[t.ID]; out != nil {
		return out
	}
	routes := make([]dataplane.Route, 0, len(t.Routes))
	for _, r := range t.Routes {
		out := dataplane.Route{Dest: r.DestinationCidrBlock, Blackhole: c.m.RouteState(r) == "blackhole"}
		switch {
		case r.Local:
			out.Target, out.TargetID = dataplane.TargetLocal, "local"
		case r.GatewayID != "":
			out.Target, out.TargetID, out.IGW = dataplane.TargetIGW, string(r.GatewayID), c.igws[r.GatewayID]
		case r.NatGatewayID != "":
			out.Target, out.TargetID, out.NAT = dataplane.TargetNAT, string(r.NatGatewayID), c.nats[r.NatGatewayID]
		default:
			out.Target, out.TargetID, out.ENI = dataplane.TargetENI, string(r.NetworkInterfaceID), c.enis[r.NetworkInterfaceID]
		}
		routes = append(routes, out)
	}
	c.tables[t.ID] = dataplane.NewRouteTable(ref(string(t.ID), t.Name()), routes)
	return c.tables[t.ID]
}

func (c *compiler) makeHosts() error {
	for id, h := range c.m.InternetHosts.All() {
		if h.State == vpc.StateTerminated {
			continue
		}
		out := &dataplane.InternetHost{Ref: ref(string(id), h.HostName), Handle: h.Handle,
			Addr: packet.AddrFrom(h.PublicIp), Pools: c.m.PublicPools, Port: c.ports.ENI(h.Handle)}
		if h.Mac != "" {
			mac, err := net.ParseMAC(h.Mac)
			if err != nil || len(mac) != 6 {
				return fmt.Errorf("internet host %s: MAC address %q", id, h.Mac)
			}
			out.MAC = [6]byte(mac)
		}
		c.s.Internet.Hosts[out.Addr] = out
	}
	return nil
}

// plus is the n-th address of a block, counted from its base.
func plus(p netip.Prefix, n int) netip.Addr {
	a := p.Masked().Addr()
	for range n {
		a = a.Next()
	}
	return a
}
