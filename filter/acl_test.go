package filter

import (
	"slices"
	"testing"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// defaultACL is what a VPC's default network ACL holds (AC-02).
func defaultACL() []ACLRule {
	return []ACLRule{
		{Number: 100, Dir: Ingress, Allow: true, Proto: -1, CIDR: pfx("0.0.0.0/0")},
		{Number: 100, Dir: Egress, Allow: true, Proto: -1, CIDR: pfx("0.0.0.0/0")},
		{Number: 32767, Dir: Ingress, Proto: -1, CIDR: pfx("0.0.0.0/0")},
		{Number: 32767, Dir: Egress, Proto: -1, CIDR: pfx("0.0.0.0/0")},
	}
}

func TestAC02_DefaultACLAllowsIPv4(t *testing.T) {
	a := CompileACL("acl-1", "default", defaultACL())
	if a.ID != "acl-1" || a.Name != "default" {
		t.Errorf("named %s %s", a.ID, a.Name)
	}
	for _, d := range []Direction{Ingress, Egress} {
		if r := a.Match(query(d, "198.51.100.7", 22)); !r.Allow || r.Number != 100 {
			t.Errorf("%v: %v", d, r)
		}
		if r := a.Match(query(d, "2001:db8::5", 22)); r.Allow || r.Number != StarNumberV6 {
			t.Errorf("%v IPv6: %v", d, r)
		}
	}
}

func TestAC03_WithoutEntriesAllIsDenied(t *testing.T) {
	a := CompileACL("acl-1", "", nil)
	for proto := range 256 {
		for remote, number := range map[string]int{"10.0.0.5": 32767, "2001:db8::5": 32768} {
			for _, d := range []Direction{Ingress, Egress} {
				r := a.Match(&Query{Dir: d, Proto: uint8(proto), Remote: addr(remote)})
				if r == nil || r.Allow || r.Number != number || r.Dir != d || r.Label() != "*" {
					t.Fatalf("protocol %d %s: %v", proto, remote, r)
				}
			}
		}
	}
}

func TestAC04_LowestNumberDecides(t *testing.T) {
	rules := []ACLRule{
		{Number: 300, Allow: true, Proto: -1, CIDR: pfx("0.0.0.0/0")},
		{Number: 200, Proto: 6, FromPort: 22, ToPort: 22, CIDR: pfx("198.51.100.0/24")},
		{Number: 100, Allow: true, Proto: 6, FromPort: 22, ToPort: 22, CIDR: pfx("198.51.100.7/32")},
	}
	before := slices.Clone(rules)
	a := CompileACL("acl-1", "", rules)
	if !slices.Equal(rules, before) {
		t.Error("the caller's rules were sorted")
	}
	for remote, want := range map[string]int{"198.51.100.7": 100, "198.51.100.8": 200, "203.0.113.1": 300} {
		if r := a.Match(query(Ingress, remote, 22)); r.Number != want || r.Allow != (want != 200) {
			t.Errorf("%s: %v, want rule %d", remote, r, want)
		}
	}
	if r := a.Match(query(Egress, "198.51.100.7", 22)); r.Allow || r.Number != StarNumber {
		t.Errorf("egress: %v", r)
	}
}

func TestAC05_DestinationPortInBothDirections(t *testing.T) {
	a := CompileACL("acl-1", "", []ACLRule{
		{Number: 100, Dir: Ingress, Allow: true, Proto: 6, FromPort: 80, ToPort: 80, CIDR: pfx("0.0.0.0/0")},
		{Number: 100, Dir: Egress, Allow: true, Proto: 6, FromPort: 1024, ToPort: 65535, CIDR: pfx("0.0.0.0/0")},
	})
	if !a.Match(query(Ingress, "198.51.100.7", 80)).Allow || a.Match(query(Ingress, "198.51.100.7", 81)).Allow {
		t.Error("ingress")
	}
	// The reply goes to the client's ephemeral port; that it comes from 80 does not help.
	if !a.Match(query(Egress, "198.51.100.7", 40000)).Allow || a.Match(query(Egress, "198.51.100.7", 80)).Allow {
		t.Error("egress")
	}
	udp := query(Ingress, "198.51.100.7", 80)
	udp.Proto = packet.ProtoUDP
	if a.Match(udp).Allow {
		t.Error("a rule for TCP allows UDP")
	}
}

func TestAC05_ICMPAndOtherProtocols(t *testing.T) {
	for _, c := range []struct {
		name string
		r    ACLRule
		q    Query
		want bool
	}{
		{"type and code", ACLRule{Proto: 1, ICMPType: 3, ICMPCode: 4, CIDR: pfx("0.0.0.0/0")}, Query{Proto: 1, ICMPType: 3, ICMPCode: 4, Remote: addr("10.0.0.5")}, true},
		{"other code", ACLRule{Proto: 1, ICMPType: 3, ICMPCode: 4, CIDR: pfx("0.0.0.0/0")}, Query{Proto: 1, ICMPType: 3, ICMPCode: 1, Remote: addr("10.0.0.5")}, false},
		{"any code", ACLRule{Proto: 1, ICMPType: 11, ICMPCode: -1, CIDR: pfx("0.0.0.0/0")}, Query{Proto: 1, ICMPType: 11, ICMPCode: 1, Remote: addr("10.0.0.5")}, true},
		{"any type", ACLRule{Proto: 1, ICMPType: -1, ICMPCode: -1, CIDR: pfx("0.0.0.0/0")}, Query{Proto: 1, ICMPType: 8, Remote: addr("10.0.0.5")}, true},
		{"58 in IPv6 has types", ACLRule{Proto: 58, ICMPType: 128, ICMPCode: -1, CIDR: pfx("::/0")}, Query{Proto: 58, ICMPType: 129, Remote: addr("2001:db8::5")}, false},
		{"58 in IPv4 has none", ACLRule{Proto: 58, ICMPType: 128, ICMPCode: -1, CIDR: pfx("0.0.0.0/0")}, Query{Proto: 58, ICMPType: 129, Remote: addr("10.0.0.5")}, true},
		{"GRE ignores ports", ACLRule{Proto: 47, FromPort: 1, ToPort: 1, ICMPType: 3, CIDR: pfx("0.0.0.0/0")}, Query{Proto: 47, Remote: addr("10.0.0.5")}, true},
		{"ESP is not GRE", ACLRule{Proto: 47, CIDR: pfx("0.0.0.0/0")}, Query{Proto: 50, Remote: addr("10.0.0.5")}, false},
		{"host bits are cleared", ACLRule{Proto: -1, CIDR: pfx("10.0.0.9/24")}, Query{Proto: 50, Remote: addr("10.0.0.5")}, true},
		{"families are separate", ACLRule{Proto: -1, CIDR: pfx("::/0")}, Query{Proto: 6, Remote: addr("10.0.0.5")}, false},
	} {
		c.r.Number, c.r.Allow = 100, true
		if got := CompileACL("acl-1", "", []ACLRule{c.r}).Match(&c.q); got.Allow != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestAC05_GroupsOfThePeerDoNotMatter(t *testing.T) {
	a := CompileACL("acl-1", "", []ACLRule{{Number: 1, Allow: true, Proto: -1}})
	q := query(Ingress, "10.0.0.5", 22)
	q.RemoteGroups = []uint32{1}
	if a.Match(q).Allow {
		t.Error("an entry without a CIDR matches")
	}
}

func TestACLRuleString(t *testing.T) {
	for want, r := range map[string]ACLRule{
		"rule 100 ingress allow tcp 443 0.0.0.0/0":    {Number: 100, Allow: true, Proto: 6, FromPort: 443, ToPort: 443, CIDR: pfx("0.0.0.0/0")},
		"rule * egress deny all ::/0":                 {Number: 32768, Dir: Egress, Proto: -1, CIDR: pfx("::/0")},
		"rule 7 ingress deny icmp type 3 code 4 ::/0": {Number: 7, Proto: 1, ICMPType: 3, ICMPCode: 4, CIDR: pfx("::/0")},
	} {
		if got := r.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
