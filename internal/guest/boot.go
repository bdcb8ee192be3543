package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

const (
	// addressPatience is how long the services wait for addresses; then they start without.
	addressPatience = time.Minute
	// hookPatience is how long whoever waits for the instance waits for what user data does before the services.
	hookPatience = time.Minute
)

// boot brings the instance from "up" to "ready".
func (g *guest) boot() {
	g.installHostKeys()
	ctx, cancel := context.WithTimeout(context.Background(), addressPatience)
	if err := g.network.WaitAddresses(ctx); err != nil {
		g.note("services were started without network: %v", err)
	}
	cancel()
	if !g.config.Plan.OnlyScripts() {
		slow := time.AfterFunc(hookPatience, func() {
			g.note("user data is still at work, and the services are not started before it lets them; its output is in %s", outputLog)
			g.beReady()
		})
		g.userData.early()
		slow.Stop()
	}
	if err := g.units.StartEnabled(context.Background()); err != nil {
		g.unitsFailed(err)
	}
	g.mu.Lock()
	if g.state == wire.StateBooting {
		g.state = wire.StateReady
	}
	g.mu.Unlock()
	g.beReady()
	g.userData.late()
}

// beReady answers those who wait for the instance.
func (g *guest) beReady() { g.readyOnce.Do(func() { close(g.ready) }) }

// note keeps a remark for the user.
func (g *guest) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	g.logf("%s", text)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notes = append(g.notes, text)
}

func (g *guest) unitsFailed(err error) {
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range errs {
		g.logf("at boot: %v", e)
		g.failed = append(g.failed, e.Error())
	}
}

// installHostKeys gives sshd its keys, where there are none yet.
func (g *guest) installHostKeys() {
	if fi, err := os.Stat("/etc/ssh"); err != nil || !fi.IsDir() || executable("/usr/bin/ssh-keygen") != nil {
		return // no sshd in this root; its package makes keys when installed
	}
	for _, k := range g.config.HostKeys {
		path := "/etc/ssh/ssh_host_" + k.Type + "_key"
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := errors.Join(replaceFile(path, []byte(k.Private), 0o600), replaceFile(path+".pub", []byte(k.Public), 0o644)); err != nil {
			g.note("SSH host key %s: %v", path, err)
		}
	}
}

// Status is what the control socket tells.
func (g *guest) Status() *wire.Status {
	s := &wire.Status{Hostname: g.names.Hostname(), NICs: g.network.Status(), HostKeys: hostKeys(), UserData: g.userData.Status()}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.State = g.state
	s.Units = append(s.Units, g.failed...)
	s.Notes = append(s.Notes, g.notes...)
	return s
}

// hostKeys gives the public keys without their comments.
func hostKeys() []string {
	paths, err := filepath.Glob("/etc/ssh/ssh_host_*_key.pub")
	if err != nil {
		return nil
	}
	var keys []string
	for _, path := range paths {
		data, err := readFile(path)
		if f := strings.Fields(string(data)); err == nil && len(f) >= 2 {
			keys = append(keys, f[0]+" "+f[1])
		}
	}
	return keys
}
