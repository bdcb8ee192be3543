package dataplane

import (
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"
)

// Bounds of a walk.
const (
	maxHops    = 16 // beyond it FORWARDING_LOOP
	savedBytes = 256
)

// hop is where a packet stands between two stretches of its way.
type hop uint8

const (
	hopNone     hop = iota // the walk has ended
	hopENI                 // about to leave the ENI it came in by
	hopSubnet              // about to leave a NAT gateway into its subnet
	hopInternet            // outside of all VPCs
)

// A walk takes one packet from its ingress to its end. It is scratch space of one
// goroutine, reused packet by packet. Its stages read the snapshot, the tables and
// the packet, change the packet in the buffer, and write nothing else: what they
// want of the tables is noted in observed and mapped, and committed at the end.
type walk struct {
	cfg  *Config
	snap *Snapshot
	now  int64
	src  *source
	in   Place
	hdr  packet.Header

	// buf is the packet as it came; saved its first bytes, which stages rewrite.
	buf     []byte
	vnet    []byte // the virtio-net header that came before it, nil: none
	saved   [savedBytes]byte
	partial bool         // so was its checksum
	sent    packet.Tuple // as its sender sent it
	// gso says of how many packets on the wire buf is; wire is the length of the
	// longest of them, size that of all together, in bytes.
	gso     packet.Offload
	wire    int
	size    int
	l2peer  *ENI // TAP: the next hop that the frame's MAC named, nil: the router (RT-15)
	l2group bool // TAP: broadcast or multicast frame

	next hop
	hops int
	// subnet is where the packet is; last the ENI that put it there, nil outside a VPC.
	subnet *Subnet
	last   *ENI
	at     *ENI // in whose way out or in the stages lie, nil on the Internet's side
	// groups identify the sender as long as nothing has hidden it (SG-09).
	groups []uint32
	// crossed says that the packet left the subnet it was sent in.
	crossed bool
	metNAT  bool // CT-06
	mtu     int  // smallest MTU below the packet's size that fragmentation must meet, 0 none
	limit   int  // smallest MTU met, 0 none
	nats    [maxHops]*NATGateway
	nNATs   int
	links   []*Link // on the way, in order
	loser   *Link   // the first of them that loses everything

	observed  [2]observation // at most the first and the last ENI
	nObserved int
	mapped    [maxHops]mapping
	nMapped   int
	// touched and touchedNATs are what the flow cache has accounted for already.
	touched      [2]conntrack.Ref // on the way into an ENI, out of one
	touchedNATs  [maxNATs]nat.Ref
	nTouchedNATs int

	reason Reason
	stage  Stage
	by     Ref
	rule   Rule
	ended  packet.Tuple // the packet at that point
	out    output
	answer answer

	tally *counters
	// node is how far the packet is in the worker's tree of ways, which begins at root;
	// nil for a traced one. way is its end, once it is known.
	root, node, way *Way
	// detailed asks for steps, with what the packet was after each.
	detailed bool
	steps    []Step
	// assumed are the effects of earlier packets of a trace.
	assumed *assumed
}

// observation is the effect of a security group stage on the conntrack table.
type observation struct {
	eni      *ENI
	key      conntrack.Key
	outbound bool
	flags    uint8
	// onlyViaNAT: an untracked flow, tracked all the same if it meets a NAT gateway (CT-03, CT-06).
	onlyViaNAT bool
	tracked    bool          // there is an entry already
	ref        conntrack.Ref // the entry, once committed; zero for an untracked flow
}

// mapping is the effect of a NAT gateway stage on the NAT table.
type mapping struct {
	gw      *NATGateway
	m       nat.Mapping
	flags   uint8
	inbound bool
	ref     nat.Ref // once committed
}

// output is where a packet goes at the end of a good walk; at most one is set.
type output struct {
	eni      *ENI
	host     *InternetHost
	services *VPC
	dhcp     *ENI
}

// handle is that of the ENI or host, 0 for others.
func (o *output) handle() uint32 {
	switch {
	case o.eni != nil:
		return o.eni.Handle
	case o.host != nil:
		return o.host.Handle
	}
	return 0
}

// answer is what the network itself sends back to the ingress.
type answer struct {
	kind answerKind
	from packet.Addr
	mtu  int
}

type answerKind uint8

const (
	answerNone answerKind = iota
	answerTooBig
	answerTimeExceeded
	answerReset
)

// place is where the packet goes.
func (o *output) place() Place {
	switch {
	case o.eni != nil:
		return Place{ENI: o.eni}
	case o.host != nil:
		return Place{Host: o.host}
	}
	return Place{}
}

// begin prepares the walk of a packet that came in by src.
func (w *walk) begin(snap *Snapshot, src *source, in Place, root *Way, now int64) {
	w.snap, w.src, w.in, w.now = snap, src, in, now
	w.buf, w.vnet, w.partial = nil, nil, false
	// Structs are cleared one by one: together they would be copied from temporaries, which
	// costs as much as the rest of this.
	w.hdr.Data = nil
	w.hdr.Tuple = packet.Tuple{}
	w.sent = packet.Tuple{}
	w.hdr.TCPFlags, w.hdr.ICMPType, w.hdr.ICMPCode = 0, 0, 0
	w.gso = packet.Offload{Segments: 1}
	w.wire, w.size = 0, 0
	w.l2peer, w.l2group = nil, false
	w.touched, w.nTouchedNATs = [2]conntrack.Ref{}, 0
	w.root = root
	w.reset()
}

