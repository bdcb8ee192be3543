package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

const (
	// addressPatience is how long the services wait for addresses; then they start without.
	addressPatience = time.Minute
	userDataScript  = "/var/lib/cloud/instance/scripts/part-001"
	userDataLog     = "/var/log/cloud-init-output.log"
	userDataResult  = "/var/lib/cloud/instance/user-data-result.json"
)

// boot brings the instance from "up" to "ready".
func (g *guest) boot() {
	g.installHostKeys()
	ctx, cancel := context.WithTimeout(context.Background(), addressPatience)
	if err := g.network.WaitAddresses(ctx); err != nil {
		g.note("services were started without network: %v", err)
	}
	cancel()
	if err := g.units.StartEnabled(context.Background()); err != nil {
		g.unitsFailed(err)
	}
	g.mu.Lock()
	if g.state == wire.StateBooting {
		g.state = wire.StateReady
	}
	g.mu.Unlock()
	close(g.ready)
	g.runUserData()
}

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

// ended is a wait status in words.
func ended(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("killed by signal %d (%s)", status.Signal(), status.Signal())
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// loadUserData finds out what is to be done about user data, before anyone can ask for the status.
func (g *guest) loadUserData() {
	data, err := readFile(userDataResult)
	if err == nil {
		err = json.Unmarshal(data, &g.userData)
	}
	switch {
	case err == nil && g.userData.State == wire.UserDataRunning:
		g.userData.State, g.userData.Problem = wire.UserDataFailed, "cut short when the instance stopped; it runs only once"
	case err == nil:
	case !errors.Is(err, os.ErrNotExist):
		g.userData = wire.UserDataStatus{State: wire.UserDataFailed, Problem: err.Error()}
	case g.config.UserData == "":
		g.userData.State = wire.UserDataNone
	case !strings.HasPrefix(g.config.UserData, "#!"):
		g.userData = wire.UserDataStatus{State: wire.UserDataFailed, Problem: "not a script: the first line does not start with #!"}
	default:
		g.userData.State = wire.UserDataPending
	}
}

// runUserData runs the script once in the life of the disk, as cloud-init does: a boot that is cut short does
// not lead to a second run.
func (g *guest) runUserData() {
	g.mu.Lock()
	pending := g.userData.State == wire.UserDataPending
	g.mu.Unlock()
	if !pending {
		return
	}
	if err := g.setUserData(wire.UserDataStatus{State: wire.UserDataRunning}); err != nil {
		g.logf("user data: %v", err)
	}
	result := wire.UserDataStatus{State: wire.UserDataDone}
	if status, err := g.runScript(); err != nil {
		result = wire.UserDataStatus{State: wire.UserDataFailed, Problem: err.Error()}
	} else if status != 0 {
		result = wire.UserDataStatus{State: wire.UserDataFailed, Code: max(status.ExitStatus(), 0), Problem: ended(status) + ", output in " + userDataLog}
	}
	if err := g.setUserData(result); err != nil {
		g.logf("user data: %v", err)
	}
}

func (g *guest) runScript() (syscall.WaitStatus, error) {
	if err := os.MkdirAll(filepath.Dir(userDataScript), 0o755); err != nil {
		return 0, err
	}
	if err := replaceFile(userDataScript, []byte(g.config.UserData), 0o700); err != nil {
		return 0, err
	}
	log, err := os.OpenFile(userDataLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	root, err := lookupAccount("/", "root")
	if err != nil {
		return 0, err
	}
	_, exited, err := g.processes.Start(program{Path: userDataScript, Argv: []string{userDataScript}, Env: root.environment(nil), Dir: "/",
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()}, Credential: root.credential()})
	if err != nil {
		return 0, fmt.Errorf("user data: first line: %w", err)
	}
	return <-exited, nil
}

// setUserData keeps the result in memory and on the disk.
func (g *guest) setUserData(s wire.UserDataStatus) error {
	g.mu.Lock()
	g.userData = s
	g.mu.Unlock()
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return replaceFile(userDataResult, data, 0o644)
}

// Status is what the control socket tells.
func (g *guest) Status() *wire.Status {
	s := &wire.Status{Hostname: g.names.Hostname(), NICs: g.network.Status(), HostKeys: hostKeys()}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.State, s.UserData = g.state, g.userData
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
