package ec2client

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/vpcemu/vpcemu/internal/ec2api"
	"github.com/vpcemu/vpcemu/internal/ec2api/apitest"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// recorder keeps the names of the actions that succeeded. Each call is first made as a
// dry run, which must tell how the call will end and leave everything as it is.
type recorder struct {
	*apitest.Backend
	mu    sync.Mutex
	done  map[string]bool
	wrong []string // of dry runs
}

func (r *recorder) Do(ctx context.Context, region, action string, in any) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	foretold := r.dryRun(ctx, region, action, in)
	out, err := r.Backend.Do(ctx, region, action, in)
	if err == nil {
		r.done[action] = true
	}
	if got := codeOf(err); foretold != "" && foretold != got && (foretold != "DryRunOperation" || err != nil) {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: the dry run said %s, the call %q", action, foretold, got))
	}
	return out, err
}

// dryRun gives the code with which a dry run of the call ends, "" where there is none.
func (r *recorder) dryRun(ctx context.Context, region, action string, in any) string {
	dry := reflect.New(reflect.TypeOf(in).Elem())
	dry.Elem().Set(reflect.ValueOf(in).Elem())
	flag := dry.Elem().FieldByName("DryRun")
	if !flag.IsValid() {
		return ""
	}
	flag.SetBool(true)
	// Whatever the call, its Region is open afterwards.
	r.Backend.Do(ctx, region, "DescribeRegions", new(vpc.DescribeRegionsInput))
	before := r.Model()
	_, err := r.Backend.Do(ctx, region, action, dry.Interface())
	if after := r.Model(); !reflect.DeepEqual(before, after) {
		r.wrong = append(r.wrong, action+": the dry run changed something")
	}
	return codeOf(err)
}

func codeOf(err error) string {
	var e *vpc.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

var _ ec2api.Backend = (*recorder)(nil)

// lives are sequences of calls as clients make them. Each begins in the account as it
// is at first, takes away what it made, and gets a Region of its own.
var lives = []struct {
	name, region string
	live         func(*testing.T, *ec2.Client)
}{
	{"Vpc", "eu-west-1", lifeOfVpc},
	{"DefaultVpc", "eu-west-2", lifeOfDefaultVpc},
	{"Routes", "eu-west-3", lifeOfRoutes},
	{"NatGateway", "us-east-2", lifeOfNatGateway},
	{"Addresses", "us-west-1", lifeOfAddresses},
	{"SecurityGroup", "us-west-2", lifeOfSecurityGroup},
	{"NetworkAcl", "ap-south-1", lifeOfNetworkAcl},
	{"NetworkInterface", "ap-northeast-2", lifeOfNetworkInterface},
	{"Instance", "ap-southeast-1", lifeOfInstance},
	{"InstanceSettings", "ap-southeast-2", lifeOfInstanceSettings},
	{"Volumes", "sa-east-1", lifeOfVolumes},
	{"KeyPairs", "ca-central-1", lifeOfKeyPairs},
	{"FlowLogs", "eu-central-1", lifeOfFlowLogs},
	{"Tags", "eu-north-1", lifeOfTags},
	{"Catalogue", "eu-south-1", lifeOfCatalogue},
	{"Pages", "us-east-1", lifeOfPages},
	{"Absent", "eu-central-2", lifeOfAbsent},
}

// The SDK calls every action that both AWS and a lab have, and gets what it asks for.
func TestActions(t *testing.T) {
	r := &recorder{Backend: apitest.New(t), done: map[string]bool{}}
	c := serve(t, r)
	for _, l := range lives {
		t.Run(l.name, func(t *testing.T) {
			o := c.Options()
			o.Region = l.region
			l.live(t, ec2.New(o))
		})
	}
	for _, a := range ofAWS(t) {
		if !r.done[a.Name] {
			t.Errorf("%s was never called with success", a.Name)
		}
	}
	for _, w := range r.wrong {
		t.Error(w)
	}
	m := r.Model()
	for _, err := range m.Check() {
		t.Error(err)
	}
}

// do calls an action that must succeed.
func do[I, O any](t *testing.T, f func(context.Context, *I, ...func(*ec2.Options)) (*O, error), in *I) *O {
	t.Helper()
	out, err := f(t.Context(), in)
	if err != nil {
		t.Fatalf("%T: %v", *in, err)
	}
	return out
}

// refused calls an action that must fail with this code.
func refused[I, O any](t *testing.T, f func(context.Context, *I, ...func(*ec2.Options)) (*O, error), in *I, code string) {
	t.Helper()
	_, err := f(t.Context(), in)
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Errorf("%T: %v, want %s", *in, err, code)
	}
}

