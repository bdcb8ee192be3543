package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
	"github.com/vpcemu/vpcemu/internal/store"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// upTimeout bounds how long `up` waits for instances to run and hold a lease.
const upTimeout = 5 * time.Minute

// Up implements control.Applier. Without a text it ties the lab to this machine, and leaves everything else.
func (d *Daemon) Up(ctx context.Context, req control.UpRequest, progress func(string)) (*control.UpResult, error) {
	if req.Text == "" {
		return d.joinUp(ctx, req, progress)
	}
	file, err := topology.Parse(req.File, []byte(req.Text))
	if err != nil {
		return nil, err
	}
	opt := options(req, d.cfg.Lab)
	if req.Plan {
		_, changes, _, err := file.Converge(d.Model(), time.Now().UTC(), opt)
		return &control.UpResult{Changes: wireChanges(changes)}, err
	}
	if file.Api.Set { // before anything is changed
		if _, err := wantedAPI(d.Model().Api, apiRequest(file)); err != nil {
			return nil, err
		}
	}
	var changes []topology.Change
	since := d.moment()
	converge := func(tx *vpc.Tx) error {
		m, list, keys, err := file.Converge(&tx.Model, tx.Call.Now, opt)
		if err != nil {
			return err
		}
		if err := d.mayStart(&m); err != nil {
			return err
		}
		if err := d.saveKeys(keys); err != nil {
			return err
		}
		tx.Model, changes = m, list
		return nil
	}
	if err = d.Apply(ctx, converge); inUse(err) && d.awaitEnds(ctx) {
		err = d.Apply(ctx, converge)
	}
	if err != nil {
		return nil, err
	}
	tell(changes, progress)
	if err := d.apiOf(ctx, file); err != nil {
		return nil, fmt.Errorf("the lab is as the file says, but for its API: %w", err)
	}
	return d.isUp(ctx, since, changes, progress)
}

// inUse tells whether something was refused because of what another object has or is in.
func inUse(err error) bool {
	e := (*vpc.Error)(nil)
	return errors.As(err, &e) && (e.Code == "DependencyViolation" || strings.HasSuffix(e.Code, ".InUse"))
}

// awaitEnds waits for the end of the instances that are shutting down, which keep their addresses and
// interfaces until then, and tells whether there were any. One that does not end is not waited for for ever.
func (d *Daemon) awaitEnds(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	going := shuttingDown(d.Model())
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		still := shuttingDown(d.Model())
		if !slices.ContainsFunc(going, func(id vpc.InstanceID) bool { return slices.Contains(still, id) }) {
			return len(going) > 0
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		case <-d.ctx.Done():
			return true // whoever goes on is told
		}
	}
}

func shuttingDown(m *vpc.Model) (ids []vpc.InstanceID) {
	for id, i := range m.Instances.All() {
		if i.State == vpc.StateShuttingDown {
			ids = append(ids, id)
		}
	}
	return ids
}

// joinUp is `up --join` or `up --hosts` without a file.
func (d *Daemon) joinUp(ctx context.Context, req control.UpRequest, progress func(string)) (*control.UpResult, error) {
	if !req.Join && !req.Hosts || req.Plan || req.Prune || req.Replace {
		return nil, errors.New("up: without a topology file there is nothing to go by but --join and --hosts")
	}
	var changes []topology.Change
	since := d.moment()
	err := d.Apply(ctx, func(tx *vpc.Tx) (err error) {
		if changes, err = topology.Join(tx, req.Hosts); err != nil {
			return err
		}
		return d.mayStart(&tx.Model)
	})
	if err != nil {
		return nil, err
	}
	tell(changes, progress)
	return d.isUp(ctx, since, changes, progress)
}

func tell(changes []topology.Change, progress func(string)) {
	for _, c := range changes {
		progress(wireChange(c).String())
	}
}

// isUp waits until the lab is as it is to be since the moment.
func (d *Daemon) isUp(ctx context.Context, since uint64, changes []topology.Change, progress func(string)) (*control.UpResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, upTimeout, fmt.Errorf("after %s", upTimeout))
	defer cancel()
	if err := errors.Join(d.settle(ctx, since, nil), d.linkReady(ctx)); err != nil {
		return nil, err
	}
	if err := d.ready(ctx, nil, progress); err != nil {
		return nil, err
	}
	lab, err := d.Lab(ctx)
	if err != nil {
		return nil, err
	}
	return &control.UpResult{Changes: wireChanges(changes), Notes: slices.Concat(lab.Notes, unfinished(lab), d.outside.obstacles(d.Model()), strangers(d.Model())), Lab: lab}, nil
}

func options(req control.UpRequest, lab string) topology.Options {
	return topology.Options{Prune: req.Prune, Replace: req.Replace, Lab: lab, Join: req.Join, Hosts: req.Hosts}
}

