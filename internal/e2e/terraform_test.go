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
	"testing"
	"time"
)

// inCI are the configurations that every run applies; `scripts/test.sh --full` applies all.
var inCI = []string{"book", "simple", "rules"}

const configurations = "../../docs/terraform"

// Each configuration is applied, is what it says then (a second plan is empty), is changed, is
// what it says again, and is destroyed, and the account is as before.
func TestTerraform(t *testing.T) {
	tf := findTerraform(t)
	entries, err := os.ReadDir(configurations)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(inCI, e.Name()) && os.Getenv("VPCEMU_TEST_FULL") == "" {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel() // the provider waits more than it works
			w := tf.workspace(t, e.Name())
			l := newLab(t, "version: 1\nregion: "+w.region+"\nquotas: {elastic-ips-per-region: 20}\n")
			l.cli("up", l.file)
			w.endpoint = l.serveAPI()
			before := account(l)
			w.apply()
			w.settled()
			w.apply("-var", "changed=true")
			w.settled("-var", "changed=true")
			w.run("destroy", "-auto-approve", "-var", "changed=true")
			if after := account(l); after != before {
				t.Errorf("destroy left the account otherwise than it was:\nbefore %s\nafter  %s", before, after)
			}
		})
	}
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

// workspace is a copy of a configuration with a state of its own.
type workspace struct {
	t                *testing.T
	tf               terraform
	dir              string
	region, endpoint string
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
	w.region = regexp.MustCompile(`region += +"([a-z0-9-]+)"`).FindStringSubmatch(string(text))[1]
	return w
}

// command runs terraform with the lab's endpoint and nothing else of AWS's in its environment.
func (w *workspace) command(args ...string) (string, int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.tf.program, args...)
	cmd.Dir = w.dir
	cmd.Env = []string{"HOME=" + w.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + w.dir, "TF_CLI_CONFIG_FILE=" + filepath.Join(w.dir, "terraformrc"), "TF_IN_AUTOMATION=1",
		"CHECKPOINT_DISABLE=1", "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL=" + w.endpoint, "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any"}
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

func (w *workspace) run(args ...string) string {
	w.t.Helper()
	began := time.Now()
	out, status := w.command(slices.Concat(args[:1], []string{"-no-color", "-input=false"}, args[1:])...)
	if status != 0 {
		w.t.Fatalf("terraform %s: exit status %d\n%s", strings.Join(args, " "), status, out)
	}
	w.t.Logf("terraform %s: %s", strings.Join(args, " "), time.Since(began).Round(100*time.Millisecond))
	return out
}

func (w *workspace) apply(more ...string) {
	w.t.Helper()
	w.run(append([]string{"apply", "-auto-approve"}, more...)...)
}

// settled fails the test unless a plan says that there is nothing to do.
func (w *workspace) settled(more ...string) {
	w.t.Helper()
	out, status := w.command(append([]string{"plan", "-no-color", "-input=false", "-detailed-exitcode"}, more...)...)
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

// account lists the IDs of all that lives in a lab.
func account(l *lab) string {
	l.t.Helper()
	var all []string
	for what, live := range map[string]string{
		"vpcs": "", "subnets": "", "route-tables": "", "internet-gateways": "", "addresses": "", "security-groups": "", "network-acls": "", "network-interfaces": "",
		"dhcp-options": "", "key-pairs": "", "flow-logs": "", "volumes": "",
		"nat-gateways": " --filter Name=state,Values=pending,available", "instances": " --filters Name=instance-state-name,Values=pending,running,stopping,stopped",
	} {
		out := l.cli(append([]string{"ec2"}, strings.Fields("describe-"+what+live+" --output json")...)...)
		ids := regexp.MustCompile(`"(?:VpcId|SubnetId|RouteTableId|InternetGatewayId|AllocationId|GroupId|NetworkAclId|NetworkInterfaceId|DhcpOptionsId|KeyPairId|FlowLogId|VolumeId|NatGatewayId|InstanceId)": *"([^"]+)"`).FindAllStringSubmatch(out, -1)
		for _, id := range ids {
			all = append(all, id[1])
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}