// reset forgets all that a walk has found out, before it or a further try.
func (w *walk) reset() {
	w.next, w.hops = hopNone, 0
	w.subnet, w.last, w.at, w.groups = nil, nil, w.in.ENI, nil
	w.node, w.way, w.steps = w.root, nil, w.steps[:0]
	w.crossed, w.metNAT, w.mtu, w.limit = false, false, 0, 0
	w.nNATs, w.nObserved, w.nMapped = 0, 0, 0
	w.links, w.loser = w.links[:0], nil
	w.reason, w.stage = Delivered, 0
	w.by = Ref{}
	w.rule = Rule{}
	w.ended = packet.Tuple{}
	w.out = output{}
	w.answer = answer{}
}

// run walks the packet, which has been parsed, to its end.
func (w *walk) run() {
	if !w.knowPorts() {
		return
	}
	switch {
	case w.in.ENI != nil:
		w.next = hopENI
	case w.in.Host != nil:
		w.fromHost(w.in.Host)
	default:
		w.fromServices()
	}
	for w.next != hopNone {
		if w.hops++; w.hops > maxHops {
			w.end(StageRoute, ForwardingLoop, w.in.Ref(), Rule{})
			return
		}
		switch w.next {
		case hopENI:
			w.fromENI()
		case hopSubnet:
			w.fromSubnet()
		case hopInternet:
			w.acrossInternet()
		}
	}
}

// parse decodes the packet, and what its virtio-net header says.
func (w *walk) parse() bool {
	w.tally.stage(StageParse)
	bad := w.hdr.Parse(w.buf)
	if bad == 0 && w.vnet != nil {
		w.gso, bad = w.hdr.ReadVnet(w.vnet, w.src.features.linkLen())
	}
	if bad != 0 {
		w.hdr.Tuple = packet.Tuple{}
		w.sent = packet.Tuple{}
		w.gso = packet.Offload{Segments: 1}
		return w.end(StageParse, PacketMalformed, w.in.Ref(), Rule{})
	}
	w.sent = w.hdr.Tuple
	w.wire, w.size = len(w.hdr.Data), len(w.hdr.Data)
	if w.gso.GSO != packet.GSONone {
		w.wire, w.size = w.hdr.WireLen(w.gso), w.hdr.WireBytes(w.gso)
	}
	return true
}

// packets is how many packets on the wire buf is.
func (w *walk) packets() uint64 { return uint64(w.gso.Segments) }

// keep saves what stages will overwrite.
func (w *walk) keep() {
	copy(w.saved[:], w.hdr.Data)
	w.partial = w.hdr.PartialChecksum
}

// restore puts the packet back as its sender sent it and decodes it again.
func (w *walk) restore() {
	copy(w.hdr.Data, w.saved[:])
	w.hdr.Parse(w.buf)
	w.hdr.PartialChecksum = w.partial
}

// tcpFlags are the flags that tables are told; a later fragment has none, and says no
// more than that its connection is alive.
func (w *walk) tcpFlags() uint8 {
	if w.hdr.IsTCP() && w.hdr.NonFirstFragment() {
		return packet.FlagACK
	}
	return w.hdr.TCPFlags
}

// fits checks the packet against an MTU on its way. Too big a packet that may be
// fragmented is, at the end of the walk; one that may not is answered from the
// address given (MT-11).
func (w *walk) fits(stage Stage, mtu int, from packet.Addr, by Ref) bool {
	if mtu <= 0 {
		return true
	}
	if w.limit == 0 || mtu < w.limit {
		w.limit = mtu
	}
	if w.wire <= mtu {
		return true
	}
	if w.hdr.DontFragment {
		w.answer = answer{kind: answerTooBig, from: from, mtu: mtu}
		return w.end(stage, PacketTooBig, by, Rule{})
	}
	if w.mtu == 0 || mtu < w.mtu {
		w.mtu = mtu
	}
	return true
}

// commit hands the effects to the tables: those of every stage passed, also when a
// later one dropped the packet (tracking is per ENI). Mappings go first, as only
// they can ask for another walk, which again reports.
func (w *walk) commit() (again bool) {
	for i := range w.mapped[:w.nMapped] {
		e := &w.mapped[i]
		if i < w.nTouchedNATs && e.m.Last != 0 {
			e.ref = w.touchedNATs[i]
			continue
		}
		var err error
		switch e.ref, err = w.cfg.NAT.Commit(e.m, e.flags, e.inbound, w.now); err {
		case nil:
		case nat.ErrTaken:
			return true
		default:
			w.undeliver(NATTableFull, e.gw.Ref)
		}
	}
	for i := range w.observed[:w.nObserved] {
		o := &w.observed[i]
		if o.onlyViaNAT && !w.metNAT {
			continue
		}
		if touched := w.touched[toIndex(o.outbound)]; o.tracked && touched != (conntrack.Ref{}) {
			o.ref = touched
			continue
		}
		var err error
		o.ref, err = w.cfg.Conntrack.Observe(o.key, o.outbound, o.flags, uint32(w.gso.Segments), w.now, o.eni.timeouts())
		if err != nil {
			w.undeliver(ConntrackFull, o.eni.Ref) // CT-07
		}
	}
	return false
}

func toIndex(outbound bool) int {
	if outbound {
		return 1
	}
	return 0
}

// undeliver turns a good walk into a drop because a table had no room.
func (w *walk) undeliver(reason Reason, by Ref) {
	if w.reason.Dropped() {
		return
	}
	w.out = output{}
	w.end(StageCommit, reason, by, Rule{})
}

var defaultTimeouts = conntrack.DefaultTimeouts()

// timeouts are those of the ENI's tracked connections (CT-02).
func (e *ENI) timeouts() *conntrack.Timeouts {
	if e.Timeouts != nil {
		return e.Timeouts
	}
	return &defaultTimeouts
}
