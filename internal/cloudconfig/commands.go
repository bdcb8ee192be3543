package cloudconfig

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// FailedEntries is the file that scripts made of a list of commands note in which of these failed: a line each,
// number and exit status.
const FailedEntries = "/run/cloud-init/failed-entries"

func (m module) bootcmd(n *yaml.Node) {
	if s := m.commands(n, "boothooks/bootcmd"); s != nil {
		m.config.bootcmd = []wire.Step{*s}
	}
}

func (m module) runcmd(n *yaml.Node) {
	if s := m.commands(n, "scripts/runcmd"); s != nil {
		m.config.runcmd = []wire.Step{*s}
	}
}

// commands makes one script of a list of commands, as cloud-init does: a text is shell, a list is quoted word by
// word (util.shellify), and what one command sets, the next one sees. nil means that there is nothing to run.
func (m module) commands(n *yaml.Node, path string) *wire.Step {
	var lines []string
	good := true
	for i, item := range m.list(n, "commands") {
		switch item.Kind {
		case yaml.SequenceNode:
			var words []string
			for _, w := range m.items(item) {
				text, ok := asText(w)
				if !ok {
					m.fail(w.Line, "command %d: an argument is a text, not %s", i+1, describe(w))
					good = false
				}
				words = append(words, quoted(text))
			}
			lines = append(lines, strings.Join(words, " "))
		case yaml.ScalarNode:
			if isNull(item) { // a comment
				continue
			}
			text, ok := asText(item)
			if tag := item.ShortTag(); tag == "!!int" || tag == "!!float" || tag == "!!bool" || !ok {
				m.fail(item.Line, "command %d: a command is a text or a list, not %s: put it into quotes", i+1, describe(item))
				good = false
			}
			lines = append(lines, text)
		default:
			m.fail(item.Line, "command %d: a command is a text or a list, not %s%s", i+1, describe(item), quoteHint(item))
			good = false
		}
	}
	if !good || len(lines) == 0 {
		return nil
	}
	return &wire.Step{Module: m.key, Name: m.key, Script: &wire.Script{Path: path, Body: []byte(shellify(lines)), Entries: lines}}
}

// quoted puts a word into quotes for the shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// shellify joins commands. After each, the script notes a failure and goes on with $? as it was; under set -e the
// shell decides by itself.
func shellify(lines []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\n__entry() { set -- \"$?\" \"$1\"; [ \"$1\" = 0 ] || echo \"$2 $1\" >>%s; case $- in *e*) return 0 ;; esac; return \"$1\"; }\n", FailedEntries)
	for i, line := range lines {
		b.WriteString(line)
		b.WriteString("\n")
		// After a line that goes on in the next, anything more would become part of it.
		if i+1 < len(lines) && !strings.HasSuffix(line, `\`) && !strings.Contains(line, "<<") {
			fmt.Fprintf(&b, "__entry %d\n", i+1)
		}
	}
	return b.String()
}

// powerState reads what follows when all is done (cc_power_state_change.py).
func (m module) powerState(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		m.fail(n.Line, "a mapping with mode, delay, message, timeout and condition is wanted here, not %s", describe(n))
		return
	}
	var s wire.PowerState
	good := true
	for _, e := range m.entries(n) {
		switch e.key {
		case "mode":
			s.Mode = m.text(e.value)
		case "delay":
			s.Delay = m.delay(e.value)
			good = s.Delay >= 0
		case "message":
			s.Message = m.text(e.value)
		case "timeout": // how long cloud-init is waited for; here nothing goes on meanwhile
		case "condition":
			m.condition(&s, e.value)
		default:
			m.warn("the key %q is unknown (line %d)", shorten(e.key), e.line)
		}
	}
	switch s.Mode {
	case "poweroff", "reboot", "halt":
	default:
		m.fail(n.Line, "mode is one of poweroff, reboot and halt, not %q", shorten(s.Mode))
		return
	}
	if good {
		m.config.power = &s
	}
}

// delay is now, or a number of minutes with or without +; -1 is a mistake.
func (m module) delay(n *yaml.Node) int {
	text, _ := asText(n)
	if text == "now" {
		return 0
	}
	minutes, digits := 0, strings.TrimPrefix(text, "+")
	for _, c := range digits {
		if c < '0' || c > '9' || len(digits) > 6 {
			digits = ""
			break
		}
		minutes = minutes*10 + int(c-'0')
	}
	if digits == "" {
		m.fail(n.Line, "delay is now, or a number of minutes such as +30, not %s", describe(n))
		return -1
	}
	return minutes
}

func (m module) condition(s *wire.PowerState, n *yaml.Node) {
	switch {
	case n.Kind == yaml.SequenceNode:
		s.Condition = m.texts(n)
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool":
		s.Never = !m.truth(n)
	case n.Kind == yaml.ScalarNode:
		s.Condition = []string{"/bin/sh", "-c", m.text(n)}
	default:
		m.fail(n.Line, "condition is true, false or a command, not %s", describe(n))
	}
}
