package compile

import (
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Claims of the book that show on packets (shared/book.md).

// The four conditions of Internet access are taken away one by one and put back.
// Nothing is restarted.
func TestB03_FourConditionsOfInternetAccess_IG02(t *testing.T) {
	l := newSite(t)
	var web string // its Elastic IP, also while it has none
	online := func() {
		t.Helper()
		l.works("web", "server:80", "server")
		l.works("laptop", web+":80", "web")
	}
	offline := func(out, in pt.Check) {
		t.Helper()
		l.fails("web", "server:80", out)
		l.fails("laptop", web+":80", in)
	}
	web = l.at("web*")
	online()

	{ // the public address
		l.do(&vpc.DisassociateAddressInput{PublicIp: web})
		offline(dropped(dataplane.IGWNoPublicAddress, "igw", ""), pt.Dropped(dataplane.InternetUnreachable))
		l.do(&vpc.AssociateAddressInput{AllocationId: "web", InstanceId: "web"})
		online()
	}
	{ // the gateway
		detach := &vpc.DetachInternetGatewayInput{InternetGatewayId: "igw", VpcId: "main"}
		if _, err := l.try(detach); err == nil {
			t.Error("the gateway is detached while there are public addresses")
		}
		l.do(&vpc.DeleteNatGatewayInput{NatGatewayId: "nat"})
		l.do(&vpc.DisassociateAddressInput{PublicIp: web})
		l.do(detach)
		offline(dropped(dataplane.BlackholeRoute, "public", ""), pt.Dropped(dataplane.InternetUnreachable))
		l.do(&vpc.AttachInternetGatewayInput{InternetGatewayId: "igw", VpcId: "main"})
		l.do(&vpc.AssociateAddressInput{AllocationId: "web", InstanceId: "web"})
		online()
	}
	{ // the route
		l.do(&vpc.DeleteRouteInput{RouteTableId: "public", DestinationCidrBlock: "0.0.0.0/0"})
		l.fails("web", "server:80", dropped(dataplane.NoRoute, "public", ""))
		syn := l.open("laptop", web+":80").Want(pt.At("web")) // it comes in, but no answer goes out
		l.answer(syn).Want(dropped(dataplane.NoRoute, "public", ""))
		l.do(&vpc.CreateRouteInput{RouteTableId: "public", DestinationCidrBlock: "0.0.0.0/0", GatewayId: "igw"})
		online()
	}
	{ // the group
		l.do(revoke("open", "-1", -1, -1, "0.0.0.0/0"))
		l.do(&vpc.RevokeSecurityGroupEgressInput{GroupId: "open", IpPermissions: permission("-1", -1, -1, "0.0.0.0/0")})
		offline(dropped(dataplane.SGHasNoRules, "web", ""), dropped(dataplane.SGHasNoRules, "web", ""))
		l.do(authorize("open", "-1", -1, -1, "0.0.0.0/0"))
		l.do(&vpc.AuthorizeSecurityGroupEgressInput{GroupId: "open", IpPermissions: permission("-1", -1, -1, "0.0.0.0/0")})
		online()
	}
	{ // the ACL
		l.setACL("public", "deny")
		offline(dropped(dataplane.ACLDenied, "deny", ""), dropped(dataplane.ACLDenied, "deny", ""))
		l.setACL("public", l.defaultACL())
		online()
	}
}

func TestB04_MainTableAndOwnTables_RT01_RT02(t *testing.T) {
	l := newSite(t)
	l.fails("svc", "server:80", dropped(dataplane.NoRoute, string(l.MainRouteTable(l.eni("svc").VpcID).ID), ""))
	l.works("svc", "app:80", "app")
	// Another main table changes the subnet that has none of its own, and no other.
	main := l.MainRouteTable(l.eni("svc").VpcID).Associations[0].ID
	l.do(&vpc.ReplaceRouteTableAssociationInput{AssociationId: main, RouteTableId: "private"})
	there, _ := l.works("svc", "server:80", "server")
	there.Want(pt.From(l.at("nat*")))
	there, _ = l.works("web", "server:80", "server")
	there.Want(pt.From(l.at("web*")))
	// A table of its own changes that subnet alone.
	l.do(&vpc.AssociateRouteTableInput{RouteTableId: "public", SubnetId: "inner"})
	l.fails("svc", "server:80", dropped(dataplane.IGWNoPublicAddress, "igw", ""))
	l.works("app", "server:80", "server")
}

func TestB06_PrivateSubnet(t *testing.T) {
	l := newSite(t)
	l.fails("svc", "server:80", pt.Dropped(dataplane.NoRoute))
	l.fails("laptop", "svc:80", pt.Dropped(dataplane.InternetUnreachable))
	l.works("web", "svc:80", "svc")
}

func TestB08_NATGateway(t *testing.T) {
	l := newSite(t)
	there, _ := l.works("app", "server:80", "server")
	there.Want(pt.From(l.at("nat*")))
	l.fails("server", "nat*:80", dropped(dataplane.NATNoMapping, "nat", ""))
	l.fails("server", "app:80", pt.Dropped(dataplane.InternetUnreachable))
	// Nobody but the server gets in by the port that the connection has.
	h := there.Header()
	l.send("laptop", pt.UDP(l.at("laptop:80"), pt.Parse(pt.Reply(h.Data)).Dst.String()+":"+portText(h.SrcPort), 1)).Want(dropped(dataplane.NATNoMapping, "nat", ""))
}

func TestB08_NATGatewayInAPrivateSubnetCarriesNothing(t *testing.T) {
	l := newSite(t)
	wrong := func(subnet vpc.SubnetID) {
		l.do(&vpc.CreateNatGatewayInput{SubnetId: subnet, AllocationId: "spare", TagSpecifications: vpc.NamedTag("natgateway", "wrong")})
		l.do(&vpc.ReplaceRouteInput{RouteTableId: "private", DestinationCidrBlock: "0.0.0.0/0", NatGatewayId: "wrong"})
	}
	// In a subnet without a route to the Internet: what it translates goes nowhere.
	wrong("inner")
	l.fails("app", "server:80", dropped(dataplane.NoRoute, string(l.MainRouteTable(l.eni("svc").VpcID).ID), ""))
	l.do(&vpc.DeleteNatGatewayInput{NatGatewayId: "wrong"})
	// In the very subnet that it is to serve: the route leads back to it.
	wrong("private")
	l.fails("app", "server:80", dropped(dataplane.ForwardingLoop, "wrong", ""))
}

func TestB15_GroupsAreStateful_CT01(t *testing.T) {
	l := newSite(t)
	l.setGroups("web", "ssh")
	l.do(&vpc.RevokeSecurityGroupEgressInput{GroupId: "ssh", IpPermissions: permission("-1", -1, -1, "0.0.0.0/0")})
	l.connect("laptop", "web*:22", "web").goesOn()
	l.fails("web", "laptop:22", dropped(dataplane.SGHasNoRules, "web", ""))
}

func TestB16_ACLsAreStatelessAndOrdered_AC04(t *testing.T) {
	l := newSite(t)
	l.setACL("public", "deny")
	entry := func(number int, egress bool, action string, from, to int, cidr string) {
		t.Helper()
		l.do(&vpc.CreateNetworkAclEntryInput{NetworkAclId: "deny", RuleNumber: number, Egress: egress, Protocol: "6", RuleAction: action,
			CidrBlock: cidr, PortRange: vpc.PortRange{From: &from, To: &to}})
	}
	l.fails("laptop", "web*:22", dropped(dataplane.ACLDenied, "deny", "rule * deny")) // the last rule denies
	entry(100, false, "allow", 22, 22, "0.0.0.0/0")
	r := l.open("laptop", "web*:22").Want(pt.At("web"))
	l.answer(r).Want(dropped(dataplane.ACLDenied, "deny", "rule * deny"))
	entry(100, true, "allow", 1024, 65535, "0.0.0.0/0")
	l.works("laptop", "web*:22", "web")
	entry(90, false, "deny", 22, 22, "198.51.100.10/32") // the first match decides
	l.fails("laptop", "web*:22", dropped(dataplane.ACLDenied, "deny", "rule 90 deny"))
	l.works("server", "web*:22", "web")
	l.do(&vpc.DeleteNetworkAclEntryInput{NetworkAclId: "deny", RuleNumber: 90})
	entry(110, false, "deny", 22, 22, "198.51.100.10/32") // too late
	l.works("laptop", "web*:22", "web")
}

func TestB17_GroupsNameGroups_SG08(t *testing.T) {
	l := newSite(t)
	l.setGroups("web", "default") // the default group names itself
	l.fails("svc", "web:80", dropped(dataplane.SGRulesMismatch, "web", ""))
	l.setGroups("svc", "default")
	l.works("svc", "web:80", "web")
	l.works("web", "svc:80", "svc")
	l.fails("app", "svc:80", dropped(dataplane.SGRulesMismatch, "svc", ""))
	// As a destination.
	l.do(&vpc.RevokeSecurityGroupEgressInput{GroupId: "shut", IpPermissions: permission("-1", -1, -1, "0.0.0.0/0")})
	l.do(&vpc.AuthorizeSecurityGroupEgressInput{GroupId: "shut", IpPermissions: []vpc.IpPermission{
		{IpProtocol: "tcp", FromPort: new(80), ToPort: new(80), UserIdGroupPairs: []vpc.UserIdGroupPair{{GroupId: "open"}}}}})
	l.setGroups("web", "shut")
	l.works("web", "app:80", "app")
	l.fails("web", "svc:80", dropped(dataplane.SGRulesMismatch, "web", ""))
	l.fails("web", "app:81", dropped(dataplane.SGRulesMismatch, "web", ""))
}

func TestB18_ACLGuardsTheSubnetGroupTheInterface_AC06_SG03(t *testing.T) {
	l := newSite(t)
	l.setACL("public", "deny")
	l.works("web", "web2:22", "web2")
	l.setGroups("web2", "shut")
	l.fails("web", "web2:22", dropped(dataplane.SGHasNoRules, "web2", ""))
}
