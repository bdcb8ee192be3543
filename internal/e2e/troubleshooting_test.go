package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Everything on docs/troubleshooting.md is as it says: the commands of its fenced blocks
// are run in their order, and show what stands below them.
func TestTroubleshootingPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fenced(string(page))
	if len(blocks) < 11 {
		t.Fatalf("%d blocks", len(blocks))
	}
	l := newLab(t, "")
	reader := &reader{t: t, lab: l.name, dir: t.TempDir()}
	for _, b := range blocks {
		if !t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) { reader.t = t; reader.block(b) }) {
			return // what follows builds on it
		}
	}
}

// A shown is a command and what it is to print.
type shown struct {
	line    int
	command string
	output  string
}

type fence struct {
	line  int
	shown []shown
}

// fenced finds the fenced blocks of a page and the commands in them.
func fenced(page string) (blocks []fence) {
	inside := false
	for i, line := range strings.Split(page, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			if inside = !inside; inside {
				blocks = append(blocks, fence{line: i + 1})
			}
		case !inside:
		case strings.HasPrefix(line, "$ "):
			b := &blocks[len(blocks)-1]
			b.shown = append(b.shown, shown{line: i + 1, command: line[2:]})
		default:
			b := &blocks[len(blocks)-1]
			if n := len(b.shown); n > 0 {
				b.shown[n-1].output += line + "\n"
			}
		}
	}
	return blocks
}

// A reader runs commands as somebody would who has the page before him.
type reader struct {
	t   *testing.T
	lab string
	dir string
}

// elsewhere marks a command that goes on while the next ones of its block run.
const elsewhere = "# in another terminal"

func (x *reader) block(b fence) {
	var others sync.WaitGroup
	defer others.Wait()
	for _, s := range b.shown {
		command, other := strings.CutSuffix(strings.TrimSpace(s.command), elsewhere)
		if !other {
			x.compare(s, x.run(command))
			continue
		}
		on := make(chan struct{})
		cmd, out := x.command(command), &bell{on: on}
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			x.t.Fatal(err)
		}
		others.Go(func() {
			_ = cmd.Wait()
			out.ring()
			x.compare(s, out.buf.String())
		})
		<-on
	}
}

func (x *reader) command(command string) *exec.Cmd {
	cmd := exec.Command("timeout", "60", "sh", "-c", strings.ReplaceAll(command, "sudo ", ""))
	cmd.Dir = x.dir
	cmd.Env = append(os.Environ(), "VPCEMU_LAB="+x.lab, "PATH="+work+":"+os.Getenv("PATH"))
	return cmd
}

func (x *reader) run(command string) string {
	out, _ := x.command(command).CombinedOutput() // what is shown says whether it worked
	return string(out)
}

// A bell rings once something has been written: what goes on in another terminal says
// first that it has begun.
type bell struct {
	buf  bytes.Buffer
	on   chan struct{}
	once sync.Once
}

func (b *bell) Write(p []byte) (int, error) {
	defer b.ring()
	return b.buf.Write(p)
}

func (b *bell) ring() { b.once.Do(func() { close(b.on) }) }

func (x *reader) compare(s shown, got string) {
	x.t.Helper()
	if !pattern(s.output).MatchString(tidy(got)) {
		x.t.Errorf("line %d: $ %s\nprints:\n%s\nthe page has:\n%s", s.line, s.command, got, s.output)
	}
}

// spaces are runs of blanks: the width of columns varies with the IDs in them.
var spaces = regexp.MustCompile(` {2,}`)

// clockTime is the time that a line begins with.
var clockTime = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d\d\d`)

func tidy(text string) string {
	text = clockTime.ReplaceAllString(text, "00:00:00.000")
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimRight(spaces.ReplaceAllString(line, "  "), " \n"))
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// pattern matches what the page shows: "…" is anything within a line, and as a line of
// its own any number of lines.
func pattern(output string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A`)
	lines := strings.Split(tidy(output), "\n")
	for i, line := range lines {
		switch {
		case line == "…" && i == 0:
			b.WriteString(`(?s:.*)`)
		case line == "…":
			b.WriteString(`(?:\n.*)*?`)
		default:
			if i > 0 {
				b.WriteString(`\n`)
			}
			for j, part := range strings.Split(line, "…") {
				if j > 0 {
					b.WriteString(`.*`)
				}
				b.WriteString(regexp.QuoteMeta(part))
			}
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

// The page's test has to notice what is wrong.
func TestTroubleshootingPattern(t *testing.T) {
	for _, c := range []struct {
		page, output string
		want         bool
	}{
		{"a …  c\n", "a b    c\n", true}, {"a … c\n", "a b d\n", false}, {"a\n…\nd\n", "a\nb\nc\nd\n", true}, {"a\n…\nd\n", "a\nd\n", true},
		{"a\n…\n", "a\nb\nc", true}, {"a\n…\n", "a\n", true}, {"a\n…\n", "b\n", false}, {"", "", true}, {"", "error\n", false}, {"…\n", "", true}, {"…\n", "a\nb\n", true},
		{"10:00:00.000  x\n", "23:59:59.999  x\n", true}, {"a\n", "a\nb\n", false}, {"a.c\n", "abc\n", false},
	} {
		if got := pattern(c.page).MatchString(tidy(c.output)); got != c.want {
			t.Errorf("%q with %q: %v", c.page, c.output, got)
		}
	}
}
