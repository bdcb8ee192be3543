package host_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/host"
)

func TestStart_InstanceOfItsOwn(t *testing.T) {
	h, cfg := newLab(t)
	spec := internetHost("i-1", "web")
	spec.AuthorizedKeys = []string{"ssh-ed25519 AAAA user@laptop"}
	s := start(t, h, spec)
	if err := s.WaitReady(limited(t)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ script, want string }{
		{"hostname; cat /etc/hostname", "web\nweb"},
		{"ls -A /home", "ec2-user"},
		{"for d in /tmp /var/lib/mysql; do [ ! -d $d ] || ls -A $d; done", ""}, // the latter where the host has MariaDB
		{"cat /root/.ssh/authorized_keys", "ssh-ed25519 AAAA user@laptop"},
		{"stat -c %a:%U /root/.ssh /root/.ssh/authorized_keys /home/ec2-user/.ssh/authorized_keys", "700:root\n600:root\n600:ec2-user"},
		{"getent shadow ec2-user | cut -d: -f2; getent shadow root | cut -d: -f2", "*\n*"},
		{"cat /proc/1/cmdline | tr '\\0' ' ' | cut -d' ' -f1", "vpcemu-guest"},
		{"ls /dev", "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero"},
		{"ip -o -4 addr show eth0 | awk '{print $4}'", "203.0.113.10/32"},
		{"ip route", "default dev eth0 scope link metric 512 "},
		{"cat /proc/sys/net/ipv4/ip_forward", "0"},
		{"ip -6 addr show eth0", ""},
		{"cat /sys/class/net/eth0/carrier", "1"},
		{"wc -c < /etc/machine-id", "33"},
		{"echo $PATH:$HOME:$USER:$LANG", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/root:root:C.UTF-8"},
		{"umask", "0022"},
		{"ls -A " + cfg.StateDir + " 2>/dev/null | wc -l", "0"},
		{"echo 1 > /proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward", "1"},
		{"cat /proc/kmsg | wc -c", "0"},
	} {
		if got := shell(t, cfg, "i-1", c.script); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.script, got, c.want)
		}
	}
	for _, script := range []string{"mknod /root/sda b 8 0", "echo 1 > /proc/sys/kernel/panic", "echo h > /proc/sysrq-trigger",
		"echo 0 > /sys/kernel/profiling", "date -s now", "modprobe nothing", "cat /dev/net/tun"} {
		if out, status := shellStatus(t, cfg, "i-1", script); status == 0 {
			t.Errorf("%s: allowed: %s", script, out)
		}
	}
	st, err := s.Status(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	if st.State != "ready" || st.Hostname != "web" || len(st.NICs) != 1 || len(st.Notes) != 0 {
		t.Errorf("status %+v", st)
	}
	t.Logf("%+v", st)
}

func TestStop_KeepsTheDisk(t *testing.T) {
	h, cfg := newLab(t)
	spec := internetHost("i-1", "web")
	s := start(t, h, spec)
	id := shell(t, cfg, "i-1", "echo kept > /root/file; echo gone > /tmp/file; echo gone > /run/file; rm /etc/issue; cat /etc/machine-id")
	if err := s.Stop(limited(t), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if exit := <-s.Done(); exit.Cause != host.ExitStop {
		t.Errorf("exit %+v, want stop", exit)
	}
	if _, err := os.Stat("/run/netns/" + cfg.Lab + ".web"); err == nil {
		t.Error("the network namespace's name is still there")
	}
	spec.BootID = 2
	start(t, h, spec)
	if got := shell(t, cfg, "i-1", "cat /root/file; ls /tmp; ls /run/file /etc/issue 2>&1 | wc -l; cat /etc/machine-id"); got != "kept\n2\n"+id {
		t.Errorf("after stop and start: %q", got)
	}
}

func TestStart_TwoAtOnceAreApart(t *testing.T) {
	h, cfg := newLab(t)
	start(t, h, internetHost("i-1", "web"))
	start(t, h, internetHost("i-2", "db"))
	shell(t, cfg, "i-1", "echo web > /etc/mine")
	shell(t, cfg, "i-2", "echo db > /etc/mine")
	if got := shell(t, cfg, "i-1", "cat /etc/mine; hostname; ls /proc | grep -c '^[0-9]'"); !strings.HasPrefix(got, "web\nweb\n") {
		t.Errorf("web sees %q", got)
	}
	if got := shell(t, cfg, "i-2", "cat /etc/mine; hostname"); got != "db\ndb" {
		t.Errorf("db sees %q", got)
	}
	if _, err := os.Stat("/etc/mine"); err == nil {
		t.Error("an instance wrote into the host's /etc")
	}
	out, err := exec.Command("ip", "netns", "exec", cfg.Lab+".db", "ip", "-o", "-4", "addr", "show", "eth0").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "203.0.113.10/32") {
		t.Errorf("ip netns exec: %v: %s", err, out)
	}
	ids, err := h.Sandboxes()
	if err != nil || strings.Join(ids, " ") != "i-1 i-2" {
		t.Errorf("Sandboxes: %v, %v", ids, err)
	}
}

// With CAP_DAC_READ_SEARCH every file of the host could be opened by its handle, the labs' private keys too.
func TestSandbox_ProgramsLackWhatReachesTheHost(t *testing.T) {
	h, cfg := newLab(t)
	start(t, h, internetHost("i-1", "web"))
	text := shell(t, cfg, "i-1", "sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status")
	have, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]int{"DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH, "MKNOD": unix.CAP_MKNOD, "SYS_MODULE": unix.CAP_SYS_MODULE,
		"SYS_RAWIO": unix.CAP_SYS_RAWIO, "SYS_TIME": unix.CAP_SYS_TIME} {
		if have>>c&1 != 0 {
			t.Errorf("CAP_%s is in the bounding set %s", name, text)
		}
	}
}
