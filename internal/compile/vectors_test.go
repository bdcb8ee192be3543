package compile

import (
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// The test vectors of section 22 of the semantics, by number, from operations on
// the model to packets.

func TestVector01_SameSubnetIsNotTheACLs_AC06(t *testing.T) {
	l := newSite(t)
	l.setACL("public", "deny")
	l.works("web", "web2:80", "web2")
}

func TestVector02_DifferentSubnetsAre_AC07(t *testing.T) {
	l := newSite(t)
	l.setACL("public", "deny")
	l.fails("web", "app:80", dropped(dataplane.ACLDenied, "deny", "rule * deny"))
	l.fails("app", "web:80", dropped(dataplane.ACLDenied, "deny", "rule * deny"))
	l.setACL("public", l.defaultACL())
	l.works("app", "web:80", "web")
}

func (l *lab) defaultACL() string {
	for id, a := range l.NetworkAcls.All() {
		if a.IsDefault {
			return string(id)
		}
	}
	return ""
}

func TestVector03_TrackedConnectionOutlivesItsRule_CT05(t *testing.T) {
	l := newSite(t)
	l.setGroups("web", "ssh")
	c := l.connect("laptop", "web*:22", "web")
	l.do(revoke("ssh", "tcp", 22, 22, "198.51.100.10/32"))
	c.goesOn()
	l.fails("laptop", "web*:22", dropped(dataplane.SGHasNoRules, "web", ""))
}

func TestVector04_UntrackedConnectionIsCutWithItsRule_CT03_CT05(t *testing.T) {
	l := newSite(t)
	l.do(authorize("shut", "tcp", 22, 22, "0.0.0.0/0"))
	l.setGroups("web", "shut")
	c := l.connect("laptop", "web*:22", "web")
	l.do(revoke("shut", "tcp", 22, 22, "0.0.0.0/0"))
	c.says().Want(dropped(dataplane.SGHasNoRules, "web", ""))
}

func TestVector05_BehindANATGatewayItIsTracked_CT06(t *testing.T) {
	l := newSite(t)
	c := l.connect("app", "server:22", "server")
	l.do(revoke("open", "-1", -1, -1, "0.0.0.0/0"))
	l.do(&vpc.RevokeSecurityGroupEgressInput{GroupId: "open", IpPermissions: permission("-1", -1, -1, "0.0.0.0/0")})
	c.goesOn()
	l.fails("app", "server:22", dropped(dataplane.SGHasNoRules, "app", ""))
}

func TestVector06_UDPReplyWithin30s_CT02(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  pt.Check
	}{{29 * time.Second, pt.At("web")}, {31 * time.Second, dropped(dataplane.SGHasNoRules, "web", "")}} {
		l := newSite(t)
		l.setGroups("web", "shut")
		// Only to the server, as a rule for everybody would leave the flow untracked.
		l.do(&vpc.RevokeSecurityGroupEgressInput{GroupId: "shut", IpPermissions: permission("-1", -1, -1, "0.0.0.0/0")})
		l.do(&vpc.AuthorizeSecurityGroupEgressInput{GroupId: "shut", IpPermissions: permission("udp", 53, 53, "198.51.100.20/32")})
		r := l.send("web", pt.UDP(l.at("web:5353"), l.at("server:53"), 30)).Want(pt.At("server"))
		l.wait(c.after)
		l.answer(r).Want(c.want)
	}
}

func TestVector07_ResetAfter351sIdle_NA07(t *testing.T) {
	l := newSite(t)
	c := l.connect("app", "server:80", "server")
	l.wait(350*time.Second - time.Millisecond)
	c.goesOn()
	l.wait(351 * time.Second)
	c.says().Want(pt.Answered(dataplane.NATIdleTimeout, "app"), by("nat", ""), pt.Flags(packet.FlagRST), pt.From(l.at("server:80")))
	c.hears().Want(dropped(dataplane.NATNoMapping, "nat", ""))
}

func TestVector08_FragmentsThroughANATGateway_NA08(t *testing.T) {
	l := newSite(t)
	for _, f := range pt.Split(pt.Ping(l.at("app"), l.at("server"), 1, 10000), 9001, 1) {
		l.send("app", f).Want(dropped(dataplane.NATFragment, "nat", ""))
	}
	for _, f := range pt.Split(pt.UDP(l.at("app:9"), l.at("server:9"), 4000), 1500, 2) {
		l.send("app", f).Want(pt.At("server"), pt.From(l.at("nat*")))
	}
}

func TestVector10_NoPublicAddress_IG03(t *testing.T) {
	l := newSite(t)
	l.fails("web2", "server:80", dropped(dataplane.IGWNoPublicAddress, "igw", ""))
}

