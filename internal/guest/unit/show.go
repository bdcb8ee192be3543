package unit

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

func (c *call) isActive(names []string) {
	c.exit = 3
	for _, n := range names {
		st, err := c.m.State(n)
		if strings.HasSuffix(n, ".target") && err == nil {
			st.Active = "active"
		}
		fmt.Fprintln(&c.out, cmpOr(st.Active, "inactive"))
		if st.Active == "active" || st.Active == "reloading" {
			c.exit = 0
		}
	}
}

func (c *call) isFailed(names []string) {
	c.exit = 1
	for _, n := range names {
		st, _ := c.m.State(n)
		fmt.Fprintln(&c.out, cmpOr(st.Active, "inactive"))
		if st.Active == "failed" {
			c.exit = 0
		}
	}
}

func (c *call) isEnabled(names []string) {
	c.exit = 1
	for _, n := range names {
		d, err := c.m.c.load(n)
		if err != nil {
			if !c.o.quiet {
				fmt.Fprintf(&c.err, "Failed to get unit file state for %s: No such file or directory\n", fullName(n))
			}
			continue
		}
		state := c.m.fileState(d)
		fmt.Fprintln(&c.out, state)
		if state == "enabled" || state == "static" {
			c.exit = 0
		}
	}
}

func (c *call) isSystemRunning([]string) {
	for _, s := range c.m.loaded() {
		if s.state().Active == "failed" {
			fmt.Fprintln(&c.out, "degraded")
			c.exit = 1
			return
		}
	}
	fmt.Fprintln(&c.out, "running")
}

// status prints what systemctl does about each unit; without a name, about the whole instance.
func (c *call) status(names []string) {
	if len(names) == 0 {
		host, _ := os.Hostname()
		c.isSystemRunning(nil)
		state := strings.TrimSpace(c.out.String())
		c.out.Reset()
		fmt.Fprintf(&c.out, "● %s\n    State: %s\n    Units: %d loaded\n", host, state, len(c.m.loaded()))
		return
	}
	for i, n := range names {
		if i > 0 {
			c.out.WriteByte('\n')
		}
		c.exit = max(c.exit, c.statusOf(n))
	}
}

// statusOf returns the exit code of LSB's status action: 0 running, 3 not, 4 no such unit.
func (c *call) statusOf(name string) int {
	d, err := c.m.c.load(name)
	if errors.Is(err, ErrNotFound) {
		fmt.Fprintf(&c.err, "Unit %s could not be found.\n", fullName(name))
		return 4
	}
	if err != nil {
		fmt.Fprintf(&c.out, "× %s\n     Loaded: bad-setting (%v)\n     Active: inactive (dead)\n", fullName(name), err)
		return 3
	}
	s := c.m.service(d)
	st := s.state()
	fmt.Fprintf(&c.out, "%s %s - %s\n", bullet(st), d.name, d.description)
	if d.masked {
		fmt.Fprintf(&c.out, "     Loaded: masked (Reason: Unit %s is masked.)\n", d.name)
	} else {
		fmt.Fprintf(&c.out, "     Loaded: loaded (%s; %s; preset: enabled)\n", d.path, c.m.fileState(d))
	}
	for i, dropIn := range d.dropIns {
		fmt.Fprintf(&c.out, "%12s %s\n", []string{"Drop-In:", ""}[min(i, 1)], dropIn)
	}
	fmt.Fprintf(&c.out, "     Active: %s\n", activeLine(st))
	if st.Condition != "" {
		fmt.Fprintf(&c.out, "  Condition: start condition failed; %s was not met\n", st.Condition)
	}
	c.mainLines(s, st)
	if log := c.m.c.tail(d.name, c.o.lines); len(log) > 0 {
		fmt.Fprintf(&c.out, "\n%s\n", strings.Join(log, "\n"))
	}
	if st.Active == "active" || st.Active == "reloading" || st.Active == "activating" && st.Sub != "auto-restart" {
		return 0
	}
	return 3
}

func bullet(st State) string {
	switch st.Active {
	case "active", "reloading", "activating", "deactivating":
		return "●"
	case "failed":
		return "×"
	}
	return "○"
}

