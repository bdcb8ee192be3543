package daemon

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/slab"
	"github.com/vpcemu/vpcemu/nat"
)

const withNAT = `version: 1
name: lab
vpcs: {v: {cidr_block: 10.0.0.0/16, enable_dns_support: false}}
subnets: {s: {vpc: v, cidr_block: 10.0.1.0/24}}
nat_gateways: {n: {subnet: s, connectivity_type: private, private_ip: 10.0.1.10}}
`

// NA-17: an address that is taken from a NAT gateway stays as long as a connection uses it, and no longer.
func TestNA17_DrainsAsLongAsAConnectionUsesIt(t *testing.T) {
	b := newBench(t)
	b.mustUp(withNAT)
	b.must("AssignPrivateNatGatewayAddress", `{"NatGatewayId":"n","PrivateIpAddresses":["10.0.1.20","10.0.1.30"]}`)
	addresses := func() (list []string) {
		for _, g := range b.Model().NatGateways.All() {
			for _, a := range g.Addresses {
				list = append(list, a.PrivateIp.String())
			}
		}
		return list
	}
	equal(t, "addresses", addresses(), []string{"10.0.1.10", "10.0.1.20", "10.0.1.30"})
	var handle uint32
	for _, g := range b.Model().NatGateways.All() {
		handle = b.Model().NetworkInterfaces.Get(g.NetworkInterfaceID).Handle
	}
	addr := func(text string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(text)) }
	mapping := nat.Mapping{Gateway: handle, Proto: 17, Inside: addr("10.0.1.5"), InsidePort: 1000, Outside: addr("10.0.1.20"), OutsidePort: 2000,
		Dest: addr("10.1.0.5"), DestPort: 53, IdleTimeout: 350 * time.Second}
	if _, err := b.nats.Commit(mapping, 0, false, slab.Boottime()); err != nil {
		t.Fatal(err)
	}
	b.must("UnassignPrivateNatGatewayAddress", `{"NatGatewayId":"n","PrivateIpAddresses":["10.0.1.20","10.0.1.30"]}`)
	b.eventually("the address that nothing uses is gone", func() bool { return len(addresses()) == 2 })
	if err := b.dropIdle(); err != nil {
		t.Fatal(err)
	}
	equal(t, "with a connection", addresses(), []string{"10.0.1.10", "10.0.1.20"})
	b.nats.RemoveAddress(handle, addr("10.0.1.20"))
	b.eventually("the address goes after its last connection", func() bool { return fmt.Sprint(addresses()) == "[10.0.1.10]" })
}
