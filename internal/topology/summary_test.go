package topology

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// summary is a model in words: objects by the names that they have in the file,
// without IDs, handles and addresses drawn by chance.
func summary(m *vpc.Model) []string {
	n := names(m)
	var list []string
	add := func(format string, a ...any) { list = append(list, fmt.Sprintf(format, a...)) }
	for _, v := range m.Vpcs.All() {
		blocks := []string{}
		for _, c := range v.Cidrs {
			blocks = append(blocks, c.CidrBlock.String())
		}
		add("%s %v %s dns %t %t dhcp %s tags %v", n(v.ID), blocks, v.InstanceTenancy, v.EnableDnsSupport, v.EnableDnsHostnames, n(v.DhcpOptionsID), v.Tags)
	}
	for _, s := range m.Subnets.All() {
		acl := m.NetworkAcls.Get(s.NetworkAclID)
		add("%s in %s %s %s public %t acl %s default %t names %s %t", n(s.ID), n(s.VpcID), s.CidrBlock, s.AvailabilityZone, s.MapPublicIpOnLaunch, acl.Source, acl.IsDefault,
			cmp.Or(s.PrivateDnsHostnameType, "ip-name"), s.EnableResourceNameDnsARecord)
	}
	for _, g := range m.InternetGateways.All() {
		add("%s at %s", n(g.ID), n(g.VpcID))
	}
	for _, t := range m.RouteTables.All() {
		var has []string
		for _, a := range t.Associations {
			has = append(has, fmt.Sprint(a.Main, n(a.SubnetID), n(a.GatewayID)))
		}
		for _, r := range t.Routes {
			has = append(has, fmt.Sprint(r.DestinationCidrBlock, r.Local, n(r.GatewayID), n(r.NatGatewayID), n(r.NetworkInterfaceID), n(r.InstanceID)))
		}
		sort.Strings(has)
		add("table of %s: %s", t.Source, strings.Join(has, ", "))
	}
	for _, g := range m.SecurityGroups.All() {
		var rules []string
		for _, r := range g.Ingress {
			rules = append(rules, fmt.Sprint("in ", r.IpProtocol, r.FromPort, r.ToPort, r.CidrIpv4, n(r.GroupID), r.Description))
		}
		for _, r := range g.Egress {
			rules = append(rules, fmt.Sprint("out ", r.IpProtocol, r.FromPort, r.ToPort, r.CidrIpv4, n(r.GroupID), r.Description))
		}
		sort.Strings(rules)
		add("group %s of %s %q: %s", g.GroupName, n(g.VpcID), g.Description, strings.Join(rules, ", "))
	}
	for _, a := range m.NetworkAcls.All() {
		add("acl of %s %t: %v", a.Source, a.IsDefault, a.Entries)
	}
	slices.Sort(list)
	return append(list, machines(m, n)...)
}

func machines(m *vpc.Model, n func(any) string) []string {
	var list []string
	add := func(format string, a ...any) { list = append(list, fmt.Sprintf(format, a...)) }
	for _, e := range m.NetworkInterfaces.All() {
		var ips []string
		for _, p := range e.PrivateIps {
			ips = append(ips, p.PrivateIp.String()+n(p.AllocationID))
		}
		groups := []string{}
		for _, g := range e.Groups {
			groups = append(groups, n(g))
		}
		slices.Sort(groups)
		slices.Sort(ips[1:])
		at := ""
		if e.Attachment != nil {
			at = fmt.Sprint(n(e.Attachment.InstanceID), e.Attachment.DeviceIndex, e.Attachment.DeleteOnTermination)
		}
		if e.RequesterManaged {
			e = &vpc.NetworkInterface{Meta: e.Meta, SubnetID: e.SubnetID, PrivateIps: e.PrivateIps, LinkType: e.LinkType}
		}
		add("eni of %s in %s %v groups %v at %s check %t public %t %s %q", e.Source, n(e.SubnetID), ips, groups, at, e.SourceDestCheck, e.PublicIp.IsValid(), e.LinkType, e.Description)
	}
	for _, i := range m.Instances.All() {
		if i.State != vpc.StateTerminated {
			add("%s %s %s in %s key %q data %q type %s protected %t %s metadata %v", n(i.ID), i.State, i.Tenancy, n(i.SubnetID), i.KeyName, i.UserData, i.InstanceType, i.DisableApiTermination, i.InstanceInitiatedShutdownBehavior, i.Metadata())
		}
	}
	for _, g := range m.NatGateways.All() {
		if g.State == "available" {
			add("%s in %s %s %s", n(g.ID), n(g.SubnetID), g.ConnectivityType, n(g.Addresses[0].AllocationID))
		}
	}
	for _, a := range m.Addresses.All() {
		add("%s at %s", n(a.AllocationID), a.PrivateIp)
	}
	for _, h := range m.InternetHosts.All() {
		add("%s %s keys %v names %v", n(h.ID), h.State, h.KeyNames, h.DnsNames)
	}
	for _, l := range m.FlowLogs.All() {
		add("flow log of %s %s %s every %d to %s %s%s: %s tags %v", l.ResourceType, n(l.ResourceID), l.TrafficType, l.MaxAggregationInterval, l.LogDestinationType, l.LogGroupName, l.LogDestination, l.LogFormat, l.Tags)
	}
	for _, k := range m.KeyPairs.All() {
		add("key %s", k.KeyName)
	}
	slices.Sort(list)
	return list
}

// names maps IDs to what made the objects.
func names(m *vpc.Model) func(any) string {
	by := map[string]string{"": "", "default": "none"}
	for id, o := range m.Vpcs.All() {
		by[string(id)] = o.Source
	}
	for id, o := range m.Subnets.All() {
		by[string(id)] = o.Source + o.CidrBlock.String()
	}
	for id, o := range m.InternetGateways.All() {
		by[string(id)] = o.Source
	}
	for id, o := range m.NatGateways.All() {
		by[string(id)] = o.Source
	}
	for id, o := range m.Addresses.All() {
		by[string(id)] = o.Source
	}
	for id, o := range m.SecurityGroups.All() {
		by[string(id)] = o.GroupName
	}
	for id, o := range m.DhcpOptions.All() {
		by[string(id)] = o.Source + o.DomainName
	}
	for id, o := range m.NetworkInterfaces.All() {
		by[string(id)] = o.Source
	}
	for id, o := range m.Instances.All() {
		by[string(id)] = o.Source
	}
	for id, o := range m.InternetHosts.All() {
		by[string(id)] = o.Source
	}
	return func(id any) string { return by[fmt.Sprint(id)] }
}
