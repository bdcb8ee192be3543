package guest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// The accounts of user data are made in the files of /etc, without useradd(8), which not every root has; the
// choices are those of useradd and groupadd with their defaults.

const (
	firstUser, lastUser     = 1000, 60000
	firstSystem, lastSystem = 100, 999
	usersGroup              = 100 // the group of those who get none of their own
)

// fieldsOf gives the fields of the line of a colon-separated file that begins with name.
func fieldsOf(text, name string) []string {
	for line := range strings.Lines(text) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), ":"); f[0] == name {
			return f
		}
	}
	return nil
}

// editFields changes the fields of one line.
func editFields(text, name string, edit func(f []string)) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if f := strings.Split(l, ":"); f[0] == name {
			edit(f)
			lines[i] = strings.Join(f, ":")
		}
	}
	return strings.Join(lines, "\n")
}

// numbers are the values of a field, by which a free one is found.
func numbers(text string, field int) map[int]bool {
	used := map[int]bool{}
	for line := range strings.Lines(text) {
		if f := strings.Split(line, ":"); len(f) > field {
			if n, err := strconv.Atoi(f[field]); err == nil {
				used[n] = true
			}
		}
	}
	return used
}

// freeNumber is the first that neither a user nor a group has: upwards for people, downwards for the system
// (useradd(8)).
func freeNumber(system bool, used ...map[int]bool) (int, error) {
	free := func(n int) bool {
		return !slices.ContainsFunc(used, func(m map[int]bool) bool { return m[n] })
	}
	if system {
		for n := lastSystem; n >= firstSystem; n-- {
			if free(n) {
				return n, nil
			}
		}
	} else {
		for n := firstUser; n <= lastUser; n++ {
			if free(n) {
				return n, nil
			}
		}
	}
	return 0, errors.New("no number is free")
}

func lookupGroup(name string) (gid int, err error) {
	text, err := readFile("/etc/group")
	if err != nil {
		return 0, err
	}
	if f := fieldsOf(string(text), name); len(f) >= 3 {
		return strconv.Atoi(f[2])
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	return 0, fmt.Errorf("group %s: not in /etc/group", name)
}

// accountFiles are what is known about the accounts, read together and written together.
type accountFiles struct{ passwd, group, shadow, gshadow string }

func readAccounts() (a accountFiles, err error) {
	for path, to := range map[string]*string{"/etc/passwd": &a.passwd, "/etc/group": &a.group, "/etc/shadow": &a.shadow, "/etc/gshadow": &a.gshadow} {
		text, e := readFile(path)
		if e != nil && !errors.Is(e, fs.ErrNotExist) {
			return a, e
		}
		*to = string(text)
	}
	return a, nil
}

// write puts groups first: a user whose group is missing is worse than a group without users.
func (a accountFiles) write() error {
	for _, f := range []struct {
		path, text string
		perm       os.FileMode
	}{{"/etc/group", a.group, 0o644}, {"/etc/gshadow", a.gshadow, 0o640}, {"/etc/shadow", a.shadow, 0o640}, {"/etc/passwd", a.passwd, 0o644}} {
		if err := editFile(f.path, f.perm, func(string) string { return f.text }); err != nil {
			return err
		}
	}
	return nil
}

// addGroup makes a group unless it is there, with the wanted number if that is free.
func (a *accountFiles) addGroup(name string, system bool, wanted int) error {
	if fieldsOf(a.group, name) != nil {
		return nil
	}
	used := numbers(a.group, 2)
	if wanted < 0 || used[wanted] {
		var err error
		if wanted, err = freeNumber(system, used); err != nil {
			return fmt.Errorf("group %s: %w", name, err)
		}
	}
	a.group = addLine(a.group, name, fmt.Sprintf("%s:x:%d:", name, wanted))
	a.gshadow = addLine(a.gshadow, name, name+":!::")
	return nil
}

// addMember puts a user into a group.
func (a *accountFiles) addMember(group, user string) {
	add := func(f []string) {
		if len(f) < 4 {
			return
		}
		members := strings.FieldsFunc(f[3], func(r rune) bool { return r == ',' })
		if !slices.Contains(members, user) {
			f[3] = strings.Join(append(members, user), ",")
		}
	}
	a.group = editFields(a.group, group, add)
	a.gshadow = editFields(a.gshadow, group, add)
}

// makeGroup makes a group and puts members into it that exist, as cloud-init does (Distro.create_group).
func makeGroup(w *wire.Group) error {
	a, err := readAccounts()
	if err != nil {
		return err
	}
	if err := a.addGroup(w.Name, false, -1); err != nil {
		return err
	}
	var missing []string
	for _, m := range w.Members {
		if fieldsOf(a.passwd, m) == nil {
			missing = append(missing, m)
			continue
		}
		a.addMember(w.Name, m)
	}
	if err := a.write(); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("no user %s to put into it: groups are made before users, so name the group in the user's groups", strings.Join(missing, ", "))
	}
	return nil
}

