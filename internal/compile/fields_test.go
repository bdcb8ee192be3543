package compile

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// What the compiler fills in, field by field.

func portText(p uint16) string { return strconv.Itoa(int(p)) }

// compiled is the interface as packets see it.
func (l *lab) compiled(eni string) *dataplane.ENI {
	l.Helper()
	return l.snap.ENIs[l.eni(eni).Handle]
}

func addrList(texts ...string) (out []netip.Addr) {
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestDH01_DH02_DH03_DH05_DNS04_Reservations(t *testing.T) {
	l := newLab(t, site+`
dhcp_options:
  own:
    domain_name: example.com
    domain_name_servers: [10.0.0.5, 10.0.0.8]
    ntp_servers: [10.0.0.6]
    netbios_name_servers: [10.0.0.7]
    netbios_node_type: 2
`)
	base := dhcp.Reservation{Addr: netip.MustParseAddr("10.0.2.10"), Subnet: netip.MustParsePrefix("10.0.2.0/24"),
		Router: netip.MustParseAddr("10.0.2.1"), LeaseTime: time.Hour, MTU: 9001, HostName: "ip-10-0-2-10"}
	look := func(when string, want dhcp.Reservation) {
		t.Helper()
		if diff := cmp.Diff(&want, l.compiled("svc").DHCP, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	want := base // the account's default set
	want.DomainName, want.DNS = "ap-northeast-1.compute.internal", addrList("10.0.0.2")
	look("default set", want)

	l.do(&vpc.ModifyVpcAttributeInput{VpcId: "main", EnableDnsSupport: vpc.AttributeBooleanValue{Value: new(false)}})
	want.DNS = nil
	look("without DNS support", want)
	l.do(&vpc.ModifyVpcAttributeInput{VpcId: "main", EnableDnsSupport: vpc.AttributeBooleanValue{Value: new(true)}})

	l.do(&vpc.AssociateDhcpOptionsInput{DhcpOptionsId: "own", VpcId: "main"})
	want = base
	want.DomainName, want.DNS, want.NTP = "example.com", addrList("10.0.0.5", "10.0.0.8"), addrList("10.0.0.6")
	want.NetBIOSNames, want.NetBIOSNodeType = addrList("10.0.0.7"), 2
	look("own set", want)

	l.do(&vpc.AssociateDhcpOptionsInput{DhcpOptionsId: "default", VpcId: "main"})
	look("no set", base)
}

// A further interface is reserved its own primary address, and has no name but that.
func TestDH06_ReservationBelongsToTheInterface(t *testing.T) {
	l := newSite(t)
	l.do(&vpc.AssignPrivateIpAddressesInput{NetworkInterfaceId: "spare", PrivateIpAddresses: []string{"10.0.2.60"}})
	l.do(&vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: "spare", InstanceId: "svc", DeviceIndex: new(1)})
	if r := l.compiled("spare").DHCP; r.Addr.String() != "10.0.2.50" || r.HostName != "" {
		t.Errorf("%+v", r)
	}
	if l.compiled("nat").DHCP != nil {
		t.Error("a NAT gateway's interface has a reservation")
	}
}

// DHCP is served past all filters, from the option set in force at that moment.
func TestDH04_RenewalBringsTheOptionsInForce_EX01(t *testing.T) {
	l := newLab(t, site+"dhcp_options: {own: {domain_name: example.com}}\n")
	l.setGroups("svc", "shut")
	l.setACL("inner", "deny")
	ask := func() string {
		t.Helper()
		r := l.send("svc", discover()).Want(pt.Ended(dataplane.DHCPServed))
		if len(r.Out) != 1 || len(l.leases) == 0 || l.leases[len(l.leases)-1].Addr.String() != "10.0.2.10" {
			t.Fatalf("%v, %v", r.Out, l.leases)
		}
		return string(r.Out[0].Packet)
	}
	if !contains(ask(), "compute.internal") {
		t.Error("no domain of the default set")
	}
	l.do(&vpc.AssociateDhcpOptionsInput{DhcpOptionsId: "own", VpcId: "main"})
	if !contains(ask(), "example.com") {
		t.Error("no domain of the new set")
	}
}

func TestDH05_TAPReservationNamesTheMAC(t *testing.T) {
	l := newLab(t, site+"  tapped: {}\n")
	if l.compiled("svc").DHCP.MAC != [6]byte{} {
		t.Error("a TUN device has no MAC to show")
	}
	l = newLab(t, replace(site, "svc: {", "svc: {link_type: tap, "))
	e := l.compiled("svc")
	if e.DHCP.MAC != e.MAC || e.MAC == [6]byte{} || !e.Port.Features().Ethernet {
		t.Errorf("%v, %v", e.DHCP.MAC, e.MAC)
	}
}

func TestDNS05_HostNameAfterTheResourceName(t *testing.T) {
	l := newSite(t)
	l.do(&vpc.ModifySubnetAttributeInput{SubnetId: "inner", PrivateDnsHostnameTypeOnLaunch: "resource-name"})
	l.do(&vpc.RunInstancesInput{SubnetId: "inner", TagSpecifications: vpc.NamedTag("instance", "named")})
	if got := l.compiled("named").DHCP.HostName; got != l.compiled("named").Instance.ID {
		t.Errorf("host name %q", got)
	}
}

func TestCT02_TimeoutsOfTheInterface(t *testing.T) {
	l := newSite(t)
	if l.compiled("svc").Timeouts != nil {
		t.Error("timeouts that nobody set")
	}
	l.do(&vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: l.eni("svc").ID, ConnectionTrackingSpecification: &vpc.ConnectionTracking{
		TcpEstablishedTimeout: 60, UdpTimeout: 40}})
	want := conntrack.DefaultTimeouts()
	want.TCPEstablished, want.UDP = time.Minute, 40*time.Second
	if diff := cmp.Diff(&want, l.compiled("svc").Timeouts); diff != "" {
		t.Error(diff)
	}
	// And on packets: a connection that idles longer than that is forgotten.
	l.setGroups("svc", "from-b")
	l.setGroups("web", "b")
	c := l.connect("web", "svc:80", "svc")
	l.setGroups("svc", "shut")
	l.wait(59 * time.Second)
	c.goesOn()
	l.wait(61 * time.Second)
	c.says().Want(dropped(dataplane.SGHasNoRules, "svc", ""))
}

func TestCT02_EachTimeoutIsItsOwn(t *testing.T) {
	want := conntrack.DefaultTimeouts()
	want.TCPEstablished, want.UDP, want.UDPStream = 61*time.Second, 31*time.Second, 62*time.Second
	got := timeouts(&vpc.NetworkInterface{TcpEstablishedTimeout: 61, UdpTimeout: 31, UdpStreamTimeout: 62})
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSG08_HandlesOfAnInterfaceAscend(t *testing.T) {
	l := newSite(t)
	for _, groups := range [][]vpc.SecurityGroupID{{"b", "shut", "open", "ssh"}, {"ssh", "open", "shut", "b"}} {
		l.setGroups("web", groups...)
		if got := l.compiled("web").GroupHandles; len(got) != 4 || !slices.IsSorted(got) {
			t.Errorf("handles %v", got)
		}
	}
}

func TestSG04_SG05_SG06_RulesAsTheFilterTakesThem(t *testing.T) {
	c := &compiler{groups: map[vpc.SecurityGroupID]uint32{"sg-2": 7}}
	g := &vpc.SecurityGroup{ID: "sg-1", GroupName: "web"}
	v4, v6 := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")
	for name, row := range map[string]struct {
		in   vpc.SecurityGroupRule
		want filter.GroupRule
	}{
		"range of ports":       {vpc.SecurityGroupRule{IpProtocol: "tcp", FromPort: 80, ToPort: 443, CidrIpv4: v4}, filter.GroupRule{Proto: 6, FromPort: 80, ToPort: 443, CIDR: v4}},
		"UDP over IPv6":        {vpc.SecurityGroupRule{IpProtocol: "udp", FromPort: 53, ToPort: 53, CidrIpv6: v6}, filter.GroupRule{Proto: 17, FromPort: 53, ToPort: 53, CIDR: v6}},
		"ICMP type and code":   {vpc.SecurityGroupRule{IpProtocol: "icmp", FromPort: 3, ToPort: 4, CidrIpv4: v4}, filter.GroupRule{Proto: 1, FromPort: 3, ToPort: 4, CIDR: v4}},
		"ICMPv6":               {vpc.SecurityGroupRule{IpProtocol: "icmpv6", FromPort: -1, ToPort: -1, CidrIpv6: v6}, filter.GroupRule{Proto: 58, FromPort: -1, ToPort: -1, CIDR: v6}},
		"another protocol":     {vpc.SecurityGroupRule{IpProtocol: "47", FromPort: -1, ToPort: -1, CidrIpv4: v4}, filter.GroupRule{Proto: 47, FromPort: -1, ToPort: -1, CIDR: v4}},
		"everything, a group":  {vpc.SecurityGroupRule{IpProtocol: "-1", FromPort: -1, ToPort: -1, GroupID: "sg-2"}, filter.GroupRule{Proto: -1, FromPort: -1, ToPort: -1, Group: 7}},
		"a group that is gone": {vpc.SecurityGroupRule{IpProtocol: "-1", FromPort: -1, ToPort: -1, GroupID: "sg-3"}, filter.GroupRule{Proto: -1, FromPort: -1, ToPort: -1}},
	} {
		for _, dir := range []filter.Direction{filter.Ingress, filter.Egress} {
			row.in.ID = "sgr-1"
			row.want.RuleID, row.want.GroupID, row.want.GroupName, row.want.Dir = "sgr-1", "sg-1", "web", dir
			if got, err := c.rule(g, &row.in, dir); err != nil || got != row.want {
				t.Errorf("%s: %+v, %v; want %+v", name, got, err, row.want)
			}
		}
	}
}

func TestAC04_AC05_EntriesAsTheFilterTakesThem(t *testing.T) {
	v4, v6 := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")
	for name, row := range map[string]struct {
		in   vpc.NetworkAclEntry
		want filter.ACLRule
	}{
		"ports":    {vpc.NetworkAclEntry{RuleNumber: 90, Protocol: "6", RuleAction: "allow", CidrBlock: v4, FromPort: 80, ToPort: 443}, filter.ACLRule{Number: 90, Allow: true, Proto: 6, CIDR: v4, FromPort: 80, ToPort: 443}},
		"ICMP":     {vpc.NetworkAclEntry{RuleNumber: 91, Egress: true, Protocol: "1", RuleAction: "deny", CidrBlock: v4, IcmpType: 3, IcmpCode: 4}, filter.ACLRule{Number: 91, Dir: filter.Egress, Proto: 1, CIDR: v4, ICMPType: 3, ICMPCode: 4}},
		"the last": {vpc.NetworkAclEntry{RuleNumber: 32768, Protocol: "-1", RuleAction: "deny", Ipv6Cidr: v6}, filter.ACLRule{Number: 32768, Proto: -1, CIDR: v6}},
	} {
		if got, err := aclRule(&row.in); err != nil || got != row.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, row.want)
		}
	}
}

