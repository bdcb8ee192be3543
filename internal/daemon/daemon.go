// Package daemon wires a lab together: the model on disk, the engine that moves
// its packets, and the sandboxes on the host. Apply is the only way to change
// anything: an operation runs on a working copy, the copy is compiled, committed
// to disk (the point of no return) and published; then the reconciler brings the
// host to what the model says. A daemon that is killed at any moment leaves a
// model and a host that the next one makes agree.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/compile"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/dns"
	"github.com/vpcemu/vpcemu/internal/ec2api"
	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/imds"
	"github.com/vpcemu/vpcemu/internal/slab"
	"github.com/vpcemu/vpcemu/internal/ssm"
	"github.com/vpcemu/vpcemu/internal/store"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/nat"
)

// Capacity of the tables, in records. Memory is used only where records are: 88 bytes a
// tracked connection at an interface (conntrack.BytesPerEntry, so at most 352 MiB), 108 a
// mapping and 88 more a destination (nat.BytesPerMapping and so on, at most 196 MiB). 72
// bytes of an entry and 80 of a mapping are in files below RunDir: where their file system
// has less room, new connections are refused sooner.
const (
	conntrackCapacity = 1 << 22               // two interfaces with a million each, twice
	conntrackPerENI   = conntrackCapacity / 4 // a scan from one instance is not the others' trouble (CT-07)
	natCapacity       = 1 << 20
)

// shutdownGrace is how long answers under way may take when the daemon ends: a
// `down` is one, and removes many instances before it answers.
const shutdownGrace = time.Minute

// Config says which lab and where it lives.
type Config struct {
	Lab       string
	StateDir  string // survives a reboot: state.db, disks, keys
	RunDir    string // does not: sockets, flow tables, logs of the boot
	GuestPath string // the guest program; "" looks beside this one
	// ResolvConf names the servers that the rest of the names is asked of in a lab with an
	// uplink, see resolv.conf(5); "" is /etc/resolv.conf.
	ResolvConf string
	Log        *slog.Logger
	// NoCounters leaves packets uncounted, to measure what counting costs.
	NoCounters bool
	// Workers is how many threads move packets; 0: dataplane.DefaultWorkers.
	Workers int
	// Now is the lab's clock, by which states pass and what is gone is forgotten; nil: time.Now.
	Now func() time.Time
	// HostsFile gets the names of a lab that wants it (join_hosts); "" is hostlink.DefaultHosts.
	HostsFile string
	// Profile is where to serve the daemon's profiles: see CheckProfile.
	Profile string
}

// Daemon is one lab's running network. Make it with Open.
type Daemon struct {
	cfg     Config
	log     *slog.Logger
	started time.Time
	lock    *os.File
	store   *store.Store
	host    machine
	engine  *dataplane.Engine
	flows   *conntrack.Table
	nats    *nat.Table

	// ctx ends when the daemon is to end; work on the host that is under way is
	// undone then, or left to the next daemon.
	ctx       context.Context
	stop      context.CancelFunc
	workers   sync.WaitGroup
	committed chan struct{} // closed when the committer has ended
	removal   sync.Once     // of the whole lab
	removeErr error
	removed   chan struct{} // closed when the removal has ended, well or not

	model    atomic.Pointer[vpc.Model] // what is committed; replaced by the committer only
	requests chan *request

	generation   uint64         // of the latest snapshot; the committer's own
	compiled     compile.Memory // the committer's own
	services     allServices    // the committer's own
	names        *dns.Directory
	forward      *dns.Forwarder
	leases       leaseBook
	logs         *flowLogs
	wish         atomic.Pointer[wishList]
	slots        chan struct{} // one place for each who starts a sandbox
	steps        atomic.Uint64 // that workers have taken
	outside      outside       // the link to the machine's own network
	metadataKeys *imds.Keys
	api          apiEndpoint
	apiChange    sync.Mutex // held while the endpoint changes
	ssm          *ssm.Server

	// the host side, see reconcile.go
	mu       sync.Mutex // guards what follows
	actual   map[string]*sandbox
	held     map[string]int // names in `ip netns` that sandboxes have, of actual or being made, and how many
	busy     map[string]bool
	failed   map[string]failure
	orphans  map[string]bool // instances that are gone but for their disks
	failures uint64
	changed  chan struct{} // closed and replaced whenever the host side changed
}