// makeUser makes an account, or changes the one that is there.
func (u *userData) makeUser(out *output, w *wire.User) error {
	a, err := readAccounts()
	if err != nil {
		return err
	}
	fresh := fieldsOf(a.passwd, w.Name) == nil
	if fresh {
		if err := a.addUser(w); err != nil {
			return err
		}
		if err := a.write(); err != nil {
			return err
		}
		if err := giveHome(w); err != nil {
			return err
		}
	}
	if err := u.userPassword(out, w, fresh); err != nil {
		return err
	}
	if err := addSudo(w.Name, w.Sudo); err != nil {
		return err
	}
	keys := w.Keys
	if w.LaunchKeys {
		keys = append(slices.Clone(u.g.config.AuthorizedKeys), keys...)
	}
	if len(keys) == 0 {
		return nil
	}
	return addAuthorized(w.Name, keys, "")
}

// addUser adds the lines of a new account.
func (a *accountFiles) addUser(w *wire.User) error {
	uid := -1
	if w.UID != nil {
		uid = int(*w.UID)
		if numbers(a.passwd, 2)[uid] {
			return fmt.Errorf("uid %d is another user's", uid)
		}
	} else {
		var err error
		if uid, err = freeNumber(w.System, numbers(a.passwd, 2), numbers(a.group, 2)); err != nil {
			return err
		}
	}
	for _, g := range w.Groups {
		if err := a.addGroup(g, false, -1); err != nil {
			return err
		}
	}
	gid := usersGroup
	switch {
	case w.PrimaryGroup != "":
		if err := a.addGroup(w.PrimaryGroup, w.System, -1); err != nil {
			return err
		}
		gid = a.gid(w.PrimaryGroup)
	case !w.NoUserGroup:
		if fieldsOf(a.group, w.Name) != nil {
			return fmt.Errorf("there is a group %s already: give it as primary_group to have the user in it", w.Name)
		}
		if err := a.addGroup(w.Name, w.System, uid); err != nil {
			return err
		}
		gid = a.gid(w.Name)
	}
	for _, g := range w.Groups {
		a.addMember(g, w.Name)
	}
	home, shell, password := w.Home, w.Shell, w.Passwd
	if home == "" {
		home = "/home/" + w.Name
	}
	if shell == "" {
		shell = usualShell()
	}
	switch {
	case password == "":
		password = "*" // none will do, yet sshd lets a key in, which it would not with !
	case !w.Unlocked:
		password = "!" + password
	}
	a.passwd = addLine(a.passwd, w.Name, fmt.Sprintf("%s:x:%d:%d:%s:%s:%s", w.Name, uid, gid, w.Gecos, home, shell))
	a.shadow = addLine(a.shadow, w.Name, w.Name+":"+password+":20000:0:99999:7:::")
	return nil
}

func (a *accountFiles) gid(name string) int {
	if f := fieldsOf(a.group, name); len(f) >= 3 {
		if n, err := strconv.Atoi(f[2]); err == nil {
			return n
		}
	}
	return usersGroup
}

// usualShell is bash where there is one.
func usualShell() string {
	if executable("/bin/bash") == nil {
		return "/bin/bash"
	}
	return "/bin/sh"
}

// giveHome makes the home of a new account, with all of /etc/skel in it.
func giveHome(w *wire.User) error {
	if w.NoCreateHome || w.System {
		return nil
	}
	a, err := lookupAccount("/", w.Name)
	if err != nil {
		return err
	}
	if err := makeHome(a); err != nil {
		return fmt.Errorf("home: %w", err)
	}
	err = filepath.WalkDir("/etc/skel", func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		to := filepath.Join(a.Home, strings.TrimPrefix(path, "/etc/skel"))
		return copyOwned(path, to, d, a)
	})
	if err != nil {
		return fmt.Errorf("home: %w", err)
	}
	return nil
}

