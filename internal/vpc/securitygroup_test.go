package vpc

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func TestSG02_NewAndDefaultGroup(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	g := tx.SecurityGroups.Get(newGroup(tx, v, "web"))
	if len(g.Ingress) != 0 || len(g.Egress) != 1 || g.Egress[0].IpProtocol != "-1" || g.Egress[0].CidrIpv4 != anyIPv4 {
		t.Errorf("new group %+v", g)
	}
	d := tx.DefaultSecurityGroup(v)
	wantCode(t, code(tx.DeleteSecurityGroup(&DeleteSecurityGroupInput{GroupId: d.ID})), "CannotDelete")
	// Its rules can be changed.
	must(tx.RevokeSecurityGroupIngress(&RevokeSecurityGroupIngressInput{GroupId: d.ID, SecurityGroupRuleIds: []SecurityRuleID{d.Ingress[0].ID}}))
	if len(tx.DefaultSecurityGroup(v).Ingress) != 0 {
		t.Error("the rule is still there")
	}
}

func TestSG04_NamesAndDescriptions(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	create := func(name, description string) string {
		return code(tx.CreateSecurityGroup(&CreateSecurityGroupInput{GroupName: name, Description: description, VpcId: v}))
	}
	rows := []struct{ name, description, want string }{
		{"", "x", "MissingParameter"}, {"web", "", "MissingParameter"}, {"sg-web", "x", "InvalidParameterValue"},
		{"default", "x", "InvalidGroup.Reserved"}, {"wéb", "x", "InvalidParameterValue"}, {strings.Repeat("a", 256), "x", "InvalidParameterValue"},
		{"web", "tab\t", "InvalidParameterValue"}, {"web  ", "all of . _-:/()#,@[]+=&;{}!$*", ""}, {"web", "x", "InvalidGroup.Duplicate"},
	}
	for _, r := range rows {
		wantCode(t, create(r.name, r.description), r.want)
	}
	wantCode(t, code(tx.CreateSecurityGroup(&CreateSecurityGroupInput{GroupName: "web", Description: "x"})), "VPCIdNotSpecified")
	wantCode(t, code(tx.CreateSecurityGroup(&CreateSecurityGroupInput{GroupName: "web", Description: "x", VpcId: newVpc(tx, "10.1.0.0/16")})), "") // unique per VPC
	full := fullLab(t)
	g := must(full.CreateSecurityGroup(&CreateSecurityGroupInput{GroupName: "web", Description: "x"})).GroupId
	if full.SecurityGroups.Get(g).VpcID != full.DefaultVpc().ID {
		t.Error("without a VPC the group is made in the default one")
	}
	found := must(full.DescribeSecurityGroups(&DescribeSecurityGroupsInput{GroupNames: []string{"web"}})).SecurityGroups
	if len(found) != 1 || found[0].GroupId != g {
		t.Errorf("by name: %v", found)
	}
	wantCode(t, code(full.DescribeSecurityGroups(&DescribeSecurityGroupsInput{GroupNames: []string{"db"}})), "InvalidGroup.NotFound")
}

func permission(protocol string, from, to int, cidrs ...string) []IpPermission {
	p := IpPermission{IpProtocol: protocol, FromPort: &from, ToPort: &to}
	for _, c := range cidrs {
		p.IpRanges = append(p.IpRanges, IpRange{CidrIp: c})
	}
	return []IpPermission{p}
}

