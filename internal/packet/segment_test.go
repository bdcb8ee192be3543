package packet

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// slowSegments makes each packet on the wire from nothing.
func slowSegments(tu Tuple, tcp bool, flags uint8, seq uint32, id uint16, payload []byte, size int) [][]byte {
	var out [][]byte
	for at := 0; at < len(payload); at += size {
		p := payload[at:min(at+size, len(payload))]
		var b []byte
		if tcp {
			f := flags
			if at+size < len(payload) {
				f &= 0xff - 0x09 // FIN, PSH
			}
			if at > 0 {
				f &= 0x7f // CWR
			}
			b = BuildTCP(nil, tu, f, seq+uint32(at), 22, p)
		} else {
			b = BuildUDP(nil, tu, 64, p)
		}
		SetDF(b)
		SetIPID(b, id+uint16(at/size))
		out = append(out, b)
	}
	return out
}

func segments(t rapid.TB, h *Header, o Offload) [][]byte {
	t.Helper()
	var out [][]byte
	if err := Segment(make([]byte, h.WireLen(o)), h, o, func(b []byte) { out = append(out, slices.Clone(b)) }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSegment_AgainstPacketsMadeOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4, tcp := rapid.Bool().Draw(t, "v4"), rapid.Bool().Draw(t, "tcp")
		tu := Tuple{
			Src: genAddr(v4).Draw(t, "src"), Dst: genAddr(v4).Draw(t, "dst"),
			SrcPort: rapid.Uint16().Draw(t, "sport"), DstPort: rapid.Uint16().Draw(t, "dport"),
		}
		flags := rapid.Uint8().Draw(t, "flags") &^ (FlagSYN | FlagRST | FlagURG)
		seq, id := rapid.Uint32().Draw(t, "seq"), rapid.Uint16().Draw(t, "id")
		payload := rapid.SliceOfN(rapid.Byte(), 2, 300).Draw(t, "payload")
		size := rapid.IntRange(3, 100).Draw(t, "size")
		typ := uint8(vnetUDPL4)
		super := BuildUDP(nil, tu, 64, payload)
		if tcp {
			super = BuildTCP(nil, tu, flags, seq, 22, payload)
			if typ = vnetTCPv4; !v4 {
				typ = vnetTCPv6
			}
		}
		SetDF(super)
		SetIPID(super, id)
		h := mustParse(t, super)
		o, m := h.ReadVnet(vnet(0, typ, size, 0, 0), 0)
		if m != 0 {
			t.Fatal(m)
		}
		before := slices.Clone(h.Data)
		got := segments(t, h, o)
		want := slowSegments(tu, tcp, flags, seq, id, payload, size)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("got\n% x\nwant\n% x", got, want)
		}
		if !bytes.Equal(before, h.Data) {
			t.Fatal("the super-packet was changed")
		}
		total := 0
		for _, b := range got {
			total += len(b)
		}
		if len(got) != o.Segments || total != h.WireBytes(o) || len(got[0]) != h.WireLen(o) {
			t.Fatalf("%d packets, %d bytes, first %d; said were %d, %d, %d", len(got), total, len(got[0]), o.Segments, h.WireBytes(o), h.WireLen(o))
		}
	})
}

func TestSegment_RepeatsIPOptions(t *testing.T) {
	b := AddIPOptions(nil, BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, make([]byte, 25)), []byte{0x94, 4, 0, 0})
	h := mustParse(t, b)
	o, m := h.ReadVnet(vnet(0, vnetUDPL4, 10, 0, 0), 0)
	if m != 0 {
		t.Fatal(m)
	}
	for i, s := range segments(t, h, o) {
		mustVerify(t, s)
		if g := mustParse(t, s); !g.HasOptions || len(g.Payload()) != min(10, 25-10*i) || int(g.FragID) != i {
			t.Errorf("segment %d: options %v, %d bytes, id %d", i, g.HasOptions, len(g.Payload()), g.FragID)
		}
	}
}

