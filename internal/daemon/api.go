package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/ec2api"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Do implements ec2api.Backend: one operation for a client of the API. It returns once the
// change is committed and the next packet meets it; instances follow.
func (d *Daemon) Do(ctx context.Context, region, action string, in any) (any, error) {
	out, err := d.do(ctx, region, action, in)
	if errors.Is(err, errStopping) {
		return nil, &vpc.Error{Code: "Unavailable", Message: "The server cannot handle the request: " + err.Error() + "."} // to be tried again
	}
	return out, err
}

func (d *Daemon) do(ctx context.Context, region, action string, in any) (any, error) {
	if err := d.openRegion(ctx, region); err != nil {
		return nil, err
	}
	if reads(action) {
		return d.query(d.Model(), region, action, in)
	}
	var out any
	err := d.Apply(ctx, func(tx *vpc.Tx) (err error) {
		tx.Call.Region, tx.Call.Client = region, true
		if out, err = tx.Run(action, in); err != nil {
			return err
		}
		return d.keepKeyMaterial(tx, out)
	})
	if err != nil {
		d.dropKeyMaterial(region, out)
		return nil, err
	}
	return out, nil
}

// Account implements ec2api.Backend.
func (d *Daemon) Account() string { return d.Model().Account }

// apiEndpoint is where the API is served. Its methods may be called from any goroutine.
type apiEndpoint struct {
	mu   sync.Mutex
	is   vpc.API
	srv  *http.Server
	done chan struct{} // closed when srv has ended
	err  error         // why nobody listens though the model says so
}

// Bounds of the endpoint's connections. Terraform keeps some dozens.
const (
	apiConnections = 512
	apiSpare       = 32 // of them for who comes when all others are open
	apiIdle        = 2 * time.Minute
	apiAnswer      = 5 * time.Minute // from a request's end: who does not read its answer keeps a connection no longer
	apiHeader      = 64 << 10
)

// API implements control.Applier.
func (d *Daemon) API(ctx context.Context, req *control.APIRequest) (*control.API, error) {
	if req == nil {
		return d.api.status(), nil
	}
	d.apiChange.Lock() // one change at a time: the port is taken before the model says so
	defer d.apiChange.Unlock()
	is := d.Model().Api
	want, err := wantedAPI(is, req)
	if err != nil {
		return nil, err
	}
	l, err := d.takePort(is, &want)
	if err != nil {
		return nil, err
	}
	keys, undo, err := d.changeKeys(req, want.Keys)
	if err == nil {
		err = d.Apply(ctx, func(tx *vpc.Tx) error {
			if tx.Region == "" {
				return errors.New("the lab has no cloud yet: `vpcemu up` makes one")
			}
			tx.Api = want
			return nil
		})
	}
	if err != nil {
		if l != nil {
			l.Close()
		}
		undo()
		d.reopenAPI() // if it made way
		return nil, err
	}
	d.serveAPI(want, keys, l)
	if !want.Keys {
		_ = os.Remove(d.keysFile()) // secrets that nobody needs any more, if there were any
	}
	return d.api.status(), nil
}

// takePort is listenAPI. Where the port is the endpoint's own, at another address, the endpoint
// makes way for itself.
func (d *Daemon) takePort(is vpc.API, want *vpc.API) (net.Listener, error) {
	l, err := listenAPI(is, want, d.api.listens())
	if !errors.Is(err, syscall.EADDRINUSE) || !d.api.listens() || portOf(is.Listen) != portOf(want.Listen) {
		return l, err
	}
	d.api.end()
	if l, err = listenAPI(is, want, false); err != nil {
		d.reopenAPI()
	}
	return l, err
}

func portOf(listen string) uint16 {
	addr, _ := netip.ParseAddrPort(listen)
	return addr.Port()
}

func apiRequest(f *topology.File) *control.APIRequest {
	return &control.APIRequest{Listen: f.Api.V.Listen.V, Delays: f.Api.V.Delays.V}
}

// apiOf has the endpoint be as a topology file says, if it says so.
func (d *Daemon) apiOf(ctx context.Context, f *topology.File) error {
	if !f.Api.Set {
		return nil
	}
	req := apiRequest(f)
	if addr, err := netip.ParseAddrPort(req.Listen); err == nil && addr.Port() == 0 && d.api.listens() {
		if is, err := netip.ParseAddrPort(d.Model().Api.Listen); err == nil && is.Addr() == addr.Addr() {
			req.Listen = "" // it has a free port already
		}
	}
	_, err := d.API(ctx, req)
	return err
}

