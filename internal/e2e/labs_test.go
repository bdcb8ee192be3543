package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Two labs from one file have the same ranges, addresses and names, and nothing
// else in common.
func TestLabs_SideBySideFromOneFile(t *testing.T) {
	first, second := up(t, durable), newLab(t, durable)
	second.cli("up", second.file)
	for _, l := range []*lab{first, second} {
		m := l.machine("web")
		equal(t, "addresses of web", m.PrivateIp+" "+m.PublicIp, first.machine("web").PrivateIp+" "+first.machine("web").PublicIp)
		l.in("web", "echo "+l.name+" >/tmp/name && chmod a+r /tmp/name")
	}
	for _, l := range []*lab{first, second} {
		equal(t, "lab that ssh reached", l.login("laptop", "ec2-user@"+l.publicOf("web")+" cat /tmp/name"), l.name)
	}
	if a, b := first.machine("web").ID, second.machine("web").ID; a == b {
		t.Errorf("both web are %s", a)
	}
	// What happens in one does not show in the other.
	first.cli("stop", "db")
	first.ec2("revoke-security-group-ingress --group-id web --protocol tcp --port 22 --cidr 0.0.0.0/0")
	equal(t, "state of db in the second lab", second.machine("db").State, "running")
	first.loginFails("laptop", "ec2-user@"+first.publicOf("web"))
	second.login("laptop", "ec2-user@"+second.publicOf("web")+" true")
	first.cli("down")
	second.login("laptop", "ec2-user@"+second.publicOf("web")+" true")
}

// What --lab takes may be no topology file's name.
func TestLabs_WithoutAFileMayHaveAnyName(t *testing.T) {
	p := newPlace(t, small)
	p.name += ".My_Lab-" + strings.Repeat("x", 64-len(p.name)-len(".My_Lab-"))
	p.must("up")
	p.must("ec2", "run-instances", "--count", "1", "--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value="+strings.Repeat("y", 63)+"}]")
	eventually(t, "it runs", func() error {
		if _, errs, status := p.run("exec", strings.Repeat("y", 63), "--", "true"); status != 0 {
			return fmt.Errorf("%s", errs)
		}
		return nil
	})
	exported := filepath.Join(p.dir(), "exported.yaml")
	if err := os.WriteFile(exported, []byte(p.must("export")), 0o644); err != nil {
		t.Fatal(err)
	}
	p.must("validate", exported)
	p.must("down")
	p.must("api", "--listen", "127.0.0.1:0")
}

