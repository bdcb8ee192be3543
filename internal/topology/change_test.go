package topology

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// full has an object of every kind; tests change one thing of it.
const full = `version: 1
name: full
region: ap-northeast-1
dhcp_options:
  set: {domain_name: example.com, domain_name_servers: [10.0.0.2]}
key_pairs:
  me: {}
vpcs:
  main:
    cidr_block: 10.0.0.0/16
    secondary_cidr_blocks: [10.1.0.0/16]
    dhcp_options: set
    main_route_table: {routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
    default_security_group: {ingress: []}
    default_network_acl: {egress: [{rule_no: 7, action: allow, cidr_block: 10.0.0.0/8}]}
  other: {cidr_block: 10.9.0.0/16}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}
  private: {vpc: main, cidr_block: 10.0.1.0/24}
  second: {vpc: main, cidr_block: 10.1.1.0/24}
internet_gateways:
  igw: {vpc: main}
elastic_ips:
  nat: {}
  eni: {network_interface: eni, associate_with_private_ip: 10.0.1.21}
  web: {address: 203.0.113.80, instance: web}
nat_gateways:
  nat: {subnet: public, elastic_ip: nat}
route_tables:
  private:
    vpc: main
    subnets: [private]
    routes:
      - {cidr_block: 0.0.0.0/0, nat_gateway: nat}
      - {cidr_block: 192.0.2.0/24, network_interface: eni}
  spare: {vpc: main}
security_groups:
  web:
    vpc: main
    description: web
    ingress:
      - {port: ssh, cidr_blocks: [0.0.0.0/0], description: everyone}
      - {protocol: icmp, icmp_type: 8, self: true}
  db:
    vpc: main
    ingress: [{port: mysql, security_groups: [web]}]
    egress: []
network_acls:
  acl:
    vpc: main
    subnets: [private]
    ingress: [{rule_no: 100, action: allow, cidr_block: 0.0.0.0/0}]
    egress: [{rule_no: 100, action: allow, port: 22, cidr_block: 0.0.0.0/0}]
network_interfaces:
  eni:
    subnet: private
    private_ips: [10.0.1.20, 10.0.1.21]
    security_groups: [db]
    attachment: {instance: db}
instances:
  web:
    subnet: public
    private_ip: 10.0.0.10
    security_groups: [web]
    key_name: me
    user_data: "#!/bin/sh"
  db:
    subnet: private
    private_ip: 10.0.1.10
    secondary_private_ips: [10.0.1.11]
    security_groups: [db]
internet_hosts:
  laptop: {key_names: [me]}
flow_logs:
  all: {vpc: main}
  front: {subnet: public, log_format: "${srcaddr} ${dstaddr}", max_aggregation_interval: 5}
  eni: {network_interface: eni, traffic_type: REJECT, log_destination_type: s3, log_destination: "arn:aws:s3:::bucket/prefix"}
  web: {instance: web, log_destination: /var/log/web.flows}
`

