package hcl

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// provider is what every configuration needs. Where the endpoint is, clients are told by
// AWS_ENDPOINT_URL.
func (w *writer) provider() {
	t := w.block("terraform").AppendNewBlock("required_providers", nil).Body()
	t.SetAttributeValue("aws", cty.ObjectVal(map[string]cty.Value{"source": cty.StringVal("hashicorp/aws"), "version": cty.StringVal("~> 5.0")}))
	w.block("provider", "aws").SetAttributeValue("region", cty.StringVal(w.region))
	if w.m.Instances.Len() > 0 {
		v := w.block("variable", "ami")
		v.SetAttributeValue("description", cty.StringVal("Image of instances that named none: any ID will do in a lab"))
		v.SetAttributeValue("default", cty.StringVal(vpc.ImageID))
	}
}

func (w *writer) networks() {
	w.optionSets()
	for id, v := range byName(w, &w.m.Vpcs) {
		if v.IsDefault && !w.used(id) {
			continue
		}
		b := w.resource(string(id))
		if !v.IsDefault {
			b.text("cidr_block", v.CidrBlock.String())
			if v.InstanceTenancy != "default" {
				b.text("instance_tenancy", v.InstanceTenancy)
			}
		}
		b.yes("enable_dns_support", v.EnableDnsSupport)
		b.yes("enable_dns_hostnames", v.EnableDnsHostnames)
		if v.EnableNetworkAddressUsageMetrics {
			b.yes("enable_network_address_usage_metrics", true)
		}
		b.tags(v.Tags)
		w.cidrs(v)
		w.options(v)
	}
	for id, s := range byName(w, &w.m.Subnets) {
		if s.DefaultForAz && !w.subnetUsed(id) {
			continue
		}
		b := w.resource(string(id))
		if !s.DefaultForAz {
			b.ref("vpc_id", string(s.VpcID), "id")
			b.text("cidr_block", s.CidrBlock.String())
		}
		b.text("availability_zone", s.AvailabilityZone)
		b.yes("map_public_ip_on_launch", s.MapPublicIpOnLaunch)
		if s.PrivateDnsHostnameType == "resource-name" {
			b.text("private_dns_hostname_type_on_launch", s.PrivateDnsHostnameType)
		}
		if s.EnableResourceNameDnsARecord {
			b.yes("enable_resource_name_dns_a_record_on_launch", true)
		}
		b.tags(s.Tags)
		if v := w.m.Vpcs.Get(s.VpcID); !s.DefaultForAz && v != nil && len(v.Cidrs) > 1 {
			w.afterCidrs(b, v)
		}
	}
	for _, r := range w.m.SubnetCidrReservations.All() {
		b := w.more("aws_ec2_subnet_cidr_reservation", "reservation_"+r.Cidr.Addr().String())
		b.ref("subnet_id", string(r.SubnetID), "id")
		b.text("cidr_block", r.Cidr.String())
		b.text("reservation_type", r.ReservationType)
		b.text("description", r.Description)
	}
}

func (w *writer) cidrs(v *vpc.Vpc) {
	for _, c := range v.Cidrs[1:] {
		if c.State == "disassociated" {
			continue
		}
		b := w.more("aws_vpc_ipv4_cidr_block_association", w.nameOf(string(v.ID))+"_"+c.CidrBlock.Addr().String(), rangeKey(v, c.CidrBlock))
		b.ref("vpc_id", string(v.ID), "id")
		b.text("cidr_block", c.CidrBlock.String())
	}
}

// rangeKey finds the address of a further range's association: names of VPCs need not be unique.
func rangeKey(v *vpc.Vpc, p netip.Prefix) string { return string(v.ID) + "/" + p.String() }

