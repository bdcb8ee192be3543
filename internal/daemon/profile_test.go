package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestProfilesAreServedToThisMachineOnly(t *testing.T) {
	for addr, want := range map[string]bool{
		"": true, ProfileSocket: true, "127.0.0.1:6060": true, "127.8.8.8:1": true, "[::1]:6060": true, "[::ffff:127.0.0.1]:6060": true,
		"0.0.0.0:6060": false, "[::]:6060": false, ":6060": false, "6060": false, "127.0.0.1": false, "192.0.2.1:6060": false,
		"localhost:6060": false, "sockets": false, "[fe80::1]:6060": false,
	} {
		err := CheckProfile(addr)
		if (err == nil) != want || err != nil && !errors.Is(err, ErrNotLoopback) {
			t.Errorf("CheckProfile(%q) = %v, want it allowed: %v", addr, err, want)
		}
	}
	if _, err := serveProfiles(Config{Profile: "0.0.0.0:0", Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, ErrNotLoopback) {
		t.Errorf("served at 0.0.0.0: %v", err)
	}
}

func TestServeProfiles(t *testing.T) {
	for _, at := range []string{ProfileSocket, "127.0.0.1:0"} {
		t.Run(at, func(t *testing.T) {
			cfg := Config{RunDir: t.TempDir(), Profile: at, Log: slog.New(slog.DiscardHandler)}
			l, err := serveProfiles(cfg)
			if err != nil {
				t.Fatal(err)
			}
			text, err := getFrom(t, l.Addr(), "/debug/pprof/goroutine?debug=1")
			if err != nil || !strings.Contains(text, "goroutine profile:") {
				t.Errorf("goroutine profile: %v, %q", err, text)
			}
			if at == ProfileSocket {
				if fi, err := os.Stat(profileSocket(cfg)); err != nil || fi.Mode().Perm() != 0o600 {
					t.Errorf("socket: %v, %v; want mode 0600", fi, err)
				}
			}
			l.Close()
			if text, err := getFrom(t, l.Addr(), "/debug/pprof/"); err == nil {
				t.Errorf("served after its end: %q", text)
			}
		})
	}
}

func getFrom(t *testing.T, addr net.Addr, path string) (string, error) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, addr.Network(), addr.String())
	}}}
	r, err := c.Get("http://lab" + path)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return string(text), err
}
