package ec2api_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
)

// What clients rely on, and servers that are not AWS get wrong (API notes, 1.8, 2 and 3.2).

// gives sends a form and gives the texts of all elements of this name in its answer.
func (a *account) gives(form, element string) []string {
	a.t.Helper()
	status, body := a.send(form)
	if status != 200 {
		a.t.Fatalf("%s: %d %s", form, status, body)
	}
	var list []string
	d := xml.NewDecoder(strings.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return list
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == element {
			var text string
			if err := d.DecodeElement(&text, &start); err != nil {
				a.t.Fatal(err)
			}
			list = append(list, strings.TrimSpace(text))
		}
	}
}

func (a *account) want(form, element string, texts ...string) {
	a.t.Helper()
	if got := a.gives(form, element); fmt.Sprint(got) != fmt.Sprint(texts) {
		a.t.Errorf("%s: %s is %q, want %q", form, element, got, texts)
	}
}

// Terraform takes a new group's outbound rules away: that of IPv4 with ports that a rule
// of all traffic has not, that of IPv6 although there may be none.
func TestQuirk_DefaultEgressIsRevokedWithPorts(t *testing.T) {
	a := newAccount(t)
	const revoke = "RevokeSecurityGroupEgress&GroupId=$group&IpPermissions.1.IpProtocol=-1&IpPermissions.1.FromPort=0&IpPermissions.1.ToPort=0"
	a.has("default", "DescribeVpcs", "vpcId")
	a.has("vpc", "CreateVpc&CidrBlock=10.0.0.0/16", "vpcId")
	a.has("group", "CreateSecurityGroup&GroupName=a&GroupDescription=a&VpcId=$vpc", "groupId")
	a.do(revoke + "&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0")
	a.want("DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1=$group", "securityGroupRuleId")
	a.refused(revoke+"&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=%3A%3A/0", "InvalidPermission.NotFound", "")
	// In the default VPC AWS lists what it did not find.
	a.has("group", "CreateSecurityGroup&GroupName=a&GroupDescription=a&VpcId=$default", "groupId")
	a.want(revoke+"&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=%3A%3A/0", "cidrIpv6", "::/0")
}

// Of a NAT gateway's addresses exactly one is primary, and the flag is never left out.
func TestQuirk_IsPrimary(t *testing.T) {
	a := furnished(t)
	a.do("AssociateNatGatewayAddress&NatGatewayId=$nat&AllocationId.1=$freeEip")
	a.want("DescribeNatGateways&NatGatewayId.1=$nat", "isPrimary", "true", "false")
	a.want("DescribeNatGateways&NatGatewayId.1=$private", "isPrimary", "true")
}

// An instance, an image, a VPC without tags has no tag set at all (boto3's issues 264 and 388: tags is
// None), and others have an empty one.
func TestQuirk_WithoutTags(t *testing.T) {
	a := furnished(t)
	for form, sets := range map[string]int{
		"DescribeVpcs&VpcId.1=$vpc": 0, "DescribeSubnets&SubnetId.1=$subnet": 0, "DescribeSecurityGroups&GroupId.1=$group": 0,
		"DescribeInstances&InstanceId.1=$instance": 0, "DescribeImages&ImageId.1=ami-01234567890abcdef": 0,
		"DescribeRouteTables&RouteTableId.1=$table": 1, "DescribeNetworkInterfaces&NetworkInterfaceId.1=$eni": 1,
	} {
		if got := len(a.gives(form, "tagSet")); got != sets {
			t.Errorf("%s: %d tag sets, want %d", form, got, sets)
		}
	}
}

// Terraform's no_device is sent without a value.
func TestQuirk_NoDevice(t *testing.T) {
	a := furnished(t)
	a.has("bare", run+"&SubnetId=$subnet&BlockDeviceMapping.1.DeviceName=/dev/sdb&BlockDeviceMapping.1.NoDevice=", "instanceId")
	a.want("DescribeInstances&InstanceId.1=$bare", "deviceName", "/dev/xvda")
}

