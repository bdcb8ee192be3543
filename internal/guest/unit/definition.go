package unit

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// command is one Exec line.
type command struct {
	args        []string // args[0] is the program
	argv0       string   // other than the program's path, with @
	ignore      bool     // - : failure counts as success
	privileged  bool     // + and !: without User and Group
	noExpansion bool     // :
	line        string   // as written
}

// condition is one Condition... line about a path.
type condition struct {
	kind            string // PathExists, PathIsDirectory, ...
	path            string
	negate, trigger bool
}

// directory is one of RuntimeDirectory, StateDirectory and their like.
type directory struct {
	env, base string // RUNTIME_DIRECTORY, /run
	names     []string
	mode      os.FileMode
}

// definition is a unit understood: the settings of systemd.unit(5), systemd.service(5), systemd.exec(5) and
// systemd.kill(5) that the manager honours.
type definition struct {
	*found
	description            string
	requires, wants        []string
	after, before          []string
	conditions             []condition
	wantedBy, aliases      []string
	also                   []string
	startLimit             int
	startLimitInterval     time.Duration
	kind                   string // Type
	pidFile                string
	guessMain              bool
	remain                 bool // RemainAfterExit
	pre, start, post       []command
	reload, stop, stopPost []command // ExecReload, ExecStop, ExecStopPost
	user, group            string
	groups                 []string
	env, envFiles          []string
	passEnv                []string
	dir                    string
	directories            []directory
	preserve               bool // RuntimeDirectoryPreserve
	umask                  int
	limits                 []Rlimit
	stdin, stdout          string
	stderr                 string
	restart                string
	restartDelay           time.Duration
	startTimeout           time.Duration
	stopTimeout            time.Duration
	killMode               string
	killSignal             syscall.Signal
	sendKill, sendHup      bool
	okStatus               statusSet
	neverRestart           statusSet
	alwaysRestart          statusSet
	specifier              map[byte]string
}

// statusSet is a list of exit statuses and signals.
type statusSet struct {
	codes   []int
	signals []syscall.Signal
}

func (s statusSet) has(ws syscall.WaitStatus) bool {
	return ws.Exited() && slices.Contains(s.codes, ws.ExitStatus()) || ws.Signaled() && slices.Contains(s.signals, ws.Signal())
}

// define understands a unit that was found. What makes no sense is an error that names the setting.
func (c *Config) define(f *found) (*definition, error) {
	d := &definition{found: f, specifier: specifierValues(f)}
	s := f.settings
	d.description = specifiers(s.last("Unit", "Description", f.name), d.specifier)
	d.requires = append(d.names("Unit", "Requires"), d.names("Unit", "BindsTo")...)
	d.wants, d.after, d.before = d.names("Unit", "Wants"), d.names("Unit", "After"), d.names("Unit", "Before")
	d.conditions = d.readConditions()
	d.wantedBy = append(d.names("Install", "WantedBy"), d.names("Install", "RequiredBy")...)
	d.aliases, d.also = d.names("Install", "Alias"), d.names("Install", "Also")
	if f.masked || !strings.HasSuffix(f.name, ".service") {
		return d, nil
	}
	for _, step := range []func() error{d.readCommands, d.readLife, d.readProcess, func() error { return d.readTimes(c) }, d.readKill} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("unit %s: %w", f.name, err)
		}
	}
	return d, nil
}

// load finds and defines.
func (c *Config) load(name string) (*definition, error) {
	f, err := c.find(name)
	if err != nil {
		return nil, err
	}
	return c.define(f)
}