// A stale rule matches nothing, and is still a rule.
func TestSG10_StaleReferenceIsARuleThatMatchesNothing(t *testing.T) {
	l := newSite(t)
	l.setGroups("web", "from-b")
	l.setGroups("web2", "b")
	l.works("web2", "web:80", "web")
	l.setGroups("web2", "shut")
	tx := vpc.Begin(&l.Model, vpc.Call{})
	for id, g := range tx.SecurityGroups.All() {
		if g.GroupName == "b" { // as when a peering is deleted; within a VPC it is refused
			tx.SecurityGroups.Delete(id)
		}
	}
	l.Model = tx.Model
	l.swap()
	l.fails("web2", "web:80", dropped(dataplane.SGRulesMismatch, "web", ""))
}

func TestRT10_BlackholesByTarget(t *testing.T) {
	l := newSite(t)
	l.do(&vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: "spare", InstanceId: "svc", DeviceIndex: new(1)})
	l.do(&vpc.ReplaceRouteInput{RouteTableId: "private", DestinationCidrBlock: "0.0.0.0/0", NetworkInterfaceId: "spare"})
	l.setCheck("spare", false)
	l.open("app", "server:80").Want(pt.At("svc/1"))
	hole := func(target string) {
		t.Helper()
		l.fails("app", "server:80", dropped(dataplane.BlackholeRoute, "private", "route 0.0.0.0/0 -> "+target))
	}
	// Detached, then deleted: no less specific route steps in, and no ICMP comes back.
	l.do(&vpc.DetachNetworkInterfaceInput{AttachmentId: l.eni("svc/1").Attachment.ID})
	spare := l.eni("spare").ID
	hole(string(spare))
	l.do(&vpc.DeleteNetworkInterfaceInput{NetworkInterfaceId: "spare"})
	hole(string(spare))
	// A NAT instance that is stopped, started and terminated.
	l.do(&vpc.ReplaceRouteInput{RouteTableId: "private", DestinationCidrBlock: "0.0.0.0/0", InstanceId: "router"})
	l.open("app", "server:80").Want(pt.At("router"))
	router := l.eni("router").ID
	l.do(&vpc.StopInstancesInput{InstanceIds: []vpc.InstanceID{"router"}})
	hole(string(router))
	l.do(&vpc.StartInstancesInput{InstanceIds: []vpc.InstanceID{"router"}})
	l.open("app", "server:80").Want(pt.At("router"))
	l.do(&vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{"router"}})
	hole(string(router))
	l.works("app", "web:80", "web")
}

