package guest

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A thousand instances run this program: it may not take in what only the network needs.
func TestDependencies_Lean(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "github.com/vpcemu/vpcemu/cmd/vpcemu/guest").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		for _, banned := range []string{"github.com/google/gopacket", "net/http", "crypto/tls", "github.com/vpcemu/vpcemu/dataplane",
			"github.com/vpcemu/vpcemu/internal/vpc", "github.com/spf13/cobra"} {
			if dep == banned || strings.HasPrefix(dep, banned+"/") {
				t.Errorf("the guest program depends on %s", dep)
			}
		}
	}
}

const (
	passwd = "root:x:0:0:root:/root:/bin/bash\nme:x:1000:1000::/home/me:\nyou:x:1002:1001::/home/you:/bin/sh\nbroken:x:one:1::/:/\nshort:x\n"
	group  = "root:x:0:\nsudo:x:27:me,you\nme:x:1000:\nadm:x:4:you,me\n"
)

func TestFindAccount(t *testing.T) {
	want := account{Name: "me", Home: "/home/me", Shell: "/bin/sh", UID: 1000, GID: 1000, Groups: []uint32{1000, 27, 4}}
	for _, user := range []string{"me", "1000"} {
		if got, err := findAccount(passwd, group, user); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", user, got, err)
		}
	}
	for _, user := range []string{"nobody", "broken", "short", ""} {
		if got, err := findAccount(passwd, group, user); err == nil {
			t.Errorf("%q: %+v", user, got)
		}
	}
}

// ec2-user takes the first number that is neither a user's nor a user's group's.
func TestAddPasswd(t *testing.T) {
	got := addPasswd(passwd)
	if !strings.HasPrefix(got, passwd+"ec2-user:x:1003:1003:") {
		t.Errorf("got %q", got)
	}
	if again := addPasswd(got); again != got {
		t.Errorf("added twice: %q", again)
	}
}

func TestUnlock(t *testing.T) {
	for _, c := range []struct{ shadow, name, want string }{
		{"root:!:1:2:3::::\nx:y:\n", "root", "root:*:1:2:3::::\nx:y:\n"},
		{"root:$6$secret:1\n", "root", "root:*:1\n"},
		{"root:*:1\n", "me", "root:*:1\nme:*:20000:0:99999:7:::\n"},
	} {
		if got := unlock(c.shadow, c.name); got != c.want {
			t.Errorf("unlock(%q, %s) = %q", c.shadow, c.name, got)
		}
	}
}

