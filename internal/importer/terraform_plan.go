package importer

import (
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
	instances map[string][]*tfResource // module.vpc.aws_subnet.public -> its instances
	forEach   []string                 // what the resource at hand has one instance for each of
}

// cfgModule is a module of a plan's configuration.
type cfgModule struct {
	Resources []*struct {
		Address     string                     `json:"address"`
		Expressions map[string]json.RawMessage `json:"expressions"`
		ForEach     cfgExpression              `json:"for_each_expression"`
	} `json:"resources"`
	Outputs map[string]struct {
		Expression cfgExpression `json:"expression"`
	} `json:"outputs"`
	ModuleCalls map[string]*struct {
		Expressions map[string]json.RawMessage `json:"expressions"`
		Module      *cfgModule                 `json:"module"`
	} `json:"module_calls"`

	path   string // "module.vpc."; "" for the root
	parent *cfgModule
	inputs map[string]json.RawMessage
}

type cfgExpression struct {
	References    []string `json:"references"`
	ConstantValue any      `json:"constant_value"`
}

func newPlan(members map[string]json.RawMessage, list []*tfResource) (*tfPlan, error) {
	var configuration struct {
		RootModule *cfgModule `json:"root_module"`
	}
	if raw := members["configuration"]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &configuration); err != nil {
			return nil, fmt.Errorf("configuration: %w", typeError(err))
		}
	}
	p := &tfPlan{root: configuration.RootModule, instances: map[string][]*tfResource{}}
	p.root.link("", nil, nil, 0)
	for _, r := range list {
		key := withoutIndexes(r.Address)
		p.instances[key] = append(p.instances[key], r)
	}
	return p, nil
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
			p.forEach = c.ForEach.References
			p.fillAll(m, r, r.Values, c.Expressions)
		}
	}
}

// tfLists are the attributes that are lists or sets of IDs.
var tfLists = []string{"vpc_security_group_ids", "security_groups", "subnet_ids", "prefix_list_ids", "secondary_allocation_ids"}

func (p *tfPlan) fillAll(m *cfgModule, r *tfResource, values map[string]any, expressions map[string]json.RawMessage) {
	for attribute, raw := range expressions {
		var blocks []map[string]json.RawMessage
		if json.Unmarshal(raw, &blocks) == nil {
			p.fillBlocks(m, r, values, attribute, blocks)
			continue
		}
		var e cfgExpression
		if json.Unmarshal(raw, &e) != nil || values[attribute] != nil && !isList(values[attribute]) {
			continue
		}
		switch ids := p.resolve(m, r, e.References, 0); {
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
			values[attribute] = ids[0]
		}
	}
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
func (p *tfPlan) fillBlocks(m *cfgModule, r *tfResource, values map[string]any, attribute string, blocks []map[string]json.RawMessage) {
	planned, _ := values[attribute].([]any)
	used := make([]bool, len(planned))
	for _, b := range blocks {
		for i, v := range planned {
			if one, ok := v.(map[string]any); ok && !used[i] && sameConstants(one, b) {
				used[i] = true
				p.fillAll(m, r, one, b)
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

// resolve are the IDs that an expression's references stand for, as seen in module m.
func (p *tfPlan) resolve(m *cfgModule, r *tfResource, references []string, depth int) (ids []string) {
	return p.follow(m, r, references, depth, map[cfgReference]bool{})
}

// cfgReference is a reference in a module.
type cfgReference struct {
	m   *cfgModule
	ref string
}

// follow is resolve without the references that were followed before: a second time they lead to nothing new.
func (p *tfPlan) follow(m *cfgModule, r *tfResource, references []string, depth int, seen map[cfgReference]bool) (ids []string) {
	if m == nil {
		return nil
	}
	add := func(more ...string) {
		for _, id := range more {
			if id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	for i, ref := range references {
		// Terraform lists aws_vpc.main.id, then also aws_vpc.main: the second says nothing new.
		if i > 0 && (strings.HasPrefix(references[i-1], ref+".") || strings.HasPrefix(references[i-1], ref+"[")) {
			continue
		}
		if seen[cfgReference{m, ref}] {
			continue
		}
		seen[cfgReference{m, ref}] = true
		switch first, rest, _ := strings.Cut(ref, "."); first {
		case "var":
			var e cfgExpression
			name, _, _ := strings.Cut(rest, ".")
			if raw := m.inputs[withoutIndexes(name)]; len(raw) > 0 && json.Unmarshal(raw, &e) == nil {
				add(p.follow(m.parent, r, e.References, depth+1, seen)...)
			}
		case "module":
			parts := strings.Split(withoutIndexes(rest), ".")
			if call := m.ModuleCalls[parts[0]]; call != nil && call.Module != nil && len(parts) > 1 {
				add(p.follow(call.Module, r, call.Module.Outputs[parts[1]].Expression.References, depth+1, seen)...)
			}
		case "each":
			if name, _, _ := strings.Cut(rest, "."); name == "value" && depth == 0 {
				add(p.follow(m, r, p.forEach, depth+1, seen)...)
			}
		case "count", "local", "path", "self", "terraform":
		default:
			add(p.instance(m, r, ref)...)
		}
	}
	return ids
}

// instance are the IDs of the resource that a reference names: of one instance where it says which, or where both have
// the same index, else of all.
func (p *tfPlan) instance(m *cfgModule, r *tfResource, ref string) (ids []string) {
	parts := reference.FindStringSubmatch(ref)
	if parts == nil {
		return nil
	}
	all := p.instances[m.path+parts[1]]
	same := slices.IndexFunc(all, func(o *tfResource) bool { return r.Index != nil && fmt.Sprint(o.Index) == fmt.Sprint(r.Index) })
	for i, o := range all {
		if parts[2] != "" && !strings.HasSuffix(o.Address, parts[2]) || parts[2] == "" && same >= 0 && i != same {
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
