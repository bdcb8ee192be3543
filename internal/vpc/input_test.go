package vpc

import (
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Front ends fill inputs from flags and from the wire: what they hold must be
// of a kind that text can become.
func TestInputs_AreOfKindsThatFlagsAndWireCanFill(t *testing.T) {
	if len(Actions()) < 60 {
		t.Fatalf("only %d actions found", len(Actions()))
	}
	for _, a := range Actions() {
		for i := range a.Input.NumField() {
			f := a.Input.Field(i)
			if !f.IsExported() || f.Anonymous {
				t.Errorf("%s.%s: only exported, named fields are filled", a.Input.Name(), f.Name)
			}
			if why := unfillable(f.Type); why != "" {
				t.Errorf("%s.%s: %s", a.Input.Name(), f.Name, why)
			}
		}
	}
}

func unfillable(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint16, reflect.Uint32:
		return ""
	case reflect.Pointer, reflect.Slice:
		if t == reflect.TypeFor[[]byte]() {
			return "" // a blob, base64 on the wire
		}
		if k := t.Elem().Kind(); k == reflect.Pointer || t.Kind() == reflect.Pointer && k == reflect.Slice {
			return t.String() + " is too deep"
		}
		return unfillable(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if why := unfillable(t.Field(i).Type); why != "" {
				return t.String() + "." + t.Field(i).Name + ": " + why
			}
		}
		return ""
	}
	return t.String() + " cannot be filled from text"
}

// Clients see outputs as JSON, and repeated requests are answered from it.
func TestOutputs_SurviveJSON(t *testing.T) {
	for _, a := range Actions() {
		out := reflect.New(a.Output)
		b, err := json.Marshal(out.Interface())
		if err != nil {
			t.Errorf("%s: %v", a.Output.Name(), err)
			continue
		}
		if err := json.Unmarshal(b, reflect.New(a.Output).Interface()); err != nil {
			t.Errorf("%s: %v", a.Output.Name(), err)
		}
	}
}

// A dry run of a request is, for its client token, the same request.
func TestRun_DryRunWithAClientToken(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	run := func(vpc VpcID, dry bool) string {
		return code(tx.Run("CreateRouteTable", &CreateRouteTableInput{VpcId: vpc, ClientToken: "t", DryRun: dry}))
	}
	wantCode(t, run(v, true), "DryRunOperation")
	wantCode(t, run(v, false), "")
	wantCode(t, run(v, true), "DryRunOperation")
	wantCode(t, run(newVpc(tx, "10.0.0.0/16"), true), "IdempotentParameterMismatch")
	if n := tx.RouteTables.Len(); n != 3 { // two main ones
		t.Errorf("%d route tables", n)
	}
}

func TestRun_DryRunChangesNothing(t *testing.T) {
	tx := emptyLab(t)
	before := dump(t, &tx.Model)
	wantCode(t, code(tx.Run("CreateVpc", &CreateVpcInput{CidrBlock: "10.0.0.0/16", DryRun: true})), "DryRunOperation")
	wantCode(t, code(tx.Run("CreateVpc", &CreateVpcInput{CidrBlock: "10.0.0.0/8", DryRun: true})), "InvalidVpc.Range") // parameters first
	wantCode(t, code(tx.Run("DescribeVpcs", &DescribeVpcsInput{DryRun: true})), "DryRunOperation")
	if dump(t, &tx.Model) != before {
		t.Error("a dry run changed the model")
	}
	wantCode(t, code(tx.Run("MakeVpc", &CreateVpcInput{})), "InvalidAction")
	if _, err := tx.Run("CreateVpc", &DeleteVpcInput{}); err == nil {
		t.Error("an input of another action was taken")
	}
}

