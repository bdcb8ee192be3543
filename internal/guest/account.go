package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is a line of passwd(5) with the groups of group(5). The files are read here rather than by os/user,
// which would call the C library of the host.
type account struct {
	Name, Home, Shell string
	UID, GID          uint32
	Groups            []uint32
}

// lookupAccount finds a user by name or number in root/etc.
func lookupAccount(root, user string) (account, error) {
	passwd, err := readFile(filepath.Join(root, "etc/passwd"))
	if err != nil {
		return account{}, err
	}
	group, err := readFile(filepath.Join(root, "etc/group"))
	if err != nil && !os.IsNotExist(err) {
		return account{}, err
	}
	return findAccount(string(passwd), string(group), user)
}

func findAccount(passwd, group, user string) (account, error) {
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) < 7 || f[0] != user && f[2] != user {
			continue
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			return account{}, fmt.Errorf("user %s: uid %q in /etc/passwd", user, f[2])
		}
		gid, err := strconv.ParseUint(f[3], 10, 32)
		if err != nil {
			return account{}, fmt.Errorf("user %s: gid %q in /etc/passwd", user, f[3])
		}
		a := account{Name: f[0], UID: uint32(uid), GID: uint32(gid), Home: f[5], Shell: f[6]}
		a.Groups = groupsOf(group, a.Name, a.GID)
		if a.Shell == "" {
			a.Shell = "/bin/sh"
		}
		return a, nil
	}
	return account{}, fmt.Errorf("user %s: not in /etc/passwd", user)
}

func groupsOf(group, name string, primary uint32) []uint32 {
	groups := []uint32{primary}
	for line := range strings.Lines(group) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) < 4 {
			continue
		}
		for member := range strings.SplitSeq(f[3], ",") {
			gid, err := strconv.ParseUint(f[2], 10, 32)
			if member == name && err == nil && uint32(gid) != primary {
				groups = append(groups, uint32(gid))
			}
		}
	}
	return groups
}

func (a account) credential() *syscall.Credential {
	return &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}
}

// defaultPath is where programs are found, and the PATH they see.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is what a program finds, as after a log-in; more overrides it.
func (a account) environment(more []string) []string {
	env := []string{"PATH=" + defaultPath, "HOME=" + a.Home, "USER=" + a.Name, "LOGNAME=" + a.Name, "SHELL=" + a.Shell, "LANG=C.UTF-8"}
	for _, v := range more {
		env = setenv(env, v)
	}
	return env
}

// setenv puts NAME=value into env in place of another value of NAME.
func setenv(env []string, variable string) []string {
	name, _, _ := strings.Cut(variable, "=")
	for i, v := range env {
		if strings.HasPrefix(v, name+"=") {
			env[i] = variable
			return env
		}
	}
	return append(env, variable)
}

// findProgram is the shell's search for a command: syscall.ENOENT if it is nowhere, EACCES if it may not run.
func findProgram(name string, env []string, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, executable(name)
	}
	path := defaultPath
	for _, v := range env {
		if p, ok := strings.CutPrefix(v, "PATH="); ok {
			path = p
		}
	}
	denied := error(syscall.ENOENT)
	for d := range strings.SplitSeq(path, ":") {
		candidate := filepath.Join(d, name)
		if !filepath.IsAbs(candidate) {
			candidate = filepath.Join(dir, candidate)
		}
		switch err := executable(candidate); err {
		case nil:
			return candidate, nil
		case syscall.EACCES:
			denied = err
		}
	}
	return "", denied
}

func executable(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return syscall.ENOENT
	}
	if fi.IsDir() || fi.Mode()&0o111 == 0 {
		return syscall.EACCES
	}
	return nil
}
