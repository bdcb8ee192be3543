package vpc

import (
	"crypto/rand"
	"encoding/hex"
	"reflect"
	"strings"
)

// idKind is what AWS calls a type of object in IDs, parameters and errors.
type idKind struct {
	prefix    string // vpc-
	resource  string // resource type in tag specifications: vpc
	noun      string // in "The vpc ID 'vpc-…' does not exist"
	param     string // in "The request must contain the parameter vpcId"
	malformed string // error codes
	notFound  string
}

// idKinds holds the kind of every ID type of the model. The spelling of the
// codes is that of the EC2 error-code page, inconsistent as it is (Id, ID).
var idKinds = map[reflect.Type]idKind{
	reflect.TypeFor[VpcID]():                   {"vpc-", "vpc", "vpc", "vpcId", "InvalidVpcID.Malformed", "InvalidVpcID.NotFound"},
	reflect.TypeFor[CidrAssociationID]():       {"vpc-cidr-assoc-", "", "vpc CIDR block association", "associationId", "InvalidVpcCidrBlockAssociationID.Malformed", "InvalidVpcCidrBlockAssociationID.NotFound"},
	reflect.TypeFor[SubnetID]():                {"subnet-", "subnet", "subnet", "subnetId", "InvalidSubnetID.Malformed", "InvalidSubnetID.NotFound"},
	reflect.TypeFor[SubnetCidrReservationID](): {"scr-", "subnet-cidr-reservation", "subnet CIDR reservation", "subnetCidrReservationId", "InvalidSubnetCidrReservationID.Malformed", "InvalidSubnetCidrReservationID.NotFound"},
	reflect.TypeFor[RouteTableID]():            {"rtb-", "route-table", "routeTable", "routeTableId", "InvalidRouteTableId.Malformed", "InvalidRouteTableID.NotFound"},
	reflect.TypeFor[RouteAssociationID]():      {"rtbassoc-", "", "association", "associationId", "InvalidAssociationID.Malformed", "InvalidAssociationID.NotFound"},
	reflect.TypeFor[InternetGatewayID]():       {"igw-", "internet-gateway", "internetGateway", "internetGatewayId", "InvalidInternetGatewayId.Malformed", "InvalidInternetGatewayID.NotFound"},
	reflect.TypeFor[NatGatewayID]():            {"nat-", "natgateway", "NatGateway", "natGatewayId", "NatGatewayMalformed", "NatGatewayNotFound"},
	reflect.TypeFor[AllocationID]():            {"eipalloc-", "elastic-ip", "allocation", "allocationId", "InvalidAllocationID.Malformed", "InvalidAllocationID.NotFound"},
	reflect.TypeFor[AddressAssocID]():          {"eipassoc-", "", "association", "associationId", "InvalidAssociationID.Malformed", "InvalidAssociationID.NotFound"},
	reflect.TypeFor[SecurityGroupID]():         {"sg-", "security-group", "security group", "groupId", "InvalidGroupId.Malformed", "InvalidGroup.NotFound"},
	reflect.TypeFor[SecurityRuleID]():          {"sgr-", "security-group-rule", "security group rule", "securityGroupRuleId", "InvalidSecurityGroupRuleId.Malformed", "InvalidSecurityGroupRuleId.NotFound"},
	reflect.TypeFor[NetworkAclID]():            {"acl-", "network-acl", "networkAcl", "networkAclId", "InvalidNetworkAclId.Malformed", "InvalidNetworkAclID.NotFound"},
	reflect.TypeFor[AclAssociationID]():        {"aclassoc-", "", "association", "associationId", "InvalidAssociationID.Malformed", "InvalidAssociationID.NotFound"},
	reflect.TypeFor[DhcpOptionsID]():           {"dopt-", "dhcp-options", "dhcpOption", "dhcpOptionsId", "InvalidDhcpOptionsId.Malformed", "InvalidDhcpOptionsID.NotFound"},
	reflect.TypeFor[NetworkInterfaceID]():      {"eni-", "network-interface", "networkInterface", "networkInterfaceId", "InvalidNetworkInterfaceId.Malformed", "InvalidNetworkInterfaceID.NotFound"},
	reflect.TypeFor[AttachmentID]():            {"eni-attach-", "", "networkInterface attachment", "attachmentId", "InvalidAttachmentID.Malformed", "InvalidAttachmentID.NotFound"},
	reflect.TypeFor[InstanceID]():              {"i-", "instance", "instance", "instanceId", "InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound"},
	reflect.TypeFor[KeyPairID]():               {"key-", "key-pair", "key pair", "keyPairId", "InvalidKeyPair.Malformed", "InvalidKeyPair.NotFound"},
	reflect.TypeFor[FlowLogID]():               {"fl-", "vpc-flow-log", "flow log", "flowLogId", "InvalidFlowLogId.Malformed", "InvalidFlowLogId.NotFound"},
	reflect.TypeFor[VolumeID]():                {"vol-", "volume", "volume", "volumeId", "InvalidVolumeID.Malformed", "InvalidVolume.NotFound"},
	reflect.TypeFor[ImpairmentID]():            {"imp-", "impairment", "impairment", "impairmentId", "InvalidImpairmentID.Malformed", "InvalidImpairmentID.NotFound"},
	reflect.TypeFor[FailureID]():               {"fail-", "failure", "failure", "failureId", "InvalidFailureID.Malformed", "InvalidFailureID.NotFound"},
	reflect.TypeFor[InternetHostID]():          {"host-", "internet-host", "internetHost", "internetHostId", "InvalidInternetHostID.Malformed", "InvalidInternetHostID.NotFound"},
}

