package hcl_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/ec2api/apitest"
	"github.com/vpcemu/vpcemu/internal/hcl"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/topologies"
)

// Terraform makes of a lab's configuration the same lab, as far as Terraform can say, and finds nothing to do then.
func TestTerraform_Circle(t *testing.T) {
	tf := findTerraform(t)
	for name, text := range labs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // the provider waits more than it works
			was := labOf(t, name, text)
			configuration, _ := hcl.Lab(&was, "")
			b := apitest.New(t)
			w := tf.workspace(t, configuration, b.Serve(t))
			w.formatted()
			w.run("apply", "-auto-approve")
			if out, status := w.command("plan", "-no-color", "-input=false", "-detailed-exitcode"); status != 0 {
				t.Errorf("a plan after apply is not empty (exit status %d):\n%s\n%s", status, out, configuration)
			}
			is := b.Model()
			is = is.In(was.Region)
			was = was.In(was.Region)
			made := portrait(&is)
			if was.DefaultVpc() == nil { // Terraform takes none away
				made = slices.DeleteFunc(made, func(line string) bool { return strings.Contains(line, "172.31.") })
			}
			if d := gocmp.Diff(portrait(&was), made); d != "" {
				t.Errorf("the lab that was exported, and the one that Terraform makes (-was +is):\n%s\n%s", d, configuration)
			}
			// The provider takes two and a half minutes to see that an interface is detached
			// (hashicorp/terraform-provider-aws issue 45835).
			if os.Getenv("VPCEMU_TEST_FULL") != "" {
				w.run("destroy", "-auto-approve")
			}
		})
	}
}

// labs are a topology with everything, and with `scripts/test.sh --full` all that there are.
func labs(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"everything": everything}
	if os.Getenv("VPCEMU_TEST_FULL") == "" {
		return all
	}
	all["default VPC"] = changedDefault
	for _, name := range topologies.Names() {
		b, err := topologies.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	return all
}

