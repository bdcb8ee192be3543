package daemon

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/vpcemu/vpcemu/internal/host"
)

// machine is the daemon's side of package host: what it makes, finds and removes
// on the machine for one lab. Tests put a machine in memory in its place.
type machine interface {
	Start(ctx context.Context, spec host.Spec) (instance, error)
	Adopt(ctx context.Context, id string) (instance, error)
	Sandboxes() ([]string, error)
	Remove(ctx context.Context, id string, disk bool) error
	RemoveAll(ctx context.Context) error
	NameFree(name, id string) error
	Ended(id string) (boot int, exit host.Exit, ok bool)
	ConsoleLog(id string) string
	Link() linker
	CheckLimits(host.Limits) error
}

// instance is a running sandbox; *host.Sandbox is one.
type instance interface {
	BootID() int
	Name() string
	Queues(ctx context.Context) (map[uint32]*os.File, error)
	AttachNIC(ctx context.Context, n host.NIC) (*os.File, error)
	DetachNIC(ctx context.Context, handle uint32) error
	Status(ctx context.Context) (host.Status, error)
	WaitReady(ctx context.Context) error
	Done() <-chan host.Exit
	Stop(ctx context.Context, grace time.Duration) error
	SetLimits(context.Context, host.Limits) error
}

// realMachine is this machine.
type realMachine struct {
	*host.Host
	link realLink
}

func openMachine(cfg Config) (machine, error) {
	h, err := host.Open(host.Config{Lab: cfg.Lab, StateDir: cfg.StateDir, RunDir: cfg.RunDir, GuestPath: cfg.GuestPath, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	return realMachine{h, linkOf(cfg)}, nil
}

// Link is the lab's link to the machine's network.
func (m realMachine) Link() linker { return m.link }

// RemoveAll removes the link as well: first, so that nothing leads to what is going.
func (m realMachine) RemoveAll(ctx context.Context) error {
	return errors.Join(m.link.remove(), m.Host.RemoveAll(ctx))
}

func (m realMachine) Start(ctx context.Context, spec host.Spec) (instance, error) {
	s, err := m.Host.Start(ctx, spec)
	if err != nil {
		return nil, err // not a nil *host.Sandbox: an interface that holds one is not nil
	}
	return s, nil
}

func (m realMachine) Adopt(ctx context.Context, id string) (instance, error) {
	s, err := m.Host.Adopt(ctx, id)
	if err != nil {
		return nil, err
	}
	return s, nil
}
