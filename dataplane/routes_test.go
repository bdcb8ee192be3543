package dataplane_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

func TestRT01_EverySubnetHasOneTableMainUnlessAssociated(t *testing.T) {
	b := newBook(t)
	b.vpc.Main.Routes = append(b.vpc.Main.Routes, "0.0.0.0/0 igw")
	b.web.Subnet.Table = nil // implicit: the main table
	b.Apply()
	b.web.Send(SYN(webIP+":1000", serverIP+":80")).Want(At("server"))
	b.web.Subnet.Table = b.vpc.Table("own")
	b.Apply()
	b.web.Send(SYN(webIP+":1000", serverIP+":80")).Want(Dropped(dataplane.NoRoute))
}

func TestRT04_LocalRouteTakenOverByAnENI(t *testing.T) {
	b := newBook(t)
	fw := b.public.ENI("fw", "172.30.0.50", b.open)
	fw.NoCheck = true
	b.private.Table.Routes = []string{"172.30.0.0/16 eni:fw"}
	b.Apply()
	b.db.Send(SYN(dbIP+":1000", webIP+":80")).Want(At("fw"), To(webIP+":80"))
	// Within the subnet no route table is asked (RT-15).
	db2 := b.private.ENI("db2", "172.30.1.21", b.open)
	b.Apply()
	b.db.Send(SYN(dbIP+":1000", "172.30.1.21:80")).Want(At(db2.Name))
}

func TestRT05_MoreSpecificThanLocal(t *testing.T) {
	b := newBook(t)
	fw := b.vpc.Subnet("fw", "172.30.2.0/24").ENI("fw", "172.30.2.50", b.open)
	fw.NoCheck = true
	other := b.vpc.Subnet("other", "172.30.3.0/24").ENI("other", "172.30.3.10", b.open)
	b.private.Table.Routes = append(b.private.Table.Routes, "172.30.0.0/24 eni:fw")
	b.Apply()
	b.db.Send(SYN(dbIP+":1000", webIP+":80")).Want(At("fw"))
	b.db.Send(SYN(dbIP+":1000", "172.30.3.10:80")).Want(At(other.Name))
}

func TestRT06_FamiliesAreLookedUpApart(t *testing.T) {
	table := dataplane.NewRouteTable(dataplane.Ref{}, []dataplane.Route{
		{Dest: netip.MustParsePrefix("0.0.0.0/0"), Target: dataplane.TargetLocal},
	})
	if r := table.Lookup(Addr("2001:db8::1")); r != nil {
		t.Errorf("0.0.0.0/0 covers IPv6: %v", r.Dest)
	}
	if r := table.Lookup(Addr("192.0.2.1")); r == nil {
		t.Error("0.0.0.0/0 does not cover IPv4")
	}
}

// The oracle scans all routes for the longest prefix, then the best origin, then the first.
func TestRT07_LongestPrefixWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
			if rapid.IntRange(0, 3).Draw(t, "v6") == 0 {
				a := [16]byte{0x20, 1, 15: rapid.Byte().Draw(t, "low")}
				return netip.PrefixFrom(netip.AddrFrom16(a), rapid.IntRange(0, 128).Draw(t, "bits")).Masked()
			}
			a := [4]byte{10, rapid.Byte().Draw(t, "b") % 4, rapid.Byte().Draw(t, "c") % 4, rapid.Byte().Draw(t, "d") % 4}
			return netip.PrefixFrom(netip.AddrFrom4(a), rapid.IntRange(0, 32).Draw(t, "bits")).Masked()
		})
		var routes []dataplane.Route
		for i, p := range rapid.SliceOfN(prefix, 0, 20).Draw(t, "routes") {
			routes = append(routes, dataplane.Route{
				Dest: p, Target: dataplane.TargetLocal, TargetID: string(rune('A' + i)),
				Origin: dataplane.Origin(rapid.IntRange(0, 2).Draw(t, "origin")),
			})
		}
		table := dataplane.NewRouteTable(dataplane.Ref{}, routes)
		a := prefix.Draw(t, "addr").Addr()
		var want *dataplane.Route
		for i := range routes {
			r := &routes[i]
			if !r.Dest.Contains(a) {
				continue
			}
			if want == nil || r.Dest.Bits() > want.Dest.Bits() ||
				r.Dest.Bits() == want.Dest.Bits() && r.Origin < want.Origin {
				want = r
			}
		}
		got := table.Lookup(packet.AddrFrom(a))
		if (got == nil) != (want == nil) || got != nil && got.TargetID != want.TargetID {
			t.Fatalf("%s: got %v, want %v", a, got, want)
		}
	})
}

func TestRT08_LocalWinsForItsOwnPrefix(t *testing.T) {
	b := newBook(t)
	b.private.Table.Routes = append(b.private.Table.Routes, "172.0.0.0/8 blackhole")
	b.Apply()
	b.db.Send(SYN(dbIP+":1000", webIP+":80")).Want(At("web"))
}

