package daemon

import (
	"context"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/hostlink"
)

// fakeLink is a link to a machine's network in memory.
type fakeLink struct {
	mu       sync.Mutex
	wish     hostlink.Wish // what was applied last
	hosts    []hostlink.Host
	machine  *os.File // its end of the device, nil for none
	refused  []netip.Prefix
	attached int
	changed  func() // of Watch
	fail     error  // of Apply
	busy     error  // of Check
}

func (l *fakeLink) Check(hostlink.Wish) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy
}

func (l *fakeLink) Apply(w hostlink.Wish) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return "", l.fail
	}
	l.wish = w
	if !w.Linked() {
		l.close()
		return "", nil
	}
	return "vpcemu0", nil
}

func (l *fakeLink) Attach(string) (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	l.machine = os.NewFile(uintptr(fds[0]), "machine")
	l.attached++
	return os.NewFile(uintptr(fds[1]), "vpcemu0"), nil
}

// close closes the machine's end. l.mu is held.
func (l *fakeLink) close() {
	if l.machine != nil {
		l.machine.Close()
		l.machine = nil
	}
}

func (l *fakeLink) Refused(hostlink.Wish) ([]netip.Prefix, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused, nil
}

func (l *fakeLink) Watch(ctx context.Context, changed func()) error {
	l.mu.Lock()
	l.changed = changed
	l.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (l *fakeLink) Obstacles(string) ([]string, error) { return nil, nil }

func (l *fakeLink) SetHosts(list []hostlink.Host) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts = list
	return nil
}
