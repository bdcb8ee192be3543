package reasons

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
)

var update = flag.Bool("update", false, "write docs/drop-reasons.md")

const page = "../../docs/drop-reasons.md"

// A reason that is new needs its text; one that is gone takes its text along.
func TestEveryReasonIsExplained(t *testing.T) {
	for _, r := range dataplane.Reasons() {
		x, ok := texts[r]
		if !ok || x.happened == "" {
			t.Errorf("%s has no text in texts.go", r)
		}
		if r.Dropped() && (x.look == "" || x.change == "") {
			t.Errorf("%s: a drop needs to say what to look at and what to change", r)
		}
		for _, part := range []string{x.happened, x.look, x.change} {
			if part != "" && !strings.HasSuffix(part, ".") {
				t.Errorf("%s: %q does not end in a full stop", r, part)
			}
		}
	}
	if all := dataplane.Reasons(); len(texts) != len(all) {
		t.Errorf("%d texts for %d reasons", len(texts), len(all))
	}
}

var ruleID = regexp.MustCompile(`\b([A-Z][A-Z0-9]{1,2})-(\d\d)(?: to [A-Z]{2}-(\d\d))?`)

// The rules are those that the comments in dataplane/reason.go name.
func TestRulesAreTheReasonsOwn(t *testing.T) {
	comments := commentsOf(t, "../../dataplane/reason.go")
	ofName := map[string]string{}
	for i, r := range slices.DeleteFunc(orderOf(t, "../../dataplane/reason.go"), func(s string) bool { return s == "firstDrop" || s == "numReasons" }) {
		ofName[dataplane.Reasons()[i].Name()] = comments[r]
	}
	for _, r := range dataplane.Reasons() {
		for _, m := range ruleID.FindAllStringSubmatch(ofName[r.Name()], -1) {
			if id := m[1] + "-" + m[2]; !slices.Contains(texts[r].rules, id) {
				t.Errorf("%s: reason.go names %s, the text does not", r, id)
			}
		}
		for _, id := range texts[r].rules {
			if ruleID.FindString(id) != id {
				t.Errorf("%s: %q is no rule's ID", r, id)
			}
		}
	}
}

// orderOf lists the constants of type Reason in their order.
func orderOf(t *testing.T, file string) (names []string) {
	for _, s := range constants(t, file) {
		names = append(names, s.Names[0].Name)
	}
	return names
}

func commentsOf(t *testing.T, file string) map[string]string {
	all := map[string]string{}
	for _, s := range constants(t, file) {
		all[s.Names[0].Name] = s.Comment.Text()
	}
	return all
}

func constants(t *testing.T, file string) (specs []*ast.ValueSpec) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
			for _, s := range g.Specs {
				specs = append(specs, s.(*ast.ValueSpec))
			}
		}
	}
	if len(specs) != len(dataplane.Reasons())+2 {
		t.Fatalf("%s has %d constants, there are %d reasons", file, len(specs), len(dataplane.Reasons()))
	}
	return specs
}

func TestThePageIsCurrent(t *testing.T) {
	want := Markdown()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is out of date: go test ./internal/reasons -update", page)
	}
	for _, e := range All() {
		if !strings.Contains(want, "\n## "+e.Name+"\n") || e.Dropped && !strings.Contains(want, "| ["+e.Name+"](#") {
			t.Errorf("the page lacks %s", e.Name)
		}
	}
}

func TestFind(t *testing.T) {
	for _, name := range []string{"SUBNET_ACL_RESTRICTION", "subnet-acl-restriction"} {
		e, err := Find(name)
		if err != nil || e.Name != "SUBNET_ACL_RESTRICTION" || !e.AWS || !e.Dropped {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	for name, want := range map[string]string{
		"ACL": "did you mean SUBNET_ACL_RESTRICTION?", "mac": "there are SOURCE_MAC_NOT_OWN, DESTINATION_MAC_UNKNOWN",
		"nonsense": "ARP_ANSWERED", "": "ARP_ANSWERED",
	} {
		if e, err := Find(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %s", name, e, err, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for _, e := range All() {
		text := e.Plain(80)
		for line := range strings.Lines(text) {
			if len([]rune(line)) > 81 && !strings.Contains(line, ": "+e.Text) && !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: %q is too long", e.Name, line)
			}
		}
		if !strings.HasPrefix(text, e.Name+": "+e.Text+"\n") || strings.Contains(text, "`") {
			t.Errorf("%s", text)
		}
	}
}
