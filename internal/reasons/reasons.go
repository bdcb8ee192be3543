// Package reasons explains how packets end: for each reason of the data plane what
// happened, what to look at, what to change, and the line that shows it. `vpcemu
// reasons` and docs/drop-reasons.md are made of it.
package reasons

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
)

// Entry is what there is to say about one reason.
type Entry struct {
	Name string `json:"name"` // SUBNET_ACL_RESTRICTION
	Text string `json:"text"` // the sentence that drops and watch show
	// Dropped is false for the good ends.
	Dropped bool `json:"dropped"`
	// AWS: the Reachability Analyzer has this code (RA-04).
	AWS bool `json:"aws"`
	// Rules are the IDs that docs/conformance.md and the code's comments use.
	Rules []string `json:"rules"`
	// Happened says what the network did and why, Look what shows the cause, Change what
	// to do about it. Markdown.
	Happened string `json:"happened"`
	Look     string `json:"look"`
	Change   string `json:"change"`
	// Example is a line of `vpcemu watch`; "" for what watch does not show.
	Example string `json:"example,omitempty"`
}

// A text is the hand-written half of an Entry.
type text struct {
	rules                  []string
	happened, look, change string
	example                example
}

// An example is a packet that meets the reason: as it was sent and translated, its way,
// and what decided.
type example struct {
	packet, way string
	by          control.Named
	rule        string
	answered    bool
}

// All explains every reason, good ends first.
func All() []Entry {
	var all []Entry
	for _, r := range dataplane.Reasons() {
		all = append(all, explain(r))
	}
	return all
}

func explain(r dataplane.Reason) Entry {
	t := texts[r]
	return Entry{Name: r.Name(), Text: r.Text(), Dropped: r.Dropped(), AWS: r.Code() != "", Rules: t.rules,
		Happened: t.happened, Look: t.look, Change: t.change, Example: t.example.line(r)}
}

// exampleTime is when all examples happen.
var exampleTime = time.Date(2026, 11, 27, 18, 18, 4, 332e6, time.Local)

func (x example) line(r dataplane.Reason) string {
	if x.packet == "" {
		return ""
	}
	s := control.Seen{Verdict: Verdict(r), Reason: r.Name(), Text: r.Text(), Rule: x.rule, Answered: x.answered}
	if x.by != (control.Named{}) {
		s.By = &x.by
	}
	return control.Drop{Time: exampleTime, Packet: x.packet, Way: x.way, Outcome: s.Outcome()}.String()
}

// Verdict is what a watch calls the end: delivered or dropped.
func Verdict(r dataplane.Reason) string {
	if r.Dropped() {
		return control.VerdictDropped
	}
	return control.VerdictDelivered
}

// Parse finds a reason by its name, in whatever case and with "-" for "_". An error
// names those that are like it.
func Parse(name string) (dataplane.Reason, error) {
	want := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	var names, like []string
	for _, r := range dataplane.Reasons() {
		if r.Name() == want {
			return r, nil
		}
		names = append(names, r.Name())
		if want != "" && strings.Contains(r.Name(), want) {
			like = append(like, r.Name())
		}
	}
	slices.Sort(names)
	switch {
	case len(like) == 1:
		return 0, fmt.Errorf("no reason is named %s: did you mean %s?", name, like[0])
	case len(like) > 1:
		return 0, fmt.Errorf("no reason is named %s: there are %s", name, strings.Join(like, ", "))
	}
	return 0, fmt.Errorf("no reason is named %s: there are %s", name, strings.Join(names, ", "))
}

// Find explains the reason of that name, as Parse finds it.
func Find(name string) (Entry, error) {
	r, err := Parse(name)
	if err != nil {
		return Entry{}, err
	}
	return explain(r), nil
}

// wherefrom says whose name and rule it is.
func (e Entry) wherefrom() string {
	s := "vpcemu's own name; the Reachability Analyzer has no code for it"
	if e.AWS {
		s = "a code of AWS's Reachability Analyzer"
	}
	if len(e.Rules) > 0 {
		s += "; " + strings.Join(e.Rules, ", ")
	}
	return s
}

// Plain is the entry as text for a terminal, in lines of at most width characters.
func (e Entry) Plain(width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", e.Name, e.Text)
	fmt.Fprintf(&b, "(%s)\n\n", e.wherefrom())
	for _, part := range []string{e.Happened, "Look at: " + e.Look, "Change: " + e.Change} {
		if strings.HasSuffix(part, ": ") {
			continue
		}
		b.WriteString(strings.ReplaceAll(wrap(part, width), "`", ""))
		b.WriteString("\n\n")
	}
	if e.Example != "" {
		fmt.Fprintf(&b, "Example:\n  %s\n", e.Example)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// wrap breaks text into lines of at most width characters, but no command (`…`) that has
// room on a line.
func wrap(text string, width int) string {
	var b strings.Builder
	at := 0
	for i, word := range words(text, width) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteByte('\n')
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// words are what is not to be broken.
func words(text string, width int) (all []string) {
	code := ""
	for _, word := range strings.Fields(text) {
		if code != "" {
			word = code + " " + word
		}
		if strings.Count(word, "`")%2 == 1 {
			code = word
			continue
		}
		code = ""
		if len([]rune(word)) > width {
			all = append(all, strings.Fields(word)...)
			continue
		}
		all = append(all, word)
	}
	return append(all, strings.Fields(code)...)
}

const head = `# Why a packet was dropped

<!-- Written by go test ./internal/reasons -update. Change internal/reasons/texts*.go. -->

Every packet that enters a lab's network ends with one of these reasons. ` + "`vpcemu watch`, `vpcemu drops`, `vpcemu trace`" + `
and ` + "`vpcemu counters`" + ` show them by their names, ` + "`vpcemu reasons NAME`" + ` prints what is said here. Where AWS's Reachability
Analyzer has a code for the cause, the reason bears it; the others are in the same manner. IDs such as RT-07 are rules of
[conformance.md](conformance.md) and of the code's comments.

A drop is silent, as on AWS: the sender sees no more than that nothing comes back. Where the network does answer (ICMP, or a
NAT gateway's RST) the line ends with "the network told the sender".

`

// Markdown is docs/drop-reasons.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(head)
	all := All()
	for _, dropped := range []bool{true, false} {
		title := "## Drops\n\n| reason | AWS code | says |\n|---|---|---|\n"
		if !dropped {
			title = "\n## Good ends\n\n| reason | AWS code | says |\n|---|---|---|\n"
		}
		b.WriteString(title)
		for _, e := range all {
			if e.Dropped == dropped {
				aws := ""
				if e.AWS {
					aws = "yes"
				}
				fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", e.Name, strings.ToLower(e.Name), aws, e.Text)
			}
		}
	}
	for _, e := range slices.Concat(only(all, true), only(all, false)) {
		fmt.Fprintf(&b, "\n## %s\n\n%s (%s).\n\n%s\n", e.Name, capital(e.Text), e.wherefrom(), wrap(e.Happened, width))
		if e.Look != "" {
			fmt.Fprintf(&b, "\n%s\n", wrap("**Look at:** "+e.Look, width))
		}
		if e.Change != "" {
			fmt.Fprintf(&b, "\n%s\n", wrap("**Change:** "+e.Change, width))
		}
		if e.Example != "" {
			fmt.Fprintf(&b, "\n    %s\n", e.Example)
		}
	}
	return b.String()
}

// width of the page's lines.
const width = 120

func only(all []Entry, dropped bool) []Entry {
	return slices.DeleteFunc(slices.Clone(all), func(e Entry) bool { return e.Dropped != dropped })
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
