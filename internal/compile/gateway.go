package compile

import (
	"fmt"
	"net"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/nat"
)

// natIdle is the idle timeout of a NAT gateway (NA-07).
const natIdle = 350 * time.Second

func (c *compiler) makeNATGateways() error {
	for id, n := range c.m.NatGateways.All() {
		e := c.enis[n.NetworkInterfaceID]
		if n.State != "available" || e == nil {
			continue // its routes are blackholes (RT-10)
		}
		out := &dataplane.NATGateway{Ref: ref(string(id), n.Name()), ENI: e}
		out.Handle = e.Handle
		out.IdleTimeout = natIdle
		for _, a := range n.Addresses {
			if a.Draining() {
				out.Draining = append(out.Draining, packet.AddrFrom(a.PrivateIp)) // NA-17
			} else {
				out.Addrs = append(out.Addrs, packet.AddrFrom(a.PrivateIp))
			}
		}
		e.NAT = out
		if e.Name == "" {
			e.Name = n.Name()
		}
		c.nats[id] = out
	}
	return nil
}

// publicAddresses are a VPC's: those that its Internet gateway maps, and those of
// ENIs that are attached to nothing, which lead to the gateway and no further (IG-04).
type publicAddresses struct {
	pairs []nat.Pair
	idle  []packet.Addr
}

func (c *compiler) makeInternetGateways() error {
	public := map[vpc.VpcID]*publicAddresses{}
	for _, e := range c.m.NetworkInterfaces.All() {
		for _, p := range e.PrivateIps {
			a := c.m.PublicAddressOf(e, p)
			if !a.IsValid() {
				continue
			}
			of := public[e.VpcID]
			if of == nil {
				of = &publicAddresses{}
				public[e.VpcID] = of
			}
			if e.Attachment == nil && e.InterfaceType != "natGateway" { // IG-03: no available attachment
				of.idle = append(of.idle, packet.AddrFrom(a))
			} else {
				of.pairs = append(of.pairs, nat.Pair{Private: packet.AddrFrom(p.PrivateIp), Public: packet.AddrFrom(a)})
			}
		}
	}
	for id, g := range c.m.InternetGateways.All() {
		v := c.vpcs[g.VpcID]
		if v == nil {
			continue // detached
		}
		of := public[g.VpcID]
		if of == nil {
			of = &publicAddresses{}
		}
		out := &dataplane.InternetGateway{Ref: ref(string(id), g.Name()), VPC: v, NAT: nat.NewOneToOne(of.pairs)}
		v.IGW = out
		c.igws[id] = out
		for _, p := range of.pairs {
			c.s.Internet.GatewayOf[p.Public] = out
		}
		for _, a := range of.idle {
			c.s.Internet.GatewayOf[a] = out
		}
	}
	return nil
}

// makeRoutes gives every subnet its route table: its own, or its VPC's main one
// (RT-01).
func (c *compiler) makeRoutes() error {
	main := map[vpc.VpcID]*vpc.RouteTable{}
	own := map[vpc.SubnetID]*vpc.RouteTable{}
	for _, t := range c.m.RouteTables.All() {
		for _, a := range t.Associations {
			switch {
			case a.Main:
				main[t.VpcID] = t
			case a.SubnetID != "":
				own[a.SubnetID] = t
			case c.igws[a.GatewayID] != nil:
				c.igws[a.GatewayID].Ingress = c.table(t) // RT-14
			}
		}
	}
	for id, s := range c.m.Subnets.All() {
		t := own[id]
		if t == nil {
			t = main[s.VpcID]
		}
		if t == nil {
			return fmt.Errorf("subnet %s: no route table", id)
		}
		c.subnets[id].Routes = c.table(t)
	}
	return nil
}

func (c *compiler) table(t *vpc.RouteTable) *dataplane.RouteTable {
	if out := c.tables[t.ID]; out != nil {
		return out
	}
	routes := make([]dataplane.Route, 0, len(t.Routes))
	for _, r := range t.Routes {
		out := dataplane.Route{Dest: r.DestinationCidrBlock, Blackhole: c.m.RouteState(r) == vpc.RouteBlackhole}
		switch {
		case r.Local:
			out.Target, out.TargetID = dataplane.TargetLocal, "local"
		case r.GatewayID != "":
			out.Target, out.TargetID, out.IGW = dataplane.TargetIGW, string(r.GatewayID), c.igws[r.GatewayID]
		case r.NatGatewayID != "":
			out.Target, out.TargetID, out.NAT = dataplane.TargetNAT, string(r.NatGatewayID), c.nats[r.NatGatewayID]
		default:
			out.Target, out.TargetID, out.ENI = dataplane.TargetENI, string(r.NetworkInterfaceID), c.enis[r.NetworkInterfaceID]
		}
		routes = append(routes, out)
	}
	c.tables[t.ID] = dataplane.NewRouteTable(ref(string(t.ID), t.Name()), routes)
	return c.tables[t.ID]
}

func (c *compiler) makeHosts() error {
	if port := c.ports.Services(""); port != nil {
		a := packet.AddrFrom(vpc.InternetResolver)
		c.s.Internet.Hosts[a] = &dataplane.InternetHost{Ref: ref("resolver", "resolver"), Handle: vpc.InternetResolverHandle, Addr: a, Port: port}
	}
	for id, h := range c.m.InternetHosts.All() {
		if h.State == vpc.StateTerminated {
			continue
		}
		out := &dataplane.InternetHost{Ref: ref(string(id), h.HostName), Handle: h.Handle,
			Addr: packet.AddrFrom(h.PublicIp), Port: c.ports.ENI(h.Handle)}
		if h.Mac != "" {
			mac, err := net.ParseMAC(h.Mac)
			if err != nil || len(mac) != 6 {
				return fmt.Errorf("internet host %s: MAC address %q", id, h.Mac)
			}
			out.MAC = [6]byte(mac)
		}
		c.s.Internet.Hosts[out.Addr] = out
	}
	return nil
}
