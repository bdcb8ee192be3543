package ec2api_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/ec2api/apitest"
)

// account is one with objects, which forms name by $name.
type account struct {
	t   *testing.T
	url string
	ids map[string]string
}

// send posts a form: the action, and its parameters. It may begin with a Region and a
// blank, which is else us-east-1.
func (a *account) send(form string) (int, string) {
	a.t.Helper()
	region, rest, elsewhere := strings.Cut(form, " ")
	if !elsewhere {
		region, rest = "us-east-1", form
	}
	form = os.Expand(rest, func(name string) string {
		id, ok := a.ids[name]
		if !ok {
			a.t.Fatalf("no $%s in the account", name)
		}
		return id
	})
	return post(a.t, a.url, "ec2", "Action="+form+version, func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(authorization("ec2"), "us-east-1", region, 1))
	})
}

// has makes an object, or finds it, and keeps the value of the answer's element as $name.
func (a *account) has(name, form, element string) {
	a.t.Helper()
	status, body := a.send(form)
	_, id, found := strings.Cut(body, "<"+element+">")
	if status != 200 || !found {
		a.t.Fatalf("%s: %d %s", form, status, body)
	}
	a.ids[name], _, _ = strings.Cut(id, "<")
}

func (a *account) do(form string) {
	a.t.Helper()
	if status, body := a.send(form); status != 200 {
		a.t.Fatalf("%s: %d %s", form, status, body)
	}
}

// refused sends a form that must fail, and returns the message.
func (a *account) refused(form, code, message string) {
	a.t.Helper()
	status, body := a.send(form)
	if !strings.Contains(body, "<Code>"+code+"</Code>") {
		a.t.Errorf("%s: %d %s, want %s", form, status, body, code)
	}
	message = os.Expand(message, func(name string) string { return a.ids[name] })
	if !strings.Contains(unescape.Replace(body), message) {
		a.t.Errorf("%s: %s, want the message %q", form, body, message)
	}
	want := http.StatusBadRequest
	if code == "DryRunOperation" {
		want = http.StatusPreconditionFailed
	}
	if status != want {
		a.t.Errorf("%s: status %d, want %d", form, status, want)
	}
}

var unescape = strings.NewReplacer("&#39;", "'", "&apos;", "'", "&#34;", `"`, "&quot;", `"`, "&lt;", "<", "&gt;", ">", "&amp;", "&")

func newAccount(t *testing.T) *account {
	return &account{t, apitest.New(t).Serve(t), map[string]string{}}
}

