package vpc

import "slices"

// launchInterfaces turns the two ways of asking for interfaces into one list, by
// device index. Only new interfaces lack an ID; each has a subnet then.
func (tx *Tx) launchInterfaces(in *RunInstancesInput) ([]InstanceNetworkInterfaceSpecification, error) {
	nics := slices.Clone(in.NetworkInterfaces)
	if len(nics) == 0 {
		groups, err := tx.launchGroups(in)
		if err != nil {
			return nil, err
		}
		nics = []InstanceNetworkInterfaceSpecification{{DeviceIndex: new(0), SubnetId: in.SubnetId, Groups: groups, PrivateIpAddress: in.PrivateIpAddress}}
	} else {
		what := ""
		switch {
		case in.SubnetId != "":
			what = "subnet ID"
		case len(in.SecurityGroupIds)+len(in.SecurityGroups) > 0:
			what = "security groups"
		case in.PrivateIpAddress != "":
			what = "private IP address"
		}
		if what != "" {
			return nil, errorf("InvalidParameterCombination", "Network interfaces and an instance-level %s may not be specified on the same request", what)
		}
	}
	for k := range nics {
		n := &nics[k]
		if n.LinkType == "" && n.NetworkInterfaceId == "" {
			n.LinkType = in.LinkType
		}
		if n.DeviceIndex == nil && len(nics) == 1 && !tx.Call.Client {
			n.DeviceIndex = new(0)
		}
		if err := n.check(len(nics)); err != nil {
			return nil, err
		}
		if n.NetworkInterfaceId != "" || n.SubnetId != "" {
			continue
		}
		var err error
		if n.SubnetId, err = tx.defaultSubnetFor(in.Placement); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(nics, func(a, b InstanceNetworkInterfaceSpecification) int { return *a.DeviceIndex - *b.DeviceIndex })
	for k := range nics {
		if k > 0 && *nics[k].DeviceIndex == *nics[k-1].DeviceIndex {
			return nil, errInvalid("Each network interface requires a unique device index.")
		}
	}
	if *nics[0].DeviceIndex != 0 {
		return nil, errInvalid("A network interface with device index 0 is required.")
	}
	return nics, nil
}

// check refuses what the specification alone, one of count, shows to be wrong.
func (n *InstanceNetworkInterfaceSpecification) check(count int) error {
	switch {
	case n.DeviceIndex == nil:
		return errInvalid("Each network interface requires a device index.")
	case *n.DeviceIndex < 0:
		return errValue(*n.DeviceIndex, "deviceIndex", "")
	case n.InterfaceType != "" && n.InterfaceType != "interface":
		return errValue(n.InterfaceType, "interfaceType", "Only interface is supported.")
	case n.AssociatePublicIpAddress != nil && count > 1:
		return errorf("InvalidParameterCombination", "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.")
	case n.AssociatePublicIpAddress != nil && n.NetworkInterfaceId != "":
		return errorf("InvalidParameterCombination", "The associatePublicIPAddress parameter cannot be specified for a network interface with an ID.")
	case n.NetworkInterfaceId == "":
		return nil
	case n.SubnetId != "" || len(n.Groups) > 0 || n.PrivateIpAddress != "" || len(n.PrivateIpAddresses) > 0 || n.SecondaryPrivateIpAddressCount != nil ||
		n.Description != "" || n.ConnectionTrackingSpecification != nil || n.LinkType != "":
		return errorf("InvalidParameterCombination", "A network interface with an ID takes no subnet, groups, addresses or other attributes of a new one.")
	}
	return nil
}

// repeatable tells whether the interfaces can be had several times.
func repeatable(nics []InstanceNetworkInterfaceSpecification) error {
	for _, n := range nics {
		if n.NetworkInterfaceId != "" || n.PrivateIpAddress != "" || len(n.PrivateIpAddresses) > 0 {
			return errorf("InvalidParameterCombination", "A network interface ID or a private IP address cannot be specified when launching multiple instances.")
		}
	}
	return nil
}

// launchGroups are the groups given by ID and, in the default VPC, by name.
func (tx *Tx) launchGroups(in *RunInstancesInput) ([]SecurityGroupID, error) {
	groups := slices.Clone(in.SecurityGroupIds)
	if len(in.SecurityGroups) == 0 {
		return groups, nil
	}
	if in.SubnetId != "" {
		return nil, errorf("InvalidParameterCombination", "The parameter groupName cannot be used with the parameter subnet")
	}
	v := tx.DefaultVpc()
	if v == nil {
		return nil, errNoDefaultVpc
	}
	for _, name := range in.SecurityGroups {
		g := tx.groupByName(v.ID, name)
		if g == nil {
			return nil, errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, v.ID)
		}
		groups = append(groups, g.ID)
	}
	return groups, nil
}

var errNoDefaultVpc = errorf("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.")

// defaultSubnetFor is the default subnet of the zone asked for, or of the first.
func (tx *Tx) defaultSubnetFor(p *Placement) (SubnetID, error) {
	v := tx.DefaultVpc()
	if v == nil {
		return "", errNoDefaultVpc
	}
	zone, err := tx.zoneOf(p)
	if err != nil {
		return "", err
	}
	s := tx.DefaultSubnet(zone)
	if s == nil {
		return "", errorf("MissingInput", "No subnets found for the default VPC '%s' (zone %q). Please specify a subnet.", v.ID, zone)
	}
	return s.ID, nil
}

// zoneOf is the zone that the placement names, "" for none.
func (tx *Tx) zoneOf(p *Placement) (string, error) {
	if p == nil || p.AvailabilityZone == "" && p.AvailabilityZoneId == "" {
		return "", nil
	}
	if p.AvailabilityZoneId == "" && !slices.Contains(tx.zones(), p.AvailabilityZone) {
		return "", errInvalid("Invalid availability zone: [%s]", p.AvailabilityZone)
	}
	return tx.zoneFor(p.AvailabilityZone, p.AvailabilityZoneId)
}

// launchInterface makes or takes one interface and attaches it.
func (tx *Tx) launchInterface(i *Instance, l *launch, spec InstanceNetworkInterfaceSpecification) error {
	deleteToo := spec.NetworkInterfaceId == ""
	if spec.DeleteOnTermination != nil {
		deleteToo = *spec.DeleteOnTermination
	}
	var n *NetworkInterface
	var err error
	if spec.NetworkInterfaceId != "" {
		n, err = tx.ownInterface(spec.NetworkInterfaceId)
	} else {
		meta := i.Meta
		meta.Tags = l.nicTags
		n, err = tx.newInterface(meta, interfaceRequest{
			subnet: spec.SubnetId, description: spec.Description, groups: spec.Groups, tracking: spec.ConnectionTrackingSpecification, linkType: spec.LinkType,
			addressRequest: addressRequest{spec.PrivateIpAddress, spec.PrivateIpAddresses, spec.SecondaryPrivateIpAddressCount, true},
		})
	}
	if err != nil {
		return err
	}
	if spec.AssociatePublicIpAddress != nil {
		n = n.change()
		n.MapPublic = *spec.AssociatePublicIpAddress
	}
	tx.NetworkInterfaces.Put(n.ID, n)
	_, err = tx.attach(n, i, *spec.DeviceIndex, deleteToo)
	return err
}
