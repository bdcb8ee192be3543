package hostlink

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
)

const original = "127.0.0.1 localhost\n# mine\n10.0.0.9\tdb DB.example\n"

var web = []Host{{Addr: netip.MustParseAddr("203.0.113.2"), Bare: "web", Names: []string{"web.book", "ec2-203-0-113-2.compute-1.amazonaws.com"}}}

func TestBlockComesChangesAndGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	write(t, path, original)
	if err := os.Chmod(path, 0o664); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12, 34); err != nil {
		t.Fatal(err)
	}
	book, other := Lab{"book", "/run/book"}, Lab{"other", "/run/other"}
	set(t, path, book, web)
	want := original + "# BEGIN vpcemu book /run/book\n203.0.113.2 web.book web ec2-203-0-113-2.compute-1.amazonaws.com\n# END vpcemu book /run/book\n"
	is(t, path, want)
	set(t, path, other, []Host{{Addr: netip.MustParseAddr("192.0.2.1"), Bare: "WEB", Names: []string{"WEB.other"}},
		{Addr: netip.MustParseAddr("192.0.2.2"), Bare: "db", Names: []string{"db.other"}}})
	both := want + "# BEGIN vpcemu other /run/other\n192.0.2.1 WEB.other\n192.0.2.2 db.other\n# END vpcemu other /run/other\n"
	is(t, path, both)
	moved := []Host{web[0]}
	moved[0].Addr = netip.MustParseAddr("203.0.113.3")
	set(t, path, book, moved)
	is(t, path, strings.Replace(both, "203.0.113.2 ", "203.0.113.3 ", 1))
	set(t, path, book, nil)
	set(t, path, book, nil)
	if err := RemoveHosts(path, other); err != nil {
		t.Error(err)
	}
	is(t, path, original)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if sys := st.Sys().(*syscall.Stat_t); st.Mode().Perm() != 0o664 || sys.Uid != 12 || sys.Gid != 34 {
		t.Errorf("mode %v, owner %d:%d", st.Mode(), sys.Uid, sys.Gid)
	}
	if left, err := filepath.Glob(filepath.Dir(path) + "/.*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestBareNameIsTheFirstToAsk(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	got := string(setBlock(nil, Lab{"l", "/r"}, []Host{{a, []string{"x.l"}, "x"}, {b, []string{"x.l"}, "x"}}))
	if want := "# BEGIN vpcemu l /r\n192.0.2.1 x.l x\n192.0.2.2 x.l\n# END vpcemu l /r\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestLinesOutsideTheBlockStay(t *testing.T) {
	lab := Lab{"book", "/run/book"}
	begin, end := lab.mark("BEGIN")+"\n", lab.mark("END")+"\n"
	entry := "203.0.113.2 web.book web\n"
	for name, c := range map[string][2]string{
		"no block":              {"a b\nc", "a b\nc"},
		"between":               {"1 a\n" + begin + entry + end + "2 b\n", "1 a\n2 b\n"},
		"no newline at the end": {"1 a\n" + begin + entry + strings.TrimSuffix(end, "\n"), "1 a\n"},
		"CRLF":                  {"1 a\r\n" + begin + entry + end + "2 b\r\n", "1 a\r\n2 b\r\n"},
		"end is missing":        {begin + entry + "10.0.0.1 mine\n" + entry, "10.0.0.1 mine\n" + entry},
		"edited inside":         {begin + "10.0.0.1 mine\n" + entry + end, "10.0.0.1 mine\n"},
		"begin alone":           {"1 a\n" + begin, "1 a\n"},
		"twice":                 {begin + entry + end + "1 a\n" + begin + entry + end + "2 b\n", "1 a\n2 b\n"},
		"another lab's":         {"# BEGIN vpcemu book /run/2\n" + entry + "# END vpcemu book /run/2\n", "# BEGIN vpcemu book /run/2\n" + entry + "# END vpcemu book /run/2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(setBlock([]byte(c[0]), lab, nil)); got != c[1] {
				t.Errorf("got %q, want %q", got, c[1])
			}
		})
	}
}

// A daemon that is killed while it writes leaves a file beside, which the next change takes away.
func TestHalfWrittenFileOfAKilledDaemonGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	write(t, path, original)
	f, err := os.CreateTemp(filepath.Dir(path), draft)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := RemoveHosts(path, Lab{"book", "/run/book"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.Name()); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	is(t, path, original)
}

func TestFileThatIsALink(t *testing.T) {
	dir := t.TempDir()
	real, path := filepath.Join(dir, "real"), filepath.Join(dir, "hosts")
	write(t, real, original)
	if err := os.Symlink("real", path); err != nil {
		t.Fatal(err)
	}
	set(t, path, Lab{"book", "/run/book"}, web)
	if st, err := os.Lstat(path); err != nil || st.Mode().IsRegular() {
		t.Errorf("the link is gone: %v, %v", st, err)
	}
	if b, err := os.ReadFile(real); err != nil || !strings.Contains(string(b), "web.book") {
		t.Errorf("%q, %v", b, err)
	}
}

// A container's /etc/hosts is a mount of its own, which cannot be replaced.
func TestFileThatIsAMount(t *testing.T) {
	dir := t.TempDir()
	source, path := filepath.Join(dir, "source"), filepath.Join(dir, "hosts")
	write(t, source, original)
	write(t, path, "")
	done := make(chan error)
	thread.Go(func() {
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Mount(source, path, "", unix.MS_BIND, "")
		}
		lab := Lab{"book", "/run/book"}
		if err == nil {
			err = SetHosts(path, lab, web)
		}
		if b, e := os.ReadFile(source); e != nil || !strings.Contains(string(b), "web.book") {
			t.Errorf("%q, %v", b, e)
		}
		if err == nil {
			err = RemoveHosts(path, lab)
		}
		done <- err
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	is(t, source, original)
}

func TestFileThatCannotBeWritten(t *testing.T) {
	if err := SetHosts(filepath.Join(t.TempDir(), "none", "hosts"), Lab{"book", "/run/book"}, web); err == nil || !strings.Contains(err.Error(), "names in ") {
		t.Errorf("error %v", err)
	}
}

// Whatever is in the file, what was not the lab's stays, and a block that was put in goes again.
func FuzzHostsFile(f *testing.F) {
	f.Add(original)
	f.Add("# BEGIN vpcemu book /run/book\n203.0.113.2 web.book\n")
	f.Add("x\n# END vpcemu book /run/book\n")
	f.Fuzz(func(t *testing.T, text string) {
		lab := Lab{"book", "/run/book"}
		clean := setBlock([]byte(text), lab, nil)
		if again := setBlock(clean, lab, nil); string(again) != string(clean) {
			t.Fatalf("%q without its block is %q, and then %q", text, clean, again)
		}
		if !strings.Contains(text, "BEGIN vpcemu book") && string(clean) != text {
			t.Fatalf("%q became %q", text, clean)
		}
		with := setBlock([]byte(text), lab, web)
		got := string(setBlock(with, lab, nil))
		if want := string(clean); got != want && got != want+"\n" {
			t.Fatalf("%q with a block is %q, and without it %q", text, with, got)
		}
		if twice := setBlock(with, lab, web); string(twice) != string(with) {
			t.Fatalf("%q, and again %q", with, twice)
		}
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func set(t *testing.T, path string, lab Lab, list []Host) {
	t.Helper()
	if err := SetHosts(path, lab, list); err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, path, want string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("%q, %v; want %q", b, err, want)
	}
}