// copyOwned copies what is not there yet.
func copyOwned(from, to string, d fs.DirEntry, a account) error {
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	switch {
	case d.IsDir():
		err = os.Mkdir(to, info.Mode().Perm())
	case info.Mode()&fs.ModeSymlink != 0:
		var target string
		if target, err = os.Readlink(from); err == nil {
			err = os.Symlink(target, to)
		}
	case info.Mode().IsRegular():
		var data []byte
		if data, err = readFile(from); err == nil {
			return writeOwned(to, data, info.Mode().Perm(), a)
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return os.Lchown(to, int(a.UID), int(a.GID))
}

// userPassword sets what plain_text_passwd and hashed_passwd say, and locks it unless told otherwise.
func (u *userData) userPassword(out *output, w *wire.User, fresh bool) error {
	if w.PlainPasswd != "" {
		if err := u.chpasswd(out, []wire.UserPassword{{User: w.Name, Password: w.PlainPasswd}}); err != nil {
			return err
		}
	}
	if w.HashedPasswd != "" {
		if err := setHash(w.Name, w.HashedPasswd); err != nil {
			return err
		}
	}
	if w.Passwd != "" && !fresh {
		u.warn(out, "users_groups: user %s is there already, so passwd is ignored: hashed_passwd changes it", w.Name)
	}
	if w.Unlocked || w.PlainPasswd == "" && w.HashedPasswd == "" {
		return nil
	}
	return editFile("/etc/shadow", 0o640, func(text string) string {
		return editFields(text, w.Name, func(f []string) {
			if len(f) > 1 && !strings.HasPrefix(f[1], "!") && f[1] != "*" {
				f[1] = "!" + f[1]
			}
		})
	})
}

func setHash(user, hash string) error {
	return editFile("/etc/shadow", 0o640, func(text string) string {
		if fieldsOf(text, user) == nil {
			return addLine(text, user, user+":"+hash+":20000:0:99999:7:::")
		}
		return editFields(text, user, func(f []string) {
			if len(f) > 1 {
				f[1] = hash
			}
		})
	})
}

// chpasswd leaves the making of a hash to the instance's own program, which knows what its log-in understands.
func (u *userData) chpasswd(out *output, list []wire.UserPassword) error {
	if len(list) == 0 {
		return nil
	}
	var input strings.Builder
	for _, p := range list {
		fmt.Fprintf(&input, "%s:%s\n", p.User, p.Password)
	}
	status, err := u.execute(out, []string{"chpasswd"}, nil, input.String())
	if err == nil && status != 0 {
		err = errors.New(ended(status))
	}
	if err != nil {
		return fmt.Errorf("chpasswd: %w", err)
	}
	return nil
}

// setPasswords is chpasswd of a cloud-config.
func (u *userData) setPasswords(out *output, w *wire.Passwords) error {
	plain := slices.Clone(w.Plain)
	for _, user := range w.Random {
		password := rand.Text()
		plain = append(plain, wire.UserPassword{User: user, Password: password})
		out.line("Set the following 'random' passwords\n%s:%s", user, password)
	}
	err := u.chpasswd(out, plain)
	var users []string
	for _, p := range plain {
		users = append(users, p.User)
	}
	for _, p := range w.Hashed {
		if _, e := lookupAccount("/", p.User); e != nil {
			err = errors.Join(err, e)
			continue
		}
		err = errors.Join(err, setHash(p.User, p.Password))
		users = append(users, p.User)
	}
	if !w.Expire {
		return err
	}
	return errors.Join(err, editFile("/etc/shadow", 0o640, func(text string) string {
		for _, user := range users {
			text = editFields(text, user, func(f []string) {
				if len(f) > 2 {
					f[2] = "0" // to be changed at the next log-in, shadow(5)
				}
			})
		}
		return text
	}))
}

// addSudo appends rules to the file that cloud-init keeps them in.
func addSudo(user string, rules []string) error {
	if len(rules) == 0 {
		return nil
	}
	if err := os.MkdirAll(sudoersDir, 0o750); err != nil {
		return err
	}
	return editFile(sudoersFile, 0o440, func(text string) string {
		add := "\n# User rules for " + user + "\n"
		for _, r := range rules {
			add += user + " " + r + "\n"
		}
		if strings.Contains(text, add) {
			return text
		}
		return text + add
	})
}

// addKeys lets keys in as the user and as root.
func (u *userData) addKeys(w *wire.Keys) error {
	options := ""
	if w.DisableRoot { // cc_ssh.py and ssh_util.DISABLE_USER_OPTS
		options = `no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command="echo 'Please login as the user \"` + w.User +
			`\" rather than the user \"root\".';echo;sleep 10;exit 142" `
	}
	err := addAuthorized(w.User, w.Keys, "")
	if options == "" {
		return errors.Join(err, addAuthorized("root", w.Keys, ""))
	}
	return errors.Join(err, addAuthorized("root", slices.Concat(u.g.config.AuthorizedKeys, w.Keys), options))
}

// addAuthorized appends keys that are not there yet to a user's authorized_keys; with options, in place of those
// that are there without.
func addAuthorized(user string, keys []string, options string) error {
	a, err := lookupAccount("/", user)
	if err != nil {
		return err
	}
	dir := filepath.Join(a.Home, ".ssh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chown(dir, int(a.UID), int(a.GID))); err != nil {
		return err
	}
	path := filepath.Join(dir, "authorized_keys")
	old, err := readFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := strings.FieldsFunc(string(old), func(r rune) bool { return r == '\n' })
	for _, k := range keys {
		for key := range strings.FieldsFuncSeq(k, func(r rune) bool { return r == '\n' }) {
			key = strings.TrimSpace(key)
			if i := slices.Index(lines, key); i >= 0 && options != "" {
				lines[i] = options + key
			} else if key != "" && !slices.Contains(lines, options+key) {
				lines = append(lines, options+key)
			}
		}
	}
	return writeOwned(path, []byte(strings.Join(append(lines, ""), "\n")), 0o600, a)
}
