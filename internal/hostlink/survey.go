package hostlink

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// survey is what the machine's network has at one moment.
type survey struct {
	devices   []device
	routes    []route
	addresses []address
}

// device is one that a lab has labelled.
type device struct {
	name string
	lab  Lab
}

// route is one next hop of a route of this machine, in any table but the kernel's own.
type route struct {
	to      netip.Prefix
	device  string // "" for one that leads nowhere (unreachable, blackhole)
	gateway bool
}

// address is one that this machine has itself, with the prefix that it takes to be on the link.
type address struct {
	netip.Prefix
	device string
}

// look reads the machine's network.
func look() (*survey, error) {
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	defer nl.Close()
	links, err := nl.LinkList()
	if err != nil {
		return nil, fmt.Errorf("devices of this machine: %w", err)
	}
	s, names := &survey{}, map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
		if lab, ok := readLabel(l.Attrs().Alias); ok && l.Type() == "tuntap" {
			s.devices = append(s.devices, device{l.Attrs().Name, lab})
		}
	}
	addrs, err := nl.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("addresses of this machine: %w", err)
	}
	for _, a := range addrs {
		if p, ok := prefixOf(a.IPNet); ok {
			s.addresses = append(s.addresses, address{p, names[a.LinkIndex]})
		}
	}
	routes, err := nl.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("routes of this machine: %w", err)
	}
	for i := range routes {
		s.addRoute(&routes[i], names)
	}
	return s, nil
}

func (s *survey) addRoute(r *netlink.Route, names map[int]string) {
	if r.Table == unix.RT_TABLE_LOCAL || r.Type == unix.RTN_MULTICAST || r.Type == unix.RTN_BROADCAST {
		return
	}
	to, ok := netip.PrefixFrom(netip.IPv4Unspecified(), 0), true
	if r.Dst != nil {
		to, ok = prefixOf(r.Dst)
	}
	if !ok {
		return
	}
	if len(r.MultiPath) == 0 {
		s.routes = append(s.routes, route{to, names[r.LinkIndex], r.Gw != nil || r.Via != nil})
	}
	for _, hop := range r.MultiPath {
		s.routes = append(s.routes, route{to, names[hop.LinkIndex], hop.Gw != nil || hop.Via != nil})
	}
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones), ok && a.Unmap().Is4() && bits == 32
}

// labOf is the lab that a device belongs to.
func (s *survey) labOf(name string) (Lab, bool) {
	i := slices.IndexFunc(s.devices, func(d device) bool { return d.name == name })
	if i < 0 {
		return Lab{}, false
	}
	return s.devices[i].lab, true
}

// own tells whether the device is the lab's: a lab is known by its run directory.
func (s *survey) own(lab Lab, name string) bool {
	l, ok := s.labOf(name)
	return ok && l.RunDir == lab.RunDir
}
