package unit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// JournalMain is the part of journalctl that an instance needs: -u NAME (or all units), -n LINES, -f, --grep
// and the like being ignored. It reads the units' logs below root itself and returns the exit code; ctx ends
// -f.
func JournalMain(ctx context.Context, root string, args []string, stdout, stderr io.Writer) int {
	c := &Config{Root: root}
	var units []string
	lines, follow := -1, false
	for i := 0; i < len(args); i++ {
		name, value, has := strings.Cut(args[i], "=")
		short := len(name) > 2 && name[0] == '-' && name[1] != '-'
		if short && strings.HasSuffix(name, "u") { // -xeu NAME
			name = "-u"
		}
		takes := name == "-u" || name == "--unit" || name == "-n" || name == "--lines"
		if short && strings.HasPrefix(name, "-n") {
			name, value, has, takes = "-n", name[2:], true, true
		}
		if takes && !has {
			if i++; i >= len(args) {
				fmt.Fprintf(stderr, "journalctl: option '%s' requires an argument\n", name)
				return 1
			}
			value = args[i]
		}
		switch name {
		case "-u", "--unit":
			units = append(units, value)
		case "-n", "--lines":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				fmt.Fprintf(stderr, "journalctl: Failed to parse lines '%s'\n", value)
				return 1
			}
			lines = n
		case "-f", "--follow":
			follow = true
		}
	}
	files := c.logs(units)
	if len(files) == 0 && !follow {
		fmt.Fprintln(stdout, "-- No entries --")
		return 0
	}
	if follow && lines < 0 {
		lines = 10
	}
	at := make([]int64, len(files))
	for i, f := range files {
		at[i] = printLog(stdout, f, lines)
	}
	for follow {
		if err := sleepContext(ctx, 200*time.Millisecond); err != nil {
			return 0
		}
		for i, f := range files {
			at[i] = printFrom(stdout, f, at[i])
		}
	}
	return 0
}

// logs are the log files of units by any of their names, or of all.
func (c *Config) logs(units []string) []string {
	if len(units) == 0 {
		files, _ := filepath.Glob(c.path(LogDir + "/*.log"))
		return files
	}
	var files []string
	for _, u := range units {
		name := fullName(u)
		if f, err := c.find(name); err == nil {
			name = f.name
		}
		if validUnitName(name) {
			files = append(files, c.logPath(name))
		}
	}
	return files
}

// printLog prints the last lines of a file, all if lines is negative, and returns where it ended.
func printLog(w io.Writer, name string, lines int) int64 {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	out := b
	if lines >= 0 {
		all := bytes.SplitAfter(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
		out = bytes.Join(all[max(0, len(all)-lines):], nil)
		if lines > 0 && len(b) > 0 && b[len(b)-1] == '\n' {
			out = append(out, '\n')
		}
	}
	_, _ = w.Write(out)
	return int64(len(b))
}

// printFrom prints what was added after at, from the beginning if the log was rotated.
func printFrom(w io.Writer, name string, at int64) int64 {
	f, err := os.Open(name)
	if err != nil {
		return at
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() < at {
		at = 0
	}
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return at
	}
	n, _ := io.Copy(w, f)
	return at + n
}

func sleepContext(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
