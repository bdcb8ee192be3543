package dataplane

import "github.com/vpcemu/vpcemu/filter"

// Account is what the engine has counted since it was made, by what decided about the
// packets and by where they came in and went. Packets are those on the wire.
type Account struct {
	// Rules tells how many packets each rule and route decided about. One of a tracked
	// connection passes a security group by no rule (CT-01), and counts for none.
	Rules map[RuleKey]Traffic
	// Interfaces are those of instances and NAT gateways and the Internet hosts, by handle.
	Interfaces map[uint32]*InterfaceAccount
	// Gateways are NAT and Internet gateways, by ID: packets translated, either way.
	Gateways map[string]Traffic
}

// RuleKey names a rule: of a security group (Owner sg-…, Rule sgr-…), of a network ACL
// (acl-…, its number or "*") or of a route table (rtb-…, the destination).
type RuleKey struct {
	Owner, Rule string
	Egress      bool // a rule for what leaves
	IPv6        bool // the "*" of an ACL for IPv6
}

// InterfaceAccount is an interface's share.
type InterfaceAccount struct {
	Sent     Traffic // read from it
	Received Traffic // delivered to it
	// Dropped are the drops at its own stages, of what left it and of what arrived, and
	// of what it sent where no interface's stage was.
	Dropped map[Reason]Traffic
}

// Account gives the engine's accounts, a copy.
func (e *Engine) Account() Account {
	e.accountMu.Lock()
	defer e.accountMu.Unlock()
	e.foldAll()
	return e.account.clone()
}

// foldAll brings the accounts up to date. accountMu is held.
func (e *Engine) foldAll() {
	e.retiredMu.Lock()
	retired := e.retiredWays
	e.retiredWays = nil
	e.retiredMu.Unlock()
	for _, t := range retired {
		e.account.fold(t)
	}
	for _, r := range e.workers() {
		if t := r.ways.Load(); t != nil {
			e.account.fold(t)
		}
	}
}

// foldRetired lets go of trees that their workers have left.
func (e *Engine) foldRetired() {
	e.retiredMu.Lock()
	some := len(e.retiredWays) > 0
	e.retiredMu.Unlock()
	if some {
		e.accountMu.Lock()
		e.foldAll()
		e.accountMu.Unlock()
	}
}

// retireWays takes a tree that its worker has left, so that its counts are not lost. It
// keeps the snapshot that the tree comes from until the next fold, a fraction of a
// second later.
func (e *Engine) retireWays(t *wayTree) {
	if t == nil {
		return
	}
	e.retiredMu.Lock()
	e.retiredWays = append(e.retiredWays, t)
	e.retiredMu.Unlock()
}

func newAccount() Account {
	return Account{Rules: map[RuleKey]Traffic{}, Interfaces: map[uint32]*InterfaceAccount{}, Gateways: map[string]Traffic{}}
}

// fold adds what the tree has counted since it was folded last.
func (a *Account) fold(t *wayTree) {
	t.published.Lock()
	list := t.seen
	t.published.Unlock()
	var now [foldAtOnce]Traffic
	for len(list) > 0 {
		some := list[:min(len(list), foldAtOnce)]
		list = list[len(some):]
		t.published.Lock()
		for i, w := range some {
			now[i] = w.published
		}
		t.published.Unlock()
		for i, w := range some {
			d := Traffic{now[i].Packets - w.folded.Packets, now[i].Bytes - w.folded.Bytes}
			if d != (Traffic{}) {
				w.folded = now[i]
				a.add(w, d)
			}
		}
	}
}

// foldAtOnce is how many ways are read while their worker may have to wait.
const foldAtOnce = 64

func (a *Account) add(end *Way, n Traffic) {
	w := end
	for ; w.parent != nil; w = w.parent {
		if key, ok := w.ruleKey(); ok {
			sum := a.Rules[key]
			sum.add(n)
			a.Rules[key] = sum
		}
		if gateway := w.stage == StageNAT || w.stage == StageIGWEgress || w.stage == StageIGWIngress; gateway && !w.end {
			sum := a.Gateways[w.by.ID]
			sum.add(n)
			a.Gateways[w.by.ID] = sum
		}
	}
	from := w.place.Handle()
	a.of(from).Sent.add(n)
	switch {
	case end.reason.Dropped():
		at := from
		if end.at != nil {
			at = end.at.Handle
		}
		dropped := a.of(at).Dropped
		sum := dropped[end.reason]
		sum.add(n)
		dropped[end.reason] = sum
	case end.place != (Place{}):
		a.of(end.place.Handle()).Received.add(n)
	}
}

// of is the account of an interface or host; 0 are the services ports.
func (a *Account) of(handle uint32) *InterfaceAccount {
	i := a.Interfaces[handle]
	if i == nil {
		i = &InterfaceAccount{Dropped: map[Reason]Traffic{}}
		a.Interfaces[handle] = i
	}
	return i
}

// ruleKey names the rule or route that decided.
func (d *decision) ruleKey() (RuleKey, bool) {
	switch r := d.rule; {
	case r.Group != nil:
		return RuleKey{Owner: r.Group.GroupID, Rule: r.Group.RuleID, Egress: r.Group.Dir == filter.Egress}, true
	case r.ACL != nil:
		return RuleKey{Owner: d.by.ID, Rule: r.ACL.Label(), Egress: r.ACL.Dir == filter.Egress, IPv6: r.ACL.Number == filter.StarNumberV6}, true
	case r.Route != nil && (!d.end || d.reason == BlackholeRoute):
		return RuleKey{Owner: d.by.ID, Rule: r.Route.Dest.String()}, true
	}
	return RuleKey{}, false
}

func (a *Account) clone() Account {
	out := newAccount()
	for k, v := range a.Rules {
		out.Rules[k] = v
	}
	for k, v := range a.Gateways {
		out.Gateways[k] = v
	}
	for k, v := range a.Interfaces {
		i := &InterfaceAccount{Sent: v.Sent, Received: v.Received, Dropped: map[Reason]Traffic{}}
		for r, n := range v.Dropped {
			i.Dropped[r] = n
		}
		out.Interfaces[k] = i
	}
	return out
}
