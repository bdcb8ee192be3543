package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kinds of a Watched.
const (
	WatchedStarted = "started" // the watch is on; always the first
	WatchedPacket  = "packet"  // one packet
	WatchedFlow    = "flow"    // a flow that is new, or whose verdict is
	WatchedTotals  = "totals"  // a flow again, with all that came since it was new
	WatchedSkipped = "skipped" // that some packets were not shown
)

// Watched is one line of a watch: a packet, or what packets with the same addresses and
// ports in one direction amounted to. Its JSON names do not change.
type Watched struct {
	// Time is when the packet came; of a flow when its first one did, of totals the last.
	// Of "skipped" it is now.
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	*Seen
	// NotShown is, of a "skipped" line, how many packets have no line: the reader or the
	// terminal was too slow, or there was too much to tell. The watch's filter was not
	// asked about all of them.
	NotShown uint64 `json:"not_shown,omitempty"`
}

// Seen is a packet or flow and what became of it.
type Seen struct {
	// Sent is the packet as its sender sent it, Translated as it was at the end of its
	// way, where a gateway has changed it.
	Sent
	Translated *Sent  `json:"translated,omitempty"`
	TCPFlags   string `json:"tcp_flags,omitempty"` // SYN+ACK; of a flow all that were seen
	ICMPType   *uint8 `json:"icmp_type,omitempty"`
	ICMPCode   *uint8 `json:"icmp_code,omitempty"`
	// From is the network interface or Internet host that sent it, To the one that got
	// it or, of a drop, that has the destination address; nil where nothing has.
	// Via are the gateways that it passed.
	From *Named  `json:"from,omitempty"`
	Via  []Named `json:"via,omitempty"`
	To   *Named  `json:"to,omitempty"`
	// Verdict is delivered or dropped. Reason is the name that `vpcemu reasons`
	// explains, Text what it says in words.
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	Text    string `json:"text"`
	// Stage is where on its way it ended, By the object that decided, Rule the rule,
	// route or connection in it.
	Stage string `json:"stage"`
	By    *Named `json:"by,omitempty"`
	Rule  string `json:"rule,omitempty"`
	// Answered: the network itself sent an ICMP error or a TCP RST back.
	Answered bool   `json:"answered,omitempty"`
	Packets  uint64 `json:"packets"`
	Bytes    uint64 `json:"bytes"` // IP headers included
	// Duration is from a flow's first packet to its last, in seconds.
	Duration float64 `json:"duration,omitempty"`
	// Ended says why the totals come: "fin", "rst", "quiet", "verdict" (it changed) or
	// "watch" (it ended, the flow goes on).
	Ended string `json:"ended,omitempty"`
}

// Sent is a packet's addresses. Ports are those of TCP and UDP; ID is the identifier of
// an ICMP query.
type Sent struct {
	Protocol        string     `json:"protocol"` // tcp, udp, icmp, icmpv6 or a number; "" for a frame that is not IP, and a packet that is malformed
	Source          netip.Addr `json:"source"`
	SourcePort      uint16     `json:"source_port,omitempty"`
	Destination     netip.Addr `json:"destination"`
	DestinationPort uint16     `json:"destination_port,omitempty"`
	ID              uint16     `json:"icmp_id,omitempty"`
}

// Named is an object by its ID and its name in the lab.
type Named struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Short is the name, or the ID of what has none.
func (n Named) Short() string {
	if n.Name != "" {
		return n.Name
	}
	return n.ID
}

func (n Named) String() string { return Object{ID: n.ID, Name: n.Name}.String() }

// The verdicts of a Seen.
const (
	VerdictDelivered = "delivered"
	VerdictDropped   = "dropped"
)

// Addresses are "198.51.100.1:40000 > 172.30.0.10:22", without ports where there are none.
func (s Sent) Addresses() string {
	if !s.Source.IsValid() {
		return "-"
	}
	if s.SourcePort == 0 && s.DestinationPort == 0 {
		return s.Source.String() + " > " + s.Destination.String()
	}
	return netip.AddrPortFrom(s.Source, s.SourcePort).String() + " > " + netip.AddrPortFrom(s.Destination, s.DestinationPort).String()
}

// Packet is "198.51.100.1:40000 > 203.0.113.1:22 tcp SYN (as 198.51.100.1:40000 >
// 172.30.0.10:22)", the last where it was translated.
func (s *Seen) Packet() string {
	switch {
	case s.Sent.Protocol == "" && s.Reason == "PACKET_MALFORMED":
		return "a packet that cannot be read"
	case s.Sent.Protocol == "":
		return "a frame that is not IP"
	}
	text := s.Addresses() + " " + s.what()
	if s.Translated != nil {
		text += " (as " + s.Translated.Addresses() + ")"
	}
	return text
}

// what is the protocol, and what a packet of it says.
func (s *Seen) what() string {
	switch {
	case s.Protocol == "tcp" && s.TCPFlags != "":
		return "tcp " + s.TCPFlags
	case s.ICMPType != nil && s.ICMPCode != nil:
		text := s.Protocol + " " + icmpName(s.Protocol, *s.ICMPType, *s.ICMPCode)
		if s.ID != 0 {
			text += " id " + strconv.Itoa(int(s.ID))
		}
		return text
	case s.Protocol[0] >= '0' && s.Protocol[0] <= '9':
		return "protocol " + s.Protocol
	}
	return s.Protocol
}

