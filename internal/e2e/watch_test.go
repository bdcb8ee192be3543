package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A watch is a `vpcemu watch` that runs.
type watch struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	ended chan error
}

// watching starts a watch and returns once it misses nothing.
func (l *lab) watching(args ...string) *watch {
	l.t.Helper()
	w := &watch{t: l.t, cmd: l.command(append([]string{"watch"}, args...)...), lines: make(chan string, 1<<16), ended: make(chan error, 1)}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	notes, err := w.cmd.StderrPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	note, err := bufio.NewReader(notes).ReadString('\n')
	if err != nil || !strings.HasPrefix(note, "watching lab "+l.name) {
		rest, _ := io.ReadAll(notes)
		l.t.Fatalf("watch %q: %v: %s%s", args, err, note, rest)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			w.lines <- s.Text()
		}
		close(w.lines)
		w.ended <- w.cmd.Wait()
	}()
	return w
}

// next is the next line that has all the needles.
func (w *watch) next(needles ...string) string {
	w.t.Helper()
	patience := time.After(limit)
	var seen []string
	for {
		select {
		case line, more := <-w.lines:
			if !more {
				w.t.Fatalf("the watch ended without a line with %q:\n%s", needles, strings.Join(seen, "\n"))
			}
			if !slices.ContainsFunc(needles, func(s string) bool { return !strings.Contains(line, s) }) {
				return line
			}
			seen = append(seen, line)
		case <-patience:
			w.t.Fatalf("no line with %q:\n%s", needles, strings.Join(seen, "\n"))
		}
	}
}

// rest waits for the watch's end and returns the lines that have not been read.
func (w *watch) rest() (lines []string) {
	w.t.Helper()
	lines, err := w.finish()
	if err != nil {
		w.t.Errorf("watch: %v", err)
	}
	return lines
}

// finish is rest, with how the command ended.
func (w *watch) finish() (lines []string, err error) {
	w.t.Helper()
	patience := time.After(limit)
	for {
		select {
		case line, more := <-w.lines:
			if more {
				lines = append(lines, line)
				continue
			}
			return lines, <-w.ended
		case <-patience:
			w.t.Fatal("the watch does not end")
		}
	}
}

// interrupt is Ctrl-C.
func (w *watch) interrupt() []string {
	w.t.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGINT); err != nil {
		w.t.Fatal(err)
	}
	return w.rest()
}

func TestWatchShowsFlowsAndWhatBecameOfThem(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "book"))
	web, server := l.publicOf("web"), l.publicOf("server")
	l.waitPort("web", "tcp", 80)
	l.waitPort("server", "tcp", 80)
	all, quiet := l.watching(), l.watching("--port", "80", "--verdict", "dropped")

	// Dropped: the packet, its translation, its way, what decided and the reason.
	l.reaches("laptop", web, 3306, 1)
	line := all.next(" > " + web + ":3306 tcp SYN (as ")
	for _, part := range []string{" > 172.30.0.10:3306)  laptop → igw → web  dropped by web (eni-", "): ENI_SG_RULES_MISMATCH: no rule of the security groups"} {
		if !strings.Contains(line, part) {
			t.Errorf("%q is not in %q", part, line)
		}
	}
	// Delivered through the NAT gateway, and the answer.
	l.in("db", "curl -sS -m 20 http://"+server+"/")
	line = all.next("172.30.1.4:", " > "+server+":80 tcp SYN")
	if !strings.Contains(line, "(as "+l.elasticOf("nat")+":") || !strings.Contains(line, "  db → nat → igw → server  delivered") {
		t.Errorf("out: %q", line)
	}
	all.next(server+":80 > "+l.elasticOf("nat")+":", "  server → igw → nat → db  delivered")
	// A flow that goes on has its totals when the watch ends.
	l.start("laptop", "ping -i 0.2 "+server)
	all.next(" > "+server+" icmp echo request", "  laptop → server  delivered")
	l.in("laptop", "ping -q -c 5 -i 0.2 "+server) // as long as five packets of the other take
	rest := all.interrupt()
	if !slices.ContainsFunc(rest, func(s string) bool {
		return strings.Contains(s, " > "+server+" icmp echo request") && strings.HasSuffix(s, "so far]")
	}) {
		t.Errorf("no totals after Ctrl-C:\n%s", strings.Join(rest, "\n"))
	}
	if lines := quiet.interrupt(); len(lines) != 0 {
		t.Errorf("nothing was dropped on port 80:\n%s", strings.Join(lines, "\n"))
	}
}

// watchedJSON is what scripts read of a line.
type watchedJSON struct {
	Time            time.Time
	Kind            string
	Protocol        string
	Source          string
	Destination     string
	DestinationPort int `json:"destination_port"`
	Translated      *struct{ Destination string }
	From, To, By    *struct{ ID, Name string }
	Via             []struct{ Name string }
	Verdict, Reason string
	Stage           string
	Rule            string
	Packets, Bytes  int
	NotShown        int `json:"not_shown"`
}

func decodeWatched(t *testing.T, lines []string) (all []watchedJSON) {
	t.Helper()
	for _, line := range lines {
		var w watchedJSON
		if err := json.Unmarshal([]byte(line), &w); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, w)
	}
	return all
}

