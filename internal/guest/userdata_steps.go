package guest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// failedEntries is where scripts made of a list of commands note those that failed: cloudconfig.FailedEntries,
// which cannot be imported here for its YAML.
const failedEntries = "/run/cloud-init/failed-entries"

// ended is a wait status in words.
func ended(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("killed by signal %d (%s)", status.Signal(), status.Signal())
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// script writes a program of the user's and runs it to its end.
func (u *userData) script(out *output, s wire.Step) {
	status, err := u.runScript(out, s.Script)
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		u.fail(out, "%s: %s: its first line has to name its program, as in #!/bin/sh", s.Module, s.Name)
	case err != nil:
		u.fail(out, "%s: %s: first line: %v", s.Module, s.Name, err)
	case status != 0:
		u.code = max(status.ExitStatus(), 0)
		u.fail(out, "%s, output in %s", scriptFailure(s, status), outputLog)
	}
	u.failedEntries(out, s)
}

// scriptFailure names the step, unless the user data is one script.
func scriptFailure(s wire.Step, status syscall.WaitStatus) string {
	switch {
	case s.Module == s.Name:
		return s.Name + ": " + ended(status)
	case s.Name == "part-001" && s.Module == "scripts_user":
		return ended(status)
	}
	return s.Module + ": " + s.Name + ": " + ended(status)
}

func inShort(command string) string {
	command, _, more := strings.Cut(strings.TrimSpace(command), "\n")
	if len(command) > 60 {
		command, more = strings.ToValidUTF8(command[:60], ""), true
	}
	if more {
		command += "…"
	}
	return command
}

// failedEntries warns of the commands of a list that failed without ending it.
func (u *userData) failedEntries(out *output, s wire.Step) {
	if len(s.Script.Entries) == 0 {
		return
	}
	text, err := readFile(failedEntries)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		number, status, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(number); err == nil && n >= 1 && n <= len(s.Script.Entries) {
			u.warn(out, "%s: command %d of %d (%s) ended with exit status %s", s.Name, n, len(s.Script.Entries), inShort(s.Script.Entries[n-1]), status)
		}
	}
}

func (u *userData) runScript(out *output, s *wire.Script) (syscall.WaitStatus, error) {
	path := filepath.Join(instanceDir, s.Path)
	if err := replaceFile(path, s.Body, 0o700); err != nil {
		return 0, err
	}
	if err := os.Remove(failedEntries); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	return u.execute(out, []string{path}, []string{"INSTANCE_ID=" + u.g.config.ID})
}

// execute runs a program as root, with its output in the log, until it ends.
func (u *userData) execute(out *output, argv, env []string, input ...string) (syscall.WaitStatus, error) {
	root, err := lookupAccount("/", "root")
	if err != nil {
		return 0, err
	}
	env = root.environment(env)
	path, err := findProgram(argv[0], env, "/")
	if err != nil {
		return 0, fmt.Errorf("%s: %w", argv[0], err)
	}
	in, err := inputOf(input)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	inFD, err := descriptor(in)
	if err != nil {
		return 0, err
	}
	outFD, err := descriptor(out.log)
	if err != nil {
		return 0, err
	}
	_, exited, err := u.g.processes.Start(program{Path: path, Argv: argv, Env: env, Dir: "/", Files: []uintptr{inFD, outFD, outFD}, Credential: root.credential()})
	if err != nil {
		return 0, err
	}
	return <-exited, nil
}

// inputOf is a file that holds the text, or /dev/null.
func inputOf(text []string) (*os.File, error) {
	if len(text) == 0 {
		return os.Open(os.DevNull)
	}
	fd, err := unix.MemfdCreate("input", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "input")
	if _, err = f.WriteString(strings.Join(text, "")); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// writeCloudFile writes a file as write_files does. It is written whole or not at all, but for one that is appended
// to or that a symbolic link leads to.
func writeCloudFile(f *wire.File) error {
	uid, gid, err := ownerOf(f.Owner)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return err
	}
	path, err := filepath.EvalSymlinks(f.Path)
	if err != nil {
		path = f.Path
	}
	switch fi, e := os.Stat(path); {
	case f.Append:
		err = writeInPlace(path, f.Content, os.O_CREATE|os.O_APPEND)
	case e == nil && !fi.Mode().IsRegular(), strings.HasPrefix(path, "/proc/"), strings.HasPrefix(path, "/sys/"):
		return writeInPlace(path, f.Content, os.O_TRUNC) // a switch of the kernel's, a device
	default:
		err = replaceFile(path, f.Content, 0o600)
	}
	if err != nil {
		return err
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return err
	}
	return unix.Chmod(path, f.Mode) // last: chown(2) takes the setuid bit away
}

func writeInPlace(path string, data []byte, flags int) error {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK|flags, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// ownerOf finds user:group; a part that is empty or -1 stays as it is (util.extract_usergroup).
func ownerOf(owner string) (uid, gid int, err error) {
	user, group, _ := strings.Cut(owner, ":")
	uid, gid = -1, -1
	if user = strings.TrimSpace(user); user != "" && user != "-1" && !strings.EqualFold(user, "none") {
		a, err := lookupAccount("/", user)
		if err != nil {
			return 0, 0, err
		}
		uid = int(a.UID)
	}
	if group = strings.TrimSpace(group); group != "" && group != "-1" && !strings.EqualFold(group, "none") {
		if gid, err = lookupGroup(group); err != nil {
			return 0, 0, err
		}
	}
	return uid, gid, nil
}

// setTimezone points /etc/localtime at the zone (cc_timezone.py).
func setTimezone(zone string) error {
	file := filepath.Join("/usr/share/zoneinfo", zone)
	if fi, err := os.Stat(file); err != nil || fi.IsDir() {
		return fmt.Errorf("%s is not there; package tzdata has the time zones", file)
	}
	tmp := "/etc/localtime.vpcemu-new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.Symlink(file, tmp), os.Rename(tmp, "/etc/localtime"), replaceFile("/etc/timezone", []byte(zone+"\n"), 0o644))
}
