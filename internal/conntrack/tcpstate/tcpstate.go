// Package tcpstate follows a TCP connection by the flags of its segments, as
// a box in the middle sees them. Sequence numbers are not looked at: AWS
// documents none of it, and the only consequence of a state is how long an
// entry lives.
package tcpstate

import "github.com/vpcemu/vpcemu/internal/packet"

// State is what has been seen of a connection; 0 is nothing. It fits a byte of
// a shared record and is stored in files, so the bits keep their meaning.
type State uint8

const (
	seen        State = 1 << iota // any segment
	answered                      // the peer sent its SYN
	established                   // the opener acknowledged it
	finOpener                     // FIN from the opener
	finPeer
	rstOpener // RST from the opener, which has sent nothing since
	rstPeer
)

// Phase sums a State up.
type Phase uint8

const (
	Opening     Phase = iota // the handshake is not complete
	Established              // also half-closed: one side has sent its FIN
	Closing                  // FIN from both sides, or a RST
)

func (p Phase) String() string {
	switch p {
	case Opening:
		return "opening"
	case Established:
		return "established"
	}
	return "closing"
}

// Phase of the connection.
func (s State) Phase() Phase {
	const bothFIN = finOpener | finPeer
	switch {
	case s&(rstOpener|rstPeer) != 0, s&bothFIN == bothFIN:
		return Closing
	case s&established != 0:
		return Established
	}
	return Opening
}

// Opens tells whether a segment with these flags asks for a new connection: a
// SYN without ACK on a connection that is over (or never was). Its sender is
// the opener from now on.
func (s State) Opens(flags uint8) bool {
	return flags&(packet.FlagSYN|packet.FlagACK|packet.FlagRST) == packet.FlagSYN && (s == 0 || s.Phase() == Closing)
}

// Next is the state after a segment with these flags. A connection whose
// beginning was not seen counts as established: a rule has let it pass, and
// its idle time is that of any other connection.
func (s State) Next(fromOpener bool, flags uint8) State {
	fin, rst := finPeer, rstPeer
	if fromOpener {
		fin, rst = finOpener, rstOpener
	}
	switch {
	case flags&packet.FlagRST != 0:
		return s | seen | rst
	case s.Opens(flags):
		return seen
	case s == 0:
		s = seen | answered | established
	case flags&packet.FlagSYN != 0 && !fromOpener:
		s |= answered
	case flags&packet.FlagACK != 0 && s&answered != 0:
		s |= established
	}
	// A host that goes on after "its" RST did not send that RST: a forged or
	// an old one must not shorten the life of the connection.
	s &^= rst
	if flags&packet.FlagFIN != 0 {
		s |= fin
	}
	return s
}
