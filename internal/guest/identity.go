package guest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/dhcp/client"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// multiCall are the names under which the instance's users find this program, in the places where an init
// system has its own. They are written at each boot, as a package may have replaced them.
var multiCall = []string{"/usr/bin/systemctl", "/bin/systemctl", "/usr/bin/journalctl", "/bin/journalctl", "/usr/sbin/poweroff", "/sbin/poweroff", "/usr/sbin/reboot", "/sbin/reboot",
	"/usr/sbin/runlevel", "/sbin/runlevel", "/usr/sbin/halt", "/sbin/halt", "/usr/sbin/shutdown", "/sbin/shutdown", "/usr/sbin/init", "/sbin/init", "/usr/sbin/telinit", "/sbin/telinit"}

func installNames() error {
	for _, path := range multiCall {
		if dir, err := os.Lstat(filepath.Dir(path)); err != nil || !dir.IsDir() {
			continue // /sbin is a link to /usr/sbin on most distributions
		}
		if err := installName(path); err != nil {
			return err
		}
	}
	if _, err := os.Lstat(cloudInitPath); errors.Is(err, fs.ErrNotExist) { // the package's own is left alone
		if dir, err := os.Stat(filepath.Dir(cloudInitPath)); err == nil && dir.IsDir() {
			return installName(cloudInitPath)
		}
	}
	return nil
}

func installName(path string) error {
	if target, err := os.Readlink(path); err == nil && target == programPath {
		return nil
	}
	tmp := path + ".vpcemu-new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.Symlink(programPath, tmp), os.Rename(tmp, path))
}

// setMachineID gives a new disk its identity.
func setMachineID() error {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a version 4 UUID, machine-id(5)
	text := []byte(hex.EncodeToString(id) + "\n")
	if err := replaceFile("/etc/machine-id", text, 0o444); err != nil {
		return err
	}
	if _, err := os.Stat("/var/lib/dbus"); err != nil {
		return nil
	}
	return replaceFile("/var/lib/dbus/machine-id", text, 0o444)
}

// names keeps host name and resolver configuration as DHCP says.
type names struct {
	fixed     string       // configured host name, "" if DHCP gives it
	fqdn      string       // with domain, "" if it is the host name with the lease's
	keep      bool         // leave alone what the disk says
	resolvers []netip.Addr // configured name servers, those of an instance without DHCP

	mu       sync.Mutex
	hostname string
	domain   string // the first one of the lease
	own      string // what /etc/hosts says of 127.0.1.1
	resolv   string
}

// newNames knows the name that the configuration, or user data, gives.
func newNames(c *wire.Config) *names {
	n := &names{fixed: c.Hostname, resolvers: c.Resolvers}
	switch p := c.Plan; {
	case p == nil:
	case p.PreserveHostname:
		n.keep = true
	case p.Hostname != "":
		n.fixed, n.fqdn = p.Hostname, p.FQDN
	}
	return n
}

// Start sets the names that hold before the first lease. A resolver of the host's would not be reachable.
func (n *names) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := n.fixed
	old, err := readFile("/etc/hostname")
	if (name == "" || n.keep) && err == nil {
		name = strings.TrimSpace(string(old))
	}
	n.keep = n.keep && err == nil // a new disk has no name yet
	if name == "" {
		name = "localhost"
	}
	return errors.Join(n.setHostname(name), n.setResolv(resolvConf("at boot", n.resolvers, "")))
}

// Lease takes the names over that a lease brings.
func (n *names) Lease(l client.Lease) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := n.hostname
	if n.fixed == "" && !n.keep && validHostname(l.HostName) {
		name = l.HostName
	}
	n.domain = ""
	if f := strings.Fields(l.Domain); len(f) > 0 && validName(f[0], 253) {
		n.domain = f[0]
	}
	return errors.Join(n.setResolv(resolvConf("from the DHCP lease", l.DNS, l.Domain)), n.setHostname(name))
}

func (n *names) Hostname() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hostname
}

// setHostname sets the kernel's and the files' name. /etc/hosts loses only the line of the former name.
func (n *names) setHostname(name string) error {
	if name != n.hostname {
		if err := unix.Sethostname([]byte(name)); err != nil {
			return fmt.Errorf("host name %q: %w", name, err)
		}
		n.hostname = name
		if err := replaceFile("/etc/hostname", []byte(name+"\n"), 0o644); err != nil {
			return err
		}
	}
	own := n.withDomain(name)
	if own == n.own {
		return nil
	}
	if err := editFile("/etc/hosts", 0o644, func(text string) string { return hostsWith(text, own) }); err != nil {
		return err
	}
	n.own = own
	return nil
}

// withDomain is the host name with the full name before it, which `hostname -f` tells.
func (n *names) withDomain(name string) string {
	full := n.fqdn
	if full == "" && n.domain != "" && name != "localhost" && !strings.Contains(name, ".") {
		full = name + "." + n.domain
	}
	if full == "" || full == name {
		return name
	}
	return full + " " + name
}

// setFreshHosts replaces the host's /etc/hosts on a new disk.
func setFreshHosts() error {
	return replaceFile("/etc/hosts", []byte("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"), 0o644)
}

// hostsWith gives 127.0.1.1 to name, as Debian does, so that a program that looks its own name up finds it
// without asking the network.
func hostsWith(text, name string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "127.0.1.1 ") {
			b.WriteString(line)
		}
	}
	if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
		b.WriteByte('\n')
	}
	if name != "localhost" {
		b.WriteString("127.0.1.1 " + name + "\n")
	}
	return b.String()
}

// setResolv writes resolv.conf(5), but only when it would say something new, so that what the user changed
// lasts until the lease does.
func (n *names) setResolv(text string) error {
	if text == n.resolv {
		return nil
	}
	if err := replaceFile("/etc/resolv.conf", []byte(text), 0o644); err != nil {
		return err
	}
	n.resolv = text
	return nil
}

// resolvConf takes the first three servers, more are ignored by the C library. A domain of several names
// is a search list (DH-01).
func resolvConf(written string, servers []netip.Addr, domain string) string {
	var b strings.Builder
	b.WriteString("# Written " + written + ".\n")
	if f := strings.Fields(domain); len(f) > 0 {
		b.WriteString("search " + strings.Join(f, " ") + "\n")
	}
	for _, s := range servers[:min(3, len(servers))] {
		b.WriteString("nameserver " + s.String() + "\n")
	}
	return b.String()
}

// validHostname keeps a strange DHCP answer out of files and shells (RFC 1123 section 2.1).
func validHostname(name string) bool { return validName(name, 63) }

func validName(name string, longest int) bool {
	if name == "" || len(name) > longest || name[0] == '-' {
		return false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' {
			return false
		}
	}
	return true
}
