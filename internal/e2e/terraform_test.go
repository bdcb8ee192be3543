package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inCI are the configurations that every run applies, beside the book's and an exported one (internal/hcl); `scripts/test.sh --full` applies all.
var inCI = []string{"rules"}

const configurations = "../../docs/terraform"

// Each configuration is applied, is what it says then (a second plan is empty), is changed, is
// what it says again, and is destroyed, and the account is as before.
func TestTerraform(t *testing.T) {
	t.Parallel()
	tf := findTerraform(t)
	entries, err := os.ReadDir(configurations)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || !slices.Contains(inCI, e.Name()) && os.Getenv("VPCEMU_TEST_FULL") == "" {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel() // the provider waits more than it works
			w := tf.workspace(t, e.Name())
			w.lab("")
			times := 1
			if e.Name() == "many" {
				times, w.parallelism = 2, 30
			}
			for range times {
				w.cycle(func() {}, func() {})
			}
		})
	}
}

// The book's VPC is what its packets say: ssh from the Internet and by the bastion, a download
// through the NAT gateway, refusals; and a change is there while the instances run on.
func TestB14_ByTerraform(t *testing.T) {
	t.Parallel()
	w := findTerraform(t).workspace(t, "book")
	l := w.lab("internet_hosts:\n  laptop: {}\n  server: {}\n")
	l.copyIn("laptop", w.makeKey(), "/root/.ssh")
	l.in("laptop", "echo 'StrictHostKeyChecking accept-new' >/etc/ssh/ssh_config.d/accept.conf")
	server := l.publicOf("server")
	var web, db string
	var was string
	w.cycle(func() {
		web, db = w.output("web_public_ip"), l.privateOf("db")
		// An instance runs before its programs do.
		const patient = "-o ConnectionAttempts=30 "
		equal(t, "host that ssh reached", l.login("laptop", patient+"ec2-user@"+web+" hostname"), "ip-172-30-0-10")
		l.waitPort("db", "tcp", 22)
		equal(t, "host behind the bastion", l.login("laptop", "-J ec2-user@"+web+" ec2-user@"+db+" hostname"), "ip-172-30-1-10")
		l.waitPort("web", "tcp", 80)
		equal(t, "page", strings.TrimSpace(l.in("laptop", "curl -sS -m 20 http://"+web+"/")), "ip-172-30-0-10")
		l.serve("server", "TCP-LISTEN:8000,fork,reuseaddr", `SYSTEM:'echo $SOCAT_PEERADDR'`)
		equal(t, "who the server saw", strings.TrimSpace(l.in("db", "nc -w 20 "+server+" 8000")), l.elasticOf("nat"))
		l.serve("db", "TCP-LISTEN:3306,fork,reuseaddr", "EXEC:cat")
		l.opens("web", db, 3306)
		l.blocked("laptop", web, 443, "ENI_SG_RULES_MISMATCH")
		if l.pings("web", db) {
			t.Error("web's ping reaches db before a rule lets it in")
		}
		was = l.booted("web") + l.booted("db")
	}, func() {
		l.serve("web", "TCP-LISTEN:443,fork,reuseaddr", "EXEC:cat")
		l.opens("laptop", web, 443)
		if !l.pings("web", db) {
			t.Error("web's ping does not reach db, which a rule lets in")
		}
		equal(t, "boots", l.booted("web")+l.booted("db"), was)
	})
}

// terraform is the program and where its provider is.
type terraform struct {
	program, provider string
}

// findTerraform finds both, which no distribution has: a test without them is none.
func findTerraform(t *testing.T) terraform {
	t.Helper()
	program, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("terraform is not on this machine: its configurations are not applied")
	}
	for _, root := range []string{os.Getenv("TF_PROVIDERS"), "/opt/tf-plugins", "/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins", filepath.Join(os.Getenv("HOME"), ".terraform.d/plugins")} {
		found, _ := filepath.Glob(filepath.Join(root, "registry.terraform.io/hashicorp/aws/*/linux_*"))
		if root != "" && len(found) > 0 {
			return terraform{program, found[len(found)-1]}
		}
	}
	t.Skip("terraform's AWS provider is not on this machine: its configurations are not applied")
	return terraform{}
}

// workspace is a copy of a configuration with a state of its own, for a lab of its own.
type workspace struct {
	t           *testing.T
	tf          terraform
	dir         string
	regions     []string // the first is the lab's
	l           *lab
	endpoint    string
	publicKey   string // "": the configuration's
	parallelism int    // 0: Terraform's
}

