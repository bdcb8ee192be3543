package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// tfModule is a module of `terraform show -json` (Terraform's documentation, JSON Output Format).
type tfModule struct {
	Resources    []*tfResource `json:"resources"`
	ChildModules []*tfModule   `json:"child_modules"`
}

// tfResource is one instance of a resource, or of a data source.
type tfResource struct {
	Address string         `json:"address"` // module.vpc.aws_subnet.public[0]
	Mode    string         `json:"mode"`    // managed, data
	Type    string         `json:"type"`    // aws_subnet
	Name    string         `json:"name"`
	Index   any            `json:"index"` // of count or for_each; nil without
	Values  map[string]any `json:"values"`
	Deposed string         `json:"deposed_key,omitempty"` // of an object that another has replaced, and that is still there
}

// tfReader turns resources into objects in the shapes of the API. What changes an object of another resource waits until
// all are there, those of other states among them.
type tfReader struct {
	*reader
	plan *tfPlan // nil for a state
}

// terraformDocument reads a state, or a plan: the state as it would be.
func (r *reader) terraformDocument(members map[string]json.RawMessage) error {
	r.terraform = true
	t := &tfReader{reader: r}
	raw := members["values"]
	if planned, ok := members["planned_values"]; ok {
		raw = planned
	}
	if len(raw) == 0 || string(raw) == "null" {
		r.notes.add("file", r.name, "is the output of terraform show for an empty state")
		return nil
	}
	var values struct {
		RootModule *tfModule `json:"root_module"`
	}
	if err := json.Unmarshal(raw, &values); err != nil {
		return fmt.Errorf("values: %w", typeError(err))
	}
	list := values.RootModule.all(0)
	if _, ok := members["planned_values"]; ok {
		known, err := priorData(list, members["prior_state"])
		if err != nil {
			return err
		}
		list = append(list, known...)
		plan, err := newPlan(members, list, &r.notes)
		if err != nil {
			return err
		}
		t.plan = plan
	}
	t.resources(list)
	return nil
}

