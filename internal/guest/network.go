package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/dhcp/client"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// network is the instance's interfaces, with the queue and the DHCP client of each.
type network struct {
	// onNames is told what resolv.conf and the host name should say when a lease changed that. Called with mu
	// held, so that the last call is the last word.
	onNames func(client.Lease)
	logf    func(string, ...any)

	mu   sync.Mutex
	nics map[uint32]*nic
	// changed is closed and replaced when an address came or went.
	changed chan struct{}
}

// nic is one interface. Its lease is written by its DHCP client, under the network's mu.
type nic struct {
	wire.NIC
	queue   *os.File
	lease   client.Lease // zero while there is none
	problem string
	stop    context.CancelFunc
	stopped chan struct{} // closed when the DHCP client has ended
}

func newNetwork(logf func(string, ...any), onNames func(client.Lease)) *network {
	return &network{onNames: onNames, logf: logf, nics: make(map[uint32]*nic), changed: make(chan struct{})}
}

// Add makes the interface. /dev/net/tun must be there.
func (n *network) Add(c wire.NIC) (*os.File, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, other := range n.nics {
		if other.Handle == c.Handle || other.DeviceIndex == c.DeviceIndex {
			return nil, fmt.Errorf("device %s: handle %d: already attached", c.Name(), c.Handle)
		}
	}
	queue, err := makeDevice(c)
	if err != nil {
		return nil, err
	}
	n.nics[c.Handle] = &nic{NIC: c, queue: queue}
	return queue, nil
}

// Up brings an interface up and starts its DHCP client.
func (n *network) Up(handle uint32) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := n.nics[handle]
	if i == nil {
		return fmt.Errorf("interface with handle %d: not attached", handle)
	}
	if err := upDevice(i.NIC); err != nil {
		return err
	}
	if i.Static.IsValid() {
		n.note()
		return nil
	}
	var ctx context.Context
	ctx, i.stop = context.WithCancel(context.Background())
	i.stopped = make(chan struct{})
	go n.runDHCP(ctx, i)
	return nil
}

// Remove stops the interface and deletes it. Duplicates of its queue give errors from then on.
func (n *network) Remove(handle uint32) error {
	n.mu.Lock()
	i := n.nics[handle]
	n.mu.Unlock()
	if i == nil {
		return fmt.Errorf("interface with handle %d: not attached", handle)
	}
	if i.stop != nil {
		i.stop()
		<-i.stopped
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	err := errors.Join(removeRule(i.NIC, i.lease), deleteDevice(i.NIC), i.queue.Close())
	delete(n.nics, handle)
	n.note()
	return err
}

// runDHCP keeps the interface's lease until Remove. A client that fails is started anew.
func (n *network) runDHCP(ctx context.Context, i *nic) {
	defer close(i.stopped)
	opt := client.Options{
		OnLost: func(l client.Lease, why error) { n.lost(i, l, why) },
		Logf:   n.logf,
	}
	if mac, err := net.ParseMAC(i.MAC); err == nil {
		opt.HardwareAddr = mac // a TUN has none of its own
	}
	for ctx.Err() == nil {
		err := client.Run(ctx, i.Name(), opt, func(l client.Lease) { n.leased(i, l) })
		if ctx.Err() != nil {
			return
		}
		n.mu.Lock()
		i.problem = err.Error()
		n.mu.Unlock()
		n.logf("%s: %v", i.Name(), err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// leased sets an interface up as its lease says. It is called again with each renewal.
func (n *network) leased(i *nic, l client.Lease) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	if i.lease.Addr.IsValid() && i.lease.Prefix != l.Prefix {
		errs = append(errs, removeLease(i.NIC, i.lease))
	}
	if err := applyLease(i.NIC, l); err != nil {
		errs = append(errs, err)
	}
	i.lease, i.problem = l, ""
	if err := errors.Join(errs...); err != nil {
		i.problem = err.Error()
		n.logf("%s: lease of %s: %v", i.Name(), l.Addr, err)
	}
	n.note()
}

func (n *network) lost(i *nic, l client.Lease, why error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i.problem = why.Error()
	if err := removeLease(i.NIC, l); err != nil {
		n.logf("%s: lost lease of %s: %v", i.Name(), l.Addr, err)
	}
	i.lease = client.Lease{}
	n.note()
}

// note wakes those who wait for addresses, and passes on the names that the first interface learned. Called
// with mu held.
func (n *network) note() {
	close(n.changed)
	n.changed = make(chan struct{})
	for _, i := range n.sorted() {
		if i.lease.Addr.IsValid() {
			n.onNames(i.lease)
			return
		}
	}
}

// WaitAddresses returns when every interface has its address, or with ctx.
func (n *network) WaitAddresses(ctx context.Context) error {
	for {
		n.mu.Lock()
		var missing []string
		for _, i := range n.sorted() {
			if !i.Static.IsValid() && !i.lease.Addr.IsValid() {
				missing = append(missing, i.Name())
			}
		}
		changed := n.changed
		n.mu.Unlock()
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("no address on %v: %w", missing, context.Cause(ctx))
		}
	}
}

// sorted gives the interfaces by device index. Called with mu held.
func (n *network) sorted() []*nic {
	var all []*nic
	for _, i := range n.nics {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *nic) int { return a.DeviceIndex - b.DeviceIndex })
	return all
}

// Status describes the interfaces by device index.
func (n *network) Status() []wire.NICStatus {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []wire.NICStatus
	for _, i := range n.sorted() {
		s := wire.NICStatus{Handle: i.Handle, Name: i.Name(), Addr: i.Static, Problem: i.problem}
		if i.lease.Addr.IsValid() {
			s.Addr, s.Router, s.DNS, s.Expires = i.lease.Prefix, i.lease.Router, i.lease.DNS, i.lease.Expires
		}
		all = append(all, s)
	}
	return all
}

// Queues gives the handles and queues of all interfaces, in the same order, to use. The queues stay open
// until use returns.
func (n *network) Queues(use func(handles []uint32, queues []*os.File) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var handles []uint32
	var queues []*os.File
	for _, i := range n.sorted() {
		handles, queues = append(handles, i.Handle), append(queues, i.queue)
	}
	return use(handles, queues)
}

// applyLease gives the interface its address, for as long as the lease lasts, and the routes. Traffic from the
// address of a secondary interface leaves by that interface, through a table of its own: a VPC's
// source/destination check drops it elsewhere.
func applyLease(n wire.NIC, l client.Lease) error {
	link, err := netlink.LinkByName(n.Name())
	if err != nil {
		return err
	}
	if l.MTU >= 68 && l.MTU != link.Attrs().MTU {
		if err := netlink.LinkSetMTU(link, l.MTU); err != nil {
			return fmt.Errorf("mtu %d: %w", l.MTU, err)
		}
	}
	life := lifetime(time.Until(l.Expires))
	// The kernel's own route to the subnet would have metric 0, whichever interface came first.
	addr := &netlink.Addr{IPNet: ipNet(l.Prefix), Broadcast: broadcast(l.Prefix), ValidLft: life, PreferedLft: life, Flags: unix.IFA_F_NOPREFIXROUTE}
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("address %s: %w", l.Prefix, err)
	}
	for _, r := range leaseRoutes(n, l, link.Attrs().Index) {
		if err := netlink.RouteReplace(&r); err != nil {
			return fmt.Errorf("route %v: %w", r.Dst, err)
		}
	}
	if n.DeviceIndex == 0 {
		return nil
	}
	if err := netlink.RuleAdd(sourceRule(n, l)); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("rule from %s: %w", l.Addr, err)
	}
	return nil
}

