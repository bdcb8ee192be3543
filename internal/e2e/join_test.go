package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const joinedLab = `version: 1
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16, enable_dns_hostnames: true}}
subnets: {public: {vpc: main, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}}
internet_gateways: {igw: {vpc: main}}
route_tables: {public: {vpc: main, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}}
key_pairs: {key: {}}
security_groups:
  web: {vpc: main, ingress: [{port: ssh, cidr_blocks: [0.0.0.0/0]}, {port: http, cidr_blocks: [0.0.0.0/0]}]}
instances:
  web:
    subnet: public
    key_name: key
    security_groups: [web]
    user_data: "#!/bin/sh\nmkdir -p /srv/www && cd /srv/www && echo hello >index.html && nohup python3 -m http.server 80 >/dev/null 2>&1 &"
checks:
  - host connects to web on tcp ssh
  - host reaches web on tcp http
  - host does not reach web on tcp 81, because ENI_SG_RULES_MISMATCH
`

// key is the private key that the lab made.
func (l *lab) key() string { return filepath.Join(l.stateDir(), "keys", "key.pem") }

// sshArgs logs in on an address from the machine that the lab runs on.
func (l *lab) sshArgs(addr string, command ...string) []string {
	return append([]string{"ssh", "-i", l.key(), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "ec2-user@" + addr}, command...)
}

func TestJoinThisMachineReachesTheLab(t *testing.T) {
	t.Parallel()
	host := newSpace(t)
	before := host.state()
	l := labOn(host, joinedLab)
	out := l.cli("up", l.file, "--hosts")
	web := l.publicOf("web")
	if !strings.Contains(out, "this machine") || !strings.Contains(out, "198.51.100.254") || !strings.Contains(out, "vpcemu0") {
		t.Errorf("up does not tell of the link:\n%s", out)
	}
	login, err := host.command(l.sshArgs(web, "hostname; echo $SSH_CONNECTION")...).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(login), "ip-10-0-0-4\n198.51.100.254 ") {
		t.Errorf("ssh: %q, %v", login, err)
	}
	for _, name := range []string{"web." + l.name, "web", l.machineNames(web)} {
		eventually(t, "http://"+name, func() error {
			if out, status := host.try("curl -sS -m 5 http://" + name + "/"); status != 0 || out != "hello\n" {
				return fmt.Errorf("exit status %d: %s", status, out)
			}
			return nil
		})
	}

	last := l.lastDrop()
	if _, status := host.try("nc -z -w 1 " + web + " 81"); status == 0 {
		t.Error("port 81 is open from this machine, although the group has no rule")
	}
	l.droppedSince(last, "ENI_SG_RULES_MISMATCH", "198.51.100.254:")
	l.dropped("ENI_SG_RULES_MISMATCH", "host → igw → web")
	trace := l.traced(0, "host", "web", "tcp/22")
	equal(t, "trace", trace.Reachable, true)
	l.check(0, []string{"3 checks, all pass"})

	// The lab opens no connections to this machine, whatever listens on it.
	host.serve("0.0.0.0:8000", nil)
	if out, status := host.try("curl -s -o /dev/null -m 5 http://127.0.0.1:8000/"); status != 0 {
		t.Fatalf("the server does not answer: %s", out)
	}
	if l.reaches("web", "198.51.100.254", 8000, 2) {
		t.Error("an instance reaches a server on this machine")
	}
	if out := l.cli("trace", "web", "host", "tcp/8000"); !strings.Contains(out, "takes answers to connections of its") {
		t.Errorf("the trace does not tell that this machine takes no connections:\n%s", out)
	}

	l.addressesChange(host)
	l.cli("down")
	host.unchanged("after down", before)
}

