package flowlog

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/flowlog/record"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// Traffic is what of it a flow log wants (FL-10).
type Traffic uint8

const (
	All Traffic = iota
	Accepted
	Rejected
)

// ParseTraffic reads EC2's ALL, ACCEPT and REJECT.
func ParseTraffic(s string) (t Traffic, ok bool) {
	switch s {
	case "ALL":
		return All, true
	case "ACCEPT":
		return Accepted, true
	case "REJECT":
		return Rejected, true
	}
	return 0, false
}

func (t Traffic) wants(reject bool) bool { return t == All || (t == Rejected) == reject }

// DefaultLimit is how many records a window has at most unless Config says otherwise. A
// full one takes about 200 MiB.
const DefaultLimit = 1 << 20

// Config says what an Aggregator makes.
type Config struct {
	Format   *record.Format
	Interval time.Duration // length of the windows, whole seconds
	Traffic  Traffic
	Limit    int // records in a window, 0: DefaultLimit
}

// Interface is a network interface that a flow log watches.
type Interface struct {
	record.Interface
	Primary netip.Addr // the primary private IPv4 (FL-06)
	// Old says that its instance is not built on Nitro, whose traffic-path differs (FL-08).
	Old bool
}

// Aggregator gathers what the interfaces of one flow log see. It is not safe for
// concurrent use. Make it with New.
type Aggregator struct {
	cfg     Config
	watched map[uint32]*Interface // by handle
	start   int64                 // of the window, Unix seconds
	records map[key]*sum
	// busy are the interfaces, by ID, that have a record in the window, skipped those that
	// lack some.
	busy, skipped map[string]bool
	skippedAll    bool
}

// key is what one record is of: one interface, direction, action and flow (FL-03).
type key struct {
	of             *Interface
	egress, reject bool
	protocol       uint8
	srcPort        uint16
	dstPort        uint16
	src, dst       packet.Addr // the packet's own
}

type sum struct {
	amount
	path uint8 // of the latest packets
}

// New returns an aggregator whose first window is the one that now lies in. Windows are
// aligned to the interval: those of 60 seconds begin with each minute.
func New(cfg Config, now time.Time) *Aggregator {
	if cfg.Limit <= 0 {
		cfg.Limit = DefaultLimit
	}
	if cfg.Interval < time.Second {
		cfg.Interval = time.Second
	}
	a := &Aggregator{cfg: cfg}
	a.begin(now)
	return a
}

func (a *Aggregator) seconds() int64 { return int64(a.cfg.Interval / time.Second) }

func (a *Aggregator) begin(now time.Time) {
	n := a.seconds()
	a.start = now.Unix() - ((now.Unix()%n)+n)%n
	a.records = make(map[key]*sum)
	a.busy, a.skipped, a.skippedAll = make(map[string]bool), make(map[string]bool), false
}

// Watch replaces the interfaces that are watched, by their handles on the packet path.
// The map is the aggregator's from then on. What the window has of others stays.
func (a *Aggregator) Watch(interfaces map[uint32]*Interface) {
	for handle, is := range interfaces {
		if was := a.watched[handle]; was != nil && *was == *is {
			interfaces[handle] = was // its records go on
		}
	}
	a.watched = interfaces
}

// Add takes the flows of a reading. offset turns their times, nanoseconds of the boot
// clock, into Unix time.
func (a *Aggregator) Add(r dataplane.Reading, offset int64) {
	if r.Skipped > 0 {
		a.skippedAll = true
	}
	for i := range r.Flows {
		f := &r.Flows[i]
		t := amount{f.Flags, f.Packets, f.Bytes, (f.First + offset) / int64(time.Second), (f.Last + offset) / int64(time.Second)}
		Sightings(f.Way.From(), f.Sent, f.Steps(), func(s Sighting) { a.sight(&t, &s) })
	}
}

// amount is what a flow amounted to; first and last are Unix seconds.
type amount struct {
	flags          uint8
	packets, bytes uint64
	first, last    int64
}

// sight adds what one interface saw of a flow.
func (a *Aggregator) sight(f *amount, s *Sighting) {
	of := a.watched[s.ENI.Handle]
	if of == nil || !a.cfg.Traffic.wants(s.Reject) {
		return
	}
	k := key{of: of, egress: s.Egress, reject: s.Reject, protocol: s.Tuple.Proto, src: s.Tuple.Src, dst: s.Tuple.Dst}
	if k.protocol == packet.ProtoTCP || k.protocol == packet.ProtoUDP {
		k.srcPort, k.dstPort = s.Tuple.SrcPort, s.Tuple.DstPort // of ICMP they are an identifier
	}
	sm := a.records[k]
	if sm == nil {
		if len(a.records) >= a.cfg.Limit {
			a.skipped[of.ID] = true
			return
		}
		sm = &sum{amount: amount{first: f.first}}
		a.records[k] = sm
		a.busy[of.ID] = true
	}
	sm.packets += f.packets
	sm.bytes += f.bytes
	sm.first, sm.last = min(sm.first, f.first), max(sm.last, f.last)
	if k.protocol == packet.ProtoTCP {
		sm.flags |= f.flags
	}
	if sm.path = s.Path; sm.path == record.PathIGWNitro && of.Old {
		sm.path = record.PathIGW
	}
}

