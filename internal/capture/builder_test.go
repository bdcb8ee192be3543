package capture

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// places are the interfaces and directions of a capture, in its order.
func places(list []seen) string {
	var names []string
	for _, s := range list {
		names = append(names, s.Interface+" "+s.Direction)
	}
	return strings.Join(names, ", ")
}

func only(handles ...uint32) func() *Selection {
	s := &Selection{Handles: map[uint32]bool{}, Gateways: map[string]bool{}}
	for _, h := range handles {
		s.Handles[h] = true
	}
	return func() *Selection { return s }
}

func gateways(ids ...string) func() *Selection {
	s := &Selection{Gateways: map[string]bool{}}
	for _, id := range ids {
		s.Gateways[id] = true
	}
	return func() *Selection { return s }
}

func TestOptions(t *testing.T) {
	b := newBook(t)
	toServer := porttest.SYN(dbIP+":40000", serverIP+":80")
	b.db.Send(toServer)
	refused := porttest.SYN(laptopIP+":1000", webEIP+":22")
	unasked := porttest.SYN(laptopIP+":1000", natEIP+":22")
	dst80 := compiled(t, tcp80)
	for _, c := range []struct {
		what string
		opt  Options
		from any
		pkt  []byte
		want string
	}{
		{"everything", Options{}, b.db, toServer, "db out, nat in, nat out, book in, book out, server in"},
		{"before NAT", Options{NAT: NATBefore}, b.db, toServer, "db out, nat in, book in, server in"},
		{"after NAT", Options{NAT: NATAfter}, b.db, toServer, "db out, nat out, book out, server in"},
		{"dropped at a gateway, after", Options{NAT: NATAfter}, b.laptop, unasked, "laptop out, book out, nat in"},
		{"one end", Options{Select: only(b.db.Handle)}, b.db, toServer, "db out"},
		{"the other end", Options{Select: only(b.server.Handle)}, b.db, toServer, "server in"},
		{"somebody else", Options{Select: only(b.web.Handle)}, b.db, toServer, ""},
		{"a NAT gateway by ID", Options{Select: gateways("nat-nat")}, b.db, toServer, "nat in, nat out"},
		{"a NAT gateway by its interface", Options{Select: only(b.nat.ENI.Handle)}, b.db, toServer, "nat in, nat out"},
		{"an Internet gateway", Options{Select: gateways("igw-book"), NAT: NATAfter}, b.db, toServer, "book out"},
		{"who refuses", Options{Select: only(b.web.Handle)}, b.laptop, refused, "web in"},
		{"drops", Options{DropsOnly: true}, b.laptop, refused, "laptop out, book in, book out, web in"},
		{"no drop", Options{DropsOnly: true}, b.db, toServer, ""},
		{"a filter", Options{Filter: dst80}, b.db, toServer, "db out, nat in, nat out, book in, book out, server in"},
		{"a filter that fits nowhere", Options{Filter: dst80}, b.laptop, refused, ""},
	} {
		if got := places(b.sightingsOf(t, c.opt, c.from, c.pkt)); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
		// What no place shows must not be taken, and what a gateway shows needs tuples.
		way := b.take(t, c.from, c.pkt).Way
		cfg := c.opt.TapConfig()
		if cfg.Want(way) != (c.want != "") && c.opt.Filter == nil {
			t.Errorf("%s: wanted %v", c.what, cfg.Want(way))
		}
		if shows := strings.Contains(c.want, "nat") || strings.Contains(c.want, "book"); shows && !cfg.Detail(way) {
			t.Errorf("%s: no detail", c.what)
		}
	}
}

// A filter sees each form of a packet by itself.
func TestFilterAppliesToEachView(t *testing.T) {
	b := newBook(t)
	pkt := porttest.SYN(dbIP+":40000", serverIP+":80")
	private := compiled(t, "4\n32 0 0 12\n21 0 1 2887647331\n6 0 0 262144\n6 0 0 0") // src host 172.30.0.99
	if got := places(b.sightingsOf(t, Options{Filter: private}, b.db, pkt)); got != "nat out, book in" {
		t.Error(got)
	}
	if cfg := (&Options{Filter: private, Snap: 20}).TapConfig(); cfg.Snap != 0 || cfg.Filter != nil {
		t.Errorf("%+v: the tap sees not every form, and the filter wants to see all of a packet", cfg)
	}
	if cfg := (&Options{Snap: 20}).TapConfig(); cfg.Snap != 20 {
		t.Errorf("%+v", cfg)
	}
}

