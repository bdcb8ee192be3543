package unit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Manager starts, stops and knows the units of an instance. It is safe for concurrent use.
type Manager struct {
	c Config

	booted time.Time

	declaredMu sync.Mutex
	declared   map[string]bool // files of tmpfiles.d that were followed

	mu       sync.Mutex
	services map[string]*service // by name without alias
	timers   map[string]*timer   // that wait
	env      environ             // set-environment
}

// NewManager returns a manager without any unit running.
func NewManager(c Config) *Manager {
	c.setDefaults()
	return &Manager{c: c, booted: time.Now(), services: map[string]*service{}, timers: map[string]*timer{}, env: environ{}, declared: map[string]bool{}}
}

// environment returns a copy of what set-environment set.
func (m *Manager) environment() environ {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := environ{}
	for k, v := range m.env {
		e[k] = v
	}
	return e
}

// service returns the unit of a definition, making an entry for a new one.
func (m *Manager) service(d *definition) *service {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.services[d.name]
	if s == nil {
		s = &service{c: &m.c, manager: m, name: d.name, def: d, st: State{Active: "inactive", Sub: "dead", Result: "success"}}
		m.services[d.name] = s
	}
	return s
}

// loaded returns the units that were ever started, sorted by name.
func (m *Manager) loaded() []*service {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*service, 0, len(m.services))
	for _, s := range m.services {
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}

// State returns what is known about a unit; an error wraps ErrNotFound if there is none.
func (m *Manager) State(name string) (State, error) {
	d, err := m.c.load(name)
	if err != nil {
		return State{}, err
	}
	return m.service(d).state(), nil
}

// Start starts a unit and what it requires and wants, in order, and returns when it is up (by its type) or
// has failed (*Err). When ctx ends, the start goes on unwatched.
func (m *Manager) Start(ctx context.Context, name string) error {
	d, err := m.c.load(name)
	if err != nil {
		return err
	}
	return m.startAll(ctx, []*definition{d})[d.name]
}

