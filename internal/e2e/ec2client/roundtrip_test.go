package ec2client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/vpcemu/vpcemu/internal/ec2api"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// echo is a Backend that keeps what it is asked and gives what it is told.
type echo struct {
	in, out any
}

func (e *echo) Do(_ context.Context, _, _ string, in any) (any, error) {
	e.in = in
	return e.out, nil
}

func (e *echo) Account() string { return "123456789012" }

// newClient tries no call again: a change that came through would be made twice.
func newClient(url, region string) *ec2.Client {
	return ec2.New(ec2.Options{Region: region, BaseEndpoint: aws.String(url), Retryer: aws.NopRetryer{}, HTTPClient: whole{},
		Credentials: credentials.NewStaticCredentialsProvider("any", "any", "")})
}

// whole is an HTTP client that has read the answer when it gives it: the SDK closes the request's
// body then, which can cost a hasty connection its life (internal/ec2api/hurry.go).
type whole struct{}

func (whole) Do(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// ofAWS are the actions that both the lab and AWS have.
func ofAWS(t *testing.T) []vpc.Action {
	var list []vpc.Action
	for _, a := range vpc.Actions() {
		if reflect.ValueOf(&ec2.Client{}).MethodByName(a.Name).IsValid() {
			list = append(list, a)
		}
	}
	if len(list) < 80 {
		t.Fatalf("only %d actions are AWS's", len(list))
	}
	return list
}

// call calls the client's method of an action with its Input.
func call(c *ec2.Client, action string, in reflect.Value) (any, error) {
	out := reflect.ValueOf(c).MethodByName(action).Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	err, _ := out[1].Interface().(error)
	return out[0].Interface(), err
}

func inputOf(action string) reflect.Value {
	m := reflect.ValueOf(&ec2.Client{}).MethodByName(action)
	return reflect.New(m.Type().In(1).Elem())
}

// Every answer of ours that the SDK reads has every value that we put into it.
func TestAnswers_LoseNothing(t *testing.T) {
	for _, a := range ofAWS(t) {
		t.Run(a.Name, func(t *testing.T) {
			out := reflect.New(a.Output)
			f := &filler{}
			f.fill(out.Elem(), 0)
			c := serve(t, &echo{out: out.Interface()})
			in := inputOf(a.Name)
			(&filler{}).require(in.Elem())
			got, err := call(c, a.Name, in)
			if err != nil {
				t.Fatal(err)
			}
			compared := 0
			compare(t, out.Elem(), reflect.ValueOf(got).Elem(), a.Name, &compared)
			if a.Output.NumField() > 0 && compared == 0 {
				t.Error("nothing was compared")
			}
		})
	}
}

// Every parameter that the SDK sends, and that a lab knows, arrives with its value.
func TestRequests_LoseNothing(t *testing.T) {
	for _, a := range ofAWS(t) {
		t.Run(a.Name, func(t *testing.T) {
			e := &echo{out: reflect.New(a.Output).Interface()}
			c := serve(t, e)
			in := inputOf(a.Name)
			f := &filler{}
			f.like(in.Elem(), a.Input, 0)
			if _, err := call(c, a.Name, in); err != nil {
				t.Fatal(err)
			}
			compared := 0
			compare(t, reflect.ValueOf(e.in).Elem(), in.Elem(), a.Name, &compared)
			if a.Input.NumField() > 0 && compared == 0 {
				t.Error("nothing was compared")
			}
		})
	}
}

func serve(t *testing.T, b ec2api.Backend) *ec2.Client {
	s := httptest.NewServer(ec2api.New(ec2api.Config{Backend: b, Auth: &ec2api.Signatures{Now: time.Now}}))
	t.Cleanup(s.Close)
	return newClient(s.URL, "eu-west-1")
}

// filler makes distinct values.
type filler struct{ n int }

var timeType = reflect.TypeFor[time.Time]()

// scalar sets a value that is none before it, as far as its type allows, and tells whether
// v is a scalar at all.
func (f *filler) scalar(v reflect.Value) bool {
	f.n++
	switch {
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, f.n, 0, time.UTC)))
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprintf("value %d <&> \"é\"", f.n))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(int64(f.n))
	case v.CanFloat():
		v.SetFloat(float64(f.n) + 0.5)
	case v.Type() == reflect.TypeFor[[]byte]():
		v.SetBytes(fmt.Appendf(nil, "bytes %d", f.n))
	default:
		return false
	}
	return true
}

// fill fills every field, and every list with two.
func (f *filler) fill(v reflect.Value, depth int) {
	if f.scalar(v) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth)
	case reflect.Slice:
		if v.Type().Elem().Size() == 0 { // what a lab never has
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(v.Index(i), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Type().Field(i).Name != "noSmithyDocumentSerde" {
				f.fill(v.Field(i), depth+1)
			}
		}
	}
}

