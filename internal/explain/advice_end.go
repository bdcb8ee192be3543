package explain

import (
	"cmp"
	"fmt"
	"net/netip"

	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// adviseUnassigned: nobody in the VPC has the address. An instance that did would get it.
func adviseUnassigned(f *fault) []string {
	a := f.pkt.Dst.Netip()
	why := fmt.Sprintf("No network interface has %s: `vpcemu ls` shows the addresses of the instances.", a)
	v := f.vpcOf()
	if v == nil {
		return []string{why}
	}
	if n := f.to.Interface; n != nil && n.VpcID != v.ID && !f.returning {
		why = fmt.Sprintf("No network interface of this VPC has %s: %s, which has it, is in another one.", a, f.to.Name)
		if public := f.publicOf(n, a); public.IsValid() {
			why += fmt.Sprintf(" From here it has %s: `vpcemu trace %s %s %s`.", public, f.from.Name, public, f.asked())
		}
	}
	s := f.subnetWith(v.ID, a)
	if s == nil {
		return []string{why + " It lies in none of the VPC's subnets either."}
	}
	return []string{why + " To launch an instance with it:", f.command("run-instances", "--subnet-id "+refer(f, s.ID, s.Name()), "--private-ip-address "+a.String())}
}

// adviseDetached starts the instance, or asks for one.
func adviseDetached(f *fault) []string {
	n := f.eniOf(f.step.At)
	if n == nil {
		return nil
	}
	if n.Attachment == nil || n.Attachment.InstanceID == "" {
		return []string{fmt.Sprintf("Network interface %s is attached to nothing: vpcemu ec2 attach-network-interface --network-interface-id %[1]s --instance-id INSTANCE --device-index 1",
			refer(f, n.ID, n.Name()))}
	}
	i := f.m.Instances.Get(n.Attachment.InstanceID)
	if i == nil {
		return nil
	}
	name := cmp.Or(i.Name(), string(i.ID))
	if i.State != vpc.StateStopped {
		return []string{fmt.Sprintf("Instance %s is %s: packets reach it once it runs.", name, i.State)}
	}
	return []string{fmt.Sprintf("Instance %s is stopped:", name), f.command("start-instances", "--instance-ids "+refer(f, i.ID, i.Name()))}
}

// adviseUnreachable: the Internet knows nobody with the destination address.
func adviseUnreachable(f *fault) []string {
	a := f.pkt.Dst.Netip()
	switch {
	case f.returning:
		return []string{fmt.Sprintf("Nothing on the Internet has %s, to which the answer goes.", a)}
	case f.to.Interface != nil:
		return f.givePublic()
	case f.to.Host != nil:
		return []string{fmt.Sprintf("Internet host %s is %s: vpcemu ec2 start-internet-host", f.to.Name, f.to.Host.State)}
	case a.IsPrivate():
		return []string{"Private addresses are not routed on the Internet: send to the public address, or from within the VPC."}
	}
	for _, e := range f.m.Addresses.All() {
		if e.PublicIp == a {
			return []string{fmt.Sprintf("Elastic IP %s is associated with nothing: vpcemu ec2 associate-address --allocation-id %s --instance-id INSTANCE",
				a, refer(f, e.AllocationID, e.Name()))}
		}
	}
	return []string{"The lab's Internet is the hosts of its file (`internet_hosts`), never the real one. For any host on it trace to `internet`."}
}

// givePublic: a private address was asked for from the Internet.
func (f *fault) givePublic() []string {
	n := f.to.Interface
	if public := f.publicOf(n, f.pkt.Dst.Netip()); public.IsValid() {
		if f.m.VpcInternetGateway(n.VpcID) == nil {
			return []string{"Public addresses work while an Internet gateway is attached to the VPC, and none is:",
				f.command("create-internet-gateway", tag("internet-gateway", named[vpc.InternetGatewayID](f, f.vpcName(n.VpcID)+"-igw"))),
				f.command("attach-internet-gateway", "--internet-gateway-id "+named[vpc.InternetGatewayID](f, f.vpcName(n.VpcID)+"-igw"), "--vpc-id "+f.vpcRef(n.VpcID))}
		}
		return []string{fmt.Sprintf("Private addresses are not routed on the Internet: `vpcemu trace %s %s %s`.", f.from.Name, public, f.asked())}
	}
	why := fmt.Sprintf("%s has no public address, and its private one, %s, is not routed on the Internet. It can be reached from within the VPC, as by way of a bastion host, or by an Elastic IP:",
		f.to.Name, f.pkt.Dst)
	if f.to.Kind == endpoint.KindGateway {
		return []string{fmt.Sprintf("NAT gateway %s has no public address, and would accept no connection by it.", f.to.Name)}
	}
	list := append([]string{why}, f.associate(n, n.Primary())...)
	if !f.isPublic(n.SubnetID) {
		list[0] = list[0][:len(list[0])-1] + " (its subnet is not routed to the Internet gateway, which answers would need):"
	}
	return list
}

// publicOf is the public address that belongs to one of an interface's addresses, private or
// public itself.
func (f *fault) publicOf(n *vpc.NetworkInterface, a netip.Addr) netip.Addr {
	for _, p := range n.PrivateIps {
		if public := f.m.PublicAddressOf(n, p); p.PrivateIp == a || public == a {
			return public
		}
	}
	return netip.Addr{}
}

// adviseReserved: DNS where no resolver answers (DNS-01, DNS-04), or addresses that answer
// nothing at all (EX-02).
func adviseReserved(f *fault) []string {
	v := f.vpcOf()
	if v == nil {
		return nil
	}
	resolver := v.CidrBlock.Masked().Addr().Next().Next()
	magic := netip.AddrFrom4([4]byte{169, 254, 169, 253})
	a := f.pkt.Dst.Netip()
	if f.pkt.DstPort != 53 || !hasPorts(f.pkt.Proto) {
		return []string{fmt.Sprintf("The first four addresses and the last of a subnet, and link-local ones, are AWS's own: nothing answers there but the resolver (%s and %s, port 53), instance metadata (169.254.169.254, tcp 80) and time (169.254.169.123, udp 123).", resolver, magic)}
	}
	if (a == resolver || a == magic) && !v.EnableDnsSupport {
		return []string{"The VPC's attribute enableDnsSupport is off, so the resolver answers nowhere:",
			f.command("modify-vpc-attribute", "--vpc-id "+f.vpcRef(v.ID), "--enable-dns-support")}
	}
	return []string{fmt.Sprintf("The resolver answers at %s, the base of the VPC's CIDR block plus two, and at %s, not at the like address of every subnet.", resolver, magic)}
}

// advisePrivate: an Internet gateway carries nothing to private addresses.
func advisePrivate(f *fault) []string {
	if n := f.to.Interface; n != nil {
		if public := f.publicOf(n, f.pkt.Dst.Netip()); public.IsValid() {
			return []string{fmt.Sprintf("%s is in another VPC, which has no way to this one but over the Internet: `vpcemu trace %s %s %s`.", f.to.Name, f.from.Name, public, f.asked())}
		}
	}
	return []string{fmt.Sprintf("%s is a private address outside this VPC. An Internet gateway leads to public addresses alone; on AWS a peering connection, transit gateway or VPN leads to other private networks, which vpcemu has not.", f.pkt.Dst)}
}

// adviseSize: the sender has to send less at a time, and learns so from the answer.
func adviseSize(f *fault) []string {
	answer := "the network says so to its sender with ICMP type 3 code 4 (fragmentation needed), which lowers its path MTU and sends smaller ones"
	if f.pkt.Proto != packet.ProtoTCP {
		answer = "the network says so to its sender with ICMP type 3 code 4 (fragmentation needed)"
	}
	return []string{fmt.Sprintf("The packet has %d bytes and must not be fragmented: %s. Within a VPC packets may have 9001 bytes, through a NAT gateway 8500, through an Internet gateway 1500. Security groups admit the ICMP message, network ACLs need a rule for it.", len(f.pkt.Data), answer)}
}

// adviseNoMapping: nothing comes in through a NAT gateway (NA-10).
func adviseNoMapping(f *fault) []string {
	if f.returning {
		return f.sameWayBack()
	}
	return []string{"Through a NAT gateway connections are opened from inside alone; it has no ports of its own and forwards none. " +
		"To be reached from the Internet an instance needs a public address and a subnet that is routed to the Internet gateway, or a bastion host in one."}
}

// adviseExhausted adds an address to the NAT gateway (NA-05).
func adviseExhausted(f *fault) []string {
	g := f.m.NatGateways.Get(vpc.NatGatewayID(f.step.By.ID))
	why := "Each address of a NAT gateway has 55,000 connections to one destination (address, port and protocol)."
	if g == nil || g.ConnectivityType != "public" {
		return []string{why + " Give it another private address, or divide the load."}
	}
	before, allocation := f.elasticIP(cmp.Or(g.Name(), "nat") + "-more")
	return append(append([]string{why + " Give it another one:"}, before...),
		f.command("associate-nat-gateway-address", "--nat-gateway-id "+refer(f, g.ID, g.Name()), "--allocation-ids "+allocation))
}
