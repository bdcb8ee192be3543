package hostlink

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestCollisions(t *testing.T) {
	book, other := Lab{"book", "/run/vpcemu/book"}, Lab{"other", "/run/vpcemu/other"}
	pools := prefixes("203.0.113.0/24", "198.51.100.0/24")
	linked, loose := Wish{Pools: pools, Join: true}, Wish{Pools: pools}
	to := func(p, device string) survey {
		return survey{routes: []route{{to: netip.MustParsePrefix(p), device: device, gateway: true}}}
	}
	ofLab := func(lab Lab) survey {
		s := to("203.0.113.0/24", "vpcemu0")
		s.devices = []device{{"vpcemu0", lab}}
		s.addresses = []address{{netip.MustParsePrefix("203.0.113.254/32"), "vpcemu0"}}
		return s
	}
	has := func(p string) survey {
		return survey{addresses: []address{{netip.MustParsePrefix(p), "eth0"}}}
	}
	for _, c := range []struct {
		name   string
		survey survey
		wish   Wish
		want   []string // in the error; none for none
	}{
		{"nothing", survey{}, linked, nil},
		{"default route", to("0.0.0.0/0", "eth0"), linked, nil},
		{"half of everything, as VPN programs set it", to("128.0.0.0/1", "tun0"), linked, nil},
		{"elsewhere", to("203.0.112.0/24", "eth0"), linked, nil},
		{"the same", to("203.0.113.0/24", "eth0"), linked, []string{"203.0.113.0/24", "eth0", "public_pools"}},
		{"wider", to("203.0.0.0/16", "eth0"), linked, []string{"pool 203.0.113.0/24", "route to 203.0.0.0/16", "eth0"}},
		{"narrower", to("198.51.100.7/32", "eth0"), linked, []string{"pool 198.51.100.0/24", "198.51.100.7/32"}},
		{"not linked either", to("203.0.113.0/24", "eth0"), loose, []string{"203.0.113.0/24", "eth0", "public_pools"}},
		{"unreachable", to("203.0.113.0/24", ""), linked, []string{"leads nowhere"}},
		{"own device", ofLab(book), linked, nil},
		{"another lab's", ofLab(other), linked, []string{"lab other", "vpcemu0", "public_pools"}},
		{"another lab's, and this one not linked", ofLab(other), loose, nil},
		{"own address", has("203.0.113.9/32"), linked, []string{"address 203.0.113.9", "eth0"}},
		{"address beside", has("203.0.112.9/24"), linked, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.survey.collision(book, c.wish)
			if (err != nil) != (c.want != nil) {
				t.Fatalf("error %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("no %q in %q", w, err)
				}
			}
		})
	}
}

func TestRefusedAreThisMachinesNetworksAndAllLabs(t *testing.T) {
	book, other := Lab{"book", "/run/vpcemu/book"}, Lab{"other", "/run/vpcemu/other"}
	s := survey{
		devices:   []device{{"vpcemu0", book}, {"vpcemu1", other}},
		addresses: []address{{netip.MustParsePrefix("9.9.9.9/24"), "eth0"}, {netip.MustParsePrefix("8.8.8.8/32"), "lo"}},
		routes: []route{
			{netip.MustParsePrefix("0.0.0.0/0"), "eth0", true}, {netip.MustParsePrefix("0.0.0.0/1"), "ppp0", false},
			{netip.MustParsePrefix("7.0.0.0/8"), "eth1", true}, {netip.MustParsePrefix("6.6.0.0/16"), "eth1", false},
			{netip.MustParsePrefix("192.0.2.0/24"), "vpcemu1", false}, {netip.MustParsePrefix("203.0.113.0/24"), "vpcemu0", false},
			{netip.MustParsePrefix("5.5.5.0/24"), "", false},
		},
	}
	got := s.refused(book, Wish{Pools: prefixes("203.0.113.0/24"), Uplink: true})
	for _, a := range []string{"9.9.9.1", "9.9.9.9", "8.8.8.8", "6.6.1.1", "192.0.2.1", "203.0.113.77", "5.5.5.5",
		"10.1.2.3", "172.31.255.255", "192.168.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255", "0.1.2.3"} {
		if !slices.ContainsFunc(got, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(a)) }) {
			t.Errorf("%s is not refused: %v", a, got)
		}
	}
	for _, a := range []string{"1.1.1.1", "9.9.8.9", "8.8.8.9", "7.7.7.7", "172.32.0.1", "192.169.0.1", "100.128.0.1"} {
		if slices.ContainsFunc(got, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(a)) }) {
			t.Errorf("%s is refused: %v", a, got)
		}
	}
	for i, p := range got[1:] {
		if got[i].Overlaps(p) || got[i].Addr().Compare(p.Addr()) >= 0 {
			t.Errorf("%v: %s and %s", got, got[i], p)
		}
	}
}
