package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// outcome is what became of packets, in one word.
type outcome uint8

const (
	reached    outcome = iota // an answer came back
	dropped                   // the network dropped the packet or its answer
	unanswered                // it was delivered, and no answer came
	astray                    // it came into the network, and neither arrived nor was dropped
	unseen                    // it never came into the network
)

func outcomeOf(p *control.Packets) outcome {
	switch {
	case p.Reason != "":
		return dropped
	case p.Answered:
		return reached
	case p.Delivered:
		return unanswered
	case p.Sent:
		return astray
	}
	return unseen
}

// Judge decides whether the check passes and says why not. t is the trace; p what
// became of real packets, nil where there were none.
func Judge(e vpc.Expectation, x *Ends, t *control.Trace, p *control.Packets) (r control.CheckResult) {
	j := judge{e: e, x: x, t: t, p: p, r: &r}
	r.Trace, r.Packets = t, p
	if p != nil && p.Error != "" {
		j.problem("the network had no part in it: %s", p.Error)
		return r
	}
	if p != nil {
		j.compare()
	}
	if !r.Bug {
		j.expect()
	}
	r.Pass = len(r.Problems) == 0
	return r
}

type judge struct {
	e vpc.Expectation
	x *Ends
	t *control.Trace
	p *control.Packets
	r *control.CheckResult
	// differs: trace and packets differ with good reason, and the packets count.
	differs bool
}

func (j *judge) problem(format string, a ...any) {
	j.r.Problems = append(j.r.Problems, fmt.Sprintf(format, a...))
}

// bug tells of a contradiction within the network. Where the trace goes through an
// appliance it is none: what that does with a packet is not the network's.
func (j *judge) bug(trace, packets string) {
	if by := appliance(j.t); by != nil {
		j.differs = true
		j.r.Notes = append(j.r.Notes, fmt.Sprintf("the trace takes for granted that %s passes packets on as they are, and says: %s; the packets show what it really does: %s", by, trace, packets))
		return
	}
	j.r.Bug = true
	j.problem("a bug in vpcemu: trace and packets contradict each other. The trace says: %s. The packets: %s. Please report it, with the output of -o json", trace, packets)
}

// compare holds the two answers against one another.
func (j *judge) compare() {
	switch o := outcomeOf(j.p); {
	case o == reached && j.t.Reachable:
		j.compareWays()
	case o == dropped && !j.t.Reachable:
		j.compareDrops()
	case o == reached, o == dropped:
		j.bug(saidByTrace(j.t), saidByPackets(j.p))
	case o == unanswered && !j.t.Reachable && !j.t.Forward.Delivered:
		j.bug(saidByTrace(j.t), saidByPackets(j.p))
	}
	// What was not answered or not seen has causes outside the network: expect tells.
}

// appliance is the first machine that the traced packet goes through, nil for none.
func appliance(t *control.Trace) *control.Object {
	for _, path := range []*control.Path{t.Forward, t.Return} {
		if path == nil {
			continue
		}
		for i := range path.Hops {
			if h := &path.Hops[i]; h.Stage == "deliver" && h.Verdict == "pass" {
				return &h.Object
			}
		}
	}
	return nil
}

// compareWays: the same source address, the same gateways.
func (j *judge) compareWays() {
	if trace, seen := addr(j.t.SeenAs), addr(j.p.SeenAs); trace.IsValid() && seen.IsValid() && trace != seen {
		j.bug("it arrives from "+trace.String(), "it arrived from "+seen.String())
		return
	}
	if trace, seen := ids(j.t.Via), ids(j.p.Via); j.p.Followed && !slices.Equal(trace, seen) {
		j.bug("it goes "+way(j.t.Via), "it went "+way(j.p.Via))
	}
}