// What is no super-packet comes out alone, with the checksum that it would have on a wire.
func TestSegment_OrdinaryPacket(t *testing.T) {
	want := BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, []byte("hello"))
	h := mustParse(t, slices.Clone(want))
	h.makePartial()
	if got := segments(t, h, Offload{Segments: 1}); len(got) != 1 || !bytes.Equal(got[0], want) || !h.PartialChecksum {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestSegment_Refusals(t *testing.T) {
	super := func() *Header { return mustParse(t, BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, make([]byte, 100))) }
	damaged := super()
	damaged.Data[10]++
	for _, c := range []struct {
		h    *Header
		o    Offload
		want error
	}{
		{damaged, Offload{GSO: GSOUDP, Size: 10, Segments: 10}, ErrHeaderChecksum},
		{super(), Offload{GSO: GSOUDP, Size: 10, Segments: 11}, ErrOffload},
		{super(), Offload{GSO: GSOUDP, Size: 0, Segments: 10}, ErrOffload},
		{super(), Offload{GSO: GSOUDP, Size: 100, Segments: 1}, ErrOffload},
		{super(), Offload{GSO: GSOTCP, Size: 10, Segments: 10}, ErrOffload},
		{super(), Offload{GSO: GSOUDP + 1, Size: 10, Segments: 10}, ErrOffload},
		{&Header{}, Offload{GSO: GSOUDP, Size: 10, Segments: 10}, ErrOffload},
	} {
		err := Segment(nil, c.h, c.o, func([]byte) { t.Errorf("%+v: something was emitted", c.o) })
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.o, err, c.want)
		}
	}
}

func FuzzReadVnet(f *testing.F) {
	super := BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagACK|FlagPSH|FlagCWR, 1, 1, make([]byte, 3000))
	f.Add(vnet(1, 0x81, 1448, 20, 16), super, false)
	f.Add(vnet(1, 5, 100, 54, 6), BuildUDP(nil, tup(host6A, host6B, 1, 2), 64, make([]byte, 250)), true)
	f.Add(vnet(1, 0, 0, 0, 12), super[:40], false)
	for _, b := range seeds() {
		f.Add(vnet(1, 0, 0, 20, 6), b, false)
		f.Add(vnet(1, 1, 3, 34, 16), b, true)
	}
	f.Fuzz(func(t *testing.T, v, in []byte, tap bool) {
		var h Header
		if h.Parse(slices.Clone(in)) != 0 {
			return
		}
		l2 := 0
		if tap {
			l2 = 14
		}
		o, m := h.ReadVnet(v, l2)
		if m != 0 {
			if m >= MalformedCount || h.Version != 0 {
				t.Fatalf("reason %d, version %d", m, h.Version)
			}
			return
		}
		checkOffsets(t, &h, h.Data)
		checkSegments(t, &h, o)
		checkVnetAgain(t, &h, o)
	})
}

func checkSegments(t *testing.T, h *Header, o Offload) {
	right := h.Version == 6 || headerSumOK(h.Data)
	var payload []byte
	count, total, largest := 0, 0, 0
	err := Segment(nil, h, o, func(b []byte) {
		g := mustParse(t, b)
		if o.GSO != GSONone {
			mustVerify(t, b)
			payload = append(payload, g.Payload()...)
		}
		count, total, largest = count+1, total+len(b), max(largest, len(b))
	})
	if o.GSO != GSONone && !right {
		if !errors.Is(err, ErrHeaderChecksum) || count != 0 {
			t.Fatalf("damaged header: %v, %d segments", err, count)
		}
		return
	}
	if err != nil || count != o.Segments || total != h.WireBytes(o) || largest != h.WireLen(o) {
		t.Fatalf("%v: %d packets, %d bytes, largest %d; said were %d, %d, %d", err, count, total, largest, o.Segments, h.WireBytes(o), h.WireLen(o))
	}
	if o.GSO != GSONone && !bytes.Equal(payload, h.Payload()) {
		t.Fatalf("%d bytes of payload came out of %d", len(payload), len(h.Payload()))
	}
}

// checkVnetAgain reads back what is written for a device.
func checkVnetAgain(t *testing.T, h *Header, o Offload) {
	v := make([]byte, VnetLen)
	h.PutVnet(v, o, 14)
	again := mustParse(t, h.Data)
	if o2, m := again.ReadVnet(v, 14); m != 0 || o2 != o || again.PartialChecksum != h.PartialChecksum {
		t.Fatalf("wrote % x for %+v partial %v; read %+v %v partial %v", v, o, h.PartialChecksum, o2, m, again.PartialChecksum)
	}
}