func TestRun_ClientToken(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	in := func(token string) *CreateRouteTableInput { return &CreateRouteTableInput{VpcId: v, ClientToken: token} }
	first := must(tx.Run("CreateRouteTable", in("a"))).(*CreateRouteTableOutput)
	again := must(tx.Run("CreateRouteTable", in("a"))).(*CreateRouteTableOutput)
	if !reflect.DeepEqual(first, again) || tx.RouteTables.Len() != 2 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	if other := must(tx.Run("CreateRouteTable", in("b"))).(*CreateRouteTableOutput); other.RouteTable.RouteTableId == first.RouteTable.RouteTableId {
		t.Error("another token gave the same table")
	}
	tagged := in("a")
	tagged.TagSpecifications = NamedTag("route-table", "x")
	wantCode(t, code(tx.Run("CreateRouteTable", tagged)), "IdempotentParameterMismatch")
	wantCode(t, code(tx.Run("CreateRouteTable", in(strings.Repeat("x", 65)))), "InvalidParameterValue")
	// The same token for another action is another request.
	must(tx.Run("CreateNetworkAcl", &CreateNetworkAclInput{VpcId: v, ClientToken: "a"}))
	// A day later the token is forgotten.
	tx.Call.Now = testNow.Add(25 * time.Hour)
	if later := must(tx.Run("CreateRouteTable", in("a"))).(*CreateRouteTableOutput); later.RouteTable.RouteTableId == first.RouteTable.RouteTableId {
		t.Error("the token is remembered for ever")
	}
	if tx.ClientTokens.Len() != 1 {
		t.Errorf("%d tokens are kept", tx.ClientTokens.Len())
	}
	// A request that failed may be repeated with its token.
	bad := &CreateRouteTableInput{VpcId: "vpc-0123456789abcdef0", ClientToken: "c"}
	wantCode(t, code(tx.Run("CreateRouteTable", bad)), "InvalidVpcID.NotFound")
	wantCode(t, code(tx.Run("CreateRouteTable", in("c"))), "")
}

func TestTagSpecifications(t *testing.T) {
	tx := emptyLab(t)
	create := func(s ...TagSpecification) string {
		return code(tx.CreateVpc(&CreateVpcInput{CidrBlock: "10.0.0.0/16", TagSpecifications: s}))
	}
	wantCode(t, create(NamedTag("vpc", "main")...), "")
	wantCode(t, create(NamedTag("subnet", "main")...), "InvalidParameterValue")
	wantCode(t, create(TagSpecification{"vpc", []Tag{{"aws:x", "y"}}}), "InvalidParameterValue")
	wantCode(t, create(TagSpecification{"vpc", []Tag{{"", "y"}}}), "InvalidParameterValue")
	wantCode(t, create(TagSpecification{"vpc", []Tag{{"k", strings.Repeat("v", 257)}}}), "InvalidParameterValue")
	many := TagSpecification{ResourceType: "vpc"}
	for i := range 51 {
		many.Tags = append(many.Tags, Tag{strings.Repeat("k", i+1), ""})
	}
	wantCode(t, create(many), "TagLimitExceeded")
	found := must(tx.DescribeVpcs(&DescribeVpcsInput{Filters: namedFilter("tag:Name", "main")})).Vpcs
	if len(found) != 1 || !slices.Equal(found[0].Tags, []Tag{{"Name", "main"}}) {
		t.Errorf("found %+v", found)
	}
}

