package capture

import (
	"fmt"
	"strings"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// NAT says which of a packet's two forms is shown at a gateway that translates it.
type NAT string

// A packet that a gateway dropped has one form only, which is always shown.
const (
	NATBoth   NAT = "both"
	NATBefore NAT = "before" // as it arrived
	NATAfter  NAT = "after"  // as it left
)

// ParseNAT reads a NAT; "" is NATBoth.
func ParseNAT(s string) (NAT, error) {
	switch n := NAT(s); n {
	case "":
		return NATBoth, nil
	case NATBoth, NATBefore, NATAfter:
		return n, nil
	}
	return "", fmt.Errorf("%q is no form of a packet: before, after or both", s)
}

// Selection are the places whose packets are captured.
type Selection struct {
	Handles  map[uint32]bool // of interfaces and Internet hosts
	Gateways map[string]bool // IDs of NAT and Internet gateways
}

// has takes the nil Selection for all places. A NAT gateway also counts by its own interface.
func (s *Selection) has(p point) bool {
	return s == nil || p.handle != 0 && s.Handles[p.handle] || s.Gateways[p.ID]
}

// point is a place where packets are seen: an interface of an instance, an Internet
// host, a NAT or Internet gateway.
type point struct {
	dataplane.Ref
	handle uint32
	eni    *dataplane.ENI // of an instance, or the NAT gateway's
	host   *dataplane.InternetHost
}

// placeOf is false for what is no point: the services of a VPC.
func placeOf(p dataplane.Place) (point, bool) {
	switch {
	case p.ENI != nil:
		return interfaceOf(p.ENI), true
	case p.Host != nil:
		return point{Ref: p.Host.Ref, handle: p.Host.Handle, host: p.Host}, true
	}
	return point{}, false
}

// interfaceOf takes a NAT gateway's own interface for the gateway.
func interfaceOf(e *dataplane.ENI) point {
	p := point{Ref: e.Ref, handle: e.Handle, eni: e}
	if e.NAT != nil {
		p.Ref = e.NAT.Ref
	}
	return p
}

// gatewayOf is the gateway whose stage the step is.
func gatewayOf(s dataplane.Step) point {
	p := point{Ref: s.By}
	if s.Stage == dataplane.StageNAT && s.At != nil {
		p.eni, p.handle = s.At, s.At.Handle
	}
	return p
}

func isGateway(s dataplane.Step) bool {
	return s.Stage == dataplane.StageNAT || s.Stage == dataplane.StageIGWEgress || s.Stage == dataplane.StageIGWIngress
}

// describe says what the point is, for the interface's description.
func (p point) describe() string {
	switch {
	case p.host != nil:
		return p.ID + ", Internet host " + p.host.Addr.String()
	case p.eni == nil:
		return p.ID + ", Internet gateway"
	case p.eni.NAT != nil:
		return p.ID + ", NAT gateway " + addresses(p.eni.Addrs) + " in " + subnet(p.eni)
	}
	return p.ID + ", network interface of " + p.eni.Instance.String() + ", " + addresses(p.eni.Addrs) + " in " + subnet(p.eni)
}

func addresses(list []packet.Addr) string {
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.String()
	}
	return strings.Join(names, " ")
}

func subnet(e *dataplane.ENI) string {
	if e.Subnet == nil {
		return "no subnet"
	}
	return "subnet " + e.Subnet.String()
}

// role is what a packet is at a point.
type role uint8

const (
	sent     role = iota
	arrives       // at a gateway
	leaves        // a gateway
	received      // by its destination
	refused       // dropped on its way into an interface
)

// sighting is one appearance of a packet: as it was after so many of its steps.
type sighting struct {
	at    point
	role  role
	after int
}

func (s sighting) direction() Direction {
	if s.role == sent || s.role == leaves {
		return Outbound
	}
	return Inbound
}

// sightings are all appearances of a packet, in its order.
func sightings(from, to dataplane.Place, steps []dataplane.Step) (list []sighting) {
	if p, ok := placeOf(from); ok {
		list = append(list, sighting{p, sent, 0})
	}
	for i, s := range steps {
		switch {
		case isGateway(s):
			list = append(list, sighting{gatewayOf(s), arrives, i})
			if !s.End {
				list = append(list, sighting{gatewayOf(s), leaves, i + 1})
			}
		case s.End && s.Reason.Dropped() && s.At != nil && isWayIn(s.Stage):
			list = append(list, sighting{interfaceOf(s.At), refused, len(steps)})
		}
	}
	if p, ok := placeOf(to); ok {
		list = append(list, sighting{p, received, len(steps)})
	}
	return list
}

// isWayIn tells whether a drop at the stage concerns the interface to which the packet went.
func isWayIn(s dataplane.Stage) bool {
	switch s {
	case dataplane.StageACLIngress, dataplane.StageSGIngress, dataplane.StageDestCheck, dataplane.StageDeliver:
		return true
	}
	return false
}