func activeLine(st State) string {
	line := fmt.Sprintf("%s (%s)", st.Active, st.Sub)
	if st.Active == "failed" {
		line = fmt.Sprintf("failed (Result: %s)", st.Result)
	}
	if !st.Since.IsZero() {
		line += fmt.Sprintf(" since %s; %s ago", st.Since.UTC().Format("Mon 2006-01-02 15:04:05 MST"), ago(time.Since(st.Since)))
	}
	return line
}

// ago is a span the way systemctl prints it: two units at the most.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dmin %ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %dmin", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func (c *call) mainLines(s *service, st State) {
	all := s.processes()
	switch i := slices.IndexFunc(all, func(p procInfo) bool { return p.pid == st.MainPID }); {
	case i >= 0:
		fmt.Fprintf(&c.out, "   Main PID: %d (%s)\n", st.MainPID, all[i].name)
	case st.Ended:
		fmt.Fprintf(&c.out, "   Main PID: (%s)\n", describe(st.Main))
	}
	if st.Status != "" {
		fmt.Fprintf(&c.out, "     Status: %q\n", st.Status)
	}
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(&c.out, "      Tasks: %d\n", len(all))
	for i, p := range all {
		fmt.Fprintf(&c.out, "%12s %s%d %s\n", []string{"CGroup:", ""}[min(i, 1)], []string{"├─", "└─"}[max(0, i-len(all)+2)], p.pid, commandLine(p))
	}
}

func commandLine(p procInfo) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	if err != nil || len(b) == 0 {
		return "[" + p.name + "]"
	}
	return strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " "))
}

// show prints properties as KEY=value, those asked for with -p or all it knows.
func (c *call) show(names []string) {
	if len(names) == 0 {
		names = []string{""}
	}
	for i, n := range names {
		if i > 0 {
			c.out.WriteByte('\n')
		}
		for _, p := range c.m.properties(n) {
			switch {
			case len(c.o.properties) > 0 && !slices.Contains(c.o.properties, p[0]):
			case c.o.value:
				fmt.Fprintln(&c.out, p[1])
			default:
				fmt.Fprintf(&c.out, "%s=%s\n", p[0], p[1])
			}
		}
	}
}

// properties of a unit, those of a missing one too, as systemctl show gives them without failing; of the
// manager for the empty name.
func (m *Manager) properties(name string) [][2]string {
	if name == "" {
		return [][2]string{{"Version", "252"}, {"Virtualization", "vpcemu"}, {"SystemState", "running"}}
	}
	d, err := m.c.load(name)
	if err != nil {
		load := "bad-setting"
		if errors.Is(err, ErrNotFound) {
			load = "not-found"
		}
		return [][2]string{{"Id", fullName(name)}, {"Names", fullName(name)}, {"LoadState", load}, {"ActiveState", "inactive"}, {"SubState", "dead"},
			{"UnitFileState", ""}, {"FragmentPath", ""}, {"MainPID", "0"}, {"Result", "success"}, {"NeedDaemonReload", "no"}}
	}
	st := m.service(d).state()
	if strings.HasSuffix(d.name, ".target") {
		st.Active, st.Sub = "active", "active"
	}
	load := "loaded"
	if d.masked {
		load = "masked"
	}
	stamp := ""
	if !st.Since.IsZero() {
		stamp = st.Since.UTC().Format("Mon 2006-01-02 15:04:05 MST")
	}
	yes := map[bool]string{true: "yes", false: "no"}
	code, status := 0, 0
	if st.Ended {
		code, status = 1, st.Main.ExitStatus() // CLD_EXITED
		if st.Main.Signaled() {
			code, status = 2, int(st.Main.Signal()) // CLD_KILLED
		}
	}
	return [][2]string{
		{"Type", d.kind}, {"Restart", d.restart}, {"PIDFile", d.pidFile}, {"NotifyAccess", d.value("NotifyAccess", "none")},
		{"MainPID", fmt.Sprint(st.MainPID)}, {"ExecMainPID", fmt.Sprint(st.MainPID)}, {"ExecMainCode", fmt.Sprint(code)}, {"ExecMainStatus", fmt.Sprint(status)},
		{"NRestarts", fmt.Sprint(st.Restarts)}, {"Result", cmpOr(st.Result, "success")}, {"StatusText", st.Status}, {"User", d.user}, {"Group", d.group},
		{"Id", d.name}, {"Names", d.name}, {"Description", d.description}, {"LoadState", load}, {"ActiveState", st.Active}, {"SubState", st.Sub},
		{"FragmentPath", d.path}, {"DropInPaths", strings.Join(d.dropIns, " ")}, {"UnitFileState", m.fileState(d)}, {"UnitFilePreset", "enabled"},
		{"StateChangeTimestamp", stamp}, {"ConditionResult", yes[st.Condition == ""]}, {"NeedDaemonReload", "no"},
		{"CanStart", yes[!d.masked]}, {"CanStop", "yes"}, {"CanReload", yes[len(d.reload) > 0]},
		{"Requires", strings.Join(d.requires, " ")}, {"Wants", strings.Join(d.wants, " ")}, {"After", strings.Join(d.after, " ")}, {"Before", strings.Join(d.before, " ")},
	}
}

