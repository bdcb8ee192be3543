package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/hostlink"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// linker is the daemon's side of package hostlink for one lab. Tests put one in memory in its
// place.
type linker interface {
	Check(hostlink.Wish) error
	Apply(hostlink.Wish) (device string, err error)
	Attach(device string) (*os.File, error)
	Refused(hostlink.Wish) ([]netip.Prefix, error)
	Watch(ctx context.Context, changed func()) error
	Obstacles(device string) ([]string, error)
	SetHosts([]hostlink.Host) error
}

// realLink is the link of this machine.
type realLink struct {
	lab   hostlink.Lab
	hosts string // the file of names
}

func linkOf(cfg Config) realLink {
	return realLink{hostlink.Lab{Name: cfg.Lab, RunDir: cfg.RunDir}, cmp.Or(cfg.HostsFile, hostlink.DefaultHosts)}
}

func (l realLink) Check(w hostlink.Wish) error             { return hostlink.Check(l.lab, w) }
func (l realLink) Apply(w hostlink.Wish) (string, error)   { return hostlink.Apply(l.lab, w) }
func (l realLink) Attach(device string) (*os.File, error)  { return hostlink.Attach(device) }
func (l realLink) Watch(c context.Context, f func()) error { return hostlink.Watch(c, f) }
func (l realLink) Obstacles(d string) ([]string, error)    { return hostlink.Obstacles(d) }
func (l realLink) SetHosts(list []hostlink.Host) error {
	return hostlink.SetHosts(l.hosts, l.lab, list)
}
func (l realLink) Refused(w hostlink.Wish) ([]netip.Prefix, error) {
	return hostlink.Refused(l.lab, w)
}

// remove takes everything of the link off the machine.
func (l realLink) remove() error {
	return errors.Join(hostlink.Remove(l.lab), hostlink.RemoveHosts(l.hosts, l.lab))
}

// outside keeps the lab's link to the machine's own network as the model wants it. It has one
// worker, keepOutside; what others read is guarded by mu.
type outside struct {
	link linker
	wake chan struct{} // holds one: the model or the machine's network may have changed

	mu      sync.Mutex
	done    linkWish // what the worker has brought about, or failed to
	tried   bool     // done says anything
	err     error    // why it failed
	device  string
	port    *queuePort
	gone    bool // the port's device has gone
	open    bool // refused is known, and packets may go out by the port
	refused []netip.Prefix
	stale   bool          // no snapshot says yet what port and refused say
	changed chan struct{} // closed and replaced when a try has ended
}

// linkWish is all that a model wants of the machine's network.
type linkWish struct {
	hostlink.Wish
	hosts []hostlink.Host
}

func (w linkWish) same(o linkWish) bool { return reflect.DeepEqual(w, o) }

func newOutside(l linker) outside {
	return outside{link: l, wake: make(chan struct{}, 1), changed: make(chan struct{})}
}

// linkWishOf reads a model.
func linkWishOf(m *vpc.Model) linkWish {
	o := &m.Outside
	w := linkWish{Wish: hostlink.Wish{Pools: m.PublicPools, Address: o.Address, Join: o.Join, Uplink: o.Uplink == vpc.UplinkHost, Allow: o.UplinkAllow}}
	if o.Join && o.Hosts {
		w.hosts = hostNames(m)
	}
	return w
}

// hostNames are the names by which this machine is to know what of the lab has a public
// address: NAME.LAB, the name alone, and the public DNS name.
func hostNames(m *vpc.Model) (list []hostlink.Host) {
	own, _ := os.Hostname() // "" where it cannot be told
	own, _, _ = strings.Cut(own, ".")
	add := func(name string, a netip.Addr, more ...string) {
		if a.IsValid() && isHostName(name) {
			names := slices.DeleteFunc(append([]string{name + "." + m.Lab}, more...), func(s string) bool { return s == "" })
			h := hostlink.Host{Addr: a, Names: names}
			// A name with a dot may be somebody's in the world, and this machine has one itself.
			if !strings.Contains(name, ".") && !strings.EqualFold(name, own) {
				h.Bare = name
			}
			list = append(list, h)
		}
	}
	interfaces := interfacesOf(m)
	for id, i := range m.Instances.All() {
		if i.State == vpc.StateTerminated || i.State == vpc.StateShuttingDown {
			continue
		}
		if list := interfaces[id]; len(list) > 0 {
			a := m.PublicAddressOf(list[0], list[0].PrivateIps[0])
			add(i.Name(), a, m.PublicDnsName(i.VpcID, a))
		}
	}
	for _, h := range m.InternetHosts.All() {
		if inPools := slices.ContainsFunc(m.PublicPools, func(p netip.Prefix) bool { return p.Contains(h.PublicIp) }); inPools {
			add(h.HostName, h.PublicIp)
		}
	}
	slices.SortStableFunc(list, func(a, b hostlink.Host) int { return strings.Compare(a.Names[0], b.Names[0]) })
	return list
}

