package importer

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// randomLab is a lab after random calls of the EC2 API, most of them good ones, with all pending states passed.
func randomLab(t *testing.T, seed uint64, calls int) (vpc.Model, map[string]int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 8))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m, err := vpc.New("lab", "123456789012", "eu-west-1", nil, vpc.Call{Now: now, NewID: vpc.RandomID}, rng.IntN(4) > 0)
	if err != nil {
		t.Fatal(err)
	}
	ids := 0
	w := &walk{t: t, Rand: rng, now: now, done: map[string]int{}, tx: vpc.Begin(&m, vpc.Call{Now: now, NewKey: vpc.RandomKey, NewID: func(prefix string) string {
		ids++
		return fmt.Sprintf("%s0%016x", prefix, seed<<32|uint64(ids)) // the same lab of the same seed
	}})}
	for range calls {
		w.step()
		if w.chance(30) {
			w.settle()
		}
	}
	w.settle()
	for id, i := range w.tx.Instances.All() {
		if i.State == vpc.StateShuttingDown {
			w.tx.InstanceTerminated(id)
		}
	}
	if w.chance(50) {
		w.tx.PurgeDeleted(now.Add(2 * time.Hour))
	}
	for _, err := range w.tx.Check() {
		t.Fatalf("seed %d: the lab itself is not consistent: %v", seed, err)
	}
	return w.tx.Model, w.done
}

// walk draws one call after another.
type walk struct {
	*rand.Rand
	t    *testing.T
	tx   *vpc.Tx
	now  time.Time
	vpcs int
	done map[string]int // calls that succeeded, by action
}

func (w *walk) chance(percent int) bool { return w.IntN(100) < percent }

// settle tells the model what a host would: that machines run, have stopped, are gone.
func (w *walk) settle() {
	for id, i := range w.tx.Instances.All() {
		switch i.State {
		case vpc.StatePending:
			w.tx.InstanceRunning(id)
		case vpc.StateStopping:
			w.tx.InstanceStopped(id, "")
		case vpc.StateShuttingDown:
			w.tx.InstanceTerminated(id)
		}
	}
}

// run makes the call. AWS refuses many, which is as good.
func (w *walk) run(action string, in any) any {
	out, err := w.tx.Run(action, in)
	if err == nil {
		w.done[action]++
		return out
	}
	return nil
}

func oneOf[T any](w *walk, list ...T) T { return list[w.IntN(len(list))] }

// some is the ID of one of the table's objects that fit, or "".
func some[K ~string, V any](w *walk, t *vpc.Table[K, V], fits ...func(*V) bool) K {
	var ids []K
	for id, o := range t.All() {
		if len(fits) == 0 || fits[0](o) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	slices.Sort(ids)
	return ids[w.IntN(len(ids))]
}

func (w *walk) group(of vpc.VpcID) vpc.SecurityGroupID {
	return some(w, &w.tx.SecurityGroups, func(g *vpc.SecurityGroup) bool { return g.VpcID == of })
}

func (w *walk) groups(of vpc.VpcID) (ids []vpc.SecurityGroupID) {
	for range w.IntN(3) {
		if g := w.group(of); g != "" && !slices.Contains(ids, g) {
			ids = append(ids, g)
		}
	}
	return ids
}

func (w *walk) nic() *vpc.NetworkInterface {
	return w.tx.NetworkInterfaces.Get(some(w, &w.tx.NetworkInterfaces, func(n *vpc.NetworkInterface) bool { return !n.RequesterManaged }))
}

func (w *walk) live(i *vpc.Instance) bool {
	return i.State == vpc.StateRunning || i.State == vpc.StateStopped
}

// addressIn is one of a subnet's, the first hundred of them.
func (w *walk) addressIn(id vpc.SubnetID) string {
	s := w.tx.Subnets.Get(id)
	if s == nil {
		return ""
	}
	a := s.CidrBlock.Addr()
	for range 4 + w.IntN(100) {
		a = a.Next()
	}
	return a.String()
}

func (w *walk) resource() vpc.ResourceID {
	pools := []vpc.ResourceID{
		vpc.ResourceID(some(w, &w.tx.Vpcs)), vpc.ResourceID(some(w, &w.tx.Subnets)), vpc.ResourceID(some(w, &w.tx.RouteTables)), vpc.ResourceID(some(w, &w.tx.InternetGateways)),
		vpc.ResourceID(some(w, &w.tx.NatGateways)), vpc.ResourceID(some(w, &w.tx.Addresses)), vpc.ResourceID(some(w, &w.tx.SecurityGroups)), vpc.ResourceID(some(w, &w.tx.NetworkAcls)),
		vpc.ResourceID(some(w, &w.tx.DhcpOptions)), vpc.ResourceID(some(w, &w.tx.NetworkInterfaces)), vpc.ResourceID(some(w, &w.tx.Instances)), vpc.ResourceID(some(w, &w.tx.FlowLogs)),
		vpc.ResourceID(some(w, &w.tx.SubnetCidrReservations)),
	}
	for _, g := range w.tx.SecurityGroups.All() {
		if rules := append(slices.Clone(g.Ingress), g.Egress...); len(rules) > 0 {
			pools = append(pools, vpc.ResourceID(oneOf(w, rules...).ID))
		}
	}
	return oneOf(w, pools...)
}

func flag_(b bool) vpc.AttributeBooleanValue { return vpc.AttributeBooleanValue{Value: &b} }

func (w *walk) block() string {
	return oneOf(w, "0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.2.3.0/24", "192.168.7.9/32", "172.31.0.0/16", "8.8.8.8/32", "198.51.100.7/32", "203.0.113.1/32")
}

func (w *walk) permission(of vpc.VpcID) vpc.IpPermission {
	p := vpc.IpPermission{IpProtocol: oneOf(w, "tcp", "udp", "icmp", "-1", "47", "50", "icmpv6", "6", "17", "1")}
	switch p.IpProtocol {
	case "tcp", "udp", "6", "17":
		from := oneOf(w, 0, 22, 53, 80, 1024, 65535)
		p.FromPort, p.ToPort = &from, new(oneOf(w, from, from, 65535))
	case "icmp", "1", "icmpv6":
		p.FromPort, p.ToPort = new(oneOf(w, -1, 8, 3)), new(oneOf(w, -1, -1, 0))
	}
	says := oneOf(w, "", "", "from the office", "b")
	for range 1 + w.IntN(2) {
		switch w.IntN(10) {
		case 0, 1, 2, 3, 4:
			p.IpRanges = append(p.IpRanges, vpc.IpRange{CidrIp: w.block(), Description: says})
		case 5:
			p.Ipv6Ranges = append(p.Ipv6Ranges, vpc.Ipv6Range{CidrIpv6: oneOf(w, "::/0", "fd00::/8"), Description: says})
		default:
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, vpc.UserIdGroupPair{GroupId: w.group(of), Description: says})
		}
	}
	return p
}

