package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// What follows the nonce in UDP and ICMP data: a mark, for who meets it in a capture; to
// the port of DNS, the rest of a question (RFC 1035 4.1), as a server answers nothing
// else. The nonce is the question's identifier and flags then.
const (
	mark        = "vpcemu check"
	dnsPort     = 53
	dnsFlags    = 0x0100 // recursion desired
	dnsQuestion = "\x00\x01\x00\x00\x00\x00\x00\x00" + "\x0cvpcemu-check\x00" + "\x00\x01\x00\x01"
)

func newNonce(s Spec) uint32 {
	n := rand.Uint32() | 1 // 0 would leave the kernel its own number
	if s.Protocol == packet.ProtoUDP && s.Port == dnsPort {
		n = n&^0xffff | dnsFlags
	}
	return n
}

func (p *Probe) payload() []byte {
	rest := mark
	if p.spec.Protocol == packet.ProtoUDP && p.spec.Port == dnsPort {
		rest = dnsQuestion
	}
	return append(binary.BigEndian.AppendUint32(nil, p.nonce), rest...)
}

func (p *Probe) isPayload(b []byte) bool { return bytes.HasPrefix(b, p.payload()) }

// open makes the sender's socket and binds it to the source, if one is wanted.
func (p *Probe) open(typ, proto int) (err error) {
	if p.sender, err = newSocket(unix.AF_INET, typ, proto); err != nil || !p.spec.Source.IsValid() {
		return err
	}
	return p.sender.do(func(fd int) error {
		return os.NewSyscallError("bind", unix.Bind(fd, sockaddr(p.spec.Source, 0)))
	})
}

// openTCP makes a socket whose connection will start with the nonce. The sequence
// number can be set while the socket is under repair (tcp(7), TCP_REPAIR); the connection
// itself is then an ordinary one.
func (p *Probe) openTCP() error {
	if err := p.open(unix.SOCK_STREAM, 0); err != nil {
		return err
	}
	return p.sender.do(func(fd int) error {
		for _, o := range []struct{ name, value int }{
			{unix.TCP_REPAIR, 1}, {unix.TCP_REPAIR_QUEUE, 2 /* TCP_SEND_QUEUE */}, {unix.TCP_QUEUE_SEQ, int(int32(p.nonce))}, {unix.TCP_REPAIR, 0},
		} {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, o.name, o.value); err != nil {
				return os.NewSyscallError("TCP_REPAIR", err)
			}
		}
		return nil
	})
}

// connect sends the SYN.
func (p *Probe) connect() error {
	err := p.sender.do(func(fd int) error { return unix.Connect(fd, sockaddr(p.spec.Destination, p.spec.Port)) })
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return os.NewSyscallError("connect", err)
	}
	from, err := p.sender.local()
	p.sent = packet.Tuple{Src: packet.AddrFrom(from.Addr()), Dst: packet.AddrFrom(p.spec.Destination),
		SrcPort: from.Port(), DstPort: p.spec.Port, Proto: packet.ProtoTCP}
	return err
}

// awaitConnect waits for what the connection comes to.
func (p *Probe) awaitConnect() {
	result := 0
	err := p.sender.rc.Write(func(fd uintptr) bool {
		// Asked anew each time: the poller tells of changes only, and one may be past.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		if n > 0 {
			result, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		}
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
	switch errno := unix.Errno(result); {
	case err != nil: // closed
	case errno == 0:
		p.tell(Event{What: Connected})
	case errno == unix.ECONNREFUSED || errno == unix.ECONNRESET:
		p.tell(Event{What: Refused})
	default:
		p.tell(Event{What: Failed, Err: os.NewSyscallError("connect", errno)})
	}
}

func (p *Probe) openUDP() error {
	if err := p.open(unix.SOCK_DGRAM, 0); err != nil {
		return err
	}
	return p.aim(p.spec.Port)
}

// openICMP makes a raw socket: the kernel's own for ping is not open to everyone.
func (p *Probe) openICMP() error {
	if err := p.open(unix.SOCK_RAW, unix.IPPROTO_ICMP); err != nil {
		return err
	}
	return p.aim(0)
}

// aim connects a datagram socket, which makes the kernel choose the source address.
func (p *Probe) aim(port uint16) error {
	err := p.sender.do(func(fd int) error {
		return os.NewSyscallError("connect", unix.Connect(fd, sockaddr(p.spec.Destination, port)))
	})
	if err != nil {
		return err
	}
	from, err := p.sender.local()
	p.sent = packet.Tuple{Src: packet.AddrFrom(from.Addr()), Dst: packet.AddrFrom(p.spec.Destination),
		SrcPort: from.Port(), DstPort: port, Proto: p.spec.Protocol}
	if p.spec.Protocol == packet.ProtoICMP {
		p.sent.SrcPort = uint16(p.nonce) // the identifier
	}
	return err
}

func (p *Probe) sendDatagram() error {
	data := p.payload()
	if p.spec.Protocol == packet.ProtoICMP {
		whole := packet.BuildICMPEcho(nil, p.sent.Src, p.sent.Dst, false, p.sent.SrcPort, 1, data)
		data = whole[20:] // the kernel makes the IP header
	}
	return p.sender.do(func(fd int) error {
		err := unix.Send(fd, data, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.ECONNREFUSED) { // about an earlier one: it is an answer, and read as one
			p.tell(Event{What: Refused})
			return nil
		}
		return os.NewSyscallError("send", err)
	})
}

// isReply tells whether what was read answers the probe: its data, or an ICMP echo
// reply with its identifier and data behind the IP header.
func (p *Probe) isReply(b []byte) bool {
	if p.spec.Protocol == packet.ProtoUDP {
		// A program that listens there answers as it likes.
		return len(b) > 0
	}
	var h packet.Header
	if h.Parse(b) != 0 || h.ICMPType != packet.ICMPEchoReply || h.DstPort != uint16(p.nonce) {
		return false
	}
	return p.isPayload(h.Data[h.L4+8:])
}