func (tf terraform) workspace(t *testing.T, name string) *workspace {
	t.Helper()
	w := &workspace{t: t, tf: tf, dir: t.TempDir()}
	text, err := os.ReadFile(filepath.Join(configurations, name, "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	// The provider is used as it is, without the copy of some 700 MB that init makes.
	override := fmt.Sprintf("provider_installation {\n  dev_overrides { \"hashicorp/aws\" = %q }\n  direct {}\n}\n", tf.provider)
	for file, content := range map[string]string{"main.tf": string(text), "terraformrc": override} {
		if err := os.WriteFile(filepath.Join(w.dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, found := range regexp.MustCompile(`region += +"([a-z0-9-]+)"`).FindAllStringSubmatch(string(text), -1) {
		w.regions = append(w.regions, found[1])
	}
	return w
}

// lab starts the lab: an empty account, and what more a topology file says.
func (w *workspace) lab(more string) *lab {
	w.t.Helper()
	w.l = newLab(w.t, "version: 1\nregion: "+w.regions[0]+"\nquotas: {elastic-ips-per-region: 20}\n"+more)
	w.l.cli("up", w.l.file)
	w.endpoint = w.l.serveAPI()
	return w.l
}

// cycle applies, changes and destroys. applied and changed look at what is there after each.
func (w *workspace) cycle(applied, changed func()) {
	w.t.Helper()
	before := account(w.l, w.regions...)
	w.apply()
	w.settled()
	applied()
	w.apply("-var", "changed=true")
	w.settled("-var", "changed=true")
	changed()
	w.run("destroy", "-auto-approve", "-var", "changed=true")
	equal(w.t, "what is in the account after destroy", account(w.l, w.regions...), before)
}

// makeKey makes a key pair in place of the configuration's, and gives the folder of its private half.
func (w *workspace) makeKey() string {
	w.t.Helper()
	dir := w.t.TempDir()
	key := filepath.Join(dir, "id_ed25519")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		w.t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		w.t.Fatal(err)
	}
	w.publicKey = strings.TrimSpace(string(public))
	return dir
}

func (w *workspace) output(name string) string {
	w.t.Helper()
	return strings.TrimSpace(w.run("output", "-raw", name))
}

// command runs terraform with the lab's endpoint and nothing else of AWS's in its environment.
func (w *workspace) command(args ...string) (string, int) {
	w.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.tf.program, slices.Concat(args[:1], []string{"-no-color"}, args[1:])...)
	cmd.Dir = w.dir
	cmd.Env = []string{"HOME=" + w.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + w.dir, "TF_CLI_CONFIG_FILE=" + filepath.Join(w.dir, "terraformrc"), "TF_IN_AUTOMATION=1", "TF_INPUT=0",
		"CHECKPOINT_DISABLE=1", "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL=" + w.endpoint, "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any"}
	if w.publicKey != "" {
		cmd.Env = append(cmd.Env, "TF_VAR_public_key="+w.publicKey)
	}
	// The provider is a process of its own, which does not end with terraform's being killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		w.t.Fatalf("terraform: %v", err)
	}
	w.t.Logf("terraform %s: %s", strings.Join(args, " "), time.Since(began).Round(100*time.Millisecond))
	return string(out), cmd.ProcessState.ExitCode()
}

func (w *workspace) run(args ...string) string {
	w.t.Helper()
	if w.parallelism != 0 && args[0] != "output" {
		args = append(args, fmt.Sprintf("-parallelism=%d", w.parallelism))
	}
	out, status := w.command(args...)
	if status != 0 {
		w.t.Fatalf("terraform %s: exit status %d\n%s", strings.Join(args, " "), status, out)
	}
	return out
}

func (w *workspace) apply(more ...string) {
	w.t.Helper()
	w.run(append([]string{"apply", "-auto-approve"}, more...)...)
}

// settled fails the test unless a plan says that there is nothing to do.
func (w *workspace) settled(more ...string) {
	w.t.Helper()
	out, status := w.command(append([]string{"plan", "-detailed-exitcode"}, more...)...)
	if status != 0 {
		w.t.Fatalf("a plan after apply is not empty (exit status %d):\n%s", status, out)
	}
}

// serveAPI has the lab serve the API at a free port, and gives its URL.
func (l *lab) serveAPI() string {
	l.t.Helper()
	var api struct{ Listen string }
	if err := json.Unmarshal([]byte(l.cli("api", "--listen", "127.0.0.1:0", "--output", "json")), &api); err != nil {
		l.t.Fatal(err)
	}
	return "http://" + api.Listen
}

// account lists the IDs of all that lives in a lab, in its own Region or in those given.
func account(l *lab, regions ...string) string {
	l.t.Helper()
	if len(regions) == 0 {
		regions = []string{""}
	}
	ids := regexp.MustCompile(`"(?:VpcId|SubnetId|RouteTableId|InternetGatewayId|AllocationId|GroupId|SecurityGroupRuleId|NetworkAclId|NetworkInterfaceId|DhcpOptionsId|KeyPairId|FlowLogId|VolumeId|NatGatewayId|InstanceId)": *"([^"]+)"`)
	var all []string
	for _, region := range regions {
		for what, live := range map[string]string{
			"vpcs": "", "subnets": "", "route-tables": "", "internet-gateways": "", "addresses": "", "security-groups": "", "security-group-rules": "", "network-acls": "", "network-interfaces": "",
			"dhcp-options": "", "key-pairs": "", "flow-logs": "", "volumes": "",
			"nat-gateways": " --filter Name=state,Values=pending,available", "instances": " --filters Name=instance-state-name,Values=pending,running,stopping,stopped",
		} {
			args := append([]string{"ec2"}, strings.Fields("describe-"+what+live+" --output json")...)
			if region != "" {
				args = append(args, "--region", region)
			}
			for _, id := range ids.FindAllStringSubmatch(l.cli(args...), -1) {
				all = append(all, id[1])
			}
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}