// Forms that are made from the start of a packet are the start of those made from all of it.
func TestSnap(t *testing.T) {
	b := newBook(t)
	pkt := porttest.UDP(dbIP+":40000", serverIP+":80", 500)
	b.db.Send(pkt)
	whole := b.sightingsOf(t, Options{}, b.db, pkt)
	taken := b.take(t, b.db, pkt)
	taken.Sent, taken.Final = taken.Sent[:40], taken.Final[:40]
	build := NewBuilder(Options{Snap: 40}, 0)
	_, list := read(t, build.Append(build.Begin(nil), &taken, 0, 100))
	if len(list) != 6 || len(whole) != 6 {
		t.Fatalf("%d and %d packets", len(list), len(whole))
	}
	for i, s := range list {
		if !bytes.Equal(s.Data, whole[i].Data[:40]) || s.Length != len(pkt) || s.Comment != whole[i].Comment {
			t.Errorf("%s %s: %x of %d, want %x; %s", s.Interface, s.Direction, s.Data, s.Length, whole[i].Data[:40], s.Comment)
		}
	}
	answered := b.take(t, b.web, porttest.DF(porttest.UDP(webIP+":1", serverIP+":9", 3000)))
	length := len(answered.Answer)
	answered.Answer = answered.Answer[:40]
	build = NewBuilder(Options{Snap: 40}, 0)
	if _, list = read(t, build.Append(build.Begin(nil), &answered, 0, 100)); list[len(list)-1].Length != length || len(list[len(list)-1].Data) != 40 {
		t.Errorf("the answer has %d of %d bytes, want 40 of %d", len(list[len(list)-1].Data), list[len(list)-1].Length, length)
	}
	// Also where the tap kept all, for a filter's sake.
	if list := b.sightingsOf(t, Options{Snap: 40}, b.db, pkt); len(list) != 6 || len(list[0].Data) != 40 || list[0].Length != len(pkt) {
		t.Errorf("%d packets, %d of %d bytes", len(list), len(list[0].Data), list[0].Length)
	}
}

// The form after the last gateway is what the receiver really got, that before the first
// what the sender really sent; and nothing is done to the caller's bytes.
func TestFormsMeetTheRealOnes(t *testing.T) {
	b := newBook(t)
	for n, pkt := range [][]byte{
		porttest.SYN(dbIP+":40000", serverIP+":80"),
		porttest.UDP(dbIP+":40000", serverIP+":53", 100),
		porttest.Ping(dbIP, serverIP, 9, 20),
	} {
		b.db.Send(pkt)
		out := b.take(t, b.db, pkt)
		reply := porttest.Reply(out.Final)
		for _, way := range []struct {
			from any
			pkt  []byte
		}{{b.db, pkt}, {b.server, reply}} {
			sentBytes := bytes.Clone(way.pkt)
			taken := b.take(t, way.from, way.pkt)
			final := bytes.Clone(taken.Final)
			build := NewBuilder(Options{}, 0)
			_, list := read(t, build.Append(build.Begin(nil), &taken, 0, 100))
			if len(list) != 6 {
				t.Fatalf("packet %d: %s", n, places(list))
			}
			if !bytes.Equal(list[4].Data, final) || !bytes.Equal(list[5].Data, final) || !bytes.Equal(list[0].Data, sentBytes) || !bytes.Equal(list[1].Data, sentBytes) {
				t.Errorf("packet %d: %s", n, show(list))
			}
			if !bytes.Equal(list[2].Data, list[3].Data) {
				t.Errorf("packet %d: it changed between two gateways: %x, %x", n, list[2].Data, list[3].Data)
			}
			if !bytes.Equal(way.pkt, sentBytes) || !bytes.Equal(taken.Final, final) {
				t.Errorf("packet %d: the tap's bytes were changed", n)
			}
		}
	}
}

// A later fragment has no ports of its own to translate, and is known by the first one's.
func TestFragmentsThroughGateways(t *testing.T) {
	b := newBook(t)
	for n, pkt := range porttest.Split(porttest.UDP(dbIP+":40000", serverIP+":53", 3000), 1500, 7) {
		taken := b.take(t, b.db, pkt)
		final := bytes.Clone(taken.Final)
		build := NewBuilder(Options{}, 0)
		_, list := read(t, build.Append(build.Begin(nil), &taken, 0, 100))
		if len(list) != 6 || !bytes.Equal(list[5].Data, final) || !bytes.Equal(list[4].Data, final) || !bytes.Equal(list[2].Data, list[3].Data) {
			t.Fatalf("fragment %d: %s", n, show(list))
		}
		middle := porttest.Parse(list[2].Data)
		if middle.Src != porttest.Addr(natIP) || middle.FragOffset != porttest.Parse(pkt).FragOffset || packet.VerifyChecksums(list[2].Data) != nil {
			t.Errorf("fragment %d: %s", n, show(list))
		}
		if !strings.Contains(list[1].Comment, "translated to udp "+natIP+":") || !strings.Contains(list[5].Comment, "sent as udp "+dbIP+":40000 > "+serverIP+":53") {
			t.Errorf("fragment %d: %s", n, show(list))
		}
	}
}

