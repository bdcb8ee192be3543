package hostlink

import (
	"fmt"
	"net/netip"
	"slices"
)

// broad: routes with fewer bits say where everything else is, and no network in particular: the
// default route, and the halves of it that VPN programs set.
const broad = 8

// collision tells why the lab's pools cannot be had on this machine.
func (s *survey) collision(lab Lab, w Wish) error {
	for _, pool := range w.Pools {
		for _, r := range s.routes {
			if !r.to.Overlaps(pool) || r.to.Bits() < broad || s.own(lab, r.device) {
				continue
			}
			if other, ok := s.labOf(r.device); ok {
				if !w.Linked() {
					continue // the other lab is reached by that name, and this one by none
				}
				return fmt.Errorf("public pool %s: lab %s has it on this machine already (device %s): take that lab's join and uplink away, or %s", pool, other.Name, r.device, choose)
			}
			if r.device == "" {
				return fmt.Errorf("public pool %s: this machine has a route to %s itself, which leads nowhere: %s", pool, r.to.Masked(), choose)
			}
			return fmt.Errorf("public pool %s: this machine has a route to %s itself (device %s): %s", pool, r.to.Masked(), r.device, choose)
		}
		for _, a := range s.addresses {
			if pool.Contains(a.Addr()) && !s.labelled(a.device) {
				return fmt.Errorf("public pool %s: this machine has the address %s itself (device %s): %s", pool, a.Addr(), a.device, choose)
			}
		}
	}
	return nil
}

const choose = "choose another range with internet: {public_pools: […]} in the topology file"

func (s *survey) labelled(name string) bool {
	_, ok := s.labOf(name)
	return ok
}

// private are ranges that are never "the Internet": this network, private, shared, loopback,
// link-local, multicast, reserved and broadcast (RFC 6890), and the IETF's and benchmarks'
// (192.0.0.0/24, 198.18.0.0/15).
var private = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("224.0.0.0/3"),
}

// refused are the destinations that are not the Internet's, ordered and each once: private
// ranges, this machine's own addresses, networks that it is on, and all labs' pools.
func (s *survey) refused(lab Lab, w Wish) []netip.Prefix {
	list := slices.Concat(private, w.Pools)
	for _, a := range s.addresses {
		list = append(list, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
		if a.Bits() >= broad {
			list = append(list, a.Prefix)
		}
	}
	for _, r := range s.routes {
		if !r.gateway && r.to.Bits() >= broad && !s.own(lab, r.device) {
			list = append(list, r.to)
		}
	}
	return reduce(list)
}

// reduce orders prefixes and leaves out those that lie in another one.
func reduce(list []netip.Prefix) []netip.Prefix {
	list = slices.Clone(list)
	for i := range list {
		list[i] = list[i].Masked()
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var out []netip.Prefix
	for _, p := range list {
		if n := len(out); n == 0 || !out[n-1].Overlaps(p) {
			out = append(out, p)
		}
	}
	return out
}
