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
)

// vpcMTU is what a network interface of a VPC carries, in bytes (MT-01).
const vpcMTU = 9001

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

// remembered are the rules of a list of groups, and what they were compiled from: the groups as
// they were, which never change in place, and the handles of groups that rules refer to.
type remembered struct {
	rules   *filter.Groups
	groups  []*vpc.SecurityGroup
	handles []uint32
}

func (c *compiler) groupsOf(ids []vpc.SecurityGroupID) (*filter.Groups, error) {
	var text [128]byte
	key := text[:0]
	for _, id := range ids {
		key = append(key, id...)
	}
	if r, ok := c.rules[string(key)]; ok {
		return r.rules, nil
	}
	r, ok := c.before[string(key)]
	if !ok || !c.holds(r, ids) {
		var err error
		if r, err = c.compileGroups(ids); err != nil {
			return nil, err
		}
	}
	c.rules[string(key)] = r
	return r.rules, nil
}

// holds tells whether the rules would be compiled the same now.
func (c *compiler) holds(r remembered, ids []vpc.SecurityGroupID) bool {
	n := 0
	for i, id := range ids {
		g := c.m.SecurityGroups.Get(id)
		if g == nil || g != r.groups[i] {
			return false
		}
		for _, list := range [][]vpc.SecurityGroupRule{g.Ingress, g.Egress} {
			for i := range list {
				if list[i].GroupID == "" {
					continue
				}
				if c.groups[list[i].GroupID] != r.handles[n] {
					return false
				}
				n++
			}
		}
	}
	return true
}

func (c *compiler) compileGroups(ids []vpc.SecurityGroupID) (remembered, error) {
	var r remembered
	var rules []filter.GroupRule
	for _, id := range ids {
		g := c.m.SecurityGroups.Get(id)
		if g == nil {
			return r, fmt.Errorf("security group %s does not exist", id)
		}
		r.groups = append(r.groups, g)
		for _, dir := range []filter.Direction{filter.Ingress, filter.Egress} {
			list := g.Ingress
			if dir == filter.Egress {
				list = g.Egress
			}
			for i := range list {
				out, err := c.rule(g, &list[i], dir)
				if err != nil {
					return r, fmt.Errorf("security group %s rule %s: %w", id, list[i].ID, err)
				}
				rules = append(rules, out)
				if list[i].GroupID != "" {
					r.handles = append(r.handles, out.Group)
				}
			}
		}
	}
	r.rules = filter.CompileGroups(rules)
	return r, nil
}

// protocols that the model names instead of numbering (SG-05).
var protocols = map[string]int16{"-1": -1, "icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}

// rule compiles one rule. A stale one, whose group is gone, gets no peer: it matches
// nothing, but is a rule all the same (SG-10).
func (c *compiler) rule(g *vpc.SecurityGroup, r *vpc.SecurityGroupRule, dir filter.Direction) (filter.GroupRule, error) {
	proto, named := protocols[r.IpProtocol]
	if !named {
		n, err := strconv.ParseUint(r.IpProtocol, 10, 8)
		if err != nil {
			return filter.GroupRule{}, fmt.Errorf("protocol %q", r.IpProtocol)
		}
		proto = int16(n)
	}
	out := filter.GroupRule{RuleID: string(r.ID), GroupID: string(g.ID), GroupName: g.GroupName, Dir: dir,
		Proto: proto, FromPort: int32(r.FromPort), ToPort: int32(r.ToPort)}
	switch {
	case r.GroupID != "":
		out.Group = c.groups[r.GroupID]
	case r.CidrIpv6.IsValid():
		out.CIDR = r.CidrIpv6
	default:
		out.CIDR = r.CidrIpv4
	}
	return out, nil
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
// While enableDnsSupport is off, AmazonProvidedDNS stands for no server: a client
// that waits for a silent one is helped by nobody (DNS-04).
func (c *compiler) reservation(e *vpc.NetworkInterface, mac [6]byte) *dhcp.Reservation {
	s, v := c.m.Subnets.Get(e.SubnetID), c.m.Vpcs.Get(e.VpcID)
	r := &dhcp.Reservation{Addr: e.Primary(), Subnet: s.CidrBlock, Router: plus(s.CidrBlock, 1),
		LeaseTime: dhcp.DefaultLeaseTime, MTU: vpcMTU, HostName: c.hostName(e)}
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

// hostName is the name that an instance's primary ENI is given (DNS-05): of the
// instance's private DNS name the first label. "" leaves it to the DHCP service,
// which makes it of the address.
func (c *compiler) hostName(e *vpc.NetworkInterface) string {
	if e.Attachment == nil || e.Attachment.DeviceIndex != 0 {
		return ""
	}
	i := c.m.Instances.Get(e.Attachment.InstanceID)
	if i == nil {
		return ""
	}
	host, _, _ := strings.Cut(i.PrivateDnsName, ".")
	return host
}

func addrs(list []string) (out []netip.Addr) {
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, a)
		}
	}
	return out
}