// A lab that calls made, without a topology file, is joined as well: one logs in from this machine.
func TestJoinALabWithoutAFile(t *testing.T) {
	t.Parallel()
	host := newSpace(t)
	before := host.state()
	l := labOn(host, "version: 1\n")
	l.cli("up")
	l.ec2("create-key-pair --key-name key")
	l.ec2("create-security-group --group-name ssh --description ssh")
	l.ec2("authorize-security-group-ingress --group-name ssh --protocol tcp --port 22 --cidr 0.0.0.0/0")
	l.ec2("run-instances --image-id ami-0abcdef1234567890 --key-name key --security-groups ssh --tag-specifications ResourceType=instance,Tags=[{Key=Name,Value=web}] --wait")
	l.cli("up", "--join")
	web := l.publicOf("web")
	eventually(t, "ssh to "+web, func() error {
		out, err := host.command(l.sshArgs(web, "echo $SSH_CONNECTION")...).CombinedOutput()
		if err == nil && !strings.HasPrefix(string(out), "198.51.100.254 ") {
			err = fmt.Errorf("from %s", out)
		}
		return err
	})
	last := l.lastDrop()
	if _, status := host.try("nc -z -w 1 " + web + " 81"); status == 0 {
		t.Error("port 81 is open from this machine, although the group has no rule")
	}
	l.droppedSince(last, "ENI_SG_RULES_MISMATCH", "198.51.100.254:")
	l.cli("down")
	host.unchanged("after down", before)
}

// machineNames is the public DNS name of an address.
func (l *lab) machineNames(addr string) string {
	return "ec2-" + strings.ReplaceAll(addr, ".", "-") + ".compute-1.amazonaws.com"
}

// addressesChange gives web another address while this machine knows it by name.
func (l *lab) addressesChange(host *space) {
	l.t.Helper()
	eip := l.ec2("allocate-address")
	l.ec2("associate-address --instance-id web --allocation-id " + get(l.t, eip, "AllocationId"))
	want := get(l.t, eip, "PublicIp") + " web." + l.name + " web "
	eventually(l.t, "the new address in the hosts file", func() error {
		b, err := os.ReadFile(host.hosts)
		if err == nil && !strings.Contains(string(b), want) {
			err = fmt.Errorf("no %q in\n%s", want, b)
		}
		return err
	})
	if out, status := host.try("curl -sS -m 5 http://web/"); status != 0 || out != "hello\n" {
		l.t.Errorf("curl by name after the address has changed: exit status %d: %s", status, out)
	}
}

// A session of ssh from this machine outlives the daemon, and `down` finds everything after it.
func TestJoinSurvivesTheDaemon(t *testing.T) {
	t.Parallel()
	host := newSpace(t)
	before := host.state()
	l := labOn(host, "join: true\njoin_hosts: true\n"+joinedLab)
	l.cli("up", l.file)
	s := l.session(host.command(l.sshArgs(l.publicOf("web"), "cat")...))
	if !s.echoesWithin(limit) {
		t.Fatal("ssh does not get through")
	}
	with := host.state()
	for range 2 {
		l.kill(l.daemons()...)
		host.unchanged("with no daemon", with)
		l.cli("ls") // starts it again
		if !s.echoesWithin(limit) {
			t.Fatal("the session is lost with the daemon")
		}
	}
	host.unchanged("with another daemon", with)
	l.kill(l.daemons()...)
	l.cli("down")
	host.unchanged("after down", before)
}

// What was killed half-way, or was taken apart by hand, is found too.
func TestJoinCrashes(t *testing.T) {
	t.Parallel()
	host := newSpace(t)
	newWorld(host)
	before := host.state()
	l := labOn(host, "join: true\njoin_hosts: true\ninternet: {uplink: host}\n"+joinedLab)
	l.cli("up", l.file)
	with := host.state()
	host.run("ip link del vpcemu0") // while the daemon runs
	eventually(t, "another device", func() error {
		if out, status := host.try("curl -s -m 5 http://" + l.publicOf("web") + "/"); status != 0 || out != "hello\n" {
			return fmt.Errorf("exit status %d: %s", status, out)
		}
		return nil
	})
	for what, damage := range map[string]string{
		"the device is gone": "ip link del vpcemu0",
		"no rules":           "nft flush ruleset",
		"no routes":          "ip route flush dev vpcemu0",
		"no address":         "ip addr flush dev vpcemu0",
		"no names":           ": >" + host.hosts,
	} {
		l.kill(l.daemons()...)
		host.run(damage)
		l.cli("ls")
		eventually(t, what, func() error {
			if out, status := host.try("curl -s -m 5 http://" + l.publicOf("web") + "/"); status != 0 || out != "hello\n" {
				return fmt.Errorf("exit status %d: %s", status, out)
			}
			now := host.state()
			for _, line := range with {
				if !slices.Contains(now, line) && line != "127.0.0.1 localhost" {
					return fmt.Errorf("%q is missing", line)
				}
			}
			return nil
		})
	}
	l.kill(l.daemons()...) // first: it may be at the file, too
	host.run("echo 127.0.0.1 localhost >" + host.hosts)
	host.run("ip link del vpcemu0", "nft flush ruleset")
	l.cli("down")
	host.unchanged("after down", before)
}