func TestRT04_RT11_RT12_LocalRouteTakenOverAndRestored(t *testing.T) {
	l := newSite(t)
	l.works("app", "svc:80", "svc")
	l.do(&vpc.ReplaceRouteInput{RouteTableId: "private", DestinationCidrBlock: "10.0.0.0/16", InstanceId: "router"})
	l.open("app", "svc:80").Want(pt.At("router"))
	l.do(&vpc.ReplaceRouteInput{RouteTableId: "private", DestinationCidrBlock: "10.0.0.0/16", LocalTarget: true})
	l.works("app", "svc:80", "svc")
}

func TestAD06_RT18_SecondaryBlockIsRoutedAtOnce(t *testing.T) {
	l := newSite(t)
	l.fails("app", "10.1.0.10:80", dropped(dataplane.IGWDestinationRFC1918, "igw", "")) // by way of the NAT gateway
	l.do(&vpc.AssociateVpcCidrBlockInput{VpcId: "main", CidrBlock: "10.1.0.0/16"})
	l.fails("app", "10.1.0.10:80", dropped(dataplane.AddressUnassigned, "main", ""))
	l.do(&vpc.CreateSubnetInput{VpcId: "main", CidrBlock: "10.1.0.0/24", TagSpecifications: vpc.NamedTag("subnet", "second")})
	l.do(&vpc.RunInstancesInput{SubnetId: "second", PrivateIpAddress: "10.1.0.10", SecurityGroupIds: []vpc.SecurityGroupID{"open"}, TagSpecifications: vpc.NamedTag("instance", "far")})
	l.works("app", "far:80", "far")
	l.works("far", "web:80", "web")
	l.query("far", "10.0.0.2").Want(pt.At("resolver of main")) // the resolver is at the primary block's
	l.query("far", "10.1.0.2").Want(pt.Dropped(dataplane.ReservedAddress))
	// And the block goes again.
	l.do(&vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{"far"}})
	l.do(&vpc.DeleteSubnetInput{SubnetId: "second"})
	v := l.Vpcs.Get(l.eni("app").VpcID)
	l.do(&vpc.DisassociateVpcCidrBlockInput{AssociationId: v.Cidrs[1].ID})
	l.fails("app", "10.1.0.10:80", dropped(dataplane.IGWDestinationRFC1918, "igw", ""))
	if got := l.snap.VPCs[0].CIDRs; len(got) != 1 {
		t.Errorf("blocks %v", got)
	}
}

