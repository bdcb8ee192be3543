package imds

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// index finds the interfaces of one VPC by address and by instance. It is made anew
// when the model's interfaces have changed.
type index struct {
	of         *vpc.Model
	byAddress  map[netip.Addr]*vpc.NetworkInterface
	byInstance map[vpc.InstanceID][]*vpc.NetworkInterface // the primary first
}

// caller is an instance that asks, with the model that it is answered from.
type caller struct {
	*vpc.Instance
	model *vpc.Model
	nics  []*vpc.NetworkInterface // of all its interfaces, the primary first
}

// caller finds the instance that has the address in the VPC; nil if none has: a NAT
// gateway's interface belongs to no instance, and is not listened to either.
func (s *Server) caller(a netip.Addr) *caller {
	m := s.cfg.Model()
	x := s.index.Load()
	if x == nil || !x.of.NetworkInterfaces.Same(&m.NetworkInterfaces) {
		x = newIndex(m, s.cfg.VPC)
		s.index.Store(x)
	}
	n := x.byAddress[a]
	if n == nil {
		return nil
	}
	i := m.Instances.Get(n.Attachment.InstanceID)
	if i == nil || i.State == vpc.StateTerminated {
		return nil
	}
	return &caller{i, m, x.byInstance[i.ID]}
}

func newIndex(m *vpc.Model, of vpc.VpcID) *index {
	x := &index{m, map[netip.Addr]*vpc.NetworkInterface{}, map[vpc.InstanceID][]*vpc.NetworkInterface{}}
	for _, n := range m.NetworkInterfaces.All() {
		if n.VpcID != of || n.Attachment == nil || n.RequesterManaged {
			continue
		}
		for _, p := range n.PrivateIps {
			x.byAddress[p.PrivateIp] = n
		}
		x.byInstance[n.Attachment.InstanceID] = append(x.byInstance[n.Attachment.InstanceID], n)
	}
	for _, nics := range x.byInstance {
		slices.SortFunc(nics, func(a, b *vpc.NetworkInterface) int {
			return cmp.Compare(a.Attachment.DeviceIndex, b.Attachment.DeviceIndex)
		})
	}
	return x
}
