package e2e

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// durable is a lab with one of everything that has to survive.
const durable = `version: 1
vpcs: {main: {cidr_block: 10.20.0.0/16}}
subnets:
  public: {vpc: main, cidr_block: 10.20.0.0/24, map_public_ip_on_launch: true}
  private: {vpc: main, cidr_block: 10.20.1.0/24}
internet_gateways: {igw: {vpc: main}}
elastic_ips: {nat: {}, web: {instance: web}}
nat_gateways: {nat: {subnet: public, elastic_ip: nat}}
route_tables:
  public: {vpc: main, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
  private: {vpc: main, subnets: [private], routes: [{cidr_block: 0.0.0.0/0, nat_gateway: nat}]}
security_groups:
  web: {vpc: main, ingress: [{port: ssh, cidr_blocks: [0.0.0.0/0]}]}
key_pairs: {k: {}}
network_interfaces:
  second: {subnet: public, attachment: {instance: web}}
instances:
  web: {subnet: public, security_groups: [default, web], key_name: k}
  db: {subnet: private, key_name: k}
internet_hosts:
  laptop: {key_names: [k]}
  server: {}
`

func (l *lab) daemons() []int { daemons, _ := l.processes(); return daemons }
func (l *lab) inits() []int   { _, inits := l.processes(); return inits }

func (l *lab) runDir() string   { return filepath.Join(os.Getenv("VPCEMU_RUN_DIR"), l.name) }
func (l *lab) stateDir() string { return filepath.Join(os.Getenv("VPCEMU_STATE_DIR"), l.name) }

// kill9 kills processes and waits until they are gone.
func (l *lab) kill9(pids ...int) {
	l.t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			l.t.Fatalf("kill %d: %v", pid, err)
		}
	}
	eventually(l.t, "end of what was killed", func() error {
		for _, pid := range pids {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err == nil && !strings.Contains(string(stat), ") Z ") {
				return fmt.Errorf("process %d is still there: %s", pid, stat)
			}
		}
		return nil
	})
}

// crash kills the lab's daemon.
func (l *lab) crash() {
	l.t.Helper()
	pids := l.daemons()
	if len(pids) != 1 {
		l.t.Fatalf("%d daemons: %v", len(pids), pids)
	}
	l.kill9(pids...)
}

// objects is the whole lab as the EC2 operations tell it, without what changes by
// itself: the time of a launch.
func (l *lab) objects() (all map[string]any) {
	l.t.Helper()
	l.decode(l.cli("describe", "-o", "json"), &all)
	return all
}

// leasesOf is every interface's lease: its address and whether it is bound.
func (l *lab) leasesOf() map[string]string {
	l.t.Helper()
	_, machines := l.list()
	all := map[string]string{}
	for _, m := range machines {
		for _, lease := range m.Leases {
			all[lease.NetworkInterface] = lease.Address + " " + lease.State
		}
	}
	return all
}

func (l *lab) unchanged(what string, was, is any) {
	l.t.Helper()
	if d := cmp.Diff(was, is); d != "" {
		l.t.Errorf("%s has changed (-before +after):\n%s", what, d)
	}
}

