package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"

	"github.com/vpcemu/vpcemu/internal/bench/ruleset"
)

// bringKernel makes the router that people would build instead: a namespace with a veth to each instance and host, and an nftables
// ruleset that says what the topology says. Offloads are on, as a veth has them.
func (b *bench) bringKernel(t topologyFile) (_ *contestant, err error) {
	m, err := t.model()
	if err != nil {
		return nil, err
	}
	links, err := ruleset.Links(m)
	if err != nil {
		return nil, err
	}
	rules, err := ruleset.Of(m)
	if err != nil {
		return nil, err
	}
	router, err := newSpace("router")
	if err != nil {
		return nil, err
	}
	c := &contestant{name: kernelName, spaces: map[string]*space{}, addrs: map[string]netip.Addr{}}
	c.down = func() error {
		router.close() // the rules and devices go with the namespaces
		for _, s := range c.spaces {
			s.close()
		}
		return nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.down())
		}
	}()
	for _, l := range links {
		s, err := newSpace(l.Name)
		if err != nil {
			return nil, err
		}
		c.spaces[l.Name], c.addrs[l.Name] = s, l.Addr.Addr()
		if err := connect(router, s, l); err != nil {
			return nil, err
		}
	}
	if err := router.sysctl("net/ipv4/ip_forward", "1"); err != nil {
		return nil, err
	}
	if _, err := output(feed(exec.Command("nft", "-f", "-"), rules), router.start); err != nil {
		return nil, fmt.Errorf("ruleset: %w", err)
	}
	return c, nil
}

// connect makes one wire of the router.
func connect(router, s *space, l ruleset.Link) error {
	if err := wire(s, "eth0", router, l.Name); err != nil {
		return err
	}
	if err := router.configure(l.Name, l.MTU(), netip.PrefixFrom(l.Router, l.Addr.Bits()), netip.Addr{}, false); err != nil {
		return err
	}
	return s.configure("eth0", l.MTU(), l.Addr, l.Router, true)
}