// wantedAPI is what a request makes of an endpoint.
func wantedAPI(is vpc.API, req *control.APIRequest) (vpc.API, error) {
	w := is
	switch req.Delays {
	case "":
	case control.DelaysNone:
		w.Delays = ""
	case control.DelaysAWS:
		w.Delays = vpc.DelaysAWS
	default:
		return w, fmt.Errorf("delays %q: they are %s or %s", req.Delays, control.DelaysNone, control.DelaysAWS)
	}
	if req.Off {
		return vpc.API{}, nil
	}
	switch {
	case req.Listen != "":
		w.Listen = req.Listen
	case w.Listen == "":
		w.Listen = control.DefaultAPI
	}
	addr, err := netip.ParseAddrPort(w.Listen)
	if err != nil {
		return w, fmt.Errorf("API at %q: not an address and port, such as %s", w.Listen, control.DefaultAPI)
	}
	if req.Keys != nil || req.AnyKey {
		w.Keys = req.Keys != nil
	}
	if !addr.Addr().IsLoopback() && !w.Keys {
		return w, fmt.Errorf("API at %s: other machines could run programs here as root: give it keys (--keys FILE), or a loopback address", w.Listen)
	}
	if req.Hosts != nil {
		w.Hosts = req.Hosts
	}
	return w, nil
}

// listenAPI takes the port that an endpoint is to have, unless it has it. A port 0 becomes
// the one that was taken.
func listenAPI(is vpc.API, want *vpc.API, listens bool) (net.Listener, error) {
	if want.Listen == "" || want.Listen == is.Listen && listens {
		return nil, nil
	}
	network := "tcp"
	if addr, err := netip.ParseAddrPort(want.Listen); err == nil && addr.Addr().Is4() {
		network = "tcp4" // with "tcp", 0.0.0.0 is [::], too
	}
	l, err := net.Listen(network, want.Listen)
	if err != nil {
		return nil, fmt.Errorf("API at %s: %w: `ss -ltnp` tells whose the port is; --listen 127.0.0.1:0 takes a free one", want.Listen, err)
	}
	want.Listen = l.Addr().String()
	return l, nil
}

func (d *Daemon) keysFile() string { return filepath.Join(d.cfg.StateDir, "api-keys.json") }

// changeKeys keeps the keys of a request, and gives those in force. undo puts back what was
// kept before.
func (d *Daemon) changeKeys(req *control.APIRequest, wanted bool) (keys map[string]string, undo func(), err error) {
	undo = func() {}
	if req.Keys == nil {
		if wanted {
			keys, err = d.loadKeys()
		}
		return keys, undo, err
	}
	b, err := json.Marshal(req.Keys)
	if err != nil {
		return nil, undo, err
	}
	was, before := os.ReadFile(d.keysFile())
	if err := replaceFile(d.keysFile(), b); err != nil {
		return nil, undo, fmt.Errorf("keys of the API: %w", err)
	}
	return req.Keys, func() {
		err := before
		if err == nil {
			err = replaceFile(d.keysFile(), was)
		} else if errors.Is(err, fs.ErrNotExist) {
			err = os.Remove(d.keysFile())
		}
		if err != nil {
			d.log.Error("the former keys of the API", "error", err)
		}
	}, nil
}

func (d *Daemon) loadKeys() (map[string]string, error) {
	b, err := os.ReadFile(d.keysFile())
	if err != nil {
		return nil, fmt.Errorf("keys of the API: %w", err)
	}
	keys := map[string]string{}
	if err := json.Unmarshal(b, &keys); err != nil {
		return nil, fmt.Errorf("keys of the API: %s: %w", d.keysFile(), err)
	}
	return keys, nil
}

// replaceFile puts a file that only root reads in the place of another at once.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// retryAPI is how often a port that is taken is tried again.
const retryAPI = 10 * time.Second

