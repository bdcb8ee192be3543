package unit

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
)

// TrampolineName is argv[0] of the guest program when it is to be the last step before a service's program.
const TrampolineName = "vpcemu-unit-exec"

// trampoline is what the last step does: fork and exec of the Go library know no umask and no limits, and
// limits must be raised before root is given up.
type trampoline struct {
	Path        string
	Argv        []string
	Umask       int
	Rlimits     []Rlimit
	Credentials bool
	UID, GID    uint32
	Groups      []uint32
}

// Wrap returns what to fork in place of s: the calling program itself, told to become s's program by
// Trampoline. A spec that asks for neither limits nor umask is returned as it is.
func (s SpawnSpec) Wrap() (SpawnSpec, error) {
	if s.Umask < 0 && len(s.Rlimits) == 0 {
		return s, nil
	}
	b, err := json.Marshal(trampoline{s.Path, s.Argv, s.Umask, s.Rlimits, s.Credentials, s.UID, s.GID, s.Groups})
	if err != nil {
		return s, fmt.Errorf("starting %s: %w", s.Path, err)
	}
	w := s
	w.Path, w.Argv, w.Credentials, w.Rlimits, w.Umask = "/proc/self/exe", []string{TrampolineName, string(b)}, false, nil, -1
	return w, nil
}

// Trampoline takes the last step; args are those of a program started as TrampolineName. It returns only if
// it fails.
func Trampoline(args []string) error {
	var t trampoline
	if len(args) != 2 {
		return fmt.Errorf("%s: %d arguments", TrampolineName, len(args))
	}
	if err := json.Unmarshal([]byte(args[1]), &t); err != nil {
		return fmt.Errorf("%s: %w", TrampolineName, err)
	}
	if t.Umask >= 0 {
		syscall.Umask(t.Umask)
	}
	for _, l := range t.Rlimits {
		if err := l.set(); err != nil {
			return fmt.Errorf("%s: limit %d to %d: %w", t.Path, l.Resource, l.Cur, err)
		}
	}
	if t.Credentials {
		if err := t.become(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %w", t.Path, syscall.Exec(t.Path, t.Argv, os.Environ()))
}

// set sets the limit, or, where the machine allows no more, what comes closest: a database with fewer files
// than its unit wishes for is better than none (systemd does the same).
func (l Rlimit) set() error {
	err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: l.Cur, Max: l.Max})
	if err != syscall.EPERM {
		return err
	}
	var now syscall.Rlimit
	if err := syscall.Getrlimit(l.Resource, &now); err != nil {
		return err
	}
	return syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: min(l.Cur, now.Max), Max: min(l.Max, now.Max)})
}

func (t *trampoline) become() error {
	groups := make([]int, len(t.Groups))
	for i, g := range t.Groups {
		groups[i] = int(g)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("%s: groups %v: %w", t.Path, groups, err)
	}
	if err := syscall.Setgid(int(t.GID)); err != nil {
		return fmt.Errorf("%s: group %d: %w", t.Path, t.GID, err)
	}
	if err := syscall.Setuid(int(t.UID)); err != nil {
		return fmt.Errorf("%s: user %d: %w", t.Path, t.UID, err)
	}
	return nil
}