func (w *walk) tag() vpc.Tag {
	return vpc.Tag{Key: oneOf(w, "Name", "Name", "env", "Team", "a:b/c", " x"), Value: oneOf(w, "", "web", "Web Server", "web", "true", "1", "a: b # c", "ü", "default", "none", "local", "self", "sg-0123456789abcdef0", "- x", "10.0.0.1", "~")}
}

func (w *walk) tags(kind string) []vpc.TagSpecification {
	if !w.chance(30) {
		return nil
	}
	tags := map[string]string{}
	for range 1 + w.IntN(3) {
		t := w.tag()
		tags[t.Key] = t.Value
	}
	s := vpc.TagSpecification{ResourceType: kind}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		s.Tags = append(s.Tags, vpc.Tag{Key: k, Value: tags[k]})
	}
	return []vpc.TagSpecification{s}
}

func (w *walk) aclEntry() vpc.CreateNetworkAclEntryInput {
	in := vpc.CreateNetworkAclEntryInput{NetworkAclId: some(w, &w.tx.NetworkAcls), RuleNumber: oneOf(w, 1, 90, 100, 110, 200, 32766), RuleAction: oneOf(w, "allow", "allow", "deny"),
		Egress: w.chance(50), Protocol: oneOf(w, "-1", "6", "tcp", "17", "1", "47", "58"), CidrBlock: w.block()}
	if w.chance(8) {
		in.CidrBlock, in.Ipv6CidrBlock = "", oneOf(w, "::/0", "fd00::/8")
	}
	switch in.Protocol {
	case "6", "tcp", "17":
		from := oneOf(w, 0, 22, 80, 1024)
		in.PortRange.From, in.PortRange.To = &from, new(oneOf(w, from, 65535))
	case "1", "58":
		in.IcmpTypeCode.Type, in.IcmpTypeCode.Code = new(oneOf(w, -1, 8, 0, 3)), new(oneOf(w, -1, -1, 0, 4))
	}
	return in
}

func (w *walk) step() {
	steps := []struct {
		weight int
		do     func()
	}{
		{4, w.stepVpc}, {6, w.stepSubnet}, {4, w.stepGateway}, {10, w.stepRoute}, {10, w.stepGroup}, {8, w.stepAcl}, {3, w.stepDhcp}, {2, w.stepKey}, {5, w.stepAddress},
		{5, w.stepNat}, {8, w.stepInterface}, {12, w.stepInstance}, {2, w.stepFlowLog}, {5, w.stepTag}, {3, w.stepDelete}, {2, w.stepReservation}, {1, w.stepHost},
	}
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	n := w.IntN(total)
	for _, s := range steps {
		if n -= s.weight; n < 0 {
			s.do()
			return
		}
	}
}

