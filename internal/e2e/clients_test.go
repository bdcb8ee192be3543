package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The book's worked examples, from an empty account and back, by the walks that the
// documentation has for the AWS CLI and for boto3.
func TestB14_ByTheAWSCLIAndBoto3(t *testing.T) {
	t.Parallel()
	cli, python := findAWS(t), findBoto3(t)
	packages := localRepository(t, "mariadb-server", "mariadb-client")
	boto3 := []string{python.program, "../../docs/boto3/walkthrough.py"}
	if os.Getenv("VPCEMU_TEST_FULL") != "" {
		boto3 = append(boto3, packages)
	}
	for client, walk := range map[string][]string{cli.name(): {"bash", "../../docs/aws-cli/walkthrough.sh", packages}, python.name(): boto3} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "version: 1\nregion: ap-northeast-1\n")
			l.cli("up", l.file)
			before := account(l)
			ctx, cancel := context.WithTimeout(context.Background(), 20*limit)
			defer cancel()
			cmd := exec.CommandContext(ctx, walk[0], walk[1:]...)
			cmd.Env = append(clientEnv(l.serveAPI(), "ap-northeast-1"), "VPCEMU_LAB="+l.name)
			cmd.WaitDelay = time.Second
			if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "Done: the account is as it was.\n") {
				t.Fatalf("%s: %v\n%s", walk[1], err, out)
			}
			equal(t, "what is in the account", account(l), before)
		})
	}
}

// Rules authorised and revoked by the AWS CLI while traffic flows: a tracked connection
// goes on, one that needs no tracking is cut with the next packet, and resumes when the
// rule is back.
func TestCT05_RulesRevokedByTheAWSCLIWhileTrafficFlows(t *testing.T) {
	t.Parallel()
	cli := findAWS(t)
	l := up(t, "version: 1\nregion: us-east-1\ninternet_hosts: {laptop: {}}\n")
	cli.endpoint, cli.region = l.serveAPI(), "us-east-1"
	laptop := l.publicOf("laptop")
	group := cli.one(t, "ec2 create-security-group --group-name echo --description echo --query GroupId")
	subnet := cli.one(t, "ec2 describe-subnets --filters Name=default-for-az,Values=true Name=availability-zone,Values=us-east-1a --query Subnets[].SubnetId")
	id := cli.one(t, "ec2 run-instances --image-id ami-0123456789abcdef0 --instance-type t3.micro --subnet-id "+subnet+" --security-group-ids "+group+
		" --tag-specifications ResourceType=instance,Tags=[{Key=Name,Value=web}] --query Instances[].InstanceId")
	cli.one(t, "ec2 wait instance-running --instance-ids "+id)
	address := cli.one(t, "ec2 describe-instances --instance-ids "+id+" --query Reservations[].Instances[].PublicIpAddress")
	for _, port := range []string{"7001", "7002"} {
		cli.one(t, "ssm send-command --instance-ids "+id+" --document-name AWS-RunShellScript --query Command.CommandId",
			"--parameters", `{"commands": ["setsid socat TCP-LISTEN:`+port+`,reuseaddr,fork EXEC:cat >/dev/null 2>&1 &"]}`)
	}
	allow := func(port, from string) string {
		return cli.one(t, "ec2 authorize-security-group-ingress --group-id "+group+" --protocol tcp --port "+port+" --cidr "+from+" --query SecurityGroupRules[].SecurityGroupRuleId")
	}
	revoke := func(rule string) {
		cli.one(t, "ec2 revoke-security-group-ingress --group-id "+group+" --security-group-rule-ids "+rule)
	}
	tracked, open := allow("7001", laptop+"/32"), allow("7002", "0.0.0.0/0")
	flows := map[string]*pulse{"7001": l.pulse("laptop", address, "7001"), "7002": l.pulse("laptop", address, "7002")}
	for _, f := range flows {
		f.beats(3)
	}

	revoke(tracked)
	flows["7001"].beats(5)
	l.blocked("laptop", address, 7001, "ENI_SG_RULES_MISMATCH")

	revoke(open)
	flows["7002"].stops()
	l.blocked("laptop", address, 7002, "SG_HAS_NO_RULES")
	flows["7001"].beats(5)

	allow("7002", "0.0.0.0/0")
	flows["7002"].beats(3) // it was not closed: TCP sends again what was lost
	allow("7001", laptop+"/32")
	if !l.reaches("laptop", address, 7001, 5) {
		t.Error("port 7001 is allowed again, and is not reached")
	}
}

