package dataplane_test

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/vpcemu/vpcemu/dataplane"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// The drops that the engine keeps come from as many snapshots as there were changes, and
// keep none of them.
func TestDrops_KeepNoSnapshot(t *testing.T) {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("web", In("tcp", "22", "0.0.0.0/0"), Out("all", "", "0.0.0.0/0"))}
	b.private.Table = b.vpc.Table("private", "0.0.0.0/0 blackhole")
	b.private.ACL = &ACL{Name: "closed", Rules: []aclRule{Allow(100, out, "all", "", "0.0.0.0/0")}}
	var snapshots []weak.Pointer[dataplane.VPC]
	var ways []string
	for i := range 20 {
		b.Apply()
		snapshots = append(snapshots, weak.Make(b.Snapshot.VPCs[0]))
		var r *Result
		switch i % 4 {
		case 0:
			r = b.laptop.Send(SYN(laptopIP+":4000", webEIP+":23")).Want(Dropped(dataplane.SGRulesMismatch))
		case 1:
			r = b.web.Send(SYN(webIP+":4000", dbIP+":23")).Want(Ended(dataplane.ACLDenied))
		case 2:
			r = b.db.Send(SYN(dbIP+":4000", serverIP+":23")).Want(Ended(dataplane.BlackholeRoute))
		case 3: // a route that leads somewhere was passed
			r = b.web.Send(SYN(webIP+":4000", "192.0.2.1:23")).Want(Ended(dataplane.InternetUnreachable))
		}
		ways = append(ways, wayText(r.Event.Way)+r.Event.Rule.String())
	}
	// What ways have counted is kept until the engine has added it up, soon.
	alive := len(snapshots)
	for end := time.Now().Add(10 * time.Second); alive > 4 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		runtime.GC()
		alive = 0
		for _, s := range snapshots {
			if s.Value() != nil {
				alive++
			}
		}
	}
	// The current one, and the last of each of the three ports' workers.
	if alive > 4 {
		t.Errorf("%d of %d snapshots are kept", alive, len(snapshots))
	}
	drops := b.Engine.Drops()
	if len(drops) != len(ways) {
		t.Fatalf("%d drops of %d", len(drops), len(ways))
	}
	for i, e := range drops {
		if got := wayText(e.Way) + e.Rule.String(); got != ways[i] {
			t.Errorf("kept\n%s\nwas\n%s", got, ways[i])
		}
	}
}
