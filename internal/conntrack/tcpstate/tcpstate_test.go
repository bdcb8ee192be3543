package tcpstate

import (
	"testing"

	"github.com/vpcemu/vpcemu/internal/packet"
)

const (
	FIN = packet.FlagFIN
	SYN = packet.FlagSYN
	RST = packet.FlagRST
	ACK = packet.FlagACK
)

func TestNext(t *testing.T) {
	type seg struct {
		fromOpener bool
		flags      uint8
	}
	out := func(f uint8) seg { return seg{true, f} }
	in := func(f uint8) seg { return seg{false, f} }
	handshake := []seg{out(SYN), in(SYN | ACK), out(ACK)}
	after := func(more ...seg) []seg { return append(handshake[:3:3], more...) }
	for _, tt := range []struct {
		name string
		segs []seg
		want Phase
	}{
		{"SYN", []seg{out(SYN)}, Opening},
		{"SYN sent again", []seg{out(SYN), out(SYN)}, Opening},
		{"SYN and its answer", []seg{out(SYN), in(SYN | ACK)}, Opening},
		{"handshake", handshake, Established},
		{"answer sent again", after(in(SYN | ACK)), Established},
		{"SYN in mid connection", after(out(SYN)), Established},
		{"challenge ACK instead of an answer", []seg{out(SYN), in(ACK)}, Opening},
		{"opener goes on without an answer", []seg{out(SYN), out(ACK)}, Opening},
		{"simultaneous open", []seg{out(SYN), in(SYN), out(SYN | ACK), in(SYN | ACK)}, Established},
		{"refused", []seg{out(SYN), in(RST | ACK)}, Closing},
		{"refused, tried again", []seg{out(SYN), in(RST | ACK), out(SYN)}, Opening},
		{"picked up in the middle", []seg{out(ACK)}, Established},
		{"picked up at the answer", []seg{out(SYN | ACK)}, Established},
		{"picked up at a FIN", []seg{out(FIN | ACK)}, Established},
		{"picked up at a RST", []seg{out(RST)}, Closing},
		{"half closed", after(out(FIN | ACK)), Established},
		{"data after half close", after(out(FIN|ACK), in(ACK)), Established},
		{"closed", after(out(FIN|ACK), in(FIN|ACK)), Closing},
		{"closed, last ACK", after(in(FIN|ACK), out(FIN|ACK), in(ACK)), Closing},
		{"closed, opened again", after(in(FIN|ACK), out(FIN|ACK), out(SYN)), Opening},
		{"reset", after(in(RST)), Closing},
		{"reset, crossing data", after(in(RST), out(ACK)), Closing},
		{"reset was forged", after(in(RST), out(ACK), in(ACK)), Established},
	} {
		var s State
		for _, g := range tt.segs {
			s = s.Next(g.fromOpener, g.flags)
		}
		if got := s.Phase(); got != tt.want {
			t.Errorf("%s: %s, want %s (state %#x)", tt.name, got, tt.want, s)
		}
	}
}

func TestOpens(t *testing.T) {
	var none State
	open := none.Next(true, SYN)
	closed := open.Next(false, RST)
	for _, tt := range []struct {
		s     State
		flags uint8
		want  bool
	}{
		{none, SYN, true}, {none, SYN | ACK, false}, {none, ACK, false}, {none, SYN | RST, false},
		{open, SYN, false}, {closed, SYN, true}, {closed, SYN | ACK, false}, {closed, ACK, false},
	} {
		if got := tt.s.Opens(tt.flags); got != tt.want {
			t.Errorf("state %#x, flags %#x: opens %v, want %v", tt.s, tt.flags, got, tt.want)
		}
	}
}
