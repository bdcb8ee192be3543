package topology

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// A check's sentence is, with the words in brackets left out or not:
//
//	END reaches | does not reach | connects to END on PROTOCOL [PORT]
//	    [, because REASON] [, seen as ADDRESS] [, by way of NAME [and NAME …]] [, within 30 s]
//
// PROTOCOL PORT may also be tcp/22. An END is a name, an address, `internet`, `the public
// (or private) address of NAME`; `the Elastic IP of NAME` is the public one.

// check fills a Check from a sentence, or from a mapping as any other type.
func (d *decoder) check(n *node, v reflect.Value, path string) bool {
	c := v.Addr().Interface().(*Check)
	c.path = path
	if n.kind == mappingNode {
		d.mapping(n, v, path)
		return true
	}
	if n.kind != scalarNode {
		d.fail(n.line, path, "a sentence such as `web reaches db on tcp 22`, or a mapping, is wanted here, not %s", n)
		return false
	}
	s := sentence{words: splitWords(n.text)}
	s.parse()
	if s.wrong != "" {
		d.fail(n.line, path, "%s", s.wrong)
		return false
	}
	s.fill(c, n.line)
	c.said = strings.Join(strings.Fields(n.text), " ")
	return true
}

// sentence is one at work.
type sentence struct {
	words []string
	at    int
	wrong string // why it means nothing

	from, to, protocol string
	port               *Ports
	verb               vpc.ExpectedVerb
	because, seenAs    string
	byWayOf            []string
	within             int
}

// splitWords gives commas as words of their own.
func splitWords(text string) []string {
	return strings.Fields(strings.ReplaceAll(text, ",", " , "))
}

func (s *sentence) fail(format string, a ...any) {
	if s.wrong == "" {
		s.wrong = fmt.Sprintf(format, a...)
	}
}

// next is the word at hand, "" at the end.
func (s *sentence) next() string {
	if s.at < len(s.words) {
		return s.words[s.at]
	}
	return ""
}

// shown is the word at hand as a message shows it.
func (s *sentence) shown() string {
	if s.at >= len(s.words) {
		return "the end of the sentence"
	}
	return strconv.Quote(shorten(s.next()))
}

// take passes the words, if they come next.
func (s *sentence) take(words string) bool {
	list := strings.Fields(words)
	if s.at+len(list) > len(s.words) {
		return false
	}
	for i, w := range list {
		if !strings.EqualFold(s.words[s.at+i], w) {
			return false
		}
	}
	s.at += len(list)
	return true
}

// word passes a word that what says.
func (s *sentence) word(what string) string {
	w := s.next()
	if w == "" || w == "," {
		s.fail("%s is wanted before %s", what, s.shown())
		return ""
	}
	s.at++
	return w
}

func (s *sentence) parse() {
	s.from = s.end("a name or an address")
	s.verbs()
	s.to = s.end("a name or an address")
	s.traffic()
	for s.wrong == "" && s.at < len(s.words) {
		s.clause()
	}
}

// end passes what names one end, and gives it in the form that parseEnd reads.
func (s *sentence) end(what string) string {
	for _, lead := range endLeads {
		if s.take(lead.words) {
			return lead.words + " " + s.word("a name")
		}
	}
	return s.word(what)
}

var endLeads = []struct {
	words   string
	address vpc.ExpectedAddress
}{
	{"the public address of", vpc.ExpectPublic}, {"the Elastic IP of", vpc.ExpectPublic},
	{"the private address of", vpc.ExpectPrivate}, {"Elastic IP", vpc.ExpectElastic}, {"the Elastic IP", vpc.ExpectElastic},
}

func (s *sentence) verbs() {
	switch {
	case s.take("reaches"):
		s.verb = vpc.Reaches
	case s.take("does not reach"), s.take("doesn't reach"), s.take("cannot reach"):
		s.verb = vpc.Unreached
	case s.take("connects to"):
		s.verb = vpc.Connects
	default:
		s.fail("`reaches`, `does not reach` or `connects to` is wanted, not %s", s.shown())
	}
}

// traffic passes "on tcp 22", "on tcp/ssh" or "on icmp".
func (s *sentence) traffic() {
	if !s.take("on") {
		s.fail("`on` with a protocol, such as `on tcp 22`, is wanted, not %s", s.shown())
		return
	}
	protocol, port, joined := strings.Cut(s.word("tcp, udp or icmp"), "/")
	s.protocol = strings.ToLower(protocol)
	switch s.protocol {
	case "icmp":
		if joined {
			s.fail("icmp has no port")
		}
		return
	case "tcp", "udp":
	default:
		s.fail("%q is no protocol of a check: tcp, udp and icmp are%s", shorten(protocol), suggest(s.protocol, []string{"tcp", "udp", "icmp"}))
		return
	}
	s.take("port")
	if !joined {
		port = s.word("a port")
	}
	if s.wrong != "" {
		return
	}
	s.port = &Ports{}
	if err := s.port.UnmarshalText([]byte(port)); err != nil {
		s.fail("%v", err)
	}
}