// like fills the fields of the SDK's type that a type of ours has, too.
func (f *filler) like(v reflect.Value, ours reflect.Type, depth int) {
	if ours.Kind() == reflect.Pointer {
		ours = ours.Elem()
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if f.scalar(v) {
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.like(v.Index(i), ours.Elem(), depth+1)
		}
	case reflect.Struct:
		for name, field := range fields(ours) {
			if to := v.FieldByName(name); to.IsValid() {
				f.like(to, ours.FieldByIndex(field.Index).Type, depth+1)
			}
		}
		if depth == 0 {
			f.require(v)
		}
	}
}

// require sets what the SDK does not let be empty: pointers to text and numbers at the top, and lists.
func (f *filler) require(v reflect.Value) {
	for i := range v.NumField() {
		name, to := v.Type().Field(i).Name, v.Field(i)
		if !to.CanSet() || !to.IsZero() || !requiredNames[name] || v.Type() == reflect.TypeFor[ec2.CreateNatGatewayInput]() && name == "VpcId" {
			continue
		}
		switch to.Kind() {
		case reflect.Pointer:
			to.Set(reflect.New(to.Type().Elem()))
			if !f.scalar(to.Elem()) {
				f.require(to.Elem())
			}
		case reflect.Slice:
			to.Set(reflect.MakeSlice(to.Type(), 1, 1))
			f.fill(to.Index(0), 0)
		default:
			f.scalar(to)
		}
	}
}

// requiredNames are members that are required of some action.
var requiredNames = map[string]bool{}

func init() {
	for name := range strings.FieldsSeq(`VpcId SubnetId InstanceId InstanceIds GroupId GroupName Description AllocationId AllocationIds
		AssociationId AssociationIds NatGatewayId NetworkAclId NetworkInterfaceId RouteTableId InternetGatewayId DhcpOptionsId Attribute
		AttachmentId DeviceIndex MaxCount MinCount KeyName PublicKeyMaterial Cidr ReservationType SubnetCidrReservationId
		DhcpConfigurations Resources ResourceIds ResourceType FlowLogIds PrivateIpAddresses RuleNumber Egress Protocol RuleAction
		SecurityGroupRules SecurityGroupRuleId VolumeId InstanceCreditSpecifications Tags InstanceTenancy GatewayId CapacityReservationSpecification
		CapacityReservationPreference IamInstanceProfile Arn`) {
		requiredNames[name] = true
	}
}

// fields are the fields of a type of ours by the names that AWS gives them.
func fields(t reflect.Type) map[string]reflect.StructField {
	m := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		m[name] = f
	}
	return m
}

// compare holds every value of ours to the SDK's of the same name.
func compare(t *testing.T, ours, sdk reflect.Value, path string, compared *int) {
	for ours.Kind() == reflect.Pointer {
		ours = ours.Elem()
	}
	for sdk.Kind() == reflect.Pointer {
		if sdk.IsNil() {
			t.Errorf("%s: the SDK has nothing, we have %v", path, ours)
			return
		}
		sdk = sdk.Elem()
	}
	switch {
	case ours.Type() == timeType:
		*compared++
		if !ours.Interface().(time.Time).Equal(sdk.Interface().(time.Time)) {
			t.Errorf("%s: the SDK has %v, we have %v", path, sdk, ours)
		}
	case ours.Kind() == reflect.Slice && ours.Type().Elem().Kind() != reflect.Uint8:
		*compared++
		if ours.Len() != sdk.Len() {
			t.Errorf("%s: the SDK has %d, we have %d", path, sdk.Len(), ours.Len())
			return
		}
		for i := range ours.Len() {
			compare(t, ours.Index(i), sdk.Index(i), fmt.Sprintf("%s[%d]", path, i), compared)
		}
	case ours.Kind() == reflect.Struct:
		for name, f := range fields(ours.Type()) {
			to := sdk.FieldByName(name)
			if !to.IsValid() {
				if !vpcemus[name] {
					t.Errorf("%s.%s: AWS has no such member", path, name)
				}
				continue
			}
			compare(t, ours.FieldByIndex(f.Index), to, path+"."+name, compared)
		}
	default:
		*compared++
		if a, b := fmt.Sprint(ours), fmt.Sprint(sdk); a != b {
			t.Errorf("%s: the SDK has %s, we have %s", path, b, a)
		}
	}
}

// vpcemus are members that only vpcemu has.
var vpcemus = map[string]bool{"LinkType": true, "Devices": true, "Limits": true, "Rootfs": true}
