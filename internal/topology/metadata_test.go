package topology

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Keys that the file leaves out have the account's default, whether an instance is
// made with it or gets it later; tags that metadata cannot show wait until it shows none.
func TestIM03_MetadataOptionsLeftOut(t *testing.T) {
	f := parseText(t, full)
	m, _ := mustConverge(t, f, nil, Options{})
	tx := vpc.Begin(&m, vpc.Call{Now: now, NewID: vpc.RandomID})
	run(t, tx, &vpc.ModifyInstanceMetadataDefaultsInput{HttpTokens: "required"})
	m, changes := mustConverge(t, f, &tx.Model, Options{})
	if diff := cmp.Diff([]string{"update instance web: metadata_options", "update instance db: metadata_options"}, changes); diff != "" {
		t.Error(diff)
	}
	shown := edited(t, "    key_name: me", "    metadata_options: {instance_metadata_tags: enabled}\n    key_name: me")
	m, _ = mustConverge(t, parseText(t, shown), &m, Options{})
	hidden := edited(t, "    key_name: me", "    tags: {a b: c}\n    key_name: me")
	_, changes = mustConverge(t, parseText(t, hidden), &m, Options{})
	if diff := cmp.Diff([]string{"update instance web: metadata_options; tags"}, changes); diff != "" {
		t.Error(diff)
	}
	both := edited(t, "    key_name: me", "    metadata_options: {instance_metadata_tags: enabled}\n    tags: {a b: c}\n    key_name: me")
	if _, err := Parse("full.yaml", []byte(both)); err == nil || !strings.Contains(err.Error(), "instance web: InvalidParameterValue: 'a b' is not a valid tag key") {
		t.Errorf("got %v", err)
	}
}
