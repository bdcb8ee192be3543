package matrix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// An end is a row or column of the matrix.
type end struct {
	endpoint.End
	shown  control.MatrixEnd
	owner  vpc.InstanceID // of its interface
	bounds bounds
}

// endsOf finds the ends that a list of sets names, instances before hosts before the
// Internet, by name; all there are for an empty list.
func endsOf(m *vpc.Model, sets []string) ([]*end, error) {
	var ends []*end
	met := map[uint32]bool{}
	add := func(s endpoint.Set) error {
		for _, n := range s.Interfaces {
			if !isEnd(n) || met[n.Handle] {
				continue
			}
			met[n.Handle] = true
			e, err := ofInterface(m, n)
			if err != nil {
				return err
			}
			ends = append(ends, e)
		}
		for _, h := range s.Hosts {
			if met[h.Handle] {
				continue
			}
			met[h.Handle] = true
			e, err := endpoint.Find(m, string(h.ID))
			if err != nil {
				return err
			}
			ends = append(ends, &end{End: e, shown: shown(m, e)})
		}
		return nil
	}
	internet := len(sets) == 0
	if len(sets) == 0 {
		if err := add(endpoint.Everything(m)); err != nil {
			return nil, err
		}
	}
	for _, text := range sets {
		if strings.EqualFold(text, endpoint.KindInternet) {
			internet = true
			continue
		}
		s, err := endpoint.Interfaces(m, text)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(s.Interfaces, isEnd) && len(s.Hosts) == 0 {
			return nil, fmt.Errorf("%s has no network interface that could send or get packets: name an instance, an interface, a subnet, a VPC, a security group, a host, or internet", text)
		}
		if err := add(s); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(ends, func(a, b *end) int {
		return cmp.Or(strings.Compare(kindOrder(a), kindOrder(b)), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	if internet {
		e, err := endpoint.Find(m, endpoint.KindInternet)
		if err != nil {
			return nil, err
		}
		ends = append(ends, &end{End: e, shown: shown(m, e)})
	}
	return ends, nil
}

// isEnd tells whether packets begin or end at the interface.
func isEnd(n *vpc.NetworkInterface) bool {
	return n.InterfaceType != "natGateway" && n.Attachment != nil
}

func kindOrder(e *end) string {
	if e.Host != nil {
		return "2"
	}
	return "1"
}

// ofInterface is an interface as an end: its instance, if it is the instance's first.
func ofInterface(m *vpc.Model, n *vpc.NetworkInterface) (*end, error) {
	id := string(n.ID)
	if n.Attachment.InstanceID != "" && n.Attachment.DeviceIndex == 0 {
		id = string(n.Attachment.InstanceID)
	}
	e, err := endpoint.Find(m, id)
	if err != nil {
		return nil, err
	}
	if i := m.Instances.Get(n.Attachment.InstanceID); i != nil && n.Attachment.DeviceIndex > 0 && n.Name() == "" {
		e.Name = fmt.Sprintf("%s eth%d", i.Name(), n.Attachment.DeviceIndex)
	}
	return &end{End: e, shown: shown(m, e), owner: n.Attachment.InstanceID, bounds: ofGroups(m, n.Groups)}, nil
}

func shown(m *vpc.Model, e endpoint.End) control.MatrixEnd {
	s := control.MatrixEnd{Object: control.Object{Kind: e.Kind, ID: e.ID, Name: e.Name}}
	if e.Private.IsValid() {
		s.Private = e.Private.String()
	}
	if e.Public.IsValid() && e.Kind != endpoint.KindInternet {
		s.Public = e.Public.String()
	}
	if e.Interface != nil {
		if sub := m.Subnets.Get(e.Interface.SubnetID); sub != nil {
			s.Subnet = sub.Name()
			if s.Subnet == "" {
				s.Subnet = string(sub.ID)
			}
		}
	}
	return s
}
