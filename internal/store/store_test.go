package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func model() *vpc.Model {
	m := &vpc.Model{Lab: "book", Region: "ap-northeast-1", NextHandle: 3,
		PublicPools: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
	m.Vpcs.Put("vpc-1", &vpc.Vpc{ID: "vpc-1", CidrBlock: netip.MustParsePrefix("172.30.0.0/16")})
	m.Subnets.Put("subnet-1", &vpc.Subnet{ID: "subnet-1"})
	return m
}

// comparable turns a model into plain maps: Table has private fields.
func comparable(m *vpc.Model) map[string]map[string]any {
	got := map[string]map[string]any{}
	for name, table := range m.Tables() {
		got[name] = map[string]any{}
		empty := (&vpc.Model{}).Tables()[name]
		table.Changes(empty, func(k string, o any) { got[name][k] = o }, func(string) {})
	}
	return got
}

func same(t *testing.T, want, got *vpc.Model) {
	t.Helper()
	if d := cmp.Diff(comparable(want), comparable(got), cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); d != "" {
		t.Fatalf("tables differ (-want +got):\n%s", d)
	}
	if want.Lab != got.Lab || want.NextHandle != got.NextHandle || len(want.PublicPools) != len(got.PublicPools) {
		t.Fatalf("settings differ: want %+v, got %+v", want.WithoutTables(), got.WithoutTables())
	}
}

func TestCommit_IsThereAfterReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	if _, ok, err := s.Load(); ok || err != nil {
		t.Fatalf("new file: ok %v, err %v", ok, err)
	}
	first := model()
	if err := s.Commit(&vpc.Model{}, first); err != nil {
		t.Fatal(err)
	}
	second := first.Clone()
	second.Subnets.Delete("subnet-1")
	second.Vpcs.Put("vpc-2", &vpc.Vpc{ID: "vpc-2", State: "available"})
	second.NextHandle = 9
	if err := s.Commit(first, &second); err != nil {
		t.Fatal(err)
	}
	s.Close()
	got, ok, err := open(t, path).Load()
	if !ok || err != nil {
		t.Fatalf("ok %v, err %v", ok, err)
	}
	same(t, &second, got)
}

func TestOpen_SecondDaemonIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open(t, path)
	if _, err := Open(path); !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v", err)
	}
}

func TestHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if f, err := Hold(path); f != nil || err != nil {
		t.Fatalf("no file: got %v, %v", f, err)
	}
	s := open(t, path)
	if f, err := Hold(path); f != nil || !errors.Is(err, ErrInUse) {
		t.Fatalf("an open file: got %v, %v", f, err)
	}
	s.Close()
	f, err := Hold(path)
	if err != nil || f == nil {
		t.Fatalf("got %v, %v", f, err)
	}
	if _, err := Open(path); !errors.Is(err, ErrInUse) {
		t.Fatalf("opened while held: %v", err)
	}
	f.Close()
	open(t, path)
}

func TestOpen_NotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, []byte("this is no database, but it is long enough to be read as a page header"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(path); err == nil {
		s.Close()
		t.Fatal("opened")
	}
}

func TestLease_SurvivesAndGoesWithItsENI(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	if err := s.PutLeases(map[uint32]any{7: map[string]string{"Addr": "172.30.0.4"}, 8: 1}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, path)
	read := func() string {
		got := ""
		if err := s.Leases(func(eni uint32, lease []byte) error { got += fmt.Sprint(eni, string(lease)); return nil }); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := read(); got != `7{"Addr":"172.30.0.4"}81` {
		t.Fatalf("got %q", got)
	}
	if err := s.DropLeases(func(eni uint32) bool { return eni == 7 }); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "81" {
		t.Fatalf("got %q", got)
	}
}

// Whatever happened to the file, it is an error with a remedy, and the file stays.
func TestOpen_DamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	m := model()
	for i := range 500 {
		id := vpc.SubnetID(fmt.Sprintf("subnet-%d", i))
		m.Subnets.Put(id, &vpc.Subnet{ID: id})
	}
	if err := s.Commit(&vpc.Model{}, m); err != nil {
		t.Fatal(err)
	}
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := func(f func(b []byte) []byte) []byte { return f(append([]byte(nil), whole...)) }
	noise := rand.New(rand.NewPCG(1, 2))
	cases := map[string][]byte{
		"cut to half":     whole[:len(whole)/2],
		"cut to a bit":    whole[:100],
		"both meta pages": damaged(func(b []byte) []byte { clear(b[:2*os.Getpagesize()]); return b }),
		"data pages of noise": damaged(func(b []byte) []byte {
			for i := 2 * os.Getpagesize(); i < len(b); i++ {
				b[i] = byte(noise.Uint32())
			}
			return b
		}),
		"data pages of zeros": damaged(func(b []byte) []byte { clear(b[2*os.Getpagesize():]); return b }),
		"an object that is no JSON": damaged(func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(`"CidrBlock":"172.30`), []byte(`"CidrBlock":x172.30`))
		}),
	}
	for size := os.Getpagesize(); size < len(whole)*3/4; size += os.Getpagesize() {
		cases[fmt.Sprintf("cut to %d", size)] = whole[:size]
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			if bytes.Equal(content, whole) {
				t.Fatal("not damaged")
			}
			path := filepath.Join(t.TempDir(), "state.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(path)
			if err == nil {
				_, _, err = s.Load()
				s.Close()
			}
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestCommit_OfNothingWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	m := model()
	if err := s.Commit(&vpc.Model{}, m); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	again := m.Clone()
	if err := s.Commit(m, &again); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Fatalf("the file changed (%v)", err)
	}
}
