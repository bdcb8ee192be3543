package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The book's VPC by Ansible: built, found as it is by a second run and by a check, logged in to
// over the Internet and over the bastion, and taken down to the account as it was.
func TestAnsible(t *testing.T) {
	t.Parallel()
	if os.Getenv("VPCEMU_TEST_FULL") == "" {
		t.Skip("minutes of Ansible's modules: scripts/test.sh --full has them")
	}
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		absent(t, "Ansible (Debian package ansible)", err)
	}
	p := &playbooks{t: t, dir: t.TempDir()}
	if err := os.CopyFS(p.dir, os.DirFS("../../docs/ansible")); err != nil {
		t.Fatal(err)
	}
	// Ansible runs where the lab's Internet is: the machine of the test has joined it.
	l := labOn(newSpace(t), "version: 1\nregion: ap-northeast-1\njoin: true\ninternet_hosts: {laptop: {}, server: {}}\n")
	l.cli("up", l.file)
	p.l, p.endpoint = l, l.serveAPI()
	before := account(l)

	equal(t, "changed by a check of an empty account", p.run("book.yml", "--check"), "1")
	equal(t, "what is in the account after it", account(l), before)
	if changed := p.run("book.yml"); changed == "0" {
		t.Error("the first run changes nothing")
	}
	equal(t, "changed by a second run", p.run("book.yml"), "0")
	equal(t, "changed by a check", p.run("book.yml", "--check"), "0")

	p.run("servers.yml")
	web, db := l.publicOf("web"), l.privateOf("db")
	for name, address := range map[string]string{"web": l.privateOf("web"), "db": db} {
		equal(t, "page of "+name, l.in(name, "cat /srv/www/index.html"), name+" is "+l.machine(name).ID+", at "+address+"\n")
	}
	equal(t, "address of db", db, "172.30.1.10")
	equal(t, "name server's domain", strings.Contains(l.in("db", "cat /etc/resolv.conf"), "book.internal"), true)
	nat := get(t, l.ec2("describe-nat-gateways --filter Name=tag:Name,Values=nat"), "NatGateways", 0, "NatGatewayAddresses", 0, "PublicIp")
	l.serve("server", "TCP-LISTEN:8000,fork,reuseaddr", `SYSTEM:'echo $SOCAT_PEERADDR'`)
	equal(t, "who the server saw", strings.TrimSpace(l.in("db", "nc -w 20 "+l.publicOf("server")+" 8000")), nat)
	l.serve("db", "TCP-LISTEN:3306,fork,reuseaddr", "EXEC:cat")
	l.opens("web", db, 3306)
	l.blocked("laptop", web, 443, "ENI_SG_RULES_MISMATCH")
	l.blocked("web", db, 80, "ENI_SG_RULES_MISMATCH")

	p.run("teardown.yml", "--check")
	p.run("teardown.yml")
	equal(t, "what is in the account", account(l), before)
	equal(t, "changed by a second teardown", p.run("teardown.yml"), "0")
}

// playbooks are those of the documentation, copied where they may leave a key.
type playbooks struct {
	t             *testing.T
	l             *lab
	dir, endpoint string
}

var recap = regexp.MustCompile(`(?m)^localhost +:.* changed=(\d+) .* failed=0 `)

// run plays one that has to succeed, and gives how many tasks on localhost changed something.
func (p *playbooks) run(name string, options ...string) string {
	p.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*limit)
	defer cancel()
	args := p.l.host.enter(slices.Concat([]string{"ansible-playbook", filepath.Join(p.dir, name)}, options)...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	// Its own ssh options would leave a connection behind that others can share.
	cmd.Env = append(clientEnv(p.endpoint, "ap-northeast-1"), "HOME="+p.dir, "ANSIBLE_HOME="+p.dir, "ANSIBLE_LOCAL_TEMP="+p.dir, "ANSIBLE_SSH_ARGS=-o ControlMaster=no", "ANSIBLE_NOCOLOR=1", "LC_ALL=C.UTF-8")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	changed := recap.FindStringSubmatch(string(out))
	if err != nil || changed == nil {
		p.t.Fatalf("ansible-playbook %s %v: %v\n%s", name, options, err, out)
	}
	p.t.Logf("ansible-playbook %s %v: %s", name, options, time.Since(began).Round(100*time.Millisecond))
	return changed[1]
}
