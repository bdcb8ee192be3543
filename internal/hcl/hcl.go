// Package hcl writes a lab as a Terraform configuration for the AWS provider, version 5: one
// resource an object, with references in place of IDs.
//
// What Terraform cannot say of a lab (Internet hosts, impairments, checks, root file systems, limits)
// is in notes, which are also comments at the top.
package hcl

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Lab writes one Region of a lab, "" for the home Region. The text is formatted as `terraform
// fmt` has it.
func Lab(m *vpc.Model, region string) (text []byte, notes []string) {
	if region == "" {
		region = m.Region
	}
	view := m.In(region)
	w := &writer{m: &view, region: region, file: hclwrite.NewEmptyFile(), address: map[string]string{}, taken: map[string]bool{}}
	w.name()
	w.provider()
	w.networks()
	w.gateways()
	w.groups()
	w.acls()
	w.machines()
	w.routes()
	w.gatewayThatCame()
	w.unsaid()
	var out strings.Builder
	fmt.Fprintf(&out, "# Made by `vpcemu export --format terraform` of lab %s.\n#\n", m.Lab)
	out.WriteString("# To apply it to a lab and not to AWS, say where its API is, as `vpcemu api` shows:\n#   export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any\n")
	for i, n := range w.notes {
		if i == 0 {
			out.WriteString("#\n# Not in this configuration:\n")
		}
		out.WriteString("#   - " + n + "\n")
	}
	out.WriteString("\n")
	out.Write(hclwrite.Format(w.file.Bytes()))
	return []byte(out.String()), w.notes
}

type writer struct {
	m       *vpc.Model // of the Region
	region  string
	file    *hclwrite.File
	address map[string]string // ID -> aws_vpc.main
	taken   map[string]bool
	notes   []string
	first   bool // a block has been written
	// cameWith is the default VPC if a route leads to the gateway that it came with.
	cameWith string
}

func (w *writer) note(format string, a ...any) {
	w.notes = append(w.notes, oneLine(fmt.Sprintf(format, a...)))
}

// oneLine shows characters that could end a comment, or play on a terminal, by their escapes.
func oneLine(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !strconv.IsGraphic(r) }) < 0 {
		return s
	}
	q := strconv.QuoteToGraphic(s)
	return q[1 : len(q)-1]
}

var notInName = regexp.MustCompile(`[^a-z0-9_]+`)

// call names an object: a word, unique among those of its type.
func (w *writer) call(kind, id string, wishes ...string) {
	name := ""
	for _, wish := range wishes {
		if name = strings.Trim(notInName.ReplaceAllString(strings.ToLower(wish), "_"), "_"); name != "" {
			break
		}
	}
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = strings.TrimPrefix(kind[strings.LastIndexByte(kind, '_')+1:]+"_"+name, "_")
	}
	address := kind + "." + strings.TrimRight(name, "_")
	for i := 2; w.taken[address]; i++ {
		address = kind + "." + strings.TrimRight(name, "_") + "_" + strconv.Itoa(i)
	}
	w.taken[address] = true
	w.address[id] = address
}

