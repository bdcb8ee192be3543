package importer

import (
	"encoding/base64"
	"regexp"
	"slices"
)

func (t *tfReader) tfAddress(r *tfResource) {
	a := &rawAddress{AllocationId: firstOf(r.str("allocation_id"), r.id()), AssociationId: r.str("association_id"), PublicIp: r.str("public_ip"), InstanceId: r.str("instance"),
		NetworkInterfaceId: r.str("network_interface"), NetworkBorderGroup: r.str("network_border_group"), Tags: r.tags(), origin: t.from(r)}
	if a.InstanceId != "" || a.NetworkInterfaceId != "" {
		a.PrivateIpAddress = firstOf(r.str("associate_with_private_ip"), r.str("private_ip"))
	}
	t.Addresses = append(t.Addresses, a)
}

func (t *tfReader) tfAddressAssociation(r *tfResource) {
	t.later = append(t.later, func() {
		for _, a := range t.Addresses {
			if a.AllocationId == r.str("allocation_id") {
				a.InstanceId, a.NetworkInterfaceId = firstOf(a.InstanceId, r.str("instance_id")), firstOf(a.NetworkInterfaceId, r.str("network_interface_id"))
				a.PrivateIpAddress = firstOf(a.PrivateIpAddress, r.str("private_ip_address"))
			}
		}
	})
}

func (t *tfReader) tfNatGateway(r *tfResource) {
	g := &rawNatGateway{NatGatewayId: r.id(), SubnetId: r.str("subnet_id"), ConnectivityType: r.str("connectivity_type"), AvailabilityMode: r.str("availability_mode"), Tags: r.tags(), origin: t.from(r)}
	yes, no := true, false
	g.NatGatewayAddresses = []rawNatAddress{{AllocationId: r.str("allocation_id"), NetworkInterfaceId: r.str("network_interface_id"), PrivateIp: r.str("private_ip"), PublicIp: r.str("public_ip"), IsPrimary: &yes}}
	// Which private address is for which Elastic IP, a state does not tell.
	more, addresses := r.strs("secondary_allocation_ids"), r.strs("secondary_private_ip_addresses")
	for i := range max(len(more), len(addresses)) {
		a := rawNatAddress{IsPrimary: &no}
		if i < len(more) {
			a.AllocationId = more[i]
		}
		if i < len(addresses) {
			a.PrivateIp = addresses[i]
		}
		if a.AllocationId != "" || g.ConnectivityType == "private" {
			g.NatGatewayAddresses = append(g.NatGatewayAddresses, a)
		}
	}
	t.NatGateways = append(t.NatGateways, g)
}

// tfNatAssociation is a further Elastic IP of a gateway.
func (t *tfReader) tfNatAssociation(r *tfResource) {
	t.later = append(t.later, func() {
		g := byID(t.NatGateways, r.str("nat_gateway_id"), func(g *rawNatGateway) string { return g.NatGatewayId })
		id := r.str("allocation_id")
		switch {
		case g == nil:
			t.missing(r, "NAT gateway", r.str("nat_gateway_id"))
		case !slices.ContainsFunc(g.NatGatewayAddresses, func(a rawNatAddress) bool { return a.AllocationId == id }):
			no := false
			g.NatGatewayAddresses = append(g.NatGatewayAddresses, rawNatAddress{AllocationId: id, PrivateIp: r.str("private_ip_address"), IsPrimary: &no})
		}
	})
}

func (t *tfReader) tfKeyPair(r *tfResource) {
	t.KeyPairs = append(t.KeyPairs, &rawKeyPair{KeyPairId: r.str("key_pair_id"), KeyName: firstOf(r.str("key_name"), r.Name), PublicKey: r.str("public_key"), Tags: r.tags(), origin: t.from(r)})
}

