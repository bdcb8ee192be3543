package unit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// prepare does what Debian does when a package is installed or the machine boots, and what an instance with
// fresh /run, host keys and data directories therefore lacks: see preparations.
func (l *life) prepare(ctx context.Context) error {
	l.s.manager.runtimeFiles()
	p, ok := preparations[l.d.name]
	if !ok {
		return nil
	}
	if err := p(ctx, l); err != nil {
		return fmt.Errorf("preparing the first start: %w", err)
	}
	return nil
}

// preparations by unit.
var preparations = map[string]func(context.Context, *life) error{
	"ssh.service":     prepareSSH,
	"mariadb.service": prepareMariaDB,
	"mysql.service":   prepareMariaDB,
}

// needed is ExecStartPre without `sshd -t`, the test of the configuration before an sshd that makes the same test
// itself, and fails with the same words: loading sshd twice was a fifth of what a boot costs.
func (d *definition) needed() []command {
	return slices.DeleteFunc(slices.Clone(d.pre), func(c command) bool {
		return len(c.args) == 2 && filepath.Base(c.args[0]) == "sshd" && c.args[1] == "-t" &&
			len(d.start) == 1 && d.start[0].args[0] == c.args[0]
	})
}

// prepareSSH makes the host keys (openssh-server.postinst) and the privilege separation directory.
func prepareSSH(ctx context.Context, l *life) error {
	if err := os.MkdirAll(l.c.path("/run/sshd"), 0o755); err != nil {
		return err
	}
	if keys, err := filepath.Glob(l.c.path("/etc/ssh/ssh_host_*_key")); err != nil || len(keys) > 0 {
		return err
	}
	return l.commands(ctx, []command{{args: []string{"ssh-keygen", "-A"}, privileged: true}})
}

// prepareMariaDB fills an empty data directory as mariadb-server.postinst does: no test database, root
// through the socket.
func prepareMariaDB(ctx context.Context, l *life) error {
	const data = "/var/lib/mysql"
	if _, err := os.Stat(l.c.path(data + "/mysql")); err == nil {
		return nil
	}
	id := identity{set: true}
	if named, err := (&definition{user: "mysql"}).identify(); err == nil {
		id = named
	}
	for _, dir := range []string{data, "/run/mysqld", "/var/log/mysql"} {
		p := l.c.path(dir)
		if err := os.MkdirAll(p, 0o755); err != nil {
			return err
		}
		if err := os.Chown(p, int(id.uid), int(id.gid)); err != nil {
			return err
		}
	}
	l.c.note(l.d.name, "%s: the data directory is empty, making the system tables.", l.d.name)
	return l.commands(ctx, []command{{privileged: true, args: []string{"mariadb-install-db", "--rpm", "--cross-bootstrap",
		"--user=mysql", "--disable-log-bin", "--skip-test-db", "--auth-root-authentication-method=socket"}}})
}

// runtimeFiles makes the directories below /run that packages declare in tmpfiles.d (tmpfiles.d(5), types d
// and D): of each file once a boot, before the first unit starts that finds it there, as packages bring theirs
// while the instance runs. A line that cannot be followed is reported and passed over.
func (m *Manager) runtimeFiles() {
	m.declaredMu.Lock()
	defer m.declaredMu.Unlock()
	for _, dir := range []string{"/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/lib/tmpfiles.d"} {
		files, err := filepath.Glob(m.c.path(filepath.Join(dir, "*.conf")))
		if err != nil {
			continue
		}
		for _, f := range files {
			if base := filepath.Base(f); !m.declared[base] {
				m.declared[base] = true
				if err := m.c.runtimeFile(f); err != nil {
					m.c.Logf("%s: %v", f, err)
				}
			}
		}
	}
}

func (c *Config) runtimeFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var errs []error
	for lines := bufio.NewScanner(f); lines.Scan(); {
		w := strings.Fields(lines.Text())
		if len(w) < 2 || strings.TrimRight(w[0], "!-+=~^$") != "d" && strings.TrimRight(w[0], "!-+=~^$") != "D" {
			continue
		}
		dir := filepath.Clean(strings.TrimPrefix(w[1], "/var"))
		if !strings.HasPrefix(dir, "/run/") || strings.Contains(dir, "%") {
			continue
		}
		errs = append(errs, c.runtimeDirectory(dir, append(w[2:], "-", "-", "-")))
	}
	return errors.Join(errs...)
}

// runtimeDirectory makes one directory; fields are mode, user and group, - for the default.
func (c *Config) runtimeDirectory(dir string, fields []string) error {
	mode := uint64(0o755)
	if fields[0] != "-" {
		var err error
		if mode, err = strconv.ParseUint(strings.TrimLeft(fields[0], "~:"), 8, 12); err != nil {
			return fmt.Errorf("%s: mode %q", dir, fields[0])
		}
	}
	p := c.path(dir)
	if err := os.MkdirAll(p, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(p, os.FileMode(mode&0o777)|os.FileMode(mode>>9&1)*os.ModeSticky); err != nil {
		return err
	}
	d := &definition{}
	if fields[1] != "-" && fields[1] != "root" {
		d.user = fields[1]
	}
	if fields[2] != "-" && fields[2] != "root" {
		d.group = fields[2]
	}
	id, err := d.identify()
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if !id.set {
		return nil
	}
	if fields[2] == "root" {
		id.gid = 0
	}
	return os.Chown(p, int(id.uid), int(id.gid))
}