// afterCidrs has a subnet wait for the VPC's further ranges, one of which it may lie in.
func (w *writer) afterCidrs(b body, v *vpc.Vpc) {
	var ids []string
	for _, c := range v.Cidrs[1:] {
		if id := rangeKey(v, c.CidrBlock); w.address[id] != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 {
		b.after(ids...)
	}
}

// optionSets are the account's DHCP options besides its default set.
func (w *writer) optionSets() {
	for id, o := range byName(w, &w.m.DhcpOptions) {
		if id == w.m.SettingsOf(w.region).DefaultDhcpOptionsID {
			continue
		}
		b := w.resource(string(id))
		b.text("domain_name", o.DomainName)
		b.texts("domain_name_servers", o.DomainNameServers)
		b.texts("ntp_servers", o.NtpServers)
		b.texts("netbios_name_servers", o.NetbiosNameServers)
		if o.NetbiosNodeType > 0 {
			b.number("netbios_node_type", o.NetbiosNodeType)
		}
		if o.Ipv6PreferredLeaseTime > 0 {
			b.number("ipv6_address_preferred_lease_time", o.Ipv6PreferredLeaseTime)
		}
		b.tags(o.Tags)
	}
}

// options are the DHCP options of a VPC, unless they are the account's default.
func (w *writer) options(v *vpc.Vpc) {
	o := w.m.DhcpOptions.Get(v.DhcpOptionsID)
	switch {
	case o == nil:
		w.note("that VPC %s has no DHCP options at all: Terraform cannot take the default set away", w.nameOf(string(v.ID)))
	case o.ID != w.m.SettingsOf(w.region).DefaultDhcpOptionsID:
		b := w.more("aws_vpc_dhcp_options_association", w.nameOf(string(v.ID)))
		b.ref("vpc_id", string(v.ID), "id")
		b.ref("dhcp_options_id", string(o.ID), "id")
	}
}

func (w *writer) gateways() {
	for id, g := range byName(w, &w.m.InternetGateways) {
		if strings.HasPrefix(w.address[string(id)], "data.") {
			continue // it came with the default VPC; routes look it up
		}
		b := w.resource(string(id))
		b.ref("vpc_id", string(g.VpcID), "id")
		b.tags(g.Tags)
	}
	for id, a := range byName(w, &w.m.Addresses) {
		b := w.resource(string(id))
		b.text("domain", "vpc")
		b.tags(a.Tags)
		w.association(a)
	}
	for id, n := range byName(w, &w.m.NatGateways) {
		if n.State != "available" && n.State != "pending" {
			continue
		}
		b := w.resource(string(id))
		b.ref("subnet_id", string(n.SubnetID), "id")
		if n.ConnectivityType == "private" {
			b.text("connectivity_type", "private")
		}
		b.ref("allocation_id", string(n.Addresses[0].AllocationID), "id")
		b.text("private_ip", n.Addresses[0].PrivateIp.String())
		var more, addresses []string
		for _, a := range n.Addresses[1:] {
			if !a.DrainUntil.IsZero() {
				continue // it is going
			}
			if addresses = append(addresses, a.PrivateIp.String()); a.AllocationID != "" {
				more = append(more, string(a.AllocationID))
			}
		}
		b.refs("secondary_allocation_ids", more)
		b.texts("secondary_private_ip_addresses", addresses)
		b.tags(n.Tags)
		if g := w.gatewayOf(n.VpcID); g != "" && n.ConnectivityType == "public" {
			b.after(g)
		}
	}
}

// gatewayThatCame looks up the Internet gateway that the default VPC came with.
func (w *writer) gatewayThatCame() {
	for id, g := range w.m.InternetGateways.All() {
		if string(g.VpcID) != w.cameWith || w.cameWith == "" {
			continue
		}
		parts := strings.Split(w.address[string(id)], ".")
		in := body{w.block(parts...), w}.inner("filter")
		in.text("name", "attachment.vpc-id")
		in.refs("values", []string{w.cameWith})
	}
}

// gatewayOf is the VPC's Internet gateway, if a resource is.
func (w *writer) gatewayOf(id vpc.VpcID) string {
	for gid, g := range w.m.InternetGateways.All() {
		if g.VpcID == id && !strings.HasPrefix(w.address[string(gid)], "data.") {
			return string(gid)
		}
	}
	return ""
}

// association is where an Elastic IP is, other than at a NAT gateway, which says so itself.
func (w *writer) association(a *vpc.Address) {
	n := w.m.NetworkInterfaces.Get(a.NetworkInterfaceID)
	if n == nil || n.InterfaceType != "interface" {
		return
	}
	i := w.launchedWith(n)
	if i != "" && w.address[i] == "" {
		return // it is just being terminated
	}
	b := w.more("aws_eip_association", w.nameOf(string(a.AllocationID)))
	b.ref("allocation_id", string(a.AllocationID), "id")
	if i != "" {
		b.ref("instance_id", i, "id")
	} else {
		b.ref("network_interface_id", string(n.ID), "id")
	}
	b.text("private_ip_address", a.PrivateIp.String())
	if g := w.gatewayOf(n.VpcID); g != "" {
		b.after(g)
	}
}

// launchedWith is the instance whose own interface this is, "" for one that is a resource.
func (w *writer) launchedWith(n *vpc.NetworkInterface) string {
	if n.Attachment != nil && n.Attachment.DeviceIndex == 0 {
		return string(n.Attachment.InstanceID)
	}
	return ""
}

func (w *writer) groups() {
	for id, g := range byName(w, &w.m.SecurityGroups) {
		v := w.m.Vpcs.Get(g.VpcID)
		if v == nil || v.IsDefault && !w.used(v.ID) {
			continue
		}
		if g.GroupName == "default" {
			if !groupAsAWS(g) {
				w.defaultGroup(string(id), g, v)
			}
			continue
		}
		b := w.resource(string(id))
		b.text("name", g.GroupName)
		b.text("description", g.Description)
		b.ref("vpc_id", string(g.VpcID), "id")
		b.tags(g.Tags)
		for i := range g.Ingress {
			w.rule("aws_vpc_security_group_ingress_rule", string(id), &g.Ingress[i], i)
		}
		for i := range g.Egress {
			w.rule("aws_vpc_security_group_egress_rule", string(id), &g.Egress[i], i)
		}
	}
}

// rule is a resource of its own.
func (w *writer) rule(kind, group string, r *vpc.SecurityGroupRule, i int) {
	b := w.more(kind, w.nameOf(group)+"_"+strconv.Itoa(i+1))
	b.ref("security_group_id", group, "id")
	b.text("description", r.Description)
	if r.CidrIpv4.IsValid() {
		b.text("cidr_ipv4", r.CidrIpv4.String())
	}
	if r.CidrIpv6.IsValid() {
		b.text("cidr_ipv6", r.CidrIpv6.String())
	}
	if r.GroupID != "" {
		b.ref("referenced_security_group_id", string(r.GroupID), "id")
	}
	b.text("ip_protocol", r.IpProtocol)
	if hasPorts(r.IpProtocol) {
		b.number("from_port", r.FromPort)
		b.number("to_port", r.ToPort)
	}
	b.tags(r.Tags)
}

// defaultGroup is a VPC's own, whose resource says all its rules.
func (w *writer) defaultGroup(id string, g *vpc.SecurityGroup, v *vpc.Vpc) {
	b := w.resource(id)
	b.ref("vpc_id", string(v.ID), "id")
	for i := range g.Ingress {
		b.ownRule("ingress", g.ID, &g.Ingress[i])
	}
	for i := range g.Egress {
		b.ownRule("egress", g.ID, &g.Egress[i])
	}
	b.tags(g.Tags)
}

// ownRule is a rule within its group's resource.
func (b body) ownRule(kind string, group vpc.SecurityGroupID, r *vpc.SecurityGroupRule) {
	in := b.inner(kind)
	in.text("protocol", r.IpProtocol)
	from, to := r.FromPort, r.ToPort
	if !hasPorts(r.IpProtocol) {
		from, to = 0, 0 // what the provider wants there
	}
	in.number("from_port", from)
	in.number("to_port", to)
	switch {
	case r.GroupID == group:
		in.yes("self", true)
	case r.GroupID != "":
		in.refs("security_groups", []string{string(r.GroupID)})
	case r.CidrIpv6.IsValid():
		in.texts("ipv6_cidr_blocks", []string{r.CidrIpv6.String()})
	default:
		in.texts("cidr_blocks", []string{r.CidrIpv4.String()})
	}
	in.text("description", r.Description)
}

// hasPorts tells whether a rule for the protocol has ports, or ICMP's type and code.
func hasPorts(protocol string) bool {
	return slices.Contains([]string{"tcp", "udp", "icmp", "icmpv6"}, protocol)
}

func (w *writer) acls() {
	for id, a := range byName(w, &w.m.NetworkAcls) {
		v := w.m.Vpcs.Get(a.VpcID)
		if v == nil || v.IsDefault && !w.used(v.ID) || a.IsDefault && asAWS(a) {
			continue
		}
		b := w.resource(string(id))
		var subnets []string
		for sid, s := range w.m.Subnets.All() {
			if s.NetworkAclID == id && w.address[string(sid)] != "" && (!s.DefaultForAz || w.subnetUsed(sid)) {
				subnets = append(subnets, string(sid))
			}
		}
		if a.IsDefault {
			b.ref("default_network_acl_id", string(v.ID), "default_network_acl_id")
		} else {
			b.ref("vpc_id", string(v.ID), "id")
		}
		b.refs("subnet_ids", subnets)
		for i := range a.Entries {
			if e := &a.Entries[i]; e.RuleNumber < 32767 {
				w.entry(b, e)
			}
		}
		b.tags(a.Tags)
	}
}

// asAWS tells whether a default ACL is as it was made.
func asAWS(a *vpc.NetworkAcl) bool {
	if len(a.Tags) > 0 {
		return false
	}
	n := 0
	for _, e := range a.Entries {
		if e.RuleNumber >= 32767 {
			continue
		}
		if n++; e.RuleNumber != 100 || e.Protocol != "-1" || e.RuleAction != "allow" || e.CidrBlock.Bits() != 0 {
			return false
		}
	}
	return n == 2
}

func (w *writer) entry(b body, e *vpc.NetworkAclEntry) {
	in := b.inner(short(e.Egress, "egress", "ingress"))
	in.number("rule_no", e.RuleNumber)
	in.text("action", e.RuleAction)
	in.text("protocol", e.Protocol)
	if e.CidrBlock.IsValid() {
		in.text("cidr_block", e.CidrBlock.String())
	} else {
		in.text("ipv6_cidr_block", e.Ipv6Cidr.String())
	}
	in.number("from_port", e.FromPort)
	in.number("to_port", e.ToPort)
	if e.Protocol == "1" {
		in.number("icmp_type", e.IcmpType)
		in.number("icmp_code", e.IcmpCode)
	}
}

func (w *writer) machines() {
	for _, k := range w.m.KeyPairs.All() {
		b := w.resource("key/" + k.KeyName)
		b.text("key_name", k.KeyName)
		b.text("public_key", k.PublicKey)
		b.tags(k.Tags)
	}
	for id, i := range byName(w, &w.m.Instances) {
		if lives(i) {
			w.instance(string(id), i)
		}
	}
	for id, n := range byName(w, &w.m.NetworkInterfaces) {
		if n.InterfaceType == "interface" && n.Deleted.IsZero() && w.launchedWith(n) == "" {
			w.networkInterface(string(id), n)
		}
	}
	for id, f := range byName(w, &w.m.FlowLogs) {
		if w.address[string(f.ResourceID)] == "" {
			w.note("the flow log of %s, which is gone", f.ResourceID)
			continue
		}
		b := w.resource(string(id))
		b.ref(map[string]string{vpc.FlowLogVpc: "vpc_id", vpc.FlowLogSubnet: "subnet_id", vpc.FlowLogNetworkInterface: "eni_id"}[f.ResourceType], string(f.ResourceID), "id")
		b.text("traffic_type", f.TrafficType)
		b.text("log_destination_type", f.LogDestinationType)
		if f.LogDestination == "" && f.LogGroupName != "" {
			b.text("log_destination", "arn:aws:logs:"+w.region+":"+w.m.Account+":log-group:"+f.LogGroupName)
		}
		b.text("log_destination", f.LogDestination)
		b.text("log_format", f.LogFormat)
		b.text("iam_role_arn", f.DeliverLogsPermissionArn)
		b.number("max_aggregation_interval", f.MaxAggregationInterval)
		b.tags(f.Tags)
	}
}

func (w *writer) instance(id string, i *vpc.Instance) {
	nics := w.m.InstanceInterfaces(i.ID)
	if len(nics) == 0 {
		return
	}
	n := nics[0]
	b := w.resource(id)
	if i.ImageID == vpc.ImageID {
		b.SetAttributeTraversal("ami", traversal("var.ami", "")[:2])
	} else {
		b.text("ami", i.ImageID)
	}
	b.text("instance_type", i.InstanceType)
	b.ref("subnet_id", string(n.SubnetID), "id")
	b.text("private_ip", n.Primary().String())
	if len(n.PrivateIps) > 1 {
		var more []string
		for _, p := range n.PrivateIps[1:] {
			more = append(more, p.PrivateIp.String())
		}
		b.texts("secondary_private_ips", more)
	}
	var groups []string
	for _, g := range n.Groups {
		groups = append(groups, string(g))
	}
	b.refs("vpc_security_group_ids", groups)
	s := w.m.Subnets.Get(n.SubnetID)
	public := s != nil && n.MapPublic != s.MapPublicIpOnLaunch
	if public {
		b.yes("associate_public_ip_address", n.MapPublic)
	}
	if i.Tenancy == "dedicated" {
		b.text("tenancy", i.Tenancy)
	}
	if !n.SourceDestCheck {
		b.yes("source_dest_check", false)
	}
	if i.KeyName != "" && w.address["key/"+i.KeyName] == "" {
		w.note("the key pair %s of instance %s, which has been deleted", i.KeyName, w.nameOf(id))
	}
	b.ref("key_name", "key/"+i.KeyName, "key_name")
	b.userData(i.UserData)
	if i.DisableApiTermination {
		b.yes("disable_api_termination", true)
	}
	w.readBack(b, i)
	if i.InstanceInitiatedShutdownBehavior == "terminate" {
		b.text("instance_initiated_shutdown_behavior", "terminate")
	}
	if o := i.Metadata(); i.MetadataOptions != (vpc.MetadataOptions{}) {
		in := b.inner("metadata_options")
		in.text("http_endpoint", o.HttpEndpoint)
		in.text("http_tokens", o.HttpTokens)
		in.number("http_put_response_hop_limit", o.HttpPutResponseHopLimit)
		in.text("instance_metadata_tags", o.InstanceMetadataTags)
	}
	if s != nil && (i.HostnameType() != cmp.Or(s.PrivateDnsHostnameType, "ip-name") || i.EnableResourceNameDnsARecord != s.EnableResourceNameDnsARecord) {
		in := b.inner("private_dns_name_options")
		in.text("hostname_type", i.HostnameType())
		in.yes("enable_resource_name_dns_a_record", i.EnableResourceNameDnsARecord)
	}
	b.tags(i.Tags)
	stopped := i.State == vpc.StateStopped || i.State == vpc.StateStopping
	if public && (stopped || n.PrivateIps[0].AllocationID != "") {
		// The provider reads it from the address that there is now: none of a stopped instance, or an Elastic IP.
		in := b.inner("lifecycle")
		in.SetAttributeRaw("ignore_changes", list([]hclwrite.Tokens{hclwrite.TokensForIdentifier("associate_public_ip_address")}))
	}
	if stopped {
		s := w.more("aws_ec2_instance_state", w.nameOf(id))
		s.ref("instance_id", id, "id")
		s.text("state", "stopped")
	}
}

// readBack are settings that mean nothing in a lab, and much on AWS.
func (w *writer) readBack(b body, i *vpc.Instance) {
	o := i.Options
	if i.DisableApiStop {
		b.yes("disable_api_stop", true)
	}
	if o.Monitoring {
		b.yes("monitoring", true)
	}
	if o.EbsOptimized {
		b.yes("ebs_optimized", true)
	}
	if _, name, ok := strings.Cut(o.ProfileArn, ":instance-profile/"); ok {
		b.text("iam_instance_profile", name[strings.LastIndexByte(name, '/')+1:])
	}
	if o.CpuCredits != "" {
		b.inner("credit_specification").text("cpu_credits", o.CpuCredits)
	}
	for _, v := range w.m.Volumes.All() {
		if v.InstanceID != i.ID {
			continue
		}
		kind := "ebs_block_device"
		if v.Device == vpc.RootDevice {
			if v.AsImage() && len(v.Tags) == 0 {
				continue
			}
			kind = "root_block_device"
		}
		w.volume(b.inner(kind), v, kind)
	}
	if o.Hardware != (vpc.InstanceHardware{}) {
		w.note("the processor, hibernation, enclave, recovery and capacity settings of instance %s", cmp.Or(i.Name(), string(i.ID)))
	}
}

func (w *writer) volume(in body, v *vpc.Volume, kind string) {
	if kind == "ebs_block_device" {
		in.text("device_name", v.Device)
	}
	in.number("volume_size", v.Size)
	in.text("volume_type", v.VolumeType)
	if slices.Contains([]string{"gp3", "io1", "io2"}, v.VolumeType) { // others have what they have
		in.number("iops", v.Iops)
	}
	if v.VolumeType == "gp3" {
		in.number("throughput", v.Throughput)
	}
	if v.Encrypted {
		in.yes("encrypted", true)
	}
	if !v.DeleteOnTermination {
		in.yes("delete_on_termination", false)
	}
	in.tags(v.Tags)
}

func (w *writer) networkInterface(id string, n *vpc.NetworkInterface) {
	b := w.resource(id)
	b.ref("subnet_id", string(n.SubnetID), "id")
	b.text("description", n.Description)
	var addresses []string
	for _, p := range n.PrivateIps {
		addresses = append(addresses, p.PrivateIp.String())
	}
	if len(addresses) == 1 {
		b.texts("private_ips", addresses)
	} else { // private_ips is a set: any could become the primary one
		b.yes("private_ip_list_enabled", true)
		b.texts("private_ip_list", addresses)
	}
	var groups []string
	for _, g := range n.Groups {
		groups = append(groups, string(g))
	}
	b.refs("security_groups", groups)
	if !n.SourceDestCheck {
		b.yes("source_dest_check", false)
	}
	b.tags(n.Tags)
	if a := n.Attachment; a != nil && w.address[string(a.InstanceID)] != "" {
		c := w.more("aws_network_interface_attachment", w.nameOf(id))
		c.ref("instance_id", string(a.InstanceID), "id")
		c.ref("network_interface_id", id, "id")
		c.number("device_index", a.DeviceIndex)
	}
}

func (w *writer) routes() {
	for id, t := range byName(w, &w.m.RouteTables) {
		v := w.m.Vpcs.Get(t.VpcID)
		built := w.builtIn(t)
		if v == nil || v.IsDefault && !w.used(v.ID) || built && w.tableAsAWS(v, t) || w.spare(t) {
			continue
		}
		b := w.resource(string(id))
		if built {
			b.ref("default_route_table_id", string(v.ID), "default_route_table_id")
		} else {
			b.ref("vpc_id", string(v.ID), "id")
		}
		for _, r := range t.Routes {
			w.route(b, v, r)
		}
		b.tags(t.Tags)
		for _, a := range t.Associations {
			w.tableOf(string(id), t, a, built)
		}
	}
}

func (w *writer) route(b body, v *vpc.Vpc, r vpc.Route) {
	kind, id := "", ""
	switch {
	case r.Local:
		return
	case slices.ContainsFunc(v.Cidrs, func(c vpc.CidrAssociation) bool { return c.CidrBlock == r.DestinationCidrBlock }):
		w.note("the target of the local route %s of VPC %s", r.DestinationCidrBlock, w.nameOf(string(v.ID)))
		return
	case r.GatewayID != "":
		kind, id = "gateway_id", string(r.GatewayID)
	case r.NatGatewayID != "":
		kind, id = "nat_gateway_id", string(r.NatGatewayID)
	default:
		kind, id = "network_interface_id", string(r.NetworkInterfaceID)
	}
	if w.address[id] == "" {
		w.note("the route to %s of VPC %s, as what it leads to is gone", r.DestinationCidrBlock, w.nameOf(string(v.ID)))
		return
	}
	if strings.HasPrefix(w.address[id], "data.") {
		w.cameWith = string(v.ID)
	}
	in := b.inner("route")
	in.text("cidr_block", r.DestinationCidrBlock.String())
	in.ref(kind, id, "id")
}

func (w *writer) tableOf(id string, t *vpc.RouteTable, a vpc.RouteAssociation, built bool) {
	switch {
	case a.Main && built:
	case a.Main:
		b := w.more("aws_main_route_table_association", w.nameOf(id))
		b.ref("vpc_id", string(t.VpcID), "id")
		b.ref("route_table_id", id, "id")
	case a.SubnetID != "":
		b := w.more("aws_route_table_association", w.nameOf(string(a.SubnetID)))
		b.ref("subnet_id", string(a.SubnetID), "id")
		b.ref("route_table_id", id, "id")
	case a.GatewayID != "":
		b := w.more("aws_route_table_association", w.nameOf(string(a.GatewayID))+"_edge")
		b.ref("gateway_id", string(a.GatewayID), "id")
		b.ref("route_table_id", id, "id")
	}
}

// unsaid notes what only a lab has.
func (w *writer) unsaid() {
	for _, h := range w.m.InternetHosts.All() {
		if h.Deleted.IsZero() {
			w.note("the Internet host %s", h.HostName)
		}
	}
	for _, i := range w.m.Impairments.All() {
		w.note("the impairment of %s", w.m.PlaceName(i.Place))
	}
	if n := len(w.m.Expectations); n > 0 {
		w.note("the %d checks", n)
	}
	for _, i := range w.m.Instances.All() {
		if lives(i) && (i.Rootfs != "" || i.Limits != (vpc.Limits{}) || len(i.Devices) > 0) {
			w.note("root file system, limits and devices of instance %s", cmp.Or(i.Name(), string(i.ID)))
		}
	}
	if w.m.Addresses.Len() > 0 {
		w.note("the public addresses of the Elastic IPs: AWS chooses")
	}
	if len(w.m.PublicPools) > 0 && !slices.Equal(w.m.PublicPools, vpc.DefaultPools) {
		w.note("the public pools %s", fmt.Sprint(w.m.PublicPools))
	}
	for _, region := range w.m.OpenRegions() {
		if region != w.region {
			w.note("Region %s: --region %s writes it", region, region)
		}
	}
}