// compareDrops: the same reason, in the same direction, by the same rule of the same object.
func (j *judge) compareDrops() {
	last := lastHop(j.t)
	same := j.t.Reason == j.p.Reason && j.t.Forward.Delivered == j.p.Back
	if same && last != nil && j.p.Decided != nil {
		same = last.Stage == j.p.Stage && last.Object.ID == j.p.Decided.ID && last.RuleID == j.p.RuleID
	}
	if !same {
		j.bug(saidByTrace(j.t), saidByPackets(j.p))
	}
}

// lastHop is where the traced packet, or its answer, ended.
func lastHop(t *control.Trace) *control.Hop {
	path := t.Forward
	if t.Return != nil && t.Forward.Delivered {
		path = t.Return
	}
	if path == nil || len(path.Hops) == 0 {
		return nil
	}
	return &path.Hops[len(path.Hops)-1]
}

// expect holds what was found against what the check says. Where there were packets the
// two answers agree by now, but for what is outside the network.
func (j *judge) expect() {
	switch {
	case j.p == nil && j.t.Reachable:
		j.whenReached()
	case j.p == nil:
		j.whenDropped(j.t.Reason)
	default:
		switch outcomeOf(j.p) {
		case reached:
			j.whenReached()
		case dropped:
			j.whenDropped(j.p.Reason)
		case unanswered:
			j.whenUnanswered()
		case astray:
			j.problem("it came into the network and was not dropped there, but did not arrive at %s. Where it last was (%s), it was not passed on: look at forwarding, routes and firewall in there", j.x.To.Name, way(j.p.Via))
		case unseen:
			j.whenUnseen()
		}
	}
}

func (j *judge) whenReached() {
	switch {
	case j.e.Verb == vpc.Unreached:
		j.problem("it does reach %s: %s", j.x.To.Name, j.answer())
		return
	case j.e.Verb == vpc.Connects && j.p != nil && j.p.Answer != Connected:
		j.problem("the network carries it, but no program listens on %s %d at %s: the connection was refused%s", j.e.Protocol, j.e.Port, j.x.To.Name, j.tries())
		return
	}
	if seen := j.seenAs(); j.x.SeenAs.IsValid() && seen != j.x.SeenAs {
		j.problem("it is seen as %s, not as %s", seen, j.x.SeenAs)
	}
	via := j.t.Via
	if j.p != nil {
		via = j.p.Via
	}
	for _, want := range j.x.Via {
		if !slices.ContainsFunc(via, func(o control.Object) bool { return slices.Contains(want.IDs, o.ID) }) {
			j.problem("it does not go by way of %s, but %s", want.Name, way(via))
		}
	}
}

func (j *judge) seenAs() netip.Addr {
	if j.p != nil && j.p.SeenAs != "" {
		return addr(j.p.SeenAs)
	}
	return addr(j.t.SeenAs)
}

// answer says how one knows that it was reached.
func (j *judge) answer() string {
	if j.p == nil {
		return "nothing drops it or its answer"
	}
	switch j.p.Answer {
	case Connected:
		return "the connection was accepted"
	case Refused:
		return "its machine refused the connection, which is an answer"
	}
	return "it answered"
}

func (j *judge) tries() string {
	if j.p.Attempts > 1 {
		return fmt.Sprintf(", %d times", j.p.Attempts)
	}
	return ""
}

func (j *judge) whenDropped(reason string) {
	said := saidByTrace(j.t)
	if j.differs {
		said = saidByPackets(j.p)
	}
	switch {
	case j.e.Verb != vpc.Unreached:
		j.problem("%s", said)
	case j.e.Because != "" && j.e.Because != reason:
		j.problem("it does not reach %s, but not because of %s: %s", j.x.To.Name, j.e.Because, said)
	}
}

