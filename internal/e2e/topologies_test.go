package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/topologies"
)

// lessons show, by a connection or two, what each topology is about. text is the
// topology as it comes; a lesson that has a second half changes it and brings it up
// again, as the topology's head comment says.
var lessons = map[string]func(t *testing.T, l *lab, text string){
	"acl-and-groups": func(t *testing.T, l *lab, _ string) {
		web := l.publicOf("web")
		l.waitPort("web", "tcp", 80)
		l.opens("friend", web, 80)
		l.blocked("stranger", web, 80, "SUBNET_ACL_RESTRICTION")
		l.blocked("friend", web, 8080, "ENI_SG_RULES_MISMATCH")
	},
	"acl-ephemeral": func(t *testing.T, l *lab, text string) {
		web := l.publicOf("web")
		l.waitPort("web", "tcp", 22)
		since := l.lastDrop()
		if l.reaches("laptop", web, 22, 1) {
			t.Error("ssh works without an egress rule for its answers")
		}
		l.droppedSince(since, "SUBNET_ACL_RESTRICTION", l.privateOf("web")+":22 > ")
		text = replaced(t, text, "    egress: []  #", "    egress: #")
		l.write(replaced(t, text, "    #  - {rule_no", "      - {rule_no"))
		l.cli("up", l.file)
		equal(t, "ssh", l.login("laptop", "ec2-user@"+web+" echo works"), "works")
	},
	"bastion": func(t *testing.T, l *lab, _ string) {
		equal(t, "ssh through the bastion", l.cli("ssh", "--via", "bastion", "app", "--", "echo works"), "works\n")
		app := l.privateOf("app")
		l.blocked("laptop", app, 22, "INTERNET_UNREACHABLE")
		l.ec2("revoke-security-group-ingress --group-id app --protocol tcp --port 22 --source-group bastion")
		l.blocked("bastion", app, 22, "SG_HAS_NO_RULES")
	},
	"book": func(t *testing.T, l *lab, _ string) {
		server := l.publicOf("server")
		equal(t, "ssh to web", l.cli("ssh", "web", "--", "hostname"), "ip-172-30-0-10\n")
		equal(t, "ssh to db", l.cli("ssh", "--via", "web", "db", "--", "echo works"), "works\n")
		l.waitPort("server", "tcp", 80)
		equal(t, "page", l.in("db", "curl -sS -m 20 http://"+server+"/"), "hello from the Internet\n")
		if seen := l.in("server", "tail -n 1 /root/seen.log"); !strings.HasPrefix(seen, l.elasticOf("nat")+" ") {
			t.Errorf("the server saw %q", seen)
		}
		l.waitPort("web", "tcp", 80)
		equal(t, "web's page", l.in("laptop", "curl -sS -m 20 http://"+l.publicOf("web")+"/"), "web, at ip-172-30-0-10\n")
		l.blocked("laptop", l.privateOf("db"), 22, "INTERNET_UNREACHABLE")
	},
	"default-vpc": func(t *testing.T, l *lab, _ string) {
		vpcs := l.ec2("describe-vpcs")
		equal(t, "IsDefault", get(t, vpcs, "Vpcs", 0, "IsDefault"), "true")
		web := l.machine("web")
		if !strings.HasPrefix(web.PrivateIp, "172.31.") || web.PublicIp == "" {
			t.Errorf("web has the addresses %q and %q", web.PrivateIp, web.PublicIp)
		}
		equal(t, "ssh", l.login("laptop", "ec2-user@"+web.PublicIp+" echo works"), "works")
	},
	"eip-moves": func(t *testing.T, l *lab, text string) {
		const site = "203.0.113.80"
		page := func() string { t.Helper(); return strings.TrimSpace(l.in("laptop", "curl -sS -m 20 http://"+site+"/")) }
		host := func(name string) string { t.Helper(); return strings.TrimSpace(l.in(name, "hostname")) }
		boots := l.booted("blue") + l.booted("green")
		l.waitPort("blue", "tcp", 80)
		l.waitPort("green", "tcp", 80)
		equal(t, "page of "+site, page(), host("blue"))
		l.write(replaced(t, text, "\n    instance: blue", "\n    instance: green"))
		l.cli("up", l.file)
		equal(t, "page of "+site+", moved", page(), host("green"))
		equal(t, "boots", l.booted("blue")+l.booted("green"), boots)
		old := l.publicOf("blue")
		l.cli("stop", "blue")
		l.cli("start", "blue")
		if now := l.publicOf("blue"); now == "" || now == old || now == site {
			t.Errorf("blue's automatic address was %q and is %q", old, now)
		}
		equal(t, "page of "+site+" after that", page(), host("green"))
	},
	"nat-wrong-subnet": func(t *testing.T, l *lab, text string) {
		server := l.publicOf("server")
		l.waitPort("server", "tcp", 80)
		l.blocked("app", server, 80, "FORWARDING_LOOP")
		l.write(replaced(t, text, "subnet: private # the mistake", "subnet: public"))
		l.cli("up", l.file)
		equal(t, "page", l.in("app", "curl -sS -m 20 http://"+server+"/"), "hello\n")
	},
	"self-group": func(t *testing.T, l *lab, text string) {
		l.in("one", "ping -q -c 1 -W 5 10.0.0.12")
		if l.pings("other", "10.0.0.12") {
			t.Error("a machine that is no member reached one that is")
		}
		l.dropped("ENI_SG_RULES_MISMATCH", "10.0.0.13 > 10.0.0.12")
		l.write(replaced(t, text, "security_groups: [outsider]", "security_groups: [outsider, cluster]"))
		l.cli("up", l.file)
		l.in("other", "ping -q -c 1 -W 5 10.0.0.12")
	},
	"three-tier": func(t *testing.T, l *lab, _ string) {
		l.serve("app-a", "TCP-LISTEN:8080,fork", "PIPE")
		l.serve("app-c", "TCP-LISTEN:8080,fork", "PIPE")
		l.serve("db-a", "TCP-LISTEN:3306,fork", "PIPE")
		l.opens("web-a", "10.0.11.10", 8080)
		l.opens("web-c", "10.0.10.10", 8080)
		l.blocked("web-a", "10.0.20.10", 3306, "ENI_SG_RULES_MISMATCH")
		l.opens("app-c", "10.0.20.10", 3306)
		if talk := l.open("app-a", "socat - TCP:10.0.20.10:3306"); !talk.echoes() {
			t.Error("no answer from db-a, whose group has no egress rule")
		}
		// Out: each zone by its own NAT gateway, and the databases not at all.
		l.serve("laptop", "TCP-LISTEN:8000,fork", "SYSTEM:'echo $SOCAT_PEERADDR'")
		laptop := l.publicOf("laptop")
		for _, zone := range []string{"a", "c"} {
			out := l.in("app-"+zone, "socat -t 5 -u TCP:"+laptop+":8000 -")
			equal(t, "address of app-"+zone+" on the Internet", strings.TrimSpace(out), l.elasticOf("nat-"+zone))
		}
		l.blocked("db-a", laptop, 8000, "SG_HAS_NO_RULES")
		l.ec2("authorize-security-group-egress --group-id db --protocol -1 --cidr 0.0.0.0/0")
		l.blocked("db-a", laptop, 8000, "NO_ROUTE_TO_DESTINATION")
		// A zone fails alone.
		l.cli("fail", "zone", "ap-northeast-1a")
		l.blocked("app-c", "10.0.20.10", 3306, "ZONE_FAILED")
		l.opens("web-c", "10.0.11.10", 8080)
		l.in("app-c", "socat -t 5 -u TCP:"+laptop+":8000 -")
		l.cli("heal", "--all")
		l.opens("app-c", "10.0.20.10", 3306)
	},
}

