package topologies

import (
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestNamesAndOpen(t *testing.T) {
	want := "acl-and-groups acl-ephemeral bastion book default-vpc eip-moves nat-wrong-subnet self-group three-tier"
	if got := strings.Join(Names(), " "); got != want {
		t.Errorf("got %s", got)
	}
	for _, bad := range []string{"", "none", "../topologies/book", "./book", "schema.json"} {
		if _, err := Open(bad); err == nil || !strings.Contains(err.Error(), want[:14]) {
			t.Errorf("Open(%q): %v", bad, err)
		}
	}
}

// TestEachTeaches: a header with the lesson and what to try, the name of the file,
// and scripts that a shell can read.
func TestEachTeaches(t *testing.T) {
	for _, name := range Names() {
		data, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(data), "\nversion: 1\n")
		if !strings.Contains(head, "LESSON: ") && name != "book" || !strings.Contains(head, "\n# Try:\n") {
			t.Errorf("%s has no lesson or nothing to try in its head", name)
		}
		type machine struct {
			UserData string `yaml:"user_data"`
		}
		var file struct {
			Name, Description string
			Instances         map[string]machine
			InternetHosts     map[string]machine `yaml:"internet_hosts"`
		}
		if err := yaml.Unmarshal(data, &file); err != nil {
			t.Fatal(err)
		}
		if file.Name != name || file.Description == "" {
			t.Errorf("%s: name %q, description %q", name, file.Name, file.Description)
		}
		for _, machines := range []map[string]machine{file.Instances, file.InternetHosts} {
			for m, is := range machines {
				cmd := exec.Command("sh", "-n")
				cmd.Stdin = strings.NewReader(is.UserData)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: user data of %s: %v: %s", name, m, err, out)
				}
			}
		}
	}
}