func TestCommentOfASuperPacket(t *testing.T) {
	b := newBook(t)
	taken := b.take(t, b.db, porttest.SYN(dbIP+":1", webIP+":80"))
	taken.Packets = 44
	build := NewBuilder(Options{}, 0)
	_, list := read(t, build.Append(build.Begin(nil), &taken, 0, 100))
	if !strings.Contains(list[0].Comment, "delivered to web (eni-web); 44 packets on the wire (segmentation offload) [") {
		t.Error(list[0].Comment)
	}
}

// Names are not unique in a lab; those of a capture's interfaces are.
func TestInterfaceNames(t *testing.T) {
	b := newBook(t)
	twin := b.public.ENI("web", "172.30.0.11", b.Open("twins"))
	b.Apply()
	eni := b.Snapshot.ENIs[twin.Handle]
	eni.ID = "eni-twin"
	build := NewBuilder(Options{Snap: 96, Expression: "tcp"}, 0)
	first, second := b.take(t, b.web, porttest.SYN(webIP+":1", dbIP+":80")), b.take(t, twin, porttest.SYN("172.30.0.11:1", dbIP+":80"))
	stream := build.Append(build.Begin(nil), &first, 0, 100)
	stream = build.Append(stream, &second, 0, 100)
	descriptions, list := read(t, stream)
	if got := places(list); got != "web out, db in, web (eni-twin) out, db in" {
		t.Error(got)
	}
	if got := descriptions["db"]; got != "eni-db, network interface of db (i-db), 172.30.1.20 in subnet private (subnet-private)" {
		t.Error(got)
	}
	for at, want := range map[point]string{
		{Ref: dataplane.Ref{ID: "igw-1"}}: "igw-1, Internet gateway",
		{Ref: dataplane.Ref{ID: "host-1"}, host: &dataplane.InternetHost{Addr: packet.AddrFrom(b.laptop.Addr)}}:                     "host-1, Internet host 198.51.100.5",
		gatewayOf(dataplane.Step{Stage: dataplane.StageNAT, By: dataplane.Ref{ID: "nat-1"}, At: b.Snapshot.ENIs[b.nat.ENI.Handle]}): "nat-1, NAT gateway 172.30.0.99 in subnet public (subnet-public)",
	} {
		if got := at.describe(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// MalformedPacketsAreShown: what cannot be decoded was sent all the same.
func TestMalformedPacketsAreShown(t *testing.T) {
	b := newBook(t)
	bad := porttest.SYN(dbIP+":1", webIP+":80")
	bad[0] = 0x41
	list := b.sightingsOf(t, Options{Snap: 1500}, b.db, bad)
	if places(list) != "db out" || !strings.Contains(list[0].Comment, "PACKET_MALFORMED") || !bytes.Equal(list[0].Data, bad) {
		t.Errorf("%+v", list)
	}
}

// list is a source of packets that are there already.
type list struct {
	taken   []dataplane.Taken
	skipped uint64
	waits   chan struct{} // closed once the list is empty
}

func (l *list) Skipped() uint64 { return l.skipped }

func (l *list) Next(ctx context.Context) (dataplane.Taken, error) {
	if len(l.taken) == 0 {
		if l.waits != nil {
			close(l.waits)
			l.waits = nil
		}
		<-ctx.Done()
		return dataplane.Taken{}, ctx.Err()
	}
	t := l.taken[0]
	l.taken = l.taken[1:]
	return t, nil
}

func clock() int64 { return 1000 }

func TestStreamEndsWithItsStatistics(t *testing.T) {
	b := newBook(t)
	one := b.take(t, b.db, porttest.SYN(dbIP+":1", webIP+":80"))
	one.At = 500
	for _, c := range []struct {
		count         uint64
		packets       int
		first, second uint64 // received
	}{{0, 6, 3, 3}, {3, 3, 2, 1}, {6, 6, 3, 3}, {1, 1, 1, 0}} {
		ctx, cancel := context.WithCancel(t.Context())
		src := &list{taken: []dataplane.Taken{one, one, one}, skipped: 5, waits: make(chan struct{})}
		if c.count == 0 { // else it ends by itself
			waits := src.waits
			go func() { <-waits; cancel() }()
		}
		var out bytes.Buffer
		packets, skipped, err := Stream(ctx, src, NewBuilder(Options{}, 7), &out, c.count, clock)
		cancel()
		if err != nil || packets != uint64(c.packets) || skipped != 5 {
			t.Fatalf("count %d: %d packets, %d skipped, %v", c.count, packets, skipped, err)
		}
		var received, dropped []uint64
		var drops []uint64
		for _, k := range blocks(t, out.Bytes()) {
			switch k.Type {
			case blockStatistics:
				o := options(t, k.Raw[20:len(k.Raw)-4])
				received, dropped = append(received, le.Uint64(o[4])), append(dropped, le.Uint64(o[5]))
			case blockPacket:
				if k.Time() != 507 {
					t.Errorf("time %d", k.Time())
				}
				o := options(t, k.Raw[28+40:len(k.Raw)-4])
				if o[4] != nil {
					drops = append(drops, le.Uint64(o[4]))
				}
			}
		}
		want := []uint64{c.first, c.second}
		if c.second == 0 {
			want = want[:1]
		}
		if diff := cmp.Diff(want, received); diff != "" || dropped[0] != 5 || len(dropped) > 1 && dropped[1] != 0 {
			t.Errorf("count %d: %s, dropped %v", c.count, diff, dropped)
		}
		if !slices.Equal(drops, []uint64{5}) {
			t.Errorf("count %d: packets lost before packets: %v", c.count, drops)
		}
	}
}

// A capture that was told to end has what came before, and nothing that came later.
func TestStreamEndsInTime(t *testing.T) {
	b := newBook(t)
	early := b.take(t, b.db, porttest.SYN(dbIP+":1", webIP+":80"))
	early.At = 999
	late := early
	late.At = 1001
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	packets, _, err := Stream(ctx, &list{taken: []dataplane.Taken{early, late, early}}, NewBuilder(Options{}, 0), &out, 0, clock)
	if err != nil || packets != 2 {
		t.Errorf("%d packets, %v", packets, err)
	}
}

type brokenPipe struct{ room int }

func (p *brokenPipe) Write(b []byte) (int, error) {
	if p.room--; p.room < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

// shy is a source that has a packet only for who waits for it.
type shy dataplane.Taken

func (shy) Skipped() uint64 { return 0 }

func (s shy) Next(ctx context.Context) (dataplane.Taken, error) {
	return dataplane.Taken(s), ctx.Err()
}

func TestStreamWhoseReaderLeaves(t *testing.T) {
	b := newBook(t)
	one := b.take(t, b.db, porttest.SYN(dbIP+":1", webIP+":80"))
	for room := range 3 { // section, first packet, second packet
		_, _, err := Stream(t.Context(), shy(one), NewBuilder(Options{}, 0), &brokenPipe{room}, 0, clock)
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("room for %d writes: %v", room, err)
		}
	}
}

// A tap that ends, as its engine has, ends the stream.
type ended struct{ list }

func (*ended) Next(context.Context) (dataplane.Taken, error) { return dataplane.Taken{}, io.EOF }

func TestStreamOfATapThatEnds(t *testing.T) {
	var out bytes.Buffer
	packets, _, err := Stream(t.Context(), &ended{}, NewBuilder(Options{Comment: "lab x"}, 0), &out, 0, clock)
	if err != nil || packets != 0 || !bytes.Contains(out.Bytes(), []byte("lab x")) {
		t.Errorf("%d packets, %v", packets, err)
	}
}

func TestParseNAT(t *testing.T) {
	for s, want := range map[string]NAT{"": NATBoth, "both": NATBoth, "before": NATBefore, "after": NATAfter} {
		if n, err := ParseNAT(s); n != want || err != nil {
			t.Errorf("%q: %v, %v", s, n, err)
		}
	}
	if n, err := ParseNAT("during"); err == nil {
		t.Error(n)
	}
}

func BenchmarkBuilder(b *testing.B) {
	k := newBook(b)
	pkt := porttest.SYN(dbIP+":40000", serverIP+":80")
	k.db.Send(pkt)
	taken := k.take(b, k.db, pkt)
	for _, c := range []struct {
		name string
		opt  Options
	}{{"one interface", Options{Select: only(k.db.Handle)}}, {"everything", Options{}}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			build := NewBuilder(c.opt, 0)
			buf := build.Begin(nil)
			for b.Loop() {
				buf = build.Append(buf[:0], &taken, 0, 100)
			}
		})
	}
}