func TestFilters_AndOrWildcardsAndErrors(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	for i, name := range []string{"web-1", "web-2", "db*"} {
		must(tx.CreateSubnet(&CreateSubnetInput{VpcId: v, CidrBlock: []string{"10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"}[i], TagSpecifications: NamedTag("subnet", name)}))
	}
	names := func(f ...Filter) string {
		var list []string
		for _, s := range must(tx.DescribeSubnets(&DescribeSubnetsInput{Filters: f})).Subnets {
			list = append(list, s.Tags[0].Value)
		}
		return strings.Join(list, " ")
	}
	for _, r := range []struct {
		want string
		f    []Filter
	}{
		{"web-1 web-2", namedFilter("tag:Name", "web-?")},
		{"web-1 db*", namedFilter("tag:Name", "web-1", "db*")},
		{"db*", namedFilter("tag:Name", `db\*`)},
		{"", namedFilter("tag:Name", "WEB*")},
		{"web-2", []Filter{{"tag:Name", []string{"web*"}}, {"cidr-block", []string{"10.0.1.0/24"}}}},
		{"", []Filter{{"tag:Name", []string{"db*"}}, {"cidr-block", []string{"10.0.1.0/24"}}}},
		{"web-1 web-2 db*", namedFilter("tag-key", "Name")},
		{"web-1 web-2", namedFilter("tag-value", "web-*")},
		{"web-1 web-2 db*", namedFilter("owner-id", "123456789012")},
		{"web-1 web-2 db*", namedFilter("available-ip-address-count", "251")},
	} {
		if got := names(r.f...); got != r.want {
			t.Errorf("%v: got %q, want %q", r.f, got, r.want)
		}
	}
	wantCode(t, code(tx.DescribeSubnets(&DescribeSubnetsInput{Filters: namedFilter("colour", "red")})), "InvalidParameterValue")
	wantCode(t, code(tx.DescribeSubnets(&DescribeSubnetsInput{Filters: namedFilter("vpc-id", make([]string, 201)...)})), "FilterLimitExceeded")
	// An explicit ID must exist; a filter need not find anything.
	wantCode(t, code(tx.DescribeSubnets(&DescribeSubnetsInput{SubnetIds: []SubnetID{"subnet-0123456789abcdef0"}})), "InvalidSubnetID.NotFound")
	wantCode(t, code(tx.DescribeSubnets(&DescribeSubnetsInput{SubnetIds: []SubnetID{"web"}})), "InvalidSubnetID.Malformed")
}

