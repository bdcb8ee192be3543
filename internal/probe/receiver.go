package probe

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// openReceiver makes the receiver's sockets: one that sees the packet arrive, and for
// UDP one that answers.
func (p *Probe) openReceiver() error {
	s, err := newSocket(unix.AF_PACKET, unix.SOCK_DGRAM, 0) // nothing is received until it is bound
	if err != nil {
		return err
	}
	p.others = append(p.others, s)
	if err := s.filter(p.match()); err != nil {
		return err
	}
	err = s.do(func(fd int) error {
		return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_IP)}))
	})
	if err != nil {
		return err
	}
	p.readers.Go(func() { p.arrivals(s) })
	if p.spec.Protocol == packet.ProtoUDP {
		return p.openAnswerer()
	}
	return nil
}

// bigEndian is a number of 16 bits in network byte order, as link-layer sockets want it.
func bigEndian(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// match accepts IP packets with the nonce.
func (p *Probe) match() []bpf.Instruction {
	// The place of the nonce behind the IP header, and of what else is looked at.
	nonce, flag, mask, value := uint32(8), uint32(0), uint32(0), uint32(0) // UDP
	switch p.spec.Protocol {
	case packet.ProtoTCP:
		nonce, flag, mask, value = 4, 13, packet.FlagSYN|packet.FlagACK, packet.FlagSYN
	case packet.ProtoICMP:
		nonce, flag, mask, value = 8, 0, 0xff, packet.ICMPEcho
	}
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(p.spec.Protocol), SkipTrue: 9},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 7}, // a later fragment
		bpf.LoadMemShift{Off: 0},
		bpf.LoadIndirect{Off: nonce, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: p.nonce, SkipTrue: 4},
		bpf.LoadIndirect{Off: flag, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: value, SkipTrue: 1},
		bpf.RetConstant{Val: 256},
		bpf.RetConstant{Val: 0},
	}
}

// arrivals tells of the packets that come in by an interface.
func (p *Probe) arrivals(s *socket) {
	buf := make([]byte, 512)
	for {
		n, from, err := s.read(buf)
		if err != nil {
			if errors.Is(err, unix.ENETDOWN) { // an interface went; others may be there
				continue
			}
			return
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		var h packet.Header
		if !ok || link.Pkttype == unix.PACKET_OUTGOING || h.Parse(buf[:n]) != 0 {
			continue
		}
		p.tell(Event{What: Arrived, Tuple: h.Tuple})
	}
}

// openAnswerer makes what answers the datagram in the receiver's name: a socket on
// the port, or where a program has it, one beside it. Both are behind the receiver's
// firewall, unlike what sees arrivals.
func (p *Probe) openAnswerer() error {
	s, err := newSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	p.others = append(p.others, s)
	err = s.do(func(fd int) error { return unix.Bind(fd, sockaddr(p.spec.Local, p.spec.Port)) })
	switch {
	case err == nil:
		p.readers.Go(func() { p.answerOn(s) })
		return nil
	case errors.Is(err, unix.EADDRINUSE):
		return p.openBeside()
	case errors.Is(err, unix.EADDRNOTAVAIL): // the receiver has not configured the address, and drops the packet
		return nil
	}
	return os.NewSyscallError("bind", err)
}

func (p *Probe) answerOn(s *socket) {
	buf := make([]byte, 512)
	for {
		n, from, err := s.read(buf)
		switch {
		case errors.Is(err, unix.ECONNREFUSED):
		case err != nil:
			return
		case p.isPayload(buf[:n]):
			_ = s.do(func(fd int) error { return unix.Sendto(fd, buf[:n], 0, from) }) // the sender misses it
		}
	}
}

// openBeside makes a raw socket that gets a copy of the datagram, and answers.
func (p *Probe) openBeside() error {
	s, err := newSocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP)
	if err != nil {
		return err
	}
	p.others = append(p.others, s)
	if err := s.filter(p.match()); err != nil {
		return err
	}
	out, err := newSocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	p.others = append(p.others, out)
	// Bound, so that the route is that of answers from this address.
	err = out.do(func(fd int) error { return os.NewSyscallError("bind", unix.Bind(fd, sockaddr(p.spec.Local, 0))) })
	if err != nil {
		return err
	}
	p.readers.Go(func() { p.answerBeside(s, out) })
	return nil
}

func (p *Probe) answerBeside(s, out *socket) {
	buf := make([]byte, 512)
	for {
		n, from, err := s.read(buf)
		if err != nil {
			return
		}
		var h packet.Header
		if h.Parse(buf[:n]) != 0 || h.DstPort != p.spec.Port {
			continue
		}
		answer := packet.BuildUDP(nil, h.Tuple.Reverse(), 64, p.payload())
		_ = out.do(func(fd int) error { return unix.Sendto(fd, answer, 0, from) })
	}
}