func TestSG04_SG05_ReadingRules(t *testing.T) {
	anywhere := []IpRange{{CidrIp: "0.0.0.0/0"}}
	rows := []struct {
		name string
		p    IpPermission
		want string // the rule as AWS's messages write it, or a code
	}{
		{"tcp", IpPermission{IpProtocol: "tcp", FromPort: new(22), ToPort: new(22), IpRanges: anywhere}, "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW"},
		{"number 6", IpPermission{IpProtocol: "6", FromPort: new(22), ToPort: new(23), IpRanges: anywhere}, "peer: 0.0.0.0/0, TCP, from port: 22, to port: 23, ALLOW"},
		{"number 17", IpPermission{IpProtocol: "17", FromPort: new(0), ToPort: new(65535), IpRanges: anywhere}, "peer: 0.0.0.0/0, UDP, from port: 0, to port: 65535, ALLOW"},
		{"host bits", IpPermission{IpProtocol: "udp", FromPort: new(1), ToPort: new(1), IpRanges: []IpRange{{CidrIp: "10.1.2.3/8"}}}, "peer: 10.0.0.0/8, UDP, from port: 1, to port: 1, ALLOW"},
		{"all ignores ports", IpPermission{IpProtocol: "-1", FromPort: new(22), ToPort: new(22), IpRanges: anywhere}, "peer: 0.0.0.0/0, ALL, ALLOW"},
		{"gre ignores ports", IpPermission{IpProtocol: "47", FromPort: new(22), ToPort: new(22), IpRanges: anywhere}, "peer: 0.0.0.0/0, protocol: 47, ALLOW"},
		{"ping", IpPermission{IpProtocol: "icmp", FromPort: new(8), ToPort: new(-1), IpRanges: anywhere}, "peer: 0.0.0.0/0, ICMP, type: 8, code: -1, ALLOW"},
		{"all icmp", IpPermission{IpProtocol: "icmp", FromPort: new(-1), ToPort: new(-1), IpRanges: anywhere}, "peer: 0.0.0.0/0, ICMP, type: -1, code: -1, ALLOW"},
		{"icmpv6 without types", IpPermission{IpProtocol: "icmpv6", Ipv6Ranges: []Ipv6Range{{CidrIpv6: "::/0"}}}, "peer: ::/0, ICMPV6, type: -1, code: -1, ALLOW"},
		{"icmp code of any type", IpPermission{IpProtocol: "icmp", FromPort: new(-1), ToPort: new(3), IpRanges: anywhere}, "InvalidParameterValue"},
		{"icmp without types", IpPermission{IpProtocol: "icmp", IpRanges: anywhere}, "InvalidParameterValue"},
		{"tcp without ports", IpPermission{IpProtocol: "tcp", IpRanges: anywhere}, "InvalidParameterValue"},
		{"descending", IpPermission{IpProtocol: "tcp", FromPort: new(23), ToPort: new(22), IpRanges: anywhere}, "InvalidParameterValue"},
		{"too high", IpPermission{IpProtocol: "tcp", FromPort: new(1), ToPort: new(65536), IpRanges: anywhere}, "InvalidParameterValue"},
		{"unknown protocol", IpPermission{IpProtocol: "smtp", IpRanges: anywhere}, "InvalidParameterValue"},
		{"protocol 256", IpPermission{IpProtocol: "256", IpRanges: anywhere}, "InvalidParameterValue"},
		{"no protocol", IpPermission{IpRanges: anywhere}, "MissingParameter"},
		{"no peer", IpPermission{IpProtocol: "-1"}, "MissingParameter"},
		{"an address", IpPermission{IpProtocol: "-1", IpRanges: []IpRange{{CidrIp: "1.2.3.4"}}}, "InvalidParameterValue"},
		{"v6 as v4", IpPermission{IpProtocol: "-1", IpRanges: []IpRange{{CidrIp: "::/0"}}}, "InvalidParameterValue"},
		{"unknown group", IpPermission{IpProtocol: "-1", UserIdGroupPairs: []UserIdGroupPair{{GroupId: "sg-0123456789abcdef0"}}}, "InvalidGroup.NotFound"},
		{"malformed group", IpPermission{IpProtocol: "-1", UserIdGroupPairs: []UserIdGroupPair{{GroupId: "x"}}}, "InvalidGroupId.Malformed"},
		{"prefix list", IpPermission{IpProtocol: "-1", PrefixListIds: []PrefixListId{{PrefixListId: "pl-0123456789abcdef0"}}}, "InvalidPrefixListID.NotFound"},
		{"twice", IpPermission{IpProtocol: "-1", IpRanges: []IpRange{{CidrIp: "0.0.0.0/0"}, {CidrIp: "0.0.0.0/0"}}}, "InvalidParameterValue"},
		{"bad description", IpPermission{IpProtocol: "-1", IpRanges: []IpRange{{"0.0.0.0/0", "50%"}}}, "InvalidParameterValue"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			tx := emptyLab(t)
			g := newGroup(tx, newVpc(tx, "10.0.0.0/16"), "web")
			out, err := tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupId: g, IpPermissions: []IpPermission{r.p}})
			if err != nil {
				wantCode(t, code(out, err), r.want)
				return
			}
			if got := tx.SecurityGroups.Get(g).Ingress[0].String(); got != r.want {
				t.Errorf("got %s, want %s", got, r.want)
			}
			if !strings.HasPrefix(string(out.SecurityGroupRules[0].SecurityGroupRuleId), "sgr-") {
				t.Errorf("answer %+v", out)
			}
		})
	}
}

