package vpc

import (
	"net/netip"
	"slices"
	"strings"
)

// AssignPrivateIpAddressesInput and the other types below have the members of the EC2 API.
type AssignPrivateIpAddressesInput struct {
	NetworkInterfaceId             NetworkInterfaceID
	PrivateIpAddresses             []string
	SecondaryPrivateIpAddressCount *int
	AllowReassignment              bool
}

type AssignPrivateIpAddressesOutput struct {
	NetworkInterfaceId         NetworkInterfaceID         `json:"NetworkInterfaceId"`
	AssignedPrivateIpAddresses []AssignedPrivateIpAddress `json:"AssignedPrivateIpAddresses"`
}

type AssignedPrivateIpAddress struct {
	PrivateIpAddress string `json:"PrivateIpAddress"`
}

type UnassignPrivateIpAddressesInput struct {
	NetworkInterfaceId NetworkInterfaceID
	PrivateIpAddresses []string
}

type UnassignPrivateIpAddressesOutput struct{}

// maxAssign bounds how many addresses one call may ask for, above what any
// instance type takes.
const maxAssign = 50

// AssignPrivateIpAddresses gives the interface secondary addresses, chosen or
// counted. With AllowReassignment it takes secondary addresses away from other
// interfaces of the subnet, and their Elastic IPs come along (EI-05). The guest
// configures secondary addresses itself (EN-06).
func (tx *Tx) AssignPrivateIpAddresses(in *AssignPrivateIpAddressesInput) (*AssignPrivateIpAddressesOutput, error) {
	n, err := tx.ownInterface(in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	s, err := find(&tx.Subnets, n.SubnetID)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	switch {
	case len(in.PrivateIpAddresses) > 0 && in.SecondaryPrivateIpAddressCount != nil:
		return nil, errorf("InvalidParameterCombination", "The parameters privateIpAddresses and secondaryPrivateIpAddressCount cannot be used together")
	case len(in.PrivateIpAddresses) > 0:
		addrs, err = tx.reassignable(n, s, in.PrivateIpAddresses, in.AllowReassignment)
	case in.SecondaryPrivateIpAddressCount != nil:
		addrs, err = tx.freeAddresses(s, *in.SecondaryPrivateIpAddressCount)
	default:
		err = errMissing("privateIpAddresses or secondaryPrivateIpAddressCount")
	}
	if err != nil {
		return nil, err
	}
	fresh := slices.DeleteFunc(slices.Clone(addrs), n.has)
	if err := tx.addressLimit(n, len(n.PrivateIps)+len(fresh)); err != nil {
		return nil, err
	}
	c := n.change()
	for _, a := range fresh {
		c.PrivateIps = append(c.PrivateIps, PrivateAddress{PrivateIp: a, AllocationID: tx.takeAway(a, c)})
	}
	tx.NetworkInterfaces.Put(c.ID, c)
	out := &AssignPrivateIpAddressesOutput{NetworkInterfaceId: n.ID, AssignedPrivateIpAddresses: []AssignedPrivateIpAddress{}}
	for _, a := range addrs {
		out.AssignedPrivateIpAddresses = append(out.AssignedPrivateIpAddresses, AssignedPrivateIpAddress{a.String()})
	}
	return out, nil
}

// reassignable checks addresses that n is to get: free, or with move, secondary
// ones of any interface.
func (tx *Tx) reassignable(n *NetworkInterface, s *Subnet, texts []string, move bool) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, text := range texts {
		a, err := tx.subnetAddress(s, text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(addrs, a) {
			return nil, errInvalid("Address %s is given twice", a)
		}
		holder := tx.holder(s.ID, a)
		switch {
		case holder == nil:
		case holder.Primary() == a:
			return nil, errInvalid("[%s] is the primary address of %s and cannot be moved", a, holder.ID)
		case !move:
			return nil, errInvalid("[%s] is assigned to %s, but move is not allowed.", a, holder.ID)
		case holder.RequesterManaged:
			return nil, errorf("OperationNotPermitted", "[%s] is assigned to %s, which is managed by its requester.", a, holder.ID)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

// takeAway removes a secondary address from the interface that holds it, if any,
// and returns the Elastic IP that moves with it to the interface to (EI-05).
func (tx *Tx) takeAway(a netip.Addr, to *NetworkInterface) AllocationID {
	from := tx.holder(to.SubnetID, a)
	if from == nil {
		return ""
	}
	c := from.change()
	i := c.index(a)
	id := c.PrivateIps[i].AllocationID
	c.PrivateIps = slices.Delete(c.PrivateIps, i, i+1)
	tx.NetworkInterfaces.Put(c.ID, c)
	if e := tx.Addresses.Get(id); e != nil {
		moved := *e
		moved.NetworkInterfaceID = to.ID
		tx.Addresses.Put(id, &moved)
	}
	return id
}

// UnassignPrivateIpAddresses takes secondary addresses from the interface; their
// Elastic IPs are disassociated and stay allocated.
func (tx *Tx) UnassignPrivateIpAddresses(in *UnassignPrivateIpAddressesInput) (*UnassignPrivateIpAddressesOutput, error) {
	n, err := tx.ownInterface(in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	if len(in.PrivateIpAddresses) == 0 {
		return nil, errMissing("privateIpAddresses")
	}
	c := n.change()
	var freed []AllocationID
	for _, text := range in.PrivateIpAddresses {
		a, _ := netip.ParseAddr(text)
		i := c.index(a)
		switch {
		case i < 0:
			return nil, errInvalid("Some of the specified addresses are not assigned to interface %s: [%s]", n.ID, text)
		case i == 0:
			return nil, errInvalid("[%s] is the primary address of %s and cannot be unassigned", text, n.ID)
		}
		freed = append(freed, c.PrivateIps[i].AllocationID)
		c.PrivateIps = slices.Delete(c.PrivateIps, i, i+1)
	}
	for _, id := range freed {
		tx.freeAddress(id)
	}
	tx.NetworkInterfaces.Put(c.ID, c)
	return &UnassignPrivateIpAddressesOutput{}, nil
}

// index is the place of a among the interface's addresses, -1 if it has it not.
func (n *NetworkInterface) index(a netip.Addr) int {
	return slices.IndexFunc(n.PrivateIps, func(p PrivateAddress) bool { return p.PrivateIp == a })
}

func (n *NetworkInterface) has(a netip.Addr) bool { return n.index(a) >= 0 }

// holder is the interface of the subnet that has the address, or nil.
func (m *Model) holder(subnet SubnetID, a netip.Addr) *NetworkInterface {
	for _, n := range m.NetworkInterfaces.each() {
		if n.SubnetID == subnet && n.has(a) {
			return n
		}
	}
	return nil
}

// addressRequest is what the maker of an interface says of its addresses.
type addressRequest struct {
	primary        string // or in list
	list           []PrivateIpAddressSpecification
	secondaryCount *int // automatic ones, besides or instead of the list's
	// launch: a list without a primary is one of secondary addresses, and the primary is chosen, as
	// RunInstances does (Terraform's secondary_private_ips rely on it). Otherwise its first is the primary.
	launch bool
}

// chooseAddresses turns a request into free addresses of the subnet, the primary
// first.
func (tx *Tx) chooseAddresses(s *Subnet, r addressRequest) ([]netip.Addr, error) {
	texts, err := r.explicit()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, text := range texts {
		a, err := tx.subnetAddress(s, text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(addrs, a) || tx.holder(s.ID, a) != nil {
			return nil, errorf("InvalidIPAddress.InUse", "Address %s is in use.", a)
		}
		addrs = append(addrs, a)
	}
	if r.launch && len(addrs) > 0 && !r.saysPrimary() {
		primary, err := tx.freeAddresses(s, 1, addrs...)
		if err != nil {
			return nil, err
		}
		addrs = slices.Insert(addrs, 0, primary[0])
	}
	want := 0
	if r.secondaryCount != nil {
		want = *r.secondaryCount
	}
	if len(addrs) == 0 {
		want++ // the primary
	}
	if want == 0 && r.secondaryCount == nil {
		return addrs, nil
	}
	more, err := tx.freeAddresses(s, want, addrs...)
	return append(addrs, more...), err
}

func (r addressRequest) saysPrimary() bool {
	return r.primary != "" || slices.ContainsFunc(r.list, func(p PrivateIpAddressSpecification) bool { return p.Primary != nil && *p.Primary })
}

// explicit lists the addresses given in words, the primary first.
func (r addressRequest) explicit() ([]string, error) {
	primaries := 0
	var texts []string
	if r.primary != "" {
		primaries, texts = 1, []string{r.primary}
	}
	for _, p := range r.list {
		if p.Primary != nil && *p.Primary {
			primaries++
			texts = slices.Insert(texts, 0, p.PrivateIpAddress)
			continue
		}
		texts = append(texts, p.PrivateIpAddress)
	}
	if primaries > 1 {
		return nil, errorf("InvalidParameterCombination", "Only one private IP address can be designated as primary.")
	}
	if r.secondaryCount != nil && len(r.list) > primaries {
		return nil, errorf("InvalidParameterCombination", "Secondary addresses and secondaryPrivateIpAddressCount cannot be used together")
	}
	return texts, nil
}

// subnetAddress reads an address that an interface of the subnet may have: not
// one of the five reserved ones (AD-11).
func (m *Model) subnetAddress(s *Subnet, text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil || !a.Is4():
		return a, errValue(text, "privateIpAddress", "Invalid IPv4 address.")
	case !s.CidrBlock.Contains(a):
		return a, errInvalid("Address %s does not fall within the subnet's address range %s", a, s.CidrBlock)
	case m.Reserved(s.ID, a):
		return a, errInvalid("Address %s is in subnet's reserved address range", a)
	}
	return a, nil
}

// freeAddresses are the subnet's lowest free addresses outside its reservations
// (AD-11, AD-14), besides those that are about to be taken.
func (m *Model) freeAddresses(s *Subnet, count int, taken ...netip.Addr) ([]netip.Addr, error) {
	if count < 1 || count > maxAssign {
		return nil, errValue(count, "secondaryPrivateIpAddressCount", "")
	}
	used := m.usedAddresses(s.ID)
	for _, a := range taken {
		used[a] = true
	}
	var kept []netip.Prefix
	for _, r := range m.SubnetCidrReservations.each() {
		if r.SubnetID == s.ID {
			kept = append(kept, r.Cidr)
		}
	}
	var free []netip.Addr
	for n := uint32(4); n < s.size()-1 && len(free) < count; n++ {
		a := offset(s.CidrBlock.Addr(), n)
		if !used[a] && !slices.ContainsFunc(kept, func(p netip.Prefix) bool { return p.Contains(a) }) {
			free = append(free, a)
		}
	}
	if len(free) < count {
		return nil, errorf("InsufficientFreeAddressesInSubnet", "The specified subnet '%s' does not have enough free addresses to satisfy the request.", s.ID)
	}
	return free, nil
}

// addressText is a as the API prints it: "" for none.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// dashed is a as it stands in host names: 10-0-0-4.
func dashed(a netip.Addr) string { return strings.ReplaceAll(a.String(), ".", "-") }
