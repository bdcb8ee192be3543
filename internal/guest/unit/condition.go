package unit

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

var pathConditions = []string{"PathExists", "PathExistsGlob", "PathIsDirectory", "PathIsSymbolicLink", "PathIsReadWrite", "DirectoryNotEmpty", "FileNotEmpty", "FileIsExecutable"}

// met checks the conditions: all plain ones, and at least one of those with | (systemd.unit(5)). It returns
// the text of the first that is not met.
func (c *Config) met(cs []condition) (ok bool, unmet string) {
	triggers, triggered := 0, false
	for _, x := range cs {
		holds := c.holds(x) != x.negate
		if x.trigger {
			triggers++
			triggered = triggered || holds
		} else if !holds {
			return false, x.String()
		}
	}
	if triggers > 0 && !triggered {
		return false, "none of the trigger conditions"
	}
	return true, ""
}

func (x condition) String() string {
	if x.negate {
		return "Condition" + x.kind + "=!" + x.path
	}
	return "Condition" + x.kind + "=" + x.path
}

func (c *Config) holds(x condition) bool {
	p := c.path(x.path)
	st, err := os.Stat(p)
	switch x.kind {
	case "PathExists":
		return err == nil
	case "PathExistsGlob":
		m, _ := filepath.Glob(p)
		return len(m) > 0
	case "PathIsDirectory":
		return err == nil && st.IsDir()
	case "PathIsSymbolicLink":
		l, err := os.Lstat(p)
		return err == nil && l.Mode()&os.ModeSymlink != 0
	case "PathIsReadWrite":
		return unix.Access(p, unix.W_OK) == nil
	case "DirectoryNotEmpty":
		return !c.emptyDir(x.path)
	case "FileNotEmpty":
		return err == nil && st.Mode().IsRegular() && st.Size() > 0
	case "FileIsExecutable":
		return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
	}
	return true
}

// emptyDir tells whether a directory is missing or holds nothing but hidden files and lost+found.
func (c *Config) emptyDir(p string) bool {
	es, err := os.ReadDir(c.path(p))
	if err != nil {
		return true
	}
	for _, e := range es {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "lost+found" {
			return false
		}
	}
	return true
}
