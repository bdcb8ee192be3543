// Package internal_test holds what concerns all packages together.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/vpcemu/vpcemu/"

// layers orders the packages: a package imports only from layers below its own
// (docs/architecture.md). Those of one layer do not import one another, but for
// the pairs in friends.
var layers = [][]string{
	{"internal/flowlog/record", "internal/impair"},
	{"internal/vpc", "internal/packet", "internal/guest/wire", "internal/ntp", "topologies", "internal/slab", "internal/tun", "internal/cgroup", "internal/transfer"},
	{"internal/cloudconfig"},
	{"filter", "nat", "internal/conntrack", "dhcp", "dhcp/client", "internal/guest/unit", "internal/guest/disk", "internal/topology", "internal/store", "internal/control", "internal/awscli", "internal/endpoint", "internal/probe", "internal/dns", "internal/imds", "internal/ec2api", "internal/ec2api/gen", "internal/ssm"},
	{"dataplane", "internal/guest", "internal/check", "internal/importer", "internal/hcl"},
	{"internal/flowlog", "internal/ec2api/apitest"},
	{"internal/compile", "internal/host", "internal/hostlink", "internal/explain", "internal/reasons", "cmd/vpcemu/guest", "internal/capture"},
	{"internal/matrix", "internal/graph"},
	{"internal/daemon"},
	{"cmd/vpcemu"},
	{"internal/bench/traffic", "internal/bench/forward", "internal/bench/ruleset", "internal/bench/report"},
	{"internal/bench"},
}

// friends are imports within a layer that are as intended.
var friends = map[string][]string{
	"internal/conntrack": {"internal/conntrack/tcpstate"},
	"nat":                {"internal/conntrack/tcpstate"},
}

// only says which packages may import a module of the outside.
var only = map[string][]string{
	"github.com/songgao/water":             {"internal/tun", "internal/bench/forward"},
	"github.com/vishvananda/netlink":       {"internal/host", "internal/hostlink", "internal/guest", "internal/bench"},
	"github.com/google/nftables":           {"internal/hostlink"},
	"github.com/google/gopacket":           {"internal/bench/forward"}, // else tests alone
	"github.com/spf13/cobra":               {"cmd/vpcemu"},
	"github.com/jmespath/go-jmespath":      {"internal/awscli"},
	"go.etcd.io/bbolt":                     {"internal/store"},
	"github.com/miekg/dns":                 {"internal/dns"},
	"github.com/smallstep/pkcs7":           {"internal/imds"},
	"github.com/insomniacslk/dhcp":         {"dhcp", "dhcp/client"},
	"github.com/gaissmai/bart":             {"dataplane", "filter"},
	module + "internal/vpc":                {"internal/dns", "internal/endpoint", "internal/explain", "internal/topology", "internal/compile", "internal/store", "internal/control", "internal/daemon", "internal/awscli", "cmd/vpcemu", "internal/bench", "internal/bench/ruleset", "internal/graph", "internal/check", "internal/explain/labtest", "internal/matrix", "internal/imds", "internal/ec2api", "internal/ec2api/gen", "internal/ec2api/apitest", "internal/hcl", "internal/importer", "internal/ec2api/sdktest", "internal/ssm"},
	module + "dataplane":                   {"cmd/vpcemu", "internal/compile", "internal/daemon", "internal/explain", "internal/reasons", "dataplane/porttest", "internal/flowlog", "internal/capture", "internal/explain/labtest", "internal/matrix"},
	module + "internal/topology":           {"internal/importer", "internal/daemon", "cmd/vpcemu", "internal/bench", "internal/explain/labtest"},
	module + "internal/conntrack/tcpstate": {"internal/conntrack", "nat"},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T, args ...string) []pkg {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func layerOf(path string) int {
	for i, l := range layers {
		if slices.Contains(l, path) {
			return i
		}
	}
	return -1
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t, module+"...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		layer := layerOf(name)
		for _, imp := range p.Imports {
			for of, allowed := range only {
				if (imp == of || strings.HasPrefix(imp, of+"/")) && !slices.Contains(allowed, name) && name != strings.TrimPrefix(of, module) {
					t.Errorf("%s imports %s, which only %v may", name, imp, allowed)
				}
			}
			dep, own := strings.CutPrefix(imp, module)
			if !own || layer < 0 {
				continue
			}
			if below := layerOf(dep); below >= layer && !slices.Contains(friends[name], dep) {
				t.Errorf("%s (layer %d) imports %s (layer %d)", name, layer, dep, below)
			}
		}
	}
}

// Every exec of the guest program pays for what is linked into it.
func TestGuestIsLean(t *testing.T) {
	for _, p := range packages(t, module+"cmd/vpcemu/guest") {
		for _, dep := range p.Deps {
			for _, heavy := range []string{"github.com/google/gopacket", module + "dataplane", "net/http", "encoding/xml", "github.com/spf13/cobra"} {
				if dep == heavy || strings.HasPrefix(dep, heavy+"/") {
					t.Errorf("the guest program links %s", dep)
				}
			}
		}
	}
}
