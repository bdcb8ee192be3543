// Package endpoint finds what a person means by a word: one end of a packet's way, or a
// set of network interfaces. Traces, checks, captures and flow logs share it, so that a
// name means the same everywhere.
package endpoint

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Kinds of ends.
const (
	KindInstance  = "instance"
	KindInterface = "interface"
	KindHost      = "internet host"
	KindGateway   = "nat gateway"
	KindAddress   = "address"  // that nothing in the lab has
	KindInternet  = "internet" // no particular host
)

// Anywhere is the address that stands for any host on the Internet: one of the range
// that RFC 5737 keeps for documentation and no lab draws from by default.
var Anywhere = netip.MustParseAddr("192.0.2.1")

// End is one end of a way, as a person names it.
type End struct {
	Name string // as it is shown: web, eni-0ab…, 198.51.100.7, internet
	ID   string // of the instance, interface, host or gateway; "" for an address
	Kind string
	// Interface is an instance's primary one, the one named or the one that has the
	// address; a NAT gateway's own. Nil for a host and for an address that nothing has.
	Interface *vpc.NetworkInterface
	Host      *vpc.InternetHost
	// Private and Public are the addresses that it has, invalid for none. Of an address
	// that was asked for they are the pair that it belongs to.
	Private, Public netip.Addr
	Asked           netip.Addr // the address that was named, if one was
}

// Handle is the number on the packet path of the interface or host, 0 for neither.
func (e End) Handle() uint32 {
	switch {
	case e.Interface != nil:
		return e.Interface.Handle
	case e.Host != nil:
		return e.Host.Handle
	}
	return 0
}

// FindFor finds the end that text names to somebody who sends there: Find, but a private
// address means whoever has it in the sender's own VPC, whose router takes it there. Where
// that is nobody, one other that has it is found, and of several none.
func FindFor(m *vpc.Model, from End, text string) (End, error) {
	a, err := netip.ParseAddr(text)
	if err != nil || from.Interface == nil {
		return Find(m, text)
	}
	near, err := addressIn(m, a.Unmap(), from.Interface.VpcID)
	if err != nil || near.Kind != KindAddress {
		return near, err
	}
	if far, err := Find(m, text); err == nil {
		return far, nil
	}
	return near, nil
}

// Find finds the end that text names: an instance, interface, NAT gateway or Internet
// host by name or ID, an address, or "internet". An error lists what there is; one about
// a name or address that several have lists their IDs.
func Find(m *vpc.Model, text string) (End, error) {
	if strings.EqualFold(text, KindInternet) {
		return End{Name: KindInternet, Kind: KindInternet, Public: Anywhere}, nil
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return addressIn(m, a.Unmap(), "")
	}
	var found []End
	for _, e := range all(m) {
		if e.ID == text {
			return e, nil
		}
		if e.Name == text {
			found = append(found, e)
		}
	}
	// An instance's name is also that of the interface made with it: the instance is meant.
	if slices.ContainsFunc(found, isMachine) {
		found = slices.DeleteFunc(found, func(e End) bool { return !isMachine(e) })
	}
	switch len(found) {
	case 0:
		if what := noEnd(m, text); what != "" {
			return End{}, fmt.Errorf("%s: %s itself sends and gets no packets; there are: %s", quoted(text), what, known(m))
		}
		return End{}, fmt.Errorf("%s: nothing in the lab has this name or ID; there are: %s", quoted(text), known(m))
	case 1:
		return found[0], nil
	}
	return End{}, severalOf(text, "are named so", found)
}

// noEnd is what the text names that is no end of any way, "" for nothing.
func noEnd(m *vpc.Model, text string) string {
	for _, of := range []struct {
		what string
		find func(*vpc.Model, string) (Set, int)
	}{{"an Internet gateway", gateways}, {"a subnet", subnets}, {"a VPC", vpcs}, {"a security group", groups}} {
		if _, n := of.find(m, text); n > 0 {
			return of.what
		}
	}
	return ""
}

// quoted is text as an error shows it: in quotes where it would not be seen, or would play
// on the terminal.
func quoted(text string) string {
	odd := func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }
	if text == "" || strings.ContainsFunc(text, odd) {
		return strconv.Quote(text)
	}
	return text
}

func isMachine(e End) bool { return e.Kind == KindInstance || e.Kind == KindHost }

func severalOf(text, what string, found []End) error {
	ids := make([]string, len(found))
	for i, e := range found {
		ids[i] = e.ID
	}
	return fmt.Errorf("%s: several objects %s: say which by its ID: %s", text, what, strings.Join(ids, ", "))
}

// known are the names that Find takes, at most twenty.
func known(m *vpc.Model) string {
	var names []string
	for _, e := range all(m) {
		if isMachine(e) || e.Kind == KindGateway {
			names = append(names, e.Name)
		}
	}
	slices.Sort(names)
	names = append(slices.Compact(names), KindInternet)
	if len(names) > 20 {
		names = append(names[:20], "…")
	}
	return strings.Join(names, ", ")
}

