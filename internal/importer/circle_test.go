package importer

import (
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/topologies"
)

var update = flag.Bool("update", false, "write the golden files anew")

// dump is what `aws ec2 describe-…` would print of a model, a source for each call.
func dump(t *testing.T, m vpc.Model) (sources []Source) {
	t.Helper()
	tx := vpc.Begin(&m, vpc.Call{Now: time.Now(), NewID: vpc.RandomID})
	run := func(action string, in any) {
		if in == nil {
			a, ok := vpc.LookupAction(action)
			if !ok {
				t.Fatalf("no action %s", action)
			}
			in = reflect.New(a.Input).Interface()
		}
		out, err := tx.Run(action, in)
		if err != nil {
			t.Fatalf("%s: %v", action, err)
		}
		b, err := json.MarshalIndent(out, "", "    ")
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, Source{action + ".json", b})
	}
	for _, action := range []string{"DescribeVpcs", "DescribeSubnets", "DescribeRouteTables", "DescribeInternetGateways", "DescribeNatGateways", "DescribeAddresses",
		"DescribeSecurityGroups", "DescribeSecurityGroupRules", "DescribeNetworkAcls", "DescribeNetworkInterfaces", "DescribeInstances", "DescribeDhcpOptions",
		"DescribeFlowLogs"} {
		run(action, nil)
	}
	run("DescribeKeyPairs", &vpc.DescribeKeyPairsInput{IncludePublicKey: true})
	for id := range m.Vpcs.All() {
		run("DescribeVpcAttribute", &vpc.DescribeVpcAttributeInput{VpcId: id, Attribute: "enableDnsHostnames"})
		run("DescribeVpcAttribute", &vpc.DescribeVpcAttributeInput{VpcId: id, Attribute: "enableDnsSupport"})
	}
	for id := range m.Subnets.All() {
		run("GetSubnetCidrReservations", &vpc.GetSubnetCidrReservationsInput{SubnetId: id})
	}
	for id, i := range m.Instances.All() {
		if i.State == vpc.StateTerminated {
			continue
		}
		for _, a := range []string{"userData", "disableApiTermination", "disableApiStop", "instanceInitiatedShutdownBehavior"} {
			run("DescribeInstanceAttribute", &vpc.DescribeInstanceAttributeInput{InstanceId: id, Attribute: a})
		}
	}
	return sources
}

// modelOf applies a topology file to an empty model, and lets its instances run.
func modelOf(t *testing.T, f *topology.File) vpc.Model {
	t.Helper()
	m, _, _, err := f.Converge(nil, time.Now(), topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tx := vpc.Begin(&m, vpc.Call{Now: time.Now(), NewID: vpc.RandomID})
	for id, i := range m.Instances.All() {
		if i.State == vpc.StatePending {
			tx.InstanceRunning(id)
		}
	}
	return tx.Model
}

// mustImport imports the sources and applies the file to an empty model.
func mustImport(t *testing.T, sources []Source, opt Options) (*Result, []Source) {
	t.Helper()
	r, err := Import(sources, opt)
	if err != nil {
		t.Fatal(err)
	}
	if r.Invalid != nil {
		t.Fatalf("%v\n%s", r.Invalid, r.Text)
	}
	f, err := topology.Parse(firstOf(opt.Name, DefaultName)+".yaml", r.Text)
	if err != nil {
		t.Fatal(err)
	}
	return r, dump(t, modelOf(t, f))
}

// A lab that is dumped and imported is the same lab.
func TestCircle(t *testing.T) {
	files := map[string][]byte{}
	for _, name := range topologies.Names() {
		text, err := topologies.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
	}
	everything, err := os.ReadFile("testdata/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files["everything"] = everything
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			f, err := topology.Parse(name+".yaml", text)
			if err != nil {
				t.Fatal(err)
			}
			was := dump(t, modelOf(t, f))
			r, is := mustImport(t, was, Options{Name: name})
			if d := cmp.Diff(facts(t, was), facts(t, is)); d != "" {
				t.Errorf("dumped, and imported:\n%s\n%s", d, r.Text)
			}
		})
	}
}

