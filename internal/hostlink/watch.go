package hostlink

import (
	"context"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
)

// settleFor is how long a change of the machine's network may go on before it is looked at: an
// interface that comes up brings several messages.
const settleFor = 100 * time.Millisecond

// Watch calls changed after addresses or routes of this machine have changed, until ctx ends.
// An error says why it cannot, or no longer.
func Watch(ctx context.Context, changed func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	addrs, routes := make(chan netlink.AddrUpdate), make(chan netlink.RouteUpdate)
	if err := netlink.AddrSubscribe(addrs, ctx.Done()); err != nil {
		return fmt.Errorf("addresses of this machine: %w", err)
	}
	defer func() { go drain(addrs) }()
	if err := netlink.RouteSubscribe(routes, ctx.Done()); err != nil {
		return fmt.Errorf("routes of this machine: %w", err)
	}
	defer func() { go drain(routes) }()
	var due <-chan time.Time
	for {
		open := true
		select {
		case <-ctx.Done():
			return nil
		case _, open = <-addrs:
		case _, open = <-routes:
		case <-due:
			due = nil
			changed()
			continue
		}
		if !open {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("changes of this machine's network cannot be followed any more")
		}
		if due == nil {
			due = time.After(settleFor)
		}
	}
}

// drain lets the reader of a socket that is being closed come to its end.
func drain[T any](c <-chan T) {
	for range c {
	}
}