// What is modified is told by the next call, one attribute each.
func TestQuirk_AttributesAreReadBackAtOnce(t *testing.T) {
	a := furnished(t)
	for _, tt := range []struct{ modify, read, element, value string }{
		{"ModifySubnetAttribute&SubnetId=$subnet&MapPublicIpOnLaunch.Value=true", "DescribeSubnets&SubnetId.1=$subnet", "mapPublicIpOnLaunch", "true"},
		{"ModifySubnetAttribute&SubnetId=$subnet&EnableResourceNameDnsARecordOnLaunch.Value=true", "DescribeSubnets&SubnetId.1=$subnet", "enableResourceNameDnsARecord", "true"},
		{"ModifySubnetAttribute&SubnetId=$subnet&PrivateDnsHostnameTypeOnLaunch=resource-name", "DescribeSubnets&SubnetId.1=$subnet", "hostnameType", "resource-name"},
		// What is so anyway.
		{"ModifySubnetAttribute&SubnetId=$subnet&AssignIpv6AddressOnCreation.Value=false", "DescribeSubnets&SubnetId.1=$subnet", "assignIpv6AddressOnCreation", "false"},
		{"ModifySubnetAttribute&SubnetId=$subnet&EnableDns64.Value=false", "DescribeSubnets&SubnetId.1=$subnet", "enableDns64", "false"},
		{"ModifyVpcAttribute&VpcId=$vpc&EnableDnsHostnames.Value=true", "DescribeVpcAttribute&VpcId=$vpc&Attribute=enableDnsHostnames", "value", "true"},
		{"ModifyVpcAttribute&VpcId=$vpc&EnableNetworkAddressUsageMetrics.Value=true", "DescribeVpcAttribute&VpcId=$vpc&Attribute=enableNetworkAddressUsageMetrics", "value", "true"},
		{"ModifyVpcAttribute&VpcId=$vpc&EnableDnsSupport.Value=false", "DescribeVpcAttribute&VpcId=$vpc&Attribute=enableDnsSupport", "value", "false"},
		{"ModifyInstanceAttribute&InstanceId=$instance&DisableApiStop.Value=true", "DescribeInstanceAttribute&InstanceId=$instance&Attribute=disableApiStop", "value", "true"},
		{"ModifyInstanceAttribute&InstanceId=$instance&DisableApiTermination.Value=true", "DescribeInstanceAttribute&InstanceId=$instance&Attribute=disableApiTermination", "value", "true"},
		{"ModifyInstanceAttribute&InstanceId=$instance&SourceDestCheck.Value=false", "DescribeInstances&InstanceId.1=$instance", "sourceDestCheck", "false false"},
		{"ModifyNetworkInterfaceAttribute&NetworkInterfaceId=$eni&Description.Value=x", "DescribeNetworkInterfaceAttribute&NetworkInterfaceId=$eni&Attribute=description", "value", "x"},
		{"ModifyNetworkInterfaceAttribute&NetworkInterfaceId=$eni&SecurityGroupId.1=$group", "DescribeNetworkInterfaceAttribute&NetworkInterfaceId=$eni&Attribute=groupSet", "groupName", "web"},
	} {
		a.do(tt.modify)
		a.want(tt.read, tt.element, strings.Fields(tt.value)...)
	}
}

// IPv6 is refused by the parameter's name, unless it is what there is: none.
func TestQuirk_NoIpv6(t *testing.T) {
	a := furnished(t)
	for _, form := range []string{
		"CreateVpc&CidrBlock=10.77.0.0/16&AmazonProvidedIpv6CidrBlock=false",
		"CreateSubnet&VpcId=$vpc&CidrBlock=10.0.99.0/24&Ipv6Native=false",
		"ModifySubnetAttribute&SubnetId=$subnet&AssignIpv6AddressOnCreation.Value=false",
		run + "&SubnetId=$subnet&Ipv6AddressCount=0",
	} {
		a.do(form)
	}
	for form, parameter := range map[string]string{
		"CreateVpc&CidrBlock=10.77.0.0/16&AmazonProvidedIpv6CidrBlock=true":                "AmazonProvidedIpv6CidrBlock",
		"AssociateVpcCidrBlock&VpcId=$vpc&AmazonProvidedIpv6CidrBlock=true":                "AmazonProvidedIpv6CidrBlock",
		"CreateSubnet&VpcId=$vpc&CidrBlock=10.0.98.0/24&Ipv6CidrBlock=2001:db8::/64":       "Ipv6CidrBlock",
		"CreateSubnet&VpcId=$vpc&Ipv6Native=true":                                          "Ipv6Native",
		"ModifySubnetAttribute&SubnetId=$subnet&AssignIpv6AddressOnCreation.Value=true":    "AssignIpv6AddressOnCreation",
		"CreateRoute&RouteTableId=$table&DestinationIpv6CidrBlock=%3A%3A/0&GatewayId=$igw": "DestinationIpv6CidrBlock",
		"CreateNetworkInterface&SubnetId=$subnet&Ipv6AddressCount=1":                       "Ipv6AddressCount",
		run + "&SubnetId=$subnet&Ipv6Address.1.Ipv6Address=2001:db8::1":                    "Ipv6Address",
	} {
		a.refused(form, "UnsupportedOperation", parameter)
	}
}

