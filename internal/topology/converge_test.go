package topology

import (
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/topologies"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestEmbeddedConvergeTwice(t *testing.T) {
	for _, name := range topologies.Names() {
		t.Run(name, func(t *testing.T) {
			f, err := ParseFS(topologies.FS(), name+".yaml")
			if err != nil {
				t.Fatal(err)
			}
			m, changes, keys, err := f.Converge(nil, now, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(changes) == 0 || len(keys) != len(f.KeyPairs.List) {
				t.Errorf("%d changes, %d keys", len(changes), len(keys))
			}
			for _, err := range m.Check() {
				t.Error(err)
			}
			m2, changes, keys, err := f.Converge(&m, now, Options{})
			if err != nil || len(changes) > 0 || len(keys) > 0 {
				t.Errorf("second time: %v, %v, %d keys", changes, err, len(keys))
			}
			for _, err := range m2.Check() {
				t.Error(err)
			}
		})
	}
}