func TestDurability_EverythingSurvivesKill9StopAndStart(t *testing.T) {
	l := up(t, durable)
	objects, leases := l.objects(), l.leasesOf()
	if len(leases) != 3 {
		t.Fatalf("leases: %v", leases)
	}
	l.in("web", "echo kept >/root/file")
	l.in("web", "nohup sh -c 'while :; do date +%s.%N >/root/alive; sleep 0.05; done' >/dev/null 2>&1 &")
	address := l.in("web", "ip -4 -o addr show scope global | awk '{print $2, $4}'; cat /proc/1/stat | cut -d' ' -f22")

	l.crash()
	if out := l.in("web", "cat /root/file"); out != "kept\n" { // exec needs no daemon
		t.Errorf("file: %q", out)
	}
	before := l.in("web", "cat /root/alive")
	eventually(t, "life without a daemon", func() error {
		if now := l.in("web", "cat /root/alive"); now == before {
			return fmt.Errorf("the program stands still since %s", now)
		}
		return nil
	})
	if n := l.daemons(); len(n) != 0 {
		t.Fatalf("exec has started a daemon: %v", n)
	}
	l.unchanged("the lab after kill -9", objects, l.objects()) // starts a daemon
	l.unchanged("the leases after kill -9", leases, l.leasesOf())
	l.unchanged("the instance after kill -9", address, l.in("web", "ip -4 -o addr show scope global | awk '{print $2, $4}'; cat /proc/1/stat | cut -d' ' -f22"))
	if pings := l.in("web", "ping -c1 -W2 10.20.1.4 | grep -c from"); strings.TrimSpace(pings) != "2" && strings.TrimSpace(pings) != "1" {
		t.Errorf("ping: %s", pings)
	}

	l.cli("stop", "web", "server")
	l.cli("start", "web", "server")
	l.unchanged("the lab after stop and start", withoutLaunch(objects), withoutLaunch(l.objects()))
	l.unchanged("the leases after stop and start", leases, l.leasesOf())
	if out := l.in("web", "cat /root/file"); out != "kept\n" {
		t.Errorf("file after stop and start: %q", out)
	}
}

// withoutLaunch leaves out the time of the last start, which a start changes.
func withoutLaunch(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if k != "LaunchTime" {
				out[k] = withoutLaunch(x)
			}
		}
		return out
	case []any:
		var out []any
		for _, x := range v {
			out = append(out, withoutLaunch(x))
		}
		return out
	}
	return v
}

// A person at the far end of an ssh session notices a daemon that was killed and
// came back as a pause.
func TestDurability_SSHSessionGoesOnAcrossKill9(t *testing.T) {
	l := up(t, durable)
	session := l.command("exec", "laptop", "--", "sh", "-c", "exec "+sshOptions+"ec2-user@"+l.publicOf("web")+" cat")
	stdin, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	session.Stderr = os.Stderr
	if err := session.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Process.Kill(); _ = session.Wait() })
	lines := readLines(stdout)
	echo := func(text string) {
		t.Helper()
		if _, err := io.WriteString(stdin, text+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	echo("before")
	l.expect(lines, "before")
	for i := range 3 {
		l.crash()
		echo(fmt.Sprintf("typed without a daemon %d", i))
		l.cli("ls")
		l.expect(lines, fmt.Sprintf("typed without a daemon %d", i))
		echo("after")
		l.expect(lines, "after")
	}
}

func readLines(r io.Reader) <-chan string {
	lines := make(chan string, 16)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(r)
		for s.Scan() {
			lines <- s.Text()
		}
	}()
	return lines
}

func (l *lab) expect(lines <-chan string, want string) {
	l.t.Helper()
	select {
	case got, ok := <-lines:
		if !ok || got != want {
			l.t.Fatalf("got %q (open: %v), want %q", got, ok, want)
		}
	case <-time.After(limit):
		l.t.Fatalf("%q did not come", want)
	}
}

// download reads as fast as it comes and tells of every pause: when it began and
// ended, and how much had come by then.
const download = `
use IO::Socket::INET; use Time::HiRes 'time';
my $s = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => 9000, Timeout => 20) or die "connect: $!";
$| = 1; my ($total, $last) = (0, time);
while (1) {
  my $n = sysread($s, my $buf, 1 << 16);
  die "read: $!" unless defined $n; die "end of file" unless $n;
  my $now = time; $total += $n;
  printf "%.6f %.6f %d\n", $last, $now, $total if $now - $last > 0.02;
  $last = $now;
}`

const upload = `
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalPort => 9000, Listen => 5, ReuseAddr => 1) or die $!;
my $c = $s->accept; my $buf = "x" x 65536;
while (syswrite($c, $buf)) {}`

