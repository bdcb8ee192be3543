package conformance

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/conformance.md")

const page = "docs/conformance.md"

// tested maps the ID of a rule to packages, and these to the tests that name it.
type tested map[string]map[string][]string

func TestEveryRuleHasItsTest(t *testing.T) {
	found := testsOf(t, moduleRoot(t))
	seen := map[string]bool{}
	for _, s := range sections {
		for _, r := range s.rules {
			if seen[r.id] {
				t.Errorf("%s is listed twice", r.id)
			}
			seen[r.id] = true
			if r.out == "" && len(found[r.id]) == 0 {
				t.Errorf("no test is named after %s (%s)", r.id, r.text)
			}
		}
	}
}

func TestThePageIsCurrent(t *testing.T) {
	root := moduleRoot(t)
	want := render(testsOf(t, root))
	file := filepath.Join(root, page)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date (%s): go test ./internal/conformance -update", page, firstDifference(string(got), string(want)))
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d should be %q", i+1, b[i])
		}
	}
	return "its length differs"
}

// moduleRoot is the folder above that has go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above this package")
		}
		dir = filepath.Dir(dir)
	}
}

// idInName finds the IDs in a test's name: RT07 in TestRT07_… and in TestTAP_RT07_….
var idInName = regexp.MustCompile(`(?:^(?:Test|Fuzz)|_)(AD|RT|IG|PI|EI|EO|NA|SG|CT|AC|EX|PL|EN|L2|IN|DH|DNS|IM|TI|MT|TT|FR|DV|FL)([0-9]{2})(?:$|[^0-9])`)

// idsIn lists the rules that a test's name names. Two IDs share the underscore
// between them, which a single regular expression match cannot.
func idsIn(name string) (ids []string) {
	for len(name) > 0 {
		m := idInName.FindStringSubmatchIndex(name)
		if m == nil {
			break
		}
		ids = append(ids, name[m[2]:m[3]]+"-"+name[m[4]:m[5]])
		name = name[m[5]:]
	}
	return ids
}

// testsOf reads the names of all tests of the module.
func testsOf(t *testing.T, root string) tested {
	t.Helper()
	found := tested{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != root && (strings.HasPrefix(n, ".") || strings.HasPrefix(n, "_") || n == "testdata" || n == "vendor") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv != nil {
				continue
			}
			for _, id := range idsIn(fn.Name.Name) {
				found.add(id, filepath.ToSlash(pkg), fn.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (f tested) add(id, pkg, name string) {
	if f[id] == nil {
		f[id] = map[string][]string{}
	}
	if !slices.Contains(f[id][pkg], name) {
		f[id][pkg] = append(f[id][pkg], name)
	}
}

func render(found tested) []byte {
	var b bytes.Buffer
	b.WriteString(`# Conformance

<!-- Written by go test ./internal/conformance -update. Change internal/conformance/rules_test.go. -->

What AWS documents about the parts of Amazon VPC that vpcemu emulates, rule by rule in our words, and the tests that bear
the rule's ID in their names. ` + "`go test -run RT07 ./...`" + ` runs those of rule RT-07. A rule without a test fails the build.
`)
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n| rule | what it says | tests |\n|---|---|---|\n", s.title)
		for _, r := range s.rules {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", r.id, r.text, r.tests(found))
		}
	}
	return b.Bytes()
}

func (r *rule) tests(found tested) string {
	if r.out != "" {
		return "out of scope: " + r.out
	}
	var cells []string
	packages := found[r.id]
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		names := slices.Sorted(slices.Values(packages[pkg]))
		for i, n := range names {
			names[i] = strings.TrimPrefix(n, "Test")
		}
		cells = append(cells, "**"+pkg+"** "+strings.Join(names, ", "))
	}
	return strings.Join(cells, "; ")
}

func TestIDsIn(t *testing.T) {
	for name, want := range map[string][]string{
		"TestRT07_LongestPrefixWins":        {"RT-07"},
		"TestTAP_RT15":                      {"RT-15"},
		"TestAC02_AC03_Default":             {"AC-02", "AC-03"},
		"TestVector26_Traceroute_L204_NA13": {"L2-04", "NA-13"},
		"TestStartRT07":                     nil,
		"TestRT071_":                        nil,
		"TestB03_Four_IG02":                 {"IG-02"},
	} {
		if got := idsIn(name); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