func specifierValues(f *found) map[byte]string {
	prefix, instance, _ := split(f.name)
	host, _ := os.Hostname()
	short, _, _ := strings.Cut(host, ".")
	return map[byte]string{
		'%': "%", 'n': f.name, 'N': strings.TrimSuffix(f.name, path.Ext(f.name)), 'p': prefix, 'P': unescapeName(prefix),
		'i': instance, 'I': unescapeName(instance), 'u': "root", 'U': "0", 'g': "root", 'G': "0", 'h': "/root", 's': "/bin/sh",
		't': "/run", 'S': "/var/lib", 'C': "/var/cache", 'L': "/var/log", 'E': "/etc", 'T': "/tmp", 'V': "/var/tmp",
		'H': host, 'l': short, 'j': prefix[strings.LastIndexByte(prefix, '-')+1:], 'f': "/" + unescapeName(instance), 'y': f.path, 'Y': path.Dir(f.path),
	}
}

// value is a setting of the service section with specifiers replaced.
func (d *definition) value(key, def string) string {
	return specifiers(d.settings.last("Service", key, def), d.specifier)
}

// names is a list setting of words.
func (d *definition) names(section, key string) []string {
	var out []string
	for _, v := range d.settings.list(section, key) {
		for _, w := range strings.Fields(v) {
			out = append(out, specifiers(w, d.specifier))
		}
	}
	return out
}

func (d *definition) readConditions() []condition {
	var cs []condition
	for _, e := range d.settings {
		kind, ok := strings.CutPrefix(e.key, "Condition")
		if !ok {
			kind, ok = strings.CutPrefix(e.key, "Assert")
		}
		if e.section != "Unit" || !ok || e.value == "" || !slices.Contains(pathConditions, kind) {
			continue
		}
		v, c := specifiers(e.value, d.specifier), condition{kind: kind}
		v, c.trigger = strings.CutPrefix(v, "|")
		v, c.negate = strings.CutPrefix(v, "!")
		c.path = strings.TrimSpace(v)
		cs = append(cs, c)
	}
	return cs
}

func (d *definition) readCommands() error {
	for _, x := range []struct {
		key string
		to  *[]command
	}{{"ExecStartPre", &d.pre}, {"ExecStart", &d.start}, {"ExecStartPost", &d.post}, {"ExecReload", &d.reload}, {"ExecStop", &d.stop}, {"ExecStopPost", &d.stopPost}} {
		for _, line := range d.settings.list("Service", x.key) {
			cs, err := readCommand(line, d.specifier)
			if err != nil {
				return fmt.Errorf("setting %s: %w", x.key, err)
			}
			*x.to = append(*x.to, cs...)
		}
	}
	return nil
}

// readCommand reads one line; a lone ; starts a further command.
func readCommand(line string, values map[byte]string) ([]command, error) {
	words, err := splitWords(line)
	if err != nil {
		return nil, err
	}
	var out []command
	for len(words) > 0 {
		end := slices.Index(words, ";")
		if end < 0 {
			end = len(words)
		}
		if end > 0 {
			c, err := prefixed(words[:end], values)
			if err != nil {
				return nil, err
			}
			c.line = line
			out = append(out, c)
		}
		words = words[min(end+1, len(words)):]
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no command in %q", line)
	}
	return out, nil
}

// prefixed reads the special prefixes of a command's program (systemd.service(5), table 2).
func prefixed(words []string, values map[byte]string) (command, error) {
	var c command
	name := words[0]
	argv0 := false
	for name != "" && strings.IndexByte("@-:+!|", name[0]) >= 0 {
		switch name[0] {
		case '@':
			argv0 = true
		case '-':
			c.ignore = true
		case ':':
			c.noExpansion = true
		case '+', '!':
			c.privileged = true
		}
		name = name[1:]
	}
	if name == "" {
		return command{}, fmt.Errorf("no program in %q", strings.Join(words, " "))
	}
	rest := words[1:]
	if argv0 {
		if len(rest) == 0 {
			return command{}, fmt.Errorf("@ without a name in %q", strings.Join(words, " "))
		}
		c.argv0, rest = specifiers(rest[0], values), rest[1:]
	}
	c.args = []string{specifiers(name, values)}
	for _, w := range rest {
		if w == `\;` {
			w = ";"
		}
		c.args = append(c.args, specifiers(w, values))
	}
	return c, nil
}

