package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// loginUser is the user that Amazon's images have.
const loginUser = "ec2-user"

// setUpUsers makes ec2-user and lets the keys in. authorized also says that authorized_keys are to be
// written: only at the first boot, since afterwards they are the user's to edit.
func setUpUsers(c *wire.Config, authorized bool) error {
	if err := editFile("/etc/passwd", 0o644, func(text string) string { return addPasswd(addRoot(text)) }); err != nil {
		return err
	}
	user, err := lookupAccount("/", loginUser)
	if err != nil {
		return err
	}
	gid := strconv.Itoa(int(user.GID))
	for _, f := range []struct {
		path string
		perm os.FileMode
		edit func(string) string
	}{
		{"/etc/group", 0o644, func(text string) string {
			return addLine(addLine(text, "root", "root:x:0:"), loginUser, loginUser+":x:"+gid+":")
		}},
		{"/etc/gshadow", 0o640, func(text string) string { return addLine(text, loginUser, loginUser+":!::") }},
		{"/etc/shadow", 0o640, func(text string) string { return unlock(unlock(text, "root"), loginUser) }},
	} {
		if err := editFile(f.path, f.perm, f.edit); err != nil {
			return err
		}
	}
	if err := allowSudo(authorized); err != nil {
		return err
	}
	if authorized {
		if err := keysOnly(); err != nil {
			return err
		}
	}
	root, err := lookupAccount("/", "root")
	if err != nil {
		return err
	}
	for _, a := range []account{root, user} {
		if err := makeHome(a); err != nil {
			return fmt.Errorf("home of %s: %w", a.Name, err)
		}
		if err := installKeys(a, c, authorized); err != nil {
			return fmt.Errorf("keys of %s: %w", a.Name, err)
		}
	}
	return nil
}

// addPasswd adds ec2-user with the first free number from 1000 that is neither a user's nor, as the file of
// groups would have it, likely another's.
func addPasswd(text string) string {
	used := make(map[int]bool)
	for line := range strings.Lines(text) {
		f := strings.Split(line, ":")
		if len(f) < 7 {
			continue
		}
		if f[0] == loginUser {
			return text
		}
		for _, id := range f[2:4] {
			if n, err := strconv.Atoi(id); err == nil {
				used[n] = true
			}
		}
	}
	id := 1000
	for used[id] {
		id++
	}
	return addLine(text, loginUser, fmt.Sprintf("%s:x:%d:%d:EC2 Default User:/home/%s:%s", loginUser, id, id, loginUser, loginShell()))
}

// addLine appends a line to a colon-separated file unless the name has one.
func addLine(text, name, line string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, name+":") {
			return text
		}
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n"
}

// unlock gives the account the password '*': none will ever match, yet sshd does not take the account for
// locked, as it would with '!'. The host's own password is not to be tried inside.
func unlock(shadow, name string) string {
	lines := strings.Split(strings.TrimSuffix(shadow, "\n"), "\n")
	for i, l := range lines {
		if f := strings.Split(l, ":"); f[0] == name && len(f) > 1 {
			f[1] = "*"
			lines[i] = strings.Join(f, ":")
			return strings.Join(lines, "\n") + "\n"
		}
	}
	return addLine(shadow, name, name+":*:20000:0:99999:7:::")
}

// Where cloud-init keeps the rules of sudo.
const (
	sudoersDir  = "/etc/sudoers.d"
	sudoersFile = sudoersDir + "/90-cloud-init-users"
)

// allowSudo lets ec2-user do everything; on a new disk, the file may be the host's.
func allowSudo(fresh bool) error {
	if _, err := os.Stat(sudoersDir); err != nil {
		return nil // no sudo
	}
	const rule = loginUser + " ALL=(ALL) NOPASSWD:ALL\n"
	return editFile(sudoersFile, 0o440, func(text string) string {
		switch {
		case fresh:
			return rule
		case strings.Contains(text, rule):
			return text
		}
		return rule + text
	})
}