func TestFindProgram(t *testing.T) {
	dir := t.TempDir()
	for name, perm := range map[string]os.FileMode{"run": 0o755, "data": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, perm); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=/nowhere:" + dir}
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"run", dir + "/run", nil},
		{"./run", dir + "/run", nil},
		{"data", "", syscall.EACCES},
		{"absent", "", syscall.ENOENT},
	} {
		if got, err := findProgram(c.name, env, dir); err != c.err || got != c.want {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

func TestEnvironment_LaterOverrides(t *testing.T) {
	env := account{Name: "me", Home: "/home/me"}.environment([]string{"LANG=C", "X=1", "X=2"})
	text := strings.Join(env, " ")
	if !strings.Contains(text, "LANG=C X=2") || strings.Contains(text, "C.UTF-8") || !strings.Contains(text, "HOME=/home/me USER=me") {
		t.Errorf("got %s", text)
	}
}

func TestReadPower(t *testing.T) {
	now := time.Date(2026, 11, 28, 22, 30, 0, 0, time.UTC)
	in := func(d time.Duration) powerOrder { return powerOrder{signal: sigPoweroff, at: now.Add(d)} }
	with := func(o powerOrder, change func(*powerOrder)) *powerOrder { change(&o); return &o }
	at := func(d time.Duration) *powerOrder { o := in(d); return &o }
	for _, c := range []struct {
		line string
		want *powerOrder // nil: refused
	}{
		{"poweroff", &powerOrder{signal: sigPoweroff}}, {"reboot -f", &powerOrder{signal: sigReboot}}, {"halt", &powerOrder{signal: sigHalt}},
		{"poweroff --reboot", &powerOrder{signal: sigReboot}}, {"shutdown now", &powerOrder{signal: sigPoweroff}}, {"shutdown -r now", &powerOrder{signal: sigReboot}},
		{"shutdown -h now bye all", &powerOrder{signal: sigPoweroff, message: "bye all"}}, {"shutdown -P +0", &powerOrder{signal: sigPoweroff}},
		{"init 0", &powerOrder{signal: sigPoweroff}}, {"init 6", &powerOrder{signal: sigReboot}}, {"telinit 6", &powerOrder{signal: sigReboot}},
		{"shutdown", at(time.Minute)}, {"shutdown +5", at(5 * time.Minute)}, {"shutdown 23:00", at(30 * time.Minute)}, {"shutdown 22:30", at(24 * time.Hour)},
		{"shutdown -r", with(in(time.Minute), func(o *powerOrder) { o.signal = sigReboot })},
		{"shutdown -h +10 see you", with(in(10*time.Minute), func(o *powerOrder) { o.message = "see you" })},
		{"shutdown -c", &powerOrder{signal: sigPoweroff, cancel: true}}, {"shutdown --show", &powerOrder{signal: sigPoweroff, show: true}},
		{"shutdown soon", nil}, {"shutdown +x", nil}, {"shutdown 25:00", nil}, {"init", nil}, {"init 3", nil}, {"reboot 6", nil}, {"halt --odd", nil}, {"reboot -c", nil},
	} {
		args := strings.Fields(c.line)
		got, err := readPower(args[0], args[1:], now)
		switch {
		case (err == nil) != (c.want != nil):
			t.Errorf("%s: %+v, %v", c.line, got, err)
		case c.want != nil && got != *c.want:
			t.Errorf("%s: %+v, want %+v", c.line, got, *c.want)
		}
	}
}

func TestHostsWith(t *testing.T) {
	got := hostsWith("127.0.0.1 localhost\n127.0.1.1 old\n10.0.0.1 mine", "new")
	if want := "127.0.0.1 localhost\n10.0.0.1 mine\n127.0.1.1 new\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got := hostsWith("127.0.0.1 localhost\n", "localhost"); got != "127.0.0.1 localhost\n" {
		t.Errorf("got %q", got)
	}
}

func TestResolvConf(t *testing.T) {
	servers := []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("10.0.0.4"), netip.MustParseAddr("10.0.0.5")}
	got := resolvConf("from the DHCP lease", servers, "a.example b.example")
	want := "# Written from the DHCP lease.\nsearch a.example b.example\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n"
	if got != want {
		t.Errorf("got %q", got)
	}
}

// What DHCP says goes into files that shells read.
func TestValidHostname(t *testing.T) {
	for name, want := range map[string]bool{"ip-10-0-0-5": true, "web.example": true, "": false, "-x": false, "a b": false, "$(reboot)": false, "a\nb": false, strings.Repeat("x", 64): false} {
		if validHostname(name) != want {
			t.Errorf("validHostname(%q) = %v", name, !want)
		}
	}
}

func TestLeaseNumbers(t *testing.T) {
	if got := broadcast(netip.MustParsePrefix("172.30.1.20/20")).String(); got != "172.30.15.255" {
		t.Errorf("broadcast %s", got)
	}
	for d, want := range map[time.Duration]int{time.Hour: 3600, time.Millisecond: 1, -time.Second: 1, 200 * 365 * 24 * time.Hour: 0} {
		if got := lifetime(d); got != want {
			t.Errorf("lifetime(%v) = %d, want %d", d, got, want)
		}
	}
}

func TestReplaceFile_TakesALinksPlace(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("host"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(link, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(target); string(text) != "host" {
		t.Errorf("the link's target is now %q", text)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
}

func TestWithDomain(t *testing.T) {
	for _, c := range []struct {
		name, fqdn, domain, want string
	}{
		{"ip-10-0-0-4", "", "", "ip-10-0-0-4"},
		{"ip-10-0-0-4", "", "corp.example", "ip-10-0-0-4.corp.example ip-10-0-0-4"},
		{"shop", "shop.example.com", "corp.example", "shop.example.com shop"},
		{"shop.example.com", "shop.example.com", "corp.example", "shop.example.com"},
		{"shop.example.com", "", "corp.example", "shop.example.com"},
		{"localhost", "", "corp.example", "localhost"},
	} {
		if got := (&names{fqdn: c.fqdn, domain: c.domain}).withDomain(c.name); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}