// ErrRunning: the lab has a daemon already.
var ErrRunning = errors.New("a daemon is already running")

// Open takes the lab's lock, loads its model, and brings the host to it: adopts
// the instances that still run, restarts those that should and do not, removes
// what belongs to nothing. A model that was never saved is empty; a lab without
// a state directory is none.
func Open(ctx context.Context, cfg Config) (*Daemon, error) {
	if err := errors.Join(CheckProfile(cfg.Profile), host.Check()); err != nil {
		return nil, err
	}
	lock, err := takeLock(ctx, cfg)
	if err != nil {
		return nil, err
	}
	held, err := holdState(cfg)
	if err != nil {
		return nil, errors.Join(err, removeLock(cfg), lock.Close())
	}
	if err := CheckDirs(cfg); err != nil {
		held.Close()
		return nil, errors.Join(err, leaveLock(cfg), lock.Close())
	}
	err = finishRemoval(ctx, cfg)
	held.Close()
	if err != nil {
		lock.Close()
		return nil, err
	}
	if _, err := os.Stat(cfg.StateDir); err != nil {
		// It was removed while this waited for the lock, and is not to come back empty.
		return nil, errors.Join(fmt.Errorf("lab %s: %w", cfg.Lab, err), removeLock(cfg), lock.Close())
	}
	h, err := openMachine(cfg)
	if err != nil {
		return nil, errors.Join(err, leaveLock(cfg), lock.Close())
	}
	if err := bindDirs(cfg); err != nil { // a disk that is full keeps no lab from coming back
		cfg.Log.Warn("directories", "error", err)
	}
	return open(ctx, cfg, lock, h, openServices)
}

// open is Open on a machine that tests may put in its place.
func open(ctx context.Context, cfg Config, lock *os.File, h machine, opener serviceOpener) (_ *Daemon, err error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := &Daemon{cfg: cfg, log: cfg.Log, started: time.Now(), lock: lock, host: h,
		committed: make(chan struct{}), removed: make(chan struct{}), requests: make(chan *request, 64),
		slots:  make(chan struct{}, startTogether),
		actual: map[string]*sandbox{}, held: map[string]int{}, busy: map[string]bool{}, failed: map[string]failure{}, orphans: map[string]bool{},
		changed: make(chan struct{}),
	}
	d.names, d.forward = dns.NewDirectory(d.Model), dns.NewForwarder(cmp.Or(cfg.ResolvConf, "/etc/resolv.conf"))
	d.services.open = func(id vpc.VpcID, resolver netip.Addr) (servers, error) { return opener(d, id, resolver) }
	d.outside = newOutside(h.Link())
	stopping, cancel := context.WithCancelCause(context.Background())
	d.ctx, d.stop = stopping, func() { cancel(errStopping) }
	d.ssm = ssm.New(d.ctx, managed{d}, d.Account, func(c context.Context) string { return ec2api.CallerOf(c).Region })
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	if d.store, err = store.Open(statePath(cfg)); err != nil {
		return nil, err
	}
	if d.metadataKeys, err = imds.OpenKeys(cfg.StateDir, cfg.Lab); err != nil {
		return nil, err
	}
	if err := d.openTables(); err != nil {
		return nil, err
	}
	d.engine, err = dataplane.NewEngine(dataplane.Config{
		Conntrack: d.flows, NAT: d.nats, Now: slab.Boottime, RelatedICMP: true,
		OnLease: d.leases.note, OnPortDown: d.portDown, NoCounters: cfg.NoCounters, Workers: cfg.Workers,
	})
	if err != nil {
		return nil, err
	}
	d.logs = newFlowLogs(d.engine, cfg.StateDir, d.log)
	if err := d.load(ctx); err != nil {
		return nil, err
	}
	d.workers.Go(d.commitLoop)
	d.workers.Go(func() { d.logs.run(d.ctx) })
	d.workers.Go(d.keepLeases)
	d.workers.Go(d.houseKeeping)
	d.workers.Go(d.keepOutside)
	d.reconcile()
	d.openAPI()
	d.workers.Go(d.keepAPI)
	return d, nil
}

