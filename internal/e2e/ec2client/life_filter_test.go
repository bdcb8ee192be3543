package ec2client

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func tcp(from, to int32, cidr, why string) types.IpPermission {
	return types.IpPermission{IpProtocol: new("tcp"), FromPort: new(from), ToPort: new(to), IpRanges: []types.IpRange{{CidrIp: new(cidr), Description: new(why)}}}
}

func lifeOfSecurityGroup(t *testing.T, c *ec2.Client) {
	v := makeVpc(t, c, "10.0.0.0/16")
	made := do(t, c.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: new("web"), Description: new("web servers"), VpcId: v, TagSpecifications: named(types.ResourceTypeSecurityGroup, "web")})
	g := made.GroupId
	await(t, ec2.NewSecurityGroupExistsWaiter(c).Wait, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*g}})
	if !strings.HasPrefix(*made.SecurityGroupArn, "arn:aws:ec2:us-west-2:") {
		t.Errorf("ARN %s", *made.SecurityGroupArn)
	}
	in := do(t, c.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: g, IpPermissions: []types.IpPermission{
		tcp(443, 443, "0.0.0.0/0", "all"), tcp(22, 22, "203.0.113.7/32", "admin"),
		{IpProtocol: new("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: g}}},
	}, TagSpecifications: named(types.ResourceTypeSecurityGroupRule, "rule")}).SecurityGroupRules
	same(t, "rules", len(in), 3)
	same(t, "group of a rule", *in[2].ReferencedGroupInfo.GroupId, *g)
	same(t, "ports of all traffic", []int32{*in[2].FromPort, *in[2].ToPort}, []int32{-1, -1})
	refused(t, c.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: g, IpPermissions: []types.IpPermission{tcp(22, 22, "203.0.113.7/32", "")}}, "InvalidPermission.Duplicate")
	do(t, c.AuthorizeSecurityGroupEgress, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: g, IpPermissions: []types.IpPermission{tcp(5432, 5432, "10.0.0.0/16", "")}})
	do(t, c.ModifySecurityGroupRules, &ec2.ModifySecurityGroupRulesInput{GroupId: g, SecurityGroupRules: []types.SecurityGroupRuleUpdate{{
		SecurityGroupRuleId: in[1].SecurityGroupRuleId,
		SecurityGroupRule:   &types.SecurityGroupRuleRequest{IpProtocol: new("tcp"), FromPort: new(int32(22)), ToPort: new(int32(22)), CidrIpv4: new("203.0.113.8/32")},
	}}})
	do(t, c.UpdateSecurityGroupRuleDescriptionsIngress, &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: g,
		SecurityGroupRuleDescriptions: []types.SecurityGroupRuleDescription{{SecurityGroupRuleId: in[1].SecurityGroupRuleId, Description: new("the other admin")}}})
	do(t, c.UpdateSecurityGroupRuleDescriptionsEgress, &ec2.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: g, IpPermissions: []types.IpPermission{tcp(5432, 5432, "10.0.0.0/16", "database")}})
	got := do(t, c.DescribeSecurityGroupRules, &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{*in[1].SecurityGroupRuleId}}).SecurityGroupRules[0]
	same(t, "rule", []string{*got.CidrIpv4, *got.Description}, []string{"203.0.113.8/32", "the other admin"})
	same(t, "tags of a rule", got.Tags, []types.Tag{{Key: new("Name"), Value: new("rule")}})

	refersTo(t, c, v, g)
	revoked := do(t, c.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: g, SecurityGroupRuleIds: []string{*in[0].SecurityGroupRuleId, *in[1].SecurityGroupRuleId}}).RevokedSecurityGroupRules
	same(t, "revoked", len(revoked), 2)
	// As Terraform takes away what a new group lets out.
	all := types.IpPermission{IpProtocol: new("-1"), FromPort: new(int32(0)), ToPort: new(int32(0)), IpRanges: []types.IpRange{{CidrIp: new("0.0.0.0/0")}}}
	out := do(t, c.RevokeSecurityGroupEgress, &ec2.RevokeSecurityGroupEgressInput{GroupId: g, IpPermissions: []types.IpPermission{all}})
	same(t, "revoked", len(out.RevokedSecurityGroupRules), 1)
	left := do(t, c.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: append(filter("group-name", "web"), filter("vpc-id", *v)...)}).SecurityGroups[0]
	same(t, "rules left", []int{len(left.IpPermissions), len(left.IpPermissionsEgress)}, []int{1, 1})
	same(t, "description left", *left.IpPermissionsEgress[0].IpRanges[0].Description, "database")
	same(t, "deleted", *do(t, c.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: g}).GroupId, *g)
	refused(t, c.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*g}}, "InvalidGroup.NotFound")
	pagesOfGroups(t, c, v)
	do(t, c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: v})
}