var kinds = []string{"simple", "exec", "forking", "oneshot", "notify", "notify-reload", "dbus", "idle"}

func (d *definition) readLife() error {
	d.kind = d.value("Type", "simple")
	if !slices.Contains(kinds, d.kind) {
		return fmt.Errorf("setting Type: unknown type %q", d.kind)
	}
	d.pidFile = d.value("PIDFile", "")
	if d.pidFile != "" && !path.IsAbs(d.pidFile) {
		d.pidFile = path.Join("/run", d.pidFile)
	}
	d.guessMain = truth(d.value("GuessMainPID", ""), true)
	d.remain = truth(d.value("RemainAfterExit", ""), false)
	d.restart = d.value("Restart", "no")
	var err error
	for key, to := range map[string]*statusSet{"SuccessExitStatus": &d.okStatus, "RestartPreventExitStatus": &d.neverRestart, "RestartForceExitStatus": &d.alwaysRestart} {
		if *to, err = readStatuses(d.names("Service", key)); err != nil {
			return fmt.Errorf("setting %s: %w", key, err)
		}
	}
	switch {
	case len(d.start) == 0 && len(d.stop) == 0:
		return fmt.Errorf("setting ExecStart: the service has none")
	case len(d.start) == 0 && !d.remain && d.kind != "oneshot":
		return fmt.Errorf("setting ExecStart: only a service with RemainAfterExit=yes may lack it")
	case len(d.start) > 1 && d.kind != "oneshot":
		return fmt.Errorf("setting ExecStart: more than one, which only Type=oneshot may have")
	}
	return nil
}

func readStatuses(words []string) (statusSet, error) {
	var s statusSet
	for _, w := range words {
		if n, err := strconv.ParseUint(w, 10, 8); err == nil {
			s.codes = append(s.codes, int(n))
			continue
		}
		if n, ok := exitNames[w]; ok {
			s.codes = append(s.codes, n)
			continue
		}
		sig, err := readSignal(w)
		if err != nil {
			return s, err
		}
		s.signals = append(s.signals, sig)
	}
	return s, nil
}

// exitNames are the names of sysexits.h and of systemd's own codes that unit files use.
var exitNames = map[string]int{"SUCCESS": 0, "FAILURE": 1, "INVALIDARGUMENT": 2, "NOTIMPLEMENTED": 3, "NOPERMISSION": 4, "NOTINSTALLED": 5,
	"NOTCONFIGURED": 6, "NOTRUNNING": 7, "USAGE": 64, "DATAERR": 65, "NOINPUT": 66, "NOUSER": 67, "NOHOST": 68, "UNAVAILABLE": 69, "SOFTWARE": 70,
	"OSERR": 71, "OSFILE": 72, "CANTCREAT": 73, "IOERR": 74, "TEMPFAIL": 75, "PROTOCOL": 76, "NOPERM": 77, "CONFIG": 78}

func readSignal(w string) (syscall.Signal, error) {
	if n, err := strconv.ParseUint(w, 10, 7); err == nil && n > 0 {
		return syscall.Signal(n), nil
	}
	if sig := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(w), "SIG")); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("unknown signal %q", w)
}

