package topology

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// twoRegions has one address range in two Regions, and an instance in the default VPC of a
// third.
const twoRegions = `version: 1
name: two
region: ap-northeast-1
regions: [us-east-1]
dhcp_options:
  away: {domain_name: away.example, region: eu-west-1}
key_pairs:
  home: {}
  away: {region: eu-west-1}
vpcs:
  home: {cidr_block: 10.0.0.0/16}
  away: {cidr_block: 10.0.0.0/16, region: eu-west-1, dhcp_options: away}
subnets:
  home: {vpc: home, cidr_block: 10.0.1.0/24}
  away: {vpc: away, cidr_block: 10.0.1.0/24, availability_zone: eu-west-1b}
internet_gateways:
  away: {vpc: away}
  spare: {region: eu-west-1}
elastic_ips:
  away: {}
  nat: {}
  spare: {region: us-east-1}
nat_gateways:
  nat: {subnet: away, elastic_ip: nat}
route_tables:
  away:
    vpc: away
    subnets: [away]
    routes: [{cidr_block: 0.0.0.0/0, gateway: away}]
security_groups:
  away: {vpc: away, ingress: [{port: 22, cidr_blocks: [0.0.0.0/0]}]}
network_interfaces:
  away: {subnet: away, security_groups: [away]}
instances:
  home: {subnet: home, key_name: home, private_ip: 10.0.1.10}
  away: {subnet: away, key_name: away, private_ip: 10.0.1.10, security_groups: [away]}
  third: {subnet: default-us-east-1c}
  fourth: {availability_zone: us-east-1d}
internet_hosts:
  laptop: {key_names: [home]}
flow_logs:
  away: {vpc: away, log_group_name: away}
impair:
  - {zones: [eu-west-1a, eu-west-1b], delay: 1ms}
`