// everything has what the topologies that come with vpcemu do not have.
const everything = `version: 1
name: lab
region: eu-west-1
vpcs:
  main:
    cidr_block: 10.0.0.0/16
    secondary_cidr_blocks: [10.1.0.0/16]
    enable_dns_hostnames: true
    dhcp_options: own
    tags: {quote: 'a "b" ${c} %{d} \ e'}
    main_route_table: {routes: [{cidr_block: 192.168.0.0/24, network_interface: router}]}
    default_network_acl:
      ingress: [{rule_no: 50, action: deny, protocol: tcp, port: ssh, cidr_block: 192.0.2.0/24}, {rule_no: 100, action: allow, protocol: all, cidr_block: 0.0.0.0/0}]
    default_security_group: {ingress: [{port: https, cidr_blocks: [10.0.0.0/8]}]}
dhcp_options: {own: {domain_name: lab.example, domain_name_servers: [AmazonProvidedDNS], ntp_servers: [169.254.169.123], ipv6_address_preferred_lease_time: 600}}
subnets:
  a: {vpc: main, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true, cidr_reservations: [{cidr_block: 10.0.0.128/26, reservation_type: prefix, description: pods}]}
  b: {vpc: main, cidr_block: 10.1.0.0/24, availability_zone: eu-west-1b, private_dns_hostname_type_on_launch: resource-name}
internet_gateways: {gw: {vpc: main}, loose: {}}
elastic_ips: {nat: {}, nat-more: {}, web: {instance: web}, second: {network_interface: router}, free: {tags: {for: later}}}
nat_gateways:
  out: {subnet: a, elastic_ip: nat, secondary_elastic_ips: [nat-more], secondary_private_ips: [10.0.0.77]}
  inside: {subnet: b, connectivity_type: private, secondary_private_ips: [10.1.0.70, 10.1.0.71]}
route_tables:
  public: {vpc: main, subnets: [a], routes: [{cidr_block: 0.0.0.0/0, gateway: gw}]}
  private: {vpc: main, subnets: [b], routes: [{cidr_block: 0.0.0.0/0, nat_gateway: out}, {cidr_block: 192.168.1.0/24, instance: web}]}
  edge: {vpc: main, gateway: gw}
security_groups:
  one: {vpc: main, description: first, ingress: [{port: ssh, security_groups: [two]}, {protocol: icmp, icmp_type: 8, cidr_blocks: [0.0.0.0/0]}, {protocol: all, self: true}]}
  two: {vpc: main, group_name: The second (2), description: second, ingress: [{protocol: udp, port: 53, security_groups: [one], description: 'what is asked (${x})'}, {protocol: "47", cidr_blocks: [10.0.0.0/8]}], egress: []}
network_acls:
  tight:
    vpc: main
    subnets: [b]
    ingress: [{rule_no: 10, action: allow, protocol: icmp, cidr_block: 10.0.0.0/16}, {rule_no: 20, action: allow, protocol: tcp, ports: 1024-65535, cidr_block: 0.0.0.0/0}]
    egress: [{rule_no: 10, action: allow, protocol: all, cidr_block: 0.0.0.0/0}]
key_pairs: {k: {}}
network_interfaces: {router: {subnet: a, attachment: {instance: db, device_index: 1}, private_ips: [10.0.0.50, 10.0.0.51], security_groups: [one], source_dest_check: false}}
instances:
  web: {subnet: a, private_ip: 10.0.0.10, secondary_private_ips: [10.0.0.11], security_groups: [one, default], key_name: k, source_dest_check: false, disable_api_termination: false, user_data: "#!/bin/sh\necho ${HOME} %{x} \"y\" \\\n"}
  db: {subnet: a, associate_public_ip_address: false, state: stopped, metadata_options: {http_tokens: required, http_put_response_hop_limit: 2}, user_data_base64: H4sIAAAAAAAAAwMAAAAAAAAAAAA=}
  inner: {subnet: b, tags: {role: worker}}
flow_logs: {all: {vpc: main, max_aggregation_interval: 60}, one: {subnet: a, traffic_type: REJECT, log_destination_type: s3, log_destination: 'arn:aws:s3:::logs'}}
`

// changedDefault has its default VPC otherwise than AWS makes it.
const changedDefault = `version: 1
name: lab
subnets: {own: {vpc: default, cidr_block: 172.31.200.0/24}}
route_tables: {own: {subnets: [own, default-us-east-1b], routes: [{cidr_block: 0.0.0.0/0, gateway: default}]}}
elastic_ips: {fixed: {instance: one}}
instances: {one: {associate_public_ip_address: false}, two: {subnet: own, security_groups: [default]}}
flow_logs: {one: {instance: one}}
`

// labOf is a lab that was brought up, whose instances run.
func labOf(t *testing.T, name, text string) vpc.Model {
	t.Helper()
	f, err := topology.Parse(name+".yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m, _, _, err := f.Converge(nil, time.Now(), topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tx := vpc.Begin(&m, vpc.Call{Now: time.Now(), NewID: vpc.RandomID})
	for id, i := range m.Instances.All() {
		switch i.State {
		case vpc.StatePending:
			tx.InstanceRunning(id)
		case vpc.StateStopping:
			tx.InstanceStopped(id, "")
		}
	}
	return tx.Model
}

// terraform is the program and where its provider is.
type terraform struct{ program, provider string }

func findTerraform(t *testing.T) terraform {
	t.Helper()
	program, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("terraform is not on this machine: exported configurations are not applied")
	}
	for _, root := range []string{os.Getenv("TF_PROVIDERS"), "/opt/tf-plugins", "/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins", filepath.Join(os.Getenv("HOME"), ".terraform.d/plugins")} {
		found, _ := filepath.Glob(filepath.Join(root, "registry.terraform.io/hashicorp/aws/*/linux_*"))
		if root != "" && len(found) > 0 {
			return terraform{program, found[len(found)-1]}
		}
	}
	t.Skip("terraform's AWS provider is not on this machine: exported configurations are not applied")
	return terraform{}
}