func (t *tfReader) tfInterface(r *tfResource) {
	n := &rawInterface{NetworkInterfaceId: r.id(), SubnetId: r.str("subnet_id"), Description: r.str("description"), InterfaceType: r.str("interface_type"),
		SourceDestCheck: r.boolean("source_dest_check"), TagSet: r.tags(), origin: t.from(r)}
	all := r.strs("private_ips")
	if l := r.strs("private_ip_list"); len(l) > 0 {
		all = l
	}
	n.PrivateIpAddress = r.str("private_ip")
	if n.PrivateIpAddress == "" && len(all) > 0 {
		n.PrivateIpAddress = all[0]
	}
	for _, ip := range all {
		n.PrivateIpAddresses = append(n.PrivateIpAddresses, rawPrivate{PrivateIpAddress: ip, Primary: ip == n.PrivateIpAddress})
	}
	for _, id := range r.strs("security_groups") {
		n.Groups = append(n.Groups, rawGroupName{GroupId: id})
	}
	for _, a := range r.blocks("attachment") {
		if id := a.str("instance"); id != "" {
			n.Attachment = &rawAttachment{InstanceId: id, DeviceIndex: a.number("device_index"), NetworkCardIndex: a.number("network_card_index")}
		}
	}
	for _, six := range r.strs("ipv6_addresses") {
		n.Ipv6Addresses = append(n.Ipv6Addresses, struct{ Ipv6Address string }{six})
	}
	t.NetworkInterfaces = append(t.NetworkInterfaces, n)
}

func (t *tfReader) tfAttachment(r *tfResource) {
	t.later = append(t.later, func() {
		if n := t.networkInterface(r.str("network_interface_id")); n != nil {
			n.Attachment = &rawAttachment{InstanceId: r.str("instance_id"), DeviceIndex: r.number("device_index"), NetworkCardIndex: r.number("network_card_index")}
		}
	})
}

func (t *tfReader) tfGroupAttachment(r *tfResource) {
	t.later = append(t.later, func() {
		id := r.str("network_interface_id")
		groups := func(to *[]rawGroupName, subnet string) {
			if s := t.subnet(subnet); s != nil && len(*to) == 0 { // as planned it has its VPC's own, which a plan does not list
				if v := t.vpc(s.VpcId); v != nil && v.ownGroup != "" {
					*to = append(*to, rawGroupName{GroupId: v.ownGroup})
				}
			}
			if g := r.str("security_group_id"); !slices.ContainsFunc(*to, func(x rawGroupName) bool { return x.GroupId == g }) {
				*to = append(*to, rawGroupName{GroupId: g})
			}
		}
		if n := t.networkInterface(id); n != nil {
			groups(&n.Groups, n.SubnetId)
		}
		for _, i := range t.Instances {
			if len(i.NetworkInterfaces) > 0 && i.NetworkInterfaces[0].NetworkInterfaceId == id {
				groups(&i.NetworkInterfaces[0].Groups, i.SubnetId)
			}
		}
	})
}

// Until version 6 the provider kept only the SHA-1 of user data in a state.
var onlyHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

func (t *tfReader) tfInstance(r *tfResource) {
	i := &rawInstance{InstanceId: r.id(), ImageId: r.str("ami"), InstanceType: r.str("instance_type"), KeyName: r.str("key_name"), SubnetId: r.str("subnet_id"), PrivateIpAddress: r.str("private_ip"),
		SourceDestCheck: r.boolean("source_dest_check"), Tags: r.tags(), origin: t.from(r)}
	if r.Type == "aws_spot_instance_request" {
		i.InstanceId, i.InstanceLifecycle = firstOf(r.str("spot_instance_id"), r.id()), "spot"
	}
	i.State.Name = firstOf(r.str("instance_state"), "running")
	i.Placement.AvailabilityZone, i.Placement.Tenancy = r.str("availability_zone"), r.str("tenancy")
	if p := r.str("iam_instance_profile"); p != "" {
		i.IamInstanceProfile = &struct{ Arn string }{p}
	}
	for _, m := range r.blocks("metadata_options") {
		i.MetadataOptions = &rawMetadataOptions{HttpTokens: m.str("http_tokens"), HttpEndpoint: m.str("http_endpoint"), HttpProtocolIpv6: m.str("http_protocol_ipv6"),
			InstanceMetadataTags: m.str("instance_metadata_tags"), HttpPutResponseHopLimit: m.number("http_put_response_hop_limit")}
	}
	for _, p := range r.blocks("private_dns_name_options") {
		i.PrivateDnsNameOptions = &rawPrivateDns{p.str("hostname_type"), p.is("enable_resource_name_dns_a_record")}
	}
	t.tfFirstInterface(r, i)
	t.Instances = append(t.Instances, i)
	t.instanceAttributes[i.InstanceId] = instanceAttributes{UserData: t.tfUserData(r), DisableApiTermination: r.boolean("disable_api_termination"), DisableApiStop: r.boolean("disable_api_stop"),
		InstanceInitiatedShutdownBehavior: r.str("instance_initiated_shutdown_behavior")}
}

