package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// imported runs vpcemu import and returns the file, with more added at its end.
func (l *lab) imported(more string, args ...string) string {
	l.t.Helper()
	l.file = filepath.Join(l.t.TempDir(), "imported.yaml")
	l.cli(append([]string{"import", "-o", l.file}, args...)...)
	text, err := os.ReadFile(l.file)
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(string(text) + more)
	return string(text)
}

// A dump of the AWS CLI becomes a lab whose groups, ACLs, routes and NAT gateway do to packets what they did before.
func TestImportedDump(t *testing.T) {
	l := newLab(t, "")
	l.imported(`
internet_hosts: {laptop: {}}
checks:
  - laptop reaches web-1 on tcp http
  - laptop reaches web-2 on tcp http
  - laptop does not reach web-1 on tcp ssh, because ENI_SG_RULES_MISMATCH
  - web-1 reaches db on tcp mysql
  - web-1 does not reach db on tcp ssh, because SUBNET_ACL_RESTRICTION
  - web-2 does not reach db on icmp, because ENI_SG_RULES_MISMATCH
  - db does not reach laptop on tcp http, because ENI_SG_RULES_MISMATCH
`, "../importer/testdata/lab")
	l.cli("up", l.file)
	l.check(0, nil)
	if got := l.in("db", "ip -4 -o address show scope global"); !strings.Contains(got, "10.20.10.21/24") || !strings.Contains(got, "10.20.10.30/24") {
		t.Errorf("db's addresses:\n%s", got)
	}
	if plan := l.cli("plan", l.file); !strings.Contains(plan, "nothing to change") {
		t.Errorf("a second up would change something:\n%s", plan)
	}
}

// The book's lab, dumped by the AWS CLI through the lab's API and imported, is the book's lab: its checks hold there.
func TestImportThroughTheAPI(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		absent(t, "the AWS CLI", err)
	}
	if os.Getenv("VPCEMU_TEST_FULL") == "" {
		t.Skip("thirty starts of the AWS CLI: scripts/test.sh --full has them; TestImportedDump has a dump that it made")
	}
	text, err := os.ReadFile("../../topologies/book.yaml")
	if err != nil {
		t.Fatal(err)
	}
	book := up(t, strings.Replace(string(text), "name: book\n", "", 1))
	endpoint := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(book.cli("api", "--listen", "127.0.0.1:0"))
	dir := t.TempDir()
	script, err := exec.Command(vpcemu, "import", "--print-commands").Output()
	if err != nil {
		t.Fatal(err)
	}
	sh := exec.Command("sh")
	sh.Dir, sh.Stdin = dir, strings.NewReader(string(script))
	sh.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION=ap-northeast-1", "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any")
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, rest, _ := strings.Cut(string(text), "\ninternet_hosts:\n")
	l := newLab(t, "")
	l.imported("\ninternet_hosts:\n"+rest, filepath.Join(dir, "dump"))
	l.cli("up", l.file)
	l.check(0, nil)
}
