package vpc

import (
	"encoding/binary"
	"net/netip"
)

// HasPublicAddresses tells whether a running instance or a NAT gateway of the VPC
// has a public address, automatic or Elastic: its Internet gateway then cannot be
// detached (IG-07).
func (m *Model) HasPublicAddresses(vpc VpcID) bool { return m.publicAddressInUse(vpc) }

// PublicAddressOf is the public address that the Internet gateway maps a private
// address of the interface to: the Elastic IP, or for the primary one the
// automatic address. It is invalid where there is none.
func (m *Model) PublicAddressOf(n *NetworkInterface, p PrivateAddress) netip.Addr {
	if a := m.Addresses.Get(p.AllocationID); a != nil {
		return a.PublicIp
	}
	if p.Primary {
		return n.PublicIp
	}
	return netip.Addr{}
}

// publicInUse are all public addresses that are taken, by Elastic IPs, by
// interfaces, by hosts on the Internet and by the machine itself, in all Regions.
func (m *Model) publicInUse() map[netip.Addr]bool {
	used := make(map[netip.Addr]bool, len(m.Addresses.m)+len(m.InternetHosts.m))
	for _, a := range m.Addresses.m {
		used[a.PublicIp] = true
	}
	for _, n := range m.NetworkInterfaces.m {
		if n.PublicIp.IsValid() {
			used[n.PublicIp] = true
		}
	}
	for _, h := range m.InternetHosts.m {
		if h.PublicIp.IsValid() {
			used[h.PublicIp] = true
		}
	}
	if m.Outside.Address.IsValid() {
		used[m.Outside.Address] = true
	}
	return used
}

// drawPublic draws a public address. It goes round the pools, starting behind the
// address drawn last, so that one just released is the last to come again (PI-02).
func (tx *Tx) drawPublic() (netip.Addr, error) {
	if len(tx.PublicPools) == 0 {
		return netip.Addr{}, errNoPublic
	}
	used := tx.publicInUse()
	start := 0
	for i, p := range tx.PublicPools {
		if p.Contains(tx.LastPublicIp) {
			start = i
		}
	}
	for i := range len(tx.PublicPools) + 1 { // the first pool twice: behind the last address, and before it
		p := tx.PublicPools[(start+i)%len(tx.PublicPools)]
		first, last := poolRange(p)
		if i == 0 && p.Contains(tx.LastPublicIp) {
			first = tx.LastPublicIp.Next()
		}
		if a, ok := firstFree(first, last, used); ok {
			tx.LastPublicIp = a
			return a, nil
		}
	}
	return netip.Addr{}, errNoPublic
}

var errNoPublic = errorf("InsufficientAddressCapacity", "There are no free addresses in the lab's public pools.")

// drawHostPublic draws an address for a host on the Internet: the lowest of the
// last pool, so that such hosts and AWS's addresses stand apart in captures.
func (tx *Tx) drawHostPublic() (netip.Addr, error) {
	used := tx.publicInUse()
	for i := len(tx.PublicPools) - 1; i >= 0; i-- {
		first, last := poolRange(tx.PublicPools[i])
		if a, ok := firstFree(first, last, used); ok {
			return a, nil
		}
	}
	return netip.Addr{}, errNoPublic
}

func firstFree(first, last netip.Addr, used map[netip.Addr]bool) (netip.Addr, bool) {
	for a := first; !last.Less(a); a = a.Next() {
		if !used[a] {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// poolRange is a pool's first and last usable address: without its network and
// broadcast addresses where it has such (RFC 3021).
func poolRange(p netip.Prefix) (first, last netip.Addr) {
	first = p.Masked().Addr()
	b := first.As4()
	end := binary.BigEndian.Uint32(b[:]) | (1<<(32-p.Bits()) - 1)
	binary.BigEndian.PutUint32(b[:], end)
	last = netip.AddrFrom4(b)
	if p.Bits() < 31 {
		return first.Next(), last.Prev()
	}
	return first, last
}

// inPools tells whether a can be drawn from the pools.
func (m *Model) inPools(a netip.Addr) bool {
	for _, p := range m.PublicPools {
		first, last := poolRange(p)
		if !a.Less(first) && !last.Less(a) {
			return true
		}
	}
	return false
}

// wantsPublic tells whether the interface is due an automatic public address
// (PI-01 to PI-03): made with the wish for it, the only interface of an instance
// that runs, and with no Elastic IP.
func (m *Model) wantsPublic(n *NetworkInterface) bool {
	if !n.MapPublic || n.Attachment == nil || n.Attachment.DeviceIndex != 0 {
		return false
	}
	for _, p := range n.PrivateIps {
		if p.AllocationID != "" {
			return false
		}
	}
	i := m.Instances.Get(n.Attachment.InstanceID)
	return i != nil && (i.State == StatePending || i.State == StateRunning) && len(m.InstanceInterfaces(i.ID)) == 1
}

// givePublic draws an automatic public address for the interface if it is due
// one and has none, in place: n is a copy that its caller puts back.
func (tx *Tx) givePublic(n *NetworkInterface) error {
	if n.PublicIp.IsValid() || !tx.wantsPublic(n) {
		return nil
	}
	a, err := tx.drawPublic()
	n.PublicIp = a
	return err
}

// PrivateDnsName is the IP name of a private address in a Region (DNS-05):
// ip-10-0-0-4.ap-northeast-1.compute.internal.
func PrivateDnsName(region string, a netip.Addr) string {
	return "ip-" + dashed(a) + "." + PrivateDnsDomain(region)
}

// PublicDnsName is the name of a public address of the VPC (DNS-06), "" while the
// VPC's DNS attributes are not both set (DNS-07).
func (m *Model) PublicDnsName(vpc VpcID, a netip.Addr) string {
	v := m.Vpcs.Get(vpc)
	if v == nil || !v.EnableDnsHostnames || !v.EnableDnsSupport || !a.IsValid() {
		return ""
	}
	return "ec2-" + dashed(a) + "." + PublicDnsDomain(v.Region)
}

// PrivateDnsDomain and PublicDnsDomain are the domains of the names that Amazon gives
// in a Region (DNS-05, DNS-06), without a final dot.
func PrivateDnsDomain(region string) string {
	if region == "us-east-1" {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

func PublicDnsDomain(region string) string {
	if region == "us-east-1" {
		return "compute-1.amazonaws.com"
	}
	return region + ".compute." + DnsSuffix(region)
}
