package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// What a Directory says after any changes is what the names of that model are.
func TestDirectory_FollowsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := book()
		model := l.Model
		d := NewDirectory(func() *vpc.Model { return model })
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			next := model.Clone()
			l.Model = &next
			switch rapid.IntRange(0, 5).Draw(t, "change") {
			case 0:
				l.instance("vpc-book", vpc.InstanceID(fmt.Sprintf("i-%d", l.handle)), fmt.Sprintf("172.30.2.%d", l.handle), "")
			case 1:
				for id := range l.NetworkInterfaces.All() {
					l.NetworkInterfaces.Delete(id)
					break
				}
			case 2:
				l.set("vpc-book", rapid.Bool().Draw(t, "support"), rapid.Bool().Draw(t, "hostnames"))
			case 3:
				l.host("new", "198.51.100.9", "new.example.com")
			case 4:
				i := *l.Instances.Get("i-web")
				i.EnableResourceNameDnsARecord = !i.EnableResourceNameDnsARecord
				l.Instances.Put(i.ID, &i)
			case 5: // nothing that has to do with names
				next.NextHandle++
			}
			model = l.Model
			for _, name := range []string{"ip-172-30-0-10" + region, "i-web" + region, "ip-172-30-2-5" + region, "new.example.com", "example.com", "2.30.172.in-addr.arpa", "ec2-203-0-113-10" + public} {
				q, _ := parse(message(l.tb(), name, tA))
				q.answer(d.Names().from("vpc-book"))
				fresh, _ := parse(message(l.tb(), name, tA))
				fresh.answer(NamesOf(model).from("vpc-book"))
				if got, want := short(q.reply), short(fresh.reply); got != want {
					t.Fatalf("%s is %s, want %s", name, got, want)
				}
			}
		}
	})
}

func (l *lab) tb() testing.TB { return &testing.T{} }

// anyIn against the obvious: whether one of the addresses is in the range and not hidden.
func TestAnyIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			return netip.AddrFrom4([4]byte{10, byte(rapid.IntRange(0, 2).Draw(t, "b")), byte(rapid.IntRange(0, 3).Draw(t, "c")), byte(rapid.IntRange(0, 255).Draw(t, "d"))})
		})
		prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
			return netip.PrefixFrom(addr.Draw(t, "base"), rapid.IntRange(8, 32).Draw(t, "bits")).Masked()
		})
		addrs := rapid.SliceOfN(addr, 0, 20).Draw(t, "addrs")
		slices.SortFunc(addrs, netip.Addr.Compare)
		hidden := &network{cidrs: rapid.SliceOfN(prefix, 0, 3).Draw(t, "hidden")}
		p := prefix.Draw(t, "range")
		want := slices.ContainsFunc(addrs, func(a netip.Addr) bool { return p.Contains(a) && !hidden.owns(a) })
		if got := anyIn(addrs, p, hidden); got != want {
			t.Fatalf("anyIn(%v, %v, %v) is %v", addrs, p, hidden.cidrs, got)
		}
		if got, want := anyIn(addrs, p, nil), slices.ContainsFunc(addrs, p.Contains); got != want {
			t.Fatalf("anyIn(%v, %v) is %v", addrs, p, got)
		}
	})
}

// thousand is a lab of a thousand instances, half of them with public names.
func thousand() *lab {
	l := newLab()
	l.PublicPools = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}
	l.vpc("vpc-book", "10.0.0.0/16")
	for i := range 1000 {
		public := ""
		if i%2 == 0 {
			public = fmt.Sprintf("198.18.%d.%d", i/250, i%250+1)
		}
		l.instance("vpc-book", vpc.InstanceID(fmt.Sprintf("i-%d", i)), fmt.Sprintf("10.0.%d.%d", i/250, i%250+4), public)
	}
	return l
}

// The first question after a change pays for it.
func BenchmarkNamesAfterChange(b *testing.B) {
	l := thousand()
	for b.Loop() {
		NamesOf(l.Model)
	}
}

func BenchmarkAnswer(b *testing.B) {
	n := NamesOf(thousand().Model)
	m := message(b, "ip-10-0-2-100"+region, tA)
	for b.Loop() {
		q, _ := parse(m)
		q.answer(n.from("vpc-book"))
		q.pack(q.size)
	}
}
