package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/vpcemu/vpcemu/internal/topology"
)

// objects is an answer as the daemon gives it.
func objects(t *testing.T, text string) (list []any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDescribe_TableOfLists(t *testing.T) {
	tables := objects(t, `[
		{"RouteTableId": "rtb-00000000000000001", "VpcId": "vpc-00000000000000001", "Tags": [{"Key": "Name", "Value": "public"}],
		 "Associations": [{"RouteTableAssociationId": "rtbassoc-1", "SubnetId": "subnet-00000000000000001", "Main": false}],
		 "Routes": [{"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"}, {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-00000000000000001", "State": "blackhole"}]},
		{"RouteTableId": "rtb-00000000000000002", "VpcId": "vpc-00000000000000001", "Tags": [], "Associations": [{"Main": true}], "Routes": []}]`)
	names := map[string]string{"vpc-00000000000000001": "book", "subnet-00000000000000001": "a", "igw-00000000000000001": "igw"}
	var out bytes.Buffer
	if err := describeTable(&out, kinds["route-table"], tables, names); err != nil {
		t.Fatal(err)
	}
	want := `NAME    ID                     VPC   OF    ROUTES
public  rtb-00000000000000001  book  a     10.0.0.0/16 -> local
                                           0.0.0.0/0 -> igw (blackhole)
-       rtb-00000000000000002  book  main  -
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestDescribe_UnusedDefaultVpcIsLeftOut(t *testing.T) {
	lab := func(interfaces string) map[string][]any {
		return map[string][]any{
			"vpc":               objects(t, `[{"VpcId": "vpc-d", "IsDefault": true}, {"VpcId": "vpc-1", "IsDefault": false}]`),
			"subnet":            objects(t, `[{"SubnetId": "subnet-d", "VpcId": "vpc-d"}, {"SubnetId": "subnet-1", "VpcId": "vpc-1"}]`),
			"internet-gateway":  objects(t, `[{"InternetGatewayId": "igw-d", "Attachments": [{"VpcId": "vpc-d"}]}, {"InternetGatewayId": "igw-1", "Attachments": []}]`),
			"network-interface": objects(t, interfaces),
		}
	}
	unused, used := lab(`[{"NetworkInterfaceId": "eni-1", "VpcId": "vpc-1"}]`), lab(`[{"NetworkInterfaceId": "eni-d", "VpcId": "vpc-d"}]`)
	hideUnused(unused)
	hideUnused(used)
	for _, kind := range []string{"vpc", "subnet", "internet-gateway"} {
		if len(unused[kind]) != 1 || len(used[kind]) != 2 {
			t.Errorf("%s: %v, %v", kind, unused[kind], used[kind])
		}
	}
}

func TestReport_ExitStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("it failed"), 1},
		{exitStatus(7), 7},
		{fmt.Errorf("control: %w", context.Canceled), 130},
		{usageError{errors.New("unknown flag")}, 2},
		{topology.Errors{}, 2},
	} {
		if got := report(c.err); got != c.want {
			t.Errorf("%v: exit status %d, want %d", c.err, got, c.want)
		}
	}
}

// Every command says what it is for and shows an example, or takes no argument.
func TestCommands_AreExplained(t *testing.T) {
	for _, cmd := range newRoot().Commands() {
		if cmd.Short == "" || cmd.Args == nil && cmd.Name() != "ec2" {
			t.Errorf("%s: short %q, arguments unchecked: %v", cmd.Name(), cmd.Short, cmd.Args == nil)
		}
		if cmd.Example == "" && cmd.Args != nil && cmd.Args(cmd, []string{"x"}) == nil {
			t.Errorf("%s takes arguments and has no example", cmd.Name())
		}
	}
}