// name names everything first, as objects refer to later ones.
func (w *writer) name() {
	m := w.m
	for id, v := range m.Vpcs.All() {
		kind := "aws_vpc"
		if v.IsDefault {
			kind = "aws_default_vpc"
		}
		w.call(kind, string(id), v.Name(), short(v.IsDefault, "default", "vpc_"+v.CidrBlock.Addr().String()))
	}
	for id, s := range m.Subnets.All() {
		kind := "aws_subnet"
		if s.DefaultForAz {
			kind = "aws_default_subnet"
		}
		w.call(kind, string(id), s.Name(), short(s.DefaultForAz, s.AvailabilityZone, "subnet_"+s.CidrBlock.Addr().String()))
	}
	for id, g := range m.InternetGateways.All() {
		kind := "aws_internet_gateway"
		if v := m.Vpcs.Get(g.VpcID); v != nil && v.IsDefault {
			kind = "data." + kind // it came with the VPC
			if len(g.Tags) > 0 {
				w.note("the tags of the default VPC's Internet gateway, which Terraform only looks up")
			}
		}
		w.call(kind, string(id), g.Name(), short(kind[0] == 'd', "default", "igw"))
	}
	for id, n := range m.NatGateways.All() {
		if n.State != "available" && n.State != "pending" {
			continue
		}
		w.call("aws_nat_gateway", string(id), n.Name(), "nat")
	}
	for id, a := range m.Addresses.All() {
		w.call("aws_eip", string(id), a.Name(), "eip_"+a.PublicIp.String())
	}
	for id, g := range m.SecurityGroups.All() {
		kind := "aws_security_group"
		if g.GroupName == "default" {
			kind = "aws_default_security_group"
		}
		if g.GroupName == "default" && groupAsAWS(g) { // no resource of its own
			w.address[string(id)] = w.address[string(g.VpcID)] + "#default_security_group_id"
			continue
		}
		w.call(kind, string(id), short(g.GroupName == "default", w.nameOf(string(g.VpcID)), g.GroupName), "group")
	}
	for id, a := range m.NetworkAcls.All() {
		kind := "aws_network_acl"
		if a.IsDefault {
			kind = "aws_default_network_acl"
		}
		w.call(kind, string(id), short(a.IsDefault, w.nameOf(string(a.VpcID)), a.Name()), "acl")
	}
	for id, t := range m.RouteTables.All() {
		if w.spare(t) {
			continue
		}
		kind := "aws_route_table"
		if w.builtIn(t) {
			kind = "aws_default_route_table"
		}
		w.call(kind, string(id), t.Name(), short(w.builtIn(t), w.nameOf(string(t.VpcID)), "table"))
	}
	for id, o := range m.DhcpOptions.All() {
		w.call("aws_vpc_dhcp_options", string(id), o.Name(), "options")
	}
	for name := range m.KeyPairs.All() {
		w.call("aws_key_pair", "key/"+m.KeyPairs.Get(name).KeyName, m.KeyPairs.Get(name).KeyName)
	}
	for id, i := range m.Instances.All() {
		if !lives(i) {
			continue
		}
		w.call("aws_instance", string(id), i.Name(), "instance")
	}
	for id, n := range m.NetworkInterfaces.All() {
		switch {
		case !n.Deleted.IsZero():
		case n.InterfaceType == "natGateway":
			for nat, g := range m.NatGateways.All() {
				if g.NetworkInterfaceID == id && w.address[string(nat)] != "" {
					w.address[string(id)] = w.address[string(nat)] + "#network_interface_id"
				}
			}
		case w.launchedWith(n) != "":
			if i := w.address[w.launchedWith(n)]; i != "" {
				w.address[string(id)] = i + "#primary_network_interface_id"
			}
		default:
			w.call("aws_network_interface", string(id), n.Name(), "eni_"+n.Primary().String())
		}
	}
	for id, f := range m.FlowLogs.All() {
		w.call("aws_flow_log", string(id), f.Name(), "log")
	}
}