// await calls a waiter: what it waits for is so at its first look, so that it does not pause.
func await[I, O any](t *testing.T, wait func(context.Context, *I, time.Duration, ...func(*O)) error, in *I) {
	t.Helper()
	if err := wait(t.Context(), in, time.Second); err != nil {
		t.Errorf("%T: %v", *in, err)
	}
}

// same compares what an answer says with what it should.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func filter(name string, values ...string) []types.Filter {
	return []types.Filter{{Name: new(name), Values: values}}
}

func named(kind types.ResourceType, name string) []types.TagSpecification {
	return []types.TagSpecification{{ResourceType: kind, Tags: []types.Tag{{Key: new("Name"), Value: new(name)}}}}
}

func makeVpc(t *testing.T, c *ec2.Client, block string) *string {
	t.Helper()
	return do(t, c.CreateVpc, &ec2.CreateVpcInput{CidrBlock: new(block)}).Vpc.VpcId
}

func makeSubnet(t *testing.T, c *ec2.Client, v *string, block string) *string {
	t.Helper()
	return do(t, c.CreateSubnet, &ec2.CreateSubnetInput{VpcId: v, CidrBlock: new(block)}).Subnet.SubnetId
}

// absentHere are listings of what a lab never has.
var absentHere = strings.Fields(`DescribeVpcPeeringConnections DescribeManagedPrefixLists DescribePrefixLists DescribeVpcEndpoints
	DescribeVpcEndpointServices DescribeEgressOnlyInternetGateways DescribeTransitGateways DescribeTransitGatewayVpcAttachments
	DescribeTransitGatewayAttachments DescribeTransitGatewayRouteTables DescribeVpnGateways DescribeVpnConnections
	DescribeCustomerGateways DescribeCarrierGateways DescribeLaunchTemplates DescribeSpotInstanceRequests DescribeCapacityReservations
	DescribePlacementGroups DescribeSnapshots DescribeNetworkInsightsPaths DescribeNetworkInsightsAnalyses
	DescribeVpcBlockPublicAccessExclusions DescribeMovingAddresses DescribeSecurityGroupVpcAssociations`)

func lifeOfAbsent(t *testing.T, c *ec2.Client) {
	for _, action := range absentHere {
		out, err := call(c, action, inputOf(action))
		if err != nil {
			t.Errorf("%s: %v", action, err)
			continue
		}
		lists := 0
		v := reflect.ValueOf(out).Elem()
		for i := range v.NumField() {
			if v.Field(i).Kind() == reflect.Slice {
				lists++
				same(t, action+"."+v.Type().Field(i).Name, v.Field(i).Len(), 0)
			}
		}
		if lists == 0 {
			t.Errorf("%s answers no list", action)
		}
	}
	await(t, ec2.NewVpcPeeringConnectionDeletedWaiter(c).Wait, &ec2.DescribeVpcPeeringConnectionsInput{VpcPeeringConnectionIds: []string{"pcx-01234567890abcdef"}})
	refused(t, c.DescribeTransitGateways, &ec2.DescribeTransitGatewaysInput{TransitGatewayIds: []string{"tgw-01234567890abcdef"}}, "InvalidTransitGatewayID.NotFound")
	refused(t, c.CreateTransitGateway, &ec2.CreateTransitGatewayInput{}, "UnsupportedOperation")
	options := do(t, c.DescribeVpcBlockPublicAccessOptions, &ec2.DescribeVpcBlockPublicAccessOptionsInput{}).VpcBlockPublicAccessOptions
	same(t, "block mode", options.InternetGatewayBlockMode, types.InternetGatewayBlockModeOff)
}
