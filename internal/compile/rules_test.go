package compile

import (
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// aclEntry adds a rule to an ACL; proto is a number. For TCP and UDP from and to are
// ports, for ICMP type and code.
func (l *lab) aclEntry(acl string, number int, egress bool, action, proto string, from, to int) {
	l.Helper()
	in := &vpc.CreateNetworkAclEntryInput{NetworkAclId: vpc.NetworkAclID(acl), RuleNumber: number, Egress: egress, Protocol: proto,
		RuleAction: action, CidrBlock: "0.0.0.0/0"}
	if proto == "1" {
		in.IcmpTypeCode = vpc.IcmpTypeCode{Type: &from, Code: &to}
	} else {
		in.PortRange = vpc.PortRange{From: &from, To: &to}
	}
	l.do(in)
}

// The ranges of ephemeral ports that AWS names: a Linux client needs 32768-61000, a
// NAT gateway 1024-65535.
func TestAC10_EphemeralPortsOfClients(t *testing.T) {
	l := newSite(t)
	l.setACL("public", "deny")
	l.aclEntry("deny", 100, false, "allow", "6", 80, 80)
	l.aclEntry("deny", 100, true, "allow", "6", 32768, 61000)
	l.works("laptop", "web*:80", "web") // from a port above 40000
	r := l.send("laptop", pt.SYN(l.at("laptop:1024"), l.at("web*:80"))).Want(pt.At("web"))
	l.answer(r).Want(dropped(dataplane.ACLDenied, "deny", "rule * deny"))
	// The NAT gateway in that subnet: its answers come to 1024-65535.
	l.aclEntry("deny", 110, true, "allow", "6", 80, 80)
	in := 0
	for range 40 {
		if l.answer(l.open("app", "server:80").Want(pt.At("server"))).Event.Reason == dataplane.Delivered {
			in++
		}
	}
	if in != 0 {
		t.Errorf("%d answers came in without a rule", in)
	}
	l.aclEntry("deny", 110, false, "allow", "6", 1024, 65535)
	// And out again to the client's port in the private subnet, which has 32768-61000.
	l.works("app", "server:80", "server")
}

// Path MTU discovery: the ICMP error from the far side is filtered by ACLs as any
// packet (AC-09); that of the near router, on the same subnet, is not (CT-09).
func TestMT14_PathMTUDiscoveryMeetsACLs_AC09(t *testing.T) {
	l := newSite(t)
	l.setGroups("web", "ssh")
	c := l.connect("laptop", "web*:22", "web")
	// The laptop's side says that 1400 bytes is all it takes.
	big := c.hears().Want(pt.At("laptop"))
	tooBig := pt.ICMPError(l.at("laptop"), 3, 4, 1400, big.Out[0].Packet)
	l.send("laptop", tooBig).Want(pt.At("web"), pt.ICMP(3, 4), pt.NextMTU(1400), pt.Quotes(c.serverIs.Reverse()))

	l.setACL("public", "deny")
	l.aclEntry("deny", 100, false, "allow", "6", 22, 22)
	l.aclEntry("deny", 100, true, "allow", "6", 1024, 65535)
	c.goesOn()
	l.send("laptop", tooBig).Want(dropped(dataplane.ACLDenied, "deny", "rule * deny"))
	l.aclEntry("deny", 110, false, "allow", "1", 3, 4)
	l.send("laptop", tooBig).Want(pt.At("web"))

	l.send("web", pt.DF(pt.TCP(l.at("web:22"), l.at("laptop:40001"), 0x10, 5000))).Want(
		pt.Answered(dataplane.PacketTooBig, "web"), pt.NextMTU(1500), pt.From("10.0.0.1"))
}