// pulse is a connection on which a line goes to an instance and back again and again.
type pulse struct {
	l          *lab
	from, file string
}

// pulse opens the connection as soon as somebody listens.
func (l *lab) pulse(from, address, port string) *pulse {
	p := &pulse{l, from, "/root/pulse." + port}
	l.start(from, `exec python3 -u -c '
import socket, sys, time
while True:
    try: s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2); break
    except OSError: time.sleep(0.1)
s.settimeout(None)
f = s.makefile("rw")
while True:
    f.write("beat\n"); f.flush(); f.readline() or sys.exit("closed"); print("beat")
    time.sleep(0.05)
' `+address+" "+port+" >"+p.file)
	return p
}

func (p *pulse) count() int {
	p.l.t.Helper()
	return strings.Count(p.l.in(p.from, "cat "+p.file+" 2>/dev/null || true"), "beat")
}

// beats waits until n more lines have come back.
func (p *pulse) beats(n int) {
	p.l.t.Helper()
	until := p.count() + n
	eventually(p.l.t, "lines that come back in "+p.file, func() error {
		if got := p.count(); got < until {
			return fmt.Errorf("%d of %d", got, until)
		}
		return nil
	})
}

// stops waits until nothing comes back any more.
func (p *pulse) stops() {
	p.l.t.Helper()
	eventually(p.l.t, "the end of what comes back in "+p.file, func() error {
		before := p.count()
		<-time.After(time.Second)
		if got := p.count(); got != before {
			return fmt.Errorf("still %d lines a second", got-before)
		}
		return nil
	})
}

// client is a program that drives the API.
type client struct {
	program, version string
	endpoint, region string
}

func (c client) name() string {
	if strings.HasPrefix(c.version, "aws-cli") {
		return c.version
	}
	return "boto3-" + c.version
}

// findAWS finds the AWS CLI. scripts/test.sh installs one where there is none.
func findAWS(t *testing.T) client {
	t.Helper()
	out, err := exec.Command("aws", "--version").CombinedOutput()
	if err != nil {
		absent(t, "the AWS CLI (Debian package awscli)", err)
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	return client{program: "aws", version: strings.ReplaceAll(version, "/", "-")}
}

// findBoto3 finds a Python with boto3: the first in PATH, or Debian's.
func findBoto3(t *testing.T) client {
	t.Helper()
	var err error
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		var out []byte
		if out, err = exec.Command(python, "-c", "import boto3; print(boto3.__version__)").Output(); err == nil {
			return client{program: python, version: strings.TrimSpace(string(out))}
		}
	}
	absent(t, "boto3 (Debian package python3-boto3)", err)
	return client{}
}

// absent ends a test whose program is missing: in scripts/test.sh that is a failure.
func absent(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s is not on this machine: %v", what, err)
}

// clientEnv is an environment with the lab's endpoint and nothing else of AWS's.
func clientEnv(endpoint, region string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	return append(env, "PATH="+filepath.Dir(vpcemu)+":"+os.Getenv("PATH"), "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
		"AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=")
}

// one runs a command of the AWS CLI, written as one line, that has to succeed, and gives
// its answer as text. more are further arguments, which may have spaces.
func (c client) one(t *testing.T, line string, more ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*limit)
	defer cancel()
	args := slices.Concat([]string{"--endpoint-url", c.endpoint, "--output", "text"}, strings.Fields(line), more)
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.Env = clientEnv(c.endpoint, c.region)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		var errs []byte
		if exit, ok := err.(*exec.ExitError); ok {
			errs = exit.Stderr
		}
		t.Fatalf("aws %s: %v\n%s%s", line, err, out, errs)
	}
	return strings.TrimSpace(string(out))
}
