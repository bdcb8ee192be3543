package vpc

import (
	"strings"
	"time"
)

// instanceFilters are those of DescribeInstances: the instance's own, and under
// network-interface. those of its interfaces.
var instanceFilters = func() filterSet[Instance] {
	set := filterSet[Instance]{
		"architecture":                               onInstance(func(i *InstanceInfo) string { return i.Architecture }),
		"availability-zone":                          func(m *Model, i *Instance) []string { return one(m.instanceZone(i)) },
		"availability-zone-id":                       func(m *Model, i *Instance) []string { return one(m.ZoneID(m.instanceZone(i))) },
		"block-device-mapping.attach-time":           onVolumes(func(v *Volume) string { return v.AttachTime.Format(time.RFC3339) }),
		"block-device-mapping.delete-on-termination": onVolumes(func(v *Volume) string { return boolText(v.DeleteOnTermination)[0] }),
		"block-device-mapping.device-name":           onVolumes(func(v *Volume) string { return v.Device }),
		"block-device-mapping.status":                onVolumes(func(*Volume) string { return "attached" }),
		"block-device-mapping.volume-id":             onVolumes(func(v *Volume) string { return string(v.ID) }),
		"iam-instance-profile.arn":                   onProfile(func(p *IamInstanceProfile) string { return p.Arn }),
		"iam-instance-profile.id":                    onProfile(func(p *IamInstanceProfile) string { return p.Id }),
		"iam-instance-profile.name":                  onProfile(func(p *IamInstanceProfile) string { return p.Arn[strings.LastIndex(p.Arn, "/")+1:] }),
		"client-token":                               onInstance(func(i *InstanceInfo) string { return i.ClientToken }),
		"current-instance-boot-mode":                 onInstance(func(i *InstanceInfo) string { return i.CurrentInstanceBootMode }),
		"platform-details":                           onInstance(func(i *InstanceInfo) string { return i.PlatformDetails }),
		"usage-operation":                            onInstance(func(i *InstanceInfo) string { return i.UsageOperation }),
		"usage-operation-update-time":                func(_ *Model, i *Instance) []string { return one(timeText(i.Created)) },
		"enclave-options.enabled":                    func(_ *Model, i *Instance) []string { return boolText(i.Options.Hardware.Enclave) },
		"private-dns-name-options.enable-resource-name-dns-aaaa-record": func(*Model, *Instance) []string { return boolText(false) },
		"network-performance-options.bandwidth-weighting":               func(*Model, *Instance) []string { return []string{"default"} },
		"network-interface.attachment.network-card-index":               func(*Model, *Instance) []string { return intText(0) },
		"network-interface.deny-all-igw-traffic":                        func(*Model, *Instance) []string { return boolText(false) },
		"network-interface.ipv6-native":                                 func(*Model, *Instance) []string { return boolText(false) },
		"network-interface.public-dns-name": onNICs(func(n *InstanceNetworkInterface) []string {
			return association(n.Association, func(a *InstanceNetworkInterfaceAssociation) string { return a.PublicDnsName })
		}),
		"network-interface.addresses.association.public-dns-name": onNICs(func(n *InstanceNetworkInterface) (list []string) {
			for i := range n.PrivateIpAddresses {
				list = append(list, association(n.PrivateIpAddresses[i].Association, func(a *InstanceNetworkInterfaceAssociation) string { return a.PublicDnsName })...)
			}
			return list
		}),
		"network-interface.addresses.association.ip-owner-id": onNICs(func(n *InstanceNetworkInterface) (list []string) {
			for i := range n.PrivateIpAddresses {
				list = append(list, association(n.PrivateIpAddresses[i].Association, func(a *InstanceNetworkInterfaceAssociation) string { return a.IpOwnerId })...)
			}
			return list
		}),
		"network-interface.addresses.private-dns-name": onNICs(func(n *InstanceNetworkInterface) []string {
			return each(n.PrivateIpAddresses, func(a *InstancePrivateIpAddress) string { return a.PrivateDnsName })
		}),
		"network-interface.addresses.association.allocation-id":  onInterfaces(addressOf(func(a *Address) string { return string(a.AllocationID) })),
		"network-interface.addresses.association.association-id": onInterfaces(addressOf(func(a *Address) string { return string(a.AssociationID) })),
		"dns-name":                            onInstance(func(i *InstanceInfo) string { return i.PublicDnsName }),
		"ebs-optimized":                       func(_ *Model, i *Instance) []string { return boolText(i.Options.EbsOptimized) },
		"ena-support":                         func(*Model, *Instance) []string { return boolText(true) },
		"hypervisor":                          onInstance(func(i *InstanceInfo) string { return i.Hypervisor }),
		"image-id":                            func(_ *Model, i *Instance) []string { return one(i.ImageID) },
		"instance-id":                         func(_ *Model, i *Instance) []string { return one(i.ID) },
		"instance-state-code":                 func(_ *Model, i *Instance) []string { return intText(stateCodes[i.State]) },
		"instance-state-name":                 func(_ *Model, i *Instance) []string { return one(i.State) },
		"instance-type":                       func(_ *Model, i *Instance) []string { return one(i.InstanceType) },
		"instance.group-id":                   onGroups(func(g *GroupIdentifier) string { return string(g.GroupId) }),
		"instance.group-name":                 onGroups(func(g *GroupIdentifier) string { return g.GroupName }),
		"ip-address":                          onInstance(func(i *InstanceInfo) string { return i.PublicIpAddress }),
		"key-name":                            onInstance(func(i *InstanceInfo) string { return i.KeyName }),
		"launch-index":                        func(_ *Model, i *Instance) []string { return intText(i.AmiLaunchIndex) },
		"launch-time":                         func(_ *Model, i *Instance) []string { return one(timeText(i.LaunchTime)) },
		"monitoring-state":                    onInstance(func(i *InstanceInfo) string { return i.Monitoring.State }),
		"private-dns-name":                    onInstance(func(i *InstanceInfo) string { return i.PrivateDnsName }),
		"private-ip-address":                  onInstance(func(i *InstanceInfo) string { return i.PrivateIpAddress }),
		"reason":                              onInstance(func(i *InstanceInfo) string { return i.StateTransitionReason }),
		"reservation-id":                      func(_ *Model, i *Instance) []string { return one(i.ReservationID) },
		"root-device-name":                    onInstance(func(i *InstanceInfo) string { return i.RootDeviceName }),
		"root-device-type":                    onInstance(func(i *InstanceInfo) string { return i.RootDeviceType }),
		"source-dest-check":                   sourceDestFilter,
		"state-reason-code":                   onReason(func(r *StateReason) string { return r.Code }),
		"state-reason-message":                onReason(func(r *StateReason) string { return r.Message }),
		"subnet-id":                           onInstance(func(i *InstanceInfo) string { return string(i.SubnetId) }),
		"tenancy":                             func(_ *Model, i *Instance) []string { return one(i.Tenancy) },
		"virtualization-type":                 onInstance(func(i *InstanceInfo) string { return i.VirtualizationType }),
		"vpc-id":                              onInstance(func(i *InstanceInfo) string { return string(i.VpcId) }),
		"metadata-options.http-endpoint":      onMetadata(func(o *InstanceMetadataOptionsResponse) string { return o.HttpEndpoint }),
		"metadata-options.http-protocol-ipv4": onMetadata(func(o *InstanceMetadataOptionsResponse) string { return o.HttpEndpoint }),
		"metadata-options.http-protocol-ipv6": onMetadata(func(o *InstanceMetadataOptionsResponse) string { return o.HttpProtocolIpv6 }),
		"metadata-options.http-put-response-hop-limit": func(_ *Model, i *Instance) []string { return intText(i.Metadata().HttpPutResponseHopLimit) },
		"metadata-options.http-tokens":                 onMetadata(func(o *InstanceMetadataOptionsResponse) string { return o.HttpTokens }),
		"metadata-options.instance-metadata-tags":      onMetadata(func(o *InstanceMetadataOptionsResponse) string { return o.InstanceMetadataTags }),
		"metadata-options.state":                       onMetadata(func(o *InstanceMetadataOptionsResponse) string { return o.State }),
		"operator.managed":                             func(*Model, *Instance) []string { return boolText(false) },
		"hibernation-options.configured":               func(_ *Model, i *Instance) []string { return boolText(i.Options.Hardware.Hibernation) },
		"maintenance-options.auto-recovery":            func(_ *Model, i *Instance) []string { return one(i.Options.Hardware.maintenance().AutoRecovery) },

		"network-interface.group-name": onInterfaces(interfaceFilters["group-name"]),
		"network-interface.tag-key": onInterfaces(func(_ *Model, n *NetworkInterface) []string {
			return each(tagList(n.Tags), func(t *Tag) string { return t.Key })
		}),
		"network-interface.tag-value": onInterfaces(func(_ *Model, n *NetworkInterface) []string {
			return each(tagList(n.Tags), func(t *Tag) string { return t.Value })
		}),
		"network-interface.owner-id": onInterfaces(func(_ *Model, n *NetworkInterface) []string { return one(n.Account) }),
		"private-dns-name-options.hostname-type": func(m *Model, i *Instance) []string {
			return one(m.nameOptions(i).HostnameType)
		},
		"private-dns-name-options.enable-resource-name-dns-a-record": func(m *Model, i *Instance) []string {
			return boolText(m.nameOptions(i).EnableResourceNameDnsARecord)
		},
	}
	for name, answer := range interfaceFilters {
		set["network-interface."+name] = onInterfaces(answer)
	}
	for _, name := range absentInstanceFilters {
		set[name] = unknownHere[Instance]
	}
	return set
}()