// tfFirstInterface gives the instance its first interface: one that another resource describes, or its own.
func (t *tfReader) tfFirstInterface(r *tfResource, i *rawInstance) {
	n := &rawInterface{NetworkInterfaceId: r.str("primary_network_interface_id"), SubnetId: i.SubnetId, PrivateIpAddress: i.PrivateIpAddress, SourceDestCheck: i.SourceDestCheck, Attachment: &rawAttachment{}}
	n.PrivateIpAddresses = []rawPrivate{{PrivateIpAddress: i.PrivateIpAddress, Primary: true}}
	for _, ip := range r.strs("secondary_private_ips") {
		n.PrivateIpAddresses = append(n.PrivateIpAddresses, rawPrivate{PrivateIpAddress: ip})
	}
	for _, id := range r.strs("vpc_security_group_ids") {
		n.Groups = append(n.Groups, rawGroupName{GroupId: id})
	}
	if ip := r.str("public_ip"); ip != "" {
		n.Association = &rawPublic{PublicIp: ip}
	} else if r.is("associate_public_ip_address") {
		n.Association = &rawPublic{PublicIp: "planned"}
	} else if t.plan != nil && r.boolean("associate_public_ip_address") == nil {
		i.publicOpen = true
	}
	for _, key := range []string{"primary_network_interface", "network_interface"} {
		for _, b := range r.blocks(key) {
			id, at := b.str("network_interface_id"), b.number("device_index")
			if id != "" && at == 0 {
				n.NetworkInterfaceId = id
			} else if id != "" {
				t.later = append(t.later, func() {
					if other := t.networkInterface(id); other != nil && other.Attachment == nil {
						other.Attachment = &rawAttachment{InstanceId: i.InstanceId, DeviceIndex: at}
					}
				})
			}
		}
	}
	i.NetworkInterfaces = []*rawInterface{n}
	t.later = append(t.later, func() {
		if other := t.networkInterface(n.NetworkInterfaceId); other != nil && i.SubnetId == "" {
			i.SubnetId = other.SubnetId
			n.SubnetId = other.SubnetId
		}
	})
}

func (t *tfReader) tfUserData(r *tfResource) *string {
	if data := r.str("user_data_base64"); data != "" {
		return &data
	}
	text := r.str("user_data")
	switch {
	case text == "" || text == "da39a3ee5e6b4b0d3255bfef95601890afd80709": // the hash of nothing
		return nil
	case onlyHash.MatchString(text):
		t.notes.add("instance", r.Address, "its user data, of which the state has only the hash (aws ec2 describe-instance-attribute --attribute userData has it)")
		return nil
	}
	data := base64.StdEncoding.EncodeToString([]byte(text))
	return &data
}

func (t *tfReader) tfInstanceState(r *tfResource) {
	t.later = append(t.later, func() {
		if i := t.instance(r.str("instance_id")); i != nil && r.str("state") != "" {
			i.State.Name = r.str("state")
		}
	})
}
