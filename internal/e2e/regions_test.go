package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// regionsLab has the same ranges and addresses in two Regions, each with a gateway of its own.
const regionsLab = `
version: 1
region: us-east-1
regions: [sa-east-1]
vpcs:
  east: {cidr_block: 10.0.0.0/16, enable_dns_hostnames: true}
  west: {cidr_block: 10.0.0.0/16, enable_dns_hostnames: true, region: eu-west-1}
subnets:
  east: {vpc: east, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true, availability_zone: us-east-1f}
  west: {vpc: west, cidr_block: 10.0.0.0/24, availability_zone: eu-west-1b}
internet_gateways:
  east: {vpc: east}
  west: {vpc: west}
elastic_ips:
  west: {address: 203.0.113.80, instance: dublin}
route_tables:
  east: {vpc: east, subnets: [east], routes: [{cidr_block: 0.0.0.0/0, gateway: east}]}
  west: {vpc: west, subnets: [west], routes: [{cidr_block: 0.0.0.0/0, gateway: west}]}
security_groups:
  east: {vpc: east, ingress: [{protocol: icmp, cidr_blocks: [0.0.0.0/0]}]}
  west: {vpc: west, ingress: [{port: 8000, cidr_blocks: [0.0.0.0/0]}]}
instances:
  ashburn: {subnet: east, private_ip: 10.0.0.10, security_groups: [east]}
  dublin: {subnet: west, private_ip: 10.0.0.10, security_groups: [west]}
`

// Two Regions with the same addresses reach each other over the Internet alone; names,
// metadata and operations are those of each.
func TestIG01_DNS05_DNS06_IM05_TwoRegionsInOneLab(t *testing.T) {
	t.Parallel()
	l := up(t, regionsLab)
	ashburn, dublin := l.machine("ashburn"), l.machine("dublin")
	const (
		virginia, ireland = ".ec2.internal", ".eu-west-1.compute.internal"
		public            = "ec2-203-0-113-80.eu-west-1.compute.amazonaws.com"
	)
	l.in("dublin", `sh -c 'cd /tmp && echo from dublin >page && exec python3 -m http.server 8000' >/dev/null 2>&1 &
		i=0; while ! curl -s -o /dev/null 127.0.0.1:8000; do i=$((i+1)); [ $i -lt 100 ] && sleep 0.1 || exit 1; done`)
	for _, at := range []string{"203.0.113.80", public} {
		equal(t, "ashburn fetches from "+at, l.in("ashburn", "curl -s -m 20 http://"+at+":8000/page"), "from dublin\n")
	}
	eastAddr := strings.TrimSpace(l.fetch("ashburn", "meta-data/public-ipv4"))
	l.in("dublin", "ping -c 1 -W 10 "+eastAddr)
	if l.reaches("ashburn", "203.0.113.80", 8001, 1) {
		t.Error("a port that no rule allows is open")
	}
	l.dropped("ENI_SG_RULES_MISMATCH", "203.0.113.80:8001")

	l.asked([][3]string{
		{"ashburn", "ip-10-0-0-10" + virginia, "10.0.0.10"},
		{"ashburn", "ip-10-0-0-10" + ireland, "NXDOMAIN"},
		{"ashburn", public, "203.0.113.80"},
		{"dublin", public, "10.0.0.10"},
		{"dublin", "ip-10-0-0-10" + ireland, "10.0.0.10"},
		{"dublin", "-x 10.0.0.10", "ip-10-0-0-10" + ireland + "."},
		{"dublin", "-x " + eastAddr, "ec2-" + strings.ReplaceAll(eastAddr, ".", "-") + ".compute-1.amazonaws.com."},
	})
	for name, want := range map[string][4]string{
		"ashburn": {"us-east-1", "us-east-1f", "use1-az6", "ip-10-0-0-10" + virginia},
		"dublin":  {"eu-west-1", "eu-west-1b", "euw1-az2", "ip-10-0-0-10" + ireland},
	} {
		for i, path := range []string{"placement/region", "placement/availability-zone", "placement/availability-zone-id", "local-hostname"} {
			equal(t, name+" "+path, l.fetch(name, "meta-data/"+path), want[i])
		}
		if doc := l.fetch(name, "dynamic/instance-identity/document"); !strings.Contains(doc, fmt.Sprintf(`"region" : %q`, want[0])) {
			t.Errorf("%s: identity document %s", name, doc)
		}
	}

	// Operations see their Region alone, and a third one has been opened with its default VPC.
	equal(t, "instances of us-east-1", get(t, l.ec2("describe-instances"), "Reservations", 0, "Instances", 0, "InstanceId"), ashburn.ID)
	equal(t, "instances of eu-west-1", get(t, l.ec2("describe-instances --region eu-west-1"), "Reservations", 0, "Instances", 0, "InstanceId"), dublin.ID)
	l.ec2Fails("InvalidInstanceID.NotFound", "describe-instances --instance-ids "+dublin.ID)
	l.ec2Fails("InvalidInstanceID.NotFound", "terminate-instances --region sa-east-1 --instance-ids "+dublin.ID)
	l.ec2Fails("AuthFailure", "describe-instances --region eu-west-9")
	l.ec2("authorize-security-group-ingress --region eu-west-1 --group-id west --protocol tcp --port 8001 --cidr 0.0.0.0/0")
	out := l.ec2("run-instances --region sa-east-1 --wait --tag-specifications ResourceType=instance,Tags=[{Key=Name,Value=paulo}]")
	equal(t, "zone", get(t, out, "Instances", 0, "Placement", "AvailabilityZone"), "sa-east-1a")
	equal(t, "paulo fetches from dublin", l.in("paulo", "curl -s -m 20 http://"+public+":8000/page"), "from dublin\n")

	// All of it is there when the daemon was killed, and a command finds an instance of any Region.
	l.crash()
	l.cli("ls") // starts a daemon
	equal(t, "paulo after kill -9", l.in("paulo", "curl -s -m 20 http://"+public+":8000/page"), "from dublin\n")
	equal(t, "region after kill -9", l.fetch("dublin", "meta-data/placement/region"), "eu-west-1")
	advice, _, status := l.try("", "trace", "paulo", "dublin", "tcp/22")
	if status != 1 || !strings.Contains(advice, "--region") {
		t.Errorf("advice for another Region, exit status %d:\n%s", status, advice)
	}
	l.cli("stop", "paulo", "ashburn")
	if out := l.cli("describe", "vpc"); !strings.Contains(out, "REGION") || !strings.Contains(out, "eu-west-1") {
		t.Errorf("describe vpc:\n%s", out)
	}
}