// isHostName tells whether a name can stand in a file of names (RFC 1123, section 2.1).
func isHostName(s string) bool {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
	}
	return s != "" && s[0] != '-' && s[0] != '.' && len(s) < 64 && !strings.ContainsFunc(s, odd) && s != "localhost"
}

// poke has the worker look whether there is something to do.
func (o *outside) poke() {
	select {
	case o.wake <- struct{}{}:
	default: // it will
	}
}

// lookEvery is how often the link is held against what it should be, with nobody telling of a
// change: somebody may have flushed all tables of nftables.
const lookEvery = 10 * time.Second

// keepOutside brings the machine's network to the model, and what depends on that network into
// the snapshot, as often as either changes.
func (d *Daemon) keepOutside() {
	o := &d.outside
	var watching sync.WaitGroup
	defer watching.Wait()
	watches := false
	for delay := retryFirst; ; {
		next := lookEvery
		if err := d.linkUp(); err != nil && d.ctx.Err() == nil {
			d.log.Error("this machine's network", "error", err)
			next, delay = delay, min(2*delay, retryLast)
		} else {
			delay = retryFirst
		}
		if !watches && d.Model().Outside.Linked() {
			watches = true
			watching.Go(d.watchOutside)
		}
		select {
		case <-o.wake:
		case <-time.After(next):
			o.forget()
		case <-d.ctx.Done():
			return
		}
	}
}

// watchOutside has the worker look when the machine's network has changed, as the uplink's
// rules depend on it.
func (d *Daemon) watchOutside() {
	for d.ctx.Err() == nil {
		err := d.outside.link.Watch(d.ctx, func() {
			d.outside.forget()
			d.outside.poke()
		})
		if err == nil {
			return
		}
		d.log.Warn("this machine's network", "error", err)
		select {
		case <-time.After(retryLast):
		case <-d.ctx.Done():
		}
	}
}

// forget makes the worker do everything anew, which changes only what is not as it should be.
func (o *outside) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done.Linked() {
		o.tried = false
	}
}

// linkUp does what there is to do.
func (d *Daemon) linkUp() error {
	o := &d.outside
	want := linkWishOf(d.Model())
	o.mu.Lock()
	idle := o.tried && o.err == nil && o.done.same(want) && !o.lost()
	o.mu.Unlock()
	if idle {
		return nil
	}
	err := d.link(want)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done, o.tried, o.err = want, true, err
	close(o.changed)
	o.changed = make(chan struct{})
	return err
}

// lost tells whether the port is of no use any more: its device has gone. o.mu is held.
func (o *outside) lost() bool { return o.port != nil && (o.gone || o.port.closed.Load()) }

// down is told by the engine of a port that cannot be read any more.
func (o *outside) down(p dataplane.Port) {
	o.mu.Lock()
	mine := o.port != nil && p == dataplane.Port(o.port)
	o.gone = o.gone || mine
	o.mu.Unlock()
	if mine {
		o.poke()
	}
}

// link makes the link what want says, and then the snapshot, as far as it depends on the link.
func (d *Daemon) link(want linkWish) error {
	o := &d.outside
	device, err := o.link.Apply(want.Wish)
	if err != nil {
		return err
	}
	if err := d.attachDevice(device); err != nil {
		return err
	}
	if device != "" {
		refused, err := o.link.Refused(want.Wish)
		if err != nil {
			return err
		}
		o.mu.Lock()
		o.stale = o.stale || !slices.Equal(refused, o.refused)
		o.refused, o.open = refused, true
		stale := o.stale // kept until it is published: a try may fail before
		o.mu.Unlock()
		if stale {
			if err := d.republish(d.ctx); err != nil {
				return err
			}
			o.mu.Lock()
			o.stale = false
			o.mu.Unlock()
		}
	}
	return o.link.SetHosts(want.hosts)
}