// keysOnly turns password log-ins off, as cloud-init does on Amazon's images; the file is the user's to edit
// from then on. An sshd that is installed later reads it too.
func keysOnly() error {
	const dir = "/etc/ssh/sshd_config.d"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "50-cloud-init.conf"), []byte("PasswordAuthentication no\nKbdInteractiveAuthentication no\n"), 0o600)
}

// makeHome makes the home directory with the files that a new user gets.
func makeHome(a account) error {
	perm := os.FileMode(0o700)
	if err := os.MkdirAll(a.Home, perm); err != nil {
		return err
	}
	if err := os.Chown(a.Home, int(a.UID), int(a.GID)); err != nil {
		return err
	}
	skel := map[string]string{"/etc/skel/.bashrc": ".bashrc", "/etc/skel/.profile": ".profile", "/etc/skel/.bash_profile": ".bash_profile"}
	if a.UID == 0 {
		skel = map[string]string{"/usr/share/base-files/dot.bashrc": ".bashrc", "/usr/share/base-files/dot.profile": ".profile"}
	}
	for from, to := range skel {
		path := filepath.Join(a.Home, to)
		text, err := readFile(from)
		if err != nil {
			continue // another distribution
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := writeOwned(path, text, 0o644, a); err != nil {
			return err
		}
	}
	return nil
}

// installKeys writes ~/.ssh: who may log in, and the keys to go on with.
func installKeys(a account, c *wire.Config, authorized bool) error {
	dir := filepath.Join(a.Home, ".ssh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chown(dir, int(a.UID), int(a.GID))); err != nil {
		return err
	}
	if authorized {
		var text strings.Builder
		for _, k := range c.AuthorizedKeys {
			text.WriteString(strings.TrimSpace(k) + "\n")
		}
		if err := writeOwned(filepath.Join(dir, "authorized_keys"), []byte(text.String()), 0o600, a); err != nil {
			return err
		}
	}
	var names []string
	for name, key := range c.PrivateKeys {
		if name != filepath.Base(name) || strings.HasPrefix(name, ".") || name == "config" || name == "authorized_keys" || strings.ContainsAny(name, "\n\"") {
			return fmt.Errorf("private key %q: not a name for a file", name)
		}
		if err := writeOwned(filepath.Join(dir, name), []byte(strings.TrimSpace(key)+"\n"), 0o600, a); err != nil {
			return err
		}
		names = append(names, name)
	}
	return offerKeys(a, dir, names)
}

// offerKeys makes ssh try the keys by itself, unless the user has a configuration.
func offerKeys(a account, dir string, names []string) error {
	const mark = "# Written at boot; remove this line to keep changes.\n"
	path := filepath.Join(dir, "config")
	old, err := readFile(path)
	if err == nil && !strings.HasPrefix(string(old), mark) || err != nil && len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	text := mark
	for _, n := range names {
		text += fmt.Sprintf("IdentityFile \"~/.ssh/%s\"\n", n)
	}
	return writeOwned(path, []byte(text), 0o600, a)
}

func writeOwned(path string, data []byte, perm os.FileMode, a account) error {
	if err := replaceFile(path, data, perm); err != nil {
		return err
	}
	return os.Chown(path, int(a.UID), int(a.GID))
}

// editFile replaces a file of /etc by what edit makes of it, with its owner and mode. A missing file is made
// only if edit has something to say.
func editFile(path string, perm os.FileMode, edit func(string) string) error {
	old, err := readFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := edit(string(old))
	if text == string(old) {
		return nil
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return replaceFile(path, []byte(text), perm)
	}
	if err := replaceFile(path, []byte(text), os.FileMode(st.Mode&0o777)); err != nil {
		return err
	}
	return os.Chown(path, int(st.Uid), int(st.Gid))
}

// replaceFile writes a file whole or not at all, also where a symbolic link was.
func replaceFile(path string, data []byte, perm os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + ".vpcemu-new"
	if err := os.WriteFile(tmp, data, perm); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(tmp, perm), os.Rename(tmp, path)); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}
