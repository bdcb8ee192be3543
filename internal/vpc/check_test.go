package vpc

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
)

// change replaces an object by a changed copy, as no operation would.
func change[K ~string, V any](t *Table[K, V], k K, f func(v *V)) {
	c := *t.Get(k)
	f(&c)
	t.Put(k, &c)
}

func firstKey[K ~string, V any](t *Table[K, V], is func(v *V) bool) K {
	for k, v := range t.All() {
		if is == nil || is(v) {
			return k
		}
	}
	panic("no such object")
}

// Check must see each of these, or the property test proves little.
func TestCheck_SeesWhatIsWrong(t *testing.T) {
	start := furnished(t)
	mainVpc := firstKey(&start.Vpcs, func(v *Vpc) bool { return v.CidrBlock == cidr("10.0.0.0/16") })
	subnet := firstKey(&start.Subnets, func(s *Subnet) bool { return s.CidrBlock == cidr("10.0.1.0/24") })
	eni := firstKey(&start.NetworkInterfaces, func(n *NetworkInterface) bool { return n.Attachment != nil && n.Attachment.InstanceID != "" })
	for name, r := range map[string]struct {
		spoil func(tx *Tx)
		want  string
	}{
		"VPC gone":               {func(tx *Tx) { tx.Vpcs.Delete(mainVpc) }, "VPC " + string(mainVpc) + " does not exist"},
		"main table gone":        {func(tx *Tx) { tx.RouteTables.Delete(tx.MainRouteTable(mainVpc).ID) }, "main route table"},
		"default ACL gone":       {func(tx *Tx) { tx.NetworkAcls.Delete(tx.DefaultNetworkAcl(mainVpc).ID) }, "default network ACL"},
		"default group gone":     {func(tx *Tx) { tx.SecurityGroups.Delete(tx.DefaultSecurityGroup(mainVpc).ID) }, "default security group"},
		"options gone":           {func(tx *Tx) { tx.DhcpOptions.Delete(tx.DefaultDhcpOptionsID) }, "DHCP options"},
		"second default VPC":     {func(tx *Tx) { change(&tx.Vpcs, mainVpc, func(v *Vpc) { v.IsDefault = true }) }, "2 default VPCs"},
		"subnet outside":         {func(tx *Tx) { change(&tx.Subnets, subnet, func(s *Subnet) { s.CidrBlock = cidr("10.9.0.0/24") }) }, "is outside"},
		"subnets overlap":        {func(tx *Tx) { change(&tx.Subnets, subnet, func(s *Subnet) { s.CidrBlock = cidr("10.0.0.0/22") }) }, "overlaps"},
		"zone of another Region": {func(tx *Tx) { change(&tx.Subnets, subnet, func(s *Subnet) { s.AvailabilityZone = "us-east-1a" }) }, "zone us-east-1a"},
		"subnet gone":            {func(tx *Tx) { tx.Subnets.Delete(subnet) }, "subnet " + string(subnet)},
		"two gateways of a VPC":  {func(tx *Tx) { attachAll(tx, mainVpc) }, "is also of"},
		"local route gone": {func(tx *Tx) {
			change(&tx.RouteTables, tx.MainRouteTable(mainVpc).ID, func(t *RouteTable) { t.Routes = t.Routes[1:] })
		}, "local route"},
		"route without target": {func(tx *Tx) { spoilRoute(tx, mainVpc, Route{DestinationCidrBlock: cidr("9.0.0.0/8")}) }, "0 targets"},
		"route twice":          {func(tx *Tx) { spoilRoute(tx, mainVpc, tx.MainRouteTable(mainVpc).Routes[0]) }, "is also of"},
		"group named by a rule": {func(tx *Tx) {
			change(&tx.SecurityGroups, tx.DefaultSecurityGroup(mainVpc).ID, func(g *SecurityGroup) { g.Ingress = []SecurityGroupRule{{ID: "sgr-x", GroupID: "sg-x"}} })
		}, "names the group sg-x"},
		"last ACL entry gone": {func(tx *Tx) {
			change(&tx.NetworkAcls, tx.DefaultNetworkAcl(mainVpc).ID, func(a *NetworkAcl) { a.Entries = a.Entries[:3] })
		}, "last entry"},
		"instance gone":       {func(tx *Tx) { tx.Instances.Delete(tx.NetworkInterfaces.Get(eni).Attachment.InstanceID) }, "which is gone"},
		"interface gone":      {func(tx *Tx) { tx.NetworkInterfaces.Delete(eni) }, "0 primary network interfaces"},
		"reserved address":    {func(tx *Tx) { spoilAddress(tx, eni, "10.0.2.2") }, "is reserved"},
		"address of the next": {func(tx *Tx) { spoilAddress(tx, eni, "10.0.2.5"); spoilAddress(tx, otherInterface(tx, eni), "10.0.2.5") }, "10.0.2.5 is also of"},
		"address outside":     {func(tx *Tx) { spoilAddress(tx, eni, "10.0.7.7") }, "is outside"},
		"handle taken": {func(tx *Tx) {
			change(&tx.NetworkInterfaces, eni, func(n *NetworkInterface) { n.Handle = tx.InternetHosts.Get(firstKey(&tx.InternetHosts, nil)).Handle })
		}, "is also of"},
		"Elastic IP not there": {func(tx *Tx) {
			change(&tx.Addresses, firstKey(&tx.Addresses, nil), func(a *Address) { a.NetworkInterfaceID, a.AssociationID = eni, "eipassoc-x" })
		}, "with this Elastic IP"},
		"public address twice": {func(tx *Tx) {
			change(&tx.NetworkInterfaces, eni, func(n *NetworkInterface) { n.PublicIp = tx.Addresses.Get(firstKey(&tx.Addresses, nil)).PublicIp })
		}, "is also of"},
		"NAT gateway's interface": {func(tx *Tx) {
			change(&tx.NatGateways, firstKey(&tx.NatGateways, nil), func(g *NatGateway) { g.NetworkInterfaceID = "eni-x" })
		}, "network interface eni-x"},
		"reservation outside": {func(tx *Tx) {
			change(&tx.SubnetCidrReservations, firstKey(&tx.SubnetCidrReservations, nil), func(r *SubnetCidrReservation) { r.Cidr = cidr("10.8.0.0/28") })
		}, "is not in the subnet"},
	} {
		t.Run(name, func(t *testing.T) {
			tx := Begin(&start.Model, start.Call)
			r.spoil(tx)
			for _, err := range tx.Check() {
				if strings.Contains(err.Error(), r.want) {
					return
				}
			}
			t.Errorf("not seen; errors: %v", tx.Check())
		})
	}
}