func TestRT10_BlackholeDropsWithoutFallThrough(t *testing.T) {
	b := newBook(t)
	b.public.Table.Routes = append(b.public.Table.Routes, "198.51.100.0/24 blackhole")
	b.Apply()
	r := b.web.Send(SYN(webIP+":1000", serverIP+":80")).Want(Dropped(dataplane.BlackholeRoute))
	if got := r.Event.Rule.String(); got != "route 198.51.100.0/24 -> blackhole" {
		t.Errorf("deciding rule %q", got)
	}
	t.Run("gateway detached", func(t *testing.T) {
		b := newBook(t)
		b.vpc.NoIGW = true
		b.Apply()
		b.web.Send(SYN(webIP+":1000", serverIP+":80")).Want(Dropped(dataplane.BlackholeRoute))
	})
	t.Run("ENI gone", func(t *testing.T) {
		b := newBook(t)
		b.public.Table.Routes = append(b.public.Table.Routes, "192.0.2.0/24 eni:gone")
		b.Apply()
		b.web.Send(SYN(webIP+":1000", "192.0.2.1:80")).Want(Dropped(dataplane.BlackholeRoute))
	})
}

// edge is the book with an appliance that sees what comes in from the Internet.
func edge(t *testing.T) (*book, *ENI) {
	b := newBook(t)
	app := b.vpc.Subnet("appliance", "172.30.9.0/24")
	app.Table = b.vpc.Table("appliance", "0.0.0.0/0 igw")
	fw := app.ENI("fw", "172.30.9.10", b.open).EIP(0, "203.0.113.50")
	fw.NoCheck = true
	b.vpc.Edge = b.vpc.Table("edge", "172.30.0.0/24 eni:fw")
	b.public.Table = b.vpc.Table("via-fw", "0.0.0.0/0 eni:fw")
	return b, fw
}

func TestRT14_EdgeAssociationRedirectsInbound(t *testing.T) {
	b, fw := edge(t)
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1000", webEIP+":80")).Want(At("fw"), To(webIP+":80"), From(laptopIP+":1000"))
	// The appliance passes it on, and the way back leads through it as well.
	fw.Send(SYN(laptopIP+":1000", webIP+":80")).Want(At("web"))
	b.web.Send(SYNACK(webIP+":80", laptopIP+":1000")).Want(At("fw"))
	fw.Send(SYNACK(webIP+":80", laptopIP+":1000")).Want(At("laptop"), From(webEIP+":80"))
	// What the edge table leaves alone goes straight in.
	b.laptop.Send(SYN(laptopIP+":1001", "203.0.113.50:80")).Want(At("fw"))
}

func TestRT14_RedirectedSubnetMayNotGoOutDirectly(t *testing.T) {
	b, _ := edge(t)
	b.public.Table = b.vpc.Table("direct", "0.0.0.0/0 igw")
	b.Apply()
	b.web.Send(SYN(webIP+":1000", serverIP+":80")).Want(Dropped(dataplane.IngressRedirection))
}

func TestRT14_ApplianceNeedsAPublicAddress(t *testing.T) {
	b, fw := edge(t)
	delete(b.vpc.Public, fw.Addrs[0])
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1000", webEIP+":80")).Want(Dropped(dataplane.IngressNoPublicIP))
}

func TestRT14_EdgeTableBlackholeAndMiss(t *testing.T) {
	b, _ := edge(t)
	b.vpc.Edge.Routes = []string{"172.30.0.0/24 eni:gone"}
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1000", webEIP+":80")).Want(Dropped(dataplane.BlackholeRoute))
	b.vpc.Edge.Routes = []string{"172.30.9.0/24 local"}
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1000", webEIP+":80")).Want(Dropped(dataplane.NoRoute))
}

func TestRT17_ACLComesBeforeTheRouteTable(t *testing.T) {
	b := newBook(t)
	b.public.ACL = &ACL{Name: "closed"}
	b.public.Table = b.vpc.Table("none")
	b.Apply()
	b.web.Send(SYN(webIP+":1000", serverIP+":80")).Want(Dropped(dataplane.ACLDenied))
}

func TestRT18_UnassignedAddressesAreSilent(t *testing.T) {
	b := newBook(t)
	b.public.Table.Routes = append(b.public.Table.Routes, "10.0.0.0/8 local")
	b.Apply()
	b.web.Send(SYN(webIP+":1000", "172.30.1.77:80")).Want(Dropped(dataplane.AddressUnassigned))
	b.web.Send(SYN(webIP+":1000", "172.30.0.77:80")).Want(Dropped(dataplane.AddressUnassigned))
	b.web.Send(SYN(webIP+":1000", "10.1.1.1:80")).Want(Dropped(dataplane.LocalRouteOutsideVPC))
}
