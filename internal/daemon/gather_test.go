package daemon

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// waiting is a daemon of which nothing but the committer's waiting room is there.
func waiting(workers ...string) *Daemon {
	d := &Daemon{requests: make(chan *request, 64), busy: map[string]bool{}}
	d.ctx, d.stop = context.WithCancel(context.Background())
	for _, id := range workers {
		d.busy[id] = true
	}
	return d
}

func TestGather(t *testing.T) {
	const within = time.Second
	for name, tc := range map[string]struct {
		workers []string
		first   *request
		after   map[time.Duration]*request // what comes when
		batch   int
		late    time.Duration
	}{
		"who waits is not kept waiting":        {[]string{"a", "b", "c"}, &request{}, nil, 1, 0},
		"nobody else is at work":               {[]string{"a"}, &request{patient: true}, nil, 1, 0},
		"until the time is up":                 {[]string{"a", "b", "c"}, &request{patient: true}, map[time.Duration]*request{within / 2: {patient: true}, 2 * within: {patient: true}}, 2, within},
		"until all who work have come":         {[]string{"a", "b"}, &request{patient: true}, map[time.Duration]*request{within / 2: {patient: true}}, 2, within / 2},
		"until somebody comes who cannot wait": {[]string{"a", "b", "c"}, &request{patient: true}, map[time.Duration]*request{within / 4: {}}, 2, within / 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := waiting(tc.workers...)
				defer d.stop()
				for after, r := range tc.after {
					time.AfterFunc(after, func() { d.requests <- r })
				}
				began := time.Now()
				batch := d.gather(tc.first, within)
				if late := time.Since(began); len(batch) != tc.batch || batch[0] != tc.first || late != tc.late {
					t.Errorf("%d requests after %v, want %d after %v", len(batch), late, tc.batch, tc.late)
				}
				time.Sleep(3 * within) // what comes too late
			})
		})
	}
}

func TestGather_EndsWithTheDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := waiting("a", "b")
		time.AfterFunc(time.Second, d.stop)
		began := time.Now()
		if batch := d.gather(&request{patient: true}, time.Minute); len(batch) != 1 || time.Since(began) != time.Second {
			t.Errorf("%d requests after %v", len(batch), time.Since(began))
		}
	})
}

// The index of names says what a look at every sandbox would.
func TestPlace_KeepsTheIndexOfNames(t *testing.T) {
	d := &Daemon{actual: map[string]*sandbox{}, held: map[string]int{}}
	for _, step := range []struct{ id, netns string }{
		{"i-1", "web"}, {"i-2", "db"}, {"i-3", "web"}, {"i-1", "web"}, {"i-1", "old"}, {"i-3", ""}, {"i-1", ""}, {"i-1", ""}, {"i-4", "web"},
	} {
		var s *sandbox
		if step.netns != "" {
			s = &sandbox{id: step.id, netns: step.netns}
		}
		d.place(step.id, s)
		if d.actual[step.id] != s {
			t.Fatalf("%+v: the sandbox is %v", step, d.actual[step.id])
		}
		count := map[string]int{}
		for _, s := range d.actual {
			count[s.netns]++
		}
		for _, name := range []string{"web", "db", "old"} {
			if d.held[name] != count[name] || d.nameGoing(nil, &wish{netns: name}) != (count[name] > 0) {
				t.Errorf("%+v: name %s held by %d, want %d", step, name, d.held[name], count[name])
			}
		}
	}
}

// The oracle asks the model about one instance after another.
func TestInterfacesOf(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	m := b.Model()
	of := interfacesOf(m)
	seen := 0
	for id := range m.Instances.All() {
		if want := m.InstanceInterfaces(id); !slices.Equal(of[id], want) || len(want) == 0 {
			t.Errorf("%s: %v, want %v", id, of[id], want)
		}
		seen++
	}
	if seen != 2 || len(of) != seen {
		t.Errorf("%d instances, interfaces of %d", seen, len(of))
	}
}

// Looking at two models in turn works neither out twice.
func TestWishes_OfTwoModels(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	old, next := b.Model(), &vpc.Model{}
	first, second := b.wishes(old), b.wishes(next)
	if len(first) == 0 || len(second) != 0 {
		t.Fatalf("%d and %d wishes", len(first), len(second))
	}
	for id, w := range first {
		if b.wishes(old)[id] != w {
			t.Errorf("the wish for %s was worked out again", id)
		}
	}
}
