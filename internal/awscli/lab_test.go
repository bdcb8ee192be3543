package awscli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// TestBookByCommandLines builds the book's worked example with command lines
// alone, objects named by their lab names, and reads it back.
func TestBookByCommandLines(t *testing.T) {
	call := vpc.Call{Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), NewID: vpc.RandomID, NewKey: vpc.RandomKey}
	m, err := vpc.New("book", "123456789012", "ap-northeast-1", nil, call, true)
	if err != nil {
		t.Fatal(err)
	}
	tag := func(kind, name string) string {
		return " --tag-specifications ResourceType=" + kind + ",Tags=[{Key=Name,Value=" + name + "}]"
	}
	for _, line := range []string{
		"create-vpc --cidr-block 172.30.0.0/16" + tag("vpc", "book"),
		"modify-vpc-attribute --vpc-id book --enable-dns-hostnames",
		"create-subnet --vpc-id book --cidr-block 172.30.0.0/24 --availability-zone ap-northeast-1a" + tag("subnet", "public"),
		"create-subnet --vpc-id book --cidr-block 172.30.1.0/24 --availability-zone ap-northeast-1a" + tag("subnet", "private"),
		"modify-subnet-attribute --subnet-id public --map-public-ip-on-launch",
		"create-internet-gateway" + tag("internet-gateway", "igw"),
		"attach-internet-gateway --internet-gateway-id igw --vpc-id book",
		"create-route-table --vpc-id book" + tag("route-table", "public"),
		"create-route --route-table-id public --destination-cidr-block 0.0.0.0/0 --gateway-id igw",
		"associate-route-table --route-table-id public --subnet-id public",
		"create-security-group --group-name web --description 'web servers' --vpc-id book",
		"create-security-group --group-name db --description databases --vpc-id book",
		"authorize-security-group-ingress --group-id web --protocol tcp --port 22 --cidr 0.0.0.0/0",
		"authorize-security-group-ingress --group-id db --protocol tcp --port all --source-group web",
		"authorize-security-group-ingress --group-id db --protocol icmp --port -1 --source-group web",
		"create-network-acl --vpc-id book" + tag("network-acl", "public"),
		"create-network-acl-entry --network-acl-id public --ingress --rule-number 100 --protocol tcp --port-range From=22,To=22 --cidr-block 0.0.0.0/0 --rule-action allow",
		"create-network-acl-entry --network-acl-id public --egress --rule-number 100 --protocol icmp --icmp-type-code Type=-1,Code=-1 --cidr-block 0.0.0.0/0 --rule-action allow",
		"create-key-pair --key-name book --key-type ed25519",
		"run-instances --subnet-id public --security-group-ids web --key-name book --private-ip-address 172.30.0.10 --associate-public-ip-address --user-data '#!/bin/sh'" + tag("instance", "web"),
		"run-instances --subnet-id private --security-group-ids db --count 1" + tag("instance", "db"),
		"modify-instance-attribute --instance-id web --no-source-dest-check",
		"allocate-address --domain vpc" + tag("elastic-ip", "nat"),
		"create-nat-gateway --subnet-id public --allocation-id nat" + tag("natgateway", "nat"),
		"create-route --route-table-id public --destination-cidr-block 198.51.100.0/24 --instance-id web",
		"create-tags --resources igw --tags Key=Stage,Value=test",
	} {
		m, _ = run(t, m, call, line)
	}
	_, out := run(t, m, call, "describe-instances --filters Name=tag:Name,Values=web Name=private-ip-address,Values=172.30.0.10")
	for _, part := range []string{`"PrivateIpAddress":"172.30.0.10"`, `"SourceDestCheck":false`, `"KeyName":"book"`, `"PublicIpAddress":"`} {
		if !strings.Contains(out, part) {
			t.Errorf("describe-instances: no %s in %s", part, out)
		}
	}
}

// run performs a command line on the model, as the daemon would.
func run(t *testing.T, m vpc.Model, call vpc.Call, line string) (vpc.Model, string) {
	t.Helper()
	a, in, _, err := parseLine(line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if err := vpc.ResolveNames(&m, call.Region, in); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	tx := vpc.Begin(&m, call)
	out, err := tx.Run(a.Name, in)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, format := range Formats {
		if err := Print(&text, b, format, nil); err != nil {
			t.Fatalf("%s: %s: %v", line, format, err)
		}
	}
	return tx.Model, string(b)
}