// absentInstanceFilters are documented and about things that no instance of a
// lab has: a request with them is valid and finds nothing.
var absentInstanceFilters = []string{
	"affinity", "boot-mode", "capacity-reservation-id", "operator.principal",
	"capacity-reservation-specification.capacity-reservation-preference", "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id",
	"capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn",
	"network-interface.addresses.association.carrier-ip", "network-interface.addresses.association.customer-owned-ip",
	"network-interface.association.carrier-ip", "network-interface.association.customer-owned-ip", "network-interface.ipv4-prefixes.ipv4-prefix",
	"network-interface.ipv6-address", "network-interface.ipv6-addresses.is-primary-ipv6", "network-interface.ipv6-prefixes.ipv6-prefix", "network-interface.outpost-arn",
	"host-id", "instance-lifecycle", "ipv6-address", "kernel-id",
	"outpost-arn", "placement-group-name", "placement-partition-number", "platform", "product-code", "product-code.type", "ramdisk-id",
	"requester-id", "spot-instance-request-id", "tpm-support",
}

// onVolumes answers by the instance's volumes.
func onVolumes(answer func(*Volume) string) func(*Model, *Instance) []string {
	return func(m *Model, i *Instance) (list []string) {
		for _, v := range m.volumesOf(i.ID) {
			list = append(list, answer(v))
		}
		return list
	}
}

