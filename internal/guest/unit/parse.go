package unit

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// entry is one assignment of a unit file.
type entry struct {
	section, key, value string
}

// parse reads the syntax of systemd.syntax(7): sections, KEY=value, comments, and lines continued with a
// backslash, which counts as a space. Lines that are none of these are passed over, as systemd does.
func parse(r io.Reader) ([]entry, error) {
	var entries []entry
	var section, pending string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r\t ")
		if t := strings.TrimLeft(line, "\t "); t == "" && pending == "" || strings.HasPrefix(t, "#") || strings.HasPrefix(t, ";") {
			continue // a comment may also stand between continued lines
		}
		if cut, more := strings.CutSuffix(line, `\`); more {
			pending += cut + " "
			continue
		}
		line, pending = strings.TrimSpace(pending+line), ""
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = line[1 : len(line)-1]
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && section != "" {
			entries = append(entries, entry{section, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading unit file: %w", err)
	}
	return entries, nil
}

// settings is all that a unit's file and drop-ins assign, in order.
type settings []entry

// list returns the values of a key that may be given several times; an empty value forgets those before it.
func (s settings) list(section, key string) []string {
	var values []string
	for _, e := range s {
		if e.section != section || e.key != key {
			continue
		}
		if e.value == "" {
			values = nil
		} else {
			values = append(values, e.value)
		}
	}
	return values
}

// last returns the value that counts for a key that holds one; def if it is absent or was emptied.
func (s settings) last(section, key, def string) string {
	if v := s.list(section, key); len(v) > 0 {
		return v[len(v)-1]
	}
	return def
}

// truth reads a boolean of systemd.syntax(7).
func truth(v string, def bool) bool {
	switch strings.ToLower(v) {
	case "1", "yes", "y", "true", "t", "on":
		return true
	case "0", "no", "n", "false", "f", "off":
		return false
	}
	return def
}
