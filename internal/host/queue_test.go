package host_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/tun"
)

func sshKey(t *testing.T) (private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), string(ssh.MarshalAuthorizedKey(sshPub))
}

// queues takes the queues and closes them with the test.
func queues(t *testing.T, s *host.Sandbox) map[uint32]*os.File {
	t.Helper()
	q, err := s.Queues(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range q {
			f.Close()
		}
	})
	return q
}

// serve is the network at the other end of a queue, until the queue is closed: it answers DHCP from the reservation
// and every ping.
func serve(q *os.File, r *dhcp.Reservation) {
	buf, out := make([]byte, 65536+tun.HeaderLen), make([]byte, 65536+tun.HeaderLen)
	for {
		n, err := q.Read(buf)
		if err != nil {
			return
		}
		in, n := buf[tun.HeaderLen:], n-tun.HeaderLen
		var h packet.Header
		if h.Parse(in[:n]) != 0 {
			continue
		}
		var answer []byte
		switch {
		case r != nil && h.Proto == 17 && h.DstPort == 67:
			reply, _, err := dhcp.Serve(in[h.L4+8:n], r, time.Now())
			if err != nil || reply == nil {
				continue
			}
			answer = packet.BuildUDP(out[tun.HeaderLen:], packet.Tuple{Src: packet.AddrFrom(r.Subnet.Masked().Addr().Next()), SrcPort: 67,
				Dst: packet.AddrFrom(netip.MustParseAddr("255.255.255.255")), DstPort: 68, Proto: 17}, 64, reply)
		case h.Proto == 1 && h.ICMPType == 8:
			answer = packet.BuildICMPEcho(out[tun.HeaderLen:], h.Dst, h.Src, true, h.SrcPort, uint16(in[h.L4+6])<<8|uint16(in[h.L4+7]), in[h.L4+8:n])
		default:
			continue
		}
		if _, err := q.Write(out[:tun.HeaderLen+len(answer)]); err != nil {
			return
		}
	}
}

func TestQueues_CarryPacketsBothWays(t *testing.T) {
	h, cfg := newLab(t)
	s := start(t, h, internetHost("i-1", "web"))
	q := queues(t, s)
	if len(q) != 1 || q[7] == nil {
		t.Fatalf("queues %v", q)
	}
	go serve(q[7], nil)
	if out := shell(t, cfg, "i-1", "busybox ping -c 1 -W 5 198.51.100.1"); !strings.Contains(out, "1 packets received") {
		t.Errorf("ping: %s", out)
	}
	// Another daemon gets duplicates of the same queue: the carrier never goes.
	const carrier = "cat /sys/class/net/eth0/carrier /sys/class/net/eth0/carrier_down_count"
	before := shell(t, cfg, "i-1", carrier)
	q[7].Close()
	if got := shell(t, cfg, "i-1", carrier); got != before || !strings.HasPrefix(got, "1\n") {
		t.Errorf("carrier and how often it went: %q, before %q", got, before)
	}
	again := queues(t, s)
	go serve(again[7], nil)
	if out := shell(t, cfg, "i-1", "busybox ping -c 1 -W 5 198.51.100.1"); !strings.Contains(out, "1 packets received") {
		t.Errorf("ping through the second duplicate: %s", out)
	}
}

func reservation(addr, name string) *dhcp.Reservation {
	a := netip.MustParseAddr(addr)
	return &dhcp.Reservation{Addr: a, Subnet: netip.PrefixFrom(a, 24).Masked(), Router: netip.PrefixFrom(a, 24).Masked().Addr().Next(),
		MTU: 9001, HostName: name, DomainName: "ec2.internal", DNS: []netip.Addr{netip.MustParseAddr("172.30.0.2")}}
}