// Each thing in a VPC keeps it, whatever else goes.
func TestQuirk_DeleteVpcWhileItHolds(t *testing.T) {
	for _, tt := range []struct{ what, form, element, prune string }{
		{"a subnet", "CreateSubnet&VpcId=$vpc&CidrBlock=10.0.0.0/24", "subnetId", "DeleteSubnet&SubnetId=$it"},
		{"a route table", "CreateRouteTable&VpcId=$vpc", "routeTableId", "DeleteRouteTable&RouteTableId=$it"},
		{"a security group", "CreateSecurityGroup&VpcId=$vpc&GroupName=x&GroupDescription=x", "groupId", "DeleteSecurityGroup&GroupId=$it"},
		{"a network ACL", "CreateNetworkAcl&VpcId=$vpc", "networkAclId", "DeleteNetworkAcl&NetworkAclId=$it"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			a := newAccount(t)
			a.has("vpc", "CreateVpc&CidrBlock=10.0.0.0/16", "vpcId")
			a.has("it", tt.form, tt.element)
			a.refused("DeleteVpc&VpcId=$vpc", "DependencyViolation", "The vpc '$vpc' has dependencies and cannot be deleted.")
			a.do(tt.prune)
			a.do("DeleteVpc&VpcId=$vpc")
			a.refused("DescribeVpcs&VpcId.1=$vpc", "InvalidVpcID.NotFound", "")
		})
	}
	t.Run("an Internet gateway", func(t *testing.T) {
		a := newAccount(t)
		a.has("vpc", "CreateVpc&CidrBlock=10.0.0.0/16", "vpcId")
		a.has("it", "CreateInternetGateway", "internetGatewayId")
		a.do("AttachInternetGateway&InternetGatewayId=$it&VpcId=$vpc")
		a.refused("DeleteVpc&VpcId=$vpc", "DependencyViolation", "")
		a.do("DetachInternetGateway&InternetGatewayId=$it&VpcId=$vpc")
		a.do("DeleteVpc&VpcId=$vpc")
	})
}

// A subnet is kept by what has an address in it.
func TestQuirk_DeleteSubnetWhileItHolds(t *testing.T) {
	for _, tt := range []struct{ what, form, element, prune string }{
		{"an interface", "CreateNetworkInterface&SubnetId=$subnet", "networkInterfaceId", "DeleteNetworkInterface&NetworkInterfaceId=$it"},
		{"an instance", run + "&SubnetId=$subnet", "instanceId", "TerminateInstances&InstanceId.1=$it"},
		{"a NAT gateway", "CreateNatGateway&SubnetId=$subnet&ConnectivityType=private", "natGatewayId", "DeleteNatGateway&NatGatewayId=$it"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			a := newAccount(t)
			a.has("vpc", "CreateVpc&CidrBlock=10.0.0.0/16", "vpcId")
			a.has("subnet", "CreateSubnet&VpcId=$vpc&CidrBlock=10.0.0.0/24", "subnetId")
			a.has("it", tt.form, tt.element)
			a.refused("DeleteSubnet&SubnetId=$subnet", "DependencyViolation", "")
			a.do(tt.prune)
			a.do("DeleteSubnet&SubnetId=$subnet")
		})
	}
}

// The Terraform provider finds what a VPC brings along by these filters, and its read
// of a VPC fails if one of them finds nothing.
func TestQuirk_DefaultsOfAVpcAreFound(t *testing.T) {
	a := furnished(t)
	a.want("DescribeNetworkAcls&Filter.1.Name=vpc-id&Filter.1.Value.1=$vpc&Filter.2.Name=default&Filter.2.Value.1=true", "default", "true")
	a.want("DescribeRouteTables&Filter.1.Name=vpc-id&Filter.1.Value.1=$vpc&Filter.2.Name=association.main&Filter.2.Value.1=true", "main", "true")
	a.want("DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=default&Filter.2.Name=vpc-id&Filter.2.Value.1=$vpc", "groupDescription", "default VPC security group")
	a.want("DescribeRouteTables&Filter.1.Name=association.route-table-association-id&Filter.1.Value.1=$tableOf", "main", "false")
	a.want("DescribeRouteTables&Filter.1.Name=association.subnet-id&Filter.1.Value.1=$subnet", "subnetId", a.ids["subnet"])
	a.want("DescribeNetworkAcls&Filter.1.Name=association.association-id&Filter.1.Value.1=$aclOf", "networkAclAssociationId", a.ids["aclOf"])
}