func TestWildcard_AgreesWithRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?\\]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab*?\\]{0,8}`).Draw(t, "s")
		var re strings.Builder
		for i := 0; i < len(pattern); i++ {
			switch c := pattern[i]; {
			case c == '*':
				re.WriteString(".*")
			case c == '?':
				re.WriteString(".")
			case c == '\\' && i+1 < len(pattern):
				i++
				re.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
			case c == '\\':
				return // a lone escape at the end means nothing
			default:
				re.WriteString(regexp.QuoteMeta(string(c)))
			}
		}
		if want := regexp.MustCompile("^(?:" + re.String() + ")$").MatchString(s); wildcard(pattern, s) != want {
			t.Fatalf("wildcard(%q, %q) is %t", pattern, s, !want)
		}
	})
}

func TestPaging_EveryObjectOnce(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	for range 12 {
		newTable(tx, v)
	}
	var all []RouteTableID
	in := DescribeRouteTablesInput{MaxResults: new(5)}
	for pages := 1; ; pages++ {
		out := must(tx.DescribeRouteTables(&in))
		for _, rt := range out.RouteTables {
			all = append(all, rt.RouteTableId)
		}
		if pages == 1 {
			must(tx.DeleteRouteTable(&DeleteRouteTableInput{RouteTableId: all[1]})) // skips nothing
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if len(all) != 13 || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != 13 {
		t.Errorf("listed %v", all)
	}
	for _, r := range []struct {
		in   DescribeRouteTablesInput
		want string
	}{
		{DescribeRouteTablesInput{MaxResults: new(4)}, "InvalidParameterValue"},
		{DescribeRouteTablesInput{MaxResults: new(101)}, "InvalidParameterValue"},
		{DescribeRouteTablesInput{MaxResults: new(5), RouteTableIds: all[:1]}, "InvalidParameterCombination"},
		{DescribeRouteTablesInput{NextToken: "%"}, "InvalidPaginationToken"},
	} {
		wantCode(t, code(tx.DescribeRouteTables(&r.in)), r.want)
	}
}

func TestTags_CreateDeleteDescribe(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	g := newGroup(tx, v, "web")
	rule := tx.SecurityGroups.Get(g).Egress[0].ID
	ids := []ResourceID{ResourceID(v), ResourceID(g), ResourceID(rule)}
	must(tx.CreateTags(&CreateTagsInput{Resources: ids, Tags: []Tag{{"Name", "x"}, {"Team", "blue"}}}))
	tags := func(f ...Filter) []TagDescription {
		return must(tx.DescribeTags(&DescribeTagsInput{Filters: f})).Tags
	}
	if got := tags(); len(got) != 6 {
		t.Fatalf("tags %+v", got)
	}
	if got := tags(Filter{"resource-type", []string{"security-group-rule"}}, Filter{"key", []string{"Team"}}); len(got) != 1 || got[0] != (TagDescription{"Team", string(rule), "security-group-rule", "blue"}) {
		t.Errorf("of the rule: %+v", got)
	}
	remove := func(tag DeleteTag) {
		must(tx.DeleteTags(&DeleteTagsInput{Resources: ids[:1], Tags: []DeleteTag{tag}}))
	}
	remove(DeleteTag{"Team", new("red")}) // another value: nothing happens
	remove(DeleteTag{"Team", new("")})
	remove(DeleteTag{"Absent", nil})
	if n := len(tx.Vpcs.Get(v).Tags); n != 2 {
		t.Errorf("%d tags left", n)
	}
	remove(DeleteTag{"Team", new("blue")})
	if n := len(tx.Vpcs.Get(v).Tags); n != 1 {
		t.Errorf("%d tags left", n)
	}
	must(tx.DeleteTags(&DeleteTagsInput{Resources: ids}))
	if got := tags(); len(got) != 0 {
		t.Errorf("tags %+v", got)
	}
	before := dump(t, &tx.Model)
	for id, want := range map[ResourceID]string{"x-1": "InvalidID", "subnet-0123456789abcdef0": "InvalidSubnetID.NotFound", "sg-0123456789abcdef0": "InvalidGroup.NotFound"} {
		wantCode(t, code(tx.CreateTags(&CreateTagsInput{Resources: []ResourceID{ResourceID(v), id}, Tags: []Tag{{"a", "b"}}})), want)
	}
	if dump(t, &tx.Model) != before {
		t.Error("a request that failed tagged something")
	}
}

func TestResolveNames(t *testing.T) {
	tx := fullLab(t)
	v := must(tx.CreateVpc(&CreateVpcInput{CidrBlock: "10.0.0.0/16", TagSpecifications: NamedTag("vpc", "book")})).Vpc.VpcId
	s := must(tx.CreateSubnet(&CreateSubnetInput{VpcId: v, CidrBlock: "10.0.0.0/24", TagSpecifications: NamedTag("subnet", "public")})).Subnet.SubnetId
	g := newGroup(tx, v, "web")
	for _, name := range []string{"twin", "twin"} {
		must(tx.CreateInternetGateway(&CreateInternetGatewayInput{TagSpecifications: NamedTag("internet-gateway", name)}))
	}
	create := &CreateSubnetInput{VpcId: "book", CidrBlock: "10.0.1.0/24"}
	if err := ResolveNames(&tx.Model, "", create); err != nil || create.VpcId != v {
		t.Errorf("%s, %v", create.VpcId, err)
	}
	list := &DescribeSubnetsInput{SubnetIds: []SubnetID{"public", s}}
	if err := ResolveNames(&tx.Model, "", list); err != nil || list.SubnetIds[0] != s || list.SubnetIds[1] != s {
		t.Errorf("%v, %v", list.SubnetIds, err)
	}
	nested := &AuthorizeSecurityGroupIngressInput{GroupId: "web", IpPermissions: []IpPermission{{IpProtocol: "-1", UserIdGroupPairs: []UserIdGroupPair{{GroupId: "web"}}}}}
	if err := ResolveNames(&tx.Model, "", nested); err != nil || nested.IpPermissions[0].UserIdGroupPairs[0].GroupId != g {
		t.Errorf("%+v, %v", nested, err)
	}
	tags := &CreateTagsInput{Resources: []ResourceID{"public", ResourceID(v)}}
	if err := ResolveNames(&tx.Model, "", tags); err != nil || tags.Resources[0] != ResourceID(s) {
		t.Errorf("%v, %v", tags.Resources, err)
	}
	none := &AssociateDhcpOptionsInput{DhcpOptionsId: "default", VpcId: "book"}
	if err := ResolveNames(&tx.Model, "", none); err != nil || none.DhcpOptionsId != "default" {
		t.Errorf("%v, %v", none, err)
	}
	outside := must(tx.CreateInternetHost(&CreateInternetHostInput{HostName: "laptop"})).InternetHost.InternetHostId
	for _, name := range []InternetHostID{"laptop", outside} {
		if remove := (&DeleteInternetHostInput{InternetHostId: name}); ResolveNames(&tx.Model, "", remove) != nil || remove.InternetHostId != outside {
			t.Errorf("%s: %s", name, remove.InternetHostId)
		}
	}
	association := &DisassociateRouteTableInput{AssociationId: "main"} // has no name: for the operation to judge
	if err := ResolveNames(&tx.Model, "", association); err != nil || association.AssociationId != "main" {
		t.Errorf("%v, %v", association, err)
	}
	must(tx.RunInstances(&RunInstancesInput{})) // the default VPC is in use
	for _, r := range []struct {
		in         any
		code, text string
	}{
		{&DeleteVpcInput{VpcId: "novel"}, "InvalidVpcID.NotFound", "novel: no vpc has this ID or name"},
		{&DeleteVpcInput{VpcId: "vpc-12"}, "InvalidVpcID.Malformed", "vpc-12"},
		{&DeleteInternetGatewayInput{InternetGatewayId: "twin"}, "InvalidParameterValue", "several"},
		{&DeleteSecurityGroupInput{GroupId: "default"}, "InvalidParameterValue", "several"}, // one in each VPC
		{&CreateTagsInput{Resources: []ResourceID{"novel"}}, "InvalidID", "novel"},
		{&DeleteInternetHostInput{InternetHostId: "nobody"}, "InvalidInternetHostID.NotFound", "nobody"},
		{&DeleteInternetHostInput{InternetHostId: "host-12"}, "InvalidInternetHostID.Malformed", "host-12"},
	} {
		var e *Error
		if err := ResolveNames(&tx.Model, "", r.in); !errors.As(err, &e) || e.Code != r.code || !strings.Contains(e.Message, r.text) {
			t.Errorf("%+v: %v", r.in, err)
		}
	}
	// Of groups of one name, the one of the VPC that the input speaks of.
	type launch struct {
		SecurityGroupIds []SecurityGroupID
		SubnetId         SubnetID
	}
	in := &launch{[]SecurityGroupID{"default"}, "public"}
	if err := ResolveNames(&tx.Model, "", in); err != nil || in.SecurityGroupIds[0] != tx.DefaultSecurityGroup(v).ID {
		t.Errorf("%+v, %v", in, err)
	}
}

func TestRandomID_IsWellFormedAndFresh(t *testing.T) {
	a, b := RandomID("vpc-"), RandomID("vpc-")
	if a == b || !WellFormed("vpc-", a) || !strings.HasPrefix(a, "vpc-0") {
		t.Errorf("%s, %s", a, b)
	}
	for s, want := range map[string]bool{"vpc-12345678": true, "vpc-0123456789abcdef0": true, "vpc-0123456789ABCDEF0": false, "vpc-1234": false, "subnet-12345678": false, "": false} {
		if WellFormed("vpc-", s) != want {
			t.Errorf("%s", s)
		}
	}
}

func TestPlaces(t *testing.T) {
	tx := fullLab(t)
	zones := must(tx.DescribeAvailabilityZones(&DescribeAvailabilityZonesInput{})).AvailabilityZones
	if len(zones) != 3 || zones[0].ZoneName != "ap-northeast-1a" || zones[0].ZoneId != "apne1-az1" || zones[0].State != "available" {
		t.Errorf("zones %+v", zones)
	}
	if z := must(tx.DescribeAvailabilityZones(&DescribeAvailabilityZonesInput{Filters: namedFilter("zone-name", "*c")})).AvailabilityZones; len(z) != 1 {
		t.Errorf("zones %+v", z)
	}
	wantCode(t, code(tx.DescribeAvailabilityZones(&DescribeAvailabilityZonesInput{ZoneNames: []string{"us-east-1a"}})), "InvalidParameterValue")
	r := must(tx.DescribeRegions(&DescribeRegionsInput{RegionNames: []string{"ap-northeast-1"}})).Regions
	if len(r) != 1 || r[0] != (RegionInfo{"opt-in-not-required", "ap-northeast-1", "ec2.ap-northeast-1.amazonaws.com"}) {
		t.Errorf("regions %+v", r)
	}
	wantCode(t, code(tx.DescribeRegions(&DescribeRegionsInput{RegionNames: []string{"mars-1"}})), "InvalidParameterValue")
	a := must(tx.DescribeAccountAttributes(&DescribeAccountAttributesInput{AttributeNames: []string{"default-vpc"}})).AccountAttributes
	if len(a) != 1 || a[0].AttributeValues[0].AttributeValue != string(tx.DefaultVpc().ID) {
		t.Errorf("attributes %+v", a)
	}
	wantCode(t, code(tx.DescribeAccountAttributes(&DescribeAccountAttributesInput{AttributeNames: []string{"x"}})), "InvalidParameterValue")
}

func TestQuotas_AreEnforcedAndCanBeRaised(t *testing.T) {
	tx := emptyLab(t)
	for range 5 {
		newVpc(tx, "10.0.0.0/16")
	}
	wantCode(t, code(tx.CreateVpc(&CreateVpcInput{CidrBlock: "10.0.0.0/16"})), "VpcLimitExceeded")
	for range 5 {
		newGateway(tx, "")
	}
	wantCode(t, code(tx.CreateInternetGateway(&CreateInternetGatewayInput{})), "InternetGatewayLimitExceeded")
	tx.Quotas = map[string]int{QuotaVpcs: 6, QuotaSubnets: 1, QuotaRouteTables: 1, QuotaRoutes: 1, QuotaNetworkAcls: 1, QuotaSecurityGroups: 6}
	v := newVpc(tx, "10.0.0.0/16")
	subnet := newSubnet(tx, v, "10.0.0.0/24")
	wantCode(t, code(tx.CreateSubnet(&CreateSubnetInput{VpcId: v, CidrBlock: "10.0.1.0/24"})), "SubnetLimitExceeded")
	wantCode(t, code(tx.CreateRouteTable(&CreateRouteTableInput{VpcId: v})), "RouteTableLimitExceeded")
	wantCode(t, code(tx.CreateNetworkAcl(&CreateNetworkAclInput{VpcId: v})), "NetworkAclLimitExceeded")
	wantCode(t, code(tx.CreateSecurityGroup(&CreateSecurityGroupInput{GroupName: "a", Description: "b", VpcId: v})), "SecurityGroupLimitExceeded")
	eni := putInterface(tx, subnet, "10.0.0.9").ID
	wantCode(t, code(tx.CreateRoute(&CreateRouteInput{RouteTableId: tx.MainRouteTable(v).ID, DestinationCidrBlock: "0.0.0.0/0", NetworkInterfaceId: eni})), "RouteLimitExceeded")
}
