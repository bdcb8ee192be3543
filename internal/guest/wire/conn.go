package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// MaxMessage is the longest message in bytes; below the kernel's default socket buffer, so that a send never
// fails for want of buffer space only.
const MaxMessage = 160 << 10

// maxFiles is the kernel's limit of descriptors in one message (SCM_MAX_FD).
const maxFiles = 253

// maxSocketPath is the longest path that fits a sockaddr_un.
const maxSocketPath = 107

// Conn is one end of a control connection. Neither Send nor Receive may be called twice at a time.
type Conn struct {
	*net.UnixConn
}

// Dial connects to the control socket at path, however long the path is.
func Dial(path string) (Conn, error) {
	var c *net.UnixConn
	err := withShortPath(path, func(p string) (err error) {
		c, err = net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: p, Net: "unixpacket"})
		return err
	})
	return Conn{c}, err
}

// Listen makes the control socket. The socket's file stays when the listener is closed.
func Listen(path string) (*net.UnixListener, error) {
	var l *net.UnixListener
	err := withShortPath(path, func(p string) (err error) {
		l, err = net.ListenUnix("unixpacket", &net.UnixAddr{Name: p, Net: "unixpacket"})
		return err
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	return l, os.Chmod(path, 0o600)
}

// withShortPath calls f with path, or with a way around the length limit of socket addresses.
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

// Send sends one message with descriptors. The descriptors stay open here.
func (c Conn) Send(msg any, files ...*os.File) error {
	data, err := json.Marshal(msg)
	if err != nil {
		return err
	}
	if len(data) > MaxMessage {
		return fmt.Errorf("message of %d bytes exceeds %d", len(data), MaxMessage)
	}
	if len(files) > maxFiles {
		return fmt.Errorf("message with %d descriptors exceeds %d", len(files), maxFiles)
	}
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			raw, err := f.SyscallConn() // Fd() would make the file blocking
			if err != nil {
				return err
			}
			if err := raw.Control(func(fd uintptr) { fds[i] = int(fd) }); err != nil {
				return err
			}
		}
		oob = syscall.UnixRights(fds...)
	}
	_, _, err = c.WriteMsgUnix(data, oob, nil)
	return err
}

// Receive takes one message and the descriptors that came with it, which the caller must close. A closed
// connection gives io.EOF.
func (c Conn) Receive(msg any) (files []*os.File, err error) {
	data := make([]byte, MaxMessage)
	oob := make([]byte, syscall.CmsgSpace(maxFiles*4))
	n, oobn, flags, _, err := c.ReadMsgUnix(data, oob)
	if err == nil && n == 0 && oobn == 0 {
		err = io.EOF
	}
	if err != nil {
		return nil, err
	}
	if files, err = filesOf(oob[:oobn]); err == nil && flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) != 0 {
		err = errors.New("message truncated")
	}
	if err == nil {
		err = json.Unmarshal(data[:n], msg)
	}
	if err != nil {
		CloseFiles(files)
		return nil, err
	}
	return files, nil
}

func filesOf(oob []byte) (files []*os.File, err error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// CloseFiles closes what Receive gave.
func CloseFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