// whenUnanswered: the network did its part, and the receiver said nothing.
func (j *judge) whenUnanswered() {
	if !j.t.Reachable && j.t.Reason == replyAstray && j.e.Verb == vpc.Unreached {
		j.whenDropped(replyAstray)
		return
	}
	if j.p.Returned {
		j.problem("the network delivered it to %s, and the answer back to %s, where no program got it: not a matter of the network. Look at the firewall of %s itself (iptables, nft)", j.x.To.Name, j.x.From.Name, j.x.From.Name)
		return
	}
	if !j.t.Reachable {
		j.problem("the network delivered it to %s, which did not answer, so that nothing shows whether the answer is dropped, as the trace says (%s). Look at the firewall and services of %s itself", j.x.To.Name, j.t.Reason, j.x.To.Name)
		return
	}
	j.problem("the network delivered it to %s, and %s did not answer: not a matter of the network. Look at the firewall of %s itself (iptables, nft), and whether it answers %s at all", j.x.To.Name, j.x.To.Name, j.x.To.Name, j.e.Protocol)
}

// replyAstray is a trace's reason for an answer that arrives, but not as one.
const replyAstray = "REPLY_ASTRAY"

// The reasons where nobody has the address: in the VPC, on the Internet.
const (
	noDestination = "NO_POSSIBLE_DESTINATION"
	noHost        = "INTERNET_UNREACHABLE"
)

func (j *judge) whenUnseen() {
	if j.p.ARP && !j.t.Forward.Delivered && j.nobody() {
		j.whenDropped(j.t.Reason) // nobody has the address, which ARP tells before a packet can
		return
	}
	if j.p.Skipped > 0 {
		j.problem("nothing was seen of it: neither an answer nor what dropped it. The lab was so busy that %d packets were not looked at; try again when it is calmer", j.p.Skipped)
		return
	}
	j.problem("it never came into the network, so the network had no part in it. Look at the routes and the firewall of %s itself (ip route, iptables, nft)", j.x.From.Name)
}

// nobody tells whether the trace says that the address is nobody's where the sender is: in
// its VPC, or, for a host outside, on the Internet. Those are the addresses that its machine
// asks for by ARP; for all others an interface's machine asks for its router.
func (j *judge) nobody() bool {
	return j.t.Reason == noDestination || j.t.Reason == noHost && j.x.From.Host != nil
}

// saidByTrace is the trace's answer in words.
func saidByTrace(t *control.Trace) string {
	if t.Reachable {
		return "it gets there, and its answer back"
	}
	what := "it is dropped"
	if t.Forward != nil && t.Forward.Delivered {
		what = "it arrives, and its answer is dropped"
	}
	rule := t.DecidedRule
	return drop(what, t.Reason, t.Text, t.Decided, rule)
}

// saidByPackets is the packets' answer in words.
func saidByPackets(p *control.Packets) string {
	switch outcomeOf(p) {
	case reached:
		return "it got there, and an answer (" + p.Answer + ") back"
	case dropped:
		what := "it was dropped"
		if p.Back {
			what = "it arrived, and its answer was dropped"
		}
		return drop(what, p.Reason, p.Text, p.Decided, p.Rule)
	case unanswered:
		return "it arrived"
	}
	return "nothing was seen of it"
}

func drop(what, reason, text string, by *control.Object, rule string) string {
	s := what
	if by != nil {
		s += " by " + by.String()
		if rule != "" {
			s += " (" + rule + ")"
		}
	}
	return s + ": " + reason + ": " + text
}

// way lists what was passed.
func way(via []control.Object) string {
	if len(via) == 0 {
		return "straight there"
	}
	names := make([]string, len(via))
	for i, o := range via {
		names[i] = o.String()
	}
	return "by way of " + strings.Join(names, ", ")
}

func ids(list []control.Object) (out []string) {
	for _, o := range list {
		out = append(out, o.ID)
	}
	return out
}

// addr reads an address with or without a port.
func addr(text string) netip.Addr {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr()
	}
	a, _ := netip.ParseAddr(text)
	return a
}

// Words of control.Packets.Answer.
const (
	Connected = "connected"
	Refused   = "refused"
	Replied   = "reply"
)
