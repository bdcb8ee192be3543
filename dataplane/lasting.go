package dataplane

// A Way leads into the snapshot that it is of, and all of a lab's rules hang on that. What
// keeps a way for as long as it likes, whatever becomes of the lab, keeps a lasting one.

// lasting is the way with copies of all that it names, which lead nowhere else: of
// interfaces no more than who they are and where. It is made once, by the worker.
func (w *Way) lasting() *Way {
	switch {
	case w.tree == nil:
		return w // it is one
	case w.kept != nil:
		return w.kept
	}
	c := &Way{decision: w.decision, depth: w.depth}
	if w.parent != nil {
		c.parent = w.parent.lasting()
	}
	if w.at != nil && w.parent != nil && w.parent.at == w.at {
		c.at = c.parent.at
	} else {
		c.at = w.at.lasting()
	}
	c.rule, c.place = w.rule.lasting(), w.place.lasting()
	w.kept = c
	return c
}

func (e *ENI) lasting() *ENI {
	if e == nil {
		return nil
	}
	c := &ENI{Ref: e.Ref, Handle: e.Handle, Instance: e.Instance, MAC: e.MAC, Addrs: e.Addrs, MTU: e.MTU}
	if s := e.Subnet; s != nil {
		c.Subnet = &Subnet{Ref: s.Ref, VPC: s.VPC.lasting(), CIDR: s.CIDR, Router: s.Router}
	}
	if e.NAT != nil {
		c.NAT = &NATGateway{Ref: e.NAT.Ref, Gateway: e.NAT.Gateway, ENI: c}
	}
	return c
}

func (v *VPC) lasting() *VPC {
	if v == nil {
		return nil
	}
	return &VPC{Ref: v.Ref, CIDRs: v.CIDRs}
}

func (p Place) lasting() Place {
	p.ENI, p.Services = p.ENI.lasting(), p.Services.lasting()
	if h := p.Host; h != nil {
		p.Host = &InternetHost{Ref: h.Ref, Handle: h.Handle, Addr: h.Addr, MAC: h.MAC}
	}
	return p
}

func (r Rule) lasting() Rule {
	if r.Group != nil {
		c := *r.Group
		r.Group = &c
	}
	if r.ACL != nil {
		c := *r.ACL
		r.ACL = &c
	}
	if r.Route != nil {
		c := *r.Route
		c.ENI, c.IGW, c.NAT = nil, nil, nil
		r.Route = &c
	}
	if r.Link != nil {
		c := *r.Link
		c.state = nil
		r.Link = &c
	}
	return r
}
