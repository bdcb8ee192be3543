package matrix

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain/labtest"
)

func fill(t testing.TB, l *labtest.Lab, req control.MatrixRequest) *control.Matrix {
	t.Helper()
	x, err := Make(&l.Model, l.Engine.Tracer, req)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// cell finds what one end reaches of another, by name.
func cell(t testing.TB, x *control.Matrix, from, to string) control.MatrixCell {
	t.Helper()
	for i := range x.From {
		for k := range x.To {
			if x.From[i].Name == from && x.To[k].Name == to {
				return x.Cells[i][k]
			}
		}
	}
	t.Fatalf("no cell for %s and %s", from, to)
	return control.MatrixCell{}
}

func TestBookMatrix(t *testing.T) {
	x := fill(t, labtest.Embedded(t, "book"), control.MatrixRequest{})
	for _, c := range []struct{ from, to, want string }{
		{"laptop", "web", "tcp 22,80"}, {"internet", "web", "tcp 22,80"}, {"web", "db", "tcp all; udp all; icmp"}, {"db", "web", "tcp all; udp all; icmp"},
		{"laptop", "db", "-"}, {"db", "server", "tcp all; udp all; icmp"}, {"db", "internet", "tcp all; udp all; icmp"}, {"web", "web", "-"}, {"laptop", "server", "tcp all; udp all; icmp"},
	} {
		if got := cell(t, x, c.from, c.to).Summary(); got != c.want {
			t.Errorf("%s to %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
	got := strings.Join(cell(t, x, "laptop", "web").Reasons(), "\n")
	if want := "tcp 1-21,23-79,81-65535; udp all; icmp: ENI_SG_RULES_MISMATCH"; got != want {
		t.Errorf("reasons:\n%s", got)
	}
	if !cell(t, x, "web", "web").Self {
		t.Error("web is not itself")
	}
}

func TestAnswersThatDoNotComeBackAreToldApart_AC06(t *testing.T) {
	x := fill(t, labtest.Embedded(t, "acl-ephemeral"), control.MatrixRequest{Ports: []string{"tcp/22", "tcp/23"}})
	c := cell(t, x, "laptop", "web")
	if got := strings.Join(c.Reasons(), "; "); got != "tcp 22: SUBNET_ACL_RESTRICTION (the answer); tcp 23: SUBNET_ACL_RESTRICTION" {
		t.Error(got)
	}
}

func TestMatrixOfWhatIsAsked(t *testing.T) {
	l := labtest.Embedded(t, "three-tier")
	x := fill(t, l, control.MatrixRequest{From: []string{"internet", "web-a"}, To: []string{"app-a", "db"}, Ports: []string{"tcp/8080", "icmp", "tcp/22", "udp/53"}})
	if len(x.From) != 2 || len(x.To) != 3 || x.From[0].Name != "web-a" || x.From[1].Name != "internet" {
		t.Fatalf("%+v, %+v", x.From, x.To)
	}
	c := cell(t, x, "web-a", "app-a")
	if len(c.Spans) != 4 || c.Spans[0].From != 22 || c.Spans[3].Protocol != "icmp" || c.Summary() != "tcp 8080" {
		t.Errorf("%+v", c.Spans)
	}
	x = fill(t, l, control.MatrixRequest{From: []string{"web-a"}, To: []string{"app-a"}, Protocol: "udp"})
	if c := cell(t, x, "web-a", "app-a"); len(c.Spans) != 1 || c.Spans[0].Ports() != "all" || c.Spans[0].Protocol != "udp" {
		t.Errorf("%+v", c.Spans)
	}
}

func TestStoppedInstancesSendNothing(t *testing.T) {
	l := labtest.Embedded(t, "three-tier")
	l.EC2("stop-instances --instance-ids app-a")
	x := fill(t, l, control.MatrixRequest{From: []string{"app-a", "app-c"}, To: []string{"app-a", "db-a"}})
	if !strings.Contains(x.From[0].Note, "app-a is stopped") || x.Cells[0][1].Spans != nil || x.From[1].Note != "" {
		t.Errorf("%+v: %+v", x.From[0], x.Cells[0])
	}
	if c := cell(t, x, "app-c", "app-a"); c.Summary() != "-" {
		t.Errorf("%+v", c)
	}
}

func TestWhatIsNoRequest(t *testing.T) {
	l := labtest.Embedded(t, "book")
	for _, c := range []struct {
		req  control.MatrixRequest
		want string
	}{
		{control.MatrixRequest{From: []string{"wob"}}, "wob: nothing in the lab has this name"},
		{control.MatrixRequest{To: []string{"igw"}}, "igw has no network interface"},
		{control.MatrixRequest{To: []string{"web", "nat"}}, "nat has no network interface that could send or get packets: name"},
		{control.MatrixRequest{Ports: []string{"tcp"}}, `"tcp": use tcp/PORT, udp/PORT or icmp`},
		{control.MatrixRequest{Ports: []string{"47/1"}}, `"47/1": use`},
		{control.MatrixRequest{Ports: []string{"tcp/65536"}}, `"tcp/65536": use`},
		{control.MatrixRequest{Protocol: "gre"}, `protocol "gre"`},
		{control.MatrixRequest{Protocol: "udp", Ports: []string{"tcp/22"}}, "none of the ports tcp/22"},
	} {
		if _, err := Make(&l.Model, l.Engine.Tracer, c.req); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.req, err, c.want)
		}
	}
}

// wide is a VPC with so many instances in ten subnets, each tier with groups of its own.
func wide(instances int) string {
	var b strings.Builder
	b.WriteString("default_vpc: false\nvpcs: {main: {cidr_block: 10.0.0.0/16}}\ninternet_gateways: {igw: {vpc: main}}\nsubnets:\n")
	for i := range 10 {
		fmt.Fprintf(&b, "  s%d: {vpc: main, cidr_block: 10.0.%d.0/24, map_public_ip_on_launch: %v}\n", i, i, i < 3)
	}
	b.WriteString("elastic_ips: {nat: {}}\nnat_gateways: {nat: {subnet: s0, elastic_ip: nat}}\nroute_tables:\n" +
		"  public: {vpc: main, subnets: [s0, s1, s2], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}\n" +
		"  private: {vpc: main, subnets: [s3, s4, s5, s6, s7, s8, s9], routes: [{cidr_block: 0.0.0.0/0, nat_gateway: nat}]}\n" +
		"network_acls:\n  acl: {vpc: main, subnets: [s3, s4], ingress: [{rule_no: 100, action: deny, port: 23, cidr_block: 0.0.0.0/0}, {rule_no: 200, action: allow, protocol: all, cidr_block: 0.0.0.0/0}]," +
		" egress: [{rule_no: 100, action: allow, protocol: tcp, ports: 1024-65535, cidr_block: 0.0.0.0/0}]}\nsecurity_groups:\n")
	for i := range 10 {
		fmt.Fprintf(&b, "  g%d: {vpc: main, ingress: [{port: %d, cidr_blocks: [0.0.0.0/0]}, {ports: %d-%d, cidr_blocks: [10.0.0.0/16]}, {port: 22, security_groups: [g%d]}]}\n", i, 80+i, 8000+i, 8100+i, (i+1)%10)
	}
	b.WriteString("instances:\n")
	for i := range instances {
		fmt.Fprintf(&b, "  i%d: {subnet: s%d, security_groups: [g%d]}\n", i, i%10, i/10%10)
	}
	b.WriteString("internet_hosts: {laptop: {}}\n")
	return b.String()
}

func BenchmarkMatrixOf100Instances(b *testing.B) {
	l := labtest.New(b, wide(100))
	var x *control.Matrix
	for b.Loop() {
		x = fill(b, l, control.MatrixRequest{})
	}
	spans := 0
	for _, row := range x.Cells {
		for _, c := range row {
			spans += len(c.Spans)
		}
	}
	b.ReportMetric(float64(len(x.From)*len(x.To)), "cells")
	b.ReportMetric(float64(spans), "spans")
}
