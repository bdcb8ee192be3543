package hostlink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/tun"
)

// mtu of the device in bytes, as of every host on the lab's Internet (MT-03).
const mtu = 1500

// Attach opens the queue of the device that Apply named. A device keeps its addresses and
// routes while it has none, between one daemon and the next.
func Attach(device string) (*os.File, error) {
	q, err := tun.Attach(device)
	if err != nil {
		return nil, fmt.Errorf("link to this machine's network: %w", err)
	}
	return q, nil
}

// ensureDevice finds the lab's device, or makes it under the lowest free name: persistent, and
// down.
func (s *survey) ensureDevice(lab Lab) (string, error) {
	for _, d := range s.devices {
		if d.lab.RunDir == lab.RunDir {
			return d.name, nil
		}
	}
	text, err := lab.label()
	if err != nil {
		return "", err
	}
	name, err := freeName()
	if err != nil {
		return "", err
	}
	err = tun.MakeLabelled(name, func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return netlink.LinkSetAlias(link, text)
	})
	if err != nil {
		return "", err
	}
	return name, nil
}

func freeName() (string, error) {
	for n := 0; ; n++ {
		name := fmt.Sprint(prefix, n)
		_, err := netlink.LinkByName(name)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return name, nil
		}
		if err != nil {
			return "", fmt.Errorf("device %s: %w", name, err)
		}
	}
}

// removeDevices takes the lab's devices away with their addresses and routes.
func (s *survey) removeDevices(lab Lab) error {
	var errs []error
	for _, d := range s.devices {
		if d.lab.RunDir != lab.RunDir {
			continue
		}
		link, err := netlink.LinkByName(d.name)
		if err == nil {
			err = netlink.LinkDel(link)
		}
		if err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) {
			errs = append(errs, fmt.Errorf("device %s: remove: %w", d.name, err))
		}
	}
	return errors.Join(errs...)
}

// configure gives the device its settings, address and routes and brings it up.
func configure(name string, w Wish) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	if err := settings(name, w); err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	if err := setAddress(link, w.Address); err != nil {
		return fmt.Errorf("device %s: address %s: %w", name, w.Address, err)
	}
	if err := netlink.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("device %s: mtu %d: %w", name, mtu, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("device %s: up: %w", name, err)
	}
	return setRoutes(link, w)
}

func settings(name string, w Wish) error {
	forwarding := "0"
	if w.Uplink {
		forwarding = "1"
	}
	var errs []error
	for _, s := range [][2]string{
		{"ipv6/conf/%s/disable_ipv6", "1"}, // the lab's Internet has none
		// The greater of this and the value for all devices is in force: strict filtering would
		// drop what comes from a host outside the pools.
		{"ipv4/conf/%s/rp_filter", "2"},
		{"ipv4/conf/%s/accept_source_route", "0"}, // a way round the rules
		{"ipv4/conf/%s/accept_redirects", "0"},
		{"ipv4/conf/%s/send_redirects", "0"},
		{"ipv4/conf/%s/route_localnet", "0"},
		{"ipv4/conf/%s/forwarding", forwarding},
	} {
		errs = append(errs, sysctl(fmt.Sprintf(s[0], name), s[1]))
	}
	return errors.Join(errs...)
}

// setAddress makes a the only address of the device.
func setAddress(link netlink.Link, a netip.Addr) error {
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	want := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, a.BitLen()))}
	if !slices.ContainsFunc(have, func(h netlink.Addr) bool { return h.Equal(*want) }) {
		if err := netlink.AddrAdd(link, want); err != nil {
			return err
		}
	}
	for _, h := range have {
		if !h.Equal(*want) {
			if err := netlink.AddrDel(link, &h); err != nil {
				return fmt.Errorf("former address %s: %w", h.IPNet, err)
			}
		}
	}
	return nil
}

// setRoutes makes the routes to the pools the only ones of the device. They name its address as
// the source: a private one would not pass the Internet gateway (IG-04).
func setRoutes(link netlink.Link, w Wish) error {
	index := link.Attrs().Index
	have, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{LinkIndex: index}, netlink.RT_FILTER_OIF)
	if err != nil {
		return fmt.Errorf("device %s: routes: %w", link.Attrs().Name, err)
	}
	missing := slices.Clone(w.Pools)
	for _, r := range have {
		p, ok := prefixOf(r.Dst)
		if i := slices.Index(missing, p); ok && i >= 0 && r.Src.Equal(w.Address.AsSlice()) && r.Gw == nil {
			missing = slices.Delete(missing, i, i+1)
			continue
		}
		if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("device %s: former route to %s: %w", link.Attrs().Name, r.Dst, err)
		}
	}
	for _, pool := range missing {
		err := netlink.RouteAdd(&netlink.Route{LinkIndex: index, Dst: ipNet(pool), Src: w.Address.AsSlice(),
			Scope: netlink.SCOPE_LINK, Protocol: unix.RTPROT_STATIC})
		if err != nil {
			return fmt.Errorf("device %s: route to %s: %w", link.Attrs().Name, pool, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