// leaseRoutes are the subnet's and the default route, in the main table and in that of a secondary interface.
func leaseRoutes(n wire.NIC, l client.Lease, index int) []netlink.Route {
	tables := []int{unix.RT_TABLE_MAIN}
	if n.DeviceIndex > 0 {
		tables = append(tables, table(n))
	}
	var routes []netlink.Route
	for _, t := range tables {
		r := netlink.Route{LinkIndex: index, Table: t, Protocol: unix.RTPROT_DHCP, Priority: metric(n), Src: l.Addr.AsSlice()}
		subnet := r
		subnet.Dst, subnet.Scope = ipNet(l.Prefix.Masked()), netlink.SCOPE_LINK
		routes = append(routes, subnet)
		if l.Router.IsValid() {
			def := r
			def.Dst, def.Gw, def.Flags = &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, l.Router.AsSlice(), int(netlink.FLAG_ONLINK)
			routes = append(routes, def)
		}
	}
	return routes
}

func sourceRule(n wire.NIC, l client.Lease) *netlink.Rule {
	r := netlink.NewRule()
	r.Priority, r.Table, r.Src = table(n), table(n), ipNet(netip.PrefixFrom(l.Addr, l.Addr.BitLen()))
	return r
}

// removeLease takes address and rule away; the routes go with the address.
func removeLease(n wire.NIC, l client.Lease) error {
	if !l.Addr.IsValid() {
		return nil
	}
	link, err := netlink.LinkByName(n.Name())
	if err != nil {
		return err
	}
	if err = netlink.AddrDel(link, &netlink.Addr{IPNet: ipNet(l.Prefix)}); errors.Is(err, syscall.EADDRNOTAVAIL) {
		err = nil // its lifetime ended first
	}
	return errors.Join(err, removeRule(n, l))
}

func removeRule(n wire.NIC, l client.Lease) error {
	if n.DeviceIndex == 0 || !l.Addr.IsValid() {
		return nil
	}
	if err := netlink.RuleDel(sourceRule(n, l)); err != nil && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("rule from %s: %w", l.Addr, err)
	}
	return nil
}

// lifetime is in the kernel's unit, seconds; 0 would mean for ever and so does whatever is too long.
func lifetime(d time.Duration) int {
	seconds := int64(max(d, time.Second) / time.Second)
	if seconds >= 1<<31-1 {
		return 0
	}
	return int(seconds)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// broadcast is the last address of an IPv4 subnet.
func broadcast(p netip.Prefix) net.IP {
	ip := p.Masked().Addr().AsSlice()
	for i := range ip {
		ip[i] |= ^net.CIDRMask(p.Bits(), len(ip)*8)[i]
	}
	return ip
}
