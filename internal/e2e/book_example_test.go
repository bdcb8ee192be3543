package e2e

import (
	"strings"
	"testing"
)

// The worked example "an instance that ssh can reach", each step by the CLI; ssh
// fails until the last one is done.
func TestB13_AnInstanceThatSshCanReach(t *testing.T) {
	t.Parallel()
	l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
internet_hosts:
  laptop: {}
`)
	// The address is allocated first of all, so that there is something to try.
	eip := get(t, l.ec2("allocate-address --domain vpc"+named("elastic-ip", "web")), "PublicIp")
	// What ssh meets after each step: nobody has the address until the last.
	step := func(line string) map[string]any {
		t.Helper()
		out := l.ec2(line)
		since := l.lastDrop()
		l.loginFails("laptop", "ec2-user@"+eip)
		l.droppedSince(since, "INTERNET_UNREACHABLE", "> "+eip+":22 ")
		return out
	}
	vpc := step("create-vpc --cidr-block 172.30.0.0/16" + named("vpc", "book"))
	equal(t, "range", get(t, vpc, "Vpc", "CidrBlock"), "172.30.0.0/16")
	step("create-subnet --vpc-id book --cidr-block 172.30.0.0/24 --availability-zone ap-northeast-1a" + named("subnet", "public"))
	step("create-internet-gateway" + named("internet-gateway", "igw"))
	step("attach-internet-gateway --internet-gateway-id igw --vpc-id book")
	step("create-route-table --vpc-id book" + named("route-table", "public"))
	step("create-route --route-table-id public --destination-cidr-block 0.0.0.0/0 --gateway-id igw")
	step("associate-route-table --route-table-id public --subnet-id public")
	step("create-security-group --group-name web --description ssh --vpc-id book")
	step("authorize-security-group-ingress --group-id web --protocol tcp --port 22 --cidr 0.0.0.0/0")
	key := step("create-key-pair --key-name mine --key-type ed25519")
	pem := get(t, key, "KeyMaterial")
	if !strings.HasPrefix(pem, "-----BEGIN OPENSSH PRIVATE KEY-----\n") {
		t.Fatalf("key material %q", pem)
	}
	const install = "umask 077 && mkdir -p ~/.ssh && cat >~/.ssh/id_ed25519"
	if _, errs, status := l.try(pem, "exec", "laptop", "--", "sh", "-c", install); status != 0 {
		t.Fatalf("key to the laptop: %s", errs)
	}
	step("run-instances --wait --subnet-id public --security-group-ids web --key-name mine" + named("instance", "web"))
	equal(t, "state of web", l.machine("web").State, "running")
	equal(t, "public address of web", l.publicOf("web"), "")

	l.ec2("associate-address --allocation-id web --instance-id web")
	got := l.login("laptop", "ec2-user@"+eip+" 'whoami; hostname; echo $SSH_CONNECTION'")
	want := "ec2-user\nip-172-30-0-4\n" + l.publicOf("laptop") + " "
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " 172.30.0.4 22") {
		t.Errorf("ssh: %q", got)
	}
}

// Whichever step is left until the end, ssh works only with it, and at once.
func TestB13_EveryStepCounts(t *testing.T) {
	t.Parallel()
	steps := []struct{ line, without string }{
		{"attach-internet-gateway --internet-gateway-id igw --vpc-id book", ""}, // the address needs it first
		{"create-route --route-table-id public --destination-cidr-block 0.0.0.0/0 --gateway-id igw", "NO_ROUTE_TO_DESTINATION"},
		{"associate-route-table --route-table-id public --subnet-id public", "NO_ROUTE_TO_DESTINATION"},
		{"authorize-security-group-ingress --group-id web --protocol tcp --port 22 --cidr 0.0.0.0/0", "SG_HAS_NO_RULES"},
		{"associate-address --allocation-id web --instance-id web", "INTERNET_UNREACHABLE"},
	}
	for last, left := range steps {
		if left.without == "" {
			continue
		}
		t.Run(strings.Fields(left.line)[0], func(t *testing.T) {
			t.Parallel()
			l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
key_pairs:
  mine: {}
internet_hosts:
  laptop: {key_names: [mine]}
`)
			for _, line := range []string{
				"create-vpc --cidr-block 172.30.0.0/16" + named("vpc", "book"),
				"create-subnet --vpc-id book --cidr-block 172.30.0.0/24" + named("subnet", "public"),
				"create-internet-gateway" + named("internet-gateway", "igw"),
				"create-route-table --vpc-id book" + named("route-table", "public"),
				"create-security-group --group-name web --description ssh --vpc-id book",
				"run-instances --wait --subnet-id public --security-group-ids web --key-name mine" + named("instance", "web"),
			} {
				l.ec2(line)
			}
			eip := get(t, l.ec2("allocate-address --domain vpc"+named("elastic-ip", "web")), "PublicIp")
			for n, s := range steps {
				if n != last {
					l.ec2(s.line)
				}
			}
			l.blocked("laptop", eip, 22, left.without)
			l.ec2(left.line)
			equal(t, "host that ssh reached", l.login("laptop", "ec2-user@"+eip+" hostname"), "ip-172-30-0-4")
		})
	}
}
