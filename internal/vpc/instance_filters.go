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
		"dns-name":                                   onInstance(func(i *InstanceInfo) string { return i.PublicDnsName }),
		"ebs-optimized":                              func(_ *Model, i *Instance) []string { return boolText(i.Options.EbsOptimized) },
		"ena-support":                                func(*Model, *Instance) []string { return boolText(true) },
		"hypervisor":                                 onInstance(func(i *InstanceInfo) string { return i.Hypervisor }),
		"image-id":                                   func(_ *Model, i *Instance) []string { return one(i.ImageID) },
		"instance-id":                                func(_ *Model, i *Instance) []string { return one(i.ID) },
		"instance-state-code":                        func(_ *Model, i *Instance) []string { return intText(stateCodes[i.State]) },
		"instance-state-name":                        func(_ *Model, i *Instance) []string { return one(i.State) },
		"instance-type":                              func(_ *Model, i *Instance) []string { return one(i.InstanceType) },
		"instance.group-id":                          onGroups(func(g *GroupIdentifier) string { return string(g.GroupId) }),
		"instance.group-name":                        onGroups(func(g *GroupIdentifier) string { return g.GroupName }),
		"ip-address":                                 onInstance(func(i *InstanceInfo) string { return i.PublicIpAddress }),
		"key-name":                                   onInstance(func(i *InstanceInfo) string { return i.KeyName }),
		"launch-index":                               func(_ *Model, i *Instance) []string { return intText(i.AmiLaunchIndex) },
		"launch-time":                                func(_ *Model, i *Instance) []string { return one(timeText(i.LaunchTime)) },
		"monitoring-state":                           onInstance(func(i *InstanceInfo) string { return i.Monitoring.State }),
		"private-dns-name":                           onInstance(func(i *InstanceInfo) string { return i.PrivateDnsName }),
		"private-ip-address":                         onInstance(func(i *InstanceInfo) string { return i.PrivateIpAddress }),
		"reason":                                     onInstance(func(i *InstanceInfo) string { return i.StateTransitionReason }),
		"reservation-id":                             func(_ *Model, i *Instance) []string { return one(i.ReservationID) },
		"root-device-name":                           onInstance(func(i *InstanceInfo) string { return i.RootDeviceName }),
		"root-device-type":                           onInstance(func(i *InstanceInfo) string { return i.RootDeviceType }),
		"source-dest-check":                          sourceDestFilter,
		"state-reason-code":                          onReason(func(r *StateReason) string { return r.Code }),
		"state-reason-message":                       onReason(func(r *StateReason) string { return r.Message }),
		"subnet-id":                                  onInstance(func(i *InstanceInfo) string { return string(i.SubnetId) }),
		"tenancy":                                    func(_ *Model, i *Instance) []string { return one(i.Tenancy) },
		"virtualization-type":                        onInstance(func(i *InstanceInfo) string { return i.VirtualizationType }),
		"vpc-id":                                     onInstance(func(i *InstanceInfo) string { return string(i.VpcId) }),
		"metadata-options.http-endpoint":             onMetadata(func(o *InstanceMetadataOptionsResponse) string { return o.HttpEndpoint }),
		"metadata-options.http-protocol-ipv4":        onMetadata(func(o *InstanceMetadataOptionsResponse) string { return o.HttpEndpoint }),
		"metadata-options.http-protocol-ipv6":        onMetadata(func(o *InstanceMetadataOptionsResponse) string { return o.HttpProtocolIpv6 }),
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
	"affinity", "boot-mode", "capacity-reservation-id", "client-token", "current-instance-boot-mode",
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
