package conntrack

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/vpcemu/vpcemu/internal/conntrack/tcpstate"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// Timeouts are the idle timeouts of an ENI: how long after its last packet, in
// either direction, an entry of each state is kept. A zero field means the
// default.
type Timeouts struct {
	TCPEstablished, TCPOpening, TCPClosing time.Duration
	UDP, UDPStream                         time.Duration
	ICMP, Other                            time.Duration
}

// DefaultTimeouts are those of AWS where it documents them (CT-02). TCPOpening,
// TCPClosing and ICMP are not documented; the values are ours: long enough for
// the last gap between a client's SYNs (64 s on Linux), for TIME-WAIT as Linux
// keeps it, and for a ping.
func DefaultTimeouts() Timeouts { return defaultTimeouts }

var defaultTimeouts = Timeouts{
	TCPEstablished: 432000 * time.Second,
	TCPOpening:     120 * time.Second,
	TCPClosing:     60 * time.Second,
	UDP:            30 * time.Second,
	UDPStream:      180 * time.Second,
	ICMP:           30 * time.Second,
	Other:          600 * time.Second,
}

// of gives the timeout of a state.
func (to *Timeouts) of(s State) time.Duration {
	switch s {
	case TCPOpening:
		return to.TCPOpening
	case TCPEstablished:
		return to.TCPEstablished
	case TCPClosing:
		return to.TCPClosing
	case UDP:
		return to.UDP
	case UDPStream:
		return to.UDPStream
	case ICMP:
		return to.ICMP
	}
	return to.Other
}

// State says which idle timeout an entry has; the names are those of Timeouts.
type State uint8

const (
	TCPOpening     State = iota
	TCPEstablished       // from the end of the handshake; also while half-closed
	TCPClosing           // FIN seen from both sides, or a RST
	UDP                  // one direction only, or a single request and response
	UDPStream            // more than one request and response
	ICMP
	Other
)

func (s State) String() string {
	return [...]string{
		"TCP opening", "TCP established", "TCP closing", "UDP", "UDP stream", "ICMP", "other",
	}[min(s, Other)]
}

// Entry is a copy of a tracked connection.
type Entry struct {
	State    State
	Outbound bool // the packet that opened it left the ENI
	// Packets that left and entered the ENI since it was opened. They stop at
	// the largest number.
	PacketsOut, PacketsIn uint32
	Deadline              int64 // ns of CLOCK_BOOTTIME at which it expires if no packet comes

	oneWay bool
	tcp    tcpstate.State
}

// Hit tells whether the entry lets a packet pass that goes in this direction.
// It does, but for two cases in which the packet is a new connection that the
// rules must allow: a TCP SYN where the old connection is over (or the server
// side of a closed connection could open one back), and an ICMP request where
// nothing but a reply of the same identifier has been seen, which some rule
// allowed though nobody had asked. Observe then opens the entry anew.
func (e Entry) Hit(outbound bool, tcpFlags uint8) bool {
	switch e.State {
	case TCPClosing:
		return tcpFlags&(packet.FlagSYN|packet.FlagACK|packet.FlagRST) != packet.FlagSYN
	case ICMP:
		return !e.oneWay || outbound == e.Outbound
	}
	return true
}

// After is the entry as Observe would leave it after a packet: this one, as Lookup gave
// it for the key, or a new one where e is zero. Nothing is recorded: it is for what is
// only imagined.
func (e Entry) After(k Key, outbound bool, tcpFlags uint8, packets uint32, now int64, to *Timeouts) Entry {
	r := record{Deadline: e.Deadline, Out: e.PacketsOut, In: e.PacketsIn, TCP: e.tcp, Outbound: e.Outbound, Key: k}
	r.observe(packetSeen{outbound, tcpFlags, packets}, now, to)
	return r.entry()
}

// record is an entry as it is stored, what changes first.
type record struct {
	Deadline int64 // stored last of a change
	Out, In  uint32
	TCP      tcpstate.State
	Outbound bool
	Key      Key
}

// packetSeen is what an entry is told of a packet.
type packetSeen struct {
	outbound bool
	tcpFlags uint8
	packets  uint32
}

// touch accounts for a packet that the entry covers, and for no other.
func (r *record) touch(p packetSeen, now int64, to *Timeouts) bool {
	if r.Deadline <= now || !r.hit(p) {
		return false
	}
	r.add(p, now, to)
	return true
}

// observe accounts for a packet.
func (r *record) observe(p packetSeen, now int64, to *Timeouts) {
	if r.Deadline <= now || !r.hit(p) {
		r.Outbound = p.outbound
		r.Out, r.In, r.TCP = 0, 0, 0
	}
	r.add(p, now, to)
}

// hit is Entry.Hit, which only closing TCP connections and ICMP have to be asked.
func (r *record) hit(p packetSeen) bool {
	switch r.Key.Proto {
	case packet.ProtoTCP:
		return r.TCP.Phase() != tcpstate.Closing || r.entry().Hit(p.outbound, p.tcpFlags)
	case packet.ProtoUDP:
		return true
	}
	return r.entry().Hit(p.outbound, p.tcpFlags)
}

func (r *record) add(p packetSeen, now int64, to *Timeouts) {
	n := &r.In
	if p.outbound {
		n = &r.Out
	}
	*n += min(p.packets, math.MaxUint32-*n)
	if r.Key.Proto == packet.ProtoTCP {
		r.TCP = r.TCP.Next(p.outbound == r.Outbound, p.tcpFlags)
	}
	// Killed before this store, the entry has its new state and its old
	// deadline, or is still an expired one.
	atomic.StoreInt64(&r.Deadline, now+int64(timeout(r.state(), to)))
}

func timeout(s State, to *Timeouts) time.Duration {
	if to != nil {
		if d := to.of(s); d > 0 {
			return d
		}
	}
	return defaultTimeouts.of(s)
}

func (r *record) state() State {
	switch r.Key.Proto {
	case packet.ProtoTCP:
		return TCPOpening + State(r.TCP.Phase())
	case packet.ProtoUDP:
		if min(r.Out, r.In) > 1 {
			return UDPStream
		}
		return UDP
	case packet.ProtoICMP, packet.ProtoICMPv6:
		return ICMP
	}
	return Other
}

func (r *record) entry() Entry {
	return Entry{
		State:      r.state(),
		Outbound:   r.Outbound,
		PacketsOut: r.Out,
		PacketsIn:  r.In,
		Deadline:   r.Deadline,
		oneWay:     r.openedByReply(),
		tcp:        r.TCP,
	}
}

// openedByReply tells of an ICMP entry whose first packet came from the side
// that answers. The identifier is on the side that asks; identifier 0 does not
// tell, and counts as asked.
func (r *record) openedByReply() bool {
	k := &r.Key
	if (k.LocalPort == 0) == (k.RemotePort == 0) {
		return false
	}
	return r.Outbound != (k.LocalPort != 0)
}