func TestVector11_PrivateDestinationByTheGateway_IG03(t *testing.T) {
	l := newSite(t)
	l.fails("web", "10.99.0.1:80", dropped(dataplane.IGWDestinationRFC1918, "igw", ""))
	l.fails("web", "100.64.0.1:80", dropped(dataplane.IGWDestinationRFC6598, "igw", ""))
}

func TestVector12_DeletedNATGatewayLeavesABlackhole_NA16_RT10(t *testing.T) {
	l := newSite(t)
	l.works("app", "server:80", "server")
	id := l.do(&vpc.DeleteNatGatewayInput{NatGatewayId: "nat"}).(*vpc.DeleteNatGatewayOutput).NatGatewayId
	l.fails("app", "server:80", dropped(dataplane.BlackholeRoute, "private", "route 0.0.0.0/0 -> "+string(id)))
	if a := l.allocation("nat"); a.AssociationID != "" || !a.PublicIp.IsValid() {
		t.Errorf("the Elastic IP is %+v", a)
	}
	l.fails("server", l.allocation("nat").PublicIp.String()+":80", pt.Dropped(dataplane.InternetUnreachable))
}

func TestVector13_MoreSpecificThanLocal_RT05(t *testing.T) {
	l := newSite(t)
	l.route("private", "10.0.2.0/24", "router")
	l.open("app", "svc:80").Want(pt.At("router"), pt.To(l.at("svc:80")))
	_, err := l.try(&vpc.CreateRouteInput{RouteTableId: "private", DestinationCidrBlock: "10.0.2.0/25", NetworkInterfaceId: l.eni("router").ID})
	if err == nil {
		t.Error("a /25 of a /24 subnet is accepted")
	}
}

func (l *lab) query(from, server string) *pt.Result {
	l.Helper()
	return l.send(from, pt.UDP(l.at(from+":5353"), server+":53", 30))
}

func TestVector14_WhereTheResolverAnswers_DNS01(t *testing.T) {
	l := newSite(t)
	l.query("svc", "10.0.0.2").Want(pt.At("resolver of main"))
	l.query("svc", "169.254.169.253").Want(pt.At("resolver of main"))
	l.query("svc", "10.0.2.2").Want(pt.Dropped(dataplane.ReservedAddress))
	r := l.query("svc", "10.0.0.2")
	l.put(l.services[l.eni("svc").VpcID], pt.Reply(r.Out[0].Packet)).Want(pt.At("svc"))
}

func TestVector15_NoDNSSupport_DNS04(t *testing.T) {
	l := newSite(t)
	l.do(&vpc.ModifyVpcAttributeInput{VpcId: "main", EnableDnsSupport: vpc.AttributeBooleanValue{Value: new(false)}})
	l.query("svc", "10.0.0.2").Want(pt.Dropped(dataplane.ReservedAddress))
	l.query("svc", "10.0.2.2").Want(pt.Dropped(dataplane.ReservedAddress))
	l.query("svc", "169.254.169.253").Want(pt.Dropped(dataplane.LinkLocalAddress))
}

func TestVector16_1024QueriesASecond_DNS02(t *testing.T) {
	l := newSite(t)
	answered := 0
	for range 2000 {
		if l.query("svc", "10.0.0.2").Event.Reason == dataplane.ToResolver {
			answered++
		}
	}
	if answered != 1024 {
		t.Errorf("%d of 2000 arrive", answered)
	}
	l.wait(time.Second)
	l.query("svc", "10.0.0.2").Want(pt.At("resolver of main"))
}

func TestVector17_GroupReferenceIsToPrivateAddresses_SG08(t *testing.T) {
	l := newSite(t)
	l.setGroups("web", "from-b")
	l.setGroups("web2", "b")
	l.do(&vpc.AssociateAddressInput{AllocationId: "spare", InstanceId: "web2"})
	l.fails("web2", "web*:80", dropped(dataplane.SGReferencesNotPreserved, "web", ""))
	l.works("web2", "web:80", "web")
	l.setGroups("web2", "shut")
	l.fails("web2", "web:80", dropped(dataplane.SGRulesMismatch, "web", ""))
}

func TestVector18_GroupReferenceThroughAMiddlebox_SG09(t *testing.T) {
	l := newSite(t)
	l.setGroups("svc", "from-b")
	l.setGroups("app", "b")
	l.works("app", "svc:80", "svc")
	l.route("private", "10.0.2.0/24", "router")
	r := l.open("app", "svc:80").Want(pt.At("router"))
	l.send("router", r.Out[0].Packet).Want(dropped(dataplane.SGReferencesNotPreserved, "svc", ""))
}

