package unit

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
)

// notifier receives one unit's sd_notify(3) messages. Each unit has a socket of its own, so that the
// sender's unit needs no finding out.
type notifier struct {
	conn     *net.UnixConn
	path     string // as the unit's processes see it
	messages chan notification
}

// notification is one datagram's assignments that the manager honours.
type notification struct {
	ready, stopping, reloading bool
	mainPID                    int
	status                     string
	hasStatus                  bool
}

// listen makes the socket. Every user may write to it: services drop their privileges before they are ready.
func (c *Config) listen(unit string) (*notifier, error) {
	dir := c.path(notifyDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	p := path.Join(dir, unit)
	if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: p, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	if err := os.Chmod(p, 0o666); err != nil {
		conn.Close()
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	n := &notifier{conn: conn, path: p, messages: make(chan notification, 16)}
	go n.read()
	return n, nil
}

func (n *notifier) read() {
	defer close(n.messages)
	buf := make([]byte, 4096)
	for {
		size, err := n.conn.Read(buf)
		if err != nil {
			return
		}
		n.messages <- readNotification(string(buf[:size]))
	}
}

func readNotification(text string) notification {
	var m notification
	for _, line := range strings.Split(text, "\n") {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "READY":
			m.ready = value == "1"
		case "STOPPING":
			m.stopping = value == "1"
		case "RELOADING":
			m.reloading = value == "1"
		case "MAINPID":
			if pid, err := strconv.Atoi(value); err == nil && pid > 1 {
				m.mainPID = pid
			}
		case "STATUS":
			m.status, m.hasStatus = value, true
		}
	}
	return m
}

// close ends the reader; messages that nobody took are dropped.
func (n *notifier) close() {
	n.conn.Close()
	os.Remove(n.path)
	for range n.messages {
	}
}
