package dataplane_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// of is what an account says of a rule.
func of(a dataplane.Account, owner, rule string, egress bool) uint64 {
	return a.Rules[dataplane.RuleKey{Owner: owner, Rule: rule, Egress: egress}].Packets
}

func TestAccount_RulesInterfacesAndGateways(t *testing.T) {
	b := newBook(t)
	g := b.Group("ssh", In("tcp", "22", laptopIP+"/32"), In("tcp", "80", "0.0.0.0/0"))
	b.web.Groups = []*Group{g}
	b.public.ACL = &ACL{Name: "edge", Rules: []aclRule{Allow(100, in, "all", "", "0.0.0.0/0"), Allow(100, out, "tcp", "1024-65535", "0.0.0.0/0")}}
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":4000", webEIP+":22")).Want(At("web"))
	b.web.Send(SYNACK(webIP+":22", laptopIP+":4000")).Want(At("laptop"))
	for range 3 {
		b.laptop.Send(ACK(laptopIP+":4000", webEIP+":22")).Want(At("web")) // tracked, the last two by the cache
	}
	b.laptop.Send(SYN(laptopIP+":4000", webEIP+":23")).Want(Dropped(dataplane.SGRulesMismatch))
	b.web.Send(SYNACK(webIP+":22", laptopIP+":22")).Want(Dropped(dataplane.SGHasNoRules)) // never reaches the ACL
	a := b.Engine.Account()
	rule := b.Snapshot.ENIs[b.web.Handle].Groups.Rules()
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{"group rule ssh: the packet that opened the connection", of(a, "sg-ssh", rule[0].RuleID, false), 1},
		{"group rule http, which nothing met", of(a, "sg-ssh", rule[1].RuleID, false), 0},
		{"ACL ingress 100", of(a, "acl-edge", "100", false), 5},
		{"ACL egress 100", of(a, "acl-edge", "100", true), 1},
		{"ACL egress *", of(a, "acl-edge", "*", true), 0},
		{"default route", of(a, "rtb-public", "0.0.0.0/0", false), 1},
		{"gateway", a.Gateways["igw-book"].Packets, 6},
		{"laptop sent", a.Interfaces[b.laptop.Handle].Sent.Packets, 5},
		{"laptop received", a.Interfaces[b.laptop.Handle].Received.Packets, 1},
		{"web received", a.Interfaces[b.web.Handle].Received.Packets, 4},
		{"web sent", a.Interfaces[b.web.Handle].Sent.Packets, 2},
		{"bytes web sent", a.Interfaces[b.web.Handle].Sent.Bytes, 80},
		{"arrivals dropped at web", a.Interfaces[b.web.Handle].Dropped[dataplane.SGRulesMismatch].Packets, 1},
		{"sent by web and dropped", a.Interfaces[b.web.Handle].Dropped[dataplane.SGHasNoRules].Packets, 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
	if t.Failed() {
		t.Logf("%+v", a)
	}
}

// What is counted under a snapshot that has gone stays counted.
func TestAccount_OutlivesSnapshots(t *testing.T) {
	b := newBook(t).applied()
	for i := range 3 {
		b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
		b.Apply()
		if n := b.Engine.Account().Interfaces[b.db.Handle].Received; n != (dataplane.Traffic{Packets: uint64(i + 1), Bytes: uint64(i+1) * 38}) {
			t.Errorf("after %d: %+v", i+1, n)
		}
	}
	// A port that goes takes nothing with it.
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	b.web.Port = nil
	b.Apply()
	if n := b.Engine.Account().Interfaces[b.web.Handle].Sent.Packets; n != 4 {
		t.Errorf("web, stopped, sent %d", n)
	}
}

// The accounts and the counters by reason count the same packets.
func TestAccount_AgreesWithCounters(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("db", In("udp", "1-3", "172.30.0.0/16"))}
	b.Apply()
	for i := range 40 {
		b.web.Send(UDP(webIP+":1", fmt.Sprintf("%s:%d", dbIP, i%5+1), i))
		b.web.Send(SYN(webIP+":1", fmt.Sprintf("198.51.100.%d:80", i%9)))
		b.Advance(time.Second)
	}
	got := map[dataplane.Reason]uint64{}
	for _, i := range b.Engine.Account().Interfaces {
		for r, n := range i.Dropped {
			got[r] += n.Packets
		}
		got[dataplane.Delivered] += i.Received.Packets
	}
	want := b.Engine.Counters()
	if fmt.Sprint(got) != fmt.Sprint(want) || want[dataplane.Delivered] == 0 || len(want) < 3 {
		t.Errorf("accounts %v, counters %v", got, want)
	}
}