// Rules of one protocol and ports are one permission; each rule by itself has ports,
// -1 for all traffic, where the permission has none.
func TestQuirk_PortsOfAllTraffic(t *testing.T) {
	a := furnished(t)
	a.want("DescribeSecurityGroups&GroupId.1=$otherGroup", "fromPort")
	a.want("DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1=$otherGroup", "fromPort", "-1")
	a.do("AuthorizeSecurityGroupIngress&GroupId=$group" + permit + "10.0.0.0/8")
	a.want("DescribeSecurityGroups&GroupId.1=$group", "fromPort", "22")
	a.want("DescribeSecurityGroups&GroupId.1=$group", "cidrIp", "0.0.0.0/0", "0.0.0.0/0", "10.0.0.0/8")
}

// Terraform compares the entries of an ACL with those of its configuration, and leaves
// out the last of each direction by their number.
func TestQuirk_LastEntriesOfAnAcl(t *testing.T) {
	a := furnished(t)
	a.want("DescribeNetworkAcls&NetworkAclId.1=$acl", "ruleNumber", "100", "32767", "32767")
	a.want("DescribeNetworkAcls&NetworkAclId.1=$acl", "protocol", "-1", "-1", "-1")
	a.want("DescribeNetworkAcls&NetworkAclId.1=$acl", "portRange")
}

// Waiters of instances fail on states that these operations leave at once.
func TestQuirk_StatesBeforeTheAnswer(t *testing.T) {
	a := furnished(t)
	a.want("StopInstances&InstanceId.1=$instance", "name", "stopping", "running")
	a.want("StartInstances&InstanceId.1=$instance", "name", "pending", "stopped")
	a.want("TerminateInstances&InstanceId.1=$instance", "name", "shutting-down", "running")
	a.want("DescribeInstances&InstanceId.1=$instance", "code", "Client.UserInitiatedShutdown", "48")
	// A deleted NAT gateway stays listed, as its waiter wants.
	a.do("DeleteNatGateway&NatGatewayId=$nat")
	a.want("DescribeNatGateways&NatGatewayId.1=$nat", "state", "deleted")
}

// DescribeVpcAttribute and DescribeInstanceAttribute tell the attribute that is asked
// for and no other.
func TestQuirk_OneAttribute(t *testing.T) {
	a := furnished(t)
	for attribute, value := range map[string]string{
		"instanceType": "t3.micro", "disableApiTermination": "false", "disableApiStop": "false", "instanceInitiatedShutdownBehavior": "stop",
		"rootDeviceName": "/dev/xvda", "sourceDestCheck": "true", "enaSupport": "true", "ebsOptimized": "false",
	} {
		a.want("DescribeInstanceAttribute&InstanceId=$instance&Attribute="+attribute, "value", value)
	}
	// No value, as an empty one would be user data to Terraform.
	a.want("DescribeInstanceAttribute&InstanceId=$instance&Attribute=userData", "value")
	a.want("DescribeInstanceAttribute&InstanceId=$instance&Attribute=groupSet", "groupName", "default")
	a.want("DescribeInstanceAttribute&InstanceId=$instance&Attribute=blockDeviceMapping", "volumeId", a.ids["volume"])
	for _, attribute := range []string{"kernel", "ramdisk", "productCodes", "sriovNetSupport"} {
		a.want("DescribeInstanceAttribute&InstanceId=$instance&Attribute="+attribute, "instanceId", a.ids["instance"])
	}
	a.refused("DescribeInstanceAttribute&InstanceId=$instance&Attribute=colour", "InvalidParameterValue", "colour")
}

func TestQuirk_AccountAttributes(t *testing.T) {
	a := furnished(t)
	for name, value := range map[string]string{
		"supported-platforms": "VPC", "default-vpc": a.ids["defaultVpc"], "max-instances": "20", "max-elastic-ips": "5", "vpc-max-elastic-ips": "5",
		"vpc-max-security-groups-per-interface": "5",
	} {
		a.want("DescribeAccountAttributes&AttributeName.1="+name, "attributeValue", value)
	}
	a.want("us-west-2 DescribeAccountAttributes&AttributeName.1=default-vpc", "attributeValue", "none")
	a.refused("DescribeAccountAttributes&AttributeName.1=colour", "InvalidParameterValue", "colour")
}

// Deleting twice: what AWS takes again, and what it does not.
func TestQuirk_Twice(t *testing.T) {
	a := furnished(t)
	for range 2 {
		a.do("DisassociateAddress&AssociationId=$eipOf")
		a.do("TerminateInstances&InstanceId.1=$gone")
		a.do("StopInstances&InstanceId.1=$stopped")
		a.do("DeleteKeyPair&KeyName=key")
		a.do("DeleteTags&ResourceId.1=$vpc&Tag.1.Key=none")
	}
	a.do("DeleteInternetGateway&InternetGatewayId=$freeIgw")
	a.refused("DeleteInternetGateway&InternetGatewayId=$freeIgw", "InvalidInternetGatewayID.NotFound", "")
}