// clause passes one of the parts that follow the traffic.
func (s *sentence) clause() {
	s.take(",")
	switch {
	case s.take("because of"), s.take("because"):
		s.once("because", s.because != "")
		s.because = s.word("a reason")
	case s.take("seen as"):
		s.once("seen as", s.seenAs != "")
		s.seenAs = s.end("an address")
	case s.take("by way of"):
		s.once("by way of", s.byWayOf != nil)
		s.byWayOf = append(s.byWayOf, s.word("a name"))
		for s.take("and") || s.another() {
			s.byWayOf = append(s.byWayOf, s.word("a name"))
		}
	case s.take("within"):
		s.once("within", s.within != 0)
		s.seconds()
	default:
		s.fail("%s is not understood; what may follow is because REASON, seen as ADDRESS, by way of NAME, within 30 s", s.shown())
	}
}

func (s *sentence) once(clause string, before bool) {
	if before {
		s.fail("`%s` is said twice", clause)
	}
}

// another passes a comma that a further name follows, not a clause.
func (s *sentence) another() bool {
	if s.at+1 >= len(s.words) || s.words[s.at] != "," {
		return false
	}
	switch strings.ToLower(s.words[s.at+1]) {
	case "because", "seen", "by", "within", ",":
		return false
	}
	s.at++
	return true
}

// seconds passes "30 s", "30s", "2 minutes" and the like.
func (s *sentence) seconds() {
	text := s.word("a time such as 30 s")
	if n, err := strconv.Atoi(text); err == nil {
		switch unit := s.word("a unit, s or min,"); strings.ToLower(unit) {
		case "s", "second", "seconds":
			text = fmt.Sprint(n, "s")
		case "min", "minute", "minutes":
			text = fmt.Sprint(n, "m")
		default:
			s.fail("%q is no unit of time: s and min are", shorten(unit))
			return
		}
	}
	t, err := time.ParseDuration(text)
	switch {
	case s.wrong != "":
	case err != nil:
		s.fail("%q is no time such as 30 s", shorten(text))
	case t < time.Second || t > time.Hour || t%time.Second != 0:
		s.fail("within %s: whole seconds between 1 and 3600 are wanted", text)
	}
	s.within = int(t / time.Second)
}

// fill writes the sentence into the fields that a mapping would have filled.
func (s *sentence) fill(c *Check, line int) {
	set(&c.From, s.from, line)
	set(&c.To, s.to, line)
	set(&c.Protocol, s.protocol, line)
	set(&c.Reaches, s.verb != vpc.Unreached, line)
	set(&c.Connects, s.verb == vpc.Connects, line)
	if s.port != nil {
		set(&c.Port, *s.port, line)
	}
	if s.because != "" {
		set(&c.Because, s.because, line)
	}
	if s.seenAs != "" {
		set(&c.SeenAs, s.seenAs, line)
	}
	if s.within > 0 {
		set(&c.Within, s.within, line)
	}
	if s.byWayOf != nil {
		c.ByWayOf.Set, c.ByWayOf.Line = true, line
		for _, name := range s.byWayOf {
			c.ByWayOf.V = append(c.ByWayOf.V, Value[string]{name, true, line})
		}
	}
}

func set[T any](v *Value[T], to T, line int) { v.V, v.Set, v.Line = to, true, line }

// parseEnd reads the text of an end, wherever it comes from.
func parseEnd(text string) (vpc.ExpectedEnd, error) {
	s := sentence{words: splitWords(text)}
	for _, lead := range endLeads {
		if s.take(lead.words) {
			e := vpc.ExpectedEnd{Name: s.word("a name"), Address: lead.address}
			if s.wrong != "" || s.at < len(s.words) {
				return e, fmt.Errorf("%q: one name is wanted after %q", shorten(text), lead.words)
			}
			return e, nil
		}
	}
	if len(s.words) != 1 || s.words[0] == "," {
		return vpc.ExpectedEnd{}, fmt.Errorf("%q: one name or address is wanted, or `the public address of NAME`", shorten(text))
	}
	if a, err := netip.ParseAddr(s.words[0]); err == nil {
		return vpc.ExpectedEnd{Name: a.Unmap().String()}, nil
	}
	return vpc.ExpectedEnd{Name: s.words[0]}, nil
}