// priorData are the data sources that were read for a plan. They are in the state before it, and not in that after it.
func priorData(list []*tfResource, raw json.RawMessage) (known []*tfResource, err error) {
	var prior struct {
		Values struct {
			RootModule *tfModule `json:"root_module"`
		} `json:"values"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &prior); err != nil {
			return nil, fmt.Errorf("prior_state: %w", typeError(err))
		}
	}
	planned := map[string]bool{}
	for _, r := range list {
		planned[r.Address] = true
	}
	for _, r := range prior.Values.RootModule.all(0) {
		if r.Mode == "data" && !planned[r.Address] {
			known = append(known, r)
		}
	}
	return known, nil
}

// typeError is an error of the decoder without the names of Go types.
func typeError(err error) error {
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return fmt.Errorf("%s has %s where Terraform has something else", firstOf(mismatch.Field, "it"), article(mismatch.Value))
	}
	return err
}

// all are the resources of a module and those below it.
func (m *tfModule) all(depth int) (list []*tfResource) {
	if m == nil || depth > 100 {
		return nil
	}
	for _, r := range m.Resources {
		if r != nil && r.Type != "" {
			list = append(list, r)
		}
	}
	for _, child := range m.ChildModules {
		list = append(list, child.all(depth+1)...)
	}
	return list
}

func (t *tfReader) resources(list []*tfResource) {
	had := t.ids()
	for _, r := range list {
		convert := tfConverters[r.Type]
		switch managed := r.Mode != "data"; {
		case convert != nil && had[firstOf(r.str("spot_instance_id"), r.id())]: // the AWS CLI, or another state, has told of it
			if r.str("id") == "" {
				t.notes.add(r.Type, r.Address, "another plan has a resource of this address; this one was passed over. Bring over one plan at a time")
			}
		case !managed && convert != nil && (r.Type == "aws_vpc" || r.Type == "aws_subnet"):
			t.data = append(t.data, func() { convert(t, r) }) // another state may manage it, and tells more
		case !managed:
		case convert != nil:
			if t.plan != nil {
				t.plan.fill(r)
			}
			if r.Deposed != "" {
				t.notes.add(r.Type, fmt.Sprintf("%s (%s)", r.Address, r.id()), "is deposed: another has replaced it, and Terraform will destroy it. It is brought over, as it is there")
			}
			convert(t, r)
		default:
			t.notRead(r)
		}
	}
}

// readTerraform reads the states and plans, when the answers of the AWS CLI were read, which tell more of the same
// objects.
func (a *account) readTerraform() error {
	for _, document := range a.documents {
		if err := document(); err != nil {
			return err
		}
	}
	for _, source := range a.data {
		source()
	}
	for i := 0; i < len(a.later); i++ { // one may add another
		a.later[i]()
	}
	t := &tfReader{reader: &reader{account: a}}
	t.mainTables()
	t.placeMachines()
	t.ownObjects()
	return nil
}

// ids are those of all objects that were read.
func (a *account) ids() map[string]bool {
	ids := map[string]bool{}
	for _, o := range a.Vpcs {
		ids[o.VpcId] = true
	}
	for _, o := range a.Subnets {
		ids[o.SubnetId] = true
	}
	for _, o := range a.RouteTables {
		ids[o.RouteTableId] = true
	}
	for _, o := range a.InternetGateways {
		ids[o.InternetGatewayId] = true
	}
	for _, o := range a.NatGateways {
		ids[o.NatGatewayId] = true
	}
	for _, o := range a.Addresses {
		ids[o.AllocationId] = true
	}
	for _, o := range a.SecurityGroups {
		ids[o.GroupId] = true
	}
	for _, o := range a.NetworkAcls {
		ids[o.NetworkAclId] = true
	}
	for _, o := range a.NetworkInterfaces {
		ids[o.NetworkInterfaceId] = true
	}
	for _, o := range a.Instances {
		ids[o.InstanceId] = true
	}
	for _, o := range a.KeyPairs {
		ids[o.KeyName] = true // which is the ID of an aws_key_pair
	}
	for _, o := range a.DhcpOptions {
		ids[o.DhcpOptionsId] = true
	}
	for _, o := range a.FlowLogs {
		ids[o.FlowLogId] = true
	}
	delete(ids, "")
	return ids
}

// silent are resources that make nothing a lab could hold, and change nothing in what it holds.
var silent = regexp.MustCompile(`^(random|null|time|local|tls|terraform)_|^(aws_ec2_tag|aws_iam_|aws_cloudwatch_|aws_kms_|aws_ssm_parameter)`)

// tfReasons say why a lab has no such resource, by how its type begins.
var tfReasons = []struct{ prefix, reason string }{
	{"aws_vpc_peering", "a lab has no peering yet"},
	{"aws_vpc_endpoint", "a lab has no endpoints, and none of the services behind them"},
	{"aws_ec2_transit_gateway", "a lab has no transit gateways yet"},
	{"aws_egress_only", "a lab has no IPv6 yet"},
	{"aws_vpc_ipv6", "a lab has no IPv6 yet"},
	{"aws_vpn", "a lab has no VPN"}, {"aws_customer_gateway", "a lab has no VPN"}, {"aws_dx", "a lab has no Direct Connect"},
	{"aws_lb", "a lab has no load balancers"}, {"aws_alb", "a lab has no load balancers"}, {"aws_elb", "a lab has no load balancers"},
	{"aws_autoscaling", "a lab has no auto scaling, and a state does not have the group's instances (aws ec2 describe-instances has)"},
	{"aws_launch", "a lab has no launch templates"},
	{"aws_db", "a lab has no RDS"}, {"aws_rds", "a lab has no RDS"},
	{"aws_ebs", "a lab has no EBS"}, {"aws_volume", "a lab has no EBS"},
	{"aws_iam", "a lab has no IAM"},
	{"aws_", "a lab has no such resource"},
	{"", "is no resource of AWS"},
}

func (t *tfReader) notRead(r *tfResource) {
	if silent.MatchString(r.Type) && !strings.HasPrefix(r.Type, "aws_iam_instance") {
		return
	}
	for _, k := range tfReasons {
		if strings.HasPrefix(r.Type, k.prefix) {
			t.notes.add(r.Type, strings.TrimPrefix(r.Address, r.Type+"."), "%s", k.reason)
			return
		}
	}
}

// missing notes that what a resource changes is not there.
func (t *tfReader) missing(r *tfResource, what, id string) {
	switch {
	case id != "":
		t.notes.add(r.Type, r.Address, "its %s %s is not in what was read", what, id)
	case t.plan == nil || !t.plan.open[r]:
		t.notes.add(r.Type, r.Address, "what was read does not tell its %s", what)
	}
}

// id is the account's, or the address where the resource is only planned.
func (r *tfResource) id() string { return firstOf(r.str("id"), r.Address) }

func (r *tfResource) str(key string) string {
	switch v := r.Values[key].(type) {
	case string:
		return v
	case float64:
		return fmt.Sprint(v)
	}
	return ""
}

func (r *tfResource) boolean(key string) *bool {
	if v, ok := r.Values[key].(bool); ok {
		return &v
	}
	return nil
}

func (r *tfResource) is(key string) bool { v := r.boolean(key); return v != nil && *v }

// integer is a number, which some attributes have as text.
func (r *tfResource) integer(key string) *int {
	switch v := r.Values[key].(type) {
	case float64:
		if v == float64(int32(v)) {
			n := int(v)
			return &n
		}
	case string:
		var n int
		if _, err := fmt.Sscanf(v, "%d", &n); err == nil && fmt.Sprint(n) == v {
			return &n
		}
	}
	return nil
}

func (r *tfResource) number(key string) int {
	if n := r.integer(key); n != nil {
		return *n
	}
	return 0
}

// strs is a list or set of text.
func (r *tfResource) strs(key string) (list []string) {
	items, _ := r.Values[key].([]any)
	for _, i := range items {
		if s, ok := i.(string); ok && s != "" {
			list = append(list, s)
		}
	}
	return list
}

// blocks are nested blocks, as resources without an address.
func (r *tfResource) blocks(key string) (list []*tfResource) {
	items, _ := r.Values[key].([]any)
	for _, i := range items {
		if m, ok := i.(map[string]any); ok {
			list = append(list, &tfResource{Values: m})
		}
	}
	return list
}

// tags are those that the object has, the provider's default ones among them.
func (r *tfResource) tags() (list []rawTag) {
	all, ok := r.Values["tags_all"].(map[string]any)
	if !ok || len(all) == 0 {
		all, _ = r.Values["tags"].(map[string]any)
	}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if v, ok := all[k].(string); ok {
			list = append(list, rawTag{k, v})
		}
	}
	return list
}

// from is where the resource's object is: provider 6 tells the Region of each.
func (t *tfReader) from(r *tfResource) origin {
	region := firstOf(r.str("region"), regionOfArn(r.str("arn")), zoneRegion.FindString(r.str("availability_zone")), t.plan.region(r), t.region)
	return origin{region: region, address: r.Address}
}

// placeMachines fills in the VPC of what Terraform knows the subnet of only.
func (t *tfReader) placeMachines() {
	for _, i := range t.Instances {
		if s := t.subnet(i.SubnetId); s != nil && i.VpcId == "" {
			i.VpcId = s.VpcId
		}
	}
	for _, n := range t.NetworkInterfaces {
		if s := t.subnet(n.SubnetId); s != nil && n.VpcId == "" {
			n.VpcId = s.VpcId
		}
	}
	for _, g := range t.NatGateways {
		if s := t.subnet(g.SubnetId); s != nil && g.VpcId == "" {
			g.VpcId = s.VpcId
		}
	}
}

// ownObjects adds the default group, which a state does not list although rules and instances may name it.
func (t *tfReader) ownObjects() {
	for _, v := range t.Vpcs {
		if v.ownGroup == "" || t.group(v.ownGroup) != nil {
			continue
		}
		g := &rawSecurityGroup{GroupId: v.ownGroup, GroupName: "default", VpcId: v.VpcId, OwnerId: v.OwnerId, origin: v.origin}
		g.IpPermissions = []rawPermission{{IpProtocol: "-1", UserIdGroupPairs: []rawGroupPair{{GroupId: v.ownGroup}}}}
		all := rawPermission{IpProtocol: "-1"}
		all.IpRanges = append(all.IpRanges, rawRange{CidrIp: "0.0.0.0/0"})
		g.IpPermissionsEgress = []rawPermission{all}
		t.SecurityGroups = append(t.SecurityGroups, g)
	}
}
