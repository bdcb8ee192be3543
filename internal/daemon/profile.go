package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"path/filepath"
	"runtime"
	"time"

	"github.com/vpcemu/vpcemu/internal/control"
)

// ProfileSocket is the value of Config.Profile that means a socket in the run directory.
const ProfileSocket = "socket"

// ErrNotLoopback: profiles, which tell all that the daemon does, were to be served to other machines.
var ErrNotLoopback = errors.New("not a loopback address and port")

func profileSocket(cfg Config) string { return filepath.Join(cfg.RunDir, "pprof.sock") }

// CheckProfile tells whether profiles may be served at addr: "" (not at all), ProfileSocket, or a
// loopback address with a port. Names are refused, as it is not theirs to say where they lead.
func CheckProfile(addr string) error {
	if addr == "" || addr == ProfileSocket {
		return nil
	}
	if ap, err := netip.ParseAddrPort(addr); err == nil && ap.Addr().Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("profiles at %q: %w: 127.0.0.1:6060 is one; without an address they are at %s in the lab's run directory",
		addr, ErrNotLoopback, filepath.Base(profileSocket(Config{})))
}

// SampleMemory makes the runtime sample allocations for heap profiles, or not. It belongs at the
// start of the program: what was allocated before is counted by the former rate.
func SampleMemory(on bool) {
	runtime.MemProfileRate = 0
	if on {
		runtime.MemProfileRate = 512 << 10 // the runtime's own default, bytes a sample
	}
}

// serveProfiles serves profiles where the configuration says until the listener that it returns is closed.
func serveProfiles(cfg Config) (net.Listener, error) {
	if err := CheckProfile(cfg.Profile); err != nil {
		return nil, err
	}
	l, err := listenProfiles(cfg)
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	at := l.Addr().String()
	if cfg.Profile == ProfileSocket {
		at = profileSocket(cfg)
	}
	cfg.Log.Info("serving profiles", "at", at)
	srv := &http.Server{Handler: profiles(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := srv.Serve(l); !errors.Is(err, net.ErrClosed) {
			cfg.Log.Warn("profiles", "error", err)
		}
	}()
	return l, nil
}

func listenProfiles(cfg Config) (net.Listener, error) {
	if cfg.Profile != ProfileSocket {
		return net.Listen("tcp", cfg.Profile)
	}
	return control.ListenAt(profileSocket(cfg))
}

// profiles is a mux of their own: the control socket does not serve them.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
