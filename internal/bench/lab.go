package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/vpcemu/vpcemu/internal/bench/ruleset"
)

// labState is what is read of `vpcemu ls -o json`.
type labState struct {
	Daemon int
}

// bringVpcemu brings a lab up as a user would.
func (b *bench) bringVpcemu(t topologyFile) (_ *contestant, err error) {
	m, err := t.model()
	if err != nil {
		return nil, err
	}
	links, err := ruleset.Links(m)
	if err != nil {
		return nil, err
	}
	if err := b.labUp(t); err != nil {
		return nil, err
	}
	c := &contestant{name: vpcemuName, spaces: map[string]*space{}, addrs: map[string]netip.Addr{}}
	c.down = func() error {
		for _, s := range c.spaces {
			s.close()
		}
		return b.labDown(t)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.down())
		}
	}()
	for _, l := range links {
		s, err := openSpace(l.Name, filepath.Join("/run/netns", labName(t)+"."+l.Name))
		if err != nil {
			return nil, err
		}
		c.spaces[l.Name], c.addrs[l.Name] = s, l.Addr.Addr()
	}
	c.pid, err = b.labDaemon(t)
	return c, err
}

// labName is like no other lab's on this machine: names of labs are also those of namespaces.
func labName(t topologyFile) string { return fmt.Sprintf("%s-%d", t.name, os.Getpid()) }

// labUp writes the topology file and runs `vpcemu up` with it.
func (b *bench) labUp(t topologyFile) error {
	file := filepath.Join(b.dir, t.name+".yaml")
	if err := os.WriteFile(file, []byte(t.text), 0o600); err != nil {
		return err
	}
	_, err := b.cli("up", file, "--lab", labName(t))
	return err
}

func (b *bench) labDown(t topologyFile) error {
	_, err := b.cli("down", "--lab", labName(t))
	return err
}

// labDaemon is the process ID of a lab's daemon.
func (b *bench) labDaemon(t topologyFile) (int, error) {
	text, err := b.cli("ls", "-o", "json", "--lab", labName(t))
	if err != nil {
		return 0, err
	}
	lab, err := decode[labState]([]byte(text))
	if err == nil && lab.Daemon == 0 {
		err = errors.New("no process")
	}
	if err != nil {
		return 0, fmt.Errorf("daemon of lab %s: %w", labName(t), err)
	}
	return lab.Daemon, nil
}

// cliEnv is the environment of vpcemu with labs in the benchmark's own folder.
func (b *bench) cliEnv() []string {
	return append(os.Environ(), "VPCEMU_STATE_DIR="+filepath.Join(b.dir, "state"), "VPCEMU_RUN_DIR="+filepath.Join(b.dir, "run"))
}

// cli runs vpcemu with labs in the benchmark's own folder.
func (b *bench) cli(args ...string) (string, error) {
	cmd := exec.Command(b.options.vpcemu, args...)
	cmd.Env = b.cliEnv()
	return output(cmd, (*exec.Cmd).Start)
}