// A transfer through the NAT gateway keeps its translation and its tracking, which
// live in shared memory.
func TestDurability_TransferThroughNATGoesOnAcrossKill9(t *testing.T) {
	l := up(t, durable)
	script := func(machine, name, text string) {
		if out, errs, status := l.try(text, "exec", machine, "--", "sh", "-c", "cat >/root/"+name); status != 0 {
			t.Fatalf("%s%s", out, errs)
		}
	}
	script("server", "upload.pl", upload)
	script("db", "download.pl", download)
	l.start("server", "exec perl /root/upload.pl")
	eventually(t, "a listening server", func() error {
		if _, _, status := l.tryIn("server", "ss -ltn | grep -q :9000"); status != 0 {
			return fmt.Errorf("exit status %d", status)
		}
		return nil
	})
	client := l.command("exec", "db", "--", "perl", "/root/download.pl", l.publicOf("server"))
	out, err := client.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	client.Stderr = &errs
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Process.Kill(); _ = client.Wait() })
	pauses := readLines(out)
	worst := time.Duration(0)
	for range 5 {
		eventually(t, "a transfer under way", func() error { return l.flows(pauses) })
		begin := time.Now()
		l.crash()
		l.cli("ls")
		answered := time.Now()
		beyond, pause, ok := pauseAcross(pauses, begin, answered)
		if !ok {
			t.Fatalf("the transfer did not go on: %s", errs.String())
		}
		t.Logf("without a daemon for at most %v, paused for %v, went on %v after the daemon answered", answered.Sub(begin), pause, beyond)
		worst = max(worst, beyond)
	}
	t.Logf("worst pause beyond the outage: %v", worst)
}

// flows tells whether a transfer has been without pauses for a moment.
func (l *lab) flows(pauses <-chan string) error {
	for {
		select {
		case p, ok := <-pauses:
			if !ok {
				return fmt.Errorf("it ended")
			}
			return fmt.Errorf("a pause: %s", p)
		case <-time.After(200 * time.Millisecond):
			return nil
		}
	}
}

// pauseAcross finds the pause that a time lies in.
func pauseAcross(pauses <-chan string, begin, answered time.Time) (beyond, pause time.Duration, ok bool) {
	for {
		select {
		case line, open := <-pauses:
			if !open {
				return 0, 0, false
			}
			var from, to float64
			var total int
			if n, _ := fmt.Sscanf(line, "%f %f %d", &from, &to, &total); n != 3 {
				return 0, 0, false
			}
			end := time.UnixMicro(int64(to * 1e6))
			if end.Before(begin) {
				continue
			}
			return end.Sub(answered), time.Duration((to - from) * 1e9), true
		case <-time.After(limit):
			return 0, 0, false
		}
	}
}

// small is quick to bring up and to check.
const small = `version: 1
vpcs: {v: {cidr_block: 10.30.0.0/16}}
subnets: {s: {vpc: v, cidr_block: 10.30.1.0/24}}
instances:
  a: {subnet: s, private_ip: 10.30.1.10}
  b: {subnet: s, private_ip: 10.30.1.11}
internet_hosts: {far: {}}
`

// left is what of the lab is on the machine.
func (l *lab) left() (found []string) {
	l.t.Helper()
	for _, s := range machine() {
		if strings.Contains(s, l.name+".") || strings.Contains(s, l.runDir()) || strings.Contains(s, l.stateDir()) {
			found = append(found, s)
		}
	}
	for _, pid := range append(l.daemons(), l.inits()...) {
		found = append(found, fmt.Sprintf("process %d", pid))
	}
	for _, path := range []string{l.runDir(), l.stateDir(), l.runDir() + ".lock"} {
		if _, err := os.Lstat(path); err == nil {
			found = append(found, path)
		}
	}
	return found
}

