package daemon

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A change of limits reaches a running instance, and only where there is one to be made; a new daemon makes sure.
func TestLimits_InPlace(t *testing.T) {
	b := newBench(t)
	limits := func() (list []string) {
		for _, what := range b.m.happened() {
			if strings.HasPrefix(what, "limits") {
				list = append(list, what)
			}
		}
		return list
	}
	b.mustUp("version: 1\ninstances: {a: {memory: 64MiB}, b: {}}\n")
	if got := limits(); len(got) > 0 {
		t.Errorf("told again what they were started with: %q", got)
	}
	b.mustUp("version: 1\ninstances: {a: {memory: 128MiB, cpus: 0.5}, b: {}}\n")
	if got := limits(); !slices.Equal(got, []string{"limits a {500 134217728 0}"}) {
		t.Errorf("changed: %q", got)
	}
	b.reopen()
	b.mustUp("version: 1\ninstances: {a: {}, b: {}}\n")
	if got := limits(); !slices.Contains(got, "limits a {0 0 0}") || !slices.Contains(got, "limits b {0 0 0}") {
		t.Errorf("after a restart: %q", got)
	}
}

func TestLimits_ThatCannotBe(t *testing.T) {
	b := newBench(t)
	b.m.noLimits = errors.New("no controller memory")
	if err := b.up("version: 1\ninstances: {a: {memory: 64MiB}}\n"); err == nil || !strings.Contains(err.Error(), "instance a") || !strings.Contains(err.Error(), "no controller memory") {
		t.Errorf("%v", err)
	}
	if names := b.m.names(); len(names) > 0 {
		t.Errorf("started: %q", names)
	}
	b.m.noLimits = nil
	b.mustUp("version: 1\ninstances: {a: {}}\n")
	b.m.failLimits = errors.New("more than that is in use")
	if err := b.up("version: 1\ninstances: {a: {memory: 64MiB}}\n"); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
	if names := b.m.names(); !slices.Equal(names, []string{"a"}) {
		t.Errorf("it does not run on: %q", names)
	}
}