func TestRT14_EdgeAssociation(t *testing.T) {
	l := newSite(t)
	l.do(&vpc.CreateRouteTableInput{VpcId: "main", TagSpecifications: vpc.NamedTag("route-table", "edge")})
	l.route("edge", "10.0.2.0/24", "router")
	l.do(&vpc.AssociateRouteTableInput{RouteTableId: "edge", GatewayId: "igw"})
	l.do(&vpc.AssociateAddressInput{AllocationId: "spare", InstanceId: "svc"})
	l.works("laptop", "web*:80", "web") // another subnet: straight
	l.fails("laptop", "svc*:80", pt.Dropped(dataplane.IngressNoPublicIP))
	// The router gets a public address (web's, as there are no more).
	l.do(&vpc.AssociateAddressInput{AllocationId: "web", InstanceId: "router"})
	r := l.open("laptop", "svc*:80").Want(pt.At("router"), pt.To(l.at("svc:80")))
	l.send("router", r.Out[0].Packet).Want(pt.At("svc"))
	// The way out must be the same.
	l.do(&vpc.AssociateRouteTableInput{RouteTableId: "public", SubnetId: "inner"})
	l.fails("svc", "laptop:80", dropped(dataplane.IngressRedirection, "igw", ""))
	// A table that is associated no more steers nothing.
	for _, tab := range l.RouteTables.All() {
		for _, a := range tab.Associations {
			if a.GatewayID != "" {
				l.do(&vpc.DisassociateRouteTableInput{AssociationId: a.ID})
			}
		}
	}
	l.works("laptop", "svc*:80", "svc")
	l.works("svc", "laptop:80", "laptop")
}