func TestRegions_ConvergePutsObjectsWhereTheyBelong(t *testing.T) {
	f := parseText(t, strings.Replace(twoRegions, "  away: {}\n  nat", "  away: {instance: away}\n  nat", 1))
	m, _ := mustConverge(t, f, nil, Options{})
	for _, err := range m.Check() {
		t.Error(err)
	}
	if got := m.OpenRegions(); !slices.Equal(got, []string{"ap-northeast-1", "eu-west-1", "us-east-1"}) {
		t.Errorf("Regions %v", got)
	}
	for region, want := range map[string]string{"ap-northeast-1": "1 2 4 2 1 0 1", "eu-west-1": "1 2 4 3 1 2 1", "us-east-1": "1 1 6 1 2 1 0"} {
		v := m.In(region)
		got := fmt.Sprintf("%d %d %d %d %d %d %d", b2i(v.DefaultVpc() != nil), v.Vpcs.Len(), v.Subnets.Len(), v.SecurityGroups.Len(), v.Instances.Len(), v.Addresses.Len(), v.KeyPairs.Len())
		if got != want {
			t.Errorf("%s: default VPC, VPCs, subnets, groups, instances, addresses, key pairs: %s, want %s", region, got, want)
		}
	}
	if a, b := m.KeyPair("ap-northeast-1", "home"), m.KeyPair("eu-west-1", "away"); a == nil || b == nil || m.KeyPair("eu-west-1", "home") != nil {
		t.Errorf("key pairs %v, %v", a, b)
	}
	_, again := mustConverge(t, f, &m, Options{})
	if len(again) > 0 {
		t.Errorf("second time: %v", again)
	}
	sameAsFresh(t, f, m)

	fewer := parseText(t, "version: 1\nname: two\nregion: ap-northeast-1\nvpcs: {home: {cidr_block: 10.0.0.0/16}}\n")
	m = settle(m)
	left, _ := mustConverge(t, fewer, &m, Options{})
	if n := left.In("eu-west-1"); n.Vpcs.Len() != 1 || n.Instances.Len() > 1 || n.Addresses.Len() != 0 || n.KeyPairs.Len() != 0 {
		t.Errorf("left in eu-west-1: %d VPCs, %d addresses, %d key pairs", n.Vpcs.Len(), n.Addresses.Len(), n.KeyPairs.Len())
	}
	for _, err := range left.Check() {
		t.Error(err)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestRegions_AVpcThatMovesIsMadeAnew(t *testing.T) {
	const text = "version: 1\nname: moving\nregion: us-east-1\nvpcs: {v: {cidr_block: 10.0.0.0/16%s}}\nsubnets: {s: {vpc: v, cidr_block: 10.0.0.0/24}}\n"
	m, _ := mustConverge(t, parseText(t, fmt.Sprintf(text, "")), nil, Options{})
	was := idOf(&m, "vpcs.v")
	m, changes := mustConverge(t, parseText(t, fmt.Sprintf(text, ", region: eu-west-1")), &m, Options{})
	is := m.Vpcs.Get(idOf(&m, "vpcs.v"))
	if is.ID == was || is.Region != "eu-west-1" || m.RegionOf(string(was)) != "" || !slices.Contains(changes, "replace vpc v: region") {
		t.Errorf("%s, was %s: %v", is.ID, was, changes)
	}
	for _, s := range m.Subnets.All() {
		if s.VpcID == is.ID && s.AvailabilityZone != "eu-west-1a" {
			t.Errorf("subnet in %s", s.AvailabilityZone)
		}
	}
}

func TestRegions_Refused(t *testing.T) {
	for edit, want := range map[string]string{
		"home: {subnet: home, key_name: home|home: {subnet: home, key_name: away": "instance home: key_name: key pair away is in eu-west-1, and this in ap-northeast-1",
		"region: eu-west-1, dhcp_options|region: eu-west-9, dhcp_options":         `vpc away: region: AWS has no region "eu-west-9"`,
		"regions: [us-east-1]|regions: [us-east-7]":                               `regions: AWS has no region "us-east-7"`,
		"availability_zone: eu-west-1b|availability_zone: us-east-1a":             `subnet away: availability_zone: eu-west-1 has no zone "us-east-1a"`,
		"default-us-east-1c|default-sa-east-1a":                                   `instance third: subnet: there is no subnet "default-sa-east-1a"`,
		"nat: {}|nat: {region: us-east-1}":                                        "nat gateway nat: elastic_ip: elastic ip nat is in us-east-1, and this in eu-west-1",
		"laptop: {key_names: [home]}|laptop: {key_names: [away]}":                 "internet host laptop: key_names[0]: key pair away is in eu-west-1",
		"zones: [eu-west-1a, eu-west-1b]|zones: [eu-west-1a, us-east-1b]":         "eu-west-1a and us-east-1b are in two regions",
	} {
		old, new, _ := strings.Cut(edit, "|")
		if !strings.Contains(twoRegions, old) {
			t.Fatalf("%s is not there", old)
		}
		_, err := Parse("two.yaml", []byte(strings.Replace(twoRegions, old, new, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", new, err, want)
		}
	}
}

// A Region that the API has opened stays, with its default VPC, also with --prune.
func TestRegions_OpenedElsewhere(t *testing.T) {
	f := parseText(t, "version: 1\nname: api\nvpcs: {v: {cidr_block: 10.0.0.0/16}}\n")
	m, _ := mustConverge(t, f, nil, Options{})
	tx := vpc.Begin(&m, vpc.Call{Now: now, NewID: vpc.RandomID, Region: "eu-north-1"})
	if _, err := tx.Run("CreateVpc", &vpc.CreateVpcInput{CidrBlock: "10.0.0.0/16"}); err != nil {
		t.Fatal(err)
	}
	pruned, changes := mustConverge(t, f, &tx.Model, Options{Prune: true})
	if v := pruned.In("eu-north-1"); v.Vpcs.Len() != 1 || v.DefaultVpc() == nil || v.DhcpOptions.Len() != 1 {
		t.Errorf("%v left %d VPCs, default %v", changes, v.Vpcs.Len(), v.DefaultVpc())
	}
}