func attachAll(tx *Tx, v VpcID) {
	for id := range tx.InternetGateways.All() {
		change(&tx.InternetGateways, id, func(g *InternetGateway) { g.VpcID, g.AttachmentState = v, "available" })
	}
}

func spoilRoute(tx *Tx, v VpcID, r Route) {
	change(&tx.RouteTables, tx.MainRouteTable(v).ID, func(t *RouteTable) { t.Routes = append(t.clone().Routes, r) })
}

func spoilAddress(tx *Tx, id NetworkInterfaceID, a string) {
	change(&tx.NetworkInterfaces, id, func(n *NetworkInterface) {
		n.PrivateIps = []PrivateAddress{{PrivateIp: netip.MustParseAddr(a), Primary: true}}
	})
}

func otherInterface(tx *Tx, not NetworkInterfaceID) NetworkInterfaceID {
	s := tx.NetworkInterfaces.Get(not).SubnetID
	return firstKey(&tx.NetworkInterfaces, func(n *NetworkInterface) bool { return n.ID != not && n.SubnetID == s })
}

// The store keeps models as JSON.
func TestModel_SurvivesJSON(t *testing.T) {
	tx := furnished(t)
	must(tx.Run("CreateRouteTable", &CreateRouteTableInput{VpcId: firstKey(&tx.Vpcs, nil), ClientToken: "a"}))
	b, err := json.Marshal(&tx.Model)
	if err != nil {
		t.Fatal(err)
	}
	var back Model
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if dump(t, &back) != dump(t, &tx.Model) {
		t.Error("the model came back different")
	}
	wantConsistent(t, &back)
}