// cat prints a unit's file and drop-ins.
func (c *call) cat(name string) {
	d, err := c.m.c.load(name)
	if err != nil {
		fmt.Fprintf(&c.err, "No files found for %s.\n", fullName(name))
		c.exit = 1
		return
	}
	if c.out.Len() > 0 {
		c.out.WriteByte('\n')
	}
	for i, f := range append([]string{d.path}, d.dropIns...) {
		b, err := os.ReadFile(c.m.c.path(f))
		if err != nil {
			fmt.Fprintf(&c.err, "Failed to cat %s: %v\n", f, err)
			c.exit = 1
			continue
		}
		if i > 0 {
			c.out.WriteByte('\n')
		}
		fmt.Fprintf(&c.out, "# %s\n%s", f, b)
	}
}

func (c *call) listUnits(patterns []string) {
	var rows [][]string
	for _, s := range c.m.loaded() {
		st, d := s.state(), s.definition()
		if wanted(patterns, s.name) && (len(c.o.states) == 0 || slices.Contains(c.o.states, st.Active) || slices.Contains(c.o.states, st.Sub)) {
			rows = append(rows, []string{s.name, "loaded", st.Active, st.Sub, d.description})
		}
	}
	c.table([]string{"UNIT", "LOAD", "ACTIVE", "SUB", "DESCRIPTION"}, rows)
	c.legend("\n%d loaded units listed.\n", len(rows))
}

func (c *call) listUnitFiles(patterns []string) {
	var rows [][]string
	for _, n := range c.m.c.installed() {
		if !wanted(patterns, n) {
			continue
		}
		state := "template"
		if prefix, instance, template := split(n); template == "" || instance != "" || prefix == "" {
			d, err := c.m.c.load(n)
			switch {
			case err != nil:
				state = "bad"
			case d.name != n:
				state = "alias"
			default:
				state = c.m.fileState(d)
			}
		}
		if len(c.o.states) == 0 || slices.Contains(c.o.states, state) {
			rows = append(rows, []string{n, state})
		}
	}
	c.table([]string{"UNIT FILE", "STATE"}, rows)
	c.legend("\n%d unit files listed.\n", len(rows))
}

func wanted(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

func (c *call) legend(format string, n int) {
	if !c.o.noLegend {
		fmt.Fprintf(&c.out, format, n)
	}
}

func (c *call) table(head []string, rows [][]string) {
	width := make([]int, len(head))
	all := rows
	if !c.o.noLegend {
		all = append([][]string{head}, rows...)
	}
	for _, r := range all {
		for i, v := range r {
			width[i] = max(width[i], len(v))
		}
	}
	for _, r := range all {
		var line strings.Builder
		for i, v := range r {
			fmt.Fprintf(&line, "%-*s ", width[i], v)
		}
		fmt.Fprintln(&c.out, strings.TrimRight(line.String(), " "))
	}
}
