package unit

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"
)

// State is a unit as `systemctl show` tells it.
type State struct {
	// Active is active, reloading, inactive, failed, activating or deactivating; Sub the finer state of
	// systemd's services: running, exited, dead, start-pre, start, auto-restart, stop-sigterm, ...
	Active, Sub string
	// Result is success, or why the unit failed: exit-code, signal, core-dump, timeout, protocol,
	// resources, start-limit-hit.
	Result   string
	MainPID  int
	Status   string // last STATUS= of the service
	Since    time.Time
	Restarts int
	// Main is the wait status of the main process once it has ended (Ended).
	Main  syscall.WaitStatus
	Ended bool
	// Condition is the condition that kept the unit from starting at the last attempt.
	Condition string
}

// Err is a job that did not do what was asked.
type Err struct {
	Unit   string
	Result string // of State, or dependency, masked, condition
}

func (e *Err) Error() string {
	why, ok := map[string]string{
		"exit-code": "failed because the control process exited with error code",
		"signal":    "failed because a fatal signal was delivered to the control process",
		"core-dump": "failed because a fatal signal was delivered causing the control process to dump core",
		"timeout":   "failed because a timeout was exceeded",
		"protocol":  "failed because the service did not take the steps required by its unit configuration",
		"resources": "failed because of unavailable resources or another system error",
		"canceled":  "canceled",
	}[e.Result]
	if e.Result == "dependency" {
		return fmt.Sprintf("A dependency job for %s failed. See 'journalctl -xe' for details.", e.Unit)
	}
	if e.Result == "start-limit-hit" {
		why = "failed: start of the service was attempted too often"
	} else if !ok {
		why = "failed: " + e.Result
	}
	return fmt.Sprintf("Job for %s %s.\nSee \"systemctl status %s\" and \"journalctl -xeu %s\" for details.", e.Unit, why, e.Unit, e.Unit)
}

// said is an error in systemctl's own words, printed as it is.
type said string

func (s said) Error() string { return string(s) }

func worded(format string, args ...any) error { return said(fmt.Sprintf(format, args...)) }

// service is one loaded unit. Its state belongs to mu; everything that happens to it is done by the
// goroutine of its current life.
type service struct {
	c       *Config
	manager *Manager
	name    string

	mu     sync.Mutex
	def    *definition // as last loaded
	st     State
	cur    *life
	starts []time.Time // of late, for the start limit
}

func (s *service) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st
}

func (s *service) definition() *definition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.def
}

// set changes the state under the lock; a change of Active stamps Since.
func (s *service) set(change func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.st.Active
	change(&s.st)
	if s.st.Active != before {
		s.st.Since = time.Now()
	}
}

func (s *service) to(active, sub string) {
	s.set(func(st *State) { st.Active, st.Sub = active, sub })
}

// begin returns a life that is starting or started, making one if there is none; nil if the conditions are
// not met. A life that is ending is waited for, and one that waits for its restart replaced.
func (s *service) begin(d *definition) (*life, error) {
	for {
		s.mu.Lock()
		if l := s.cur; l != nil && !l.ended() {
			ending, waiting := l.endingChan(), s.st.Sub == "auto-restart"
			s.mu.Unlock()
			switch {
			case ending != nil:
				<-ending
			case l.stopping():
				<-l.done
			case waiting:
				l.told()
				<-l.done
			default:
				return l, nil
			}
			continue
		}
		s.def = d
		ok, unmet := s.c.met(d.conditions)
		s.st.Condition = unmet
		if !ok {
			s.mu.Unlock()
			s.c.note(s.name, "%s - was skipped because of an unmet condition check (%s).", d.description, unmet)
			return nil, nil
		}
		if !s.admit(d) {
			s.st.Active, s.st.Sub, s.st.Result, s.st.Since = "failed", "failed", "start-limit-hit", time.Now()
			s.mu.Unlock()
			s.c.note(s.name, "%s: Start request repeated too quickly.", s.name)
			return nil, &Err{s.name, "start-limit-hit"}
		}
		l := newLife(s, d)
		s.cur = l
		s.st = State{Active: "activating", Sub: "start-pre", Result: "success", Since: time.Now()}
		s.mu.Unlock()
		go l.run()
		return l, nil
	}
}

// admit is the start limit: at most startLimit starts within the interval. The caller holds mu.
func (s *service) admit(d *definition) bool {
	now := time.Now()
	s.starts = slices.DeleteFunc(s.starts, func(t time.Time) bool { return now.Sub(t) > d.startLimitInterval })
	if d.startLimit == 0 || d.startLimitInterval == 0 {
		return true
	}
	if len(s.starts) >= d.startLimit {
		return false
	}
	s.starts = append(s.starts, now)
	return true
}

// life returns the current one, nil if the unit is down.
func (s *service) life() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur == nil || s.cur.ended() {
		return nil
	}
	return s.cur
}

// resetFailed forgets failure and start limit.
func (s *service) resetFailed() {
	s.set(func(st *State) {
		s.starts = nil
		if st.Active == "failed" {
			st.Active, st.Sub, st.Result = "inactive", "dead", "success"
		}
	})
}

// processes lists the unit's processes, none when it is down.
func (s *service) processes() []procInfo {
	if l := s.life(); l != nil {
		return l.members()
	}
	return nil
}
