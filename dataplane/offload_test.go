package dataplane_test

import (
	"fmt"
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// offloaded is the book with ports that carry super-packets, as TUN queues do.
func offloaded(t testing.TB) *book {
	b := newBook(t)
	for _, p := range []*Port{b.web.Port, b.db.Port, b.laptop.Port, b.server.Port} {
		p.Offload = true
	}
	b.db.Groups = []*Group{b.Group("db", In("all", "", "172.30.0.0/16"), Out("all", "", "0.0.0.0/0"))}
	return b.applied()
}

// uncut wants one super-packet of that many segments whose checksum is still partial.
func uncut(size uint16, segments int) Check {
	return func(r *Result) string {
		o := r.Out[0]
		if o.Offload.Size != size || o.Offload.Segments != segments || !o.Partial {
			return fmt.Sprintf("want %d segments of %d bytes, checksum partial; got %+v, partial %v", segments, size, o.Offload, o.Partial)
		}
		return ""
	}
}

// cut wants so many complete packets, none longer than the MTU, with all the payload.
func cut(port string, packets, mtu, payload int) Check {
	return func(r *Result) string {
		if len(r.Out) != packets {
			return fmt.Sprintf("want %d packets, got %s", packets, r.Event.Reason)
		}
		for _, o := range r.Out {
			h := Parse(o.Packet)
			if o.Port != port || o.Partial || o.Offload.GSO != packet.GSONone || len(h.Data) > mtu {
				return fmt.Sprintf("%s got %d bytes, %+v, partial %v", o.Port, len(h.Data), o.Offload, o.Partial)
			}
			if err := packet.VerifyChecksums(h.Data); err != nil {
				return err.Error()
			}
			payload -= len(h.Payload())
		}
		if payload != 0 {
			return fmt.Sprintf("%d bytes of payload are missing", payload)
		}
		return ""
	}
}

// what wants the event to tell of so many packets and bytes on the wire.
func what(packets, bytes int) Check {
	return func(r *Result) string {
		if r.Event.Packets != packets || r.Event.Size != bytes {
			return fmt.Sprintf("the event tells of %d packets and %d bytes, want %d and %d", r.Event.Packets, r.Event.Size, packets, bytes)
		}
		return ""
	}
}

func TestSuperPacketsCrossUncut(t *testing.T) {
	b := offloaded(t)
	const n = 60000
	tcp := func(from, to string) []byte { return DF(TCP(from, to, packet.FlagACK, n)) }
	for range 2 { // by the stages, then by the flow cache
		b.web.SendSuper(tcp(webIP+":1000", dbIP+":80"), 8948).Want(At("db"), uncut(8948, 7), what(7, n+7*40))
		b.web.SendSuper(tcp(webIP+":1000", serverIP+":80"), 1448).Want(At("server"), uncut(1448, 42), From(webEIP), what(42, n+42*40))
		b.laptop.SendSuper(tcp(laptopIP+":1000", webEIP+":80"), 1448).Want(At("web"), uncut(1448, 42), To(webIP))
		b.web.SendSuper(DF(UDP(webIP+":1000", dbIP+":53", 12000)), 1000).Want(At("db"), uncut(1000, 12), what(12, 12000+12*28))
		b.db.SendSuper(SYN(dbIP+":1000", serverIP+":80"), 0).Want(At("server"))
		b.db.SendSuper(tcp(dbIP+":1000", serverIP+":80"), 1448).Want(At("server"), uncut(1448, 42), From(natEIP))
	}
	// Segments are what is counted.
	want := uint64(2 * (7 + 42 + 42 + 12 + 1 + 42))
	if got := b.Engine.Counters()[dataplane.Delivered]; got != want {
		t.Errorf("%d packets counted, want %d", got, want)
	}
}

func TestPortsWithoutOffloadGetWhatIsOnTheWire(t *testing.T) {
	b := offloaded(t)
	b.web.SendSuper(SYN(webIP+":1", dbIP+":80"), 0).Want(At("db"))
	old := b.private.ENI("old", "172.30.1.30", b.open)
	tap := b.private.ENI("tap", "172.30.1.31", b.open).TAP()
	noUSO := b.private.ENI("nouso", "172.30.1.32", b.open)
	noUSO.Port.Offload, noUSO.Port.NoUSO = true, true
	b.Apply()
	for range 2 {
		b.web.SendSuper(DF(TCP(webIP+":1", "172.30.1.30:80", packet.FlagACK, 10000)), 1448).Want(cut("old", 7, 1488, 10000))
		b.web.SendSuper(DF(TCP(webIP+":1", "172.30.1.31:80", packet.FlagACK, 10000)), 1448).Want(cut("tap", 7, 1488, 10000))
		b.web.SendSuper(DF(UDP(webIP+":1", "172.30.1.32:80", 5000)), 1000).Want(cut("nouso", 5, 1028, 5000))
		b.web.SendSuper(DF(TCP(webIP+":1", "172.30.1.32:80", packet.FlagACK, 10000)), 1448).Want(At("nouso"), uncut(1448, 7))
		// A single packet with a partial checksum is completed.
		b.web.SendSuper(UDP(webIP+":1", "172.30.1.30:80", 100), 0).Want(At("old"))
	}
	_ = old
	_ = tap
}

func TestMT11_SegmentsAboveThePathMTU(t *testing.T) {
	b := offloaded(t)
	to, from := serverIP+":80", webIP+":1000"
	b.web.SendSuper(SYN(from, to), 0).Want(At("server"))
	// 64 KiB of small segments cross the Internet gateway; larger segments do not, and
	// the answer quotes one of them.
	fits := DF(TCP(from, to, packet.FlagACK, 60000))
	b.web.SendSuper(fits, 1460).Want(At("server"), uncut(1460, 42))
	r := b.web.SendSuper(fits, 1461).Want(Answered(dataplane.PacketTooBig, "web"), ICMP(3, 4), NextMTU(1500), what(42, 60000+42*40))
	h := Parse(r.Out[0].Packet)
	if got := int(h.Data[h.InnerL3+2])<<8 | int(h.Data[h.InnerL3+3]); got != 1501 {
		t.Errorf("the quoted packet has %d bytes, want the first segment's 1501", got)
	}
	if got := b.Engine.Counters()[dataplane.PacketTooBig]; got != 42 {
		t.Errorf("%d packets counted as too big, want 42", got)
	}
	// Without DF each segment is fragmented.
	r = b.web.SendSuper(UDP(from, to, 6000), 3000).Want(Ended(dataplane.Delivered))
	if len(r.Out) != 6 {
		t.Fatalf("%d packets came out, want two datagrams of three fragments", len(r.Out))
	}
	for _, o := range r.Out {
		if h := Parse(o.Packet); !h.IsFragment() || len(h.Data) > 1500 {
			t.Errorf("%s: %d bytes, fragment %v", h.Tuple, len(h.Data), h.IsFragment())
		}
	}
}

// Whatever a guest writes into the header before its packet, it ends in a verdict.
func TestGuestsHeadersAreChecked(t *testing.T) {
	b := offloaded(t)
	good := Super(DF(TCP(webIP+":1", dbIP+":80", packet.FlagACK, 5000)), 1448)
	b.SendRaw(b.web.Port, good).Want(At("db"))
	change := func(f func(v []byte)) []byte {
		v := append([]byte(nil), good...)
		f(v)
		return v
	}
	for name, bad := range map[string][]byte{
		"shorter than the header": good[:packet.VnetLen-1],
		"nothing behind it":       good[:packet.VnetLen],
		"UDP's GSO":               change(func(v []byte) { v[1] = 5 }),
		"unknown GSO":             change(func(v []byte) { v[1] = 9 }),
		"IPv6's GSO":              change(func(v []byte) { v[1] = 4 }),
		"checksum out of bounds":  change(func(v []byte) { v[6], v[7] = 0xff, 0xff }),
		"segments without end":    change(func(v []byte) { v[4], v[5] = 1, 0 }),
	} {
		t.Run(name, func(t *testing.T) {
			b.TB = t
			b.SendRaw(b.web.Port, bad).Want(Dropped(dataplane.PacketMalformed))
		})
	}
	b.TB = t
	// The header's length is a hint that nobody believes.
	b.SendRaw(b.web.Port, change(func(v []byte) { v[2], v[3] = 0xff, 0xff })).Want(At("db"), uncut(1448, 4))
}

func TestTAP_OffloadCountsFromTheFrame(t *testing.T) {
	b := offloaded(t)
	tap := b.public.ENI("tap", "172.30.0.12", b.open).TAP()
	tap.Port.Offload = true
	b.Apply()
	super := Super(DF(TCP("172.30.0.12:1", dbIP+":80", packet.FlagACK, 5000)), 1448)
	frame := Frame(tap.RouterMAC(), tap.MAC(), 0x0800, super[packet.VnetLen:])
	vnet := append([]byte(nil), super[:packet.VnetLen]...)
	vnet[6] += 14 // csum_start
	for range 2 {
		b.SendRaw(tap.Port, append(vnet, frame...)).Want(At("db"), uncut(1448, 4))
		b.db.SendSuper(DF(TCP(dbIP+":80", "172.30.0.12:1", packet.FlagACK, 5000)), 1448).Want(At("tap"), uncut(1448, 4))
	}
}

// Datagrams of a burst go out in few writes, and come in as they were sent.
func TestBurstsOfDatagramsAreJoined(t *testing.T) {
	b := offloaded(t)
	b.db.Send(UDP(dbIP+":9", webIP+":9", 1)) // the engine has begun
	w := b.Engine.Batcher(b.web.Port)
	one := func(port, n int, fill byte) []byte {
		pkt := DF(UDP(fmt.Sprintf("%s:%d", webIP, port), dbIP+":80", n))
		for i := range n {
			pkt[28+i] = fill
		}
		return Super(pkt, 0)
	}
	received := func() (writes int, payloads []string) {
		for _, o := range b.Outputs() {
			if o.Port != "db" {
				t.Errorf("a packet came out at %s", o.Port)
			}
			writes++
			h := Parse(o.Packet)
			h.PartialChecksum = false
			err := packet.Segment(make([]byte, 65535), h, o.Offload, func(s []byte) {
				if err := packet.VerifyChecksums(s); err != nil {
					t.Error(err)
				}
				p := Parse(s)
				payloads = append(payloads, fmt.Sprintf("%d:%d:%d", p.SrcPort, len(p.Payload()), p.Payload()[0]))
			})
			if err != nil {
				t.Error(err)
			}
		}
		return writes, payloads
	}
	w.Send(one(1, 100, 0), one(2, 100, 0)) // both flows are known now
	received()
	for _, c := range []struct {
		name   string
		burst  [][]byte
		writes int
		want   string
	}{
		{"alone", [][]byte{one(1, 100, 1)}, 1, "[1:100:1]"},
		{"one flow", [][]byte{one(1, 100, 1), one(1, 100, 2), one(1, 100, 3), one(1, 50, 4)}, 2, "[1:100:1 1:100:2 1:100:3 1:50:4]"},
		{"a longer one starts anew", [][]byte{one(1, 100, 1), one(1, 100, 2), one(1, 200, 3), one(1, 200, 4)}, 3, "[1:100:1 1:100:2 1:200:3 1:200:4]"},
		{"two flows taking turns", [][]byte{one(1, 100, 1), one(1, 100, 2), one(2, 100, 3), one(1, 100, 4), one(2, 100, 5)}, 4, "[1:100:1 2:100:3 1:100:2 1:100:4 2:100:5]"},
		{"both have sent lately", [][]byte{one(1, 100, 1), one(2, 100, 2), one(1, 100, 3), one(2, 100, 4), one(1, 100, 5)}, 3, "[1:100:1 2:100:2 2:100:4 1:100:3 1:100:5]"},
		{"a super-packet of the flow is not overtaken", [][]byte{one(1, 100, 1), one(1, 100, 2), Super(DF(UDP(webIP+":1", dbIP+":80", 300)), 100), one(1, 100, 4)}, 4, "[1:100:1 1:100:2 1:100:0 1:100:0 1:100:0 1:100:4]"},
		{"what takes the stages is not overtaken", [][]byte{one(1, 100, 1), one(1, 100, 2), one(3, 100, 3), one(1, 100, 4)}, 4, "[1:100:1 1:100:2 3:100:3 1:100:4]"},
		{"the cache grows meanwhile", [][]byte{one(1, 100, 1), one(1, 100, 2), {}, one(1, 100, 3)}, 3, "[1:100:1 1:100:2 1:100:3]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.Send(c.burst...)
			writes, got := received()
			if fmt.Sprint(got) != c.want || writes != c.writes {
				t.Errorf("%d writes, %v; want %d, %s", writes, got, c.writes, c.want)
			}
		})
	}
	// A port that refuses them is told of, and counted, datagram by datagram.
	before := w.Stats().Reasons
	b.db.Port.FailWrites = true
	w.Send(one(1, 100, 1), one(1, 100, 2), one(1, 100, 3))
	after := w.Stats().Reasons
	if n := after[dataplane.PortWriteFailed] - before[dataplane.PortWriteFailed]; n != 3 || after[dataplane.Delivered] != before[dataplane.Delivered] {
		t.Errorf("%d datagrams counted as failed, want 3, and %d delivered", n, after[dataplane.Delivered]-before[dataplane.Delivered])
	}
	drops := b.Engine.Drops()
	if e := drops[len(drops)-1]; e.Reason != dataplane.PortWriteFailed || e.Packets != 2 || e.Sent.SrcPort != 1 {
		t.Errorf("last drop %+v", e)
	}
}
