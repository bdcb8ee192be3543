package guest

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/vpcemu/vpcemu/internal/guest/unit"
)

// Spawn starts a process of the service manager.
func (p *processes) Spawn(s unit.SpawnSpec) (pid int, exited <-chan syscall.WaitStatus, err error) {
	if err := executable(s.Path); err != nil { // a stepping stone could only exit
		return 0, nil, &os.PathError{Op: "exec", Path: s.Path, Err: err}
	}
	if s.Umask == defaultUmask {
		s.Umask = -1 // PID 1's own
	}
	if s, err = s.Wrap(); err != nil {
		return 0, nil, err
	}
	prog := program{Path: s.Path, Argv: s.Argv, Env: s.Env, Dir: s.Dir, SameSession: !s.Setsid}
	for _, f := range []*os.File{s.Stdin, s.Stdout, s.Stderr} {
		prog.Files = append(prog.Files, f.Fd())
	}
	if s.Credentials {
		prog.Credential = &syscall.Credential{Uid: s.UID, Gid: s.GID, Groups: s.Groups}
	}
	return p.Start(prog)
}

// startManager makes systemctl work.
func (g *guest) startManager() error {
	g.units = unit.NewManager(unit.Config{
		Spawn: g.processes.Spawn,
		Watch: g.processes.Watch,
		Power: g.powerAction,
		At:    g.powerAt,
		// Amazon's images start sshd.
		Enabled: []string{"ssh", "sshd"},
		Logf:    g.logf,
	})
	l, err := net.Listen("unix", unit.SocketPath)
	if err != nil {
		return err
	}
	// Everybody may ask; the manager lets only root change something.
	if err := os.Chmod(unit.SocketPath, 0o666); err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	go func() {
		g.logf("logs of services are not bounded any more: %v", unit.BoundLogs("/"))
	}()
	go func() {
		if err := g.units.Serve(l); err != nil {
			g.logf("%v", err)
		}
	}()
	return nil
}
