package explain

import (
	"cmp"
	"fmt"
	"net/netip"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// adviseNoRoute adds a route by which the packet leaves: to the Internet gateway for a
// source that has a public address, else to a NAT gateway.
func adviseNoRoute(f *fault) []string {
	table := f.m.RouteTables.Get(vpc.RouteTableID(f.step.By.ID))
	if table == nil {
		return nil
	}
	name := refer(f, table.ID, table.Name())
	if f.pkt.Dst.Netip().IsPrivate() {
		return []string{fmt.Sprintf("Route table %s has no route to %s, which is no address of this VPC. Other networks are reached by way of an instance that forwards: vpcemu ec2 create-route --route-table-id %[1]s --destination-cidr-block CIDR --instance-id INSTANCE.",
			name, f.pkt.Dst)}
	}
	why := fmt.Sprintf("Route table %s%s has no route to %s, nor a default route.", name, f.usedBy(table), f.pkt.Dst)
	add := []string{"--route-table-id " + name, "--destination-cidr-block 0.0.0.0/0"}
	before, flag, how := f.wayOut(table.VpcID, f.hasPublic(table.VpcID))
	return append(append([]string{why + " " + how}, before...), f.command("create-route", append(add, flag)...))
}

// usedBy says that a table is used for want of another.
func (f *fault) usedBy(t *vpc.RouteTable) string {
	n := f.eniOf(f.step.At)
	if n == nil {
		return ""
	}
	s := f.m.Subnets.Get(n.SubnetID)
	if s == nil {
		return ""
	}
	for _, a := range t.Associations {
		if a.SubnetID == s.ID {
			return ""
		}
	}
	return fmt.Sprintf(" (the VPC's main one: subnet %s is associated with no other)", cmp.Or(s.Name(), string(s.ID)))
}

// hasPublic tells whether the packet's source has a public address.
func (f *fault) hasPublic(id vpc.VpcID) bool {
	n := f.interfaceWith(id, f.pkt.Src.Netip())
	if n == nil {
		return false
	}
	for _, p := range n.PrivateIps {
		if p.PrivateIp == f.pkt.Src.Netip() {
			return f.m.PublicAddressOf(n, p).IsValid()
		}
	}
	return false
}

// wayOut is a route's target for the Internet: commands that make it where there is none, the
// flag that names it, and why that one.
func (f *fault) wayOut(id vpc.VpcID, public bool) (before []string, flag, how string) {
	if !public {
		if g := f.natGatewayIn(id, ""); g != nil {
			return nil, "--nat-gateway-id " + refer(f, g.ID, g.Name()),
				"The source has no public address, so its way out is a NAT gateway."
		}
	}
	g := f.m.VpcInternetGateway(id)
	if g == nil {
		name := named[vpc.InternetGatewayID](f, f.vpcName(id)+"-igw")
		return []string{f.command("create-internet-gateway", tag("internet-gateway", name)),
				f.command("attach-internet-gateway", "--internet-gateway-id "+name, "--vpc-id "+f.vpcRef(id))},
			"--gateway-id " + name, "The VPC has no Internet gateway yet."
	}
	how = "The way to the Internet is the Internet gateway."
	if !public {
		how = "The VPC has no NAT gateway; by the Internet gateway the source needs a public address as well."
	}
	return nil, "--gateway-id " + refer(f, g.ID, g.Name()), how
}

// natGatewayIn is a public NAT gateway of a VPC that works, other than one, nil for none.
func (f *fault) natGatewayIn(id vpc.VpcID, other vpc.NatGatewayID) *vpc.NatGateway {
	for _, g := range f.m.NatGateways.All() {
		if g.VpcID == id && g.State == "available" && g.ConnectivityType == "public" && g.ID != other && f.isPublic(g.SubnetID) {
			return g
		}
	}
	return nil
}

// isPublic tells whether a subnet is what AWS calls public: routed to the Internet gateway.
func (f *fault) isPublic(id vpc.SubnetID) bool {
	t := f.m.RouteTableOf(id)
	if t == nil {
		return false
	}
	for _, r := range t.Routes {
		if r.GatewayID != "" && f.m.RouteState(r) == vpc.RouteActive {
			return true
		}
	}
	return false
}

func (f *fault) vpcName(id vpc.VpcID) string {
	if v := f.m.Vpcs.Get(id); v != nil && v.Name() != "" {
		return v.Name()
	}
	return "vpc"
}

func (f *fault) vpcRef(id vpc.VpcID) string {
	if v := f.m.Vpcs.Get(id); v != nil {
		return refer(f, id, v.Name())
	}
	return string(id)
}

// adviseBlackhole mends the route whose target is gone, or leads it elsewhere.
func adviseBlackhole(f *fault) []string {
	table := f.m.RouteTables.Get(vpc.RouteTableID(f.step.By.ID))
	route := f.step.Rule.Route
	if table == nil || route == nil {
		return nil
	}
	name := refer(f, table.ID, table.Name())
	why := fmt.Sprintf("The route to %s in %s leads to %s, which is %s. A route stays when its target goes, and no shorter one stands in for it.",
		route.Dest, name, f.target(route), f.whatBecameOf(route))
	if id := vpc.InternetGatewayID(route.TargetID); route.Target == dataplane.TargetIGW && f.m.VpcInternetGateway(table.VpcID) == nil {
		if g := f.m.InternetGateways.Get(id); g != nil && g.VpcID == "" {
			return []string{why, f.command("attach-internet-gateway", "--internet-gateway-id "+refer(f, id, g.Name()), "--vpc-id "+f.vpcRef(table.VpcID))}
		}
	}
	if i := f.stoppedTarget(route); i != nil {
		return []string{why, f.command("start-instances", "--instance-ids "+refer(f, i.ID, i.Name()))}
	}
	flags := []string{"--route-table-id " + name, "--destination-cidr-block " + route.Dest.String()}
	if route.Target == dataplane.TargetENI && route.Dest.Bits() > 0 {
		if f.m.Vpcs.Get(table.VpcID) != nil && f.subnetWith(table.VpcID, f.pkt.Dst.Netip()) != nil {
			return []string{why + " Without it the local route leads there:", f.command("delete-route", flags...)}
		}
	}
	before, flag, how := f.wayOut(table.VpcID, f.hasPublic(table.VpcID))
	if route.Target == dataplane.TargetNAT && f.natGatewayIn(table.VpcID, "") == nil {
		before, flag, how = f.newNAT(table.VpcID)
	}
	if flag == "" {
		return []string{why + " " + how}
	}
	return append(append([]string{why + " " + how}, before...), f.command("replace-route", append(flags, flag)...))
}

// whatBecameOf says why a route's target is unavailable.
func (f *fault) whatBecameOf(r *dataplane.Route) string {
	switch r.Target {
	case dataplane.TargetIGW:
		if f.m.InternetGateways.Get(vpc.InternetGatewayID(r.TargetID)) != nil {
			return "not attached to this VPC"
		}
	case dataplane.TargetNAT:
		if g := f.m.NatGateways.Get(vpc.NatGatewayID(r.TargetID)); g != nil {
			return g.State
		}
	case dataplane.TargetENI:
		if f.stoppedTarget(r) != nil {
			return "an interface of a stopped instance"
		}
		if n := f.m.NetworkInterfaces.Get(vpc.NetworkInterfaceID(r.TargetID)); n != nil && n.Attachment == nil {
			return "attached to nothing"
		}
	}
	return "gone"
}

// stoppedTarget is the stopped instance whose interface a route leads to, nil for none.
func (f *fault) stoppedTarget(r *dataplane.Route) *vpc.Instance {
	n := f.m.NetworkInterfaces.Get(vpc.NetworkInterfaceID(r.TargetID))
	if n == nil || n.Attachment == nil {
		return nil
	}
	i := f.m.Instances.Get(n.Attachment.InstanceID)
	if i == nil || i.State != vpc.StateStopped {
		return nil
	}
	return i
}

// newNAT makes a NAT gateway in a public subnet. The flag is "" where there is none.
func (f *fault) newNAT(id vpc.VpcID) (before []string, flag, how string) {
	var public *vpc.Subnet
	for _, s := range f.m.Subnets.All() {
		if s.VpcID == id && f.isPublic(s.ID) {
			public = s
			break
		}
	}
	if public == nil {
		return nil, "", "A NAT gateway needs a public subnet, one that is routed to the Internet gateway, and the VPC has none."
	}
	before, allocation := f.elasticIP(f.vpcName(id) + "-nat")
	name := named[vpc.NatGatewayID](f, "nat")
	before = append(before, f.command("create-nat-gateway", "--subnet-id "+refer(f, public.ID, public.Name()), "--allocation-id "+allocation, tag("natgateway", name)))
	return before, "--nat-gateway-id " + name, fmt.Sprintf("Make a NAT gateway in the public subnet %s:", cmp.Or(public.Name(), string(public.ID)))
}

// elasticIP is an Elastic IP that nobody uses, and the command that allocates it where there
// is none.
func (f *fault) elasticIP(base string) (before []string, allocation string) {
	for _, a := range f.m.Addresses.All() {
		if a.AssociationID == "" {
			return nil, refer(f, a.AllocationID, a.Name())
		}
	}
	name := named[vpc.AllocationID](f, base)
	return []string{f.command("allocate-address", "--domain vpc", tag("elastic-ip", name))}, name
}

// adviseLoop: a NAT gateway whose own subnet is routed to it, or middleboxes that send a
// packet to one another.
func adviseLoop(f *fault) []string {
	g := f.m.NatGateways.Get(vpc.NatGatewayID(f.step.By.ID))
	if g == nil {
		return []string{"The packet goes round in circles: look at the route tables of the subnets that the middleboxes are in."}
	}
	s := f.m.Subnets.Get(g.SubnetID)
	table := f.m.RouteTableOf(g.SubnetID)
	if s == nil || table == nil {
		return nil
	}
	if n := f.answering(); f.returning && n != nil && f.m.PublicAddressOf(n, n.PrivateIps[0]).IsValid() {
		return f.sameWayBack()
	}
	why := fmt.Sprintf("NAT gateway %s is in subnet %s, whose route table leads to %[1]s itself. It has to be in a public subnet, one that is routed to the Internet gateway.",
		cmp.Or(g.Name(), string(g.ID)), cmp.Or(s.Name(), string(s.ID)))
	before, flag, how := f.newNAT(g.VpcID)
	if flag == "" {
		return []string{why + " " + how}
	}
	replace := f.command("replace-route", "--route-table-id "+refer(f, table.ID, table.Name()), "--destination-cidr-block "+f.routeTo(table, g.ID), flag)
	return append(append([]string{why + " " + how}, before...), replace)
}

// routeTo is the destination of the route that leads to a NAT gateway.
func (f *fault) routeTo(t *vpc.RouteTable, id vpc.NatGatewayID) string {
	for _, r := range t.Routes {
		if r.NatGatewayID == id {
			return r.DestinationCidrBlock.String()
		}
	}
	return "0.0.0.0/0"
}

// adviseNoPublicAddress gives the source an Elastic IP, or names the NAT gateway that is
// the way out without one.
func adviseNoPublicAddress(f *fault) []string {
	v := f.vpcOf()
	if v == nil {
		return nil
	}
	n := f.interfaceWith(v.ID, f.pkt.Src.Netip())
	if n == nil {
		return nil
	}
	if n.InterfaceType == "natGateway" {
		return []string{fmt.Sprintf("%s is a private NAT gateway, and an Internet gateway lets out only what has a public address: make one of connectivity type public.",
			title(f.eni(f.step.At)))}
	}
	why := fmt.Sprintf("The Internet gateway lets out only what has a public address, and %s of %s has none.", f.pkt.Src, cmp.Or(f.interfaceName(n), string(n.ID)))
	if g := f.natGatewayIn(v.ID, ""); g != nil {
		if t := f.m.RouteTableOf(n.SubnetID); t != nil {
			why += fmt.Sprintf(" Without one, route its subnet to NAT gateway %s. Or give it an Elastic IP:", cmp.Or(g.Name(), string(g.ID)))
		}
	}
	return append([]string{why}, f.associate(n, f.pkt.Src.Netip())...)
}

// associate are the commands that give an interface an Elastic IP.
func (f *fault) associate(n *vpc.NetworkInterface, private netip.Addr) []string {
	before, allocation := f.elasticIP(cmp.Or(f.interfaceName(n), "eip"))
	flags := []string{"--allocation-id " + allocation, f.interfaceFlag(n)}
	if n.Primary() != private {
		flags = append(flags, "--private-ip-address "+private.String())
	}
	return append(before, f.command("associate-address", flags...))
}

// interfaceFlag names an interface to an operation: by its instance where that has no other.
func (f *fault) interfaceFlag(n *vpc.NetworkInterface) string {
	if a := n.Attachment; a != nil && a.InstanceID != "" && len(f.m.InstanceInterfaces(a.InstanceID)) == 1 {
		if i := f.m.Instances.Get(a.InstanceID); i != nil {
			return "--instance-id " + refer(f, i.ID, i.Name())
		}
	}
	return "--network-interface-id " + refer(f, n.ID, n.Name())
}

// adviseRedirection routes the subnet out through the appliance by which its traffic comes in.
func adviseRedirection(f *fault) []string {
	v := f.vpcOf()
	route := f.step.Rule.Route
	if v == nil || route == nil || route.ENI == nil {
		return nil
	}
	appliance := f.eniOf(route.ENI)
	s := f.subnetWith(v.ID, f.pkt.Src.Netip())
	if appliance == nil || s == nil {
		return nil
	}
	table := f.m.RouteTableOf(s.ID)
	if table == nil {
		return nil
	}
	return []string{fmt.Sprintf("The Internet gateway's route table leads what comes in for %s through %s, so what goes out has to take the same way:",
		route.Dest, title(f.eni(route.ENI))),
		f.command("replace-route", "--route-table-id "+refer(f, table.ID, table.Name()), "--destination-cidr-block 0.0.0.0/0",
			f.interfaceFlag(appliance))}
}

// adviseAppliance gives the appliance behind the gateway its public address (RT-14).
func adviseAppliance(f *fault) []string {
	n := f.m.NetworkInterfaces.Get(vpc.NetworkInterfaceID(f.step.By.ID))
	if n == nil {
		return nil
	}
	return append([]string{"An interface that an Internet gateway's route table leads to needs a public address itself:"}, f.associate(n, n.Primary())...)
}

// adviseIdle: TCP in mid-stream that no mapping covers (NA-07), or the answer to what came
// in by another way.
func adviseIdle(f *fault) []string {
	if f.returning {
		return f.sameWayBack()
	}
	return []string{"The NAT gateway has no mapping for this connection: it forgets one after 350 seconds without a packet, and a connection must begin with a SYN. " +
		"Keep connections busy (TCP keepalive below 350 seconds), or open a new one."}
}

// adviseAstray: both ways are open, and are not one another's.
func adviseAstray(f *fault) []string {
	for i := range f.leg.Steps {
		if f.leg.Steps[i].Stage == dataplane.StageNAT {
			f.step = &f.leg.Steps[i]
			return f.sameWayBack()
		}
	}
	return []string{"Let the answer go back by the way that the packet came: the routes of both subnets have to lead through the same middlebox or gateway."}
}

// sameWayBack leads the answer of an instance with a public address to the Internet gateway
// by which it was asked, instead of to a NAT gateway.
func (f *fault) sameWayBack() []string {
	nat := f.m.NatGateways.Get(vpc.NatGatewayID(f.step.By.ID))
	n := f.answering()
	if nat == nil || n == nil {
		return []string{"The answer goes back through a NAT gateway, by which the packet did not come: it has to go back the same way."}
	}
	why := fmt.Sprintf("The packet came in by the Internet gateway, and subnet %s leads the answer to NAT gateway %s, which knows nothing of it. An instance with a public address belongs in a public subnet.",
		f.subnetName(n.SubnetID), cmp.Or(nat.Name(), string(nat.ID)))
	t, g := f.m.RouteTableOf(n.SubnetID), f.m.VpcInternetGateway(n.VpcID)
	if t == nil || g == nil {
		return []string{why}
	}
	return []string{why + " This makes this one public (instances in it without a public address lose their way out):",
		f.command("replace-route", "--route-table-id "+refer(f, t.ID, t.Name()), "--destination-cidr-block "+f.routeTo(t, nat.ID), "--gateway-id "+refer(f, g.ID, g.Name()))}
}

// answering is the interface that the answer comes from, nil for a host's.
func (f *fault) answering() *vpc.NetworkInterface {
	for _, n := range f.m.NetworkInterfaces.All() {
		if n.Handle == f.leg.From {
			return n
		}
	}
	return nil
}

func (f *fault) subnetName(id vpc.SubnetID) string {
	if s := f.m.Subnets.Get(id); s != nil {
		return cmp.Or(s.Name(), string(id))
	}
	return string(id)
}