func short(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// nameOf is the second word of an address.
func (w *writer) nameOf(id string) string {
	_, name, _ := strings.Cut(w.address[id], ".")
	return name
}

// builtIn tells whether a main table is to be the one that its VPC comes with: it was, as far as
// can be seen, or it has no name, so that nobody will miss it.
func (w *writer) builtIn(t *vpc.RouteTable) bool {
	if !slices.ContainsFunc(t.Associations, func(a vpc.RouteAssociation) bool { return a.Main }) {
		return false
	}
	v := w.m.Vpcs.Get(t.VpcID)
	return t.Name() == "" || v != nil && t.Created.Equal(v.Created) && !strings.HasPrefix(t.Source, "route_tables.")
}

// spare tells whether a table is the one that its VPC was made with, unused as another is the main one: AWS makes it
// again.
func (w *writer) spare(t *vpc.RouteTable) bool {
	v := w.m.Vpcs.Get(t.VpcID)
	return v != nil && t.Created.Equal(v.Created) && !strings.HasPrefix(t.Source, "route_tables.") && len(t.Tags)+len(t.Associations) == 0 &&
		!slices.ContainsFunc(t.Routes, func(r vpc.Route) bool { return !r.Local })
}

// block begins a top-level block.
func (w *writer) block(labels ...string) *hclwrite.Body {
	body := w.file.Body()
	if w.first {
		body.AppendNewline()
	}
	w.first = true
	return body.AppendNewBlock(labels[0], labels[1:]).Body()
}

// resource begins the resource of an object.
func (w *writer) resource(id string) body {
	kind, name, _ := strings.Cut(w.address[id], ".")
	return body{w.block("resource", kind, name), w}
}

// more begins a further resource. Others refer to it by key, if one is given.
func (w *writer) more(kind string, wish string, key ...string) body {
	id := kind + "/" + wish
	if len(key) > 0 {
		id = key[0]
	}
	w.call(kind, id, wish)
	return w.resource(id)
}

// body is that of a block.
type body struct {
	*hclwrite.Body
	w *writer
}

func (b body) text(key, value string) {
	if value != "" {
		b.SetAttributeValue(key, cty.StringVal(value))
	}
}
func (b body) number(key string, n int)   { b.SetAttributeValue(key, cty.NumberIntVal(int64(n))) }
func (b body) yes(key string, value bool) { b.SetAttributeValue(key, cty.BoolVal(value)) }

// ref sets an attribute to another object's attribute.
func (b body) ref(key, id, attribute string) {
	if address := b.w.address[id]; address != "" {
		b.SetAttributeTraversal(key, traversal(address, attribute))
	}
}

// traversal is the way to an object's attribute. What has no resource of its own is an attribute of
// another one, which its address names behind a #.
func traversal(address, attribute string) hcl.Traversal {
	address, other, ok := strings.Cut(address, "#")
	if ok {
		attribute = other
	}
	parts := strings.Split(address, ".")
	if attribute != "" {
		parts = append(parts, attribute)
	}
	t := hcl.Traversal{hcl.TraverseRoot{Name: parts[0]}}
	for _, p := range parts[1:] {
		t = append(t, hcl.TraverseAttr{Name: p})
	}
	return t
}

// refs sets an attribute to a list of other objects' IDs.
func (b body) refs(key string, ids []string) {
	var items []hclwrite.Tokens
	for _, id := range ids {
		if address := b.w.address[id]; address != "" {
			items = append(items, hclwrite.TokensForTraversal(traversal(address, "id")))
		}
	}
	if len(items) > 0 {
		b.SetAttributeRaw(key, list(items))
	}
}

func list(items []hclwrite.Tokens) hclwrite.Tokens { return hclwrite.TokensForTuple(items) }

// after has the resource wait for others.
func (b body) after(ids ...string) {
	var items []hclwrite.Tokens
	for _, id := range ids {
		items = append(items, hclwrite.TokensForTraversal(traversal(b.w.address[id], "")))
	}
	b.SetAttributeRaw("depends_on", list(items))
}

func (b body) texts(key string, list []string) {
	if len(list) == 0 {
		return
	}
	values := make([]cty.Value, len(list))
	for i, s := range list {
		values[i] = cty.StringVal(s)
	}
	b.SetAttributeValue(key, cty.ListVal(values))
}

func (b body) tags(tags map[string]string) {
	var items []hclwrite.ObjectAttrTokens
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		name := hclwrite.TokensForValue(cty.StringVal(k))
		if hclsyntax.ValidIdentifier(k) && k != "for" { // { for … would be an expression
			name = hclwrite.TokensForIdentifier(k)
		}
		items = append(items, hclwrite.ObjectAttrTokens{Name: name, Value: hclwrite.TokensForValue(cty.StringVal(tags[k]))})
	}
	if len(items) > 0 {
		b.SetAttributeRaw("tags", hclwrite.TokensForObject(items))
	}
}

func (b body) inner(kind string) body { return body{b.AppendNewBlock(kind, nil).Body(), b.w} }

// userData is text, as it stands where a reader can follow it, or base64 of what is none.
func (b body) userData(data string) {
	switch {
	case data == "":
	case !utf8.ValidString(data) || strings.ContainsRune(data, 0):
		b.text("user_data_base64", base64.StdEncoding.EncodeToString([]byte(data)))
	case heredoc(data) != nil:
		b.SetAttributeRaw("user_data", heredoc(data))
	default:
		b.text("user_data", data)
	}
}

// heredoc is the text line by line, nil where that would read as another text.
func heredoc(text string) hclwrite.Tokens {
	escaped := strings.NewReplacer("${", "$${", "%{", "%%{").Replace(text)
	whole := "<<EOT\n" + escaped + "EOT\n"
	expression, diags := hclsyntax.ParseExpression([]byte(whole), "", hcl.InitialPos)
	if diags.HasErrors() {
		return nil
	}
	if v, diags := expression.Value(nil); diags.HasErrors() || v.Type() != cty.String || v.AsString() != text {
		return nil
	}
	return hclwrite.Tokens{
		{Type: hclsyntax.TokenOHeredoc, Bytes: []byte("<<EOT\n")},
		{Type: hclsyntax.TokenStringLit, Bytes: []byte(escaped)},
		{Type: hclsyntax.TokenCHeredoc, Bytes: []byte("EOT")},
	}
}