// icmpNames are the messages that a lab meets (RFC 792, RFC 1191, RFC 4443), by
// protocol, type and code; -1 is any code.
var icmpNames = map[string]map[[2]int]string{
	"icmp": {
		{0, -1}: "echo reply", {8, -1}: "echo request",
		{3, 0}: "network unreachable", {3, 1}: "host unreachable", {3, 2}: "protocol unreachable", {3, 3}: "port unreachable",
		{3, 4}: "fragmentation needed", {3, 13}: "administratively prohibited", {3, -1}: "unreachable",
		{11, 0}: "time exceeded", {11, 1}: "reassembly time exceeded", {5, -1}: "redirect",
	},
	"icmpv6": {
		{128, -1}: "echo request", {129, -1}: "echo reply", {1, -1}: "unreachable", {2, -1}: "packet too big", {3, -1}: "time exceeded",
		{133, -1}: "router solicitation", {134, -1}: "router advertisement", {135, -1}: "neighbor solicitation",
		{136, -1}: "neighbor advertisement", {143, -1}: "multicast listener report",
	},
}

func icmpName(protocol string, typ, code uint8) string {
	names := icmpNames[protocol]
	if name := names[[2]int{int(typ), int(code)}]; name != "" {
		return name
	}
	if name := names[[2]int{int(typ), -1}]; name != "" {
		return name
	}
	return fmt.Sprintf("type %d code %d", typ, code)
}

// Way is "db → nat → igw → server".
func (s *Seen) Way() string {
	var names []string
	if s.From != nil {
		names = append(names, s.From.Short())
	}
	for _, via := range s.Via {
		names = append(names, via.Short())
	}
	if s.To != nil {
		names = append(names, s.To.Short())
	}
	return strings.Join(names, " → ")
}

// Outcome is "delivered", or "dropped by acl-… , rule * deny: SUBNET_ACL_RESTRICTION:
// denied by the subnet's network ACL".
func (s *Seen) Outcome() string {
	text := s.Verdict
	if s.Verdict == VerdictDropped {
		if by := s.Decided(); by != "" {
			text += " by " + by
		}
	}
	if s.Reason != "DELIVERED" {
		text += ": " + s.Reason + ": " + s.Text
	}
	if s.Answered {
		text += "; the network told the sender"
	}
	return text
}

// Decided is the object that decided, and the rule in it.
func (s *Seen) Decided() string {
	text := ""
	if s.By != nil {
		text = s.By.String()
	}
	if s.Rule == "" {
		return text
	}
	if text != "" {
		text += ", "
	}
	return text + s.Rule
}

// Amount is "[12 packets, 1.5 kB in 3.2 s, ended by FIN]"; "" for a single packet that
// is not a flow's end.
func (w *Watched) Amount() string {
	if w.Kind == WatchedPacket && w.Packets == 1 || w.Kind == WatchedFlow && w.Packets <= 1 {
		return ""
	}
	text := thousands(w.Packets) + " packets, " + size(w.Bytes)
	if w.Packets == 1 {
		text = "1 packet, " + size(w.Bytes)
	}
	if w.Duration >= 0.05 {
		text += fmt.Sprintf(" in %.1f s", w.Duration)
	}
	switch w.Ended {
	case "fin", "rst":
		text += ", ended by " + strings.ToUpper(w.Ended)
	case "watch":
		text += " so far"
	}
	return "[" + text + "]"
}

// Skipped is "… 1,204 packets not shown".
func (w *Watched) Skipped() string {
	if w.NotShown == 1 {
		return "… 1 packet not shown"
	}
	return "… " + thousands(w.NotShown) + " packets not shown"
}

// A Paint shows parts of a line in colour, or makes them fit for a terminal. Nothing
// stays nothing.
type Paint struct{ Plain, Good, Bad, Dim func(string) string }

// Text is the whole line, in the local time zone.
func (w *Watched) Text(p Paint) string {
	if w.Seen == nil {
		return p.Dim(w.Skipped())
	}
	verdict := p.Good
	if w.Verdict == VerdictDropped {
		verdict = p.Bad
	}
	parts := []string{p.Dim(clock(w.Time)), p.Plain(w.Packet()), p.Plain(w.Way()), verdict(w.Outcome()), p.Dim(w.Amount())}
	return join(parts)
}

func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }

// join puts the parts of a line together, but for those that are empty.
func join(parts []string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "  ")
}

// thousands writes 1204 as 1,204.
func thousands(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// size writes a number of bytes in units of 1000, with two significant digits at least.
func size(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	value, unit := float64(n)/1000, 0
	for value >= 999.5 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	if value < 9.95 {
		return fmt.Sprintf("%.1f %s", value, units[unit])
	}
	return fmt.Sprintf("%.0f %s", value, units[unit])
}