func parseText(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("full.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// settle lets the host do its part: what is pending runs, what is stopping stops.
func settle(m vpc.Model) vpc.Model {
	tx := vpc.Begin(&m, vpc.Call{Now: now, NewID: vpc.RandomID})
	for id := range m.Instances.All() {
		tx.InstanceRunning(id)
		if tx.Instances.Get(id).State == vpc.StateStopping {
			tx.InstanceStopped(id, "")
		}
	}
	for id := range m.InternetHosts.All() {
		tx.InternetHostRunning(id)
		if tx.InternetHosts.Get(id).State == vpc.StateStopping {
			tx.InternetHostStopped(id, "")
		}
	}
	return tx.Model
}

func mustConverge(t *testing.T, f *File, m *vpc.Model, opt Options) (vpc.Model, []string) {
	t.Helper()
	out, changes, _, err := f.Converge(m, now, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range out.Check() {
		t.Error(err)
	}
	var list []string
	for _, c := range changes {
		list = append(list, c.String())
	}
	if _, again, _, err := f.Converge(&out, now, opt); err != nil || len(again) > 0 {
		t.Errorf("a second time: %v, %v", again, err)
	}
	return settle(out), list
}

func edited(t *testing.T, pairs ...string) string {
	t.Helper()
	text := full
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(text, pairs[i]) != 1 {
			t.Fatalf("%q is not there once", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		name string
		edit []string
		opt  Options
		want []string
	}{
		{name: "nothing"},
		{name: "tags", edit: []string{"other: {cidr_block: 10.9.0.0/16}", "other: {cidr_block: 10.9.0.0/16, tags: {a: b}}"}, want: []string{"update vpc other: tags"}},
		{name: "secondary range", edit: []string{"[10.1.0.0/16]", "[10.1.0.0/16, 10.2.0.0/16]"}, want: []string{"update vpc main: secondary_cidr_blocks: with 10.2.0.0/16"}},
		{name: "dns", edit: []string{"{cidr_block: 10.9.0.0/16}", "{cidr_block: 10.9.0.0/16, enable_dns_support: false}"}, want: []string{"update vpc other: enable_dns_support"}},
		{name: "dns names", edit: []string{"{cidr_block: 10.9.0.0/16}", "{cidr_block: 10.9.0.0/16, enable_dns_hostnames: true}"}, want: []string{"update vpc other: enable_dns_hostnames"}},
		{name: "no option set", edit: []string{"dhcp_options: set", "dhcp_options: none"}, want: []string{"update vpc main: dhcp_options"}},
		{name: "option set", edit: []string{"example.com", "example.org"}, want: []string{"replace dhcp options set: domain_name", "update vpc main: dhcp_options"}},
		{name: "main route table's routes", edit: []string{"main_route_table: {routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}", "main_route_table: {routes: [{cidr_block: 0.0.0.0/0, nat_gateway: nat}]}"},
			want: []string{"update vpc main: route 0.0.0.0/0"}},
		{name: "default group", edit: []string{"default_security_group: {ingress: []}", "tags: {}"}, want: []string{"update vpc main: ingress: with all group default"}},
		{name: "default acl", edit: []string{"rule_no: 7", "rule_no: 8"}, want: []string{"update vpc main: egress: without rule 7; egress: rule 8"}},
		{name: "public by default", edit: []string{"cidr_block: 10.1.1.0/24}", "cidr_block: 10.1.1.0/24, map_public_ip_on_launch: true}"}, want: []string{"update subnet second: map_public_ip_on_launch"}},
		{name: "names by default", edit: []string{"cidr_block: 10.1.1.0/24}", "cidr_block: 10.1.1.0/24, private_dns_hostname_type_on_launch: resource-name, enable_resource_name_dns_a_record_on_launch: true}"},
			want: []string{"update subnet second: private_dns_hostname_type_on_launch; enable_resource_name_dns_a_record_on_launch"}},
		{name: "resource name answers", edit: []string{"    key_name: me", "    private_dns_name_options: {enable_resource_name_dns_a_record: true}\n    key_name: me"},
			want: []string{"update instance web: private_dns_name_options: enable_resource_name_dns_a_record"}},
		{name: "named by ID", edit: []string{"    key_name: me", "    private_dns_name_options: {hostname_type: resource-name}\n    key_name: me"},
			want: []string{"update instance web: private_dns_name_options: hostname_type resource-name; stopped and started for that"}},
		{name: "host's names", edit: []string{"{key_names: [me]}", "{key_names: [me], dns_names: [WWW.example.com, example.com.]}"}, want: []string{"update internet host laptop: dns_names"}},
		{name: "subnet moves", edit: []string{"cidr_block: 10.1.1.0/24", "cidr_block: 10.1.2.0/24"}, want: []string{"replace subnet second: cidr_block"}},
		{name: "vpc moves", edit: []string{"10.9.0.0/16", "10.8.0.0/16"}, want: []string{"replace vpc other: cidr_block"}},
		{name: "association", edit: []string{"spare: {vpc: main}", "spare: {vpc: main, subnets: [second]}"}, want: []string{"update route table spare: for subnet second"}},
		{name: "other table", edit: []string{"    subnets: [private]\n    routes", "    routes", "spare: {vpc: main}", "spare: {vpc: main, subnets: [private]}"},
			want: []string{"update route table spare: for subnet private"}},
		{name: "no table", edit: []string{"    subnets: [private]\n    routes", "    routes"}, want: []string{"update subnet private: main route table"}},
		{name: "main table", edit: []string{"spare: {vpc: main}", "spare: {vpc: main, main: true}"}, want: []string{"update route table spare: main route table"}},
		{name: "edge table", edit: []string{"spare: {vpc: main}", "spare: {vpc: main, gateway: igw, routes: [{cidr_block: 10.0.0.0/24, network_interface: eni}]}"},
			want: []string{"update route table spare: route 10.0.0.0/24; gateway igw"}},
		{name: "route", edit: []string{"192.0.2.0/24", "198.18.0.0/15"}, want: []string{"update route table private: without route 192.0.2.0/24; route 198.18.0.0/15"}},
		{name: "table goes", edit: []string{"  spare: {vpc: main}\n", ""}, want: []string{"delete route table spare"}},
		{name: "group rule", edit: []string{"port: ssh", "port: http"}, want: []string{"update security group web: ingress: without tcp 22 0.0.0.0/0; ingress: with tcp 80 0.0.0.0/0"}},
		{name: "description of a rule", edit: []string{"everyone", "all the world"}, want: []string{"update security group web: ingress: description of tcp 22 0.0.0.0/0"}},
		{name: "egress", edit: []string{"    egress: []\n", ""}, want: []string{"update security group db: egress: with all 0.0.0.0/0"}},
		{name: "description of a group", edit: []string{"description: web", "description: net"}, want: []string{"replace security group web: description",
			"update security group db: ingress: with tcp 3306 group web", "update instance web: security_groups"}},
		{name: "acl rule", edit: []string{"port: 22,", "port: 23,"}, want: []string{"update network acl acl: egress: rule 100"}},
		{name: "acl association", edit: []string{"    subnets: [private]\n    ingress", "    ingress"}, want: []string{"update subnet private: default network acl"}},
		{name: "groups", edit: []string{"security_groups: [web]\n    key", "security_groups: [web, default]\n    key"}, want: []string{"update instance web: security_groups"}},
		{name: "check", edit: []string{"    key_name: me", "    source_dest_check: false\n    key_name: me"}, want: []string{"update instance web: source_dest_check"}},
		{name: "secondary address", edit: []string{"[10.0.1.11]", "[10.0.1.12]"},
			want: []string{"update instance db: secondary_private_ips: without [10.0.1.11]", "update instance db: secondary_private_ips: with [10.0.1.12]"}},
		{name: "addresses change places", edit: []string{"[10.0.1.11]", "[10.0.1.21]", "10.0.1.20, 10.0.1.21", "10.0.1.20, 10.0.1.11", "associate_with_private_ip: 10.0.1.21", "associate_with_private_ip: 10.0.1.20"},
			want: []string{"update network interface eni: private_ips: without [10.0.1.21]", "update instance db: secondary_private_ips: without [10.0.1.11]",
				"update network interface eni: private_ips: with [10.0.1.11]", "update instance db: secondary_private_ips: with [10.0.1.21]", "update elastic ip eni: associated with eni"}},
		{name: "no public address", edit: []string{"    key_name: me", "    associate_public_ip_address: false\n    key_name: me"}, want: []string{"update instance web: associate_public_ip_address"}},
		{name: "type", edit: []string{"    key_name: me", "    instance_type: m5.large\n    key_name: me"}, want: []string{"update instance web: instance_type m5.large; stopped and started for that"}},
		{name: "user data", edit: []string{"#!/bin/sh", "#!/bin/bash"}, want: []string{"update instance web: user_data; stopped and started for that"}},
		{name: "protection", edit: []string{"    key_name: me", "    disable_api_termination: true\n    instance_initiated_shutdown_behavior: terminate\n    key_name: me"},
			want: []string{"update instance web: disable_api_termination; instance_initiated_shutdown_behavior"}},
		{name: "metadata options", edit: []string{"    key_name: me", "    metadata_options: {http_tokens: required, http_put_response_hop_limit: 2}\n    key_name: me"},
			want: []string{"update instance web: metadata_options"}},
		{name: "no metadata", edit: []string{"    key_name: me", "    metadata_options: {http_endpoint: disabled, http_protocol_ipv6: enabled}\n    key_name: me"},
			want: []string{"update instance web: metadata_options"}},
		{name: "tags in metadata", edit: []string{"    key_name: me", "    metadata_options: {instance_metadata_tags: enabled}\n    tags: {a: b}\n    key_name: me"},
			want: []string{"update instance web: tags; metadata_options"}},
		{name: "stopped", edit: []string{"    key_name: me", "    state: stopped\n    key_name: me"}, want: []string{"stop instance web"}},
		{name: "host stopped", edit: []string{"{key_names: [me]}", "{key_names: [me], state: stopped}"}, want: []string{"stop internet host laptop"}},
		{name: "elastic ip moves", edit: []string{"203.0.113.80, instance: web", "203.0.113.80, instance: db"}, opt: Options{},
			want: []string{"update elastic ip web: associated with db"}},
		{name: "elastic ip free", edit: []string{"203.0.113.80, instance: web", "203.0.113.80"}, want: []string{"update elastic ip web: disassociated"}},
		{name: "elastic ip gone", edit: []string{"  web: {address: 203.0.113.80, instance: web}\n", ""}, want: []string{"delete elastic ip web"}},
		{name: "elastic ip changes", edit: []string{"203.0.113.80", "203.0.113.81"}, want: []string{"replace elastic ip web: address"}},
		{name: "elastic ips change places", edit: []string{"  nat: {}\n", "  nat: {instance: web}\n", "203.0.113.80, instance: web", "203.0.113.80", "elastic_ip: nat", "elastic_ip: web"},
			want: []string{"update elastic ip web: disassociated", "replace nat gateway nat: elastic_ip", "update elastic ip nat: associated with web", "update route table private: route 0.0.0.0/0"}},
		{name: "nat moves", edit: []string{"nat: {subnet: public", "nat: {subnet: second"}, want: []string{"replace nat gateway nat: subnet", "update route table private: route 0.0.0.0/0"}},
		{name: "detached", edit: []string{"    attachment: {instance: db}\n", ""}, want: []string{"update network interface eni: detached"}},
		{name: "other slot", edit: []string{"attachment: {instance: db}", "attachment: {instance: db, device_index: 2}"}, want: []string{"update network interface eni: attached to db"}},
		{name: "interface", edit: []string{"    attachment", "    description: the second\n    source_dest_check: false\n    attachment"}, want: []string{"update network interface eni: description; source_dest_check"}},
		{name: "interface anew", edit: []string{"10.0.1.20, 10.0.1.21", "10.0.1.30, 10.0.1.21"}, want: []string{"replace network interface eni: private_ips",
			"update elastic ip eni: associated with eni", "update route table private: route 192.0.2.0/24", "replace flow log eni: network_interface"}},
		{name: "instance anew", edit: []string{"private_ip: 10.0.1.10", "private_ip: 10.0.1.50"}, opt: Options{Replace: true}, want: []string{"replace instance db: private_ip",
			"update network interface eni: attached to db", "update elastic ip eni: associated with eni"}},
		{name: "instance goes", edit: []string{"    attachment: {instance: db}\n", "", "  db:\n    subnet: private\n    private_ip: 10.0.1.10\n    secondary_private_ips: [10.0.1.11]\n    security_groups: [db]\n", ""},
			want: []string{"delete instance db", "update elastic ip eni: associated with eni"}},
		{name: "host anew", edit: []string{"{key_names: [me]}", "{}"}, opt: Options{Replace: true}, want: []string{"replace internet host laptop: key_names"}},
		{name: "key pair anew", edit: []string{"  me: {}", "  me: {public_key: " + testKey + "}"}, opt: Options{Replace: true},
			want: []string{"replace key pair me: public_key", "replace internet host laptop: key pair me", "replace instance web: key pair me", "update elastic ip web: associated with web", "replace flow log web: instance"}},
		{name: "flow log's tags", edit: []string{"all: {vpc: main}", "all: {vpc: main, tags: {a: b}}"}, want: []string{"update flow log all: tags"}},
		{name: "flow log of another", edit: []string{"all: {vpc: main}", "all: {vpc: other}"}, want: []string{"replace flow log all: vpc"}},
		{name: "flow log of another kind", edit: []string{"all: {vpc: main}", "all: {subnet: second}"}, want: []string{"replace flow log all: subnet"}},
		{name: "flow log's traffic", edit: []string{"all: {vpc: main}", "all: {vpc: main, traffic_type: ACCEPT}"}, want: []string{"replace flow log all: traffic_type"}},
		{name: "flow log's format", edit: []string{"${srcaddr} ${dstaddr}", "${srcaddr} ${dstport}"}, want: []string{"replace flow log front: log_format"}},
		{name: "flow log's interval", edit: []string{"max_aggregation_interval: 5", "max_aggregation_interval: 60"}, want: []string{"replace flow log front: max_aggregation_interval"}},
		{name: "flow log's group", edit: []string{"all: {vpc: main}", "all: {vpc: main, log_group_name: /vpc/main}"}, want: []string{"replace flow log all: log_group_name"}},
		{name: "flow log's group by ARN", edit: []string{"all: {vpc: main}", "all: {vpc: main, log_destination: 'arn:aws:logs:ap-northeast-1:123456789012:log-group:all'}"},
			want: []string{"replace flow log all: log_destination"}},
		{name: "flow log's bucket", edit: []string{":bucket/prefix", ":bucket"}, want: []string{"replace flow log eni: log_destination"}},
		{name: "flow log goes", edit: []string{"  all: {vpc: main}\n", ""}, want: []string{"delete flow log all"}},
		{name: "flow log's vpc anew", edit: []string{"10.9.0.0/16", "10.8.0.0/16", "all: {vpc: main}", "all: {vpc: other}"}, want: []string{"replace vpc other: cidr_block", "replace flow log all: vpc"}},
		{name: "no default vpc", edit: []string{"region: ap", "default_vpc: false\nregion: ap"}, want: []string{"delete internet gateway igw-*", "delete subnet subnet-*", "delete subnet subnet-*", "delete subnet subnet-*", "delete vpc vpc-*"}},
		{name: "pools and quotas", edit: []string{"region: ap", "internet: {public_pools: [203.0.113.0/24, 198.51.100.0/24, 192.0.2.0/25]}\nquotas: {elastic-ips-per-region: 9}\nregion: ap"},
			want: []string{"update lab full: public pools [203.0.113.0/24 198.51.100.0/24 192.0.2.0/25]; quotas map[elastic-ips-per-region:9]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := mustConverge(t, parseText(t, full), nil, Options{})
			f := parseText(t, edited(t, c.edit...))
			m2, got := mustConverge(t, f, &m, c.opt)
			for i, s := range got {
				if k, _, ok := strings.Cut(s, "-0"); ok {
					got[i] = k + "-*"
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			// The outcome is that of the new file on a fresh lab, and the way back leads back.
			sameAsFresh(t, f, m2)
			if m3, _ := mustConverge(t, parseText(t, full), &m2, Options{Replace: true}); !t.Failed() {
				sameAsFresh(t, parseText(t, full), m3)
			}
		})
	}
}

var testKey, _, _ = placeholderKeys("")

// sameAsFresh compares, in words that leave out IDs and what a fresh lab draws
// otherwise.
func sameAsFresh(t *testing.T, f *File, m vpc.Model) {
	t.Helper()
	fresh, _ := mustConverge(t, f, nil, Options{})
	if diff := cmp.Diff(summary(&fresh), summary(&m)); diff != "" {
		t.Errorf("unlike a fresh lab (-fresh +this):\n%s", diff)
	}
}

func TestReplaceNeedsLeave(t *testing.T) {
	m, _ := mustConverge(t, parseText(t, full), nil, Options{})
	for edit, want := range map[[2]string]string{
		{"private_ip: 10.0.1.10", "private_ip: 10.0.1.50"}:                           "full.yaml:67: instance db: private_ip cannot be changed in place; making db anew would destroy its disk: give --replace to do so",
		{"10.0.0.0/24, map", "10.0.0.0/24, availability_zone: ap-northeast-1c, map"}: "full.yaml:61: instance web: subnet cannot be changed in place; making web anew would destroy its disk: give --replace to do so",
		{"laptop: {key_names: [me]}", "laptop: {address: 203.0.113.99}"}:             "full.yaml:73: internet host laptop: address cannot be changed in place; making laptop anew would destroy its disk: give --replace to do so",
	} {
		_, _, _, err := parseText(t, edited(t, edit[0], edit[1])).Converge(&m, now, Options{})
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestWhatAnOperationRefuses names the line and the code.
func TestWhatAnOperationRefuses(t *testing.T) {
	m, _ := mustConverge(t, parseText(t, full), nil, Options{})
	tx := vpc.Begin(&m, vpc.Call{Now: now, NewID: vpc.RandomID})
	f := parseText(t, full)
	run(t, tx, &vpc.CreateSubnetInput{VpcId: idOf(&m, "vpcs.other"), CidrBlock: "10.9.1.0/24"})
	_, _, _, err := parseText(t, strings.Replace(full, "10.9.0.0/16", "10.7.0.0/16", 1)).Converge(&tx.Model, now, Options{})
	var refused *vpc.Error
	if !errors.As(err, &refused) || refused.Code != "DependencyViolation" || !strings.HasPrefix(err.Error(), "full.yaml:16: vpc other: cannot be deleted: DependencyViolation: ") {
		t.Errorf("%v", err)
	}
	if _, _, _, err := f.Converge(&tx.Model, now, Options{}); err != nil {
		t.Errorf("the file itself still converges: %v", err)
	}
	_, changes, _, err := parseText(t, strings.Replace(full, "10.9.0.0/16", "10.7.0.0/16", 1)).Converge(&tx.Model, now, Options{Prune: true})
	if err != nil || len(changes) != 2 {
		t.Errorf("with Prune: %v, %v", changes, err)
	}
}

func idOf(m *vpc.Model, source string) vpc.VpcID {
	for id, v := range m.Vpcs.All() {
		if v.Source == source {
			return id
		}
	}
	return ""
}

func run(t *testing.T, tx *vpc.Tx, in any) any {
	t.Helper()
	name := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", in), "*vpc."), "Input")
	out, err := tx.Run(name, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Hostnames stay enabled when the resolver is turned off, and come on with it off, as on AWS (DNS-04).
func TestChange_HostnamesWithoutResolver(t *testing.T) {
	const file = "version: 1\nname: full\nvpcs:\n  v: {cidr_block: 10.0.0.0/16, enable_dns_support: %v, enable_dns_hostnames: %v}\n"
	values := []bool{false, true}
	for _, support := range values {
		for _, hostnames := range values {
			for _, toSupport := range values {
				for _, toHostnames := range values {
					m, _ := mustConverge(t, parseText(t, fmt.Sprintf(file, support, hostnames)), nil, Options{})
					m, _ = mustConverge(t, parseText(t, fmt.Sprintf(file, toSupport, toHostnames)), &m, Options{})
					for _, v := range m.Vpcs.All() {
						if !v.IsDefault && (v.EnableDnsSupport != toSupport || v.EnableDnsHostnames != toHostnames) {
							t.Errorf("from %v %v to %v %v: it has %v %v", support, hostnames, toSupport, toHostnames, v.EnableDnsSupport, v.EnableDnsHostnames)
						}
					}
				}
			}
		}
	}
}

// A route that a call made to an instance's interface, or to an instance by the interface, is the route that the file says.
func TestDrift_RouteToTheInterfaceOfAnInstance(t *testing.T) {
	f := parseText(t, edited(t, "  spare: {vpc: main}", "  spare: {vpc: main, routes: [{cidr_block: 192.0.2.0/24, instance: web}]}"))
	m, _ := mustConverge(t, f, nil, Options{})
	tx := vpc.Begin(&m, vpc.Call{Now: now, NewID: vpc.RandomID})
	for id, table := range tx.RouteTables.All() {
		for _, r := range table.Routes {
			if r.InstanceID != "" {
				if _, err := tx.Run("ReplaceRoute", &vpc.ReplaceRouteInput{RouteTableId: id, DestinationCidrBlock: r.DestinationCidrBlock.String(), NetworkInterfaceId: r.NetworkInterfaceID}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if _, changes := mustConverge(t, f, &tx.Model, Options{}); len(changes) > 0 {
		t.Errorf("up would %v", changes)
	}
}

// The account's own DHCP options are made anew for a VPC that the file wants to have them.
func TestChange_DefaultDhcpOptionsDeleted(t *testing.T) {
	m, _ := mustConverge(t, parseText(t, full), nil, Options{})
	tx := vpc.Begin(&m, vpc.Call{Now: now, NewID: vpc.RandomID})
	for id := range tx.Vpcs.All() {
		if _, err := tx.Run("AssociateDhcpOptions", &vpc.AssociateDhcpOptionsInput{VpcId: id, DhcpOptionsId: "default"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Run("DeleteDhcpOptions", &vpc.DeleteDhcpOptionsInput{DhcpOptionsId: tx.DefaultDhcpOptionsID}); err != nil {
		t.Fatal(err)
	}
	_, changes := mustConverge(t, parseText(t, full), &tx.Model, Options{})
	if d := cmp.Diff([]string{"update vpc main: dhcp_options", "update vpc other: dhcp_options"}, changes); d != "" {
		t.Error(d)
	}
}

// Every option of a DHCP option set that AWS has can be said.
func TestConverge_DhcpOptionsOfIPv6(t *testing.T) {
	f := parseText(t, edited(t, "domain_name_servers: [10.0.0.2]}", "domain_name_servers: [10.0.0.2, '2001:db8::1'], ntp_servers: ['fd00:ec2::123'], ipv6_address_preferred_lease_time: 600}"))
	m, _ := mustConverge(t, f, nil, Options{})
	for _, o := range m.DhcpOptions.All() {
		if o.Name() == "set" && (o.Ipv6PreferredLeaseTime != 600 || len(o.DomainNameServers) != 2 || len(o.NtpServers) != 1) {
			t.Errorf("%+v", o)
		}
	}
	if _, err := Parse("full.yaml", []byte(edited(t, "domain_name_servers: [10.0.0.2]}", "netbios_name_servers: ['2001:db8::1']}"))); err == nil {
		t.Error("a NetBIOS name server has an IPv4 address on AWS")
	}
}

// A group's name on AWS is its own where the file says so: groups of two VPCs may have the same, and another one is another group.
func TestChange_GroupName(t *testing.T) {
	two := edited(t, "security_groups:\n  web:\n", "security_groups:\n  web-of-other: {vpc: other, group_name: web}\n  web:\n")
	m, _ := mustConverge(t, parseText(t, two), nil, Options{})
	names := map[string]int{}
	for _, g := range m.SecurityGroups.All() {
		names[g.GroupName]++
	}
	if names["web"] != 2 || names["db"] != 1 || names["web-of-other"] != 0 {
		t.Errorf("%v", names)
	}
	web := groupOf(&m, "web").ID
	m, changes := mustConverge(t, parseText(t, strings.Replace(two, "  web:\n    vpc: main\n", "  web:\n    vpc: main\n    group_name: Web Server (1)\n", 1)), &m, Options{})
	if d := cmp.Diff([]string{"replace security group web: group_name"}, changes[:1]); d != "" {
		t.Error(d, changes)
	}
	if g := groupOf(&m, "web"); g.GroupName != "Web Server (1)" || g.ID == web {
		t.Errorf("%+v", g)
	}
	for _, bad := range []string{"default", "sg-1", "x ", "ü", "DB", "''"} {
		if _, err := Parse("full.yaml", []byte(edited(t, "    description: web\n", "    group_name: '"+strings.Trim(bad, "'")+"'\n"))); err == nil || !strings.Contains(err.Error(), "group_name") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// What a VPC comes with has tags that come, change and go; nobody else's does.
func TestChange_TagsOfWhatAVpcComesWith(t *testing.T) {
	const text = "version: 1\ndefault_vpc: false\nvpcs:\n  main:\n    cidr_block: 10.0.0.0/16\n    %s\n  other: {cidr_block: 10.9.0.0/16}\n"
	var m *vpc.Model
	for _, step := range []struct {
		keys       string
		group, acl map[string]string
		want       []string
	}{
		{"default_security_group: {tags: {Name: own, a: b}}", map[string]string{"Name": "own", "a": "b"}, nil, []string{"create vpc main", "create vpc other"}},
		{"default_security_group: {tags: {Name: own, c: d}}", map[string]string{"Name": "own", "c": "d"}, nil, []string{"update vpc main: default_security_group.tags"}},
		{"default_network_acl: {tags: {Name: acl}}", nil, map[string]string{"Name": "acl"}, []string{"update vpc main: default_network_acl.tags", "update vpc main: default_security_group.tags"}},
		{"default_network_acl: {tags: {Name: acl}}", nil, map[string]string{"Name": "acl"}, nil},
		{"tags: {}", nil, nil, []string{"update vpc main: default_network_acl.tags"}},
	} {
		is, changes := mustConverge(t, parseText(t, fmt.Sprintf(text, step.keys)), m, Options{})
		slices.Sort(changes)
		if d := cmp.Diff(step.want, changes, cmpopts.EquateEmpty()); d != "" {
			t.Error(step.keys, d)
		}
		m = &is
		for _, v := range m.Vpcs.All() {
			want := [2]map[string]string{}
			if v.Name() == "main" {
				want = [2]map[string]string{step.group, step.acl}
			}
			is := [2]map[string]string{m.DefaultSecurityGroup(v.ID).Tags, m.DefaultNetworkAcl(v.ID).Tags}
			if d := cmp.Diff(want, is, cmpopts.EquateEmpty()); d != "" {
				t.Error(step.keys, v.Name(), d)
			}
		}
	}
}

// Tags of rules change in place; each of the rules that an entry stands for has them.
func TestChange_TagsOfRules(t *testing.T) {
	const text = "version: 1\ndefault_vpc: false\nvpcs: {main: {cidr_block: 10.0.0.0/16}}\nsecurity_groups:\n  web:\n    vpc: main\n    ingress:\n" +
		"      - {port: 22, cidr_blocks: [10.0.0.0/8, 192.0.2.0/24]%s}\n      - {port: 80, self: true}\n"
	var m *vpc.Model
	var first []vpc.SecurityGroupRule
	for _, step := range []struct {
		keys string
		tags map[string]string
		want []string
	}{
		{", tags: {Name: ssh, a: b}", map[string]string{"Name": "ssh", "a": "b"}, []string{"create security group web", "create vpc main"}},
		{", tags: {a: c}", map[string]string{"a": "c"}, []string{"update security group web: ingress: tags of tcp 22 10.0.0.0/8; ingress: tags of tcp 22 192.0.2.0/24"}},
		{", tags: {a: c}", map[string]string{"a": "c"}, nil},
		{"", nil, []string{"update security group web: ingress: tags of tcp 22 10.0.0.0/8; ingress: tags of tcp 22 192.0.2.0/24"}},
	} {
		is, changes := mustConverge(t, parseText(t, fmt.Sprintf(text, step.keys)), m, Options{})
		slices.Sort(changes)
		if d := cmp.Diff(step.want, changes, cmpopts.EquateEmpty()); d != "" {
			t.Error(step.keys, d)
		}
		m = &is
		rules := groupOf(m, "web").Ingress
		if first == nil {
			first = rules
		}
		for i, r := range rules {
			want := step.tags
			if r.FromPort == 80 {
				want = nil
			}
			if d := cmp.Diff(want, r.Tags, cmpopts.EquateEmpty()); d != "" || r.ID != first[i].ID {
				t.Error(step.keys, r.ID, first[i].ID, d)
			}
		}
	}
}

// groupOf is the group that a key of the file made.
func groupOf(m *vpc.Model, key string) vpc.SecurityGroup {
	for _, g := range m.SecurityGroups.All() {
		if g.Source == "security_groups."+key {
			return *g
		}
	}
	return vpc.SecurityGroup{}
}

// Secondary addresses of NAT gateways come and go, move from one to another, and change what they stand for.
func TestChange_SecondaryAddressesOfNatGateways(t *testing.T) {
	file := func(a, b, private, eips string) string {
		return edited(t, "elastic_ips:\n  nat: {}\n", "quotas: {elastic-ips-per-nat-gateway: 4, elastic-ips-per-region: 20}\nelastic_ips:\n  nat: {}\n  nat2: {}\n  one: {address: 203.0.113.70}\n  two: {address: 203.0.113.71}\n"+eips,
			"  nat: {subnet: public, elastic_ip: nat}\n", "  nat: {subnet: public, elastic_ip: nat"+a+"}\n  second: {subnet: public, elastic_ip: nat2"+b+"}\n  private: {subnet: private, connectivity_type: private"+private+"}\n")
	}
	addresses := func(m *vpc.Model) string {
		var list []string
		for _, n := range m.NatGateways.All() {
			for _, a := range n.Addresses {
				if !a.IsPrimary {
					list = append(list, fmt.Sprintf("%s %s %s %s", n.Name(), a.PublicIp, a.PrivateIp, a.Status))
				}
			}
		}
		slices.Sort(list)
		return strings.Join(list, "; ")
	}
	m, _ := mustConverge(t, parseText(t, file("", "", "", "")), nil, Options{})
	for _, step := range []struct{ a, b, private, eips, want, changes string }{
		{", secondary_elastic_ips: [one, two], secondary_private_ips: [10.0.0.50, 10.0.0.51]", "", ", secondary_private_ips: [10.0.1.50]", "",
			"nat 203.0.113.70 10.0.0.50 succeeded; nat 203.0.113.71 10.0.0.51 succeeded; private invalid IP 10.0.1.50 succeeded", "update nat gateway nat: with one; with two; update nat gateway private: with 10.0.1.50"},
		{", secondary_elastic_ips: [two, one], secondary_private_ips: [10.0.0.51, 10.0.0.50]", "", ", secondary_private_ips: [10.0.1.50]", "",
			"nat 203.0.113.70 10.0.0.50 succeeded; nat 203.0.113.71 10.0.0.51 succeeded; private invalid IP 10.0.1.50 succeeded", ""},
		{", secondary_elastic_ips: [one], secondary_private_ips: [10.0.0.51]", ", secondary_elastic_ips: [two], secondary_private_ips: [10.0.0.50]", ", secondary_private_ips: [10.0.1.51]", "",
			"nat 203.0.113.70 10.0.0.51 succeeded; private invalid IP 10.0.1.51 succeeded; second 203.0.113.71 10.0.0.50 succeeded",
			"update nat gateway nat: without 10.0.0.50; without 10.0.0.51; update nat gateway private: without 10.0.1.50; update nat gateway nat: with one; update nat gateway second: with two; update nat gateway private: with 10.0.1.51"},
		{"", ", secondary_elastic_ips: [three]", "", "  three: {address: 203.0.113.72}\n", "second 203.0.113.72 10.0.0.6 succeeded",
			"create elastic ip three; update nat gateway nat: without 10.0.0.51; update nat gateway second: without 10.0.0.50; update nat gateway private: without 10.0.1.51; update nat gateway second: with three"},
		{"", ", secondary_elastic_ips: [three]", "", "  three: {address: 203.0.113.73}\n", "second 203.0.113.73 10.0.0.6 succeeded", "replace elastic ip three: address; update nat gateway second: with three"},
		{"", "", "", "", "", "delete elastic ip three"},
	} {
		is, changes := mustConverge(t, parseText(t, file(step.a, step.b, step.private, step.eips)), &m, Options{})
		if m = is; addresses(&m) != step.want || strings.Join(changes, "; ") != step.changes {
			t.Errorf("%s / %s / %s:\n%s\n%s", step.a, step.b, step.private, addresses(&m), strings.Join(changes, "; "))
		}
	}
	for keys, why := range map[string]string{
		", secondary_elastic_ips: [one, web]": "elastic ip web", ", secondary_elastic_ips: [nat2]": "is that of", ", secondary_elastic_ips: [one], secondary_private_ips: [10.0.0.50, 10.0.0.51]": "2 addresses for 1",
		", secondary_elastic_ips: [nope]": "nope", ", secondary_elastic_ips: [one], secondary_private_ips: [10.0.0.10]": "is that of", ", secondary_elastic_ips: [one], secondary_private_ips: [10.0.1.9]": "outside",
	} {
		if _, err := Parse("full.yaml", []byte(file(keys, "", "", ""))); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", keys, err)
		}
	}
	if _, err := Parse("full.yaml", []byte(file("", "", ", secondary_elastic_ips: [one]", ""))); err == nil || !strings.Contains(err.Error(), "a private NAT gateway has none") {
		t.Error(err)
	}
}

// An address that a call has draining is left to drain, unless the file wants it.
func TestDrift_DrainingAddressOfNatGateway(t *testing.T) {
	for _, instance := range []string{"", ", network_interface: spare"} {
		text := edited(t, "elastic_ips:\n", "network_interfaces_: {}\nelastic_ips:\n  more: {address: 203.0.113.70"+instance+"}\n")
		text = strings.Replace(text, "network_interfaces_: {}\n", "", 1)
		text = strings.Replace(text, "network_interfaces:\n", "network_interfaces:\n  spare: {subnet: public}\n", 1)
		with := strings.Replace(strings.Replace(text, instance+"}\n", "}\n", 1), "elastic_ip: nat}", "elastic_ip: nat, secondary_elastic_ips: [more]}", 1)
		m, _ := mustConverge(t, parseText(t, with), nil, Options{})
		tx := vpc.Begin(&m, vpc.Call{Now: now, NewID: vpc.RandomID})
		for id, n := range tx.NatGateways.All() {
			if _, err := tx.Run("DisassociateNatGatewayAddress", &vpc.DisassociateNatGatewayAddressInput{NatGatewayId: id, AssociationIds: []vpc.AddressAssocID{n.Addresses[1].AssociationID}}); err != nil {
				t.Fatal(err)
			}
		}
		m, changes := mustConverge(t, parseText(t, text), &tx.Model, Options{})
		for _, n := range m.NatGateways.All() {
			if left := len(n.Addresses) == 2; left != (instance == "") {
				t.Errorf("%q: %+v %v", instance, n.Addresses, changes)
			}
		}
		m, _ = mustConverge(t, parseText(t, with), &tx.Model, Options{})
		for _, n := range m.NatGateways.All() {
			if len(n.Addresses) != 2 || n.Addresses[1].Draining() {
				t.Errorf("%+v", n.Addresses)
			}
		}
	}
}

// Parts of a subnet that are kept free come, change and go (AD-14).
func TestChange_CidrReservations(t *testing.T) {
	with := func(list string) string {
		return edited(t, "  private: {vpc: main, cidr_block: 10.0.1.0/24}\n", "  private: {vpc: main, cidr_block: 10.0.1.0/24, cidr_reservations: ["+list+"]}\n")
	}
	m, _ := mustConverge(t, parseText(t, with("{cidr_block: 10.0.1.0/28}")), nil, Options{})
	for _, step := range []struct{ list, is, changes string }{
		{"{cidr_block: 10.0.1.0/28}", "explicit 10.0.1.0/28 ", ""},
		{"{cidr_block: 10.0.1.0/28, reservation_type: prefix, description: pods}", "prefix 10.0.1.0/28 pods", "update subnet private: cidr_reservations: without 10.0.1.0/28; cidr_reservations: with 10.0.1.0/28"},
		{"{cidr_block: 10.0.1.0/27}", "explicit 10.0.1.0/27 ", "update subnet private: cidr_reservations: without 10.0.1.0/28; cidr_reservations: with 10.0.1.0/27"},
		{"", "", "update subnet private: cidr_reservations: without 10.0.1.0/27"},
	} {
		is, changes := mustConverge(t, parseText(t, with(step.list)), &m, Options{})
		var list []string
		for _, r := range is.SubnetCidrReservations.All() {
			list = append(list, fmt.Sprintf("%s %s %s", r.ReservationType, r.Cidr, r.Description))
		}
		if m = is; strings.Join(list, "; ") != step.is || strings.Join(changes, "; ") != step.changes {
			t.Errorf("%s:\n%q\n%q", step.list, list, changes)
		}
	}
	// What asks for no address gets one outside, in the first converge already.
	m, _ = mustConverge(t, parseText(t, strings.Replace(with("{cidr_block: 10.0.1.0/29}"), "internet_hosts:\n", "  auto: {subnet: private}\ninternet_hosts:\n", 1)), nil, Options{})
	for id, i := range m.Instances.All() {
		if i.Name() == "auto" && m.InstanceInterfaces(id)[0].Primary().String() != "10.0.1.8" {
			t.Error(m.InstanceInterfaces(id)[0].Primary())
		}
	}
	for list, why := range map[string]string{"{cidr_block: 10.0.2.0/28}": "outside", "{cidr_block: 10.0.0.0/23}": "outside", "{cidr_block: 10.0.1.0/28}, {cidr_block: 10.0.1.8/29}": "overlaps 10.0.1.0/28", "{reservation_type: prefix}": "cidr_block is missing"} {
		if _, err := Parse("full.yaml", []byte(with(list))); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", list, err)
		}
	}
}

// An instance that may not be stopped is stopped before, and once it may.
func TestChange_StopProtection(t *testing.T) {
	with := func(keys string) *File {
		return parseText(t, edited(t, "    secondary_private_ips: [10.0.1.11]\n", "    secondary_private_ips: [10.0.1.11]\n"+keys))
	}
	m, _ := mustConverge(t, with("    disable_api_stop: true\n    state: stopped\n"), nil, Options{})
	for _, step := range []struct{ keys, changes string }{
		{"    disable_api_stop: true\n", "start instance db"},
		{"    state: stopped\n", "update instance db: disable_api_stop; stop instance db"},
		{"", "start instance db"},
		{"    disable_api_stop: true\n    state: stopped\n", "stop instance db; update instance db: disable_api_stop"},
		{"    disable_api_stop: true\n", "start instance db"},
	} {
		is, changes := mustConverge(t, with(step.keys), &m, Options{})
		if m = is; strings.Join(changes, "; ") != step.changes {
			t.Errorf("%q: %q", step.keys, changes)
		}
	}
	if _, _, _, err := with("    disable_api_stop: true\n    state: stopped\n").Converge(&m, now, Options{}); err == nil || !strings.Contains(err.Error(), "disableApiStop") {
		t.Errorf("a running one is stopped: %v", err)
	}
}

// The file takes an address from a NAT gateway; another one, which a call has draining, goes on draining (NA-17).
func TestDrift_OneAddressGoesAndAnotherDrains(t *testing.T) {
	with := func(list string) *File {
		return parseText(t, "version: 1\nname: full\nvpcs: {v: {cidr_block: 10.0.0.0/16}}\nsubnets: {s: {vpc: v, cidr_block: 10.0.1.0/24}}\n"+
			"nat_gateways: {n: {subnet: s, connectivity_type: private, private_ip: 10.0.1.10, secondary_private_ips: ["+list+"]}}\n")
	}
	m, _ := mustConverge(t, with("10.0.1.20, 10.0.1.30"), nil, Options{})
	tx := vpc.Begin(&m, vpc.Call{Now: now, NewID: vpc.RandomID})
	for id := range tx.NatGateways.All() {
		if _, err := tx.Run("UnassignPrivateNatGatewayAddress", &vpc.UnassignPrivateNatGatewayAddressInput{NatGatewayId: id, PrivateIpAddresses: []string{"10.0.1.20"}}); err != nil {
			t.Fatal(err)
		}
	}
	m, _ = mustConverge(t, with(""), &tx.Model, Options{})
	for _, g := range m.NatGateways.All() {
		if len(g.Addresses) != 2 || g.Addresses[1].PrivateIp.String() != "10.0.1.20" || !g.Addresses[1].Draining() {
			t.Errorf("%+v", g.Addresses)
		}
	}
}
