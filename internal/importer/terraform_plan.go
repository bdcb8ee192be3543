package importer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// tfPlan resolves what a plan leaves open: attributes that are known only after apply. Of these a topology file needs the
// IDs by which objects name one another, and the configuration says whose they are. An object that is only planned has
// the resource's address for its ID.
type tfPlan struct {
	root      *cfgModule
	regions   map[string]string        // a provider's key in the configuration -> its Region
	instances map[string][]*tfResource // module.vpc.aws_subnet.public -> its instances
	open      map[*tfResource]bool     // those of which a note says so
	notes     *notes
}

// cfgModule is a module of a plan's configuration.
type cfgModule struct {
	Resources []*struct {
		Address     string                     `json:"address"`
		Provider    string                     `json:"provider_config_key"`
		Expressions map[string]json.RawMessage `json:"expressions"`
		ForEach     cfgExpression              `json:"for_each_expression"`
	} `json:"resources"`
	Outputs map[string]struct {
		Expression cfgExpression `json:"expression"`
	} `json:"outputs"`
	ModuleCalls map[string]*cfgCall `json:"module_calls"`

	path   string // "module.vpc."; "" for the root
	parent *cfgModule
	inputs map[string]json.RawMessage
}

// cfgCall is a module block.
type cfgCall struct {
	Expressions map[string]json.RawMessage `json:"expressions"`
	ForEach     cfgExpression              `json:"for_each_expression"`
	Module      *cfgModule                 `json:"module"`
}

type cfgExpression struct {
	References    []string `json:"references"`
	ConstantValue any      `json:"constant_value"`
}

func newPlan(members map[string]json.RawMessage, list []*tfResource, said *notes) (*tfPlan, error) {
	var configuration struct {
		RootModule *cfgModule              `json:"root_module"`
		Providers  map[string]*cfgProvider `json:"provider_config"`
	}
	if raw := members["configuration"]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &configuration); err != nil {
			return nil, fmt.Errorf("configuration: %w", typeError(err))
		}
	}
	p := &tfPlan{root: configuration.RootModule, instances: map[string][]*tfResource{}, regions: map[string]string{}, open: map[*tfResource]bool{}, notes: said}
	p.root.link("", nil, nil, 0)
	p.settleRegions(configuration.Providers, members["variables"])
	for _, r := range list {
		key := withoutIndexes(r.Address)
		p.instances[key] = append(p.instances[key], r)
	}
	return p, nil
}

// cfgProvider is a provider block.
type cfgProvider struct {
	Expressions map[string]json.RawMessage `json:"expressions"`
}

// settleRegions finds the Regions of the providers that name one as text or by a variable of the root module: what is
// only planned has no ARN that would tell.
func (p *tfPlan) settleRegions(providers map[string]*cfgProvider, variables json.RawMessage) {
	var given map[string]struct{ Value any }
	_ = json.Unmarshal(variables, &given) // without, none is known
	for key, provider := range providers {
		var e cfgExpression
		if provider == nil || json.Unmarshal(provider.Expressions["region"], &e) != nil {
			continue
		}
		value := e.ConstantValue
		if name, ok := strings.CutPrefix(strings.Join(e.References, " "), "var."); ok {
			value = given[name].Value
		}
		if region, ok := value.(string); ok {
			p.regions[key] = region
		}
	}
}

// region is that of the provider of a resource, "" where it is not known.
func (p *tfPlan) region(r *tfResource) string {
	if p == nil {
		return ""
	}
	m, address := p.moduleOf(withoutIndexes(r.Address))
	if m == nil {
		return ""
	}
	for _, c := range m.Resources {
		if c != nil && c.Address == address {
			return p.regions[c.Provider]
		}
	}
	return ""
}

func (m *cfgModule) link(path string, parent *cfgModule, inputs map[string]json.RawMessage, depth int) {
	if m == nil || depth > 100 {
		return
	}
	m.path, m.parent, m.inputs = path, parent, inputs
	for name, call := range m.ModuleCalls {
		if call != nil {
			call.Module.link(path+"module."+name+".", m, call.Expressions, depth+1)
		}
	}
}

var index = regexp.MustCompile(`\[("([^"\\]|\\.)*"|[0-9]+)\]`)

