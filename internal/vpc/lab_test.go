package vpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var testNow = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// countingCall gives IDs in order: vpc-00000000000000001 and so on.
func countingCall() Call {
	n := 0
	return Call{Now: testNow, NewID: func(prefix string) string {
		n++
		return fmt.Sprintf("%s%017x", prefix, n)
	}}
}

// emptyLab is a lab in Tokyo without a default VPC.
func emptyLab(t testing.TB) *Tx { return labWith(t, false) }

// fullLab has the default VPC.
func fullLab(t testing.TB) *Tx { return labWith(t, true) }

func labWith(t testing.TB, defaultVpc bool) *Tx {
	t.Helper()
	call := countingCall()
	m, err := New("test", "123456789012", "ap-northeast-1", nil, call, defaultVpc)
	if err != nil {
		t.Fatal(err)
	}
	return Begin(&m, call)
}

// must returns what an operation that may not fail answered.
func must[O any](out O, err error) O {
	if err != nil {
		panic(err)
	}
	return out
}

// code is the AWS code with which an operation failed, "" if it did not.
func code[O any](_ O, err error) string {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return "not an AWS error: " + err.Error()
}

func wantCode(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got error code %q, want %q", got, want)
	}
}

func wantConsistent(t testing.TB, m *Model) {
	t.Helper()
	for _, err := range m.Check() {
		t.Error(err)
	}
}

// dump is the whole contents of a model, for comparison. An empty table and one
// that was never written look alike.
func dump(t interface{ Fatal(...any) }, m *Model) string {
	all := map[string]any{"settings": m.WithoutTables()}
	for name, table := range m.Tables() {
		if table.Len() > 0 {
			all[name] = table
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func cidr(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func newVpc(tx *Tx, block string) VpcID {
	return must(tx.CreateVpc(&CreateVpcInput{CidrBlock: block})).Vpc.VpcId
}

func newSubnet(tx *Tx, v VpcID, block string) SubnetID {
	return must(tx.CreateSubnet(&CreateSubnetInput{VpcId: v, CidrBlock: block})).Subnet.SubnetId
}

func newTable(tx *Tx, v VpcID) RouteTableID {
	return must(tx.CreateRouteTable(&CreateRouteTableInput{VpcId: v})).RouteTable.RouteTableId
}

func newGateway(tx *Tx, attachTo VpcID) InternetGatewayID {
	id := must(tx.CreateInternetGateway(&CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId
	if attachTo != "" {
		must(tx.AttachInternetGateway(&AttachInternetGatewayInput{InternetGatewayId: id, VpcId: attachTo}))
	}
	return id
}

func newGroup(tx *Tx, v VpcID, name string) SecurityGroupID {
	return must(tx.CreateSecurityGroup(&CreateSecurityGroupInput{GroupName: name, Description: "x", VpcId: v})).GroupId
}

// putInterface puts a network interface into the model by hand.
func putInterface(tx *Tx, subnet SubnetID, addr string) *NetworkInterface {
	s := tx.Subnets.Get(subnet)
	tx.NextHandle++
	n := &NetworkInterface{
		Meta: Meta{Region: s.Region}, ID: newID[NetworkInterfaceID](tx), Handle: tx.NextHandle, VpcID: s.VpcID, SubnetID: subnet, AvailabilityZone: s.AvailabilityZone,
		PrivateIps: []PrivateAddress{{PrivateIp: netip.MustParseAddr(addr), Primary: true}},
		Groups:     []SecurityGroupID{tx.DefaultSecurityGroup(s.VpcID).ID}, SourceDestCheck: true, Status: "available",
	}
	tx.NetworkInterfaces.Put(n.ID, n)
	return n
}

// putInstance puts an instance in the given state on the interface.
func putInstance(tx *Tx, n *NetworkInterface, state string) InstanceID {
	i := &Instance{Meta: Meta{Region: n.Region}, ID: newID[InstanceID](tx), State: state, VpcID: n.VpcID, SubnetID: n.SubnetID}
	tx.Instances.Put(i.ID, i)
	c := *n
	c.Attachment = &Attachment{ID: newID[AttachmentID](tx), InstanceID: i.ID, Status: "attached"}
	c.Status = "in-use"
	tx.NetworkInterfaces.Put(c.ID, &c)
	return i.ID
}

func namedFilter(name string, values ...string) []Filter { return []Filter{{name, values}} }
