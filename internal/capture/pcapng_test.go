package capture

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// goldenHex is a stream written by hand from the draft.
const goldenHex = `
0a0d0d0a 34000000 4d3c2b1a 0100 0000 ffffffffffffffff
  0100 0300 6c616200  0400 0600 767063656d750000  00000000 34000000
01000000 34000000 6500 0000 00000000
  0200 0300 77656200  0300 0700 696e7374616e6300  0900 0100 09000000  00000000 34000000
06000000 54000000 00000000 00000000 15cd5b07 05000000 2c000000
  4500002c 01000000
  0100 0200 68690000  0200 0400 02000000  0400 0800 0300000000000000  0500 0800 0700000000000000  00000000 54000000
05000000 34000000 00000000 00000000 01000000
  0400 0800 0100000000000000  0500 0800 0300000000000000  00000000 34000000`

func goldenStream() []byte {
	b := AppendSection(nil, "lab")
	b = AppendInterface(b, Interface{Name: "web", Description: "instanc"})
	b = AppendPacket(b, &Packet{Time: 123456789, ID: 7, Direction: Outbound, Data: []byte{0x45, 0, 0, 0x2c, 1}, Length: 44, Skipped: 3, Comment: "hi"})
	return AppendStatistics(b, Statistics{Time: 1, Received: 1, Dropped: 3})
}

func TestGoldenBytes(t *testing.T) {
	strip := strings.NewReplacer(" ", "", "\n", "").Replace
	want := strip(goldenHex)
	if got := hex.EncodeToString(goldenStream()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Every length of name, comment and packet has its own padding.
func TestGopacketReadsIt(t *testing.T) {
	for n := range 9 {
		name, data := strings.Repeat("n", n+1), bytes.Repeat([]byte{0x45}, n)
		b := AppendSection(nil, strings.Repeat("c", n))
		b = AppendInterface(b, Interface{Name: name, Description: name, Filter: "tcp port 22", Snap: 96})
		b = AppendInterface(b, Interface{Name: "second"})
		at := time.Date(2026, 11, 27, 21, 28, 35, 123456789, time.UTC)
		b = AppendPacket(b, &Packet{Interface: 1, Time: at.UnixNano(), ID: 1, Direction: Inbound, Data: data, Length: 1500, Comment: name})
		b = AppendStatistics(b, Statistics{Interface: 1, Time: at.UnixNano(), Received: 9, Dropped: 2})
		r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{ErrorOnMismatchingLinkType: true})
		if err != nil {
			t.Fatal(err)
		}
		got, ci, err := r.ReadPacketData()
		if err != nil || !bytes.Equal(got, data) || !ci.Timestamp.Equal(at) || ci.Length != 1500 || ci.InterfaceIndex != 1 {
			t.Errorf("%d bytes: %x, %+v, %v", n, got, ci, err)
		}
		if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last packet: %v", err)
		}
		i, err := r.Interface(0)
		if err != nil || i.Name != name || i.Description != name || i.Filter != "tcp port 22" || i.LinkType != layers.LinkTypeRaw || i.SnapLength != 96 {
			t.Errorf("interface %+v, %v", i, err)
		}
		if i, err = r.Interface(1); err != nil || i.Statistics.PacketsReceived != 9 || i.Statistics.PacketsDropped != 2 {
			t.Errorf("interface %+v, %v", i, err)
		}
	}
}

func TestLongCommentIsCutAtARune(t *testing.T) {
	b := AppendPacket(nil, &Packet{Comment: "x" + strings.Repeat("é", 40000)})
	n := int(le.Uint16(b[30:]))
	if n != maxOption || !utf8.Valid(b[32:32+n]) {
		t.Errorf("%d bytes, valid %v", n, utf8.Valid(b[32:32+n]))
	}
	if b = AppendPacket(nil, &Packet{Comment: strings.Repeat("é", 40000)}); le.Uint16(b[30:]) != maxOption-1 {
		t.Errorf("%d bytes of runes of two", le.Uint16(b[30:]))
	}
	if b = AppendPacket(nil, &Packet{Comment: "a\xffb"}); !bytes.Contains(b, []byte("a\uFFFDb")) {
		t.Errorf("not UTF-8: %q", b)
	}
}

func TestBlockReader(t *testing.T) {
	stream := goldenStream()
	for _, r := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream))} {
		var again []byte
		var types []uint32
		var at int64
		br := NewBlockReader(r)
		for {
			b, err := br.Next()
			if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			again, types, at = append(again, b.Raw...), append(types, b.Type), max(at, b.Time())
		}
		if !bytes.Equal(again, stream) || at != 123456789 {
			t.Errorf("read again: %x, time %d", again, at)
		}
		if diff := cmp.Diff([]uint32{blockSection, blockInterface, blockPacket, blockStatistics}, types); diff != "" {
			t.Error(diff)
		}
	}
}

func TestBlockReaderRefuses(t *testing.T) {
	stream := goldenStream()
	change := func(at int, v uint32) []byte {
		b := bytes.Clone(stream)
		le.PutUint32(b[at:], v)
		return b
	}
	section := int(le.Uint32(stream[4:]))
	for what, c := range map[string]struct {
		stream []byte
		want   string
	}{
		"empty":             {nil, "EOF"},
		"not pcapng":        {[]byte("HTTP/1.1 200 OK"), "begins with block type"},
		"big-endian":        {change(8, 0x4d3c2b1a), "not little-endian"},
		"short":             {change(4, 12), "12 bytes is no length"},
		"long":              {change(4, 1<<31), "is no length"},
		"odd":               {change(4, 53), "is no length"},
		"other end":         {change(section-4, 56), "52 at one end and 56 at the other"},
		"cut in a block":    {stream[:section+9], "unexpected EOF"},
		"cut in a header":   {stream[:section+3], "unexpected EOF"},
		"packet too short":  {change(section+4, 16), "is no length"},
		"section too short": {stream[:20], "unexpected EOF"},
	} {
		r := NewBlockReader(bytes.NewReader(c.stream))
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}

func FuzzBlockReader(f *testing.F) {
	f.Add(goldenStream())
	f.Add(goldenStream()[:60])
	f.Add(AppendSection(nil, ""))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewBlockReader(bytes.NewReader(stream))
		var again []byte
		for {
			b, err := r.Next()
			if err != nil {
				break
			}
			b.Time()
			again = append(again, b.Raw...)
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatalf("%x was read as %x", stream, again)
		}
		if n, _ := whole(again); n != int64(len(again)) {
			t.Fatalf("whole blocks of %d bytes: %d", len(again), n)
		}
	})
}

func ExampleDirection() {
	fmt.Println(Inbound, Outbound)
	// Output: in out
}
