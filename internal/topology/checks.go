package topology

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// internetEnd is the end that is any host on the Internet.
const internetEnd = "internet"

// Expectations are the file's checks, as the model keeps them.
func (f *File) Expectations() (list []vpc.Expectation) {
	for _, c := range f.Checks.V {
		list = append(list, c.V.expectation())
	}
	return list
}

// expectation is the check's meaning; what is wrong with it has been told.
func (c *Check) expectation() vpc.Expectation {
	e := vpc.Expectation{Name: c.Name.V, Said: c.said, Verb: c.verb(), Protocol: c.protocol(), Because: strings.ToUpper(c.Because.V),
		ByWayOf: values(c.ByWayOf), Within: time.Duration(c.Within.V) * time.Second}
	e.From, _ = parseEnd(c.From.V)
	e.To, _ = parseEnd(c.To.V)
	if e.Protocol != "icmp" {
		e.Port = c.Port.V.From
	}
	if c.SeenAs.Set {
		as, _ := c.seenAs()
		e.SeenAs = &as
	}
	if len(e.ByWayOf) == 0 {
		e.ByWayOf = nil
	}
	return e
}

// seenAs reads seen_as; a name alone is that of an Elastic IP.
func (c *Check) seenAs() (vpc.ExpectedEnd, error) {
	e, err := parseEnd(c.SeenAs.V)
	if _, no := netip.ParseAddr(e.Name); no != nil && err == nil && e.Address == vpc.ExpectAny {
		e.Address = vpc.ExpectElastic
	}
	return e, err
}

func (c *Check) verb() vpc.ExpectedVerb {
	switch {
	case !c.Reaches.V:
		return vpc.Unreached
	case c.Connects.V:
		return vpc.Connects
	}
	return vpc.Reaches
}

func (c *Check) protocol() string {
	switch {
	case c.Protocol.Set:
		return c.Protocol.V
	case c.Port.Set:
		return "tcp"
	}
	return "icmp"
}

// checks finds what is wrong with the file's own checks.
func (c *checker) checks() {
	for i := range c.f.Checks.V {
		one := &c.f.Checks.V[i].V
		c.endOf(one, one.From, "from", senders)
		c.endOf(one, one.To, "to", receivers)
		c.trafficOf(one)
		c.clausesOf(one)
		if one.From.Set && strings.EqualFold(one.From.V, one.To.V) {
			c.add(one.To.Line, one.path, "%s is at both ends: such a packet does not come to the network", one.From.V)
		}
	}
}

// Maps whose objects can be ends.
var (
	senders   = []string{"instances", "internet_hosts", "network_interfaces"}
	receivers = append(slices.Clone(senders), "nat_gateways")
	passable  = []string{"nat_gateways", "internet_gateways", "instances", "network_interfaces"}
)

func (c *checker) endOf(one *Check, v Value[string], key string, kinds []string) {
	if !v.Set {
		return
	}
	e, err := parseEnd(v.V)
	switch {
	case err != nil:
		c.add(v.Line, one.path, "%s: %v", key, err)
	case e.Address == vpc.ExpectElastic:
		c.nameOf(one, v.Line, key, e.Name, []string{"elastic_ips"})
	case e.Address == vpc.ExpectAny && strings.EqualFold(e.Name, internetEnd):
		if key == "from" && one.verb() == vpc.Connects {
			c.add(v.Line, one.path, "connects to needs a real sender: an Internet host, for one")
		}
	default:
		c.nameOf(one, v.Line, key, e.Name, kinds)
	}
}

// nameOf looks up a name that has to be in one of the maps; an address needs none.
func (c *checker) nameOf(one *Check, line int, key, name string, kinds []string) {
	if a, err := netip.ParseAddr(name); err == nil {
		if !a.Unmap().Is4() {
			c.add(line, one.path, "%s: %s is no IPv4 address", key, name)
		}
		return
	}
	var known []string
	for _, kind := range kinds {
		known = append(known, c.f.namesOf(kind)...)
	}
	if slices.Contains(known, name) || name == vpc.HostName && slices.Contains(kinds, "internet_hosts") {
		return // the machine itself is there where the lab is joined, which `up --join` may do
	}
	what := make([]string, len(kinds))
	for i, kind := range kinds {
		what[i] = singular(kind)
	}
	last := len(what) - 1
	text := what[last]
	if last > 0 {
		text = strings.Join(what[:last], ", ") + " or " + text
	}
	c.add(line, one.path, "%s: there is no %s %q%s", key, text, shorten(name), suggest(name, known))
}

func (c *checker) trafficOf(one *Check) {
	if refused(one.Protocol) || refused(one.Port) || !one.From.Set {
		return
	}
	line := max(one.Protocol.Line, one.Port.Line, one.From.Line)
	switch p := one.protocol(); {
	case p == "icmp" && one.Port.Set:
		c.add(line, one.path, "icmp has no port")
	case p != "icmp" && !one.Port.Set:
		c.add(line, one.path, "port is missing: %s has one", p)
	case one.Port.V.From != one.Port.V.To:
		c.add(line, one.path, "port is a single one")
	case p != "icmp" && one.Port.V.From == 0:
		c.add(line, one.path, "port 0 is none that a packet is sent to")
	case p != "tcp" && one.verb() == vpc.Connects:
		c.add(line, one.path, "connects to is for tcp; %s has no connections", p)
	}
}

// clausesOf checks because, seen_as, by_way_of and connects.
func (c *checker) clausesOf(one *Check) {
	unreached := one.verb() == vpc.Unreached
	if one.Because.Set {
		reason := strings.ToUpper(one.Because.V)
		switch {
		case !unreached:
			c.add(one.Because.Line, one.path, "because is for what does not reach: `reaches: false`")
		case !slices.Contains(dropReasons, reason):
			c.add(one.Because.Line, one.path, "because: there is no reason %q%s", shorten(one.Because.V), suggestReason(reason))
		}
	}
	for _, clause := range []struct {
		key  string
		set  bool
		line int
	}{{"seen_as", one.SeenAs.Set, one.SeenAs.Line}, {"by_way_of", one.ByWayOf.Set, one.ByWayOf.Line}, {"connects", one.Connects.V, one.Connects.Line}} {
		if clause.set && unreached {
			c.add(clause.line, one.path, "%s is for what reaches", clause.key)
		}
	}
	if one.SeenAs.Set {
		c.seenAsOf(one)
	}
	for _, name := range one.ByWayOf.V {
		c.nameOf(one, name.Line, "by_way_of", name.V, passable)
	}
}

func (c *checker) seenAsOf(one *Check) {
	e, err := one.seenAs()
	switch {
	case err != nil:
		c.add(one.SeenAs.Line, one.path, "seen_as: %v", err)
	case e.Address == vpc.ExpectElastic:
		c.nameOf(one, one.SeenAs.Line, "seen_as", e.Name, []string{"elastic_ips"})
	default:
		c.nameOf(one, one.SeenAs.Line, "seen_as", e.Name, receivers)
	}
}

// suggestReason is suggest for names in capitals.
func suggestReason(reason string) string {
	lower := make([]string, len(dropReasons))
	for i, r := range dropReasons {
		lower[i] = strings.ToLower(r)
	}
	const lead = "; did you mean "
	word, found := strings.CutPrefix(suggest(reason, lower), lead)
	if !found {
		return "; `vpcemu drops` and `vpcemu trace` show them"
	}
	return lead + strings.ToUpper(word)
}
