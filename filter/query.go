package filter

import "github.com/vpcemu/vpcemu/internal/packet"

// Direction is seen from the network interface (Groups) or the subnet (ACL).
type Direction uint8

// Ingress is traffic towards the instance, Egress away from it.
const (
	Ingress Direction = iota
	Egress
)

func (d Direction) String() string {
	if d == Ingress {
		return "ingress"
	}
	return "egress"
}

// other is the opposite direction.
func (d Direction) other() Direction { return d ^ 1 }

// Query is what a packet looks like to a rule.
type Query struct {
	Dir   Direction
	Proto uint8
	// Remote is the peer: the source of an ingress packet, the destination of an
	// egress packet.
	Remote packet.Addr
	// DstPort is the destination port in both directions (SG-04, AC-05).
	DstPort            uint16
	ICMPType, ICMPCode uint8
	// RemoteGroups are the handles of the security groups of the peer's network
	// interface, ascending; nil when the peer is none or a middlebox has hidden
	// which it is (SG-09). Network ACLs do not look at it.
	RemoteGroups []uint32
}