// ResourceID is the ID of an object of any type (CreateTags).
type ResourceID string

func kindOf[K ~string]() idKind { return idKinds[reflect.TypeFor[K]()] }

// RandomID draws an ID in AWS's form: the prefix ("vpc-"), a zero and 16 random
// hexadecimal digits. It is the Call.NewID of every front end but the topology.
func RandomID(prefix string) string {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return prefix + "0" + hex.EncodeToString(b[:])
}

// newID asks the call for an ID of type K. An operation may ask several times
// for IDs of one prefix; Call.NewID must not repeat itself.
func newID[K ~string](tx *Tx) K { return K(tx.Call.NewID(kindOf[K]().prefix)) }

// WellFormed reports whether s has the form of an ID with the prefix: 17, or in
// old accounts 8, lower-case hexadecimal digits after it (API notes, 1.7).
func WellFormed(prefix, s string) bool {
	digits, ok := strings.CutPrefix(s, prefix)
	return ok && (len(digits) == 17 || len(digits) == 8) && strings.Trim(digits, "0123456789abcdef") == ""
}

func (k idKind) missing() error { return errMissing(k.param) }

// listParam is what AWS's messages call a list of such IDs.
func (k idKind) listParam() string {
	if k.prefix == "i-" {
		return "instancesSet"
	}
	return k.param + "s"
}

func (k idKind) malformedError(id string) error {
	return errorf(k.malformed, "Invalid id: %q (expecting %q)", id, k.prefix+"...")
}

func (k idKind) notFoundError(id string) error {
	switch k.prefix {
	case "sg-":
		return errorf(k.notFound, "The security group '%s' does not exist", id)
	case "nat-":
		return errorf(k.notFound, "NAT gateway %s was not found", id)
	}
	return errorf(k.notFound, "The %s ID '%s' does not exist", k.noun, id)
}

// notFoundErrors is the answer where a request names several IDs and nothing has these. Of instances
// and flow logs it names them all, and programs read them there; of others the first.
func (k idKind) notFoundErrors(ids []string) error {
	switch {
	case k.prefix == "i-" && len(ids) > 1:
		return errorf(k.notFound, "The instance IDs '%s' do not exist", strings.Join(ids, ", "))
	case k.prefix == "fl-":
		return errorf(k.notFound, "These flow log ids in the input list are not found: [TotalCount: %d] %s", len(ids), strings.Join(ids, " "))
	}
	return k.notFoundError(ids[0])
}

// check tells whether id has the form of its type.
func (k idKind) check(id string) error {
	switch {
	case id == "":
		return k.missing()
	case !WellFormed(k.prefix, id):
		return k.malformedError(id)
	}
	return nil
}

// find returns the object with this ID, or the error that AWS gives: the
// parameter is missing, the ID malformed, or nothing has it.
func find[K ~string, V any](t *Table[K, V], id K) (*V, error) {
	if v := t.Get(id); v != nil {
		return v, nil
	}
	k := kindOf[K]()
	if err := k.check(string(id)); err != nil {
		return nil, err
	}
	return nil, k.notFoundError(string(id))
}

// findAll is find for each of several IDs.
func findAll[K ~string, V any](t *Table[K, V], ids []K) ([]*V, error) {
	k := kindOf[K]()
	found := make([]*V, 0, len(ids))
	var none []string
	for _, id := range ids {
		v := t.Get(id)
		if v == nil {
			if err := k.check(string(id)); err != nil {
				return nil, err
			}
			none = append(none, string(id))
		}
		found = append(found, v)
	}
	if len(none) > 0 {
		return nil, k.notFoundErrors(none)
	}
	return found, nil
}