// furnished is an account with one of everything.
func furnished(t *testing.T) *account {
	a := newAccount(t)
	a.has("defaultVpc", "DescribeVpcs", "vpcId")
	a.has("defaultSubnet", "DescribeSubnets&Filter.1.Name=availability-zone&Filter.1.Value.1=us-east-1a", "subnetId")
	a.has("vpc", "CreateVpc&CidrBlock=10.0.0.0/16", "vpcId")
	a.has("other", "CreateVpc&CidrBlock=10.9.0.0/16", "vpcId")
	a.has("subnet", "CreateSubnet&VpcId=$vpc&CidrBlock=10.0.1.0/24&AvailabilityZone=us-east-1a", "subnetId")
	a.has("subnetB", "CreateSubnet&VpcId=$vpc&CidrBlock=10.0.2.0/24&AvailabilityZone=us-east-1b", "subnetId")
	a.has("small", "CreateSubnet&VpcId=$vpc&CidrBlock=10.0.3.0/28&AvailabilityZone=us-east-1a", "subnetId")
	a.has("otherSubnet", "CreateSubnet&VpcId=$other&CidrBlock=10.9.1.0/24", "subnetId")
	a.has("igw", "CreateInternetGateway", "internetGatewayId")
	a.do("AttachInternetGateway&InternetGatewayId=$igw&VpcId=$vpc")
	a.has("freeIgw", "CreateInternetGateway", "internetGatewayId")
	a.has("table", "CreateRouteTable&VpcId=$vpc", "routeTableId")
	a.do("CreateRoute&RouteTableId=$table&DestinationCidrBlock=0.0.0.0/0&GatewayId=$igw")
	a.has("tableOf", "AssociateRouteTable&RouteTableId=$table&SubnetId=$subnet", "associationId")
	a.has("mainOf", "DescribeRouteTables&Filter.1.Name=association.main&Filter.1.Value.1=true&Filter.2.Name=vpc-id&Filter.2.Value.1=$vpc", "routeTableAssociationId")
	a.has("acl", "CreateNetworkAcl&VpcId=$vpc", "networkAclId")
	a.do("CreateNetworkAclEntry&NetworkAclId=$acl&RuleNumber=100&Protocol=-1&RuleAction=allow&Egress=false&CidrBlock=0.0.0.0/0")
	// That of some subnet of the VPC.
	a.has("aclOf", "DescribeNetworkAcls&Filter.1.Name=association.subnet-id&Filter.1.Value.1=$subnetB", "networkAclAssociationId")
	a.has("aclOf", "ReplaceNetworkAclAssociation&AssociationId=$aclOf&NetworkAclId=$acl", "newAssociationId")
	a.has("group", "CreateSecurityGroup&GroupName=web&GroupDescription=web&VpcId=$vpc", "groupId")
	a.has("rule", "AuthorizeSecurityGroupIngress&GroupId=$group&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0", "securityGroupRuleId")
	a.has("client", "CreateSecurityGroup&GroupName=client&GroupDescription=client&VpcId=$vpc", "groupId")
	a.do("AuthorizeSecurityGroupIngress&GroupId=$client&IpPermissions.1.IpProtocol=-1&IpPermissions.1.Groups.1.GroupId=$group")
	a.has("otherGroup", "CreateSecurityGroup&GroupName=web&GroupDescription=web&VpcId=$other", "groupId")
	a.has("defaultGroup", "DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=default&Filter.2.Name=vpc-id&Filter.2.Value.1=$vpc", "groupId")
	a.has("eni", "CreateNetworkInterface&SubnetId=$subnet&PrivateIpAddress=10.0.1.50", "networkInterfaceId")
	a.has("eip", "AllocateAddress&Domain=vpc", "allocationId")
	a.has("eipOf", "AssociateAddress&AllocationId=$eip&NetworkInterfaceId=$eni", "associationId")
	a.has("freeEip", "AllocateAddress&Domain=vpc", "allocationId")
	a.has("natEip", "AllocateAddress&Domain=vpc", "allocationId")
	a.has("nat", "CreateNatGateway&SubnetId=$subnet&AllocationId=$natEip", "natGatewayId")
	a.has("private", "CreateNatGateway&SubnetId=$subnet&ConnectivityType=private", "natGatewayId")
	a.has("instance", "RunInstances&ImageId=ami-01234567890abcdef&MinCount=1&MaxCount=1&SubnetId=$subnet&PrivateIpAddress=10.0.1.60&ClientToken=once", "instanceId")
	a.has("eth0", "DescribeNetworkInterfaces&Filter.1.Name=attachment.instance-id&Filter.1.Value.1=$instance", "attachmentId")
	a.has("primary", "DescribeNetworkInterfaces&Filter.1.Name=attachment.instance-id&Filter.1.Value.1=$instance", "networkInterfaceId")
	a.has("volume", "DescribeVolumes&Filter.1.Name=attachment.instance-id&Filter.1.Value.1=$instance", "volumeId")
	a.has("protected", "RunInstances&ImageId=ami-01234567890abcdef&MinCount=1&MaxCount=1&SubnetId=$subnet&DisableApiTermination=true&DisableApiStop=true", "instanceId")
	a.has("stopped", "RunInstances&ImageId=ami-01234567890abcdef&MinCount=1&MaxCount=1&SubnetId=$subnetB", "instanceId")
	a.do("StopInstances&InstanceId.1=$stopped")
	a.has("gone", "RunInstances&ImageId=ami-01234567890abcdef&MinCount=1&MaxCount=1&SubnetId=$subnetB", "instanceId")
	a.do("TerminateInstances&InstanceId.1=$gone")
	a.has("failed", "CreateNatGateway&SubnetId=$otherSubnet&AllocationId=$freeEip", "natGatewayId")
	a.has("options", "CreateDhcpOptions&DhcpConfiguration.1.Key=domain-name&DhcpConfiguration.1.Value.1=example.com", "dhcpOptionsId")
	a.do("AssociateDhcpOptions&VpcId=$vpc&DhcpOptionsId=$options")
	a.has("block", "AssociateVpcCidrBlock&VpcId=$vpc&CidrBlock=10.1.0.0/16", "associationId")
	a.do("CreateSubnet&VpcId=$vpc&CidrBlock=10.1.0.0/24")
	a.has("primaryBlock", "DescribeVpcs&VpcId.1=$other", "associationId")
	a.do("CreateKeyPair&KeyName=key&KeyType=ed25519")
	a.do("CreateFlowLogs&ResourceType=VPC&ResourceId.1=$vpc&TrafficType=ALL&LogDestinationType=s3&LogDestination=arn:aws:s3:::logs")
	a.do("CreateSubnetCidrReservation&SubnetId=$subnet&Cidr=10.0.1.64/28&ReservationType=explicit")
	// A Region without a default VPC.
	a.has("westVpc", "us-west-2 DescribeVpcs", "vpcId")
	for _, zone := range []string{"a", "b", "c", "d"} {
		a.has("s", "us-west-2 DescribeSubnets&Filter.1.Name=availability-zone&Filter.1.Value.1=us-west-2"+zone, "subnetId")
		a.do("us-west-2 DeleteSubnet&SubnetId=$s")
	}
	a.has("g", "us-west-2 DescribeInternetGateways", "internetGatewayId")
	a.do("us-west-2 DetachInternetGateway&InternetGatewayId=$g&VpcId=$westVpc")
	a.do("us-west-2 DeleteInternetGateway&InternetGatewayId=$g")
	a.do("us-west-2 DeleteVpc&VpcId=$westVpc")
	return a
}

// Requests that fail, with AWS's code (EC2 API Reference, Error codes) and, where AWS
// documents the message or clients read it, a part of that.
func TestErrors(t *testing.T) {
	a := furnished(t)
	seen := map[string]bool{}
	for _, tt := range failures {
		a.refused(tt.form, tt.code, tt.message)
		seen[tt.code] = true
	}
	for code := range strings.FieldsSeq(knownCodes) {
		if !seen[code] {
			t.Errorf("no request fails with %s", code)
		}
	}
}