// folder reads the JSON files below testdata.
func folder(t *testing.T, dir string) []Source { t.Helper(); return folderOf(t, dir) }

func folderOf(t testing.TB, dir string) (sources []Source) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("testdata", dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		b, err := os.ReadFile(path)
		sources = append(sources, Source{path, b})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, is []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, is, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(is), "\n")); d != "" {
		t.Errorf("%s (-want +is; go test -update writes it anew):\n%s", name, d)
	}
}

// testdata/lab is what the AWS CLI 1.45.11 printed of the lab that Terraform had made of testdata/terraform, by the script of
// --print-commands.
func TestDumpOfTheCLI(t *testing.T) {
	was := folder(t, "lab")
	r, is := mustImport(t, was, Options{Name: "shop"})
	golden(t, "lab.yaml", r.Text)
	golden(t, "lab.diff", []byte(strings.Join(difference(facts(t, was), facts(t, is)), "\n")+"\n"))
}

// What a call of the dump did not tell, for want of a permission, is said, for the file has something else.
func TestImport_TellsOfCallsThatAreMissing(t *testing.T) {
	all := folder(t, "lab")
	for _, call := range []string{"route-tables", "network-acls", "nat-gateways", "addresses", "instances", "internet-gateways", "vpc-attributes", "instance-attributes", "key-pairs"} {
		rest := slices.DeleteFunc(slices.Clone(all), func(s Source) bool { return filepath.Base(s.Name) == call+".json" })
		if len(rest) == len(all) {
			t.Fatalf("the dump has no %s.json", call)
		}
		r, err := Import(rest, Options{})
		if err != nil {
			t.Errorf("without %s: %v", call, err)
			continue
		}
		said := map[string]string{"vpc-attributes": "describe-vpc-attribute ", "instance-attributes": "describe-instance-attribute "}[call]
		if said == "" {
			said = "describe-" + call
		}
		if !slices.ContainsFunc(r.Notes, func(n Note) bool {
			return strings.Contains(n.String(), said) && strings.Contains(n.String(), "not read")
		}) {
			t.Errorf("without %s no note tells of it: %v", call, r.Notes)
		}
	}
}

func TestTerraform(t *testing.T) {
	for _, name := range []string{"show", "plan"} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile("testdata/terraform/" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			r, is := mustImport(t, []Source{{name + ".json", b}}, Options{Name: "shop"})
			golden(t, name+".yaml", r.Text)
			// The CLI saw the lab that Terraform made: both have to give the same.
			golden(t, name+".diff", []byte(strings.Join(difference(facts(t, folder(t, "lab")), facts(t, is)), "\n")+"\n"))
		})
	}
}

// testdata/account is a dump of an account as they are, written after the outputs in AWS's documentation.
func TestAccount(t *testing.T) {
	was := folder(t, "account")
	r, is := mustImport(t, was, Options{Name: "account"})
	golden(t, "account.yaml", r.Text)
	diff := strings.Join(difference(facts(t, was), facts(t, is)), "\n") + "\n"
	// A pair whose public key was not dumped is made anew at each try.
	diff = regexp.MustCompile(`(key-2015-old ssh-ed25519) \S+`).ReplaceAllString(diff, "$1 (made)")
	golden(t, "account.diff", []byte(diff))
}

// A dump and a state of the same account tell of the same objects: each is in the file once.
func TestDumpAndStateTogether(t *testing.T) {
	b, err := os.ReadFile("testdata/terraform/show.json")
	if err != nil {
		t.Fatal(err)
	}
	state := Source{"show.json", b}
	alone, want := mustImport(t, folder(t, "lab"), Options{})
	for name, sources := range map[string][]Source{
		"dump first": append(folder(t, "lab"), state), "state first": append([]Source{state}, folder(t, "lab")...), "state twice": {state, state},
	} {
		r, is := mustImport(t, sources, Options{})
		if d := cmp.Diff(alone.Counts, r.Counts); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if d := difference(facts(t, want), facts(t, is)); len(d) > 0 {
			t.Errorf("%s:\n%s", name, strings.Join(d, "\n"))
		}
	}
}
