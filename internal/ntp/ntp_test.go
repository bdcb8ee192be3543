package ntp

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"
)

// request is a question of a client that sends at t.
func request(version byte, t time.Time) []byte {
	b := make([]byte, packetSize)
	b[0], b[2] = version<<3|modeClient, 6
	stamp(b[40:], t)
	return b
}

// timeOf reads a time stamp of era 0, 1900 to 2036.
func timeOf(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint32(b))-epoch, int64(uint64(binary.BigEndian.Uint32(b[4:]))*1e9>>32))
}

func serve(t *testing.T, now func() time.Time) net.Conn {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(pc, now)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
	c, err := net.Dial("udp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTI01_AnswersClients(t *testing.T) {
	now := time.Date(2026, 11, 28, 1, 2, 3, 456789000, time.UTC)
	c := serve(t, func() time.Time { return now })
	for _, version := range []byte{3, 4} {
		sent := now.Add(-time.Hour) // the client is an hour late
		if _, err := c.Write(request(version, sent)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1024)
		n, err := c.Read(b)
		if err != nil || n != packetSize {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if b[0] != version<<3|modeServer || b[1] != stratum || b[2] != 6 {
			t.Errorf("version %d: leap, version, mode, stratum and poll are % x", version, b[:3])
		}
		near := func(what string, got, want time.Time) {
			if d := got.Sub(want).Abs(); d > time.Microsecond {
				t.Errorf("version %d: %s %v, want %v", version, what, got, want)
			}
		}
		near("origin", timeOf(b[24:]), sent)
		near("receive", timeOf(b[32:]), now)
		near("transmit", timeOf(b[40:]), now)
		near("reference", timeOf(b[16:]), now.Truncate(time.Second))
		if !bytes.Equal(b[24:32], request(version, sent)[40:48]) {
			t.Errorf("version %d: the origin is not the question's bit by bit", version)
		}
		if delay, dispersion := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]); delay != 0 || dispersion == 0 || dispersion >= 1<<16 {
			t.Errorf("version %d: root delay %d, dispersion %d", version, delay, dispersion)
		}
	}
}

func TestTI01_AnswersNothingElse(t *testing.T) {
	now := time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC)
	good := request(4, now)
	for name, change := range map[string]func(b []byte) []byte{
		"too short":      func(b []byte) []byte { return b[:47] },
		"empty":          func(b []byte) []byte { return nil },
		"version 2":      func(b []byte) []byte { b[0] = 2<<3 | modeClient; return b },
		"version 5":      func(b []byte) []byte { b[0] = 5<<3 | modeClient; return b },
		"symmetric":      func(b []byte) []byte { b[0] = 4<<3 | 1; return b },
		"a server's":     func(b []byte) []byte { b[0] = 4<<3 | modeServer; return b },
		"broadcast":      func(b []byte) []byte { b[0] = 4<<3 | 5; return b },
		"control":        func(b []byte) []byte { b[0] = 4<<3 | 6; return b },
		"private (ntpd)": func(b []byte) []byte { b[0] = 3<<3 | 7; return b },
	} {
		if reply(new([packetSize]byte), change(bytes.Clone(good)), now) {
			t.Errorf("%s: answered", name)
		}
	}
	if !reply(new([packetSize]byte), append(bytes.Clone(good), make([]byte, 20)...), now) {
		t.Error("a question with a signature behind it is not answered")
	}
}

// In 2036 the seconds go round: a client takes the time that is nearest to its own.
func TestStamp_Eras(t *testing.T) {
	var b [8]byte
	stamp(b[:], time.Unix(1<<32-epoch, 500_000_000))
	if want := [8]byte{0, 0, 0, 0, 0x80}; b != want {
		t.Errorf("% x, want % x", b, want)
	}
	stamp(b[:], time.Unix(0, 999_999_999))
	if want := [8]byte{0x83, 0xaa, 0x7e, 0x80, 0xff, 0xff, 0xff, 0xfb}; b != want {
		t.Errorf("% x, want % x", b, want)
	}
}

func FuzzReply(f *testing.F) {
	now := time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC)
	f.Add(request(4, now))
	f.Add(request(3, now)[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		var answer [packetSize]byte
		if !reply(&answer, b, now) {
			return
		}
		if len(b) < len(answer) {
			t.Fatalf("%d bytes are answered by %d", len(b), len(answer))
		}
		if reply(new([packetSize]byte), answer[:], now) {
			t.Fatal("an answer is answered")
		}
	})
}