// whole fails unless the lab of small runs and its packets flow.
func (l *lab) whole() {
	l.t.Helper()
	_, machines := l.list()
	for _, name := range []string{"a", "b", "far"} {
		if machines[name].State != "running" {
			l.t.Fatalf("%s is %q", name, machines[name].State)
		}
	}
	l.in("a", "ping -q -c1 -W5 10.30.1.11")
	if n := len(l.inits()); n != 3 {
		l.t.Fatalf("%d PID 1s", n)
	}
}

// crashing runs a vpcemu command and kills it and the daemon at a random moment.
func (l *lab) crashing(rng *rand.Rand, within time.Duration, args ...string) {
	l.t.Helper()
	cmd := l.command(args...)
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	<-time.After(time.Duration(rng.Int64N(int64(within))))
	_ = cmd.Process.Kill()
	l.kill9(l.daemons()...)
	_ = cmd.Wait()
	l.kill9(l.daemons()...) // which the command had only just started
}

func TestDurability_KilledAtAnyMomentOfUpAndDown(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	l := newLab(t, small)
	for round := range 40 {
		switch rng.IntN(4) {
		case 0, 1:
			l.crashing(rng, 200*time.Millisecond, "up", l.file)
		case 2:
			l.crashing(rng, 60*time.Millisecond, "down")
		case 3:
			l.cli("up", l.file)
			l.crashing(rng, 80*time.Millisecond, "down")
		}
		if rng.IntN(2) == 0 {
			l.cli("up", l.file)
			l.whole()
		} else {
			l.cli("down")
			if left := l.left(); len(left) > 0 {
				t.Fatalf("round %d: left after down: %v", round, left)
			}
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// What an operation has answered is true after a crash, and what it has not is
// wholly there or not at all.
func TestDurability_KilledAtAnyMomentOfAnOperation(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	l := up(t, small)
	promised := map[string]bool{}
	for round := range 15 {
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			<-time.After(time.Duration(50+rng.IntN(150)) * time.Millisecond)
			for _, pid := range l.daemons() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}()
		for i := range 32 {
			out, _, status := l.try("", "ec2", "create-subnet", "--vpc-id", "v", "--cidr-block", fmt.Sprintf("10.30.%d.%d/28", 16+2*round+i/16, 16*(i%16)))
			if status != 0 {
				break
			}
			var made struct{ Subnet struct{ SubnetId string } }
			l.decode(out, &made)
			promised[made.Subnet.SubnetId] = true
		}
		<-killed
		l.kill9(l.daemons()...)
	}
	there := map[string]bool{}
	list, _ := l.ec2("describe-subnets")["Subnets"].([]any)
	for _, s := range list {
		there[get(t, s, "SubnetId")] = true
	}
	if len(promised) < 15 {
		t.Errorf("only %d subnets were made", len(promised))
	}
	for id := range maps.Keys(promised) {
		if !there[id] {
			t.Errorf("subnet %s was made and is not there", id)
		}
	}
	l.cli("up", l.file)
	l.whole()
}

// reboot does to the lab what a restart of the machine does: every process ends,
// and everything in /run and every namespace is gone.
func (l *lab) reboot() {
	l.t.Helper()
	l.kill9(l.daemons()...)
	l.kill9(l.inits()...)
	names, err := filepath.Glob("/run/netns/" + l.name + ".*")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, path := range names {
		_ = syscall.Unmount(path, syscall.MNT_DETACH)
		if err := os.Remove(path); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := os.RemoveAll(l.runDir()); err != nil {
		l.t.Fatal(err)
	}
	if err := os.RemoveAll(l.runDir() + ".lock"); err != nil {
		l.t.Fatal(err)
	}
}

func TestDurability_UpAfterARebootBringsTheLabBack(t *testing.T) {
	l := up(t, durable)
	l.in("db", "echo kept >/root/file")
	hostKey := l.in("web", "cat /etc/ssh/ssh_host_ed25519_key.pub")
	l.cli("stop", "server")
	objects := l.objects()
	l.reboot()
	l.cli("up", l.file)
	if out := l.in("db", "cat /root/file"); out != "kept\n" {
		t.Errorf("file: %q", out)
	}
	l.unchanged("the host key", hostKey, l.in("web", "cat /etc/ssh/ssh_host_ed25519_key.pub"))
	l.cli("start", "server") // the file says nothing about who is stopped
	if got := l.login("laptop", "ec2-user@"+l.publicOf("web")+" echo in"); strings.TrimSpace(got) != "in" {
		t.Errorf("ssh: %q", got)
	}
	l.cli("stop", "server")
	l.unchanged("the lab", withoutLaunch(objects), withoutLaunch(l.objects()))
}

// Whoever asks first after the restart gets the lab back, not only `up`.
func TestDurability_AnyCommandAfterARebootBringsTheLabBack(t *testing.T) {
	l := up(t, small)
	l.reboot()
	l.cli("ls")
	eventually(t, "instances that run again", func() error {
		if n := len(l.inits()); n != 3 {
			return fmt.Errorf("%d PID 1s", n)
		}
		return nil
	})
	eventually(t, "packets", func() error {
		if out, errs, status := l.tryIn("a", "ping -q -c1 -W1 10.30.1.11"); status != 0 {
			return fmt.Errorf("%s%s", out, errs)
		}
		return nil
	})
}

// Commands that find no daemon and start one at the same time share it, and the
// one that was not needed does nothing when its turn would come.
func TestDurability_CommandsThatStartTheDaemonTogether(t *testing.T) {
	l := up(t, small)
	for range 3 {
		l.crash()
		failed := make(chan string, 6)
		for range cap(failed) {
			go func() {
				out, err := l.command("ls").CombinedOutput()
				if err != nil {
					failed <- string(out)
				} else {
					failed <- ""
				}
			}()
		}
		for range cap(failed) {
			if out := <-failed; out != "" {
				t.Errorf("ls: %s", out)
			}
		}
		eventually(t, "one daemon", func() error {
			if n := len(l.daemons()); n != 1 {
				return fmt.Errorf("%d are there", n)
			}
			return nil
		})
	}
	l.whole()
	l.crash()
	for range 3 {
		_ = l.command("ls").Run()
	}
	l.cli("down")
	eventually(t, "end of the daemons that were not needed", func() error {
		if left := l.left(); len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}

// A daemon that is asked to end leaves the instances alone, as one that is killed.
func TestDurability_DaemonEndsOnSIGTERM(t *testing.T) {
	l := up(t, small)
	boot := l.booted("a")
	for _, pid := range l.daemons() {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "end of the daemon", func() error {
		if n := len(l.daemons()); n > 0 {
			return fmt.Errorf("%d are there", n)
		}
		return nil
	})
	l.cli("ls")
	equal(t, "boot of a", l.booted("a"), boot)
	l.whole()
}

// An instance that was being stopped when the daemon died still gets the time to
// shut its services down.
func TestDurability_StopGoesOnWithItsGrace(t *testing.T) {
	l := up(t, small)
	l.in("a", `cat >/root/service <<'END'
trap 'sleep 1.5; echo done >/root/done; exit' TERM; touch /root/trapped; while :; do sleep 0.1; done
END
setsid sh /root/service >/dev/null 2>&1 </dev/null &`)
	eventually(t, "a service", func() error {
		if _, _, status := l.tryIn("a", "test -e /root/trapped"); status != 0 {
			return fmt.Errorf("exit status %d", status)
		}
		return nil
	})
	stop := l.command("stop", "a")
	if err := stop.Start(); err != nil {
		t.Fatal(err)
	}
	l.stateOf("a", "stopping")
	l.crash()
	_ = stop.Wait()
	l.stateOf("a", "stopped")
	l.cli("start", "a")
	if out := l.in("a", "cat /root/done"); out != "done\n" {
		t.Errorf("the service was cut short: %q", out)
	}
}