func TestSG04_OldStyleRule(t *testing.T) {
	tx := fullLab(t)
	g := must(tx.CreateSecurityGroup(&CreateSecurityGroupInput{GroupName: "web", Description: "x"})).GroupId
	must(tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupName: "web", IpProtocol: "tcp", FromPort: new(22), ToPort: new(22), CidrIp: "0.0.0.0/0"}))
	must(tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupId: g, SourceSecurityGroupName: "default"}))
	rules := tx.SecurityGroups.Get(g).Ingress
	if len(rules) != 2 || rules[0].ports() != (rulePorts{"tcp", 22, 22}) || rules[1].GroupID != tx.DefaultSecurityGroup(tx.DefaultVpc().ID).ID {
		t.Errorf("rules %+v", rules)
	}
}

func TestSG06_SG07_QuotaCountsFamiliesApart(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	g := newGroup(tx, v, "web")
	var p []IpPermission
	for i := range 60 {
		p = append(p, permission("tcp", i+1, i+1, "10.0.0.0/8")...)
	}
	authorize := func(p ...IpPermission) string {
		return code(tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupId: g, IpPermissions: p}))
	}
	wantCode(t, authorize(p...), "")
	wantCode(t, authorize(permission("udp", 1, 1, "10.0.0.0/8")...), "RulesPerSecurityGroupLimitExceeded")
	wantCode(t, authorize(IpPermission{IpProtocol: "-1", UserIdGroupPairs: []UserIdGroupPair{{GroupId: g}}}), "RulesPerSecurityGroupLimitExceeded")
	wantCode(t, authorize(IpPermission{IpProtocol: "-1", Ipv6Ranges: []Ipv6Range{{CidrIpv6: "::/0"}}}), "")
}

func TestSG10_ReferencedGroupCannotGo(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	web, db := newGroup(tx, v, "web"), newGroup(tx, v, "db")
	must(tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupId: db, IpPermissions: []IpPermission{{IpProtocol: "-1", UserIdGroupPairs: []UserIdGroupPair{{GroupId: web}}}}}))
	remove := func(id SecurityGroupID) string {
		return code(tx.DeleteSecurityGroup(&DeleteSecurityGroupInput{GroupId: id}))
	}
	wantCode(t, remove(web), "DependencyViolation")
	must(tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupId: db, IpPermissions: []IpPermission{{IpProtocol: "-1", UserIdGroupPairs: []UserIdGroupPair{{GroupId: db}}}}}))
	wantCode(t, remove(db), "") // a reference to itself is none
	wantCode(t, remove(web), "")
	wantCode(t, remove(web), "InvalidGroup.NotFound")
	far := newGroup(tx, newVpc(tx, "10.1.0.0/16"), "far")
	again := newGroup(tx, v, "web")
	wantCode(t, code(tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupId: again, IpPermissions: []IpPermission{{IpProtocol: "-1", UserIdGroupPairs: []UserIdGroupPair{{GroupId: far}}}}})), "InvalidGroup.NotFound")
	n := *putInterface(tx, newSubnet(tx, v, "10.0.0.0/24"), "10.0.0.9")
	n.Groups = []SecurityGroupID{again}
	tx.NetworkInterfaces.Put(n.ID, &n)
	wantCode(t, remove(again), "DependencyViolation")
	for _, list := range [][]SecurityGroupReference{must(tx.DescribeSecurityGroupReferences(&DescribeSecurityGroupReferencesInput{GroupId: []SecurityGroupID{far}})).SecurityGroupReferenceSet} {
		if len(list) != 0 {
			t.Errorf("references %v", list)
		}
	}
	if stale := must(tx.DescribeStaleSecurityGroups(&DescribeStaleSecurityGroupsInput{VpcId: v})).StaleSecurityGroupSet; len(stale) != 0 {
		t.Errorf("stale %v", stale)
	}
}

