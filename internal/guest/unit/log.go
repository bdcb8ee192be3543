package unit

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"
)

// maxLog is the size at which a unit's log is put aside when the unit starts; one old log is kept.
const maxLog = 8 << 20

func (c *Config) logPath(name string) string {
	return c.path(path.Join(LogDir, strings.TrimSuffix(name, ".service")+".log"))
}

func (c *Config) openLog(name string) (*os.File, error) {
	if err := os.MkdirAll(c.path(LogDir), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(c.logPath(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
}

func (c *Config) rotateLog(name string) {
	p := c.logPath(name)
	if st, err := os.Stat(p); err == nil && st.Size() > maxLog {
		if err := os.Rename(p, p+".1"); err != nil {
			c.Logf("unit %s: %v", name, err)
		}
	}
}

// note writes a line of the manager's own into a unit's log, in the journal's form.
func (c *Config) note(name, format string, args ...any) {
	f, err := c.openLog(name)
	if err != nil {
		c.Logf("unit %s: log: %v", name, err)
		return
	}
	defer f.Close()
	host, _ := os.Hostname()
	if _, err := fmt.Fprintf(f, "%s %s systemd[1]: %s\n", time.Now().Format("Jan 02 15:04:05"), host, fmt.Sprintf(format, args...)); err != nil {
		c.Logf("unit %s: log: %v", name, err)
	}
}

// tail returns the last n lines of a unit's log.
func (c *Config) tail(name string, n int) []string {
	f, err := os.Open(c.logPath(name))
	if err != nil {
		return nil
	}
	defer f.Close()
	const window = 64 << 10
	if st, err := f.Stat(); err == nil && st.Size() > window {
		if _, err := f.Seek(-window, io.SeekEnd); err != nil {
			return nil
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, window))
	if err != nil || len(b) == 0 {
		return nil
	}
	lines := strings.Split(string(bytes.TrimRight(b, "\n")), "\n")
	return lines[max(0, len(lines)-n):]
}