func (w *walk) stepVpc() {
	id := some(w, &w.tx.Vpcs)
	switch w.IntN(8) {
	case 0, 1, 2:
		if w.vpcs < 4 { // of different ranges: the facts know VPCs by them
			w.vpcs++
			w.run("CreateVpc", &vpc.CreateVpcInput{CidrBlock: fmt.Sprintf("10.%d.0.0/16", w.vpcs), InstanceTenancy: oneOf(w, "", "", "default", "dedicated"), TagSpecifications: w.tags("vpc")})
		}
	case 3:
		w.run("AssociateVpcCidrBlock", &vpc.AssociateVpcCidrBlockInput{VpcId: id, CidrBlock: oneOf(w, "10.9.0.0/16", "10.8.0.0/20", "100.64.0.0/16", "10.7.0.0/24")})
	case 4:
		if v := w.tx.Vpcs.Get(id); v != nil {
			w.run("DisassociateVpcCidrBlock", &vpc.DisassociateVpcCidrBlockInput{AssociationId: v.Cidrs[len(v.Cidrs)-1].ID})
		}
	case 5:
		w.run("ModifyVpcAttribute", &vpc.ModifyVpcAttributeInput{VpcId: id, EnableDnsSupport: flag_(w.chance(50))})
	case 6:
		w.run("ModifyVpcAttribute", &vpc.ModifyVpcAttributeInput{VpcId: id, EnableDnsHostnames: flag_(w.chance(50))})
	case 7:
		if w.chance(50) {
			w.run("ModifyVpcTenancy", &vpc.ModifyVpcTenancyInput{VpcId: id, InstanceTenancy: "default"})
		} else {
			w.run("CreateDefaultVpc", &vpc.CreateDefaultVpcInput{})
		}
	}
}

func (w *walk) stepSubnet() {
	id := some(w, &w.tx.Vpcs)
	v := w.tx.Vpcs.Get(id)
	if v == nil {
		return
	}
	subnet := some(w, &w.tx.Subnets)
	switch w.IntN(6) {
	case 0, 1, 2:
		base := oneOf(w, v.Cidrs...).CidrBlock.Addr().As4()
		base[2] += byte(w.IntN(6))
		if v.IsDefault {
			base[2] = 100 + byte(w.IntN(3))
		}
		w.run("CreateSubnet", &vpc.CreateSubnetInput{VpcId: id, CidrBlock: netip.PrefixFrom(netip.AddrFrom4(base), 24).String(), AvailabilityZone: oneOf(w, append([]string{""}, w.tx.Zones...)...), TagSpecifications: w.tags("subnet")})
	case 3:
		w.run("ModifySubnetAttribute", &vpc.ModifySubnetAttributeInput{SubnetId: subnet, MapPublicIpOnLaunch: flag_(w.chance(60))})
	case 4:
		w.run("ModifySubnetAttribute", &vpc.ModifySubnetAttributeInput{SubnetId: subnet, PrivateDnsHostnameTypeOnLaunch: oneOf(w, "ip-name", "resource-name")})
	case 5:
		w.run("ModifySubnetAttribute", &vpc.ModifySubnetAttributeInput{SubnetId: subnet, EnableResourceNameDnsARecordOnLaunch: flag_(w.chance(60))})
	}
}

func (w *walk) stepGateway() {
	g := some(w, &w.tx.InternetGateways)
	switch w.IntN(5) {
	case 0, 1:
		w.run("CreateInternetGateway", &vpc.CreateInternetGatewayInput{TagSpecifications: w.tags("internet-gateway")})
	case 2, 3:
		w.run("AttachInternetGateway", &vpc.AttachInternetGatewayInput{InternetGatewayId: g, VpcId: some(w, &w.tx.Vpcs)})
	case 4:
		if is := w.tx.InternetGateways.Get(g); is != nil && w.chance(40) {
			w.run("DetachInternetGateway", &vpc.DetachInternetGatewayInput{InternetGatewayId: g, VpcId: is.VpcID})
		}
	}
}

