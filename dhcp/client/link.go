package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/packet"
)

const (
	serverPort = 67
	clientPort = 68
)

var errLinkGone = errors.New("interface is gone")

// packetLink is a link over AF_PACKET sockets. It is not safe for concurrent use.
type packetLink struct {
	name     string
	index    int
	ethernet bool

	sock    *os.File
	port    int // UDP socket that keeps the port, or -1
	readers sync.WaitGroup
	quit    chan struct{}
}

func (l *packetLink) NeedsHW() bool { return l.ethernet }

// Open makes the socket, and gives it its filter before it is bound, so that no other packet ever gets in.
func (l *packetLink) Open() (<-chan datagram, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	if err := prepare(fd, l.index); err != nil {
		unix.Close(fd)
		return nil, err
	}
	l.sock, l.port, l.quit = os.NewFile(uintptr(fd), "dhcp "+l.name), holdPort(l.name), make(chan struct{})
	out := make(chan datagram)
	l.readers.Add(1)
	go l.read(l.sock, l.quit, out)
	return out, nil
}

func prepare(fd, index int) error {
	prog := unix.SockFprog{Len: uint16(len(toClientPort)), Filter: &toClientPort[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("packet filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP), Ifindex: index}); err != nil {
		return fmt.Errorf("binding packet socket: %w", err)
	}
	return nil
}

// toClientPort passes UDP to port 68, first fragments only. Offsets count from the IP header.
var toClientPort = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 6, K: unix.IPPROTO_UDP},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 6},
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 4, K: 0x3fff},
	{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 2},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: clientPort},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// holdPort binds the client's UDP port without reading from it. A reply to an address that is already
// configured also goes up the host's stack, which would answer "port unreachable" otherwise. Another DHCP
// client that owns the port serves as well, so failure is none.
func holdPort(iface string) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.BindToDevice(fd, iface), unix.Bind(fd, &unix.SockaddrInet4{Port: clientPort}))
	if err != nil {
		unix.Close(fd)
		return -1
	}
	return fd
}

// read passes datagrams on until Close. A read error other than "down" means the interface is gone.
func (l *packetLink) read(sock *os.File, quit <-chan struct{}, out chan<- datagram) {
	defer l.readers.Done()
	defer close(out)
	raw, err := sock.SyscallConn()
	if err != nil {
		return
	}
	buf, oob := make([]byte, 65536), make([]byte, 64)
	for {
		var n, oobn int
		var from unix.Sockaddr
		var rerr error
		err := raw.Read(func(fd uintptr) bool {
			for rerr = unix.EINTR; rerr == unix.EINTR; {
				n, oobn, _, from, rerr = unix.Recvmsg(int(fd), buf, oob, 0)
			}
			return rerr != unix.EAGAIN
		})
		if err != nil || rerr != nil && rerr != unix.ENETDOWN {
			return
		}
		if rerr != nil {
			continue
		}
		g, ok := unwrap(buf[:n], checksumPending(oob[:oobn]))
		if !ok {
			continue
		}
		if ll, isLL := from.(*unix.SockaddrLinklayer); isLL && ll.Halen == 6 {
			g.hw = append(g.hw, ll.Addr[:6]...)
		}
		select {
		case out <- g:
		case <-quit:
			return
		}
	}
}

// unwrap takes the payload out of an IP packet, as a copy. A checksum that the sending kernel left to
// hardware is not there to be verified.
func unwrap(b []byte, pending bool) (datagram, bool) {
	var h packet.Header
	if h.Parse(b) != 0 || !h.IsUDP() || h.IsFragment() || h.SrcPort != serverPort || h.DstPort != clientPort {
		return datagram{}, false
	}
	if !pending && packet.VerifyChecksums(h.Data) != nil {
		return datagram{}, false
	}
	return datagram{payload: append([]byte(nil), h.Payload()...)}, true
}

// checksumPending reads TP_STATUS_CSUMNOTREADY from the packet's auxiliary data.
func checksumPending(oob []byte) bool {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return false
	}
	for _, m := range msgs {
		if m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 4 {
			return binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_CSUMNOTREADY != 0
		}
	}
	return false
}

func (l *packetLink) Send(payload []byte, to route) error {
	t := packet.Tuple{Src: packet.AddrFrom(to.src), Dst: packet.AddrFrom(to.dst), SrcPort: clientPort, DstPort: serverPort, Proto: unix.IPPROTO_UDP}
	b := packet.BuildUDP(make([]byte, 0, 28+len(payload)), t, 64, payload)
	sa := &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP), Ifindex: l.index}
	if l.ethernet {
		sa.Halen = 6
		copy(sa.Addr[:], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		if len(to.hw) == 6 {
			copy(sa.Addr[:], to.hw)
		}
	}
	raw, err := l.sock.SyscallConn()
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	var serr error
	if err := raw.Control(func(fd uintptr) { serr = unix.Sendto(int(fd), b, 0, sa) }); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	switch serr {
	case nil:
		return nil
	case unix.ENXIO, unix.ENODEV:
		return fmt.Errorf("sending: %w: %w", errLinkGone, serr)
	default:
		return fmt.Errorf("sending: %w", serr)
	}
}

// Close ends the reader, then gives the port back.
func (l *packetLink) Close() {
	close(l.quit)
	l.sock.Close()
	l.readers.Wait()
	if l.port >= 0 {
		unix.Close(l.port)
	}
}

func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