func TestEI01_EI05_SecondaryAddressesHaveTheirOwnElasticIPs(t *testing.T) {
	l := newSite(t)
	l.do(&vpc.AssignPrivateIpAddressesInput{NetworkInterfaceId: l.eni("web").ID, PrivateIpAddresses: []string{"10.0.0.30"}})
	l.do(&vpc.AssociateAddressInput{AllocationId: "spare", InstanceId: "web", PrivateIpAddress: "10.0.0.30"})
	spare := l.allocation("spare").PublicIp.String()
	r := l.open("laptop", spare+":80").Want(pt.At("web"), pt.To("10.0.0.30:80"))
	l.answer(r).Want(pt.At("laptop"), pt.From(spare+":80"))
	l.works("laptop", "web*:80", "web")
	if got := l.compiled("web").Addrs; !slices.Equal(got, []packet.Addr{pt.Addr("10.0.0.10"), pt.Addr("10.0.0.30")}) {
		t.Errorf("addresses %v", got)
	}
	// The address moves to a neighbour, and its Elastic IP with it.
	l.do(&vpc.AssignPrivateIpAddressesInput{NetworkInterfaceId: l.eni("web2").ID, PrivateIpAddresses: []string{"10.0.0.30"}, AllowReassignment: true})
	l.open("laptop", spare+":80").Want(pt.At("web2"), pt.To("10.0.0.30:80"))
	l.send("web", pt.SYN("10.0.0.30:1", l.at("server:80"))).Want(dropped(dataplane.SourceDestCheck, "web", ""))
}

// The Elastic IP of an interface that is attached to nothing reaches the gateway
// and no further.
func TestIG04_ElasticIPOfADetachedInterface(t *testing.T) {
	l := newSite(t)
	l.do(&vpc.AssociateAddressInput{AllocationId: "spare", NetworkInterfaceId: "spare"})
	spare := l.allocation("spare").PublicIp.String()
	l.fails("laptop", spare+":80", dropped(dataplane.IGWNoPrivateAddress, "igw", ""))
	l.do(&vpc.AssociateRouteTableInput{RouteTableId: "public", SubnetId: "inner"})
	l.do(&vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: "spare", InstanceId: "svc", DeviceIndex: new(1)})
	r := l.open("laptop", spare+":80").Want(pt.At("svc/1"))
	l.answer(r).Want(pt.At("laptop"), pt.From(spare))
}

func TestEN01_EN02_EN04_InterfacesOfOneInstance(t *testing.T) {
	l := newSite(t)
	l.fails("web", "10.0.2.50:80", dropped(dataplane.ENIDetached, "spare", ""))
	l.do(&vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: "spare", InstanceId: "svc", DeviceIndex: new(1)})
	l.works("web", "10.0.2.50:80", "svc/1")
	l.works("svc/1", "web:80", "web")
	l.works("svc", "svc/1:80", "svc/1") // each is an interface of its own
	if e := l.compiled("svc/1"); e.Instance != l.compiled("svc").Instance || e.Name != "spare" {
		t.Errorf("%+v of %+v", e.Ref, e.Instance)
	}
	// An address of the one is not the other's.
	l.send("svc", pt.SYN("10.0.2.50:1", l.at("web:80"))).Want(dropped(dataplane.SourceDestCheck, "svc", ""))
	l.do(&vpc.DetachNetworkInterfaceInput{AttachmentId: l.eni("svc/1").Attachment.ID})
	l.fails("web", "10.0.2.50:80", dropped(dataplane.ENIDetached, "spare", ""))
	// It keeps address, MAC and groups on another instance.
	mac := l.eni("spare").MacAddress
	l.do(&vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: "spare", InstanceId: "app", DeviceIndex: new(1)})
	l.works("web", "10.0.2.50:80", "app/1")
	if got := l.eni("spare").MacAddress; got != mac {
		t.Errorf("MAC %s was %s", got, mac)
	}
}

