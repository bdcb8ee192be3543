package topology

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/topologies"
)

// TestBadFiles holds every message about the files of testdata/bad against the
// .txt beside each (-update writes them anew; read them then).
func TestBadFiles(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no files", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(name, data)
			if err == nil {
				t.Fatal("it parses")
			}
			var list Errors
			if !errors.As(err, &list) {
				t.Fatalf("%T is no Errors", err)
			}
			got := strings.ReplaceAll(err.Error(), filepath.Dir(name)+"/", "") + "\n"
			golden := strings.TrimSuffix(name, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, _ := os.ReadFile(golden); string(want) != got {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestNameComesFromPath(t *testing.T) {
	f, err := Parse("labs/small.yaml", []byte("version: 1\n"))
	if err != nil || f.Name.V != "small" {
		t.Fatalf("%v, %v", f, err)
	}
	if _, err := Parse("labs/Größe.yaml", []byte("version: 1\n")); err == nil {
		t.Fatal("a name that no lab can have is accepted")
	}
}

func TestTooLarge(t *testing.T) {
	_, err := Parse("big.yaml", []byte("version: 1\n#"+strings.Repeat("x", maxFileSize)))
	if err == nil || err.Error() != "big.yaml:1: the file is larger than 8388608 bytes" {
		t.Fatal(err)
	}
}

func TestUserDataFile(t *testing.T) {
	f, err := Parse("testdata/lab.yaml", []byte("version: 1\ninstances: {a: {user_data_file: bad/empty.yaml}, b: {user_data_file: bad/quota.yaml}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile("testdata/bad/quota.yaml")
	if f.Instances.Get("a").UserData.V != "" || f.Instances.Get("b").UserData.V != string(want) {
		t.Fatalf("%q, %q", f.Instances.Get("a").UserData.V, f.Instances.Get("b").UserData.V)
	}
}

func TestSuggest(t *testing.T) {
	for word, want := range map[string]string{"cidr_blok": "cidr_block", "subnet_id": "subnet", "vcps": "vpcs", "zzz": ""} {
		got := suggest(word, []string{"cidr_block", "subnet", "vpcs", "security_groups"})
		if want != "" {
			want = `; did you mean "` + want + `"?`
		}
		if got != want {
			t.Errorf("%s: %q", word, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range topologies.Names() {
		data, _ := topologies.Open(name)
		f.Add(data)
	}
	bad, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, name := range bad {
		data, _ := os.ReadFile(name)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("fuzz.yaml", data)
		if err != nil {
			return
		}
		m, _, _, err := file.Converge(nil, now, Options{})
		if err != nil {
			t.Fatalf("a file that parses does not converge: %v", err)
		}
		if _, changes, _, err := file.Converge(&m, now, Options{}); err != nil || len(changes) > 0 {
			t.Fatalf("the second time: %v, %v", changes, err)
		}
		for _, err := range m.Check() {
			t.Error(err)
		}
	})
}

// A file holds what a large account has; in it the line of a rule that is refused is told, however many are made with it.
func TestLargeAccount(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\nvpcs: {main: {cidr_block: 10.0.0.0/16}}\nsecurity_groups:\n")
	const groups, rules = 2000, 10
	for g := range groups {
		fmt.Fprintf(&b, "  group-%d:\n    vpc: main\n    description: a group of a large account\n    ingress:\n", g)
		for r := range rules {
			fmt.Fprintf(&b, "      - {port: %d, cidr_blocks: [10.0.%d.0/24], description: what the port is for}\n", 1000+r, g%250)
		}
	}
	f, err := Parse("large.yaml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	m, _, _, err := f.Converge(nil, time.Now(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range m.SecurityGroups.All() {
		n += len(g.Ingress)
	}
	if n < groups*rules || b.Len() < 1<<20 {
		t.Errorf("%d rules, %d bytes", n, b.Len())
	}
	_, err = Parse("bad.yaml", []byte("version: 1\nquotas: {rules-per-security-group: 3}\nvpcs: {main: {cidr_block: 10.0.0.0/16}}\nsecurity_groups:\n  web:\n    vpc: main\n    ingress:\n"+
		"      - {port: 1, cidr_blocks: [10.0.0.0/8]}\n      - {port: 2, cidr_blocks: [10.0.0.0/8]}\n      - {port: 3, cidr_blocks: [10.0.0.0/8]}\n      - {port: 4, cidr_blocks: [10.0.0.0/8]}\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "bad.yaml:11: ") {
		t.Errorf("%v", err)
	}
}
