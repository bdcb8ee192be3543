package forward

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"
)

// pairs stands for two devices: what one end writes is what the forwarder reads.
func pairs(t *testing.T) (near, far [2]int) {
	t.Helper()
	for i := range near {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(fds[1], true); err != nil {
			t.Fatal(err)
		}
		near[i], far[i] = fds[0], fds[1]
	}
	return near, far
}

func TestBareForwardsBothWaysUntilTheEnd(t *testing.T) {
	near, far := pairs(t)
	done := make(chan error)
	go func() { done <- Bare(far[0], far[1]) }()
	for i := range 3 * budget { // more than one device's turn
		for side := range near {
			want := []byte{byte(i), byte(side), 7}
			if _, err := unix.Write(near[side], want); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 10)
			n, err := unix.Read(near[1-side], got)
			if err != nil || !bytes.Equal(got[:n], want) {
				t.Fatalf("packet %d from side %d: got % x, error %v", i, side, got[:n], err)
			}
		}
	}
	unix.Close(near[0])
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Errorf("Bare returned %v after a device was gone, want EOF", err)
	}
	for _, fd := range append(far[:], near[1]) {
		unix.Close(fd)
	}
}

// packet is one that a guest would write.
func packet(t testing.TB, ttl uint8, transport gopacket.SerializableLayer, payload string) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: ttl, SrcIP: net.IP{10, 0, 1, 10}, DstIP: net.IP{10, 0, 2, 10}}
	switch l := transport.(type) {
	case *layers.TCP:
		ip.Protocol = layers.IPProtocolTCP
		_ = l.SetNetworkLayerForChecksum(ip)
	case *layers.UDP:
		ip.Protocol = layers.IPProtocolUDP
		_ = l.SetNetworkLayerForChecksum(ip)
	default:
		ip.Protocol = layers.IPProtocolICMPv4
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, transport, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecrementChangesTheTTLAndItsChecksumAlone(t *testing.T) {
	for name, transport := range map[string]gopacket.SerializableLayer{
		"tcp":  &layers.TCP{SrcPort: 40000, DstPort: 5001, SYN: true, Window: 100, Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}}}},
		"udp":  &layers.UDP{SrcPort: 40000, DstPort: 5001},
		"icmp": &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 3, Seq: 4},
	} {
		before := packet(t, 64, transport, "hello")
		got, err := decrement(before)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := bytes.Clone(before)
		want[8] = 63
		want[10], want[11] = 0, 0
		binary.BigEndian.PutUint16(want[10:], headerSum(want[:20]))
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got\n% x, want\n% x", name, got, want)
		}
	}
	if _, err := decrement(packet(t, 1, &layers.UDP{}, "")); err == nil {
		t.Error("a packet with a TTL of 1 was forwarded")
	}
}

// headerSum is RFC 1071 word by word.
func headerSum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// FuzzDecrement: whatever a guest writes, the naive forwarder goes on, and forwards nothing whose TTL has not gone down.
func FuzzDecrement(f *testing.F) {
	f.Add(packet(f, 64, &layers.UDP{SrcPort: 1, DstPort: 2}, "x"))
	f.Add(packet(f, 2, &layers.TCP{SrcPort: 1, DstPort: 2, ACK: true}, ""))
	f.Add([]byte{0x45, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxPacket {
			return
		}
		ttl := byte(0)
		if len(b) > 8 {
			ttl = b[8]
		}
		if out, err := decrement(b); err == nil && (len(out) < 20 || out[8] != ttl-1) {
			t.Errorf("TTL %d became % x", ttl, out)
		}
	})
}