// withoutIndexes is the address of a resource in the configuration.
func withoutIndexes(address string) string { return index.ReplaceAllString(address, "") }

// moduleOf finds the module that a resource is in, and its address there.
func (p *tfPlan) moduleOf(address string) (*cfgModule, string) {
	m := p.root
	for m != nil {
		rest, ok := strings.CutPrefix(address, "module.")
		if !ok {
			break
		}
		name, below, _ := strings.Cut(rest, ".")
		call := m.ModuleCalls[name]
		if call == nil {
			return nil, ""
		}
		m, address = call.Module, below
	}
	return m, address
}

// fill sets the attributes of a resource that are not known yet to what the configuration refers to.
func (p *tfPlan) fill(r *tfResource) {
	if r.Values == nil {
		r.Values = map[string]any{}
	}
	m, address := p.moduleOf(withoutIndexes(r.Address))
	if m == nil {
		return
	}
	for _, c := range m.Resources {
		if c != nil && c.Address == address {
			p.fillAll(placeOf(m, r, c.ForEach.References), r, r.Values, c.Expressions)
		}
	}
}

// tfLists are the attributes that are lists or sets of IDs.
var tfLists = []string{"vpc_security_group_ids", "security_groups", "subnet_ids", "prefix_list_ids", "secondary_allocation_ids"}

func (p *tfPlan) fillAll(at cfgPlace, r *tfResource, values map[string]any, expressions map[string]json.RawMessage) {
	for attribute, raw := range expressions {
		var blocks []map[string]json.RawMessage
		if json.Unmarshal(raw, &blocks) == nil {
			p.fillBlocks(at, r, values, attribute, blocks)
			continue
		}
		var e cfgExpression
		if json.Unmarshal(raw, &e) != nil || values[attribute] != nil && !isList(values[attribute]) {
			continue
		}
		switch ids := p.resolve(at, e.References); {
		case len(ids) == 0 && values[attribute] == nil:
			p.guess(at, r, values, attribute, e.References)
		case len(ids) == 0:
		case values[attribute] != nil:
			fillOpen(attribute, values[attribute].([]any), ids)
		case slices.Contains(tfLists, attribute):
			list := []any{}
			for _, id := range ids {
				list = append(list, id)
			}
			values[attribute] = list
		default:
			p.fillOne(r, values, attribute, ids)
		}
	}
}

// tfTargets are the types of resources that an attribute can name; of another one, a reference leads elsewhere.
var tfTargets = map[string][]string{
	"vpc_id": {"aws_vpc", "aws_default_vpc"}, "subnet_id": {"aws_subnet", "aws_default_subnet"}, "allocation_id": {"aws_eip"},
	"nat_gateway_id": {"aws_nat_gateway"}, "internet_gateway_id": {"aws_internet_gateway"}, "route_table_id": {"aws_route_table", "aws_default_route_table", "aws_vpc", "aws_default_vpc"},
	"security_group_id": {"aws_security_group", "aws_default_security_group", "aws_vpc", "aws_default_vpc"}, "network_acl_id": {"aws_network_acl", "aws_default_network_acl", "aws_vpc", "aws_default_vpc"},
}

// fillOne sets an attribute that is one ID. Where the references leave several, none is as good as another: it stays open.
func (p *tfPlan) fillOne(r *tfResource, values map[string]any, attribute string, ids []string) {
	if types, ok := tfTargets[attribute]; ok {
		ids = slices.DeleteFunc(ids, func(id string) bool {
			parts := splitAddress(id)
			return len(parts) > 1 && !slices.Contains(types, strings.TrimPrefix(parts[len(parts)-2], "data."))
		})
	}
	switch len(ids) {
	case 0:
	case 1:
		values[attribute] = ids[0]
	default:
		p.open[r] = true
		p.notes.add(r.Type, r.Address, "the plan does not tell its %s: one of %s", attribute, strings.Join(ids, ", "))
	}
}