func (d *definition) readProcess() error {
	d.user, d.group = d.value("User", ""), d.value("Group", "")
	d.groups = d.names("Service", "SupplementaryGroups")
	d.dir = d.value("WorkingDirectory", "")
	d.stdin, d.stdout, d.stderr = d.value("StandardInput", "null"), d.value("StandardOutput", "journal"), d.value("StandardError", "inherit")
	for _, v := range d.settings.list("Service", "Environment") {
		words, err := splitWords(v)
		if err != nil {
			return fmt.Errorf("setting Environment: %w", err)
		}
		for _, w := range words {
			d.env = append(d.env, specifiers(w, d.specifier))
		}
	}
	for _, v := range d.settings.list("Service", "EnvironmentFile") {
		d.envFiles = append(d.envFiles, specifiers(v, d.specifier))
	}
	d.passEnv = d.names("Service", "PassEnvironment")
	d.preserve = d.value("RuntimeDirectoryPreserve", "no") != "no"
	for _, x := range []struct{ key, env, base string }{{"RuntimeDirectory", "RUNTIME_DIRECTORY", "/run"}, {"StateDirectory", "STATE_DIRECTORY", "/var/lib"},
		{"CacheDirectory", "CACHE_DIRECTORY", "/var/cache"}, {"LogsDirectory", "LOGS_DIRECTORY", "/var/log"}, {"ConfigurationDirectory", "CONFIGURATION_DIRECTORY", "/etc"}} {
		names := d.names("Service", x.key)
		if len(names) == 0 {
			continue
		}
		mode, err := strconv.ParseUint(d.value(x.key+"Mode", "0755"), 8, 12)
		if err != nil {
			return fmt.Errorf("setting %sMode: %w", x.key, err)
		}
		for i, n := range names {
			n, _, _ = strings.Cut(n, ":") // a symlink to it is not made
			if names[i] = path.Clean(n); path.IsAbs(n) || strings.HasPrefix(names[i], "..") {
				return fmt.Errorf("%s: %q leads out of %s", x.key, n, x.base)
			}
		}
		d.directories = append(d.directories, directory{env: x.env, base: x.base, names: names, mode: os.FileMode(mode)})
	}
	umask, err := strconv.ParseUint(d.value("UMask", "0022"), 8, 12)
	if err != nil {
		return fmt.Errorf("setting UMask: %w", err)
	}
	d.umask = int(umask)
	return d.readLimits()
}

var limitKeys = map[string]int{"LimitCPU": unix.RLIMIT_CPU, "LimitFSIZE": unix.RLIMIT_FSIZE, "LimitDATA": unix.RLIMIT_DATA, "LimitSTACK": unix.RLIMIT_STACK,
	"LimitCORE": unix.RLIMIT_CORE, "LimitRSS": unix.RLIMIT_RSS, "LimitNOFILE": unix.RLIMIT_NOFILE, "LimitAS": unix.RLIMIT_AS, "LimitNPROC": unix.RLIMIT_NPROC,
	"LimitMEMLOCK": unix.RLIMIT_MEMLOCK, "LimitLOCKS": unix.RLIMIT_LOCKS, "LimitSIGPENDING": unix.RLIMIT_SIGPENDING, "LimitMSGQUEUE": unix.RLIMIT_MSGQUEUE,
	"LimitNICE": unix.RLIMIT_NICE, "LimitRTPRIO": unix.RLIMIT_RTPRIO, "LimitRTTIME": unix.RLIMIT_RTTIME}

func (d *definition) readLimits() error {
	for key, resource := range limitKeys {
		v := d.value(key, "")
		if v == "" {
			continue
		}
		soft, hard, ok := strings.Cut(v, ":")
		if !ok {
			hard = soft
		}
		cur, err := readSize(soft)
		if err != nil {
			return fmt.Errorf("setting %s: %w", key, err)
		}
		most, err := readSize(hard)
		if err != nil {
			return fmt.Errorf("setting %s: %w", key, err)
		}
		d.limits = append(d.limits, Rlimit{Resource: resource, Cur: cur, Max: most})
	}
	slices.SortFunc(d.limits, func(a, b Rlimit) int { return a.Resource - b.Resource })
	return nil
}

// readSize reads a number with K, M, G or T (powers of 1024), or infinity.
func readSize(v string) (uint64, error) {
	if v == "infinity" {
		return ^uint64(0), nil
	}
	shift := 0
	if n := len(v); n > 0 {
		if i := strings.IndexByte("KMGT", v[n-1]); i >= 0 {
			shift, v = 10*(i+1), v[:n-1]
		}
	}
	n, err := strconv.ParseUint(v, 10, 64-shift)
	if err != nil {
		return 0, fmt.Errorf("not a number: %q", v)
	}
	return n << shift, nil
}