func (w *walk) stepRoute() {
	id := some(w, &w.tx.RouteTables)
	t := w.tx.RouteTables.Get(id)
	if t == nil {
		return
	}
	in := func(s *vpc.Subnet) bool { return s.VpcID == t.VpcID }
	switch w.IntN(9) {
	case 0:
		w.run("CreateRouteTable", &vpc.CreateRouteTableInput{VpcId: some(w, &w.tx.Vpcs), TagSpecifications: w.tags("route-table")})
	case 1, 2, 3, 4:
		r := vpc.CreateRouteInput{RouteTableId: id, DestinationCidrBlock: oneOf(w, "0.0.0.0/0", "0.0.0.0/0", "8.8.8.0/24", "192.168.0.0/16", "10.1.2.0/24", "10.2.0.0/25", "198.51.100.0/24")}
		switch w.IntN(4) {
		case 0:
			r.GatewayId = some(w, &w.tx.InternetGateways, func(g *vpc.InternetGateway) bool { return g.VpcID == t.VpcID })
		case 1:
			r.NatGatewayId = some(w, &w.tx.NatGateways, func(g *vpc.NatGateway) bool { return g.VpcID == t.VpcID })
		case 2:
			r.NetworkInterfaceId = some(w, &w.tx.NetworkInterfaces, func(n *vpc.NetworkInterface) bool { return n.VpcID == t.VpcID })
		case 3:
			r.InstanceId = some(w, &w.tx.Instances, func(i *vpc.Instance) bool { return i.VpcID == t.VpcID })
		}
		if w.chance(70) {
			w.run("CreateRoute", &r)
			return
		}
		replace := vpc.ReplaceRouteInput{RouteTableId: id, DestinationCidrBlock: oneOf(w, t.Routes...).DestinationCidrBlock.String(), GatewayId: r.GatewayId, NatGatewayId: r.NatGatewayId, NetworkInterfaceId: r.NetworkInterfaceId, InstanceId: r.InstanceId}
		w.run("ReplaceRoute", &replace)
	case 5:
		w.run("DeleteRoute", &vpc.DeleteRouteInput{RouteTableId: id, DestinationCidrBlock: oneOf(w, t.Routes...).DestinationCidrBlock.String()})
	case 6:
		in := &vpc.AssociateRouteTableInput{RouteTableId: id, SubnetId: some(w, &w.tx.Subnets, in)}
		if w.chance(20) {
			in.SubnetId, in.GatewayId = "", some(w, &w.tx.InternetGateways, func(g *vpc.InternetGateway) bool { return g.VpcID == t.VpcID })
		}
		w.run("AssociateRouteTable", in)
	case 7:
		if len(t.Associations) > 0 {
			a := oneOf(w, t.Associations...)
			to := some(w, &w.tx.RouteTables, func(o *vpc.RouteTable) bool { return o.VpcID == t.VpcID })
			w.run("ReplaceRouteTableAssociation", &vpc.ReplaceRouteTableAssociationInput{AssociationId: a.ID, RouteTableId: to})
		}
	case 8:
		if len(t.Associations) > 0 {
			w.run("DisassociateRouteTable", &vpc.DisassociateRouteTableInput{AssociationId: oneOf(w, t.Associations...).ID})
		}
	}
}

func (w *walk) stepGroup() {
	id := some(w, &w.tx.SecurityGroups)
	g := w.tx.SecurityGroups.Get(id)
	if g == nil {
		return
	}
	switch w.IntN(10) {
	case 0, 1:
		w.run("CreateSecurityGroup", &vpc.CreateSecurityGroupInput{VpcId: some(w, &w.tx.Vpcs), GroupName: w.groupName(), Description: oneOf(w, "what it is for", "x", "Managed by vpcemu", "a: b # c"), TagSpecifications: w.tags("security-group")})
	case 2, 3, 4:
		w.run("AuthorizeSecurityGroupIngress", &vpc.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: []vpc.IpPermission{w.permission(g.VpcID)}})
	case 5:
		w.run("AuthorizeSecurityGroupEgress", &vpc.AuthorizeSecurityGroupEgressInput{GroupId: id, IpPermissions: []vpc.IpPermission{w.permission(g.VpcID)}})
	case 6:
		if len(g.Egress) > 0 {
			w.run("RevokeSecurityGroupEgress", &vpc.RevokeSecurityGroupEgressInput{GroupId: id, SecurityGroupRuleIds: []vpc.SecurityRuleID{oneOf(w, g.Egress...).ID}})
		}
	case 7:
		if len(g.Ingress) > 0 {
			w.run("RevokeSecurityGroupIngress", &vpc.RevokeSecurityGroupIngressInput{GroupId: id, SecurityGroupRuleIds: []vpc.SecurityRuleID{oneOf(w, g.Ingress...).ID}})
		}
	case 8:
		if len(g.Ingress) > 0 {
			w.run("UpdateSecurityGroupRuleDescriptionsIngress", &vpc.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: id, SecurityGroupRuleDescriptions: []vpc.SecurityGroupRuleDescription{{SecurityGroupRuleId: oneOf(w, g.Ingress...).ID, Description: oneOf(w, "", "other")}}})
		}
	case 9:
		if len(g.Ingress) > 0 {
			r := vpc.SecurityGroupRuleRequest{IpProtocol: "tcp", FromPort: new(443), ToPort: new(oneOf(w, 443, 444)), CidrIpv4: w.block()}
			w.run("ModifySecurityGroupRules", &vpc.ModifySecurityGroupRulesInput{GroupId: id, SecurityGroupRules: []vpc.SecurityGroupRuleUpdate{{SecurityGroupRuleId: oneOf(w, g.Ingress...).ID, SecurityGroupRule: r}}})
		}
	}
}

func (w *walk) groupName() string {
	return oneOf(w, "web", "db", "Web Server", "a.b", "10 to 20", "self", "none", "(x)", "web-2", " web")
}