// refersTo has another group name g.
func refersTo(t *testing.T, c *ec2.Client, v, g *string) {
	other := do(t, c.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: new("db"), Description: new("databases"), VpcId: v}).GroupId
	do(t, c.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: other, IpPermissions: []types.IpPermission{
		{IpProtocol: new("tcp"), FromPort: new(int32(3306)), ToPort: new(int32(3306)), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: g}}}}})
	refused(t, c.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: g}, "DependencyViolation")
	// Both tell of other VPCs, and there is no peering here.
	same(t, "references", len(do(t, c.DescribeSecurityGroupReferences, &ec2.DescribeSecurityGroupReferencesInput{GroupId: []string{*g}}).SecurityGroupReferenceSet), 0)
	same(t, "stale", len(do(t, c.DescribeStaleSecurityGroups, &ec2.DescribeStaleSecurityGroupsInput{VpcId: v}).StaleSecurityGroupSet), 0)
	usable := do(t, c.GetSecurityGroupsForVpc, &ec2.GetSecurityGroupsForVpcInput{VpcId: v}).SecurityGroupForVpcs
	same(t, "groups for the VPC", len(usable), 3)
	do(t, c.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: other})
}

// pagesOfGroups reads a list page by page.
func pagesOfGroups(t *testing.T, c *ec2.Client, v *string) {
	var made []string
	for i := range 12 {
		made = append(made, *do(t, c.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: new(fmt.Sprint("g", i)), Description: new("x"), VpcId: v}).GroupId)
	}
	seen, pages := map[string]bool{}, 0
	for p := ec2.NewDescribeSecurityGroupsPaginator(c, &ec2.DescribeSecurityGroupsInput{Filters: filter("vpc-id", *v), MaxResults: new(int32(5))}); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.SecurityGroups {
			seen[*g.GroupId] = true
		}
	}
	same(t, "pages and groups", []int{pages, len(seen)}, []int{3, 13})
	for _, g := range made {
		if !seen[g] {
			t.Errorf("no page has %s", g)
		}
		do(t, c.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: new(g)})
	}
	refused(t, c.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{MaxResults: new(int32(4))}, "InvalidParameterValue")
	refused(t, c.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{NextToken: new("%")}, "InvalidPaginationToken")
}

func lifeOfNetworkAcl(t *testing.T, c *ec2.Client) {
	v := makeVpc(t, c, "10.0.0.0/16")
	s := makeSubnet(t, c, v, "10.0.1.0/24")
	def := do(t, c.DescribeNetworkAcls, &ec2.DescribeNetworkAclsInput{Filters: append(filter("vpc-id", *v), filter("default", "true")...)}).NetworkAcls[0]
	same(t, "subnets of the default ACL", len(def.Associations), 1)
	last := def.Entries[len(def.Entries)-1]
	same(t, "last entry", []any{*last.RuleNumber, *last.Protocol, last.RuleAction, last.PortRange}, []any{int32(32767), "-1", types.RuleActionDeny, (*types.PortRange)(nil)})

	a := do(t, c.CreateNetworkAcl, &ec2.CreateNetworkAclInput{VpcId: v, TagSpecifications: named(types.ResourceTypeNetworkAcl, "a")}).NetworkAcl.NetworkAclId
	entry := &ec2.CreateNetworkAclEntryInput{NetworkAclId: a, RuleNumber: new(int32(100)), Protocol: new("6"), RuleAction: types.RuleActionAllow, Egress: new(false), CidrBlock: new("0.0.0.0/0"), PortRange: &types.PortRange{From: new(int32(80)), To: new(int32(81))}}
	do(t, c.CreateNetworkAclEntry, entry)
	refused(t, c.CreateNetworkAclEntry, entry, "NetworkAclEntryAlreadyExists")
	do(t, c.CreateNetworkAclEntry, &ec2.CreateNetworkAclEntryInput{NetworkAclId: a, RuleNumber: new(int32(110)), Protocol: new("1"), RuleAction: types.RuleActionAllow, Egress: new(true), CidrBlock: new("0.0.0.0/0"), IcmpTypeCode: &types.IcmpTypeCode{Type: new(int32(8)), Code: new(int32(-1))}})
	do(t, c.ReplaceNetworkAclEntry, &ec2.ReplaceNetworkAclEntryInput{NetworkAclId: a, RuleNumber: new(int32(100)), Protocol: new("17"), RuleAction: types.RuleActionDeny, Egress: new(false), CidrBlock: new("10.0.0.0/8"), PortRange: &types.PortRange{From: new(int32(53)), To: new(int32(53))}})
	got := do(t, c.DescribeNetworkAcls, &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{*a}}).NetworkAcls[0].Entries
	found := 0
	for _, e := range got {
		switch *e.RuleNumber {
		case 100:
			found++
			same(t, "entry 100", []any{*e.Protocol, e.RuleAction, *e.CidrBlock, *e.PortRange.From, *e.Egress}, []any{"17", types.RuleActionDeny, "10.0.0.0/8", int32(53), false})
		case 110:
			found++
			same(t, "entry 110", []any{*e.Protocol, *e.IcmpTypeCode.Type, *e.IcmpTypeCode.Code, *e.Egress}, []any{"1", int32(8), int32(-1), true})
		}
	}
	same(t, "entries found", found, 2)
	guards := do(t, c.ReplaceNetworkAclAssociation, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: def.Associations[0].NetworkAclAssociationId, NetworkAclId: a}).NewAssociationId
	refused(t, c.DeleteNetworkAcl, &ec2.DeleteNetworkAclInput{NetworkAclId: a}, "DependencyViolation")
	same(t, "ACLs of the association", *do(t, c.DescribeNetworkAcls, &ec2.DescribeNetworkAclsInput{Filters: filter("association.association-id", *guards)}).NetworkAcls[0].NetworkAclId, *a)
	do(t, c.ReplaceNetworkAclAssociation, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: guards, NetworkAclId: def.NetworkAclId})
	do(t, c.DeleteNetworkAclEntry, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: a, RuleNumber: new(int32(110)), Egress: new(true)})
	refused(t, c.DeleteNetworkAclEntry, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: a, RuleNumber: new(int32(110)), Egress: new(true)}, "InvalidNetworkAclEntry.NotFound")
	do(t, c.DeleteNetworkAcl, &ec2.DeleteNetworkAclInput{NetworkAclId: a})
	refused(t, c.DescribeNetworkAcls, &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{*a}}, "InvalidNetworkAclID.NotFound")
	do(t, c.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: s})
	do(t, c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: v})
}

