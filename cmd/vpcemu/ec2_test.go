package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// ec2Daemon notes what it is asked.
type ec2Daemon struct {
	control.Applier
	region, action, input string
	wait                  bool
}

func (d *ec2Daemon) Lab(context.Context) (*control.Lab, error) {
	return &control.Lab{Name: "book", Region: "ap-northeast-1", Instances: []control.Instance{{Name: "web", State: "running"}}}, nil
}

func (d *ec2Daemon) Run(_ context.Context, region, action string, in json.RawMessage, wait bool) (json.RawMessage, error) {
	if action == "DeleteVpc" {
		return nil, &vpc.Error{Code: "DependencyViolation", Message: "The vpc 'vpc-1' has dependencies and cannot be deleted."}
	}
	d.region, d.action, d.input, d.wait = region, action, string(in), wait
	return json.RawMessage(`{"Return":true}`), nil
}

// serveEC2 serves a lab named book.
func serveEC2(t *testing.T) *ec2Daemon {
	t.Helper()
	d := &ec2Daemon{}
	serveLab(t, d)
	return d
}

// serveLab serves a daemon as that of a lab named book, beside one named other.
func serveLab(t *testing.T, d control.Applier) {
	t.Helper()
	base, err := os.MkdirTemp("", "ec2") // a socket path is at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	t.Setenv("VPCEMU_STATE_DIR", filepath.Join(base, "s"))
	t.Setenv("VPCEMU_RUN_DIR", filepath.Join(base, "r"))
	t.Setenv("VPCEMU_LAB", "")
	for _, lab := range []string{"s/book", "r/book", "s/other"} {
		if err := os.MkdirAll(filepath.Join(base, lab), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", control.Socket(filepath.Join(base, "r", "book")))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: control.Handler(d)}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
}

func vpcemu(args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errs)
	err = root.ExecuteContext(context.Background())
	return out.String(), errs.String(), err
}

func TestEC2CallsTheDaemon(t *testing.T) {
	d := serveEC2(t)
	for _, args := range [][]string{
		{"--lab", "book", "ec2", "stop-instances", "--instance-ids", "web", "db", "--wait"},
		{"ec2", "--lab", "book", "stop-instances", "--instance-ids", "web", "db", "--wait"},
		{"ec2", "--lab=book", "stop-instances", "--wait", "--instance-ids=web", "db", "--no-cli-pager"},
		{"ec2", "stop-instances", "--instance-ids", "web", "db", "--wait", "--lab", "book"},
	} {
		*d = ec2Daemon{}
		out, _, err := vpcemu(args...)
		if err != nil || out != "{\n    \"Return\": true\n}\n" {
			t.Errorf("%q: %q %v", args, out, err)
		}
		if d.action != "StopInstances" || !strings.Contains(d.input, `"InstanceIds":["web","db"]`) || !d.wait {
			t.Errorf("%q: %+v", args, d)
		}
	}
	out, notes, err := vpcemu("ec2", "describe-vpcs", "--lab", "book", "--output", "text", "--region", "eu-west-1", "--endpoint-url", "http://localhost")
	if err != nil || out != "True\n" || d.wait || d.region != "eu-west-1" {
		t.Errorf("%q %v %+v", out, err, d)
	}
	if !strings.Contains(notes, "--endpoint-url is ignored") {
		t.Errorf("notes: %q", notes)
	}
	if out, _, err := vpcemu("ec2", "describe-vpcs", "--lab", "book", "--query", "[Return, `a`]"); err != nil || out != "[\n    true,\n    \"a\"\n]\n" {
		t.Errorf("--query: %q %v", out, err)
	}
	t.Setenv("AWS_REGION", "eu-west-1") // is about AWS
	if _, notes, err := vpcemu("ec2", "describe-vpcs", "--lab", "book"); err != nil || notes != "" || d.region != "" {
		t.Errorf("the lab's own Region: %q %v %q", notes, err, d.region)
	}
}

func TestEC2Errors(t *testing.T) {
	serveEC2(t)
	for line, want := range map[string]string{
		"ec2 delete-vpc --vpc-id book --lab book": "an error occurred (DependencyViolation) when calling the DeleteVpc operation: The vpc 'vpc-1'",
		"ec2 delete-vcp":               "did you mean delete-vpc?",
		"ec2 delete-vpc":               "delete-vpc requires --vpc-id",
		"ec2 describe-vpcs":            "there are several labs: say which with --lab: book, other",
		"ec2 describe-vpcs --lab gone": "there is no lab gone",
		"ec2 --vpc-id x delete-vpc":    "the action comes first",
		"ec2 help delete-vcp":          "did you mean delete-vpc?",
	} {
		if out, _, err := vpcemu(strings.Fields(line)...); err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%s: %q %v, want %s", line, out, err, want)
		}
	}
}

func TestEC2Help(t *testing.T) {
	for line, want := range map[string]string{
		"ec2":                   "create-vpc",
		"ec2 help":              "create-vpc",
		"ec2 --help":            "create-vpc",
		"help ec2":              "create-vpc",
		"ec2 help create-vpc":   "--cidr-block",
		"ec2 create-vpc help":   "--cidr-block",
		"ec2 create-vpc --help": "--cidr-block",
		"ec2 create-vpc -h":     "--cidr-block",
	} {
		if out, _, err := vpcemu(strings.Fields(line)...); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

func TestEC2Completion(t *testing.T) {
	serveEC2(t)
	lab := "--lab\tname of the lab; without it VPCEMU_LAB, or the only lab there is"
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"create-sub"}, []string{"create-subnet", "create-subnet-cidr-reservation"}},
		{[]string{"help", "delete-vp"}, []string{"delete-vpc"}},
		{[]string{"--la"}, []string{lab}},
		{[]string{"--w"}, []string{"--wait"}},
		{[]string{"--lab", ""}, []string{"book", "other"}},
		{[]string{"--lab", "book", "delete-vp"}, []string{"delete-vpc"}},
		{[]string{"delete-vpc", "--v"}, []string{"--vpc-id"}},
		{[]string{"delete-vpc", "--output", "ta"}, []string{"table"}},
		{[]string{"--lab", "book", "stop-instances", "--instance-ids", "db", "w"}, []string{"web\trunning"}},
		{[]string{"no-such-action", "--"}, []string{lab}},
	} {
		out, _, err := vpcemu(append([]string{"__complete", "ec2"}, c.args...)...)
		var got []string
		for line := range strings.Lines(out) {
			if !strings.HasPrefix(line, ":") {
				got = append(got, strings.TrimSuffix(line, "\n"))
			}
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q %v, want %q", c.args, got, err, c.want)
		}
	}
}