func TestIN03_TerminatedInstanceIsGone(t *testing.T) {
	l := newSite(t)
	web, svc := l.at("web*"), l.at("svc")
	l.do(&vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{"web", "svc"}})
	l.fails("laptop", web+":80", pt.Dropped(dataplane.InternetUnreachable))
	l.fails("app", svc+":80", dropped(dataplane.AddressUnassigned, "main", ""))
}

// What a draining address does is told in package nat; here it is known as one,
// whichever operation drains it, and gone in time.
func TestNA17_DrainingAddressesAreKnown(t *testing.T) {
	first, second := pt.Addr("10.0.0.200"), pt.Addr("10.0.0.201")
	for _, kind := range []string{"public", "private"} {
		l := newSite(t)
		look := func(when string, addrs, draining []packet.Addr) {
			t.Helper()
			gw := l.compiled("nat").NAT
			if !slices.Equal(gw.Addrs, addrs) || !slices.Equal(gw.Draining, draining) || gw.IdleTimeout != 350*time.Second {
				t.Errorf("%s, %s: %+v", kind, when, gw.Gateway)
			}
		}
		var drain any
		if kind == "public" {
			l.do(&vpc.AssociateNatGatewayAddressInput{NatGatewayId: "nat", AllocationIds: []vpc.AllocationID{"spare"}, PrivateIpAddresses: []string{"10.0.0.201"}})
			drain = &vpc.DisassociateNatGatewayAddressInput{NatGatewayId: "nat", AssociationIds: []vpc.AddressAssocID{l.allocation("spare").AssociationID}, MaxDrainDurationSeconds: new(60)}
		} else {
			l.do(&vpc.DeleteNatGatewayInput{NatGatewayId: "nat"})
			l.do(&vpc.CreateNatGatewayInput{SubnetId: "public", ConnectivityType: "private", PrivateIpAddress: "10.0.0.200", TagSpecifications: vpc.NamedTag("natgateway", "nat")})
			l.do(&vpc.AssignPrivateNatGatewayAddressInput{NatGatewayId: "nat", PrivateIpAddresses: []string{"10.0.0.201"}})
			drain = &vpc.UnassignPrivateNatGatewayAddressInput{NatGatewayId: "nat", PrivateIpAddresses: []string{"10.0.0.201"}, MaxDrainDurationSeconds: new(60)}
		}
		look("with two", []packet.Addr{first, second}, nil)
		l.do(drain)
		look("draining", []packet.Addr{first}, []packet.Addr{second})
		l.wait(time.Minute)
		look("drained", []packet.Addr{first}, nil)
	}
}

// A private NAT gateway translates within the VPC, and carries nothing to the Internet.
func TestNA01_NA02_PrivateNATGateway(t *testing.T) {
	l := newSite(t)
	l.do(&vpc.CreateNatGatewayInput{SubnetId: "public", ConnectivityType: "private", TagSpecifications: vpc.NamedTag("natgateway", "inside")})
	l.do(&vpc.CreateRouteInput{RouteTableId: "private", DestinationCidrBlock: "10.0.2.0/24", NatGatewayId: "inside"})
	there, _ := l.works("app", "svc:80", "svc")
	there.Want(pt.From(l.at("inside")))
	l.do(&vpc.ReplaceRouteInput{RouteTableId: "private", DestinationCidrBlock: "0.0.0.0/0", NatGatewayId: "inside"})
	l.fails("app", "server:80", dropped(dataplane.IGWNoPublicAddress, "igw", ""))
}