// keepAPI serves the API as soon as that can be.
func (d *Daemon) keepAPI() {
	tick := time.NewTicker(retryAPI)
	defer tick.Stop()
	for {
		d.openAPI()
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// openAPI serves what the model says, or keeps why it cannot: the lab runs without.
func (d *Daemon) openAPI() {
	d.apiChange.Lock()
	defer d.apiChange.Unlock()
	d.reopenAPI()
}

// reopenAPI is openAPI for who holds d.apiChange.
func (d *Daemon) reopenAPI() {
	want := d.Model().Api
	if want.Listen == "" || d.api.listens() || d.ctx.Err() != nil {
		return
	}
	keys, err := map[string]string(nil), error(nil)
	if want.Keys {
		keys, err = d.loadKeys()
	}
	var l net.Listener
	if err == nil {
		l, err = listenAPI(vpc.API{}, &want, false)
	}
	if err != nil {
		if d.api.fail(want, err) {
			d.log.Error("the EC2 API is not served; it is tried again", "error", err)
		}
		return
	}
	d.serveAPI(want, keys, l)
}

// serveAPI has the endpoint be as a model says that is committed. l is nil where the
// listener stays, or where there is to be none.
func (d *Daemon) serveAPI(want vpc.API, keys map[string]string, l net.Listener) {
	if want.Listen == "" {
		d.api.end()
		d.api.set(want, nil, nil)
		return
	}
	handler := ec2api.New(ec2api.Config{Backend: d, Log: d.log, Services: d.apiServices(),
		Auth: &ec2api.Signatures{Keys: keys, Hosts: want.Hosts, Now: time.Now}})
	if l == nil {
		d.api.handle(want, handler)
		return
	}
	d.api.end()
	sw := &switched{}
	sw.set(handler)
	srv := &http.Server{Handler: sw, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: apiAnswer, IdleTimeout: apiIdle,
		MaxHeaderBytes: apiHeader, ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return d.ctx }}
	srv.ConnState = makeRoom(srv)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(netutil.LimitListener(l, apiConnections)); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("the EC2 API", "error", err)
		}
	}()
	d.api.set(want, srv, done)
	d.log.Info("serving the EC2 API", "at", want.Listen)
}

// makeRoom closes connections on which nothing happens when there are so many that the next clients
// would wait for their end.
func makeRoom(srv *http.Server) func(net.Conn, http.ConnState) {
	var open atomic.Int64
	return func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			if open.Add(1) >= apiConnections-apiSpare {
				srv.SetKeepAlivesEnabled(false) // which closes those that are idle
				srv.SetKeepAlivesEnabled(true)
			}
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
}

// apiServices are the services of the endpoint besides EC2 and STS, by name.
func (d *Daemon) apiServices() map[string]http.Handler {
	return map[string]http.Handler{"ssm": d.ssm}
}

// switched is a handler that can be exchanged.
type switched struct {
	mu sync.RWMutex
	h  http.Handler
}

func (s *switched) set(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.h = h
}

func (s *switched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	h := s.h
	s.mu.RUnlock()
	h.ServeHTTP(w, r)
}

func (e *apiEndpoint) listens() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.srv != nil
}

func (e *apiEndpoint) set(is vpc.API, srv *http.Server, done chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.is, e.srv, e.done, e.err = is, srv, done, nil
}

// fail notes why nobody listens, and tells whether that is news.
func (e *apiEndpoint) fail(is vpc.API, err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	news := e.err == nil || e.err.Error() != err.Error() || !reflect.DeepEqual(e.is, is)
	e.is, e.err = is, err
	return news
}

// handle exchanges the handler of a server that goes on.
func (e *apiEndpoint) handle(is vpc.API, h http.Handler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.is = is
	e.srv.Handler.(*switched).set(h)
}

// apiGrace is how long answers under way may take when the endpoint ends.
const apiGrace = 5 * time.Second

// end stops serving, if anybody does.
func (e *apiEndpoint) end() {
	e.mu.Lock()
	srv, done := e.srv, e.done
	e.srv = nil
	e.mu.Unlock()
	if srv == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), apiGrace)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		srv.Close()
	}
	<-done
}

func (e *apiEndpoint) status() *control.API {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &control.API{Listen: e.is.Listen, Keys: e.is.Keys, Hosts: slices.Clone(e.is.Hosts), Delays: cmp.Or(e.is.Delays, control.DelaysNone)}
	if e.err != nil {
		s.Problem = e.err.Error()
	}
	return s
}