// PlanNew tells what `up` would do for a lab that does not exist yet.
func PlanNew(f *topology.File, lab string, req control.UpRequest) (*control.UpResult, error) {
	_, changes, _, err := f.Converge(nil, time.Now().UTC(), options(req, lab))
	return &control.UpResult{Changes: wireChanges(changes)}, err
}

// unfinished tells of user data that takes longer than `up` waits.
func unfinished(lab *control.Lab) (notes []string) {
	for _, i := range lab.Instances {
		if i.UserData == wire.UserDataRunning {
			notes = append(notes, i.Name+": user data is still running; its output is in /var/log/cloud-init-output.log there")
		}
	}
	return notes
}

// PlanStopped tells what `up` would do for a lab whose daemon does not run.
func PlanStopped(ctx context.Context, cfg Config, f *topology.File, req control.UpRequest) (*control.UpResult, error) {
	if beingRemoved(cfg) {
		return PlanNew(f, cfg.Lab, req)
	}
	m, err := modelAtRest(ctx, cfg)
	if err != nil {
		return nil, err
	}
	_, changes, _, err := f.Converge(m, time.Now().UTC(), options(req, cfg.Lab))
	return &control.UpResult{Changes: wireChanges(changes)}, err
}

// modelAtRest reads the model of a lab whose daemon does not run.
func modelAtRest(ctx context.Context, cfg Config) (*vpc.Model, error) {
	lock, err := takeLock(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	s, err := store.Open(filepath.Join(cfg.StateDir, "state.db"))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	m, _, err := s.Load()
	return m, err
}

// mayStart asks the host whether what m adds can be made there, before anything
// is committed: a name of `ip netns` that someone else holds, a public pool that
// the host itself routes or another lab has joined it with, a limit that it has no
// means for.
func (d *Daemon) mayStart(m *vpc.Model) error {
	var errs []error
	before := d.Model()
	have := d.wishes(before)
	for id, w := range wishesOf(m) {
		if have[id] == nil && !d.holds(w.netns) {
			errs = append(errs, d.host.NameFree(w.netns, id))
		}
		errs = append(errs, d.mayLimit(w, have[id]))
	}
	return errors.Join(append(errs, d.outside.check(before, m))...)
}

// holds tells whether one of this lab's sandboxes has the name now: what replaces
// it gets the name after it.
func (d *Daemon) holds(netns string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held[netns] > 0
}

func wireChange(c topology.Change) control.Change {
	return control.Change{Verb: string(c.Verb), Kind: c.Kind, Name: c.Name, Detail: c.Detail}
}

func wireChanges(list []topology.Change) []control.Change {
	out := make([]control.Change, 0, len(list))
	for _, c := range list {
		out = append(out, wireChange(c))
	}
	return out
}

// saveKeys writes the private halves of generated key pairs where the user finds
// them: StateDir/keys/NAME.pem, of a Region that is not the lab's home in a folder named
// after it. They are written before the commit; a file whose key pair was never committed
// is overwritten by the next try.
func (d *Daemon) saveKeys(keys topology.KeyMaterial) error {
	if len(keys) == 0 {
		return nil
	}
	for name, pem := range keys {
		path, err := d.keyPath(name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("keys: %w", err)
		}
		if err := writeSynced(path, string(pem)); err != nil {
			return fmt.Errorf("key pair %s: %w", name, err)
		}
		// ssh refuses a key that others may read, so it has to be the user's own.
		if uid, gid, ok := sudoUser(); ok {
			if err := os.Chown(path, uid, gid); err != nil {
				return fmt.Errorf("key pair %s: %w", name, err)
			}
		}
	}
	return nil
}

// keyPath is the file for a key of Model.KeyPairs.
func (d *Daemon) keyPath(key string) (string, error) {
	region, name, regional := strings.Cut(key, "/")
	if !regional {
		region, name = "", key
	}
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return "", fmt.Errorf("key pair %q: the name cannot be a file's name", name)
	}
	const longest = 200 // bytes, below NAME_MAX with what is added here
	switch {
	case len(name) > longest:
		name = fmt.Sprintf("%s-%x", name[:longest], sha256.Sum256([]byte(name)))[:longest+17]
	case name[0] == '.' || name[0] == '_': // neither hidden nor the folder above, and none is another's
		name = "_" + name
	}
	return filepath.Join(d.cfg.StateDir, "keys", region, name+".pem"), nil
}

func (d *Daemon) privateKey(name string) (string, error) {
	path, err := d.keyPath(name)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

// writeSynced replaces a file in one step, so that a crash leaves the old or the
// new one.
func writeSynced(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Chmod(0o600), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func sudoUser() (uid, gid int, ok bool) {
	uid, err1 := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, err2 := strconv.Atoi(os.Getenv("SUDO_GID"))
	return uid, gid, err1 == nil && err2 == nil
}