// Every topology that comes with vpcemu, by its name: up, up again, its lesson, down.
func TestTopology(t *testing.T) {
	t.Parallel()
	for _, name := range topologies.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lesson := lessons[name]
			if lesson == nil {
				t.Fatal("no test shows what this topology teaches")
			}
			text := embedded(t, name)
			l := newLab(t, text)
			l.cli("validate", name)
			if plan := l.cli("plan", name); strings.Contains(plan, "nothing to change") {
				t.Errorf("plan of a lab that is not there yet: %s", plan)
			}
			l.cli("up", name)
			state := func() string {
				_, machines := l.list()
				text := ""
				for _, name := range slices.Sorted(maps.Keys(machines)) {
					text += fmt.Sprintln(machines[name], "booted", l.booted(name))
				}
				return text
			}
			before := state()
			equal(t, "plan of what is there", l.cli("plan", name), "nothing to change\n")
			l.cli("up", name)
			equal(t, "machines after up again", state(), before)

			if out, _, status := l.try("", "check", name); status != 0 {
				t.Errorf("check: exit status %d\n%s", status, out)
			}

			lesson(t, l, text)

			l.cli("down")
			l.gone()
			l.cli("down") // nothing there is nothing to do
		})
	}
}

// gone fails if anything of the lab is left on the machine.
func (l *lab) gone() {
	l.t.Helper()
	if daemons, inits := l.processes(); len(daemons)+len(inits) != 0 {
		l.t.Errorf("processes after down: %v %v", daemons, inits)
	}
	for _, args := range []string{"ip netns list", "ip link", "cat /proc/mounts"} {
		out, err := exec.Command("sh", "-c", args).CombinedOutput()
		if err != nil || strings.Contains(string(out), l.name+".") {
			l.t.Errorf("after down, %s (%v):\n%s", args, err, out)
		}
	}
	for _, dir := range []string{"VPCEMU_STATE_DIR", "VPCEMU_RUN_DIR"} {
		found, err := filepath.Glob(filepath.Join(os.Getenv(dir), l.name+"*"))
		if err != nil || len(found) != 0 {
			l.t.Errorf("after down: %v %v", found, err)
		}
	}
}
