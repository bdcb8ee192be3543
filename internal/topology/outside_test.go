package topology

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

func TestOutsideKeysThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"join_hosts: true":                                       "1: join_hosts: only with `join: true`",
		"internet: {uplink_allow: [10.0.0.0/8]}":                 "1: internet.uplink_allow: only with `uplink: host` or `join: true`",
		"internet: {uplink: wifi}":                               "uplink",
		"internet: {uplink: host, uplink_allow: [fe80::/10]}":    "IPv4",
		"join: true\ninternet: {uplink_allow: [203.0.113.7/32]}": "2: internet.uplink_allow: 203.0.113.7/32 overlaps the lab's own public pool 203.0.113.0/24",
		"join: true\ninternet_hosts: {host: {}}":                 "2: internet host host: has the name of this machine",
		"join: true\ninstances: {host: {}}":                      "2: instance host: has the name of this machine",
	} {
		_, err := Parse("lab.yaml", []byte(text+"\nversion: 1\nname: lab\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"instances: {host: {}}", "join: true\njoin_hosts: true\ninternet: {uplink: host, uplink_allow: [10.0.0.0/8]}",
		"join: true\ninternet: {uplink_allow: [10.0.0.1/32]}", "checks: [host reaches internet on icmp]"} {
		if _, err := Parse("lab.yaml", []byte(text+"\nversion: 1\nname: lab\n")); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// outsideOf converges a model to a file and tells what is said of the link.
func outsideOf(t *testing.T, m *vpc.Model, text string, opt Options) (vpc.Model, []string) {
	t.Helper()
	f, err := Parse("lab.yaml", []byte(text+"\nversion: 1\nname: lab\ninternet_hosts: {far: {address: 198.51.100.254}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	out, changes, _, err := f.Converge(m, time.Unix(0, 0), opt)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, c := range changes {
		if c.Kind == "link to this machine" {
			list = append(list, c.String())
		}
	}
	return out, list
}

func TestOutsideConverges(t *testing.T) {
	m := new(vpc.Model)
	for _, step := range []struct {
		text string
		opt  Options
		want string
	}{
		{"", Options{}, ""},
		{"", Options{Join: true}, "create link to this machine host: join as 198.51.100.253"},
		{"join: true", Options{}, ""}, // the same by other means
		{"join: true", Options{Hosts: true}, "update link to this machine host: join as 198.51.100.253; names in its hosts file"},
		{"join: true\njoin_hosts: true", Options{}, ""},
		{"join: true\ninternet: {uplink: host, uplink_allow: [10.0.0.0/8, 172.16.0.0/12]}", Options{},
			"update link to this machine host: join as 198.51.100.253; uplink; allow 10.0.0.0/8, 172.16.0.0/12"},
		{"internet: {uplink: host}", Options{}, "update link to this machine host: uplink"},
		{"", Options{}, "delete link to this machine host"},
		{"", Options{Hosts: true}, "create link to this machine host: join as 198.51.100.253; names in its hosts file"},
	} {
		out, said := outsideOf(t, m, step.text, step.opt)
		if got := strings.Join(said, "; "); got != step.want {
			t.Errorf("%q %+v: %q, want %q", step.text, step.opt, got, step.want)
		}
		for _, err := range out.Check() {
			t.Error(err)
		}
		m = &out
	}
	if !m.Outside.Join || !m.Outside.Hosts || m.Outside.Address != netip.MustParseAddr("198.51.100.253") {
		t.Errorf("%+v", m.Outside)
	}
	f, err := Parse("lab.yaml", []byte("version: 1\nname: lab\ninstances: {host: {}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := f.Converge(nil, time.Unix(0, 0), Options{Join: true}); err == nil || !strings.Contains(err.Error(), "instance host: has the name of this machine") {
		t.Errorf("--join with an instance named host: %v", err)
	}
}
