package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// patience is how long a connection is tried that has to be dropped silently, in
// seconds. The drop itself is looked up, so this only has to be long enough for a
// connection that works to come about.
const patience = "0.5"

// sshOptions make ssh usable without a person: it accepts new hosts and asks nothing.
const sshOptions = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout=20 "

// echoServer is user data for a server of port 80 that answers with its own host
// name and the address that the request came from.
const echoServer = `|
      #!/bin/sh
      cat > /root/serve.pl <<'PERL'
      use IO::Socket::INET; use Sys::Hostname;
      my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 64, ReuseAddr => 1) or die $!;
      while (1) {
        my $c = $s->accept or next;
        while (defined(my $line = <$c>)) { last if $line =~ /^\r?$/ }
        my $body = hostname() . " saw " . $c->peerhost;
        print $c "HTTP/1.0 200 OK\r\nContent-Length: ", length $body, "\r\n\r\n", $body;
      }
      PERL
      nohup perl /root/serve.pl >/root/serve.log 2>&1 &
`

// machineInfo is an instance or Internet host as `vpcemu ls -o json` shows it.
type machineInfo struct {
	Name, ID, Kind, State, PrivateIp, PublicIp, Subnet, Zone string
	Leases                                                   []struct{ NetworkInterface, Address, State string }
}

// list is the lab as `vpcemu ls -o json` shows it: its daemon's process and its
// machines by name, of several with one name the one that is not terminated.
func (l *lab) list() (daemon int, machines map[string]machineInfo) {
	l.t.Helper()
	var out struct {
		Daemon    int
		Instances []machineInfo
	}
	l.decode(l.cli("ls", "-o", "json"), &out)
	machines = map[string]machineInfo{}
	for _, m := range out.Instances {
		if _, met := machines[m.Name]; met && m.State == "terminated" {
			continue // the one that took its name is listed before it
		}
		machines[m.Name] = m
	}
	return out.Daemon, machines
}

func (l *lab) machine(name string) machineInfo {
	l.t.Helper()
	_, machines := l.list()
	m, ok := machines[name]
	if !ok {
		l.t.Fatalf("no machine %s in lab %s", name, l.name)
	}
	return m
}

func (l *lab) decode(text string, v any) {
	l.t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		l.t.Fatalf("%v in:\n%s", err, text)
	}
}

// dropInfo is one line of `vpcemu drops`.
type dropInfo struct {
	Sequence                       uint64
	Packet, Where, Reason, Decided string
}

func (l *lab) dropsAfter(sequence uint64) (found []dropInfo) {
	l.t.Helper()
	var all []dropInfo
	l.decode(l.cli("drops", "-o", "json"), &all)
	for _, d := range all {
		if d.Sequence > sequence {
			found = append(found, d)
		}
	}
	return found
}

func (l *lab) lastDrop() (sequence uint64) {
	l.t.Helper()
	for _, d := range l.dropsAfter(0) {
		sequence = max(sequence, d.Sequence)
	}
	return sequence
}

// blocked fails unless a TCP connection gets no answer at all, neither opened nor
// refused, and a packet of it was dropped for the reason.
func (l *lab) blocked(from, addr string, port int, reason string) {
	l.t.Helper()
	since := l.lastDrop()
	_, _, status := l.tryIn(from, fmt.Sprintf("timeout %s nc -z %s %d", patience, addr, port))
	if status != 124 { // timeout's own status
		l.t.Fatalf("%s to %s:%d: nc ended with status %d, want silence (%s)", from, addr, port, status, reason)
	}
	l.droppedSince(since, reason, fmt.Sprintf("%s:%d", addr, port), fmt.Sprintf(":%d > %s:", port, l.outerAddr(from)))
}

// outerAddr is the address that others see a machine by.
func (l *lab) outerAddr(name string) string {
	l.t.Helper()
	m := l.machine(name)
	if m.PrivateIp != "" {
		return m.PrivateIp
	}
	return m.PublicIp
}