// guess takes a local value, which a plan does not show, for the one thing that it can be: the only resource in its module that the
// attribute can name, or the one with the index at hand.
func (p *tfPlan) guess(at cfgPlace, r *tfResource, values map[string]any, attribute string, references []string) {
	types := tfTargets[attribute]
	if attribute != "vpc_id" {
		types = slices.DeleteFunc(slices.Clone(types), func(kind string) bool { return strings.HasSuffix(kind, "_vpc") })
	}
	if len(types) == 0 {
		return
	}
	if ids := p.follow(at, references, "", &search{seen: map[string]bool{}, locals: types}); len(ids) == 1 {
		values[attribute] = ids[0]
		p.notes.add(r.Type, r.Address, "a plan does not show local values, on which its %s depends: it is taken for that of %s, the only one that fits", attribute, ids[0])
	}
}

// local are the resources of the types in a module instance.
func (p *tfPlan) local(at cfgPlace, types []string, index string) (ids []string) {
	var all []*tfResource
	for _, list := range p.instances {
		for _, o := range list {
			if slices.Contains(types, o.Type) && slices.Equal(placeOf(nil, o, nil).steps, at.steps) {
				all = append(all, o)
			}
		}
	}
	same := func(o *tfResource) bool { return indexOf(o.Address) == index }
	for _, o := range all {
		if len(all) == 1 || index == "" || same(o) {
			ids = append(ids, o.id())
		}
	}
	return ids
}

func isList(v any) bool { _, ok := v.([]any); return ok }

// fillOpen completes nested blocks of which a plan tells the references of all together: routes and inline rules. It can where
// one block is open, or all are alike.
func fillOpen(attribute string, blocks []any, ids []string) {
	var open []map[string]any
	for _, b := range blocks {
		one, ok := b.(map[string]any)
		if !ok {
			continue
		}
		_, hasGroups := one["security_groups"]
		target := tfTarget(&tfResource{Values: one})
		if attribute == "route" && firstOf(target.GatewayId, target.NatGatewayId, target.NetworkInterfaceId, target.InstanceId, target.TransitGatewayId, target.VpcPeeringConnectionId, target.VpcEndpoint) == "" ||
			(attribute == "ingress" || attribute == "egress") && !hasGroups {
			open = append(open, one)
		}
	}
	if len(open) != 1 && len(ids) != 1 {
		return
	}
	for _, one := range open {
		if attribute != "route" {
			list := []any{}
			for _, id := range ids {
				list = append(list, id)
			}
			one["security_groups"] = list
		} else if key := targetKey(ids[0]); key != "" {
			one[key] = ids[0]
		}
	}
}

// targetKey is the attribute of a route for a planned resource.
func targetKey(address string) string {
	parts := strings.Split(withoutIndexes(address), ".")
	if len(parts) < 2 {
		return ""
	}
	switch parts[len(parts)-2] {
	case "aws_internet_gateway":
		return "gateway_id"
	case "aws_nat_gateway":
		return "nat_gateway_id"
	case "aws_network_interface":
		return "network_interface_id"
	case "aws_instance":
		return "instance_id"
	}
	return ""
}

// fillBlocks fills nested blocks. A set has lost the order of the configuration, so that a block is known again by
// its constants.
func (p *tfPlan) fillBlocks(at cfgPlace, r *tfResource, values map[string]any, attribute string, blocks []map[string]json.RawMessage) {
	planned, _ := values[attribute].([]any)
	used := make([]bool, len(planned))
	for _, b := range blocks {
		for i, v := range planned {
			if one, ok := v.(map[string]any); ok && !used[i] && sameConstants(one, b) {
				used[i] = true
				p.fillAll(at, r, one, b)
				break
			}
		}
	}
}

func sameConstants(values map[string]any, expressions map[string]json.RawMessage) bool {
	for key, raw := range expressions {
		var e cfgExpression
		if json.Unmarshal(raw, &e) == nil && e.ConstantValue != nil && values[key] != nil && !reflect.DeepEqual(values[key], e.ConstantValue) &&
			fmt.Sprint(values[key]) != fmt.Sprint(e.ConstantValue) {
			return false
		}
	}
	return true
}

var reference = regexp.MustCompile(`^((?:data\.)?[a-z0-9_]+\.[A-Za-z0-9_-]+)((?:\[(?:"(?:[^"\\]|\\.)*"|[0-9]+)\])?)(?:\.([A-Za-z0-9_]+))?$`)

