package dataplane_test

import (
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/filter"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

type (
	rule    = filter.GroupRule
	aclRule = filter.ACLRule
)

const (
	in  = filter.Ingress
	out = filter.Egress
)

func TestAC03_CustomACLDeniesEverything(t *testing.T) {
	b := newBook(t)
	b.private.ACL = &ACL{Name: "custom"}
	b.Apply()
	r := b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(Dropped(dataplane.ACLDenied))
	if got := r.Event.Rule.String(); got != "rule * deny" || r.Event.By.Name != "custom" {
		t.Errorf("decided by %s, %s", r.Event.By, got)
	}
	b.db.Send(SYN(dbIP+":1", webIP+":80")).Want(Dropped(dataplane.ACLDenied))
}

func TestAC04_FirstMatchByNumberDecides(t *testing.T) {
	b := newBook(t)
	b.private.ACL = &ACL{Name: "n", Rules: []aclRule{
		Allow(200, in, "tcp", "", "0.0.0.0/0"), Deny(100, in, "tcp", "80", "0.0.0.0/0"), Allow(90, in, "tcp", "80", webIP+"/32"),
	}}
	b.public.ENI("web2", "172.30.0.11", b.open)
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(At("db"))
	r := b.vpc.Find("web2").Send(SYN("172.30.0.11:1", dbIP+":80")).Want(Dropped(dataplane.ACLDenied))
	if got := r.Event.Rule.String(); got != "rule 100 deny" {
		t.Errorf("decided by %s", got)
	}
	b.vpc.Find("web2").Send(SYN("172.30.0.11:1", dbIP+":81")).Want(At("db"))
}

func TestAC05_PortIsTheDestinationsInBothDirections(t *testing.T) {
	b := newBook(t)
	b.private.ACL = &ACL{Name: "ssh", Rules: []aclRule{
		Allow(100, in, "tcp", "22", "0.0.0.0/0"), Allow(100, out, "tcp", "1024-65535", "0.0.0.0/0"),
	}}
	b.Apply()
	b.web.Send(SYN(webIP+":40000", dbIP+":22")).Want(At("db"))
	b.db.Send(SYNACK(dbIP+":22", webIP+":40000")).Want(At("web"))
	b.web.Send(SYN(webIP+":1000", dbIP+":22")).Want(At("db"))
	b.db.Send(SYNACK(dbIP+":22", webIP+":1000")).Want(Dropped(dataplane.ACLDenied))
}

func TestAC05_OtherProtocolsIgnorePorts(t *testing.T) {
	b := newBook(t)
	b.private.ACL = &ACL{Name: "gre", Rules: []aclRule{Allow(100, in, "47", "22", "0.0.0.0/0")}}
	b.Apply()
	b.web.Send(Proto(47, webIP, dbIP)).Want(At("db"))
	b.web.Send(Ping(webIP, dbIP, 1, 1)).Want(Dropped(dataplane.ACLDenied))
}

func TestAC06_NotAskedWithinTheSubnet(t *testing.T) {
	b := newBook(t)
	b.public.ENI("web2", "172.30.0.11", b.open)
	b.public.ACL = &ACL{Name: "closed"}
	b.Apply()
	b.web.Send(SYN(webIP+":1", "172.30.0.11:80")).Want(At("web2"))
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(Dropped(dataplane.ACLDenied))
}

func TestAC06_StatelessEachDirectionAlone(t *testing.T) {
	b := newBook(t)
	b.private.ACL = &ACL{Name: "in", Rules: []aclRule{Allow(100, in, "all", "", "0.0.0.0/0")}}
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(At("db"))
	b.db.Send(SYNACK(dbIP+":80", webIP+":1")).Want(Dropped(dataplane.ACLDenied))
}

func TestAC07_BothSubnetsAreAsked(t *testing.T) {
	all := AllowAll()
	for _, c := range []struct {
		name            string
		public, private []aclRule
		want            Check
		by              string
	}{
		{"open", all, all, At("db"), ""},
		{"source out", all[:1], all, Dropped(dataplane.ACLDenied), "pub"},
		{"destination in", all, all[1:], Dropped(dataplane.ACLDenied), "priv"},
		{"the others are for replies", all[1:], all[:1], At("db"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(t)
			b.public.ACL, b.private.ACL = &ACL{Name: "pub", Rules: c.public}, &ACL{Name: "priv", Rules: c.private}
			b.Apply()
			r := b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(c.want)
			if c.by != "" && r.Event.By.Name != c.by {
				t.Errorf("decided by %s, want %s", r.Event.By, c.by)
			}
		})
	}
}

func TestCT08_ACLChangeCutsTrackedFlows(t *testing.T) {
	b := outOnly(t)
	b.web.Send(SYN(webIP+":1", dbIP+":22")).Want(At("db"))
	b.private.ACL = &ACL{Name: "closed"}
	b.Apply()
	b.web.Send(ACK(webIP+":1", dbIP+":22")).Want(Dropped(dataplane.ACLDenied))
}

type filterDir = filter.Direction
