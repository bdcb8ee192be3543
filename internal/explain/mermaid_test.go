package explain

import (
	"regexp"
	"strings"
	"testing"
)

var (
	declared = regexp.MustCompile(`^participant (p\d+) as [^;#<>]`)
	arrow    = regexp.MustCompile(`^(p\d+)(->>|-->>|-x|--x)(p\d+): \S`)
	noted    = regexp.MustCompile(`^Note over (p\d+): \S`)
)

// wellFormed checks the grammar of what Mermaid writes.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != "sequenceDiagram" {
		t.Errorf("begins with %q", lines[0])
	}
	known := map[string]bool{}
	for _, l := range lines[1:] {
		l = strings.TrimPrefix(l, "    ")
		var used []string
		if m := declared.FindStringSubmatch(l); m != nil {
			known[m[1]] = true
		} else if m := arrow.FindStringSubmatch(l); m != nil {
			used = []string{m[1], m[3]}
		} else if m := noted.FindStringSubmatch(l); m != nil {
			used = m[1:]
		} else {
			t.Errorf("no statement: %q", l)
		}
		for _, id := range used {
			if !known[id] {
				t.Errorf("%s is not declared: %q", id, l)
			}
		}
		if rest := regexp.MustCompile(`#\w+;`).ReplaceAllString(strings.ReplaceAll(l, "<br/>", ""), ""); strings.ContainsAny(rest, ";#") {
			t.Errorf("not escaped: %q", l)
		}
	}
}

func TestMermaid(t *testing.T) {
	l := embedded(t, "book")
	var all string
	for _, line := range []string{"db server tcp/80", "laptop web tcp/22", "laptop web tcp/81", "laptop db tcp/22"} {
		text := Mermaid(l.trace(line))
		wellFormed(t, text)
		all += "%% " + line + "\n" + text
	}
	l = embedded(t, "acl-ephemeral")
	all += "%% acl-ephemeral\n" + Mermaid(l.trace("laptop web tcp/22"))
	golden(t, "mermaid.golden", samePorts(regexp.MustCompile(`(172\.30\.0\.4|203\.0\.113\.1):\d{4,5}`).ReplaceAllString(all, "$1:20001")))
}

func TestMermaidOfAwkwardNames(t *testing.T) {
	l := newLab(t, site)
	const name = `a#b; <c> & %% end`
	for _, resource := range []string{"igw", "nat", "public"} {
		l.EC2("create-tags --resources " + l.idOf(resource) + " --tags 'Key=Name,Value=" + name + "'")
	}
	wellFormed(t, Mermaid(l.trace("app server tcp/80")))
	wellFormed(t, Mermaid(l.trace("web server tcp/80")))
}
