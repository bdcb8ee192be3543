package host

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/tun"
)

// A datagram written to the queue reaches the socket inside, and the answer
// comes out of the queue.
func TestServices_SocketsInsideQueueOutside(t *testing.T) {
	addr := netip.MustParseAddr("172.30.0.2")
	s, err := NewServices([]netip.Addr{addr, netip.MustParseAddr("169.254.169.253")}, 9001)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.ListenPacket(netip.AddrPortFrom(addr, 53))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if l, err := s.Listen(netip.AddrPortFrom(addr, 53)); err != nil {
		t.Fatal(err)
	} else {
		defer l.Close()
	}
	if ifs, err := net.InterfaceAddrs(); err != nil || contains(ifs, "172.30.0.2/32") {
		t.Fatalf("the address is on the host, not in the namespace: %v, %v", ifs, err)
	}
	// 172.30.0.10:40000 -> 172.30.0.2:53, "hi"; UDP checksum 0 means none.
	query := []byte{0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 172, 30, 0, 10, 172, 30, 0, 2,
		0x9c, 0x40, 0, 53, 0, 10, 0, 0, 'h', 'i'}
	sum := 0
	for i := 0; i < 20; i += 2 {
		sum += int(query[i])<<8 | int(query[i+1])
	}
	sum = (sum & 0xffff) + sum>>16
	query[10], query[11] = byte(^sum>>8), byte(^sum)
	if _, err := s.Queue.Write(append(make([]byte, tun.HeaderLen), query...)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, from, err := c.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "hi" || from.String() != "172.30.0.10:40000" {
		t.Fatalf("got %q from %v, %v", buf[:n], from, err)
	}
	if _, err := c.WriteTo([]byte("ho"), from); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(5 * time.Second); ; {
		n, err := s.Queue.Read(buf)
		if errors.Is(err, unix.EAGAIN) && time.Now().Before(limit) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		// Others are the kernel's own IPv6 noise.
		if ip := buf[tun.HeaderLen:n]; len(ip) == 30 && ip[9] == 17 && string(ip[28:]) == "ho" {
			break
		}
	}
}

func contains(addrs []net.Addr, want string) bool {
	for _, a := range addrs {
		if a.String() == want {
			return true
		}
	}
	return false
}
