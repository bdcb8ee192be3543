package slab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary runs itself as a child, told by this variable what to be.
const childVar = "VPCEMU_SLAB_TEST_CHILD"

func TestMain(m *testing.M) {
	switch role, path, _ := strings.Cut(os.Getenv(childVar), ":"); role {
	case "":
		os.Exit(m.Run())
	case "writer":
		exit(writer(path))
	case "churner":
		exit(churner(path))
	case "filler":
		exit(filler(path))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Println("child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(role, path string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVar+"="+role+":"+path)
	return cmd
}

// writer inserts, changes and deletes records for as long as it lives. It tells
// of every insertion after it, of every deletion before it.
func writer(path string) error {
	s, err := Open[rec](path, 1, 3000)
	if err != nil {
		return err
	}
	var have []uint32
	for i := range s.All() {
		have = append(have, i)
	}
	for {
		if len(have) > 2500 || len(have) > 0 && rand.IntN(3) == 0 {
			n := rand.IntN(len(have))
			i := have[n]
			have[n] = have[len(have)-1]
			have = have[:len(have)-1]
			fmt.Printf("- %d\n", i)
			s.Delete(i)
			continue
		}
		r := newRec(rand.Uint64())
		i, err := s.Insert(&r, uint16(r.A))
		if err != nil {
			return err
		}
		fmt.Printf("+ %d %d\n", i, r.A)
		have = append(have, i)
	}
}

// TestKillNine kills a process at random moments while it writes. Every record
// that it said it had committed is there, and every record there is whole.
func TestKillNine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slab")
	want := map[uint32]uint64{}
	for round := range 12 {
		cmd := child("writer", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		kill := 1 + rand.IntN(3000)
		for n := 0; ; n++ {
			if n == kill {
				cmd.Process.Kill()
			}
			line, err := lines.ReadString('\n')
			if errors.Is(err, io.EOF) {
				break // a line cut short tells nothing
			}
			note(t, want, line)
		}
		if cmd.Wait(); cmd.ProcessState.Success() || cmd.ProcessState.Exited() {
			t.Fatalf("round %d: the child ended by itself: %v", round, cmd.ProcessState)
		}
		check(t, round, path, want)
	}
}

// note keeps the record of what the child said.
func note(t *testing.T, want map[uint32]uint64, line string) {
	t.Helper()
	var i uint32
	var a uint64
	if _, err := fmt.Sscanf(line, "- %d", &i); err == nil {
		delete(want, i)
	} else if _, err := fmt.Sscanf(line, "+ %d %d", &i, &a); err == nil {
		want[i] = a
	} else {
		t.Fatalf("child said %q", line)
	}
}

// check opens the file and compares. The child may have done one thing more
// than it could tell; that becomes known here.
func check(t *testing.T, round int, path string, want map[uint32]uint64) {
	t.Helper()
	s, err := Open[rec](path, 1, 3000)
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer s.Close()
	found, untold := map[uint32]uint64{}, 0
	for i, r := range s.All() {
		if !r.whole() {
			t.Errorf("round %d: record %d is torn: %+v", round, i, *r)
		}
		if _, told := want[i]; !told {
			untold++
		}
		found[i] = r.A
	}
	for i, a := range want {
		if found[i] != a {
			t.Errorf("round %d: record %d is %d, want %d", round, i, found[i], a)
		}
	}
	if untold > 1 {
		t.Errorf("round %d: %d records that nobody told of", round, untold)
	}
	clear(want)
	for i, a := range found {
		want[i] = a
	}
}

// page is a record that takes a while to copy.
type page [512]uint64

// churner does nothing but store records over the remains of others, so that a
// kill meets it in the middle of one.
func churner(path string) error {
	s, err := Open[page](path, 1, 8)
	if err != nil {
		return err
	}
	for n := uint64(1); ; n++ {
		if n == 1000 {
			// Said on another thread: the kill comes at once, and this one
			// shall be at work then.
			go fmt.Println("ready")
		}
		var p page
		for i := range p {
			p[i] = n
		}
		i, err := s.Insert(&p, uint16(n))
		if err != nil {
			return err
		}
		s.Delete(i)
	}
}

// TestKillNineWithinARecord: whatever the kill cut through is not there.
func TestKillNineWithinARecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slab")
	for round := range 40 {
		cmd := child("churner", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		cmd.Process.Kill()
		if cmd.Wait(); line != "ready\n" || cmd.ProcessState.Exited() {
			t.Fatalf("round %d: child said %q, %v", round, line, cmd.ProcessState)
		}
		checkPages(t, round, path)
	}
}

func checkPages(t *testing.T, round int, path string) {
	t.Helper()
	s, err := Open[page](path, 1, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, p := range s.All() {
		for _, word := range p {
			if word != p[0] {
				t.Fatalf("round %d: record %d is torn: %d and %d", round, i, p[0], word)
			}
		}
		s.Delete(i)
	}
}

// filler runs in a mount namespace of its own, mounts a small tmpfs, and fills
// it through a slab. It must meet an error and not a signal.
func filler(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	path := filepath.Join(dir, "slab")
	s, err := Open[rec](path, 1, 1_000_000)
	if err != nil {
		return err
	}
	n, err := fill(s)
	if !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("after %d records: %w, want ErrNoSpace", n, err)
	}
	if n < 1000 {
		return fmt.Errorf("only %d records in 256 KiB", n)
	}
	s.Delete(0)
	if again, err := fill(s); again != 1 || !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("a freed record was used %d times, %w", again, err)
	}
	for i, r := range s.All() {
		if !r.whole() {
			return fmt.Errorf("record %d is torn", i)
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	return openWithoutRoom(dir, path, n)
}

func fill(s *Slab[rec]) (n int, err error) {
	for {
		r := newRec(uint64(n))
		if _, err := s.Insert(&r, 0); err != nil {
			return n, err
		}
		n++
	}
}

// openWithoutRoom fills what is left, so that a second slab cannot even have its
// header, while the first opens again.
func openWithoutRoom(dir, path string, n int) error {
	f, err := os.Create(filepath.Join(dir, "rest"))
	if err != nil {
		return err
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if _, err := Open[rec](filepath.Join(dir, "other"), 1, 10); !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("new slab without room: %w, want ErrNoSpace", err)
	}
	s, err := Open[rec](path, 1, 1_000_000)
	if err != nil {
		return err
	}
	defer s.Close()
	if s.Len() != n {
		return fmt.Errorf("opened again: %d records, want %d", s.Len(), n)
	}
	return nil
}

func TestFullTmpfsIsAnError(t *testing.T) {
	cmd := child("filler", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