func TestLabs_OneMustBeNamedWhereThereAreSeveral(t *testing.T) {
	p := newPlace(t, small)
	run := func(args ...string) (string, string, int) {
		cmd := exec.Command(vpcemu, args...)
		var out, errs strings.Builder
		cmd.Env, cmd.Stdout, cmd.Stderr = append(p.env, "VPCEMU_LAB="), &out, &errs
		_ = cmd.Run()
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	out, errs, status := run("ls")
	complaint(t, "ls", out, errs, status, "there is no lab", "vpcemu up FILE", "vpcemu up book")
	if _, errs, status := run("down"); status != 0 || !strings.Contains(errs, "nothing to remove") {
		t.Errorf("down of nothing: exit status %d: %s", status, errs)
	}
	p.must("up", p.file)
	if out, errs, status := run("ls"); status != 0 || !strings.Contains(out, "10.30.1.10") {
		t.Errorf("ls with one lab: %s%s", out, errs)
	}
	other := p.name + "x"
	if out, errs, status := run("--lab", other, "up", p.file); status != 0 {
		t.Fatalf("up: %s%s", out, errs)
	}
	for _, args := range [][]string{{"ls"}, {"down"}, {"exec", "a", "true"}, {"stop", "a"}, {"ec2", "describe-vpcs"}} {
		out, errs, status = run(args...)
		complaint(t, args[0], out, errs, status, "several labs", "--lab", p.name+", "+other)
	}
	if out, errs, status := run("ls", "--all"); status != 0 || !strings.Contains(out, p.name+" ") || !strings.Contains(out, other+" ") || strings.Contains(out, "not running") {
		t.Errorf("ls --all: %s%s", out, errs)
	}
	// An instance's name completes within the lab that is named.
	if out, _, _ := run("__complete", "--lab", other, "stop", ""); !strings.Contains(out, "a\trunning\n") || !strings.Contains(out, "far\trunning\n") {
		t.Errorf("completion: %s", out)
	}
	if out, _, _ := run("__complete", "--lab", ""); !strings.Contains(out, other+"\n") {
		t.Errorf("completion of --lab: %s", out)
	}
	if out, errs, status := run("--lab", other, "down"); status != 0 {
		t.Fatalf("down: %s%s", out, errs)
	}
	if out, errs, status := run("exec", "a", "--", "ping", "-q", "-c1", "-W5", "10.30.1.11"); status != 0 {
		t.Errorf("the lab that stayed: %s%s", out, errs)
	}
	p.must("down")
	p.nothingMade()
}

// change is one edit of rules, what plan has to say about it, and what happens to
// the instances a and b.
type change struct {
	name    string
	was, is string
	plan    []string // words of a line each
	replace bool     // refused without --replace
	a, b    string   // "" untouched, "again" another boot, "anew" another instance
	holds   string   // a shell command in a that has to succeed afterwards
}

const rules = small + `security_groups: {g: {vpc: v, ingress: [{port: 80, cidr_blocks: [10.30.0.0/16]}]}}
route_tables: {r: {vpc: v, subnets: [s]}}
internet_gateways: {igw: {vpc: v}}
`

func TestLabs_UpChangesOnlyWhatDiffers(t *testing.T) {
	for _, c := range []change{
		{name: "a rule", was: "port: 80", is: "port: 81", plan: []string{"update", "security group g"}},
		{name: "a route", was: "subnets: [s]}", is: "subnets: [s], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}", plan: []string{"update", "route table r"}},
		{name: "a new instance", was: "internet_hosts:", is: "  c: {subnet: s}\ninternet_hosts:", plan: []string{"create", "instance c"}, holds: "ping -q -c1 -W5 10.30.1.4"},
		{name: "an instance less", was: "  b: {subnet: s, private_ip: 10.30.1.11}\n", is: "", plan: []string{"delete", "instance b"}, b: "gone"},
		{name: "an instance type", was: "10.30.1.10}", is: "10.30.1.10, instance_type: m5.large}", plan: []string{"instance a", "instance_type"}, a: "again", holds: "test -e /root/mark"},
		{name: "an address", was: "10.30.1.10}", is: "10.30.1.20}", plan: []string{"replace", "instance a", "private_ip"}, replace: true, a: "anew", holds: "ip addr | grep -q 10.30.1.20 && ! test -e /root/mark"},
	} {
		t.Run(c.name, func(t *testing.T) { c.try(t) })
	}
}

func (c change) try(t *testing.T) {
	l := up(t, rules)
	l.in("a", "touch /root/mark")
	before := map[string][2]string{}
	for _, name := range []string{"a", "b"} {
		before[name] = [2]string{l.machine(name).ID, l.booted(name)}
	}
	if plan := l.cli("plan", l.file); strings.TrimSpace(plan) != "nothing to change" {
		t.Fatalf("plan before the change:\n%s", plan)
	}
	l.write(strings.Replace(rules, c.was, c.is, 1))
	flags := []string{}
	if c.replace {
		for _, verb := range []string{"up", "plan"} {
			out, errs, status := l.try("", verb, l.file)
			if status == 0 && verb == "up" || !strings.Contains(out+errs, "--replace") {
				t.Errorf("%s without --replace: exit status %d\n%s%s", verb, status, out, errs)
			}
		}
		flags = []string{"--replace"}
	}
	objects := l.objects()
	plan := l.cli(append([]string{"plan", l.file}, flags...)...)
	for _, words := range c.plan {
		if !strings.Contains(plan, words) {
			t.Errorf("no %q in the plan:\n%s", words, plan)
		}
	}
	l.unchanged("the lab after plan", objects, l.objects())
	l.cli(append([]string{"up", l.file}, flags...)...)
	for name, want := range map[string]string{"a": c.a, "b": c.b} {
		c.compare(l, name, want, before[name])
	}
	if c.holds != "" {
		l.in("a", c.holds)
	}
	if plan := l.cli("plan", l.file); strings.TrimSpace(plan) != "nothing to change" {
		t.Errorf("plan after up:\n%s", plan)
	}
}

func (c change) compare(l *lab, name, want string, before [2]string) {
	l.t.Helper()
	if want == "gone" {
		if m := l.machine(name); m.State != "terminated" {
			l.t.Errorf("%s is %s", name, m.State)
		}
		return
	}
	id := ""
	for _, m := range l.all() {
		if m.Name == name && m.State == "running" {
			id = m.ID
		}
	}
	boot := l.booted(name)
	got := ""
	switch {
	case id != before[0]:
		got = "anew"
	case boot != before[1]:
		got = "again"
	}
	if got != want {
		l.t.Errorf("%s: made %q, want %q", name, got, want)
	}
}

// all lists machines with those that are terminated, of which names may repeat.
func (l *lab) all() []machineInfo {
	l.t.Helper()
	var out struct{ Instances []machineInfo }
	l.decode(l.cli("ls", "-o", "json"), &out)
	return out.Instances
}

func TestLabs_UpRepairsDriftAndLeavesWhatNoFileMade(t *testing.T) {
	l := up(t, rules)
	l.ec2("create-vpc --cidr-block 10.77.0.0/16" + named("vpc", "byhand"))
	l.ec2("authorize-security-group-ingress --group-id g --protocol tcp --port 22 --cidr 0.0.0.0/0")
	l.cli("stop", "b")
	plan := l.cli("plan", l.file)
	if !strings.Contains(plan, "security group g") || !strings.Contains(plan, "instance b") || strings.Contains(plan, "byhand") {
		t.Errorf("plan:\n%s", plan)
	}
	l.cli("up", l.file)
	l.whole()
	l.cli("describe", "vpc", "byhand")
	if plan := l.cli("plan", l.file, "--prune"); !strings.Contains(plan, "delete") || !strings.Contains(plan, "byhand") {
		t.Errorf("plan --prune:\n%s", plan)
	}
	l.cli("up", l.file, "--prune")
	out, errs, status := l.try("", "describe", "vpc", "byhand")
	complaint(t, "describe", out, errs, status, "no vpc byhand")
	l.whole()
}

// A plan does not wake a lab whose daemon does not run.
func TestLabs_PlanLeavesAStoppedLabAlone(t *testing.T) {
	l := up(t, small)
	l.reboot()
	l.write(strings.Replace(small, "internet_hosts:", "  c: {subnet: s}\ninternet_hosts:", 1))
	if plan := l.cli("plan", l.file); !strings.Contains(plan, "instance c") || strings.Contains(plan, "instance a") {
		t.Errorf("plan:\n%s", plan)
	}
	if n := len(l.daemons()) + len(l.inits()); n != 0 {
		t.Errorf("%d processes were started", n)
	}
}

// An instance that cannot be started is one error with its name, its reason and a
// state to match; the rest of the lab runs.
func TestLabs_InstanceThatCannotStart(t *testing.T) {
	l := newLab(t, strings.Replace(small, "b: {subnet: s, private_ip: 10.30.1.11}", "b: {subnet: s, private_ip: 10.30.1.11, devices: [/dev/no-such-device]}", 1))
	out, errs, status := l.try("", "up", l.file)
	complaint(t, "up", out, errs, status, "instance b (i-", "no-such-device")
	if s := l.machine("b").State; s != "stopped" {
		t.Errorf("b is %s", s)
	}
	if out := l.cli("ls"); !strings.Contains(out, "b was stopped: Server.InternalError") {
		t.Errorf("ls:\n%s", out)
	}
	equal(t, "state of a", l.machine("a").State, "running")
	for _, path := range []string{filepath.Join(l.runDir(), "instances", l.machine("b").ID), filepath.Join(l.stateDir(), "disks", l.machine("b").ID), "/run/netns/" + l.name + ".b"} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	l.cli("stop", "a") // b's trouble is none of a's
	l.cli("start", "a")
	l.write(small)
	l.cli("up", l.file, "--replace")
	l.whole()
}

// A key pair may be deleted while instances have it (IN-02).
func TestLabs_InstancesOutliveTheirKeyPair(t *testing.T) {
	l := up(t, durable)
	l.ec2("delete-key-pair --key-name k")
	l.cli("stop", "web", "laptop")
	l.cli("start", "web", "laptop")
	if got := l.login("laptop", "ec2-user@"+l.publicOf("web")+" echo in"); got != "in" {
		t.Errorf("ssh: %q", got)
	}
}

// Instances may have one name, as on AWS, and one that no file can have.
func TestLabs_InstancesMayShareAName(t *testing.T) {
	l := up(t, small)
	for _, name := range []string{"a", "a", "my server"} {
		subnet := get(t, l.instance("b"), "SubnetId")
		out := l.cli("ec2", "run-instances", "--wait", "--subnet-id", subnet, "--count", "1", "--tag-specifications",
			fmt.Sprintf(`[{"ResourceType":"instance","Tags":[{"Key":"Name","Value":%q}]}]`, name))
		if !strings.Contains(out, "i-0") {
			t.Fatalf("run-instances: %s", out)
		}
	}
	for _, m := range l.all() {
		equal(t, "state of "+m.Name+" "+m.ID, m.State, "running")
		if m.Kind == "instance" {
			l.in(m.ID, "ping -q -c1 -W5 10.30.1.11")
		}
	}
	out, errs, status := l.tryIn("a", "true")
	complaint(t, "exec", out, errs, status, "several instances", "named a", "use the ID")
}