func TestVector19_SourceDestCheckStopsANATInstance_PL02(t *testing.T) {
	l := newSite(t)
	l.do(&vpc.ReplaceRouteInput{RouteTableId: "private", DestinationCidrBlock: "0.0.0.0/0", InstanceId: "router"})
	l.do(&vpc.AssociateAddressInput{AllocationId: "spare", InstanceId: "router"})
	l.open("app", "server:80").Want(pt.At("router"))
	l.setCheck("router", true)
	l.fails("app", "server:80", dropped(dataplane.SourceDestCheck, "router", ""))
	l.send("router", pt.SYN(l.at("app:1"), l.at("svc:80"))).Want(dropped(dataplane.SourceDestCheck, "router", ""))
}

func TestVector20_TooBigForTheGateway_MT11(t *testing.T) {
	l := newSite(t)
	l.send("web", pt.DF(pt.Ping(l.at("web"), l.at("server"), 1, 9001-28))).Want(
		pt.Answered(dataplane.PacketTooBig, "web"), pt.ICMP(3, 4), pt.NextMTU(1500), pt.From("10.0.0.1"))
	r := l.send("web", pt.Ping(l.at("web"), l.at("server"), 1, 9001-28)).Want(pt.Ended(dataplane.Delivered))
	if len(r.Out) != 7 {
		t.Errorf("%d fragments", len(r.Out))
	}
}

func TestVector24_StopAndStart_IN02_PI02(t *testing.T) {
	l := newSite(t)
	l.do(&vpc.ModifySubnetAttributeInput{SubnetId: "public", MapPublicIpOnLaunch: vpc.AttributeBooleanValue{Value: new(true)}})
	l.do(&vpc.RunInstancesInput{SubnetId: "public", SecurityGroupIds: []vpc.SecurityGroupID{"open"}, TagSpecifications: vpc.NamedTag("instance", "auto")})
	type look struct{ private, mac, public string }
	see := func(name string) look { return look{l.at(name), l.eni(name).MacAddress, l.at(name + "*")} }
	auto, web := see("auto"), see("web")
	l.works("laptop", "auto*:80", "auto")
	l.do(&vpc.StopInstancesInput{InstanceIds: []vpc.InstanceID{"auto", "web"}})
	l.fails("laptop", auto.public+":80", pt.Dropped(dataplane.InternetUnreachable))
	l.fails("laptop", web.public+":80", dropped(dataplane.ENIDetached, "web", ""))
	l.fails("app", auto.private+":80", dropped(dataplane.ENIDetached, "auto", ""))
	l.do(&vpc.StartInstancesInput{InstanceIds: []vpc.InstanceID{"auto", "web"}})
	if got := see("web"); got != web {
		t.Errorf("with an Elastic IP: %v was %v", got, web)
	}
	if got := see("auto"); got.private != auto.private || got.mac != auto.mac || got.public == auto.public {
		t.Errorf("with an automatic address: %v was %v", got, auto)
	}
	l.works("laptop", "auto*:80", "auto")
	l.works("laptop", "web*:80", "web")
	l.fails("laptop", auto.public+":80", pt.Dropped(dataplane.InternetUnreachable))
}

func TestVector26_Traceroute_L204_NA13(t *testing.T) {
	l := newSite(t)
	l.send("app", pt.TTL(pt.UDP(l.at("app:1"), l.at("svc:33434"), 32), 1)).Want(pt.At("svc"), pt.HopsLeft(1))
	l.send("app", pt.TTL(pt.UDP(l.at("app:1"), l.at("server:33434"), 32), 1)).Want(
		pt.Answered(dataplane.TTLExpired, "app"), pt.ICMP(11, 0), pt.From(l.at("nat")))
}

func TestVector27_ACLWithoutEphemeralPorts_AC05_AC06(t *testing.T) {
	l := newSite(t)
	l.setACL("public", "http")
	r := l.open("laptop", "web*:80").Want(pt.At("web"))
	l.answer(r).Want(dropped(dataplane.ACLDenied, "http", "rule * deny"))
	l.do(&vpc.CreateNetworkAclEntryInput{NetworkAclId: "http", RuleNumber: 100, Egress: true, Protocol: "6", RuleAction: "allow",
		CidrBlock: "0.0.0.0/0", PortRange: vpc.PortRange{From: new(1024), To: new(65535)}})
	l.works("laptop", "web*:80", "web")
	l.fails("laptop", "web*:81", dropped(dataplane.ACLDenied, "http", "rule * deny"))
}
