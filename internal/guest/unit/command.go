package unit

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// options of systemctl that change what is done; all others that take no value are accepted and ignored, so
// that scripts written for systemd run.
type options struct {
	quiet, noBlock, now, value, noLegend bool
	properties                           []string
	states                               []string
	lines                                int
	signal                               string
	when, message                        string // of poweroff and reboot
	presetMode                           string
}

// valued options take a value as the next word; those not handled are ignored with it.
var valued = map[string]string{"-p": "property", "-P": "property", "-n": "lines", "-s": "signal", "-t": "type", "-o": "output", "-H": "host", "-M": "machine",
	"--property": "property", "--lines": "lines", "--signal": "signal", "--type": "type", "--output": "output", "--state": "state", "--root": "root",
	"--job-mode": "job-mode", "--kill-whom": "kill-whom", "--kill-who": "kill-who", "--what": "what", "--host": "host", "--machine": "machine", "--preset-mode": "preset-mode", "--when": "when", "--message": "message"}

// splitArgs separates options, wherever they stand, from the verb and the names.
func splitArgs(args []string) (words []string, o options, err error) {
	o.lines = 10
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			return append(words, args[i+1:]...), o, nil
		}
		if !strings.HasPrefix(a, "-") || a == "-" {
			words = append(words, a)
			continue
		}
		name, value, has := strings.Cut(a, "=")
		kind, takes := valued[name]
		if !takes && len(a) > 2 && a[1] != '-' { // -pMainPID, -n20
			if k, ok := valued[a[:2]]; ok {
				name, kind, value, has, takes = a[:2], k, a[2:], true, true
			}
		}
		if takes && !has {
			if i++; i >= len(args) {
				return nil, o, fmt.Errorf("systemctl: option '%s' requires an argument", a)
			}
			value = args[i]
		}
		if err := o.set(name, kind, value); err != nil {
			return nil, o, err
		}
	}
	return words, o, nil
}

func (o *options) set(name, kind, value string) error {
	switch kind {
	case "property":
		o.properties = append(o.properties, strings.Split(value, ",")...)
		o.value = o.value || name == "-P"
	case "state":
		o.states = append(o.states, strings.Split(value, ",")...)
	case "signal":
		o.signal = value
	case "when":
		o.when = value
	case "message":
		o.message = value
	case "preset-mode":
		o.presetMode = value
	case "lines":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return worded("Failed to parse lines '%s'", value)
		}
		o.lines = n
	}
	switch name {
	case "-q", "--quiet":
		o.quiet = true
	case "--no-block":
		o.noBlock = true
	case "--now":
		o.now = true
	case "--value":
		o.value = true
	case "--no-legend", "--legend":
		o.noLegend = true
	case "--failed":
		o.states = append(o.states, "failed")
	}
	return nil
}

// call is one command being carried out.
type call struct {
	m        *Manager
	ctx      context.Context
	o        options
	out, err strings.Builder
	exit     int
}

// verb is a command of systemctl. Names are those after the verb; patterns are not expanded.
type verb struct {
	do      func(c *call, names []string)
	names   int // how many at least
	changes bool
}

var verbs map[string]verb