// knownCodes are AWS's for the actions that a lab has, but for those of quotas.
const knownCodes = `DryRunOperation IdempotentParameterMismatch InvalidAction MissingAction InvalidPaginationToken InvalidParameterCombination
	InvalidParameterValue MissingParameter NoSuchVersion UnknownParameter UnsupportedOperation
	InvalidVpcID.NotFound InvalidVpcID.Malformed InvalidVpc.Range DependencyViolation CidrConflict InvalidVpcCidrBlockAssociationID.NotFound
	OperationNotPermitted InvalidCidrBlock.InUse
	InvalidSubnet.Conflict InvalidSubnet.Range InvalidSubnetID.NotFound InvalidSubnetID.Malformed
	InvalidInternetGatewayID.NotFound Resource.AlreadyAssociated Gateway.NotAttached
	InvalidRouteTableID.NotFound InvalidRouteTableId.Malformed InvalidAssociationID.NotFound
	RouteAlreadyExists InvalidRoute.NotFound InvalidGatewayID.NotFound InvalidNatGatewayID.NotFound InvalidNetworkInterfaceID.NotFound
	NatGatewayNotFound NatGatewayMalformed
	InvalidAllocationID.NotFound InvalidAddress.NotFound InvalidIPAddress.InUse InvalidInstanceID
	InvalidGroup.NotFound InvalidGroupId.Malformed InvalidGroup.Duplicate InvalidGroup.Reserved CannotDelete InvalidPermission.Duplicate InvalidPermission.NotFound
	InvalidSecurityGroupRuleId.NotFound
	InvalidNetworkAclID.NotFound NetworkAclEntryAlreadyExists InvalidNetworkAclEntry.NotFound
	InvalidNetworkInterface.InUse InvalidAttachmentID.NotFound
	InvalidInstanceID.NotFound InvalidInstanceID.Malformed InvalidAMIID.Malformed InvalidKeyPair.NotFound InvalidKeyPair.Duplicate IncorrectInstanceState IncorrectState
	VPCIdNotSpecified UnsupportedTenancy InvalidInstanceType VolumeInUse InvalidVolume.NotFound
	InvalidDhcpOptionID.NotFound InvalidDhcpOptionsID.NotFound FlowLogAlreadyExists InvalidFlowLogId.NotFound
	DefaultVpcAlreadyExists DefaultVpcDoesNotExist DefaultSubnetAlreadyExistsInAvailabilityZone InvalidID
	InvalidVpcPeeringConnectionID.NotFound InvalidTransitGatewayID.NotFound InvalidVpcEndpointId.NotFound InvalidPrefixListID.NotFound`

const permit = "&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22&IpPermissions.1.IpRanges.1.CidrIp="
const modify = "ModifySecurityGroupRules&GroupId=$group&SecurityGroupRule.1.SecurityGroupRuleId=$rule"
const run = "RunInstances&ImageId=ami-01234567890abcdef&MinCount=1&MaxCount=1"