func (w *walk) stepAcl() {
	id := some(w, &w.tx.NetworkAcls)
	a := w.tx.NetworkAcls.Get(id)
	if a == nil {
		return
	}
	switch w.IntN(7) {
	case 0:
		w.run("CreateNetworkAcl", &vpc.CreateNetworkAclInput{VpcId: some(w, &w.tx.Vpcs), TagSpecifications: w.tags("network-acl")})
	case 1, 2, 3:
		in := w.aclEntry()
		w.run("CreateNetworkAclEntry", &in)
	case 4:
		in := vpc.ReplaceNetworkAclEntryInput(w.aclEntry())
		w.run("ReplaceNetworkAclEntry", &in)
	case 5:
		e := oneOf(w, a.Entries...)
		w.run("DeleteNetworkAclEntry", &vpc.DeleteNetworkAclEntryInput{NetworkAclId: id, RuleNumber: e.RuleNumber, Egress: e.Egress})
	case 6:
		if s := w.tx.Subnets.Get(some(w, &w.tx.Subnets, func(s *vpc.Subnet) bool { return s.VpcID == a.VpcID })); s != nil {
			w.run("ReplaceNetworkAclAssociation", &vpc.ReplaceNetworkAclAssociationInput{AssociationId: s.AclAssociationID, NetworkAclId: id})
		}
	}
}

func (w *walk) stepDhcp() {
	switch w.IntN(2) {
	case 0:
		in := &vpc.CreateDhcpOptionsInput{TagSpecifications: w.tags("dhcp-options")}
		for _, c := range []vpc.NewDhcpConfiguration{
			{Key: "domain-name", Values: []string{oneOf(w, "example.com", "eu-west-1.compute.internal", "a.b")}}, {Key: "domain-name-servers", Values: oneOf(w, []string{"AmazonProvidedDNS"}, []string{"10.0.0.5", "10.0.0.4"}, []string{"8.8.8.8", "AmazonProvidedDNS"}, []string{"2001:db8::1"})},
			{Key: "ntp-servers", Values: []string{"169.254.169.123"}}, {Key: "netbios-name-servers", Values: []string{"10.0.0.9"}}, {Key: "netbios-node-type", Values: []string{"2"}}, {Key: "ipv6-address-preferred-lease-time", Values: []string{"600"}},
		} {
			if w.chance(35) {
				in.DhcpConfigurations = append(in.DhcpConfigurations, c)
			}
		}
		w.run("CreateDhcpOptions", in)
	case 1:
		w.run("AssociateDhcpOptions", &vpc.AssociateDhcpOptionsInput{DhcpOptionsId: oneOf(w, "default", some(w, &w.tx.DhcpOptions), some(w, &w.tx.DhcpOptions)), VpcId: some(w, &w.tx.Vpcs)})
	}
}

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGy0P2T0z3wYwz9JwqOB3pUmH8Ea0fYpqLrS0n0v8Qp5"

func (w *walk) keyName() string { return oneOf(w, "key", "two") }

func (w *walk) stepKey() {
	switch w.IntN(3) {
	case 0:
		w.run("CreateKeyPair", &vpc.CreateKeyPairInput{KeyName: w.keyName(), KeyType: "ed25519", TagSpecifications: w.tags("key-pair")})
	case 1:
		w.run("ImportKeyPair", &vpc.ImportKeyPairInput{KeyName: w.keyName(), PublicKeyMaterial: []byte(publicKey + oneOf(w, "", " me@home", " a comment: # x")), TagSpecifications: w.tags("key-pair")})
	case 2:
		if w.chance(30) {
			w.run("DeleteKeyPair", &vpc.DeleteKeyPairInput{KeyName: w.keyName()})
		}
	}
}

func (w *walk) stepAddress() {
	id := some(w, &w.tx.Addresses)
	switch w.IntN(4) {
	case 0, 1:
		w.run("AllocateAddress", &vpc.AllocateAddressInput{TagSpecifications: w.tags("elastic-ip")})
	case 2:
		if n := w.nic(); n != nil {
			in := &vpc.AssociateAddressInput{AllocationId: id, NetworkInterfaceId: n.ID}
			if w.chance(50) {
				in.PrivateIpAddress = oneOf(w, n.PrivateIps...).PrivateIp.String()
			}
			w.run("AssociateAddress", in)
		}
	case 3:
		if a := w.tx.Addresses.Get(id); a != nil && w.chance(40) {
			w.run("DisassociateAddress", &vpc.DisassociateAddressInput{AssociationId: a.AssociationID})
		}
	}
}