// An instance in a VPC gets everything from DHCP, and a secondary interface its own routing table; both come and
// go while it runs.
func TestNIC_LeaseAttachDetach(t *testing.T) {
	h, cfg := newLab(t)
	s := start(t, h, host.Spec{ID: "i-1", Name: "web", NICs: []host.NIC{{ID: "eni-1", Handle: 1, MAC: "0a:00:00:00:00:01"}}})
	q := queues(t, s)
	if st, err := s.Status(limited(t)); err != nil || st.State != "booting" {
		t.Errorf("before the lease: %+v, %v", st, err)
	}
	go serve(q[1], reservation("172.30.0.10", "ip-172-30-0-10"))
	if err := s.WaitReady(limited(t)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ script, want string }{
		{"hostname", "ip-172-30-0-10"},
		{"cat /etc/resolv.conf", "# Written from the DHCP lease.\nsearch ec2.internal\nnameserver 172.30.0.2"},
		{"ip -o -4 addr show eth0 | awk '{print $4,$6}'", "172.30.0.10/24 172.30.0.255"},
		{"ip -o -4 addr show eth0 | grep -c 'valid_lft 3[56]..sec'", "1"},
		{"cat /sys/class/net/eth0/mtu", "9001"},
		{"ip route", "default via 172.30.0.1 dev eth0 proto dhcp src 172.30.0.10 metric 512 onlink \n172.30.0.0/24 dev eth0 proto dhcp scope link src 172.30.0.10 metric 512 "},
		{"getent ahostsv4 $(hostname) | head -1 | cut -d' ' -f1", "127.0.1.1"},
	} {
		if got := shell(t, cfg, "i-1", c.script); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.script, got, c.want)
		}
	}
	second, err := s.AttachNIC(limited(t), host.NIC{ID: "eni-2", Handle: 2, DeviceIndex: 1, MAC: "0a:00:00:00:00:02"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close() })
	go serve(second, reservation("172.30.1.20", "ip-172-30-1-20"))
	eventually(t, "eth1 has its address", func() bool {
		st, err := s.Status(limited(t))
		return err == nil && len(st.NICs) == 2 && st.NICs[1].Addr.IsValid()
	})
	for _, c := range []struct{ script, want string }{
		{"hostname", "ip-172-30-0-10"},
		{"ip rule | grep 10001", "10001:\tfrom 172.30.1.20 lookup 10001"},
		{"ip route show table 10001 | head -1", "default via 172.30.1.1 dev eth1 proto dhcp src 172.30.1.20 metric 513 onlink "},
		{"ip route get 198.51.100.1 from 172.30.1.20 | grep -o 'dev eth1'", "dev eth1"},
		{"ip route get 198.51.100.1 | grep -o 'dev eth0'", "dev eth0"},
		{"ls /dev/net 2>&1 | grep -c 'No such'", "1"},
		{"busybox ping -c 1 -W 5 -I 172.30.1.20 198.51.100.1 | grep -o '1 packets received'", "1 packets received"},
	} {
		if got := shell(t, cfg, "i-1", c.script); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.script, got, c.want)
		}
	}
	if _, err := s.AttachNIC(limited(t), host.NIC{ID: "eni-3", Handle: 3, DeviceIndex: 1}); err == nil || !strings.Contains(err.Error(), "already attached") {
		t.Errorf("the same device index twice: %v", err)
	}
	if err := s.DetachNIC(limited(t), 2); err != nil {
		t.Fatal(err)
	}
	if got := shell(t, cfg, "i-1", "ip rule | grep -c 10001; ls /sys/class/net"); got != "0\neth0\nlo" {
		t.Errorf("after the detachment: %q", got)
	}
	if err := s.DetachNIC(limited(t), 2); err == nil {
		t.Error("detached twice")
	}
}

// A TAP carries Ethernet frames and has its interface's MAC.
func TestNIC_Tap(t *testing.T) {
	h, cfg := newLab(t)
	s := start(t, h, host.Spec{ID: "i-1", Name: "web", NICs: []host.NIC{{ID: "eni-1", Handle: 1, LinkType: "tap", MAC: "0a:00:00:00:00:0b", MTU: 9001}},
		Devices: []string{"/dev/net/tun"}})
	q := queues(t, s)[1]
	if got := shell(t, cfg, "i-1", "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu"); got != "0a:00:00:00:00:0b\n9001" {
		t.Errorf("MAC and MTU: %q", got)
	}
	shell(t, cfg, "i-1", "exec 3<>/dev/net/tun") // asked for
	read := make([]byte, 9100)
	if err := q.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := q.Read(read)
	n, frame := n-tun.HeaderLen, read[tun.HeaderLen:]
	if err != nil || n < 300 || string(frame[6:14]) != "\x0a\x00\x00\x00\x00\x0b\x08\x00" {
		t.Errorf("first frame: %v, % x", err, frame[:min(n, 20)])
	}
	// The descriptor is polled: a read that finds nothing waits for the deadline, not for ever.
	for err == nil {
		if err = q.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err == nil {
			_, err = q.Read(read)
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