func init() {
	each := func(f func(*call, string)) func(*call, []string) {
		return func(c *call, names []string) {
			for _, n := range names {
				f(c, n)
			}
		}
	}
	verbs = map[string]verb{
		"start":   {each((*call).start), 1, true},
		"stop":    {each((*call).stop), 1, true},
		"restart": {each((*call).restart), 1, true}, "try-restart": {each((*call).tryRestart), 1, true}, "condrestart": {each((*call).tryRestart), 1, true},
		"reload": {each((*call).reload), 1, true}, "force-reload": {each((*call).reloadOrRestart), 1, true},
		"reload-or-restart": {each((*call).reloadOrRestart), 1, true}, "try-reload-or-restart": {each((*call).tryReloadOrRestart), 1, true},
		"kill":   {each((*call).kill), 1, true},
		"enable": {each((*call).enable), 1, true}, "disable": {each((*call).disable), 1, true}, "reenable": {each((*call).reenable), 1, true},
		"mask": {each((*call).mask), 1, true}, "unmask": {each((*call).unmask), 1, true}, "preset": {each((*call).preset), 1, true},
		"reset-failed": {(*call).resetFailed, 0, true}, "daemon-reload": {func(*call, []string) {}, 0, true}, "daemon-reexec": {func(*call, []string) {}, 0, true},
		"set-environment": {(*call).setEnvironment, 1, true}, "unset-environment": {(*call).unsetEnvironment, 1, true}, "import-environment": {func(*call, []string) {}, 0, true},
		"show-environment": {(*call).showEnvironment, 0, false},
		"status":           {(*call).status, 0, false}, "show": {(*call).show, 0, false}, "cat": {each((*call).cat), 1, false},
		"is-active": {(*call).isActive, 1, false}, "is-failed": {(*call).isFailed, 1, false}, "is-enabled": {(*call).isEnabled, 1, false},
		"is-system-running": {(*call).isSystemRunning, 0, false}, "list-units": {(*call).listUnits, 0, false}, "list-unit-files": {(*call).listUnitFiles, 0, false}, "list-timers": {(*call).listTimers, 0, false},
		"poweroff": {power("poweroff"), 0, true}, "reboot": {power("reboot"), 0, true}, "halt": {power("poweroff"), 0, true},
	}
	verbs["condreload"], verbs["condstop"] = verbs["try-reload-or-restart"], verbs["stop"]
}

// run carries out one command line.
func (m *Manager) run(ctx context.Context, q request, root bool) answer {
	words, o, err := splitArgs(q.Args)
	if err != nil {
		return answer{Err: err.Error() + "\n", Exit: 1}
	}
	if slices.Contains(q.Args, "--version") {
		return answer{Out: "systemd 252 (vpcemu instance)\n"}
	}
	if len(words) == 0 {
		words = []string{"list-units"}
	}
	v, ok := verbs[words[0]]
	if !ok {
		return answer{Err: fmt.Sprintf("Unknown command verb %s.\n", words[0]), Exit: 1}
	}
	if len(words)-1 < v.names {
		return answer{Err: "Too few arguments.\n", Exit: 1}
	}
	if v.changes && !root {
		return answer{Err: fmt.Sprintf("Failed to %s: Interactive authentication required.\n", strings.Join(words, " ")), Exit: 4}
	}
	c := &call{m: m, ctx: ctx, o: o}
	v.do(c, words[1:])
	a := answer{Out: c.out.String(), Err: c.err.String(), Exit: c.exit}
	if o.quiet {
		a.Out = ""
	}
	return a
}

// fail prints an error as systemctl words it and keeps its exit code: 5 for a unit that is not there.
func (c *call) fail(doing, name string, err error) {
	var job *Err
	var text said
	code := 1
	switch {
	case errors.Is(err, ErrNotFound):
		code = 5
		state := "not found"
		if doing == "stop" {
			state = "not loaded"
		}
		fmt.Fprintf(&c.err, "Failed to %s %s: Unit %s %s.\n", doing, fullName(name), fullName(name), state)
	case errors.As(err, &job), errors.As(err, &text):
		fmt.Fprintln(&c.err, err)
	default:
		fmt.Fprintf(&c.err, "Failed to %s %s: %v\n", doing, fullName(name), err)
	}
	c.exit = max(c.exit, code)
}

// job runs a change, in the background with --no-block, for which only the unit's existence is checked.
func (c *call) job(doing, name string, do func(context.Context, string) error) {
	if _, err := c.m.c.load(name); err != nil && (c.o.noBlock || doing != "stop") {
		c.fail(doing, name, err)
		return
	}
	if c.o.noBlock {
		go func() {
			if err := do(context.Background(), name); err != nil {
				c.m.c.Logf("unit %s: %s: %v", fullName(name), doing, err)
			}
		}()
		return
	}
	if err := do(c.ctx, name); err != nil {
		c.fail(doing, name, err)
	}
}

func (c *call) start(name string)   { c.job("start", name, c.m.Start) }
func (c *call) stop(name string)    { c.job("stop", name, c.m.Stop) }
func (c *call) restart(name string) { c.job("restart", name, c.m.Restart) }
func (c *call) reload(name string)  { c.job("reload", name, c.m.Reload) }

