package importer

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/topologies"
)

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
	for id := range m.Instances.All() {
		for _, a := range []string{"userData", "disableApiTermination", "instanceInitiatedShutdownBehavior"} {
			run("DescribeInstanceAttribute", &vpc.DescribeInstanceAttributeInput{InstanceId: id, Attribute: a})
		}
	}
	return sources
}

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

func TestCircle(t *testing.T) {
	for _, name := range topologies.Names() {
		t.Run(name, func(t *testing.T) {
			b, err := topologies.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := topology.Parse(name+".yaml", b)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Import(dump(t, modelOf(t, f)), Options{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s", r.Text)
			if r.Invalid != nil {
				t.Error(r.Invalid)
			}
		})
	}
}
