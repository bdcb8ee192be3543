package explain

import (
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
)

// A new reason needs advice, or a word that no trace ends with it.
func TestEveryDropHasAdvice(t *testing.T) {
	for _, r := range dataplane.Reasons() {
		switch has := advisers[r] != nil; {
		case r.Dropped() && has == neverTraced[r]:
			t.Errorf("%s: has advice: %v, is never traced: %v", r, has, neverTraced[r])
		case !r.Dropped() && (has || neverTraced[r]):
			t.Errorf("%s is no drop", r)
		}
	}
}