// cfgPlace is where an expression stands: in a module, of which it may be one instance of several.
type cfgPlace struct {
	m       *cfgModule
	steps   []string // the module instances on the way to it, such as net["a"]; without the index where that is not known
	index   string   // what count.index, each.key and each.value stand for there, as ["a"] or [0]; "" for nothing
	forEach []string // what each.value refers to
}

// placeOf is where the expressions of a resource stand.
func placeOf(m *cfgModule, r *tfResource, forEach []string) cfgPlace {
	at := cfgPlace{m: m, index: indexOf(r.Address), forEach: forEach}
	for parts := splitAddress(r.Address); len(parts) > 2 && parts[0] == "module"; parts = parts[2:] {
		at.steps = append(at.steps, parts[1])
	}
	return at
}

// outer is where the inputs of the module are set.
func (at cfgPlace) outer() cfgPlace {
	out := cfgPlace{m: at.m.parent}
	if n := len(at.steps); n > 0 {
		out.steps, out.index = at.steps[:n-1], indexOf(at.steps[n-1])
		if call := out.call(withoutIndexes(at.steps[n-1])); call != nil {
			out.forEach = call.ForEach.References
		}
	}
	return out
}

func (at cfgPlace) call(name string) *cfgCall {
	if at.m == nil {
		return nil
	}
	return at.m.ModuleCalls[name]
}

// has tells whether the resource is in the module instance.
func (at cfgPlace) has(r *tfResource) bool {
	of := placeOf(nil, r, nil).steps
	for i, step := range at.steps {
		if i >= len(of) || step != of[i] && step != withoutIndexes(of[i]) {
			return false
		}
	}
	return true
}

// splitAddress splits at the dots that are not within an index.
func splitAddress(address string) (parts []string) {
	start, quoted, depth := 0, false, 0
	for i := 0; i < len(address); i++ {
		switch c := address[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == '.' && depth == 0:
			parts, start = append(parts, address[start:i]), i+1
		}
	}
	return append(parts, address[start:])
}

// indexOf is the index at the end of an address, "" for none.
func indexOf(address string) string {
	all := index.FindAllStringIndex(address, -1)
	if n := len(all); n > 0 && all[n-1][1] == len(address) {
		return address[all[n-1][0]:]
	}
	return ""
}

// search is one resolution.
type search struct {
	seen   map[string]bool // references that were followed
	locals []string        // types of resources that a local value is taken for; none to leave it
}

// resolve are the IDs that an expression's references stand for.
func (p *tfPlan) resolve(at cfgPlace, references []string) (ids []string) {
	return p.follow(at, references, "", &search{seen: map[string]bool{}})
}