func (w *walk) stepNat() {
	id := some(w, &w.tx.NatGateways)
	free := func() vpc.AllocationID {
		return some(w, &w.tx.Addresses, func(a *vpc.Address) bool { return a.AssociationID == "" })
	}
	g := w.tx.NatGateways.Get(id)
	switch w.IntN(8) {
	case 0, 1, 2:
		in := &vpc.CreateNatGatewayInput{SubnetId: some(w, &w.tx.Subnets), TagSpecifications: w.tags("natgateway")}
		if w.chance(30) {
			in.ConnectivityType = "private"
		} else {
			in.AllocationId = free()
		}
		if w.chance(40) {
			in.PrivateIpAddress = w.addressIn(in.SubnetId)
		}
		w.run("CreateNatGateway", in)
	case 3:
		if w.chance(40) {
			w.run("DeleteNatGateway", &vpc.DeleteNatGatewayInput{NatGatewayId: id})
		}
	case 4:
		w.run("AssociateNatGatewayAddress", &vpc.AssociateNatGatewayAddressInput{NatGatewayId: id, AllocationIds: []vpc.AllocationID{free()}})
	case 5:
		w.run("AssignPrivateNatGatewayAddress", &vpc.AssignPrivateNatGatewayAddressInput{NatGatewayId: id, PrivateIpAddressCount: new(1 + w.IntN(2))})
	case 6:
		if g != nil && w.chance(50) && len(g.Addresses) > 1 {
			a := g.Addresses[len(g.Addresses)-1]
			if a.AssociationID != "" {
				w.run("DisassociateNatGatewayAddress", &vpc.DisassociateNatGatewayAddressInput{NatGatewayId: id, AssociationIds: []vpc.AddressAssocID{a.AssociationID}})
			} else {
				w.run("UnassignPrivateNatGatewayAddress", &vpc.UnassignPrivateNatGatewayAddressInput{NatGatewayId: id, PrivateIpAddresses: []string{a.PrivateIp.String()}})
			}
		}
	case 7:
		w.tx.PurgeDeleted(w.now.Add(30 * time.Minute))
	}
}

func (w *walk) stepInterface() {
	n := w.nic()
	if n == nil || w.chance(25) {
		in := &vpc.CreateNetworkInterfaceInput{SubnetId: some(w, &w.tx.Subnets), Description: oneOf(w, "", "spare", "a: b # c"), LinkType: oneOf(w, "", "tap"), TagSpecifications: w.tags("network-interface")}
		if s := w.tx.Subnets.Get(in.SubnetId); s != nil {
			in.Groups = w.groups(s.VpcID)
		}
		if w.chance(30) {
			in.SecondaryPrivateIpAddressCount = new(1 + w.IntN(3))
		}
		if w.chance(10) {
			in.ConnectionTrackingSpecification = &vpc.ConnectionTracking{UdpTimeout: 45}
		}
		w.run("CreateNetworkInterface", in)
		return
	}
	switch w.IntN(9) {
	case 0, 1, 2:
		i := some(w, &w.tx.Instances, w.live)
		w.run("AttachNetworkInterface", &vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: n.ID, InstanceId: i, DeviceIndex: new(1 + w.IntN(3))})
	case 3:
		if n.Attachment != nil && w.chance(50) {
			w.run("DetachNetworkInterface", &vpc.DetachNetworkInterfaceInput{AttachmentId: n.Attachment.ID})
		}
	case 4:
		w.run("ModifyNetworkInterfaceAttribute", &vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: n.ID, SourceDestCheck: flag_(w.chance(50))})
	case 5:
		if g := w.groups(n.VpcID); len(g) > 0 {
			w.run("ModifyNetworkInterfaceAttribute", &vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: n.ID, Groups: g})
		}
	case 6:
		w.run("ModifyNetworkInterfaceAttribute", &vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: n.ID, Description: &vpc.AttributeValue{Value: oneOf(w, "", "new text")}})
	case 7:
		in := &vpc.AssignPrivateIpAddressesInput{NetworkInterfaceId: n.ID, PrivateIpAddresses: []string{w.addressIn(n.SubnetID)}}
		if w.chance(20) {
			in.AllowReassignment = true
		}
		w.run("AssignPrivateIpAddresses", in)
	case 8:
		if len(n.PrivateIps) > 1 {
			w.run("UnassignPrivateIpAddresses", &vpc.UnassignPrivateIpAddressesInput{NetworkInterfaceId: n.ID, PrivateIpAddresses: []string{n.PrivateIps[1].PrivateIp.String()}})
		}
	}
}

