package daemon

import (
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Objects become those of a file only when the file is kept: `up` takes away what a file made that is no more.
func TestExport_AdoptsForAFileThatIsKept(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	b.must("CreateSecurityGroup", `{"GroupName":"web","Description":"-","VpcId":"v"}`)
	source := func() string {
		t.Helper()
		for _, g := range b.Model().SecurityGroups.All() {
			if g.GroupName == "web" {
				return g.Source
			}
		}
		t.Fatal("there is no group web")
		return ""
	}
	adopt := func(kept string) (*control.Exported, error) {
		t.Helper()
		return b.Export(t.Context(), control.ExportRequest{Format: control.ExportTopology, Adopt: true, Kept: kept})
	}
	file, err := adopt("")
	if err != nil || !strings.Contains(file.Text, "web:") {
		t.Fatalf("%v\n%v", file, err)
	}
	if got := source(); got != "" {
		t.Fatalf("the group is that of %s before the file is kept", got)
	}
	b.must("CreateTags", `{"Resources":["`+groupID(t, b.Model(), "web")+`"],"Tags":[{"Key":"tier","Value":"1"}]}`)
	if _, err := adopt(file.Digest()); err == nil || !strings.Contains(err.Error(), "run the command again") {
		t.Fatalf("adopted for a file that is not as the lab: %v", err)
	}
	if got := source(); got != "" {
		t.Fatalf("the group is that of %s after a refusal", got)
	}
	if file, err = adopt(""); err != nil {
		t.Fatal(err)
	}
	if _, err := adopt(file.Digest()); err != nil {
		t.Fatal(err)
	}
	if got := source(); got != "security_groups.web" {
		t.Errorf("the group is that of %q", got)
	}
}

func groupID(t *testing.T, m *vpc.Model, name string) string {
	t.Helper()
	for id, g := range m.SecurityGroups.All() {
		if g.GroupName == name {
			return string(id)
		}
	}
	t.Fatalf("there is no group %s", name)
	return ""
}