func (c *call) tryRestart(name string) {
	if c.active(name) {
		c.restart(name)
	}
}

func (c *call) tryReloadOrRestart(name string) {
	if c.active(name) {
		c.reloadOrRestart(name)
	}
}

func (c *call) reloadOrRestart(name string) {
	d, err := c.m.c.load(name)
	if err == nil && len(d.reload) > 0 && c.active(name) {
		c.reload(name)
		return
	}
	c.restart(name)
}

func (c *call) active(name string) bool {
	st, err := c.m.State(name)
	return err == nil && (st.Active == "active" || st.Active == "reloading")
}

// kill sends a signal to all processes of a unit.
func (c *call) kill(name string) {
	d, err := c.m.c.load(name)
	if err != nil {
		c.fail("kill unit", name, err)
		return
	}
	sig, err := readSignal(cmpOr(c.o.signal, "TERM"))
	if err != nil {
		c.fail("kill unit", name, err)
		return
	}
	l := c.m.service(d).life()
	if l == nil {
		c.fail("kill unit", name, worded("Failed to kill unit %s: Unit %s not loaded.", d.name, d.name))
		return
	}
	for _, p := range l.members() {
		l.kill(p.pid, sig)
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (c *call) enable(name string) {
	c.install("enable", name, c.m.enable)
	if c.o.now && c.exit == 0 {
		c.start(name)
	}
}

func (c *call) disable(name string) {
	c.install("disable", name, c.m.disable)
	if c.o.now && c.exit == 0 {
		c.stop(name)
	}
}

func (c *call) reenable(name string) {
	c.install("disable", name, c.m.disable)
	c.install("enable", name, c.m.enable)
}

// install changes a unit's symlinks; what systemctl says about them goes to its standard error.
func (c *call) install(doing, name string, do func(*definition) (string, error)) {
	d, err := c.m.c.load(name)
	if errors.Is(err, ErrNotFound) {
		fmt.Fprintf(&c.err, "Failed to %s unit: Unit file %s does not exist.\n", doing, fullName(name))
		c.exit = 1
		return
	}
	if err != nil {
		c.fail(doing, name, err)
		return
	}
	c.say(do(d))
	for _, also := range d.also {
		if other, err := c.m.c.load(also); err == nil && other.name != d.name {
			c.say(do(other))
		}
	}
}

func (c *call) say(text string, err error) {
	if !c.o.quiet {
		c.err.WriteString(text)
	}
	if err != nil {
		fmt.Fprintln(&c.err, err)
		c.exit = 1
	}
}

func (c *call) mask(name string) {
	if n := fullName(name); validUnitName(n) {
		c.say(c.m.mask(n))
	}
	if c.o.now {
		c.stop(name)
	}
}

func (c *call) unmask(name string) {
	if n := fullName(name); validUnitName(n) {
		c.say(c.m.unmask(n))
	}
}

func (c *call) resetFailed(names []string) {
	for _, s := range c.m.loaded() {
		if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return matches(n, s.name) }) {
			s.resetFailed()
		}
	}
}

// matches compares a name or a shell pattern to a unit's name.
func matches(pattern, name string) bool {
	ok, err := path.Match(fullName(pattern), name)
	if !ok && strings.ContainsAny(pattern, "*?[") {
		ok, err = path.Match(pattern, name)
	}
	return ok && err == nil
}

func (c *call) setEnvironment(assignments []string) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	for _, a := range assignments {
		if k, _, ok := strings.Cut(a, "="); !ok || !validName(k) {
			fmt.Fprintf(&c.err, "Failed to set environment: Invalid environment assignments\n")
			c.exit = 1
			return
		}
	}
	c.m.env.add(assignments...)
}

func (c *call) unsetEnvironment(names []string) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	for _, n := range names {
		k, v, hasValue := strings.Cut(n, "=")
		if !hasValue || c.m.env[k] == v {
			delete(c.m.env, k)
		}
	}
}

func (c *call) showEnvironment([]string) {
	e := environ{}
	e.add(c.m.c.Env...)
	for k, v := range c.m.environment() {
		e[k] = v
	}
	for _, a := range e.list() {
		fmt.Fprintln(&c.out, a)
	}
}