func (w *walk) runInstances() {
	in := &vpc.RunInstancesInput{SubnetId: some(w, &w.tx.Subnets), MinCount: new(1), MaxCount: new(1 + w.IntN(2)), InstanceType: oneOf(w, "", "", "m5.large", "t3.nano"), TagSpecifications: w.tags("instance"),
		UserData:                          oneOf(w, "", "", base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\necho a: b # c\n\techo 'x'\n")), base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\r\necho \x01\xff\n"))),
		InstanceInitiatedShutdownBehavior: oneOf(w, "", "", "terminate"), DisableApiTermination: new(w.chance(10)), DisableApiStop: new(w.chance(10))}
	if w.tx.KeyPairs.Len() > 0 && w.chance(40) {
		in.KeyName = w.keyName()
	}
	if w.chance(30) {
		in.MetadataOptions = &vpc.InstanceMetadataOptionsRequest{HttpTokens: oneOf(w, "", "required"), HttpPutResponseHopLimit: oneOf(w, nil, new(2)), HttpEndpoint: oneOf(w, "", "disabled"), InstanceMetadataTags: oneOf(w, "", "", "enabled")}
	}
	if w.chance(20) {
		in.PrivateDnsNameOptions = &vpc.PrivateDnsNameOptionsRequest{HostnameType: oneOf(w, "ip-name", "resource-name"), EnableResourceNameDnsARecord: oneOf(w, nil, new(true), new(false))}
	}
	if w.chance(10) {
		in.Placement = &vpc.Placement{Tenancy: "dedicated"}
	}
	of := vpc.VpcID("")
	if s := w.tx.Subnets.Get(in.SubnetId); s != nil {
		of = s.VpcID
	}
	if w.chance(50) {
		nic := vpc.InstanceNetworkInterfaceSpecification{DeviceIndex: new(0), SubnetId: in.SubnetId, Groups: w.groups(of), Description: oneOf(w, "", "", "first one")}
		if w.chance(50) {
			nic.AssociatePublicIpAddress = new(w.chance(50))
		}
		if w.chance(20) {
			nic.SecondaryPrivateIpAddressCount = new(1)
		}
		if w.chance(10) {
			nic.DeleteOnTermination = new(false)
		}
		in.SubnetId, in.NetworkInterfaces = "", []vpc.InstanceNetworkInterfaceSpecification{nic}
		switch {
		case w.chance(15):
			in.MaxCount, nic.AssociatePublicIpAddress = new(1), nil
			second := vpc.InstanceNetworkInterfaceSpecification{DeviceIndex: new(1), SubnetId: nic.SubnetId}
			in.NetworkInterfaces = []vpc.InstanceNetworkInterfaceSpecification{nic, second}
		case w.chance(10): // an interface that was there before
			in.MaxCount = new(1)
			in.NetworkInterfaces = []vpc.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(0), NetworkInterfaceId: some(w, &w.tx.NetworkInterfaces, func(n *vpc.NetworkInterface) bool { return n.Attachment == nil && !n.RequesterManaged })}}
		}
	} else {
		in.SecurityGroupIds = w.groups(of)
		if w.chance(20) {
			in.PrivateIpAddress = w.addressIn(in.SubnetId)
		}
	}
	w.run("RunInstances", in)
}

func (w *walk) stepInstance() {
	id := some(w, &w.tx.Instances, w.live)
	ids := []vpc.InstanceID{id}
	switch w.IntN(14) {
	case 0, 1, 2, 3, 4:
		w.runInstances()
	case 5:
		w.run("StopInstances", &vpc.StopInstancesInput{InstanceIds: ids})
	case 6:
		w.run("StartInstances", &vpc.StartInstancesInput{InstanceIds: ids})
	case 7:
		if w.chance(40) {
			w.run("TerminateInstances", &vpc.TerminateInstancesInput{InstanceIds: ids})
		}
	case 8:
		w.run("ModifyInstanceAttribute", &vpc.ModifyInstanceAttributeInput{InstanceId: id, InstanceType: &vpc.AttributeValue{Value: oneOf(w, "t3.micro", "m5.large", "m5.xlarge")}})
	case 9:
		w.run("ModifyInstanceAttribute", &vpc.ModifyInstanceAttributeInput{InstanceId: id, UserData: &vpc.BlobAttributeValue{Value: []byte(oneOf(w, "", "#!/bin/sh\necho other"))}})
	case 10:
		switch w.IntN(3) {
		case 0:
			w.run("ModifyInstanceAttribute", &vpc.ModifyInstanceAttributeInput{InstanceId: id, DisableApiTermination: flag_(w.chance(30))})
		case 1:
			w.run("ModifyInstanceAttribute", &vpc.ModifyInstanceAttributeInput{InstanceId: id, DisableApiStop: flag_(w.chance(30))})
		case 2:
			w.run("ModifyInstanceAttribute", &vpc.ModifyInstanceAttributeInput{InstanceId: id, InstanceInitiatedShutdownBehavior: &vpc.AttributeValue{Value: oneOf(w, "stop", "terminate")}})
		}
	case 11:
		w.run("ModifyInstanceMetadataOptions", &vpc.ModifyInstanceMetadataOptionsInput{InstanceId: id, HttpTokens: oneOf(w, "optional", "required"), HttpPutResponseHopLimit: oneOf(w, nil, new(1), new(3)), InstanceMetadataTags: oneOf(w, "", "disabled")})
	case 12:
		w.run("ModifyPrivateDnsNameOptions", &vpc.ModifyPrivateDnsNameOptionsInput{InstanceId: id, PrivateDnsHostnameType: oneOf(w, "", "ip-name", "resource-name"), EnableResourceNameDnsARecord: oneOf(w, nil, new(true), new(false))})
	case 13:
		w.run("ModifyInstanceAttribute", &vpc.ModifyInstanceAttributeInput{InstanceId: id, SourceDestCheck: flag_(w.chance(50))})
	}
}

