package hostlink

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
)

// inside runs f on a thread that has a network namespace of its own, which ends with it: the
// machine of these tests.
func inside(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	thread.Go(func() {
		err := unix.Unshare(unix.CLONE_NEWNET)
		defer func() { done <- err }()
		if err == nil {
			f()
		}
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// run runs a program in the thread's namespace.
func run(t *testing.T, line string) string {
	t.Helper()
	f := strings.Fields(line)
	out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// network is all of the namespace that a lab may change.
func network(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	links, err := netlink.LinkList()
	if err != nil {
		t.Error(err)
	}
	for _, l := range links {
		fmt.Fprintf(&b, "link %s mtu %d %q\n", l.Attrs().Name, l.Attrs().MTU, l.Attrs().Alias)
	}
	for _, line := range []string{"ip -4 -o addr", "ip rule", "ip -4 route show table all", "nft list ruleset"} {
		b.WriteString(run(t, line))
	}
	settings, err := filepath.Glob("/proc/sys/net/ipv4/conf/*/*")
	if err != nil || len(settings) == 0 {
		t.Errorf("no settings: %v", err)
	}
	for _, s := range append(settings, "/proc/sys/net/ipv4/ip_forward") {
		v, err := os.ReadFile(s)
		if err != nil && !os.IsPermission(err) {
			continue // not to be read
		}
		fmt.Fprintf(&b, "%s=%s", s, v)
	}
	return b.String()
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// outside gives the namespace an interface eth0 with a default route.
func outside(t *testing.T) {
	t.Helper()
	for _, line := range []string{
		"ip link add eth0 type veth peer name peer0", "ip link set peer0 up", "ip addr add 10.55.0.2/24 dev eth0", "ip link set eth0 up",
		"ip link set lo up", "ip route add default via 10.55.0.1",
	} {
		run(t, line)
	}
}

func newLab(t *testing.T, name string) Lab { return Lab{name, t.TempDir()} }

// same fails where two states of the network differ, and tells in what.
func same(t *testing.T, before, after string) {
	t.Helper()
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, line := range was {
		if !slices.Contains(is, line) {
			t.Errorf("it is gone: %s", line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			t.Errorf("it has come: %s", line)
		}
	}
}
