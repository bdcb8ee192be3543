package compile

import (
	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// makeOutside ties the Internet to the machine that the lab runs on. Joined, it is a host of
// the Internet; the uplink is the same device, and then the same host, whatever the addresses
// that its packets come from.
func (c *compiler) makeOutside() error {
	o := &c.m.Outside
	if !o.Linked() {
		return nil
	}
	u := &dataplane.Uplink{
		InternetHost: dataplane.InternetHost{Ref: ref(vpc.HostName, vpc.HostName), Handle: o.Handle, Port: c.ports.ENI(o.Handle)},
		Lab:          c.m.PublicPools, Refuses: c.ports.Refused(), Allows: o.UplinkAllow,
	}
	if o.Join {
		u.Addr = packet.AddrFrom(o.Address)
		c.s.Internet.Hosts[u.Addr] = &u.InternetHost
	}
	if o.Uplink == vpc.UplinkHost {
		c.s.Internet.Uplink = u
	}
	return nil
}