func TestAuthorize_DuplicatesAreRefused(t *testing.T) {
	tx := emptyLab(t)
	g := newGroup(tx, newVpc(tx, "10.0.0.0/16"), "web")
	in := &AuthorizeSecurityGroupIngressInput{GroupId: g, IpPermissions: permission("tcp", 22, 22, "0.0.0.0/0")}
	must(tx.AuthorizeSecurityGroupIngress(in))
	in.IpPermissions[0].IpRanges[0].Description = "again"
	wantCode(t, code(tx.AuthorizeSecurityGroupIngress(in)), "InvalidPermission.Duplicate")
	wantCode(t, code(tx.AuthorizeSecurityGroupEgress(&AuthorizeSecurityGroupEgressInput{GroupId: g, IpPermissions: permission("-1", 0, 0, "0.0.0.0/0")})), "InvalidPermission.Duplicate")
	wantCode(t, code(tx.AuthorizeSecurityGroupEgress(&AuthorizeSecurityGroupEgressInput{GroupId: g})), "MissingParameter")
}

func TestRevoke_ByTrafficAndByID(t *testing.T) {
	tx := fullLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	g := newGroup(tx, v, "web")
	revoke := func(p []IpPermission, ids ...SecurityRuleID) (*RevokeSecurityGroupEgressOutput, error) {
		return tx.RevokeSecurityGroupEgress(&RevokeSecurityGroupEgressInput{GroupId: g, IpPermissions: p, SecurityGroupRuleIds: ids})
	}
	// Terraform names the default outbound rule with ports 0 to 0.
	out := must(revoke(permission("-1", 0, 0, "0.0.0.0/0")))
	if len(out.RevokedSecurityGroupRules) != 1 || len(tx.SecurityGroups.Get(g).Egress) != 0 {
		t.Errorf("answer %+v", out)
	}
	v6 := []IpPermission{{IpProtocol: "-1", FromPort: new(0), ToPort: new(0), Ipv6Ranges: []Ipv6Range{{CidrIpv6: "::/0"}}}}
	wantCode(t, code(revoke(v6)), "InvalidPermission.NotFound")
	wantCode(t, code(revoke(nil)), "MissingParameter")
	wantCode(t, code(revoke(nil, "sgr-0123456789abcdef0")), "InvalidSecurityGroupRuleId.NotFound")
	// In the default VPC an unknown rule is listed, not refused.
	d := tx.DefaultSecurityGroup(tx.DefaultVpc().ID).ID
	in := must(tx.RevokeSecurityGroupIngress(&RevokeSecurityGroupIngressInput{GroupId: d, IpPermissions: permission("tcp", 1, 1, "10.0.0.0/8")}))
	if len(in.UnknownIpPermissions) != 1 || len(in.RevokedSecurityGroupRules) != 0 {
		t.Errorf("answer %+v", in)
	}
}