// StartEnabled starts the units that are enabled in this instance; see the package comment for which. The
// error joins those of the units that failed, the others run.
func (m *Manager) StartEnabled(ctx context.Context) error {
	var ds []*definition
	var errs []error
	for _, name := range m.enabled() {
		d, err := m.c.load(name)
		if errors.Is(err, ErrNotFound) {
			continue // its package was removed, or is not installed on this host
		} else if err != nil {
			errs = append(errs, err)
		} else if !d.masked {
			ds = append(ds, d)
		}
	}
	for _, err := range m.startAll(ctx, ds) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// plan is a set of units to start, each after those in it that its file names.
type plan struct {
	defs    map[string]*definition
	missing map[string]bool // required, but not there
	rank    map[string]int  // in an order that honours After as far as there are no cycles
}

// closure collects the units that a start pulls in. Dependencies on other things than services (network.target)
// are met in an instance.
func (m *Manager) closure(ds []*definition) *plan {
	p := &plan{defs: map[string]*definition{}, missing: map[string]bool{}, rank: map[string]int{}}
	for queue := slices.Clone(ds); len(queue) > 0; queue = queue[1:] {
		d := queue[0]
		if p.defs[d.name] != nil {
			continue
		}
		p.defs[d.name] = d
		for _, name := range append(slices.Clone(d.requires), d.wants...) {
			if !strings.HasSuffix(name, ".service") {
				continue
			}
			dep, err := m.c.load(name)
			if err != nil || dep.masked {
				p.missing[name] = true
				continue
			}
			queue = append(queue, dep)
		}
	}
	names := make([]string, 0, len(p.defs))
	for n := range p.defs {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		p.visit(n, map[string]bool{})
	}
	return p
}

// visit ranks a unit behind those it comes after; open are those on the way here, which close a cycle.
func (p *plan) visit(n string, open map[string]bool) {
	if _, done := p.rank[n]; done || open[n] {
		return
	}
	open[n] = true
	for _, before := range p.predecessors(n) {
		p.visit(before, open)
	}
	p.rank[n] = len(p.rank)
}

func (p *plan) predecessors(n string) []string {
	var out []string
	for other, d := range p.defs {
		if other != n && (slices.Contains(p.defs[n].after, other) || slices.Contains(d.before, n)) {
			out = append(out, other)
		}
	}
	sort.Strings(out)
	return out
}

// startAll starts units and all they pull in, and returns what failed by name.
func (m *Manager) startAll(ctx context.Context, ds []*definition) map[string]error {
	p := m.closure(ds)
	finished := map[string]chan struct{}{}
	for n := range p.defs {
		finished[n] = make(chan struct{})
	}
	var mu sync.Mutex
	failed := map[string]error{}
	for n, d := range p.defs {
		go func() {
			defer close(finished[n])
			waitFor := append(p.predecessors(n), d.requires...)
			for _, b := range waitFor {
				if ch := finished[b]; ch != nil && p.rank[b] < p.rank[n] {
					<-ch
				}
			}
			mu.Lock()
			broken := slices.ContainsFunc(d.requires, func(r string) bool { return failed[r] != nil || p.missing[r] })
			mu.Unlock()
			var err error = &Err{n, "dependency"}
			if !broken {
				err = m.startOne(ctx, d)
			}
			if err != nil {
				mu.Lock()
				failed[n] = err
				mu.Unlock()
			}
		}()
	}
	for _, ch := range finished {
		<-ch
	}
	return failed
}

func (m *Manager) startOne(ctx context.Context, d *definition) error {
	if d.masked {
		return worded("Failed to start %s: Unit %s is masked.", d.name, d.name)
	}
	if !strings.HasSuffix(d.name, ".service") {
		switch {
		case strings.HasSuffix(d.name, ".target"):
			return nil
		case strings.HasSuffix(d.name, ".timer"):
			return m.startTimer(d)
		}
		return worded("Failed to start %s: only services and timers can be started in an instance.", d.name)
	}
	l, err := m.service(d).begin(d)
	if l == nil || err != nil {
		return err
	}
	select {
	case <-l.started:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop stops a unit, and first those that require it. It returns when all their processes are gone or were
// given up on, or ctx ends.
func (m *Manager) Stop(ctx context.Context, name string) error {
	d, err := m.c.load(name)
	if errors.Is(err, ErrNotFound) {
		m.mu.Lock()
		s := m.services[fullName(name)]
		m.mu.Unlock()
		if s != nil { // its file is gone, but it runs
			return m.stopOne(ctx, s, infinity)
		}
	}
	if err != nil {
		return err
	}
	if m.stopTimer(d.name) {
		return nil
	}
	for _, s := range m.loaded() {
		if s.life() != nil && slices.Contains(s.definition().requires, d.name) {
			if err := m.stopOne(ctx, s, infinity); err != nil {
				return err
			}
		}
	}
	return m.stopOne(ctx, m.service(d), infinity)
}

func (m *Manager) stopOne(ctx context.Context, s *service, grace time.Duration) error {
	l := s.life()
	if l == nil {
		return nil
	}
	l.end(grace)
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("unit %s: still stopping: %w", s.name, ctx.Err())
	}
}

// Restart stops a unit if it runs, and starts it.
func (m *Manager) Restart(ctx context.Context, name string) error {
	if err := m.Stop(ctx, name); err != nil {
		return err
	}
	return m.Start(ctx, name)
}

// Reload runs a unit's ExecReload.
func (m *Manager) Reload(ctx context.Context, name string) error {
	d, err := m.c.load(name)
	if err != nil {
		return err
	}
	if len(d.reload) == 0 {
		return worded("Failed to reload %s: Job type reload is not applicable for unit %s.", d.name, d.name)
	}
	l := m.service(d).life()
	if l == nil || m.service(d).state().Active != "active" {
		return worded("%s is not active, cannot reload.", d.name)
	}
	answer := make(chan error, 1)
	select {
	case l.reloads <- answer:
	case <-l.done:
		return worded("%s is not active, cannot reload.", d.name)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// StopAll stops everything, dependents before what they come after, each within grace at the most. The error
// names the units that were still there when ctx ended.
func (m *Manager) StopAll(ctx context.Context, grace time.Duration) error {
	for _, s := range m.loaded() {
		m.stopTimer(s.name) // or it starts what is being stopped
	}
	var ds []*definition
	byName := map[string]*service{}
	for _, s := range m.loaded() {
		if s.life() != nil {
			byName[s.name] = s
			ds = append(ds, s.definition())
		}
	}
	p := &plan{defs: map[string]*definition{}, rank: map[string]int{}}
	for _, d := range ds {
		p.defs[d.name] = d
	}
	for _, d := range ds {
		p.visit(d.name, map[string]bool{})
	}
	finished := map[string]chan struct{}{}
	for n := range byName {
		finished[n] = make(chan struct{})
	}
	errs := make(chan error, len(byName))
	for n, s := range byName {
		go func() {
			defer close(finished[n])
			for other := range byName {
				if p.rank[other] > p.rank[n] && slices.Contains(p.predecessors(other), n) {
					<-finished[other]
				}
			}
			errs <- m.stopOne(ctx, s, grace)
		}()
	}
	var all []error
	for range byName {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}