// all are the ends that have a name or ID, instances first, ordered by ID in each kind.
func all(m *vpc.Model) (ends []End) {
	primary := map[vpc.InstanceID]*vpc.NetworkInterface{}
	for _, n := range m.NetworkInterfaces.All() {
		if a := n.Attachment; a != nil && a.InstanceID != "" && a.DeviceIndex == 0 {
			primary[a.InstanceID] = n
		}
	}
	for id, i := range m.Instances.All() {
		if i.State == vpc.StateTerminated || !i.Deleted.IsZero() {
			continue
		}
		ends = append(ends, ofInterface(m, primary[id], End{Name: cmp.Or(i.Name(), string(id)), ID: string(id), Kind: KindInstance}))
	}
	for id, h := range m.Hosts() {
		if h.State != vpc.StateTerminated && h.Deleted.IsZero() {
			ends = append(ends, ofHost(h, string(id)))
		}
	}
	for id, g := range m.NatGateways.All() {
		if g.Deleted.IsZero() && g.State != "failed" {
			n := m.NetworkInterfaces.Get(g.NetworkInterfaceID)
			ends = append(ends, ofInterface(m, n, End{Name: cmp.Or(g.Name(), string(id)), ID: string(id), Kind: KindGateway}))
		}
	}
	for id, n := range m.NetworkInterfaces.All() {
		if n.Deleted.IsZero() {
			ends = append(ends, ofInterface(m, n, End{Name: cmp.Or(n.Name(), string(id)), ID: string(id), Kind: KindInterface}))
		}
	}
	return ends
}

func ofHost(h *vpc.InternetHost, id string) End {
	return End{Name: cmp.Or(h.HostName, id), ID: id, Kind: KindHost, Host: h, Public: h.PublicIp}
}

// ofInterface adds an interface, which may be nil, and its primary addresses.
func ofInterface(m *vpc.Model, n *vpc.NetworkInterface, e End) End {
	e.Interface = n
	if n != nil && len(n.PrivateIps) > 0 {
		e.Private, e.Public = n.PrivateIps[0].PrivateIp, m.PublicAddressOf(n, n.PrivateIps[0])
	}
	return e
}

// addressIn finds who has a public address, or a private one in the VPC; "" is any. One that
// nothing has is an end all the same: packets can be sent to it.
func addressIn(m *vpc.Model, a netip.Addr, in vpc.VpcID) (End, error) {
	var found []End
	for _, h := range m.Hosts() {
		if h.PublicIp == a && h.State != vpc.StateTerminated {
			e := ofHost(h, string(h.ID))
			e.Asked = a
			found = append(found, e)
		}
	}
	for id, n := range m.NetworkInterfaces.All() {
		if !n.Deleted.IsZero() {
			continue
		}
		for _, p := range n.PrivateIps {
			public := m.PublicAddressOf(n, p)
			if p.PrivateIp == a && (in == "" || n.VpcID == in) || public == a {
				e := End{Name: nameOf(m, n), ID: string(id), Kind: KindInterface, Interface: n,
					Private: p.PrivateIp, Public: public, Asked: a}
				found = append(found, e)
			}
		}
	}
	switch len(found) {
	case 0:
		e := End{Name: a.String(), Kind: KindAddress, Asked: a}
		if a.IsPrivate() {
			e.Private = a
		} else {
			e.Public = a
		}
		return e, nil
	case 1:
		return found[0], nil
	}
	return End{}, severalOf(a.String(), "have this address", found)
}

// nameOf is the name of the interface, or of whom it belongs to.
func nameOf(m *vpc.Model, n *vpc.NetworkInterface) string {
	if a := n.Attachment; a != nil && a.InstanceID != "" {
		if i := m.Instances.Get(a.InstanceID); i != nil && i.Name() != "" {
			if a.DeviceIndex == 0 {
				return i.Name()
			}
			return cmp.Or(n.Name(), fmt.Sprintf("%s eth%d", i.Name(), a.DeviceIndex))
		}
	}
	for _, g := range m.NatGateways.All() {
		if g.NetworkInterfaceID == n.ID {
			return cmp.Or(g.Name(), string(g.ID))
		}
	}
	return cmp.Or(n.Name(), string(n.ID))
}

// Address is the address to which a packet from one end to the other is sent: the one
// that was named; within a VPC the private one; else the public one. An error says why
// there is none; it is ErrAmbiguous where the only one means somebody else to the sender.
func Address(m *vpc.Model, from, to End) (netip.Addr, error) {
	switch {
	case to.Asked.IsValid():
		return to.Asked, nil
	case from.Interface != nil && to.Interface != nil && from.Interface.VpcID == to.Interface.VpcID && to.Private.IsValid():
		return to.Private, nil
	case to.Public.IsValid():
		return to.Public, nil
	case to.Private.IsValid():
		// Nobody outside the VPC can reach it, and that is what a packet there shows.
		if other := holder(m, from, to); other != "" {
			return netip.Addr{}, fmt.Errorf("%s has no public address, and its private one, %s, %w: %s", to.Name, to.Private, ErrAmbiguous, other)
		}
		return to.Private, nil
	}
	return netip.Addr{}, fmt.Errorf("%s %s has no address: an instance that was never started, or has lost its interface, cannot be reached", to.Kind, to.Name)
}

// ErrAmbiguous: two VPCs overlap.
var ErrAmbiguous = errors.New("is somebody else's in the sender's own VPC")

// holder is who in the sender's VPC has the private address of an end in another one; "" for
// nobody.
func holder(m *vpc.Model, from, to End) string {
	if from.Interface == nil || to.Interface == nil || from.Interface.VpcID == to.Interface.VpcID {
		return ""
	}
	for _, n := range m.NetworkInterfaces.All() {
		if n.VpcID == from.Interface.VpcID && n.Deleted.IsZero() &&
			slices.ContainsFunc(n.PrivateIps, func(p vpc.PrivateAddress) bool { return p.PrivateIp == to.Private }) {
			return nameOf(m, n)
		}
	}
	return ""
}