func (w *walk) stepFlowLog() {
	in := &vpc.CreateFlowLogsInput{TrafficType: oneOf(w, "ALL", "ACCEPT", "REJECT"), MaxAggregationInterval: oneOf(w, nil, new(60), new(600)), LogFormat: oneOf(w, "", "${srcaddr} ${dstaddr}"), TagSpecifications: w.tags("vpc-flow-log")}
	switch w.IntN(3) {
	case 0:
		in.ResourceType, in.ResourceIds = "VPC", []vpc.ResourceID{vpc.ResourceID(some(w, &w.tx.Vpcs))}
	case 1:
		in.ResourceType, in.ResourceIds = "Subnet", []vpc.ResourceID{vpc.ResourceID(some(w, &w.tx.Subnets))}
	case 2:
		in.ResourceType, in.ResourceIds = "NetworkInterface", []vpc.ResourceID{vpc.ResourceID(some(w, &w.tx.NetworkInterfaces))}
	}
	if w.chance(70) {
		in.LogGroupName = oneOf(w, "logs", "/vpc/logs")
		in.DeliverLogsPermissionArn = "arn:aws:iam::123456789012:role/logs"
	} else {
		in.LogDestinationType, in.LogDestination = "s3", oneOf(w, "arn:aws:s3:::bucket", "arn:aws:s3:::bucket/folder/")
	}
	w.run("CreateFlowLogs", in)
}

func (w *walk) stepTag() {
	r := []vpc.ResourceID{w.resource()}
	if w.chance(80) {
		w.run("CreateTags", &vpc.CreateTagsInput{Resources: r, Tags: []vpc.Tag{w.tag()}})
	} else {
		w.run("DeleteTags", &vpc.DeleteTagsInput{Resources: r, Tags: []vpc.DeleteTag{{Key: oneOf(w, "Name", "env")}}})
	}
}

func (w *walk) stepReservation() {
	if w.chance(70) {
		in := &vpc.CreateSubnetCidrReservationInput{SubnetId: some(w, &w.tx.Subnets), ReservationType: oneOf(w, "prefix", "explicit"), Description: oneOf(w, "", "kept free")}
		if a, err := netip.ParseAddr(w.addressIn(in.SubnetId)); err == nil {
			p, _ := a.Prefix(oneOf(w, 28, 29, 32)) // of an IPv4 address
			in.Cidr = p.String()
		}
		w.run("CreateSubnetCidrReservation", in)
		return
	}
	w.run("DeleteSubnetCidrReservation", &vpc.DeleteSubnetCidrReservationInput{SubnetCidrReservationId: some(w, &w.tx.SubnetCidrReservations)})
}

func (w *walk) stepHost() {
	w.run("CreateInternetHost", &vpc.CreateInternetHostInput{HostName: oneOf(w, "laptop", "server")})
	for id := range w.tx.InternetHosts.All() {
		w.tx.InternetHostRunning(id)
	}
}

func (w *walk) stepDelete() {
	switch w.IntN(12) {
	case 0:
		w.run("DeleteVpc", &vpc.DeleteVpcInput{VpcId: some(w, &w.tx.Vpcs)})
	case 1, 2:
		w.run("DeleteSubnet", &vpc.DeleteSubnetInput{SubnetId: some(w, &w.tx.Subnets)})
	case 3:
		w.run("DeleteInternetGateway", &vpc.DeleteInternetGatewayInput{InternetGatewayId: some(w, &w.tx.InternetGateways)})
	case 4:
		w.run("DeleteRouteTable", &vpc.DeleteRouteTableInput{RouteTableId: some(w, &w.tx.RouteTables)})
	case 5:
		w.run("DeleteSecurityGroup", &vpc.DeleteSecurityGroupInput{GroupId: some(w, &w.tx.SecurityGroups)})
	case 6:
		w.run("DeleteNetworkAcl", &vpc.DeleteNetworkAclInput{NetworkAclId: some(w, &w.tx.NetworkAcls)})
	case 7:
		w.run("DeleteDhcpOptions", &vpc.DeleteDhcpOptionsInput{DhcpOptionsId: some(w, &w.tx.DhcpOptions)})
	case 8, 9:
		w.run("DeleteNetworkInterface", &vpc.DeleteNetworkInterfaceInput{NetworkInterfaceId: some(w, &w.tx.NetworkInterfaces)})
	case 10:
		w.run("ReleaseAddress", &vpc.ReleaseAddressInput{AllocationId: some(w, &w.tx.Addresses)})
	case 11:
		w.run("DeleteFlowLogs", &vpc.DeleteFlowLogsInput{FlowLogIds: []vpc.FlowLogID{some(w, &w.tx.FlowLogs)}})
	}
}
