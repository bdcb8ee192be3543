package host

import (
	"net/netip"
	"testing"
)

func TestPoolFree(t *testing.T) {
	// Tests that send nothing: the documentation ranges are nobody's.
	if err := PoolFree(netip.MustParsePrefix("203.0.113.0/24")); err != nil {
		t.Errorf("a documentation range: %v", err)
	}
}