// onNICs answers by the interfaces as the instance's answer has them.
func onNICs(answer func(*InstanceNetworkInterface) []string) func(*Model, *Instance) []string {
	return func(m *Model, i *Instance) (list []string) {
		for _, n := range m.InstanceInterfaces(i.ID) {
			info := m.instanceInterface(n)
			list = append(list, answer(&info)...)
		}
		return list
	}
}

// association answers by a public address, if there is one.
func association(a *InstanceNetworkInterfaceAssociation, answer func(*InstanceNetworkInterfaceAssociation) string) []string {
	if a == nil {
		return nil
	}
	return one(answer(a))
}

// addressOf answers by the Elastic IPs of an interface.
func addressOf(answer func(*Address) string) func(*Model, *NetworkInterface) []string {
	return func(m *Model, n *NetworkInterface) (list []string) {
		for _, p := range n.PrivateIps {
			if a := m.Addresses.Get(p.AllocationID); a != nil {
				list = append(list, answer(a))
			}
		}
		return list
	}
}

// onProfile answers by the instance's profile.
func onProfile(answer func(*IamInstanceProfile) string) func(*Model, *Instance) []string {
	return func(_ *Model, i *Instance) []string {
		if p := i.profile(); p != nil {
			return []string{answer(p)}
		}
		return nil
	}
}

// onMetadata answers by the instance's metadata options.
func onMetadata(answer func(*InstanceMetadataOptionsResponse) string) func(*Model, *Instance) []string {
	return func(_ *Model, i *Instance) []string { return one(answer(i.metadataInfo())) }
}

// onInterfaces answers a filter by all interfaces of the instance.
func onInterfaces(answer func(*Model, *NetworkInterface) []string) func(*Model, *Instance) []string {
	return func(m *Model, i *Instance) []string {
		var list []string
		for _, n := range m.InstanceInterfaces(i.ID) {
			list = append(list, answer(m, n)...)
		}
		return list
	}
}

// sourceDestFilter answers by the primary interface.
func sourceDestFilter(m *Model, i *Instance) []string {
	nics := m.InstanceInterfaces(i.ID)
	if len(nics) == 0 {
		return nil
	}
	return boolText(nics[0].SourceDestCheck)
}