// Two VPCs with the same ranges and their machines at the same addresses know
// nothing of each other, and have disjoint addresses on the Internet.
func TestAD01_SameRangesSideBySide(t *testing.T) {
	twin := ""
	for _, v := range []string{"x", "y"} {
		twin += replace(`
vpcs.V: {cidr_block: 10.0.0.0/16}
subnets.V: {vpc: V, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}
internet_gateways.V: {vpc: V}
route_tables.V: {vpc: V, main: true, routes: [{cidr_block: 0.0.0.0/0, gateway: V}]}
security_groups.V: {vpc: V, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}
instances.V1: {subnet: V, private_ip: 10.0.0.10, security_groups: [V]}
instances.V2: {subnet: V, private_ip: 10.0.0.11, security_groups: [V]}
`, "V", v)
	}
	l := newLab(t, "default_vpc: false\ninternet_hosts: {laptop: {}}\n"+flatten(twin))
	for _, v := range []string{"x", "y"} {
		l.works(v+"1", v+"2:80", v+"2")
		l.works("laptop", v+"1*:80", v+"1")
		l.works(v+"2", "laptop:80", "laptop")
		l.query(v+"1", "10.0.0.2").Want(pt.At("resolver of " + v))
	}
	if l.at("x1*") == l.at("y1*") {
		t.Error("one public address twice")
	}
	r := l.open("x1", "y1*:80").Want(pt.At("y1"), pt.From(l.at("x1*")), pt.To("10.0.0.10:80"))
	l.answer(r).Want(pt.At("x1"))
	// A connection in the one is none in the other, though all addresses and ports are the same.
	l.send("x1", pt.UDP("10.0.0.10:7", "10.0.0.11:7", 1)).Want(pt.At("x2"))
	l.send("y1", pt.UDP("10.0.0.10:7", "10.0.0.11:7", 1)).Want(pt.At("y2"))
}

func TestSnapshot_TellsWhatIsInconsistent(t *testing.T) {
	for name, spoil := range map[string]func(tx *vpc.Tx){
		"vpc":     func(tx *vpc.Tx) { tx.Vpcs = vpc.Table[vpc.VpcID, vpc.Vpc]{} },
		"subnet":  func(tx *vpc.Tx) { tx.Subnets = vpc.Table[vpc.SubnetID, vpc.Subnet]{} },
		"ACL":     func(tx *vpc.Tx) { tx.NetworkAcls = vpc.Table[vpc.NetworkAclID, vpc.NetworkAcl]{} },
		"group":   func(tx *vpc.Tx) { tx.SecurityGroups = vpc.Table[vpc.SecurityGroupID, vpc.SecurityGroup]{} },
		"table":   func(tx *vpc.Tx) { tx.RouteTables = vpc.Table[vpc.RouteTableID, vpc.RouteTable]{} },
		"MAC":     func(tx *vpc.Tx) { edit(&tx.NetworkInterfaces, func(e *vpc.NetworkInterface) { e.MacAddress = "x" }) },
		"hostMAC": func(tx *vpc.Tx) { edit(&tx.InternetHosts, func(h *vpc.InternetHost) { h.Mac = "x" }) },
		"aclRule": func(tx *vpc.Tx) {
			edit(&tx.NetworkAcls, func(a *vpc.NetworkAcl) { a.Entries = []vpc.NetworkAclEntry{{Protocol: "x"}} })
		},
		"groupRule": func(tx *vpc.Tx) {
			edit(&tx.SecurityGroups, func(g *vpc.SecurityGroup) { g.Ingress = []vpc.SecurityGroupRule{{IpProtocol: "x"}} })
		},
	} {
		l := newSite(t)
		tx := vpc.Begin(&l.Model, vpc.Call{})
		spoil(tx)
		if s, err := Snapshot(&tx.Model, l, 1); err == nil || s != nil {
			t.Errorf("%s: no error", name)
		} else if !contains(err.Error(), "-0") {
			t.Errorf("%s: %v names no object", name, err)
		}
	}
}

// edit changes a copy of every object of a table.
func edit[K ~string, V any](t *vpc.Table[K, V], change func(*V)) {
	for k, v := range t.All() {
		c := *v
		change(&c)
		t.Put(k, &c)
	}
}