func TestModifySecurityGroupRules_KeepsTheIDs(t *testing.T) {
	tx := emptyLab(t)
	g := newGroup(tx, newVpc(tx, "10.0.0.0/16"), "web")
	ids := []SecurityRuleID{}
	for _, port := range []int{22, 80} {
		out := must(tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupId: g, IpPermissions: permission("tcp", port, port, "0.0.0.0/0")}))
		ids = append(ids, out.SecurityGroupRules[0].SecurityGroupRuleId)
	}
	modify := func(id SecurityRuleID, q SecurityGroupRuleRequest) string {
		return code(tx.ModifySecurityGroupRules(&ModifySecurityGroupRulesInput{GroupId: g, SecurityGroupRules: []SecurityGroupRuleUpdate{{id, q}}}))
	}
	q := SecurityGroupRuleRequest{IpProtocol: "tcp", FromPort: new(443), ToPort: new(443), CidrIpv4: "10.0.0.0/8", Description: "https"}
	wantCode(t, modify(ids[1], q), "")
	if r := tx.SecurityGroups.Get(g).Ingress[1]; r.ID != ids[1] || r.FromPort != 443 || r.Description != "https" {
		t.Errorf("rule %+v", r)
	}
	wantCode(t, modify(ids[0], q), "InvalidPermission.Duplicate")
	q.CidrIpv6 = "::/0"
	wantCode(t, modify(ids[0], q), "InvalidParameterCombination")
	for _, other := range []SecurityGroupRuleRequest{{CidrIpv6: "::/0"}, {ReferencedGroupId: g}} { // a rule stays of its kind
		other.IpProtocol, other.FromPort, other.ToPort = "tcp", new(8443), new(8443)
		wantCode(t, modify(ids[0], other), "InvalidParameterValue")
	}
	wantCode(t, modify("sgr-0123456789abcdef0", q), "InvalidSecurityGroupRuleId.NotFound")
	egress := tx.SecurityGroups.Get(g).Egress[0].ID
	wantCode(t, modify(egress, SecurityGroupRuleRequest{IpProtocol: "-1", CidrIpv4: "10.0.0.0/8"}), "")

	must(tx.UpdateSecurityGroupRuleDescriptionsIngress(&UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: g, SecurityGroupRuleDescriptions: []SecurityGroupRuleDescription{{ids[0], "ssh"}}}))
	p := permission("tcp", 443, 443, "10.0.0.0/8")
	p[0].IpRanges[0].Description = "new"
	must(tx.UpdateSecurityGroupRuleDescriptionsIngress(&UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: g, IpPermissions: p}))
	wantCode(t, code(tx.UpdateSecurityGroupRuleDescriptionsEgress(&UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: g, IpPermissions: p})), "InvalidPermission.NotFound")
	if rules := tx.SecurityGroups.Get(g).Ingress; rules[0].Description != "ssh" || rules[1].Description != "new" {
		t.Errorf("rules %+v", rules)
	}
	wantConsistent(t, &tx.Model)
}

func TestDescribeSecurityGroups_MergesRulesOfOnePort(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	g := newGroup(tx, v, "web")
	must(tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupId: g, IpPermissions: permission("tcp", 22, 22, "10.0.0.0/8", "11.0.0.0/8")}))
	must(tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupId: g, IpPermissions: permission("tcp", 80, 80, "10.0.0.0/8")}))
	out := must(tx.DescribeSecurityGroups(&DescribeSecurityGroupsInput{Filters: namedFilter("ip-permission.from-port", "22")})).SecurityGroups
	if len(out) != 1 || len(out[0].IpPermissions) != 2 || len(out[0].IpPermissions[0].IpRanges) != 2 {
		t.Fatalf("groups %+v", out)
	}
	b, _ := json.Marshal(out[0].IpPermissionsEgress)
	if want := `[{"IpProtocol":"-1","UserIdGroupPairs":[],"IpRanges":[{"CidrIp":"0.0.0.0/0"}],"Ipv6Ranges":[],"PrefixListIds":[]}]`; string(b) != want {
		t.Errorf("got %s", b)
	}
	rules := must(tx.DescribeSecurityGroupRules(&DescribeSecurityGroupRulesInput{Filters: namedFilter("group-id", string(g))})).SecurityGroupRules
	if len(rules) != 4 {
		t.Fatalf("%d rules", len(rules))
	}
	for _, r := range rules {
		if r.IsEgress && (r.FromPort != -1 || r.ToPort != -1) {
			t.Errorf("rule %+v", r)
		}
	}
	if n := len(must(tx.GetSecurityGroupsForVpc(&GetSecurityGroupsForVpcInput{VpcId: v})).SecurityGroupForVpcs); n != 2 {
		t.Errorf("%d groups for the VPC", n)
	}
	first := must(tx.DescribeSecurityGroupRules(&DescribeSecurityGroupRulesInput{MaxResults: new(5)}))
	second := must(tx.DescribeSecurityGroupRules(&DescribeSecurityGroupRulesInput{MaxResults: new(5), NextToken: first.NextToken}))
	if len(first.SecurityGroupRules) != 5 || len(second.SecurityGroupRules) != 1 || second.NextToken != "" {
		t.Errorf("pages of %d and %d", len(first.SecurityGroupRules), len(second.SecurityGroupRules))
	}
	wantCode(t, code(tx.DescribeSecurityGroupRules(&DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []SecurityRuleID{SecurityRuleID("sgr-" + strconv.Itoa(10000000))}})), "InvalidSecurityGroupRuleId.NotFound")
}
