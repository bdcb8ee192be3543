package explain

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain/labtest"
)

var update = flag.Bool("update", false, "write testdata/*.golden")

// lab is a cloud in memory that traces go through.
type lab struct{ *labtest.Lab }

func newLab(t testing.TB, yaml string) *lab { t.Helper(); return &lab{labtest.New(t, yaml)} }

func embedded(t testing.TB, name string) *lab { t.Helper(); return &lab{labtest.Embedded(t, name)} }

// request reads "laptop web tcp/22" and options: size=N, ttl=N, df, established, from=PORT.
func request(t testing.TB, line string) control.TraceRequest {
	t.Helper()
	f := strings.Fields(line)
	req := control.TraceRequest{From: f[0], To: f[1]}
	proto, port, _ := strings.Cut(f[2], "/")
	req.Protocol = proto
	fmt.Sscan(port, &req.Port)
	for _, o := range f[3:] {
		key, value, _ := strings.Cut(o, "=")
		var n int
		fmt.Sscan(value, &n)
		switch key {
		case "size":
			req.Size = n
		case "ttl":
			req.TTL = n
		case "from":
			req.SourcePort = n
		case "df":
			req.DontFragment = true
		case "established":
			req.Established = true
		default:
			t.Fatalf("option %q", o)
		}
	}
	return req
}

func (l *lab) trace(line string) *control.Trace {
	l.Helper()
	tr, err := Trace(&l.Model, l.Engine.Tracer(), request(l, line))
	if err != nil {
		l.Failf("%s: %v", line, err)
	}
	return tr
}

// golden compares text with a file of testdata.
func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// idOf is the ID of a gateway or route table.
func (l *lab) idOf(name string) string {
	l.Helper()
	for id, g := range l.InternetGateways.All() {
		if g.Name() == name {
			return string(id)
		}
	}
	for id, g := range l.NatGateways.All() {
		if g.Name() == name {
			return string(id)
		}
	}
	for id, t := range l.RouteTables.All() {
		if t.Name() == name {
			return string(id)
		}
	}
	l.Fatalf("nothing is called %q", name)
	return ""
}

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }
