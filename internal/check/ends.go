package check

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Ends are what the words of a check mean in a model.
type Ends struct {
	From, To endpoint.End
	Request  control.TraceRequest
	// Source is what the sender has to bind to, invalid for its kernel's choice.
	Source netip.Addr
	// Destination is the address that packets are sent to, Local the receiver's own by
	// which they arrive, invalid where nothing in the lab has it.
	Destination, Local netip.Addr
	// Sender and Receiver are the IDs of the instances or hosts, "" for none.
	Sender, Receiver string
	// SeenAs is the source address that has to arrive, invalid for any. Via has, for each
	// thing that has to be passed, the IDs that it goes by.
	SeenAs netip.Addr
	Via    []Passed
}

// Passed is a gateway, instance or interface that has to be passed.
type Passed struct {
	Name string
	IDs  []string
}

// Resolve finds what the check means. An error says which word means nothing, or what
// keeps its packet from being sent.
func Resolve(m *vpc.Model, e vpc.Expectation) (*Ends, error) {
	x := &Ends{Request: control.TraceRequest{Protocol: e.Protocol, Port: e.Port}}
	var err error
	var owner endpoint.End // of an address that several VPCs may have
	if e.From.Address == vpc.ExpectPrivate {
		owner, _ = endpoint.Find(m, e.From.Name) // find tells what is wrong with it
	}
	if x.From, x.Request.From, err = find(m, owner, e.From); err != nil {
		return nil, err
	}
	if _, err := endpoint.Find(m, x.Request.From); err != nil {
		x.Request.From = x.From.ID
	}
	if x.To, x.Request.To, err = find(m, x.From, e.To); err != nil {
		return nil, err
	}
	if x.Destination, err = endpoint.Address(m, x.From, x.To); err != nil {
		return nil, err
	}
	if x.From.Asked.IsValid() && x.From.Kind != endpoint.KindAddress {
		x.Source = own(x.From)
	} else if i := x.From.Interface; i != nil && x.From.Kind == endpoint.KindInterface {
		x.Source = x.From.Private
	}
	x.Sender, x.Receiver = machineOf(x.From), machineOf(x.To)
	if x.Receiver != "" {
		x.Local = own(x.To)
	}
	if e.SeenAs != nil {
		if x.SeenAs, err = addressOf(m, *e.SeenAs); err != nil {
			return nil, err
		}
	}
	for _, name := range e.ByWayOf {
		p, err := passed(m, name)
		if err != nil {
			return nil, err
		}
		x.Via = append(x.Via, p)
	}
	return x, nil
}

// find is endpoint.FindFor, for one of an end's addresses, too. text is what names the
// same in a trace.
func find(m *vpc.Model, sender endpoint.End, e vpc.ExpectedEnd) (found endpoint.End, text string, err error) {
	text = e.Name
	if e.Address != vpc.ExpectAny {
		a, err := addressOf(m, e)
		if err != nil {
			return found, "", err
		}
		text = a.String()
	}
	found, err = endpoint.FindFor(m, sender, text)
	return found, text, err
}

// addressOf is the address that the words mean.
func addressOf(m *vpc.Model, e vpc.ExpectedEnd) (netip.Addr, error) {
	if a, err := netip.ParseAddr(e.Name); err == nil {
		return a.Unmap(), nil
	}
	if e.Address == vpc.ExpectElastic {
		for id, a := range m.Addresses.All() {
			if a.Name() == e.Name || string(id) == e.Name {
				return a.PublicIp, nil
			}
		}
		return netip.Addr{}, fmt.Errorf("there is no Elastic IP %s", e.Name)
	}
	end, err := endpoint.Find(m, e.Name)
	if err != nil {
		return netip.Addr{}, err
	}
	a := end.Public
	if e.Address == vpc.ExpectPrivate {
		a = end.Private
	}
	if !a.IsValid() {
		return a, fmt.Errorf("%s %s has no %s address", end.Kind, end.Name, e.Address)
	}
	return a, nil
}

// own is the address that the end's own machine has: the one asked for, or the private
// one that a public one stands for.
func own(e endpoint.End) netip.Addr {
	switch {
	case e.Host != nil:
		return e.Host.PublicIp
	case e.Private.IsValid():
		return e.Private
	}
	return e.Asked
}

// machineOf is the ID of the instance or host that the end belongs to.
func machineOf(e endpoint.End) string {
	switch {
	case e.Host != nil:
		return string(e.Host.ID)
	case e.Interface != nil && e.Interface.Attachment != nil:
		return string(e.Interface.Attachment.InstanceID)
	}
	return ""
}

// passed finds what a packet has to pass.
func passed(m *vpc.Model, name string) (Passed, error) {
	p := Passed{Name: name}
	set, err := endpoint.Interfaces(m, name)
	if err != nil {
		return p, fmt.Errorf("by way of %w", err)
	}
	p.IDs = append(p.IDs, set.Gateways...)
	for _, n := range set.Interfaces {
		p.IDs = append(p.IDs, string(n.ID))
		if a := n.Attachment; a != nil && a.InstanceID != "" {
			p.IDs = append(p.IDs, string(a.InstanceID))
		}
	}
	return p, nil
}

// TraceAlone tells why no packet can be sent, "" if it can.
func (x *Ends) TraceAlone() string {
	switch {
	case x.From.Kind == endpoint.KindInternet:
		return "no real packet: the Internet at large sends none here"
	case x.To.Kind == endpoint.KindInternet:
		return "no real packet: nobody is there for the Internet at large; an Internet host would be"
	}
	return ""
}

// Select picks the checks whose titles have only in them or match it as a pattern (path
// names' * and ?, case ignored), with their numbers.
func Select(all []vpc.Expectation, only string) (numbers []int) {
	for i, e := range all {
		if matches(e, only) {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

func matches(e vpc.Expectation, only string) bool {
	only = strings.ToLower(only)
	for _, title := range []string{strings.ToLower(e.Title()), strings.ToLower(e.Sentence()), strings.ToLower(e.String())} {
		if strings.Contains(title, only) || glob(only, title) {
			return true
		}
	}
	return false
}

// glob matches * with any text, / included, and ? with any one character.
func glob(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	p, s := []rune(pattern), []rune(text)
	back, at := -1, 0 // where the last * was, and how much of text it has
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i] == '*':
			back, at = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == s[j]):
			i, j = i+1, j+1
		case back >= 0:
			at++
			i, j = back+1, at
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}
