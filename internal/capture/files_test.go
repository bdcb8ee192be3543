package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/pcapgo"
)

// blocks cuts a stream that we made.
func blocks(t testing.TB, stream []byte) (list []Block) {
	t.Helper()
	r := NewBlockReader(bytes.NewReader(stream))
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
}

// packetAt is a packet block of 100 bytes at a time.
func packetAt(t testing.TB, at time.Duration) Block {
	b := AppendPacket(nil, &Packet{Time: int64(at), Data: make([]byte, 44), Length: 44})
	if len(b) != 100 {
		t.Fatalf("the block has %d bytes", len(b))
	}
	return Block{blockPacket, b}
}

// times reads a file with gopacket: the seconds of its packets.
func times(t *testing.T, name string) (seconds []int64) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for {
		_, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return seconds
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seconds = append(seconds, ci.Timestamp.Unix())
	}
}

func TestRotation(t *testing.T) {
	start := blocks(t, AppendInterface(AppendSection(nil, "lab"), Interface{Name: "web"}))
	size := int64(len(start[0].Raw) + len(start[1].Raw))
	for name, c := range map[string]struct {
		rotate Rotation
		want   map[string][]int64
	}{
		"none":            {Rotation{}, map[string][]int64{"c.pcapng": {1, 2, 3, 4, 5}}},
		"two by size":     {Rotation{Size: size + 250}, map[string][]int64{"c-00001.pcapng": {1, 2}, "c-00002.pcapng": {3, 4}, "c-00003.pcapng": {5}}},
		"exactly by size": {Rotation{Size: size + 300}, map[string][]int64{"c-00001.pcapng": {1, 2, 3}, "c-00002.pcapng": {4, 5}}},
		"one at least":    {Rotation{Size: 1, Files: 2}, map[string][]int64{"c-00004.pcapng": {4}, "c-00005.pcapng": {5}}},
		"by time":         {Rotation{Every: 2 * time.Second}, map[string][]int64{"c-00001.pcapng": {1, 2}, "c-00002.pcapng": {3, 4}, "c-00003.pcapng": {5}}},
		"what comes first": {Rotation{Every: 3 * time.Second, Size: size + 250, Files: 1},
			map[string][]int64{"c-00003.pcapng": {5}}},
	} {
		dir := t.TempDir()
		o, err := Create(filepath.Join(dir, "c.pcapng"), c.rotate, nil)
		if err != nil {
			t.Fatal(err)
		}
		list := append([]Block(nil), start...)
		for n := range 5 {
			list = append(list, packetAt(t, time.Duration(n+1)*time.Second))
		}
		for _, b := range list {
			if err := o.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Close(); err != nil || o.Packets() != 5 {
			t.Errorf("%s: %d packets, %v", name, o.Packets(), err)
		}
		got := map[string][]int64{}
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, f := range files {
			got[filepath.Base(f)] = times(t, f)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(files, o.Names()); diff != "" {
			t.Errorf("%s: names: %s", name, diff)
		}
		first := 1
		_, _ = fmt.Sscanf(filepath.Base(files[0]), "c-%d.pcapng", &first) // c.pcapng has no number
		if gone := first - 1; o.Gone() != gone {
			t.Errorf("%s: %d files are gone, want %d", name, o.Gone(), gone)
		}
	}
}

func TestInterfacesSoFarAreInEveryFile(t *testing.T) {
	o, err := Create(filepath.Join(t.TempDir(), "c"), Rotation{Size: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream := AppendInterface(AppendSection(nil, ""), Interface{Name: "web"})
	stream = append(stream, packetAt(t, 1).Raw...)
	stream = AppendInterface(stream, Interface{Name: "db"})
	stream = append(stream, packetAt(t, 2).Raw...)
	for _, b := range blocks(t, stream) {
		if err := o.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	for n, want := range [][]uint32{
		{blockSection, blockInterface, blockPacket, blockInterface},
		{blockSection, blockInterface, blockInterface, blockPacket},
	} {
		raw, err := os.ReadFile(o.Names()[n])
		if err != nil {
			t.Fatal(err)
		}
		var got []uint32
		for _, b := range blocks(t, raw) {
			got = append(got, b.Type)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("file %d: %s", n+1, diff)
		}
	}
}

func TestFileModes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "c.pcapng")
	var made []string
	note := func(f *os.File) error { made = append(made, f.Name()); return nil }
	for range 2 { // the second time it is there, and not ours to give away
		o, err := Create(name, Rotation{}, note)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(name)
	if err != nil || st.Mode() != 0o600 || len(made) != 1 {
		t.Errorf("mode %v, made %v, %v", st.Mode(), made, err)
	}
	if _, err := Create(filepath.Join(name, "x"), Rotation{}, nil); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("a file in a file: %v", err)
	}
	refuse := func(*os.File) error { return errors.New("not yours") }
	if _, err := Create(name+"2", Rotation{}, refuse); err == nil {
		t.Error("a file that cannot be given to its user")
	}
}

// tight is a writer that takes so many bytes.
type tight struct {
	bytes.Buffer
	room int
}

var errFull = errors.New("no space left on device")

func (w *tight) Write(b []byte) (int, error) {
	n := min(len(b), w.room)
	w.room -= n
	w.Buffer.Write(b[:n])
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

// What was written when the disk is full is whole, wherever the end of the disk is.
func TestFullDiskLeavesWholeBlocks(t *testing.T) {
	stream := AppendInterface(AppendSection(nil, ""), Interface{Name: "web"})
	head := len(stream)
	for n := range 3 {
		stream = append(stream, packetAt(t, time.Duration(n)).Raw...)
	}
	for room := range len(stream) {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		w := &tight{room: room}
		o := &Output{w: writeBoth{w, f}, file: f}
		for _, b := range blocks(t, stream) {
			if err := o.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Close(); !errors.Is(err, errFull) {
			t.Fatalf("room %d: %v", room, err)
		}
		if err := o.Write(packetAt(t, 9)); !errors.Is(err, errFull) {
			t.Errorf("after the error: %v", err)
		}
		raw, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		want := max(0, room-head) / 100
		n, packets := whole(raw)
		if n != int64(len(raw)) || packets != uint64(want) || o.Packets() != packets {
			t.Errorf("room %d: %d of %d bytes are whole blocks, %d packets, told %d, want %d", room, n, len(raw), packets, o.Packets(), want)
		}
	}
}

// writeBoth writes to a file what a writer with little room takes.
type writeBoth struct {
	w *tight
	f *os.File
}

func (b writeBoth) Write(p []byte) (int, error) {
	n, err := b.w.Write(p)
	if m, e := b.f.Write(p[:n]); e != nil || m != n {
		return m, fmt.Errorf("test file: %w", e)
	}
	return n, err
}

func TestStream(t *testing.T) {
	var b bytes.Buffer
	o := NewStream(&b)
	list := blocks(t, goldenStream())
	for _, k := range list {
		if err := o.Write(k); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() != 0 {
		t.Error("written before it was flushed")
	}
	if err := o.Flush(); err != nil || !bytes.Equal(b.Bytes(), goldenStream()) || o.Packets() != 1 {
		t.Errorf("%d packets, %v, %x", o.Packets(), err, b.Bytes())
	}
	for range writeAt/100 + 1 {
		if err := o.Write(packetAt(t, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() < writeAt {
		t.Error("a full buffer was not written")
	}
}