var failures = []struct{ form, code, message string }{
	// Any action.
	{"DescribeVpcs&DryRun=true", "DryRunOperation", "Request would have succeeded, but DryRun flag is set."},
	{"MakeCoffee", "InvalidAction", "The action MakeCoffee is not valid for this web service."},
	{"", "MissingAction", ""},
	{"DescribeVpcs&Version=2099-01-01", "NoSuchVersion", ""},
	{"DescribeVpcs&Colour=red", "UnknownParameter", "Colour"},
	{"CreateVpcPeeringConnection&VpcId=$vpc&PeerVpcId=$other", "UnsupportedOperation", "CreateVpcPeeringConnection"},
	{"DescribeVpcs&NextToken=%25", "InvalidPaginationToken", ""},
	{"DescribeVpcs&MaxResults=4", "InvalidParameterValue", "MaxResults"},
	{"DescribeVpcs&MaxResults=5&VpcId.1=$vpc", "InvalidParameterCombination", ""},
	{"DescribeVpcs&Filter.1.Name=colour&Filter.1.Value.1=red", "InvalidParameterValue", "The filter 'colour' is invalid"},
	{run + "&SubnetId=$subnetB&ClientToken=once", "IdempotentParameterMismatch", ""},
	// VPCs.
	{"CreateVpc", "MissingParameter", "The request must contain the parameter cidrBlock"},
	{"CreateVpc&CidrBlock=10.0.0.0/8", "InvalidVpc.Range", "The CIDR '10.0.0.0/8' is invalid."},
	{"CreateVpc&CidrBlock=ten", "InvalidParameterValue", "ten"},
	{"CreateVpc&CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true", "UnsupportedOperation", "AmazonProvidedIpv6CidrBlock"},
	{"CreateVpc&CidrBlock=10.0.0.0/16&InstanceTenancy=host", "UnsupportedTenancy", ""},
	{"DeleteVpc&VpcId=$vpc", "DependencyViolation", "The vpc '$vpc' has dependencies and cannot be deleted."},
	{"DeleteVpc&VpcId=vpc-01234567890abcdef", "InvalidVpcID.NotFound", "The vpc ID 'vpc-01234567890abcdef' does not exist"},
	{"DeleteVpc&VpcId=vpc-1", "InvalidVpcID.Malformed", `"vpc-1"`},
	{"AssociateVpcCidrBlock&VpcId=$vpc&CidrBlock=192.168.0.0/16", "InvalidVpc.Range", ""},
	{"AssociateVpcCidrBlock&VpcId=$vpc&CidrBlock=10.0.0.0/24", "CidrConflict", ""},
	{"DisassociateVpcCidrBlock&AssociationId=vpc-cidr-assoc-01234567890abcdef", "InvalidVpcCidrBlockAssociationID.NotFound", ""},
	{"DisassociateVpcCidrBlock&AssociationId=$primaryBlock", "OperationNotPermitted", ""},
	{"DisassociateVpcCidrBlock&AssociationId=$block", "InvalidCidrBlock.InUse", ""},
	{"CreateDefaultVpc", "DefaultVpcAlreadyExists", ""},
	{"us-west-2 CreateDefaultSubnet&AvailabilityZone=us-west-2a", "DefaultVpcDoesNotExist", ""},
	{"CreateDefaultSubnet&AvailabilityZone=us-east-1a", "DefaultSubnetAlreadyExistsInAvailabilityZone", "$defaultSubnet"},
	// An ID of another Region.
	{"us-west-2 DescribeVpcs&VpcId.1=$vpc", "InvalidVpcID.NotFound", "$vpc"},
	// Subnets.
	{"CreateSubnet&VpcId=$vpc&CidrBlock=10.0.1.128/25", "InvalidSubnet.Conflict", "The CIDR '10.0.1.128/25' conflicts with another subnet"},
	{"CreateSubnet&VpcId=$vpc&CidrBlock=10.5.0.0/24", "InvalidSubnet.Range", "The CIDR '10.5.0.0/24' is invalid."},
	{"CreateSubnet&VpcId=vpc-01234567890abcdef&CidrBlock=10.0.9.0/24", "InvalidVpcID.NotFound", ""},
	{"CreateSubnet&VpcId=$vpc&CidrBlock=10.0.9.0/24&AvailabilityZone=us-east-9a", "InvalidParameterValue", "us-east-9a"},
	{"DeleteSubnet&SubnetId=$subnet", "DependencyViolation", "The subnet '$subnet' has dependencies and cannot be deleted."},
	{"DeleteSubnet&SubnetId=subnet-01234567890abcdef", "InvalidSubnetID.NotFound", "The subnet ID 'subnet-01234567890abcdef' does not exist"},
	{"DescribeSubnets&SubnetId.1=subnet-xyz", "InvalidSubnetID.Malformed", ""},
	{"ModifySubnetAttribute&SubnetId=$subnet&MapPublicIpOnLaunch.Value=true&EnableResourceNameDnsARecordOnLaunch.Value=true", "InvalidParameterCombination", ""},
	// Internet gateways.
	{"AttachInternetGateway&InternetGatewayId=igw-01234567890abcdef&VpcId=$vpc", "InvalidInternetGatewayID.NotFound", "The internetGateway ID 'igw-01234567890abcdef' does not exist"},
	{"AttachInternetGateway&InternetGatewayId=$igw&VpcId=$other", "Resource.AlreadyAssociated", "$igw"},
	{"AttachInternetGateway&InternetGatewayId=$freeIgw&VpcId=$vpc", "InvalidParameterValue", "$vpc"},
	{"DetachInternetGateway&InternetGatewayId=$freeIgw&VpcId=$vpc", "Gateway.NotAttached", ""},
	{"DetachInternetGateway&InternetGatewayId=$igw&VpcId=$vpc", "DependencyViolation", "Network $vpc has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."},
	{"DeleteInternetGateway&InternetGatewayId=$igw", "DependencyViolation", "The internetGateway '$igw' has dependencies and cannot be deleted."},
	// Route tables and routes.
	{"DeleteRouteTable&RouteTableId=rtb-01234567890abcdef", "InvalidRouteTableID.NotFound", "The routeTable ID 'rtb-01234567890abcdef' does not exist"},
	{"DeleteRouteTable&RouteTableId=rtb", "InvalidRouteTableId.Malformed", ""},
	{"DeleteRouteTable&RouteTableId=$table", "DependencyViolation", "The routeTable '$table' has dependencies and cannot be deleted."},
	{"AssociateRouteTable&RouteTableId=$table&SubnetId=$subnet", "Resource.AlreadyAssociated", "$table"},
	{"DisassociateRouteTable&AssociationId=rtbassoc-01234567890abcdef", "InvalidAssociationID.NotFound", ""},
	{"DisassociateRouteTable&AssociationId=$mainOf", "InvalidParameterValue", ""},
	{"CreateRoute&RouteTableId=$table&DestinationCidrBlock=0.0.0.0/0&GatewayId=$igw", "RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists."},
	{"CreateRoute&RouteTableId=$table&DestinationCidrBlock=9.0.0.0/8", "MissingParameter", ""},
	{"CreateRoute&RouteTableId=$table&DestinationCidrBlock=9.0.0.0/8&GatewayId=igw-01234567890abcdef", "InvalidGatewayID.NotFound", "igw-01234567890abcdef"},
	{"CreateRoute&RouteTableId=$table&DestinationCidrBlock=9.0.0.0/8&NatGatewayId=nat-01234567890abcdef", "InvalidNatGatewayID.NotFound", "nat-01234567890abcdef"},
	{"CreateRoute&RouteTableId=$table&DestinationCidrBlock=9.0.0.0/8&NetworkInterfaceId=eni-01234567890abcdef", "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID 'eni-01234567890abcdef' does not exist"},
	{"CreateRoute&RouteTableId=$table&DestinationCidrBlock=9.0.0.0/8&TransitGatewayId=tgw-01234567890abcdef", "UnsupportedOperation", "TransitGatewayId"},
	{"CreateRoute&RouteTableId=$table&DestinationCidrBlock=9.0.0.0/8&GatewayId=$freeIgw", "InvalidParameterValue", "different networks"},
	{"DeleteRoute&RouteTableId=$table&DestinationCidrBlock=9.0.0.0/8", "InvalidRoute.NotFound", "no route with destination-cidr-block 9.0.0.0/8 in route table $table"},
	{"DeleteRoute&RouteTableId=$table&DestinationCidrBlock=10.0.0.0/16", "InvalidParameterValue", "cannot remove local route 10.0.0.0/16 in route table $table"},
	// NAT gateways and addresses.
	{"DescribeNatGateways&NatGatewayId.1=nat-01234567890abcdef", "NatGatewayNotFound", "nat-01234567890abcdef"},
	{"DeleteNatGateway&NatGatewayId=nat", "NatGatewayMalformed", ""},
	{"CreateNatGateway&SubnetId=subnet-01234567890abcdef&AllocationId=$freeEip", "InvalidSubnetID.NotFound", ""},
	{"CreateNatGateway&SubnetId=$subnet", "MissingParameter", ""},
	{"AssignPrivateNatGatewayAddress&NatGatewayId=$nat&PrivateIpAddressCount=1", "Unsupported", ""},
	{"ReleaseAddress&AllocationId=eipalloc-01234567890abcdef", "InvalidAllocationID.NotFound", "eipalloc-01234567890abcdef"},
	{"ReleaseAddress&AllocationId=$eip", "InvalidIPAddress.InUse", ""},
	{"ReleaseAddress&AllocationId=$natEip", "AuthFailure", "You do not have permission to access the specified resource."},
	{"DescribeAddresses&PublicIp.1=192.0.2.1", "InvalidAddress.NotFound", "192.0.2.1"},
	{"DisassociateAddress&AssociationId=eipassoc-01234567890abcdef", "InvalidAssociationID.NotFound", ""},
	{"DisassociateAddress&AssociationId=$eipOf&PublicIp=192.0.2.1", "InvalidParameterCombination", ""},
	{"AssociateAddress&AllocationId=$eip&InstanceId=$instance&AllowReassociation=false", "Resource.AlreadyAssociated", "resource $eip is already associated with associate-id $eipOf"},
	{"AssociateAddress&AllocationId=$freeEip&InstanceId=i-01234567890abcdef", "InvalidInstanceID.NotFound", ""},
	{"AssociateAddress&AllocationId=$freeEip&InstanceId=$gone", "InvalidInstanceID", "$gone"},
	{"AssociateNatGatewayAddress&NatGatewayId=$failed&AllocationId.1=$freeEip", "IncorrectState", "$failed"},
	// Security groups.
	{"DescribeSecurityGroups&GroupId.1=sg-01234567890abcdef", "InvalidGroup.NotFound", "The security group 'sg-01234567890abcdef' does not exist"},
	{"DescribeSecurityGroups&GroupName.1=none", "InvalidGroup.NotFound", "The security group 'none' does not exist in default VPC '$defaultVpc'"},
	{"DescribeSecurityGroups&GroupId.1=web", "InvalidGroupId.Malformed", ""},
	{"CreateSecurityGroup&GroupName=web&GroupDescription=x&VpcId=$vpc", "InvalidGroup.Duplicate", "The security group 'web' already exists for VPC '$vpc'"},
	{"CreateSecurityGroup&GroupName=WEB&GroupDescription=x&VpcId=$vpc", "InvalidGroup.Duplicate", "The security group 'WEB' already exists for VPC '$vpc'"},
	{"CreateSecurityGroup&GroupName=Default&GroupDescription=x&VpcId=$vpc", "InvalidGroup.Reserved", ""},
	{"CreateSecurityGroup&GroupName=default&GroupDescription=x&VpcId=$vpc", "InvalidGroup.Reserved", ""},
	{"CreateSecurityGroup&GroupName=sg-x&GroupDescription=x&VpcId=$vpc", "InvalidParameterValue", "Group names may not be in the format sg-*."},
	{"us-west-2 CreateSecurityGroup&GroupName=x&GroupDescription=x", "VPCIdNotSpecified", "No default VPC for this user"},
	{"DeleteSecurityGroup&GroupId=$group", "DependencyViolation", "resource $group has a dependent object"},
	{"DeleteSecurityGroup&GroupId=$defaultGroup", "CannotDelete", `the specified group: "$defaultGroup" name: "default" cannot be deleted by a user`},
	{"AuthorizeSecurityGroupIngress&GroupId=$group" + permit + "0.0.0.0/0", "InvalidPermission.Duplicate", `the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists`},
	{"AuthorizeSecurityGroupIngress&GroupId=$group" + permit + "nonsense", "InvalidParameterValue", "CIDR block nonsense is malformed"},
	{"AuthorizeSecurityGroupIngress&GroupId=$group&IpPermissions.1.IpProtocol=-1&IpPermissions.1.Groups.1.GroupId=$otherGroup", "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."},
	{"AuthorizeSecurityGroupEgress&GroupId=$group&IpPermissions.1.IpProtocol=-1&IpPermissions.1.PrefixListIds.1.PrefixListId=pl-01234567890abcdef", "InvalidPrefixListID.NotFound", ""},
	{"RevokeSecurityGroupIngress&GroupId=$group" + permit + "9.9.9.9/32", "InvalidPermission.NotFound", "The specified rule does not exist in this security group."},
	{"RevokeSecurityGroupIngress&GroupId=$group&SecurityGroupRuleId.1=sgr-01234567890abcdef", "InvalidSecurityGroupRuleId.NotFound", "sgr-01234567890abcdef"},
	{"DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1=foobar", "InvalidGroupId.Malformed", "The security group ID 'foobar' is malformed"},
	{modify, "InvalidParameterValue", "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly."},
	{modify + "&SecurityGroupRule.1.SecurityGroupRule.IpProtocol=udp&SecurityGroupRule.1.SecurityGroupRule.ToPort=27011&SecurityGroupRule.1.SecurityGroupRule.CidrIpv4=2.3.4.5/32",
		"InvalidParameterValue", "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."},
	{modify + "&SecurityGroupRule.1.SecurityGroupRule.IpProtocol=TCP&SecurityGroupRule.1.SecurityGroupRule.ToPort=27011&SecurityGroupRule.1.SecurityGroupRule.CidrIpv4=2.3.4.5/32",
		"InvalidParameterValue", "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."},
	{modify + "&SecurityGroupRule.1.SecurityGroupRule.IpProtocol=-1",
		"MissingParameter", "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId"},
	{modify + "&SecurityGroupRule.1.SecurityGroupRule.IpProtocol=-1&SecurityGroupRule.1.SecurityGroupRule.CidrIpv4=2.3.4.5/32&SecurityGroupRule.1.SecurityGroupRule.CidrIpv6=2001:db8::/32",
		"InvalidParameterCombination", "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified"},
	// Network ACLs.
	{"DeleteNetworkAcl&NetworkAclId=acl-01234567890abcdef", "InvalidNetworkAclID.NotFound", "The networkAcl ID 'acl-01234567890abcdef' does not exist"},
	{"DeleteNetworkAcl&NetworkAclId=$acl", "DependencyViolation", "The networkAcl '$acl' has dependencies and cannot be deleted."},
	{"CreateNetworkAclEntry&NetworkAclId=$acl&RuleNumber=100&Protocol=-1&RuleAction=deny&Egress=false&CidrBlock=0.0.0.0/0", "NetworkAclEntryAlreadyExists", "The network acl entry identified by 100 already exists."},
	{"DeleteNetworkAclEntry&NetworkAclId=$acl&RuleNumber=101&Egress=false", "InvalidNetworkAclEntry.NotFound", "The network acl entry identified by 101 does not exist."},
	{"ReplaceNetworkAclAssociation&AssociationId=aclassoc-01234567890abcdef&NetworkAclId=$acl", "InvalidAssociationID.NotFound", "The association ID 'aclassoc-01234567890abcdef' does not exist"},
	// Network interfaces.
	{"DeleteNetworkInterface&NetworkInterfaceId=eni-01234567890abcdef", "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID 'eni-01234567890abcdef' does not exist"},
	{"DeleteNetworkInterface&NetworkInterfaceId=$primary", "InvalidNetworkInterface.InUse", "Network interface '$primary' is currently in use by instance '$instance'."},
	{"DetachNetworkInterface&AttachmentId=eni-attach-01234567890abcdef", "InvalidAttachmentID.NotFound", ""},
	{"DetachNetworkInterface&AttachmentId=$eth0", "OperationNotPermitted", "The network interface at device index 0 cannot be detached."},
	{"CreateNetworkInterface&SubnetId=$subnet&PrivateIpAddress=10.0.1.60", "InvalidIPAddress.InUse", ""},
	{"CreateNetworkInterface&SubnetId=$subnet&PrivateIpAddress=10.0.2.60", "InvalidParameterValue", ""},
	{run + "&NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.NetworkInterfaceId=$eni&SubnetId=$subnet", "InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request"},
	{"AssociateRouteTable&RouteTableId=$table&SubnetId=$otherSubnet", "InvalidParameterValue", "route table $table and subnet $otherSubnet belong to different networks"},
	// Instances.
	{"DescribeInstances&InstanceId.1=i-01234567890abcdef", "InvalidInstanceID.NotFound", "The instance ID 'i-01234567890abcdef' does not exist"},
	{"DescribeInstances&InstanceId.1=web", "InvalidInstanceID.Malformed", ""},
	{"RunInstances&MinCount=1&MaxCount=1", "MissingParameter", "The request must contain the parameter ImageId"},
	{run + "&NetworkInterface.1.SubnetId=$subnet", "InvalidParameterValue", "Each network interface requires a device index."},
	{run + "&SubnetId=$subnet&BlockDeviceMapping.1.DeviceName=/dev/sdf", "MissingParameter", "The request must contain the parameter ebs"},
	{run + "&SubnetId=$subnet&BlockDeviceMapping.1.DeviceName=/dev/sdf&BlockDeviceMapping.1.Ebs.VolumeType=gp3", "MissingParameter", "The request must contain the parameter size or snapshotId"},
	{"AssociateIamInstanceProfile&InstanceId=$instance", "MissingParameter", "The request must contain the parameter iamInstanceProfile"},
	{"AssociateIamInstanceProfile&InstanceId=$gone&IamInstanceProfile.Name=app", "IncorrectInstanceState", "The instance '$gone' is not in the 'running' or 'stopped' states."},
	{"ReplaceIamInstanceProfileAssociation&AssociationId=iip-assoc-01234567890abcdef&IamInstanceProfile.Name=app", "InvalidAssociationID.NotFound", "An invalid association-id of 'iip-assoc-01234567890abcdef' was given"},
	{"DisassociateIamInstanceProfile&AssociationId=iip-assoc-01234567890abcdef", "InvalidAssociationID.NotFound", ""},
	{"ModifyInstanceAttribute&InstanceId=$instance&BlockDeviceMapping.1.DeviceName=/dev/sdz&BlockDeviceMapping.1.Ebs.DeleteOnTermination=false", "InvalidInstanceAttributeValue", "No device is currently mapped at /dev/sdz"},
	{"ModifyInstanceAttribute&InstanceId=$instance&BlockDeviceMapping.1.DeviceName=/dev/xvda", "MissingParameter", "The request must contain the parameter ebs.deleteOnTermination"},
	{"DescribeLaunchTemplates&LaunchTemplateName.1=web", "InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name web, does not exist."},
	{"DescribePlacementGroups&GroupName.1=near", "InvalidPlacementGroup.Unknown", "The Placement Group 'near' is unknown."},
	{"RunInstances&ImageId=ubuntu&MinCount=1&MaxCount=1", "InvalidAMIID.Malformed", ""},
	{run + "&SubnetId=$subnet&KeyName=none", "InvalidKeyPair.NotFound", "The key pair 'none' does not exist"},
	{"CreateKeyPair&KeyName=key", "InvalidKeyPair.Duplicate", "The keypair 'key' already exists."},
	{run + "&SubnetId=$subnet&InstanceType=t99.huge", "InvalidParameterValue", "t99.huge"},
	{"DescribeInstanceTypes&InstanceType.1=t99.huge", "InvalidInstanceType", "t99.huge"},
	{run + "&SubnetId=subnet-01234567890abcdef", "InvalidSubnetID.NotFound", ""},
	{run + "&SubnetId=$subnet&SecurityGroupId.1=$otherGroup", "InvalidParameter", "belong to different networks"},
	{run + "&SubnetId=$subnet&Ipv6AddressCount=1", "UnsupportedOperation", "Ipv6AddressCount"},
	{"us-west-2 " + run, "VPCIdNotSpecified", "No default VPC for this user."},
	{"TerminateInstances&InstanceId.1=$protected", "OperationNotPermitted", "The instance '$protected' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."},
	{"StopInstances&InstanceId.1=$protected", "OperationNotPermitted", "disableApiStop"},
	{"RebootInstances&InstanceId.1=$stopped", "IncorrectInstanceState", "$stopped"},
	{"TerminateInstances", "InvalidParameterCombination", "No instances specified"},
	{"StopInstances", "InvalidParameterCombination", "No instances specified"},
	{"StartInstances", "InvalidParameterCombination", "No instances specified"},
	{"TerminateInstances&InstanceId.1=i-0123456789abcdef1&InstanceId.2=$instance&InstanceId.3=i-0123456789abcdef0", "InvalidInstanceID.NotFound", "The instance IDs 'i-0123456789abcdef1, i-0123456789abcdef0' do not exist"},
	{"DescribeInstances&InstanceId.1=i-0123456789abcdef1&InstanceId.2=i-0123456789abcdef0", "InvalidInstanceID.NotFound", "The instance IDs 'i-0123456789abcdef0, i-0123456789abcdef1' do not exist"},
	{"DescribeInstances&MaxResults=5&InstanceId.1=$instance", "InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults"},
	{run + "&Placement.AvailabilityZone=us-west-2a", "InvalidParameterValue", "Invalid availability zone: [us-west-2a]"},
	{"ModifyInstanceAttribute&InstanceId=$instance&EbsOptimized.Value=true", "IncorrectInstanceState", "The instance '$instance' is not in the 'stopped' state."},
	{"ModifyInstanceAttribute&InstanceId=$instance&InstanceType.Value=t3.small", "IncorrectInstanceState", "The instance '$instance' is not in the 'stopped' state."},
	{"DeleteVolume&VolumeId=$volume", "VolumeInUse", "$volume"},
	{"DeleteVolume&VolumeId=vol-01234567890abcdef", "InvalidVolume.NotFound", "vol-01234567890abcdef"},
	// The rest.
	{"DescribeDhcpOptions&DhcpOptionsId.1=dopt-01234567890abcdef", "InvalidDhcpOptionID.NotFound", "The dhcpOption ID 'dopt-01234567890abcdef' does not exist"},
	{"DeleteDhcpOptions&DhcpOptionsId=dopt-01234567890abcdef", "InvalidDhcpOptionsID.NotFound", "The dhcpOption ID 'dopt-01234567890abcdef' does not exist"},
	{"DeleteDhcpOptions&DhcpOptionsId=$options", "DependencyViolation", "$options"},
	{"CreateFlowLogs&ResourceType=VPC&ResourceId.1=$vpc&TrafficType=ALL&LogDestinationType=s3&LogDestination=arn:aws:s3:::logs", "FlowLogAlreadyExists", ""},
	{"DeleteFlowLogs&FlowLogId.1=fl-01234567890abcdef&FlowLogId.2=fl-01234567890abcde0", "InvalidFlowLogId.NotFound", "These flow log ids in the input list are not found: [TotalCount: 2] fl-01234567890abcdef fl-01234567890abcde0"},
	{"CreateTags&Tag.1.Key=a&Tag.1.Value=b", "MissingParameter", "The request must contain the parameter resourceIdSet"},
	{"DeleteTags&Tag.1.Key=a", "MissingParameter", "The request must contain the parameter resourceIdSet"},
	{"CreateTags&ResourceId.1=thing-1&Tag.1.Key=a&Tag.1.Value=b", "InvalidID", "The ID 'thing-1' is not valid"},
	{"CreateTags&ResourceId.1=$vpc&Tag.1.Key=aws:a&Tag.1.Value=b", "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use"},
	{"CreateTags&ResourceId.1=$vpc&Tag.1.Key=a&Tag.1.Value=b&Tag.2.Key=a&Tag.2.Value=c", "InvalidParameterValue", "Duplicate tag key 'a' specified."},
	{"CreateTags&ResourceId.1=$vpc&Tag.1.Key=a&Tag.1.Value=%01", "InvalidParameterValue", "text that XML can carry"},
	{"CreateTags&ResourceId.1=$vpc&Tag.1.Key=%ff&Tag.1.Value=b", "InvalidParameterValue", "text that XML can carry"},
	{"CreateVpc&CidrBlock=10.0.0.0/16&TagSpecification.1.ResourceType=subnet&TagSpecification.1.Tag.1.Key=a", "InvalidParameterValue", "'subnet' is not a valid taggable resource type for this operation."},
	{"CreateVpc&CidrBlock=10.0.0.0/16&TagSpecification.1.Tag.1.Key=a", "InvalidParameterValue", "Tag specification resource type must have a value"},
	{"CreateRouteTable&VpcId=$vpc&ClientToken=%C3%BC", "InvalidParameterValue", "The client token may have at most 64 ASCII characters."},
	{"DescribeVpcs&NextToken=xx", "InvalidPaginationToken", "The token 'xx' is invalid"},
	{"DescribeSubnets&NextToken=dnBjLTAx", "InvalidPaginationToken", ""},
	// What a lab never has.
	{"DescribeVpcPeeringConnections&VpcPeeringConnectionId.1=pcx-01234567890abcdef", "InvalidVpcPeeringConnectionID.NotFound", ""},
	{"DescribeTransitGateways&TransitGatewayIds.1=tgw-01234567890abcdef", "InvalidTransitGatewayID.NotFound", ""},
	{"DescribeVpcEndpoints&VpcEndpointId.1=vpce-01234567890abcdef", "InvalidVpcEndpointId.NotFound", ""},
}