func TestWatchEveryPacketAsJSON(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "acl-and-groups"))
	web := l.publicOf("web")
	l.waitPort("web", "tcp", 80)
	began := time.Now()
	w := l.watching("--packets", "-o", "json", "--on", "stranger", "-c", "1")
	l.reaches("stranger", web, 80, 1)
	lines := decodeWatched(t, w.rest())
	if len(lines) != 1 {
		t.Fatalf("%+v", lines)
	}
	p := lines[0]
	if p.Kind != "packet" || p.Protocol != "tcp" || p.Source != l.publicOf("stranger") || p.Destination != web || p.DestinationPort != 80 ||
		p.Translated == nil || p.Translated.Destination != l.privateOf("web") || p.Packets != 1 || p.Bytes != 60 {
		t.Errorf("the packet: %+v", p)
	}
	if p.From.Name != "stranger" || p.To.Name != "web" || len(p.Via) != 1 || p.Via[0].Name != "igw" ||
		p.Verdict != "dropped" || p.Reason != "SUBNET_ACL_RESTRICTION" || p.Stage != "acl-ingress" || p.By.Name != "public" || p.Rule != "rule 50 deny" {
		t.Errorf("what became of it: %+v %+v", p, p.By)
	}
	if p.Time.Before(began.Add(-time.Second)) || p.Time.After(time.Now().Add(time.Second)) {
		t.Errorf("it came at %s", p.Time)
	}
}

func TestWatchFilters(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "book"))
	web, server := l.publicOf("web"), l.publicOf("server")
	l.waitPort("web", "tcp", 80)
	l.waitPort("server", "tcp", 80)
	watches := map[string]*watch{}
	for _, filter := range []string{"--on db", "--on private", "--on nat", "--address 172.30.1.0/24", "--port http --on server", "--protocol icmp",
		"--verdict dropped", "--reason ENI_SG_RULES_MISMATCH", "--on laptop --verdict dropped --protocol icmp", "--on laptop --verdict delivered --protocol udp"} {
		watches[filter] = l.watching(append(strings.Fields(filter), "--packets", "-o", "json")...)
	}
	l.in("db", "curl -sS -m 20 http://"+server+"/")
	l.pings("laptop", web) // dropped: no rule for icmp
	for filter, w := range watches {
		lines := decodeWatched(t, w.interrupt())
		curl := slices.ContainsFunc(lines, func(p watchedJSON) bool { return p.Protocol == "tcp" && p.DestinationPort == 80 })
		ping := slices.ContainsFunc(lines, func(p watchedJSON) bool { return p.Protocol == "icmp" && p.Reason == "ENI_SG_RULES_MISMATCH" })
		wantPing := strings.Contains(filter, "icmp") || strings.Contains(filter, "dropped") || strings.Contains(filter, "reason")
		wantCurl := !wantPing && !strings.Contains(filter, "udp")
		if curl != wantCurl || ping != wantPing {
			t.Errorf("%s: curl %v, ping %v: %+v", filter, curl, ping, lines)
		}
	}
}

// More than can be told is counted: what is shown and what is not make the whole.
func TestWatchSaysWhatItDidNotShow(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "book"))
	w := l.watching("--packets", "-o", "json", "--protocol", "udp", "--port", "9999")
	l.in("laptop", `perl -MSocket -e 'socket(S,PF_INET,SOCK_DGRAM,0); my $a=sockaddr_in(9999,inet_aton("`+l.publicOf("web")+`")); for(1..60000){send(S,"x",0,$a)}'`)
	// The sender's device loses some itself, when the network does not read that fast; the
	// rest the network has met once their number stays.
	met := -1
	eventually(t, "all packets are met", func() error {
		var counters struct{ Verdicts map[string]int }
		l.decode(l.cli("counters", "-o", "json"), &counters)
		if before := met; before != counters.Verdicts["ENI_SG_RULES_MISMATCH"] {
			met = counters.Verdicts["ENI_SG_RULES_MISMATCH"]
			return fmt.Errorf("%d, and a moment ago %d", met, before)
		}
		return nil
	})
	var shown, notShown int
	for _, p := range decodeWatched(t, w.interrupt()) {
		shown += p.Packets
		notShown += p.NotShown
	}
	if shown == 0 || notShown == 0 || shown+notShown < met {
		t.Errorf("%d shown and %d not, of %d", shown, notShown, met)
	}
}

func TestWatchRefusesWhatThereIsNot(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "book"))
	for args, want := range map[string]string{
		"--on wbe": "there are: db, laptop, nat, server, web", "--reason ACL": "did you mean SUBNET_ACL_RESTRICTION?",
		"--address web": "is no address or CIDR block", "--verdict lost": "neither delivered nor dropped", "--protocol x": "nor one of ah,",
	} {
		out, errs, status := l.try("", append([]string{"watch"}, strings.Fields(args)...)...)
		if status != 2 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("watch %s: exit status %d, %s%s", args, status, out, errs)
		}
	}
}

// A lab that goes takes its watches along, which did not end by themselves.
func TestWatchEndsWithTheLab(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "book"))
	flows, packets := l.watching(), l.watching("--packets", "--duration", "10m")
	short := l.watching("-d", "100ms")
	short.rest()
	l.cli("down")
	for _, w := range []*watch{flows, packets} {
		var status *exec.ExitError
		if _, err := w.finish(); !errors.As(err, &status) || status.ExitCode() != 1 {
			t.Errorf("the watch ended with %v, want exit status 1", err)
		}
	}
}
