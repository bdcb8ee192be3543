package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"

	"github.com/vpcemu/vpcemu/internal/bench/forward"
	"github.com/vpcemu/vpcemu/internal/bench/ruleset"
)

// bringForwarder makes two namespaces with a TUN device each, and a process of its own that does nothing but forward between them.
// Addresses and MTU are those of the instances a and b.
func (b *bench) bringForwarder(name string, t topologyFile) (_ *contestant, err error) {
	m, err := t.model()
	if err != nil {
		return nil, err
	}
	links, err := ruleset.Links(m)
	if err != nil {
		return nil, err
	}
	c := &contestant{name: name, spaces: map[string]*space{}, addrs: map[string]netip.Addr{}}
	var queues []*os.File
	closeAll := func() {
		for _, q := range queues {
			q.Close()
		}
		for _, s := range c.spaces {
			s.close()
		}
	}
	for _, l := range links {
		if l.Name != inVPC.client && l.Name != inVPC.server {
			continue
		}
		s, err := newSpace(l.Name)
		if err != nil {
			closeAll()
			return nil, err
		}
		c.spaces[l.Name], c.addrs[l.Name] = s, l.Addr.Addr()
		q, err := makeTun(s, l, name == bareName)
		if err != nil {
			closeAll()
			return nil, err
		}
		queues = append(queues, q)
	}
	cmd := exec.Command(b.self, "forward", name)
	cmd.ExtraFiles, cmd.Env = queues, append(os.Environ(), benchFolder+"="+b.dir)
	life, err := cmd.StdinPipe()
	if err == nil {
		cmd.Stderr = os.Stderr
		err = cmd.Start()
	}
	if err != nil {
		closeAll()
		return nil, fmt.Errorf("forwarder: %w", err)
	}
	c.pid = cmd.Process.Pid
	c.down = func() error {
		life.Close()
		err := cmd.Wait()
		closeAll()
		return err
	}
	return c, nil
}

func makeTun(s *space, l ruleset.Link, super bool) (q *os.File, err error) {
	err = s.do(func() error {
		q, err = forward.Device("eth0", super)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.configure("eth0", l.MTU(), l.Addr, netip.Addr{}, true); err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return q, nil
}

// runForwarder is the process: its queues are the descriptors 3 and 4, and it ends with its standard input.
func runForwarder(name string) error {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if name == bareName {
		return forward.Bare(3, 4)
	}
	return forward.Naive(os.NewFile(3, "a"), os.NewFile(4, "b"))
}