// End is when the window ends.
func (a *Aggregator) End() time.Time { return time.Unix(a.start+a.seconds(), 0) }

// Advance writes the records of the window to dst if it has ended by now, and begins the
// one that now lies in.
func (a *Aggregator) Advance(dst []byte, now time.Time) []byte {
	if now.Before(a.End()) {
		return dst
	}
	dst = a.append(dst, a.start+a.seconds()-1)
	a.begin(now)
	return dst
}

// Flush writes the records of a window that has not ended, and forgets them: at the end
// of a flow log. It adds no NODATA.
func (a *Aggregator) Flush(dst []byte, now time.Time) []byte {
	dst = a.appendSums(dst)
	dst = a.appendSkipped(dst, now.Unix())
	a.begin(now)
	return dst
}

// append writes all of the window, which ends with the second end.
func (a *Aggregator) append(dst []byte, end int64) []byte {
	dst = a.appendSums(dst)
	dst = a.appendSkipped(dst, end)
	if a.skippedAll {
		return dst
	}
	for _, i := range a.interfaces() {
		if !a.busy[i.ID] && !a.skipped[i.ID] {
			dst = a.status(dst, i, record.NoData, end)
		}
	}
	return dst
}

// appendSkipped tells which interfaces lack records: any may, where a meter has skipped.
func (a *Aggregator) appendSkipped(dst []byte, end int64) []byte {
	for _, i := range a.interfaces() {
		if a.skippedAll || a.skipped[i.ID] {
			dst = a.status(dst, i, record.SkipData, end)
		}
	}
	return dst
}

func (a *Aggregator) status(dst []byte, i *Interface, s record.Status, end int64) []byte {
	return a.cfg.Format.Append(dst, &record.Record{Status: s, Interface: &i.Interface, Start: a.start, End: end})
}

// interfaces are those watched, by ID.
func (a *Aggregator) interfaces() []*Interface {
	list := make([]*Interface, 0, len(a.watched))
	for _, i := range a.watched {
		list = append(list, i)
	}
	slices.SortFunc(list, func(x, y *Interface) int { return cmp.Compare(x.ID, y.ID) })
	return list
}

// appendSums writes a record a flow: by time, then in an order that is always the same.
func (a *Aggregator) appendSums(dst []byte) []byte {
	type entry struct {
		key
		*sum
	}
	list := make([]entry, 0, len(a.records))
	for k, s := range a.records {
		list = append(list, entry{k, s})
	}
	slices.SortFunc(list, func(x, y entry) int {
		return cmp.Or(cmp.Compare(x.first, y.first), compare(&x.key, &y.key))
	})
	for i := range list {
		r := list[i].record(list[i].sum)
		dst = a.cfg.Format.Append(dst, &r)
	}
	return dst
}

func compare(x, y *key) int {
	return cmp.Or(cmp.Compare(x.of.ID, y.of.ID), slices.Compare(x.src[:], y.src[:]), slices.Compare(x.dst[:], y.dst[:]),
		cmp.Compare(x.srcPort, y.srcPort), cmp.Compare(x.dstPort, y.dstPort), cmp.Compare(x.protocol, y.protocol),
		cmp.Compare(number(x.egress), number(y.egress)), cmp.Compare(number(x.reject), number(y.reject)))
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// record is the line of a flow. On the interface's own side it has the primary private
// IPv4, whatever address the packet had (FL-06).
func (k *key) record(s *sum) record.Record {
	r := record.Record{
		Interface: &k.of.Interface, PktSrc: k.src.Netip(), PktDst: k.dst.Netip(), SrcPort: k.srcPort, DstPort: k.dstPort, Protocol: k.protocol,
		TCPFlags: s.flags, Packets: s.packets, Bytes: s.bytes, Start: s.first, End: s.last, Reject: k.reject, Egress: k.egress, Path: s.path,
	}
	r.Src, r.Dst = r.PktSrc, r.PktDst
	switch own := k.of.Primary; {
	case !own.IsValid() || own.Is4() != r.Src.Is4():
	case k.egress:
		r.Src = own
	default:
		r.Dst = own
	}
	return r
}