// follow is resolve without the references that were followed before: a second time they lead to nothing new. index is that of
// the one instance which is meant, "" for all.
func (p *tfPlan) follow(at cfgPlace, references []string, index string, s *search) (ids []string) {
	if at.m == nil {
		return nil
	}
	if slices.ContainsFunc(references, ofEach) {
		index = at.index
	}
	for i, ref := range references {
		// Terraform lists aws_vpc.main.id, then also aws_vpc.main: the second says nothing new.
		if i > 0 && (strings.HasPrefix(references[i-1], ref+".") || strings.HasPrefix(references[i-1], ref+"[")) {
			continue
		}
		key := fmt.Sprintf("%p %q %q %q", at.m, at.steps, index, ref)
		if s.seen[key] {
			continue
		}
		s.seen[key] = true
		for _, id := range p.one(at, ref, index, s) {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// ofEach tells whether a reference is to what tells the instances of a resource or module from one another.
func ofEach(ref string) bool { return ref == "count.index" || strings.HasPrefix(ref, "each.") }

// one are the IDs that one reference stands for.
func (p *tfPlan) one(at cfgPlace, ref, index string, s *search) []string {
	switch parts := splitAddress(ref); parts[0] {
	case "var":
		var e cfgExpression
		if raw := at.m.inputs[withoutIndexes(parts[min(1, len(parts)-1)])]; len(raw) > 0 && json.Unmarshal(raw, &e) == nil {
			return p.follow(at.outer(), e.References, firstOf(indexOf(parts[min(1, len(parts)-1)]), index), s)
		}
	case "module":
		if len(parts) < 3 {
			return nil
		}
		call, output := at.call(withoutIndexes(parts[1])), parts[2]
		if call == nil || call.Module == nil {
			return nil
		}
		inner := cfgPlace{m: call.Module, steps: append(slices.Clone(at.steps), p.moduleInstance(at, parts[1], index))}
		return p.follow(inner, call.Module.Outputs[withoutIndexes(output)].Expression.References, firstOf(indexOf(output), index), s)
	case "each":
		if strings.HasPrefix(ref, "each.value") {
			return p.follow(cfgPlace{m: at.m, steps: at.steps}, at.forEach, index, s)
		}
	case "local":
		if len(s.locals) > 0 {
			return p.local(at, s.locals, index)
		}
	case "count", "path", "self", "terraform":
	default:
		return p.instance(at, ref, index, s)
	}
	return nil
}

// moduleInstance is the step to a module: with the index at hand where one of the module's instances has it.
func (p *tfPlan) moduleInstance(at cfgPlace, step, index string) string {
	if index == "" || indexOf(step) != "" {
		return step
	}
	inner := cfgPlace{steps: append(slices.Clone(at.steps), step+index)}
	for _, all := range p.instances {
		if slices.ContainsFunc(all, inner.has) {
			return step + index
		}
	}
	return step
}

// instance are the IDs of the resource that a reference names: of one instance where it says which, or where one has
// the index that is meant, else of all.
func (p *tfPlan) instance(at cfgPlace, ref, index string, s *search) (ids []string) {
	parts := reference.FindStringSubmatch(ref)
	if parts == nil {
		return nil
	}
	var all []*tfResource
	for _, o := range p.instances[at.m.path+parts[1]] {
		if at.has(o) && (parts[2] == "" || indexOf(o.Address) == parts[2]) {
			all = append(all, o)
		}
	}
	for _, o := range meant(all, parts[2], index) {
		if more := p.passedOn(o, parts[3], s); len(more) > 0 {
			ids = append(ids, more...)
			continue
		}
		switch known := o.str(parts[3]); {
		case known != "":
			ids = append(ids, known)
		case parts[3] == "" || parts[3] == "id" || parts[3] == "allocation_id" || parts[3] == "arn":
			ids = append(ids, o.Address)
		default:
			ids = append(ids, o.Address+"#"+parts[3])
		}
	}
	return ids
}

// passedOn are the IDs that a resource was given itself and passes on, such as the vpc_id of an association.
func (p *tfPlan) passedOn(o *tfResource, attribute string, s *search) []string {
	if tfTargets[attribute] == nil || o.str(attribute) != "" {
		return nil
	}
	m, address := p.moduleOf(withoutIndexes(o.Address))
	if m == nil {
		return nil
	}
	for _, c := range m.Resources {
		var e cfgExpression
		if c != nil && c.Address == address && json.Unmarshal(c.Expressions[attribute], &e) == nil {
			return p.follow(placeOf(m, o, c.ForEach.References), e.References, "", s)
		}
	}
	return nil
}

// meant is the one instance of several that has the index. A number counts instances of for_each in the order of their
// keys, as a list of them has it, and beyond the last it counts from the first again, as element() does.
func meant(all []*tfResource, said, index string) []*tfResource {
	if said != "" || index == "" || len(all) == 0 {
		return all
	}
	for i, o := range all {
		if indexOf(o.Address) == index {
			return all[i : i+1]
		}
	}
	var n int
	block := func(o *tfResource) string { return strings.TrimSuffix(o.Address, indexOf(o.Address)) }
	if _, err := fmt.Sscanf(index, "[%d]", &n); err != nil || n < 0 || slices.ContainsFunc(all, func(o *tfResource) bool { return block(o) != block(all[0]) }) {
		return all // of several instances of their module
	}
	key := func(o *tfResource) string { return indexOf(o.Address) }
	all = slices.SortedStableFunc(slices.Values(all), func(a, b *tfResource) int {
		return cmp.Or(len(key(a))*numbered(key(a))-len(key(b))*numbered(key(b)), strings.Compare(key(a), key(b)))
	})
	return all[n%len(all) : n%len(all)+1]
}

// numbered is 1 for an index of count.
func numbered(index string) int {
	if strings.HasPrefix(index, `["`) {
		return 0
	}
	return 1
}