func TestJoinLabsSideBySide(t *testing.T) {
	t.Parallel()
	host := newSpace(t)
	before := host.state()
	first := labOn(host, joinedLab)
	first.cli("up", first.file, "--join")
	alone := host.state()

	second := labOn(host, joinedLab)
	_, errs, status := second.try("", "up", second.file, "--join")
	if status != 1 || !strings.Contains(errs, "lab "+first.name) || !strings.Contains(errs, "public_pools") || strings.Count(errs, "\n") > 2 {
		t.Errorf("two labs with one pool: exit status %d: %s", status, errs)
	}
	host.unchanged("after the refusal", alone)
	if _, err := os.Stat(second.stateDir()); !os.IsNotExist(err) {
		t.Errorf("a lab that was refused left something: %v", err)
	}
	second.cli("up", second.file) // beside it, and not joined
	host.unchanged("with a second lab", alone)

	second.cli("down") // or web would keep its address
	second.write("internet: {public_pools: [192.0.2.0/26, 192.0.2.64/26]}\n" + joinedLab)
	second.cli("up", second.file, "--join")
	for l, from := range map[*lab]string{first: "198.51.100.254", second: "192.0.2.126"} {
		web := l.publicOf("web")
		eventually(t, "ssh to "+web, func() error {
			out, err := host.command(l.sshArgs(web, "echo $SSH_CONNECTION")...).CombinedOutput()
			if err == nil && !strings.HasPrefix(string(out), from+" ") {
				err = fmt.Errorf("from %s", out)
			}
			return err
		})
	}
	second.cli("down")
	host.unchanged("after the second lab", alone)

	plan := first.cli("plan", first.file)
	if !strings.Contains(plan, "delete  link to this machine host") {
		t.Errorf("plan without --join:\n%s", plan)
	}
	first.cli("up", first.file)
	host.unchanged("after an up without --join", before)
}

func TestJoinCollidesWithThisMachine(t *testing.T) {
	t.Parallel()
	host := newSpace(t)
	newWorld(host)
	host.run("ip route add 203.0.113.128/25 via 10.55.0.1")
	before := host.state()
	l := labOn(host, joinedLab)
	refused := func(args []string, wants ...string) {
		t.Helper()
		_, errs, status := l.try("", append([]string{"up", l.file}, args...)...)
		if status != 1 {
			t.Errorf("up %v: exit status %d: %s", args, status, errs)
		}
		for _, w := range wants {
			if !strings.Contains(errs, w) {
				t.Errorf("up %v: no %q in %s", args, w, errs)
			}
		}
		host.unchanged("after the refusal", before)
		if _, err := os.Stat(l.stateDir()); !os.IsNotExist(err) {
			t.Errorf("a lab that was refused left something: %v", err)
		}
	}
	refused([]string{"--join"}, "203.0.113.0/24", "203.0.113.128/25", "eth0", "public_pools")
	refused(nil, "203.0.113.128/25")
	host.run("ip route del 203.0.113.128/25", "ip addr add 198.51.100.9/32 dev lo")
	before = host.state()
	refused([]string{"--join"}, "198.51.100.0/24", "198.51.100.9", "public_pools")
	host.run("ip addr del 198.51.100.9/32 dev lo")

	// What comes later is told too, and ends by itself.
	l.cli("up", l.file, "--join")
	host.run("ip route add 203.0.113.0/25 via 10.55.0.1")
	eventually(t, "a note about the route", func() error {
		if out := l.cli("ls"); !strings.Contains(out, "203.0.113.0/25") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	host.run("ip route del 203.0.113.0/25")
	eventually(t, "no note", func() error {
		if out := l.cli("ls"); strings.Contains(out, "203.0.113.0/25") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}