// droppedSince fails unless a packet that shows one of the needles was dropped
// for the reason after the given drop.
func (l *lab) droppedSince(sequence uint64, reason string, needles ...string) {
	l.t.Helper()
	eventually(l.t, "drop "+reason, func() error {
		drops := l.dropsAfter(sequence)
		for _, d := range drops {
			for _, n := range needles {
				if d.Reason == reason && strings.Contains(d.Packet, n) {
					return nil
				}
			}
		}
		return fmt.Errorf("no such drop among %+v", drops)
	})
}

// opens fails unless a TCP connection comes about.
func (l *lab) opens(from, addr string, port int) {
	l.t.Helper()
	if !l.reaches(from, addr, port, 20) {
		l.t.Fatalf("%s cannot connect to %s:%d", from, addr, port)
	}
}

// echo asks an echoServer and returns the name of who answered and the address
// that it saw. The server may still be starting.
func (l *lab) echo(from, addr string) (name, saw string) {
	l.t.Helper()
	eventually(l.t, from+" asks http://"+addr, func() error {
		out, errs, status := l.tryIn(from, "curl -sS -m 20 http://"+addr+"/")
		if status != 0 {
			return fmt.Errorf("curl: exit status %d: %s", status, errs)
		}
		var ok bool
		if name, saw, ok = strings.Cut(out, " saw "); !ok {
			return fmt.Errorf("curl: answer %q", out)
		}
		return nil
	})
	return name, saw
}

// login runs the real ssh with the given arguments on a machine; it has to succeed.
func (l *lab) login(from, args string) string {
	l.t.Helper()
	return strings.TrimSpace(l.in(from, sshOptions+args))
}

// loginFails fails if ssh gets through before it is given up.
func (l *lab) loginFails(from, target string) {
	l.t.Helper()
	out, errs, status := l.tryIn(from, "timeout "+patience+" "+sshOptions+target+" true")
	if status == 0 {
		l.t.Fatalf("ssh from %s to %s works:\n%s%s", from, target, out, errs)
	}
}

// booted tells one boot of a machine from another: when its init started, in
// ticks of the host's clock.
func (l *lab) booted(name string) string {
	l.t.Helper()
	return strings.TrimSpace(l.in(name, "cut -d' ' -f22 /proc/1/stat"))
}

// eni describes a network interface by its name or ID.
func (l *lab) eni(id string) map[string]any {
	l.t.Helper()
	out := l.ec2("describe-network-interfaces --network-interface-ids " + id)
	list, _ := out["NetworkInterfaces"].([]any)
	if len(list) != 1 {
		l.t.Fatalf("network interface %s: %v", id, out)
	}
	return list[0].(map[string]any)
}

// instance describes an instance by its name or ID.
func (l *lab) instance(id string) map[string]any {
	l.t.Helper()
	out := l.ec2("describe-instances --instance-ids " + id)
	if get(l.t, out, "Reservations", 0, "Instances", 0, "InstanceId") == "" {
		l.t.Fatalf("instance %s: %v", id, out)
	}
	return out["Reservations"].([]any)[0].(map[string]any)["Instances"].([]any)[0].(map[string]any)
}

// named is the flag that gives an object its lab name.
func named(kind, name string) string {
	return " --tag-specifications ResourceType=" + kind + ",Tags=[{Key=Name,Value=" + name + "}]"
}

// equal compares two values of one kind.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// processes are the lab's daemon and the inits of its machines, by process ID.
func (l *lab) processes() (daemons, inits []int) {
	l.t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range found {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		argv := strings.Split(string(b), "\x00")
		line := strings.Join(argv, " ") + " "
		switch {
		case !strings.Contains(line, " --lab "+l.name+" "):
		case strings.HasSuffix(argv[0], "vpcemu-guest"):
			inits = append(inits, pid)
		case strings.Contains(line, " daemon "):
			daemons = append(daemons, pid)
		}
	}
	return daemons, inits
}

// kill kills processes of the lab as a crash does, and waits for their end.
func (l *lab) kill(pids ...int) {
	l.t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			l.t.Fatalf("kill %d: %v", pid, err)
		}
	}
	for _, pid := range pids {
		eventually(l.t, fmt.Sprintf("end of process %d", pid), func() error {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err == nil && !strings.Contains(string(stat), ") Z ") {
				return fmt.Errorf("still there: %s", stat)
			}
			return nil
		})
	}
}