// attachDevice opens the device's queue where that has not been done, and closes the port of one
// that has gone.
func (d *Daemon) attachDevice(device string) error {
	o := &d.outside
	o.mu.Lock()
	have := o.port
	if have != nil && device == o.device && !o.lost() {
		o.mu.Unlock()
		return nil
	}
	o.port, o.device, o.open, o.gone = nil, device, false, false
	o.mu.Unlock()
	if have != nil {
		err := d.republish(d.ctx)
		_ = have.Close() // also where a snapshot still names it: nobody else would; the engine may have done so
		if err != nil {
			return err
		}
	}
	if device == "" {
		return nil
	}
	q, err := o.link.Attach(device)
	if err != nil {
		return err
	}
	port, err := newPort(q, device)
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.port, o.stale = port, true
	o.mu.Unlock()
	return nil
}

// end is the port as a snapshot may name it, and what must not leave by it; nil while there is
// none, or that is not known.
func (o *outside) end() (*queuePort, []netip.Prefix) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.open || o.port == nil || o.lost() {
		return nil, nil
	}
	return o.port, o.refused
}

// linkReady waits until the worker has tried what the model wants, and tells how it went.
func (d *Daemon) linkReady(ctx context.Context) error {
	o := &d.outside
	for {
		m := d.Model()
		o.mu.Lock()
		changed, tried, err := o.changed, o.tried && o.done.same(linkWishOf(m)), o.err
		o.mu.Unlock()
		if tried {
			return err
		}
		o.poke()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("link to this machine's network: %w", context.Cause(ctx))
		case <-d.ctx.Done():
			return errStopping
		}
	}
}

// check tells why the machine's network cannot be what m wants, where that is something new.
func (o *outside) check(before, m *vpc.Model) error {
	was, want := linkWishOf(before).Wish, linkWishOf(m).Wish
	if before.Lab != "" && reflect.DeepEqual(was, want) {
		return nil
	}
	return o.link.Check(want)
}

// of is what a lab tells of its link, nil where it has none.
func (o *outside) of(m *vpc.Model) *control.Outside {
	if !m.Outside.Linked() {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	out := &control.Outside{Device: o.device, Address: m.Outside.Address, Join: m.Outside.Join, Hosts: m.Outside.Hosts, Uplink: m.Outside.Uplink}
	if o.err != nil {
		out.Problem = o.err.Error()
	}
	return out
}

// obstacles are what else on this machine may keep the uplink from working.
func (o *outside) obstacles(m *vpc.Model) []string {
	o.mu.Lock()
	device := o.device
	o.mu.Unlock()
	if m.Outside.Uplink == "" || device == "" {
		return nil
	}
	notes, err := o.link.Obstacles(device)
	if err != nil {
		return []string{"uplink: " + err.Error()}
	}
	return notes
}

// strangers are public addresses that no pool has any more, in a lab that this machine is to
// reach: no route leads to them.
func strangers(m *vpc.Model) (notes []string) {
	if !m.Outside.Linked() {
		return nil
	}
	for id, n := range m.NetworkInterfaces.All() {
		for _, p := range n.PrivateIps {
			a := m.PublicAddressOf(n, p)
			if a.IsValid() && !slices.ContainsFunc(m.PublicPools, func(p netip.Prefix) bool { return p.Contains(a) }) {
				notes = append(notes, fmt.Sprintf("%s: its public address %s is in none of the public pools, and this machine has no route to it: "+
					"an instance that is stopped and started gets another, an Elastic IP has to be released", cmp.Or(interfaceName(m, n), string(id)), a))
			}
		}
	}
	return notes
}

// close closes the port; the device stays.
func (o *outside) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.port != nil {
		_ = o.port.Close()
	}
	o.port, o.open, o.tried = nil, false, false
}
