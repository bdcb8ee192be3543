package ruleset

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

var update = flag.Bool("update", false, "write testdata/*.nft")

func model(t *testing.T, text string) *vpc.Model {
	t.Helper()
	f, err := topology.Parse("lab.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m, _, _, err := f.Converge(nil, time.Unix(0, 0), topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

// TestGolden compares the rules of a lab that has something of everything; run with -update to write them, and read what you commit.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Of(model(t, string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/all.nft", []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/all.nft")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// two are two instances with room for more.
const two = `version: 1
name: two
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets:
  a: {vpc: main, cidr_block: 10.0.1.0/24}
  b: {vpc: main, cidr_block: 10.0.2.0/24}
instances:
  a: {subnet: a, private_ip: 10.0.1.10}
  b: {subnet: b, private_ip: 10.0.2.10}
`

func TestOpenACLsCostNothing(t *testing.T) {
	got, err := Of(model(t, two))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, "acl") {
		t.Errorf("a chain for an ACL that allows everything:\n%s", got)
	}
	if early := strings.Index(got, "ct state established"); early < 0 || early > strings.Index(got, "vmap") {
		t.Errorf("what is established is not let pass first:\n%s", got)
	}
}

func TestWhatHasNoCounterpartIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"an instance as a router": two + `
route_tables:
  b: {vpc: main, subnets: [b], routes: [{cidr_block: 0.0.0.0/0, instance: a}]}
`,
		"two instances in a subnet": two + "  c: {subnet: b}\n",
	} {
		if got, err := Of(model(t, text)); err == nil {
			t.Errorf("%s: no error, but\n%s", name, got)
		}
	}
}

func TestLinks(t *testing.T) {
	got, err := Links(model(t, two+"internet_hosts: {server: {address: 198.51.100.10}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, l := range got {
		text = append(text, l.Name+" "+l.Addr.String()+" by "+l.Router.String())
	}
	if want := "a 10.0.1.10/24 by 10.0.1.1, b 10.0.2.10/24 by 10.0.2.1, server 198.51.100.10/24 by 198.51.100.1"; strings.Join(text, ", ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(text, ", "), want)
	}
	if got[0].MTU() != 9001 || got[2].MTU() != 1500 {
		t.Errorf("MTU %d inside, %d outside", got[0].MTU(), got[2].MTU())
	}
}
