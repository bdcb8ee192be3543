package control

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// maxSocketPath is the length in bytes that a socket's address has room for (unix(7)).
const maxSocketPath = 107

// Socket is the path of a lab's control socket.
func Socket(runDir string) string { return filepath.Join(runDir, "daemon.sock") }

// Listen opens the socket for the lab's daemon, in place of one that an earlier
// daemon has left. Only root may connect. The file stays when the listener is
// closed: after a removal the path may be the next daemon's.
func Listen(runDir string) (*net.UnixListener, error) { return ListenAt(Socket(runDir)) }

// ListenAt is Listen at another path.
func ListenAt(path string) (l *net.UnixListener, err error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	err = withShortPath(path, func(short string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func dial(ctx context.Context, path string) (c net.Conn, err error) {
	err = withShortPath(path, func(short string) (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, "unix", short)
		return err
	})
	return c, err
}

// withShortPath calls f with path, or with a way around the limit of its length.
func withShortPath(path string, f func(string) error) error {
	if len(path) <= maxSocketPath {
		return f(path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return f("/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path))
}
