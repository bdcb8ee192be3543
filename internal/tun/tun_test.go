package tun

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
)

// inside runs f on a thread that has a network namespace of its own, which ends with it.
func inside(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error)
	thread.Go(func() {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// up brings the device up with an address.
func up(name, addr string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(addr)
	if err != nil {
		return err
	}
	return errors.Join(netlink.AddrAdd(link, a), netlink.LinkSetMTU(link, 1500), netlink.LinkSetUp(link))
}

// wait reads until a packet satisfies f.
func wait(q *Queue, f func(b []byte) bool) error {
	b := make([]byte, 65536+HeaderLen)
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); {
		n, err := q.Read(b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			time.Sleep(time.Millisecond)
		case err != nil:
			return err
		case f(b[:n]):
			return nil
		}
	}
	return errors.New("nothing came")
}

func TestQueueCarriesSuperPacketsBothWays(t *testing.T) {
	inside(t, func() error {
		f, err := Make("tun7", false)
		if err != nil {
			return err
		}
		q, err := NewQueue(f, "seven")
		if err != nil {
			return err
		}
		defer q.Close()
		if got := q.Features(); got.Ethernet || !got.Header || q.String() != "seven" {
			t.Errorf("features %+v of %s", got, q)
		}
		if err := up("tun7", "10.9.0.1/24"); err != nil {
			return err
		}
		c, err := net.ListenPacket("udp4", "10.9.0.1:5000")
		if err != nil {
			return err
		}
		defer c.Close()
		raw, err := c.(*net.UDPConn).SyscallConn()
		if err != nil {
			return err
		}
		var failed error
		if err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, 1000)
		}); err != nil || failed != nil {
			return errors.Join(err, failed)
		}
		if _, err := c.WriteTo(make([]byte, 8000), &net.UDPAddr{IP: net.IPv4(10, 9, 0, 2), Port: 6000}); err != nil {
			return err
		}
		if !q.Features().UDP {
			return nil // before Linux 6.2 the kernel cuts datagrams itself
		}
		var super []byte
		if err := wait(q, func(b []byte) bool {
			super = append([]byte(nil), b...)
			return len(b) == HeaderLen+20+8+8000
		}); err != nil {
			return err
		}
		if super[1] != 5 || int(super[4])|int(super[5])<<8 != 1000 || super[0]&1 == 0 {
			t.Errorf("virtio-net header % x", super[:HeaderLen])
		}
		// Sent back, it comes to the socket as the eight datagrams that it is.
		ip := super[HeaderLen:]
		ip[15], ip[19] = 2, 1                             // addresses swapped: the sums stay
		ip[20], ip[21], ip[22], ip[23] = 23, 112, 19, 136 // 6000 > 5000
		if _, err := q.Write(super); err != nil {
			return err
		}
		for i := range 8 {
			b := make([]byte, 9000)
			if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				return err
			}
			if n, _, err := c.ReadFrom(b); err != nil || n != 1000 {
				t.Errorf("datagram %d: %d bytes, %v", i, n, err)
			}
		}
		return nil
	})
}

// Whoever holds a queue and does not read it is not woken for its packets, and another
// process's duplicate is read like the first.
func TestQueueIsNobodysUntilItIsRead(t *testing.T) {
	inside(t, func() error {
		f, err := Make("tap7", true)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.SetDeadline(time.Now()); !errors.Is(err, os.ErrNoDeadline) {
			t.Errorf("the runtime polls the queue: %v", err)
		}
		raw, err := f.SyscallConn()
		if err != nil {
			return err
		}
		var dup int
		if err := raw.Control(func(fd uintptr) { dup, err = unix.Dup(int(fd)) }); err != nil {
			return err
		}
		q, err := NewQueue(os.NewFile(uintptr(dup), "dup"), "dup")
		if err != nil {
			return err
		}
		if got := q.Features(); !got.Ethernet || !got.Header {
			t.Errorf("features %+v", got)
		}
		if _, err := q.Read(make([]byte, 2000)); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("empty queue: %v", err)
		}
		if err := errors.Join(q.Close(), q.Close()); err != nil || q.Descriptor() != -1 {
			t.Errorf("closed twice: %v, descriptor %d", err, q.Descriptor())
		}
		return nil
	})
}

func TestOtherDescriptorsHaveNoFeatures(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	q, err := NewQueue(r, "pipe")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if q.Features() != (Features{}) {
		t.Errorf("features %+v", q.Features())
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := q.Read(make([]byte, 8)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if n, err := q.Read(nil); n != 0 || !errors.Is(err, unix.EINVAL) {
		t.Errorf("read into nothing: %d, %v", n, err)
	}
}

// A device that cannot be made leaves none behind, and the error names it.
func TestMakeFails(t *testing.T) {
	inside(t, func() error {
		if f, err := Make("tun8", false); err != nil {
			return err
		} else {
			defer f.Close()
		}
		if f, err := Make("tun8", true); err == nil {
			f.Close()
			t.Error("a TAP of the name of a TUN was made")
		} else if want := "device tun8: "; len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("error %q", err)
		}
		return nil
	})
}