func lifeOfFlowLogs(t *testing.T, c *ec2.Client) {
	v := makeVpc(t, c, "10.0.0.0/16")
	made := do(t, c.CreateFlowLogs, &ec2.CreateFlowLogsInput{ResourceIds: []string{*v, "vpc-01234567890abcdef"}, ResourceType: types.FlowLogsResourceTypeVpc, TrafficType: types.TrafficTypeReject,
		LogDestinationType: types.LogDestinationTypeS3, LogDestination: new("arn:aws:s3:::logs"), MaxAggregationInterval: new(int32(60)), TagSpecifications: named(types.ResourceTypeVpcFlowLog, "f")})
	same(t, "made", len(made.FlowLogIds), 1)
	same(t, "not made", *made.Unsuccessful[0].Error.Code, "InvalidVpcID.NotFound")
	got := do(t, c.DescribeFlowLogs, &ec2.DescribeFlowLogsInput{Filter: filter("resource-id", *v)}).FlowLogs[0]
	same(t, "flow log", []any{*got.FlowLogId, got.TrafficType, got.LogDestinationType, *got.LogDestination, *got.MaxAggregationInterval, *got.FlowLogStatus},
		[]any{made.FlowLogIds[0], types.TrafficTypeReject, types.LogDestinationTypeS3, "arn:aws:s3:::logs", int32(60), "ACTIVE"})
	same(t, "failures", len(do(t, c.DeleteFlowLogs, &ec2.DeleteFlowLogsInput{FlowLogIds: made.FlowLogIds}).Unsuccessful), 0)
	same(t, "flow logs by the ID of one that is gone", len(do(t, c.DescribeFlowLogs, &ec2.DescribeFlowLogsInput{FlowLogIds: made.FlowLogIds}).FlowLogs), 0)
	do(t, c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: v})
}

func lifeOfTags(t *testing.T, c *ec2.Client) {
	v := makeVpc(t, c, "10.0.0.0/16")
	do(t, c.CreateTags, &ec2.CreateTagsInput{Resources: []string{*v}, Tags: []types.Tag{{Key: new("a"), Value: new("1")}, {Key: new("b"), Value: new("")}, {Key: new("c"), Value: new("3")}}})
	refused(t, c.CreateTags, &ec2.CreateTagsInput{Resources: []string{*v}, Tags: []types.Tag{{Key: new("aws:x"), Value: new("")}}}, "InvalidParameterValue")
	keys := func() (list string) {
		for p := ec2.NewDescribeTagsPaginator(c, &ec2.DescribeTagsInput{Filters: filter("resource-id", *v), MaxResults: new(int32(5))}); p.HasMorePages(); {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range page.Tags {
				same(t, "type", tag.ResourceType, types.ResourceTypeVpc)
				list += *tag.Key
			}
		}
		return list
	}
	same(t, "keys", keys(), "abc")
	del := func(key string, value *string) {
		do(t, c.DeleteTags, &ec2.DeleteTagsInput{Resources: []string{*v}, Tags: []types.Tag{{Key: new(key), Value: value}}})
	}
	del("a", new("other"))
	del("c", new(""))
	del("none", nil)
	same(t, "keys, the values being others", keys(), "abc")
	del("a", nil)
	del("b", new(""))
	same(t, "keys", keys(), "c")
	do(t, c.DeleteTags, &ec2.DeleteTagsInput{Resources: []string{*v}})
	same(t, "keys", keys(), "")
	do(t, c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: v})
}
