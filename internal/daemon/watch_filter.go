package daemon

import (
	"net/netip"
	"slices"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/reasons"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// A watchFilter is a control.WatchRequest whose names have been looked up.
type watchFilter struct {
	req      control.WatchRequest
	reasons  map[dataplane.Reason]bool
	handles  map[uint32]bool // of req.On
	gateways map[string]bool
}

// newWatchFilter checks the request against the reasons there are and a model. Errors
// list what there is.
func newWatchFilter(m *vpc.Model, req control.WatchRequest) (*watchFilter, error) {
	f := &watchFilter{req: req, reasons: map[dataplane.Reason]bool{}}
	for _, name := range req.Reasons {
		r, err := reasons.Parse(name)
		if err != nil {
			return nil, err
		}
		f.reasons[r] = true
	}
	return f, f.resolve(m)
}

// resolve looks the names up: they may mean other interfaces in a later model.
func (f *watchFilter) resolve(m *vpc.Model) error {
	handles, gateways := map[uint32]bool{}, map[string]bool{}
	for _, name := range f.req.On {
		set, err := endpoint.Interfaces(m, name)
		if err != nil {
			return err
		}
		for h := range set.Handles() {
			handles[h] = true
		}
		for _, id := range set.Gateways {
			gateways[id] = true
		}
	}
	f.handles, f.gateways = handles, gateways
	return nil
}

// wants tells whether packets are to be shown. What costs least is asked first.
func (f *watchFilter) wants(s *shower, p *passed) bool {
	reason := p.way.Reason()
	switch {
	case f.req.Verdict == control.VerdictDropped && !reason.Dropped(), f.req.Verdict == control.VerdictDelivered && reason.Dropped():
		return false
	case len(f.reasons) > 0 && !f.reasons[reason]:
		return false
	case len(f.req.Protocols) > 0 && !slices.Contains(f.req.Protocols, p.sent.Proto):
		return false
	}
	return f.wantsPort(p) && f.wantsAddress(p) && f.wantsPlace(s, p)
}

func (f *watchFilter) wantsPort(p *passed) bool {
	if len(f.req.Ports) == 0 {
		return true
	}
	switch p.sent.Proto {
	case packet.ProtoICMP, packet.ProtoICMPv6: // their identifiers are no ports
		return false
	}
	return slices.ContainsFunc(f.req.Ports, func(port uint16) bool {
		return port == p.sent.SrcPort || port == p.sent.DstPort || port == p.ended.SrcPort || port == p.ended.DstPort
	})
}

func (f *watchFilter) wantsAddress(p *passed) bool {
	if len(f.req.Addresses) == 0 {
		return true
	}
	for _, a := range [4]packet.Addr{p.sent.Src, p.sent.Dst, p.ended.Src, p.ended.Dst} {
		ip := a.Netip()
		if slices.ContainsFunc(f.req.Addresses, func(r netip.Prefix) bool { return r.Contains(ip) }) {
			return true
		}
	}
	return false
}

// wantsPlace: the packet comes from one of the places that were named, passes it, or is
// for it, also when it was dropped before.
func (f *watchFilter) wantsPlace(s *shower, p *passed) bool {
	if len(f.req.On) == 0 {
		return true
	}
	v := s.view(p.way)
	if f.handles[v.from] || f.handles[v.to] {
		return true
	}
	for _, st := range v.steps {
		if st.At != nil && f.handles[st.At.Handle] || f.gateways[st.By.ID] {
			return true
		}
	}
	return f.handles[s.destination(v, p)]
}