// Serve answers the control socket until ctx ends or the lab is removed, and
// calls ready once it does. Instances go on running when it returns after ctx ended.
func (d *Daemon) Serve(ctx context.Context, ready func()) error {
	l, err := control.Listen(d.cfg.RunDir)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if d.cfg.Profile != "" {
		p, err := serveProfiles(d.cfg)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		defer p.Close()
	}
	requests, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	srv := &http.Server{Handler: control.Handler(d), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return requests }}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	ready()
	select {
	case err = <-done:
	case <-ctx.Done():
	case <-d.removed:
	}
	cancel(errStopping) // who waits for instances stops waiting; a removal goes on
	grace, over := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer over()
	if e := srv.Shutdown(grace); e != nil {
		srv.Close()
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// Close ends the daemon and leaves instances, state and flow tables as they are.
func (d *Daemon) Close() {
	d.stop()
	d.apiChange.Lock() // nobody opens it again
	d.api.end()
	d.apiChange.Unlock()
	d.workers.Wait()
	d.ssm.Wait()
	d.releaseTables()
	if d.lock != nil {
		d.lock.Close()
	}
}

// releaseTables closes everything but the lock. It may be called again.
func (d *Daemon) releaseTables() {
	if d.engine != nil {
		d.engine.Close()
	}
	d.services.close()
	d.forward.Close()
	d.outside.close()
	if d.flows != nil {
		d.warn("connection table", d.flows.Close())
	}
	if d.nats != nil {
		d.warn("NAT table", d.nats.Close())
	}
	if d.store != nil {
		d.warn("state", d.store.Close())
	}
	d.flows, d.nats, d.store = nil, nil, nil
}

func (d *Daemon) warn(what string, err error) {
	if err != nil {
		d.log.Warn(what, "error", err)
	}
}

// openTables maps the flow tables. One that an older layout or another boot wrote
// is set aside: its flows are lost, which the log says, and the lab works.
func (d *Daemon) openTables() (err error) {
	d.flows, err = openTable(d, "conntrack", func(path string) (*conntrack.Table, error) { return conntrack.Open(path, conntrackCapacity) })
	if err != nil {
		return fmt.Errorf("connection table: %w", err)
	}
	d.flows.LimitPerENI(conntrackPerENI)
	d.nats, err = openTable(d, "nat", func(path string) (*nat.Table, error) { return nat.OpenTable(path, natCapacity) })
	if err != nil {
		return fmt.Errorf("NAT table: %w", err)
	}
	return nil
}

func openTable[T any](d *Daemon, name string, open func(path string) (*T, error)) (*T, error) {
	path := filepath.Join(d.cfg.RunDir, name)
	t, err := open(path)
	if errors.Is(err, slab.ErrSetAside) {
		d.log.Warn("flow table starts empty", "error", err)
		t, err = open(path)
	}
	return t, err
}

// load reads the model and adopts what runs.
func (d *Daemon) load(ctx context.Context) error {
	m, _, err := d.store.Load()
	if err != nil {
		return err
	}
	for _, problem := range m.Check() {
		d.log.Error("the saved model is inconsistent", "problem", problem)
	}
	if err := d.leases.load(d.store); err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	m.Publish()
	d.model.Store(m)
	if err := d.adoptAll(ctx, m); err != nil {
		return err
	}
	if m, err = d.recordEnds(m); err != nil {
		return err
	}
	return d.publish(m)
}

// Model is the committed model. It must not be changed.
func (d *Daemon) Model() *vpc.Model { return d.model.Load() }