type workspace struct {
	t             *testing.T
	tf            terraform
	dir, endpoint string
}

func (tf terraform) workspace(t *testing.T, configuration []byte, endpoint string) *workspace {
	t.Helper()
	w := &workspace{t: t, tf: tf, dir: t.TempDir(), endpoint: endpoint}
	// The provider is used as it is, without the copy of some 700 MB that init makes.
	override := fmt.Appendf(nil, "provider_installation {\n  dev_overrides { \"hashicorp/aws\" = %q }\n  direct {}\n}\n", tf.provider)
	for file, content := range map[string][]byte{"main.tf": configuration, "terraformrc": override} {
		if err := os.WriteFile(filepath.Join(w.dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// command runs terraform with the endpoint and nothing else of AWS's in its environment.
func (w *workspace) command(args ...string) (string, int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.tf.program, args...)
	cmd.Dir = w.dir
	cmd.Env = []string{"HOME=" + w.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + w.dir, "TF_CLI_CONFIG_FILE=" + filepath.Join(w.dir, "terraformrc"), "TF_IN_AUTOMATION=1",
		"CHECKPOINT_DISABLE=1", "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL=" + w.endpoint, "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any"}
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

func (w *workspace) run(args ...string) {
	w.t.Helper()
	if out, status := w.command(slices.Concat(args[:1], []string{"-no-color", "-input=false"}, args[1:])...); status != 0 {
		text, _ := os.ReadFile(filepath.Join(w.dir, "main.tf"))
		w.t.Fatalf("terraform %s: exit status %d\n%s\n%s", strings.Join(args, " "), status, out, text)
	}
}

func (w *workspace) formatted() {
	w.t.Helper()
	if out, status := w.command("fmt", "-check", "-diff", "-no-color"); status != 0 {
		w.t.Errorf("terraform fmt finds something to do:\n%s", out)
	}
}

// portrait is what Terraform can say of a lab, without IDs: an oracle that knows nothing of configurations.
func portrait(m *vpc.Model) (p []string) {
	add := func(format string, a ...any) { p = append(p, fmt.Sprintf(format, a...)) }
	vpcOf := func(id vpc.VpcID) string {
		if v := m.Vpcs.Get(id); v != nil {
			return v.CidrBlock.String()
		}
		return "none"
	}
	subnetOf := func(id vpc.SubnetID) string {
		if s := m.Subnets.Get(id); s != nil {
			return vpcOf(s.VpcID) + " " + s.CidrBlock.String()
		}
		return "none"
	}
	nicOf := func(id vpc.NetworkInterfaceID) string {
		n := m.NetworkInterfaces.Get(id)
		if n == nil {
			return "none"
		}
		if n.Attachment != nil {
			if i := m.Instances.Get(n.Attachment.InstanceID); i != nil {
				return fmt.Sprint(i.Name(), n.Attachment.DeviceIndex)
			}
		}
		return n.Name()
	}
	groups := func(ids []vpc.SecurityGroupID) (names []string) {
		for _, id := range ids {
			names = append(names, m.SecurityGroups.Get(id).GroupName)
		}
		slices.Sort(names)
		return names
	}
	rules := func(list []vpc.SecurityGroupRule) string {
		var out []string
		for _, r := range list {
			peer := fmt.Sprint(r.CidrIpv4, r.CidrIpv6)
			if g := m.SecurityGroups.Get(r.GroupID); g != nil {
				peer = g.GroupName
			}
			out = append(out, fmt.Sprint(r.IpProtocol, " ", r.FromPort, r.ToPort, peer, r.Description))
		}
		slices.Sort(out)
		return strings.Join(out, "; ")
	}
	for id, v := range m.Vpcs.All() {
		var cidrs []string
		for _, c := range v.Cidrs {
			cidrs = append(cidrs, c.CidrBlock.String())
		}
		add("vpc %s %v %v %v %v %v", vpcOf(id), cidrs, v.EnableDnsSupport, v.EnableDnsHostnames, v.IsDefault, v.Tags)
		if o := m.DhcpOptions.Get(v.DhcpOptionsID); o != nil {
			add("dhcp of %s %s %v %v %v", vpcOf(id), o.DomainName, o.DomainNameServers, o.NtpServers, o.Tags)
		}
	}
	for id, s := range m.Subnets.All() {
		add("subnet %s %s %v %s %v %v", subnetOf(id), s.AvailabilityZone, s.MapPublicIpOnLaunch, s.PrivateDnsHostnameType, s.EnableResourceNameDnsARecord, s.Tags)
		var entries []string
		for _, e := range m.NetworkAcls.Get(s.NetworkAclID).Entries {
			entries = append(entries, fmt.Sprint(e.RuleNumber, e.Egress, " ", e.Protocol, e.RuleAction, e.CidrBlock, e.FromPort, e.ToPort, e.IcmpType, e.IcmpCode))
		}
		slices.Sort(entries)
		add("acl of %s %q", subnetOf(id), entries)
	}
	for _, g := range m.InternetGateways.All() {
		add("igw of %s %v", vpcOf(g.VpcID), g.Tags)
	}
	for _, t := range m.RouteTables.All() {
		var to, routes []string
		for _, a := range t.Associations {
			to = append(to, fmt.Sprint(a.Main, subnetOf(a.SubnetID), a.GatewayID != ""))
		}
		for _, r := range t.Routes {
			routes = append(routes, fmt.Sprint(r.DestinationCidrBlock, r.Local, r.GatewayID != "", r.NatGatewayID != "", nicOf(r.NetworkInterfaceID), m.RouteState(r)))
		}
		slices.Sort(to)
		slices.Sort(routes)
		add("routes of %s for %v: %v %v", vpcOf(t.VpcID), to, routes, t.Tags)
	}
	for _, n := range m.NatGateways.All() {
		var addresses []string
		for _, a := range n.Addresses {
			addresses = append(addresses, a.PrivateIp.String())
		}
		slices.Sort(addresses[1:])
		add("nat %s %s %s %v %v", n.ConnectivityType, n.State, subnetOf(n.SubnetID), addresses, n.Tags)
	}
	for _, r := range m.SubnetCidrReservations.All() {
		add("reservation %s %s %q", r.ReservationType, r.Cidr, r.Description)
	}
	for _, a := range m.Addresses.All() {
		add("eip at %v %v %v", nicOf(a.NetworkInterfaceID), a.PrivateIp, a.Tags)
	}
	for _, g := range m.SecurityGroups.All() {
		add("group %s %s %q %v in %s out %s", g.GroupName, vpcOf(g.VpcID), g.Description, g.Tags, rules(g.Ingress), rules(g.Egress))
	}
	for id, n := range m.NetworkInterfaces.All() {
		if n.InterfaceType == "interface" {
			add("eni %s %s %v %v %v %v %v", nicOf(id), subnetOf(n.SubnetID), n.PrivateIps[0].PrivateIp, len(n.PrivateIps), groups(n.Groups), n.SourceDestCheck, n.MapPublic)
		}
	}
	for id, i := range m.Instances.All() {
		add("instance %s %s %s %s key %s data %q %v %v", i.Name(), m.InstanceInterfaces(id)[0].Primary(), i.InstanceType, i.State, i.KeyName, i.UserData, i.Tags, i.Metadata())
	}
	for _, k := range m.KeyPairs.All() {
		add("key %s %s", k.KeyName, k.PublicKey)
	}
	for _, f := range m.FlowLogs.All() {
		add("flow log %s %s %d %s %s %v", f.TrafficType, f.LogFormat, f.MaxAggregationInterval, f.LogDestinationType, cmp.Or(f.LogGroupName, f.LogDestination), f.Tags)
	}
	slices.Sort(p)
	return p
}
