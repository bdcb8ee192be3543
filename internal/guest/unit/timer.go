package unit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// stampDir is where Persistent timers remember when they last elapsed, as systemd does.
const stampDir = "/var/lib/systemd/timers"

// timer is a .timer unit that waits (systemd.timer(5)). RandomizedDelaySec and AccuracySec are taken for 0.
type timer struct {
	name, unit string
	calendars  []calendar
	active     []time.Duration // OnActiveSec
	boot       []time.Duration // OnBootSec, OnStartupSec
	after      []time.Duration // OnUnitActiveSec
	inactive   []time.Duration // OnUnitInactiveSec
	persistent bool

	since time.Time // started
	last  time.Time // elapsed; zero: not yet
	stop  context.CancelFunc
	done  chan struct{}
}

// readTimer understands a timer's definition.
func readTimer(d *definition) (*timer, error) {
	s := d.settings
	t := &timer{name: d.name, unit: specifiers(s.last("Timer", "Unit", strings.TrimSuffix(d.name, ".timer")+".service"), d.specifier)}
	t.persistent = truth(s.last("Timer", "Persistent", ""), false)
	for _, x := range []struct {
		key string
		to  *[]time.Duration
	}{{"OnActiveSec", &t.active}, {"OnBootSec", &t.boot}, {"OnStartupSec", &t.boot}, {"OnUnitActiveSec", &t.after}, {"OnUnitInactiveSec", &t.inactive}} {
		for _, v := range s.list("Timer", x.key) {
			span, err := readSpan(v)
			if err != nil {
				return nil, fmt.Errorf("unit %s: setting %s: %w", d.name, x.key, err)
			}
			*x.to = append(*x.to, span)
		}
	}
	for _, v := range s.list("Timer", "OnCalendar") {
		c, err := readCalendar(strings.TrimSpace(v), time.Local)
		if err != nil {
			return nil, fmt.Errorf("unit %s: setting OnCalendar: %w", d.name, err)
		}
		t.calendars = append(t.calendars, c)
	}
	if len(t.calendars)+len(t.active)+len(t.boot)+len(t.after)+len(t.inactive) == 0 {
		return nil, fmt.Errorf("unit %s: no setting On… says when", d.name)
	}
	if !strings.HasSuffix(t.unit, ".service") {
		return nil, fmt.Errorf("unit %s: setting Unit: only services can be started in an instance, not %s", d.name, t.unit)
	}
	return t, nil
}

// startTimer has a timer wait; one that waits already goes on.
func (m *Manager) startTimer(d *definition) error {
	t, err := readTimer(d)
	if err != nil {
		return err
	}
	s := m.service(d)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timers[d.name] != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.stop, t.done, t.since = cancel, make(chan struct{}), time.Now()
	t.last = m.stamp(t, false)
	m.timers[d.name] = t
	s.to("active", "waiting")
	go m.wait(ctx, t)
	return nil
}

// stopTimer ends the waiting; what the timer has started runs on. false: it did not wait.
func (m *Manager) stopTimer(name string) bool {
	m.mu.Lock()
	t, s := m.timers[name], m.services[name]
	delete(m.timers, name)
	m.mu.Unlock()
	if t == nil {
		return false
	}
	t.stop()
	<-t.done
	if s != nil {
		s.to("inactive", "dead")
	}
	return true
}

// stamp gives the time that a persistent timer has kept, and keeps the present one if it has none or set is true.
func (m *Manager) stamp(t *timer, set bool) time.Time {
	if !t.persistent {
		return time.Time{}
	}
	file := m.c.path(path.Join(stampDir, "stamp-"+t.name))
	if fi, err := os.Stat(file); err == nil && !set {
		return fi.ModTime()
	}
	err := errors.Join(os.MkdirAll(path.Dir(file), 0o755), os.WriteFile(file, nil, 0o644))
	if err != nil {
		m.c.Logf("unit %s: %v", t.name, err)
	}
	return time.Now()
}

// wait starts the unit whenever the time has come.
func (m *Manager) wait(ctx context.Context, t *timer) {
	defer close(t.done)
	for {
		at, ok := t.next(m.booted, m.unitState(t.unit))
		pause := time.Until(at)
		if !ok || pause > time.Minute {
			pause = time.Minute // the clock may be set, and the unit be started by others
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(pause, 10*time.Millisecond)):
		}
		if !ok || time.Now().Before(at) {
			continue
		}
		m.mu.Lock()
		t.last = time.Now()
		m.mu.Unlock()
		m.stamp(t, true)
		if err := m.Start(ctx, t.unit); err != nil && ctx.Err() == nil {
			m.c.Logf("unit %s: %v", t.name, err)
		}
	}
}

// unitState is a service's state without making an entry for it.
func (m *Manager) unitState(name string) State {
	m.mu.Lock()
	s := m.services[name]
	m.mu.Unlock()
	if s == nil {
		return State{}
	}
	return s.state()
}

// next is when the timer elapses next, given when the machine was booted and how the unit is.
func (t *timer) next(booted time.Time, st State) (time.Time, bool) {
	var times []time.Time
	for _, c := range t.calendars {
		from := t.last
		if from.Before(t.since) && !t.persistent {
			from = t.since
		}
		if at, ok := c.next(from); ok {
			times = append(times, at)
		}
	}
	once := func(base time.Time, spans []time.Duration) {
		for _, span := range spans {
			if at := base.Add(span); t.last.IsZero() || t.last.Before(at) {
				times = append(times, at)
			}
		}
	}
	once(t.since, t.active)
	once(booted, t.boot)
	running := st.Active == "active" || st.Active == "activating" || st.Active == "reloading" || st.Active == "deactivating"
	for _, span := range t.after {
		switch {
		case running && st.Active == "active" && !st.Since.IsZero():
			times = append(times, later(st.Since, t.last).Add(span))
		case !t.last.IsZero():
			times = append(times, t.last.Add(span))
		}
	}
	for _, span := range t.inactive {
		if !running && !st.Since.IsZero() {
			times = append(times, st.Since.Add(span))
		}
	}
	if len(times) == 0 {
		return time.Time{}, false
	}
	return slices.MinFunc(times, time.Time.Compare), true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// listTimers prints the timers that wait.
func (c *call) listTimers([]string) {
	m := c.m
	m.mu.Lock()
	var list []*timer
	for _, t := range m.timers {
		list = append(list, t)
	}
	m.mu.Unlock()
	slices.SortFunc(list, func(a, b *timer) int { return strings.Compare(a.name, b.name) })
	var rows [][]string
	show := func(t time.Time, ok bool) string {
		if !ok || t.IsZero() {
			return "-"
		}
		return t.Format("Mon 2006-01-02 15:04:05 MST")
	}
	for _, t := range list {
		st := m.unitState(t.unit)
		m.mu.Lock()
		last := t.last
		at, ok := t.next(m.booted, st)
		m.mu.Unlock()
		rows = append(rows, []string{show(at, ok), show(last, true), t.name, t.unit})
	}
	c.table([]string{"NEXT", "LAST", "UNIT", "ACTIVATES"}, rows)
	c.legend("\n%d timers listed.\n", len(rows))
}