// Requests that succeed until a quota is reached, and the error then. In a form, %[1]d is
// the number of the request, and %[2]d.%[3]d two numbers of a block.
func TestErrors_Quotas(t *testing.T) {
	var ranges strings.Builder
	for i := range 61 {
		fmt.Fprintf(&ranges, "&IpPermissions.1.IpRanges.%d.CidrIp=10.0.0.%d/32", i+1, i)
	}
	for _, tt := range []struct {
		form, code string
		most       int // requests that succeed
		message    string
	}{
		{"CreateVpc&CidrBlock=10.1%[1]d.0.0/16", "VpcLimitExceeded", 2, ""},
		{"AssociateVpcCidrBlock&VpcId=$vpc&CidrBlock=10.1%[1]d.0.0/16", "CidrLimitExceeded", 3, "This network $vpc has met its maximum number of allowed CIDRs: 5"},
		{"CreateSubnet&VpcId=$other&CidrBlock=10.9.1%[2]d.%[3]d/28", "SubnetLimitExceeded", 199, ""},
		{"CreateInternetGateway", "InternetGatewayLimitExceeded", 2, ""},
		{"CreateRouteTable&VpcId=$vpc", "RouteTableLimitExceeded", 198, ""},
		{"CreateRoute&RouteTableId=$table&DestinationCidrBlock=9.%[2]d.%[3]d.0/28&GatewayId=$igw", "RouteLimitExceeded", 497, ""},
		{"CreateNatGateway&SubnetId=$subnet&ConnectivityType=private", "NatGatewayLimitExceeded", 3, ""},
		{"AllocateAddress", "AddressLimitExceeded", 2, ""},
		{"CreateSecurityGroup&VpcId=$vpc&GroupName=g%[1]d&GroupDescription=x", "SecurityGroupLimitExceeded", 2494, ""},
		{"AuthorizeSecurityGroupIngress&GroupId=$otherGroup&IpPermissions.1.IpProtocol=-1" + ranges.String(), "RulesPerSecurityGroupLimitExceeded", 0, ""},
		{"CreateNetworkAcl&VpcId=$vpc", "NetworkAclLimitExceeded", 198, ""},
		{"CreateNetworkAclEntry&NetworkAclId=$acl&RuleNumber=2%[1]d&Protocol=-1&RuleAction=deny&Egress=false&CidrBlock=0.0.0.0/0", "NetworkAclEntryLimitExceeded", 19, ""},
		{"CreateNetworkInterface&SubnetId=$small", "InsufficientFreeAddressesInSubnet", 11, ""},
		{"CreateTags&ResourceId.1=$vpc&Tag.1.Key=key%[1]d&Tag.1.Value=", "TagLimitExceeded", 50, ""},
		{"AssignPrivateIpAddresses&NetworkInterfaceId=$primary&PrivateIpAddress.1=10.0.1.1%[1]d", "PrivateIpAddressLimitExceeded", 1, ""},
		{"RunInstances&ImageId=ami-01234567890abcdef&SubnetId=$subnet&MinCount=1001&MaxCount=1001", "InstanceLimitExceeded", 0, ""},
	} {
		t.Run(tt.code, func(t *testing.T) {
			a := furnished(t)
			for i := range tt.most {
				a.do(numbered(tt.form, i))
			}
			a.refused(numbered(tt.form, tt.most), tt.code, tt.message)
		})
	}
}

func numbered(form string, i int) string {
	return strings.NewReplacer("%[1]d", fmt.Sprint(i), "%[2]d", fmt.Sprint(i/16), "%[3]d", fmt.Sprint(i%16*16)).Replace(form)
}
