package hcl

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/topologies"
)

// Every topology becomes a configuration that parses, is formatted, names each resource once, and
// refers to nothing that it does not have.
func TestLab_OfEveryTopology(t *testing.T) {
	for _, name := range topologies.Names() {
		b, err := topologies.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := topology.Parse(name+".yaml", b)
		if err != nil {
			t.Fatal(err)
		}
		m, _, _, err := f.Converge(nil, time.Now(), topology.Options{})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := Lab(&m, "")
		if string(hclwrite.Format(text)) != string(text) {
			t.Errorf("%s is not formatted", name)
		}
		file, diags := hclsyntax.ParseConfig(text, name+".tf", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatalf("%s: %v\n%s", name, diags, text)
		}
		defined := map[string]bool{"var.ami": true}
		body := file.Body.(*hclsyntax.Body)
		for _, block := range body.Blocks {
			if block.Type != "resource" && block.Type != "data" {
				continue
			}
			address := strings.Join(block.Labels, ".")
			if block.Type == "data" {
				address = "data." + address
			}
			if defined[address] {
				t.Errorf("%s has two resources %s", name, address)
			}
			defined[address] = true
		}
		for _, r := range references(body) {
			if !defined[r] {
				t.Errorf("%s refers to %s, which it does not have", name, r)
			}
		}
	}
}

func references(body *hclsyntax.Body) (list []string) {
	for _, a := range body.Attributes {
		for _, v := range a.Expr.Variables() {
			switch {
			case v.RootName() == "data":
				list = append(list, "data."+v[1].(hcl.TraverseAttr).Name+"."+v[2].(hcl.TraverseAttr).Name)
			case len(v) > 1:
				list = append(list, v.RootName()+"."+v[1].(hcl.TraverseAttr).Name)
			}
		}
	}
	for _, b := range body.Blocks {
		list = append(list, references(b.Body)...)
	}
	return list
}

// What looks like a template in user data or a tag is none in the configuration.
func TestLab_Escapes(t *testing.T) {
	f, err := topology.Parse("lab.yaml", []byte("version: 1\nname: lab\nvpcs: {v: {cidr_block: 10.0.0.0/16}}\nsubnets: {s: {vpc: v, cidr_block: 10.0.0.0/24}}\n"+
		"instances: {i: {subnet: s, user_data: \"#!/bin/sh\\necho ${HOME} %{x} \\\"quoted\\\"\\n\", tags: {Note: \"${a}\"}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, _, _, err := f.Converge(nil, time.Now(), topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := Lab(&m, "")
	file, diags := hclsyntax.ParseConfig(text, "main.tf", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, text)
	}
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		if b.Type != "resource" || b.Labels[0] != "aws_instance" {
			continue
		}
		v, diags := b.Body.Attributes["user_data"].Expr.Value(nil)
		if diags.HasErrors() || v.AsString() != "#!/bin/sh\necho ${HOME} %{x} \"quoted\"\n" {
			t.Errorf("%v %v", v, diags)
		}
		return
	}
	t.Errorf("no instance in\n%s", text)
}
