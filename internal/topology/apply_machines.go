package topology

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// publicAddresses allocates Elastic IPs and makes Internet hosts: those that ask
// for an address first, so that no automatic one takes it.
func (c *converger) publicAddresses() {
	for _, chosen := range []bool{true, false} {
		for _, o := range c.f.ElasticIps.List {
			if o.Address.Set == chosen {
				c.elasticIp(o)
			}
		}
		for _, o := range c.f.InternetHosts.List {
			if o.Address.Set == chosen {
				c.internetHost(o)
			}
		}
	}
}

func (c *converger) elasticIp(o *ElasticIp) {
	c.at(&o.Head)
	if id, ok := c.present(&o.Head); ok {
		is := c.tx.Addresses.Get(vpc.AllocationID(id))
		c.retag(id, is.Tags)
		c.freeForGateway(o, is)
		c.done()
		return
	}
	c.line = max(o.Line, o.Address.Line)
	c.made(string(call[vpc.AllocateAddressOutput](c, &vpc.AllocateAddressInput{Address: text(o.Address), TagSpecifications: c.tagged("elastic-ip")}).AllocationId))
}

// freeForGateway takes an Elastic IP from the interface that has it if a NAT
// gateway is to have it: that is made with a free one only (NA-15).
func (c *converger) freeForGateway(o *ElasticIp, is *vpc.Address) {
	wanted := slices.ContainsFunc(c.f.NatGateways.List, func(n *NatGateway) bool { return n.has(o.Name) })
	n := c.tx.NetworkInterfaces.Get(is.NetworkInterfaceID)
	if wanted && n != nil && !n.RequesterManaged {
		call[vpc.DisassociateAddressOutput](c, &vpc.DisassociateAddressInput{AssociationId: is.AssociationID})
		c.did("disassociated")
	}
}

// text is an address as operations take it, "" where the file gives none.
func text(a Value[netip.Addr]) string {
	if !a.Set {
		return ""
	}
	return a.V.String()
}

func encoded(userData string) string { return base64.StdEncoding.EncodeToString([]byte(userData)) }

func (c *converger) internetHost(o *InternetHost) {
	c.at(&o.Head)
	id, present := c.present(&o.Head)
	if !present {
		c.line = max(o.Line, o.Address.Line)
		id = string(call[vpc.CreateInternetHostOutput](c, &vpc.CreateInternetHostInput{HostName: o.Name, PublicIp: text(o.Address), DnsNames: values(o.DnsNames), KeyNames: values(o.KeyNames),
			UserData: encoded(o.UserData.V), LinkType: o.LinkType.V, Rootfs: o.Rootfs.V, Limits: o.limits().Specification(), TagSpecifications: c.tagged("internet-host")}).InternetHost.InternetHostId)
		c.made(id)
	}
	is := c.tx.InternetHosts.Get(vpc.InternetHostID(id))
	if c.err != nil || is == nil {
		return
	}
	c.retag(id, is.Tags)
	c.hostNames(o, is)
	if l := o.limits(); is.Limits != l {
		call[vpc.ModifyInternetHostOutput](c, &vpc.ModifyInternetHostInput{InternetHostId: is.ID, Limits: specification(l)})
		c.did("limits")
	}
	c.done()
	c.power(o.State, is.State, !present, machine{
		start: func() {
			call[vpc.StartInternetHostOutput](c, &vpc.StartInternetHostInput{InternetHostId: is.ID})
		},
		stop: func() {
			call[vpc.StopInternetHostOutput](c, &vpc.StopInternetHostInput{InternetHostId: is.ID})
		},
		running: func() { c.tx.InternetHostRunning(is.ID) },
		stopped: func() { c.tx.InternetHostStopped(is.ID, "") },
	})
}

// machine is what can be switched on and off; running and stopped tell the model
// what the host would tell it later.
type machine struct{ start, stop, running, stopped func() }

// power starts or stops a machine. A new one that is not to run is stopped before
// it has ever booted.
func (c *converger) power(want Value[string], is string, fresh bool, m machine) {
	on := is == vpc.StatePending || is == vpc.StateRunning
	c.line = max(c.line, want.Line)
	switch {
	case c.err != nil || on == (want.V == "running"):
		return
	case want.V == "running" && is == vpc.StateStopping:
		m.stopped()
		fallthrough
	case want.V == "running":
		m.start()
		c.powered(Start)
	case fresh:
		m.running()
		m.stop()
		m.stopped()
	case is == vpc.StatePending:
		m.running()
		fallthrough
	case is == vpc.StateRunning:
		m.stop()
		c.powered(Stop)
	}
}

func (c *converger) powered(verb Verb) {
	if c.err == nil {
		c.changes = append(c.changes, Change{verb, singular(c.head.Kind), c.head.Name, ""})
	}
}

// machines makes what has private addresses: first all that ask for certain ones,
// so that no automatic address takes them.
func (c *converger) machines() {
	c.leaveNatGateways()
	for _, chosen := range []bool{true, false} {
		for _, o := range c.f.NatGateways.List {
			if (o.PrivateIp.Set || len(o.SecondaryPrivateIps.V) > 0) == chosen {
				c.natGateway(o)
			}
		}
		for _, o := range c.f.NetworkInterfaces.List {
			if o.PrivateIps.Set == chosen {
				c.networkInterface(o)
			}
		}
		for _, o := range c.f.Instances.List {
			if (o.PrivateIp.Set || o.SecondaryPrivateIps.Set) == chosen {
				c.instance(o)
			}
		}
	}
	c.privateAddresses()
	for _, o := range c.f.NetworkInterfaces.List {
		c.interfaceAttributes(o)
	}
	for _, o := range c.f.Instances.List {
		c.instanceAttributes(o)
	}
}

func (c *converger) natGateway(o *NatGateway) {
	c.at(&o.Head)
	if id, ok := c.present(&o.Head); ok {
		g := c.tx.NatGateways.Get(vpc.NatGatewayID(id))
		c.retag(id, g.Tags)
		c.joinNatGateway(o, g)
		c.done()
		return
	}
	id := call[vpc.CreateNatGatewayOutput](c, &vpc.CreateNatGatewayInput{SubnetId: vpc.SubnetID(c.refID("subnets", o.Subnet.V)),
		AllocationId: vpc.AllocationID(c.id("elastic_ips", o.ElasticIp.V)), ConnectivityType: o.ConnectivityType.V,
		PrivateIpAddress: text(o.PrivateIp), SecondaryAllocationIds: c.secondaryElasticIps(o), SecondaryPrivateIpAddresses: texts(o.SecondaryPrivateIps),
		TagSpecifications: c.tagged("natgateway")}).NatGateway.NatGatewayId
	if g := c.tx.NatGateways.Get(id); c.err == nil && g != nil && g.State == "failed" { // NA-15: no error of the operation
		c.fail(o.Line, &o.Head, errors.New(g.FailureCode+": "+g.FailureMessage))
	}
	c.made(string(id))
}

func (c *converger) networkInterface(o *NetworkInterface) {
	c.at(&o.Head)
	if _, ok := c.present(&o.Head); ok {
		return
	}
	in := &vpc.CreateNetworkInterfaceInput{SubnetId: vpc.SubnetID(c.refID("subnets", o.Subnet.V)), Description: o.Description.V,
		LinkType: o.LinkType.V, TagSpecifications: c.tagged("network-interface")}
	for i, a := range o.PrivateIps.V {
		in.PrivateIpAddresses = append(in.PrivateIpAddresses, vpc.PrivateIpAddressSpecification{Primary: new(i == 0), PrivateIpAddress: a.V.String()})
	}
	in.Groups = c.groups(o.SecurityGroups, c.subnetVpc(in.SubnetId))
	c.made(string(call[vpc.CreateNetworkInterfaceOutput](c, in).NetworkInterface.NetworkInterfaceId))
}

func (c *converger) subnetVpc(id vpc.SubnetID) vpc.VpcID {
	if s := c.tx.Subnets.Get(id); s != nil {
		return s.VpcID
	}
	return ""
}

// groups are the security groups of a list, or the VPC's default one.
func (c *converger) groups(l List[string], id vpc.VpcID) (groups []vpc.SecurityGroupID) {
	names := values(l)
	if len(names) == 0 {
		names = []string{DefaultName}
	}
	for _, n := range names {
		if n != DefaultName {
			groups = append(groups, vpc.SecurityGroupID(c.id("security_groups", n)))
		} else if g := c.tx.DefaultSecurityGroup(id); g != nil {
			groups = append(groups, g.ID)
		}
	}
	return groups
}

func (c *converger) instance(o *Instance) {
	c.at(&o.Head)
	if _, ok := c.present(&o.Head); ok {
		return
	}
	subnet := vpc.SubnetID(c.refID("subnets", o.Subnet.V))
	if subnet == "" {
		if s := c.tx.DefaultSubnet(o.AvailabilityZone.V); s != nil {
			subnet = s.ID
		}
	}
	nic := vpc.InstanceNetworkInterfaceSpecification{DeviceIndex: new(0), SubnetId: subnet, LinkType: o.LinkType.V,
		PrivateIpAddress: text(o.PrivateIp), Groups: c.groups(o.SecurityGroups, c.subnetVpc(subnet))}
	if o.AssociatePublicIpAddress.Set {
		nic.AssociatePublicIpAddress = &o.AssociatePublicIpAddress.V
	}
	out := call[vpc.RunInstancesOutput](c, &vpc.RunInstancesInput{InstanceType: o.InstanceType.V, KeyName: o.KeyName.V, UserData: encoded(o.UserData.V),
		NetworkInterfaces: []vpc.InstanceNetworkInterfaceSpecification{nic}, Placement: &vpc.Placement{Tenancy: o.Tenancy.V},
		DisableApiTermination: &o.DisableApiTermination.V, InstanceInitiatedShutdownBehavior: o.InstanceInitiatedShutdownBehavior.V,
		Devices: values(o.Devices), MetadataOptions: metadataRequest(o.MetadataOptions.V), PrivateDnsNameOptions: privateNames(o), Rootfs: o.Rootfs.V, Limits: o.limits().Specification(), TagSpecifications: c.tagged("instance")})
	if c.err != nil {
		return
	}
	id := out.Instances[0].InstanceId
	if o.Ami.Set { // Rootfs says what it boots; the name is kept for show
		i := *c.tx.Instances.Get(id)
		i.ImageID = o.Ami.V
		c.tx.Instances.Put(id, &i)
	}
	c.made(string(id))
}

// terminate ends an instance for good. Its interfaces have to go in the same
// breath, for what they are in may go too; whoever converges sees the state and
// removes sandbox and disk.
func (c *converger) terminate(i *vpc.Instance) {
	call[vpc.TerminateInstancesOutput](c, &vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{i.ID}})
	if c.err == nil {
		c.tx.InstanceTerminated(i.ID)
	}
}

// privateAddresses sets secondary addresses: all are given back before one is
// taken, as two machines may exchange theirs.
func (c *converger) privateAddresses() {
	if c.err != nil {
		return
	}
	for _, take := range []bool{false, true} {
		for _, o := range c.f.NetworkInterfaces.List {
			c.at(&o.Head)
			if is := c.tx.NetworkInterfaces.Get(vpc.NetworkInterfaceID(c.id("network_interfaces", o.Name))); is != nil && o.PrivateIps.Set {
				c.secondary(is, values(o.PrivateIps)[1:], o.PrivateIps.Line, "private_ips", take)
			}
		}
		for _, o := range c.f.Instances.List {
			c.at(&o.Head)
			if own := c.tx.InstanceInterfaces(vpc.InstanceID(c.id("instances", o.Name))); len(own) > 0 {
				c.secondary(own[0], values(o.SecondaryPrivateIps), o.SecondaryPrivateIps.Line, "secondary_private_ips", take)
			}
		}
	}
}

func (c *converger) secondary(is *vpc.NetworkInterface, want []netip.Addr, line int, key string, take bool) {
	var have, missing []netip.Addr
	var extra, more []string
	for _, p := range is.PrivateIps[1:] {
		have = append(have, p.PrivateIp)
		if !slices.Contains(want, p.PrivateIp) {
			extra = append(extra, p.PrivateIp.String())
		}
	}
	for _, a := range want {
		if !slices.Contains(have, a) {
			missing, more = append(missing, a), append(more, a.String())
		}
	}
	c.line = max(line, c.line)
	switch {
	case !take && len(extra) > 0:
		call[vpc.UnassignPrivateIpAddressesOutput](c, &vpc.UnassignPrivateIpAddressesInput{NetworkInterfaceId: is.ID, PrivateIpAddresses: extra})
		c.did("%s: without %v", key, extra)
	case take && len(missing) > 0:
		call[vpc.AssignPrivateIpAddressesOutput](c, &vpc.AssignPrivateIpAddressesInput{NetworkInterfaceId: is.ID, PrivateIpAddresses: more})
		c.did("%s: with %v", key, more)
	}
	c.done()
}

func (c *converger) interfaceAttributes(o *NetworkInterface) {
	c.at(&o.Head)
	is := c.tx.NetworkInterfaces.Get(vpc.NetworkInterfaceID(c.id("network_interfaces", o.Name)))
	if c.err != nil || is == nil {
		return
	}
	c.retag(string(is.ID), is.Tags)
	if is.Description != o.Description.V {
		call[vpc.ModifyNetworkInterfaceAttributeOutput](c, &vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: is.ID, Description: &vpc.AttributeValue{Value: o.Description.V}})
		c.did("description")
	}
	c.guard(is, o.SecurityGroups, o.SourceDestCheck)
	c.done()
}

// guard sets what instances and interfaces of the file have in common.
func (c *converger) guard(is *vpc.NetworkInterface, groups List[string], check Value[bool]) {
	want := c.groups(groups, is.VpcID)
	if !sameSet(want, is.Groups) {
		c.line = max(groups.Line, c.head.Line)
		call[vpc.ModifyNetworkInterfaceAttributeOutput](c, &vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: is.ID, Groups: want})
		c.did("security_groups")
	}
	if is.SourceDestCheck != check.V {
		call[vpc.ModifyNetworkInterfaceAttributeOutput](c, &vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: is.ID, SourceDestCheck: boolean(check.V)})
		c.did("source_dest_check")
	}
}

func sameSet[T comparable](a, b []T) bool {
	in := func(list []T) func(T) bool { return func(x T) bool { return !slices.Contains(list, x) } }
	return !slices.ContainsFunc(a, in(b)) && !slices.ContainsFunc(b, in(a))
}

func (c *converger) instanceAttributes(o *Instance) {
	c.at(&o.Head)
	is := c.tx.Instances.Get(vpc.InstanceID(c.id("instances", o.Name)))
	if c.err != nil || is == nil {
		return
	}
	c.tagsAndMetadata(o, is)
	own := c.tx.InstanceInterfaces(is.ID)[0]
	c.guard(own, o.SecurityGroups, o.SourceDestCheck)
	if public := o.AssociatePublicIpAddress; public.Set && own.MapPublic != public.V {
		c.line = public.Line
		call[vpc.ModifyNetworkInterfaceAttributeOutput](c, &vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: own.ID, AssociatePublicIpAddress: &public.V})
		c.did("associate_public_ip_address")
	}
	if is.DisableApiTermination != o.DisableApiTermination.V {
		call[vpc.ModifyInstanceAttributeOutput](c, &vpc.ModifyInstanceAttributeInput{InstanceId: is.ID, DisableApiTermination: boolean(o.DisableApiTermination.V)})
		c.did("disable_api_termination")
	}
	if is.DisableApiStop && !o.DisableApiStop.V {
		call[vpc.ModifyInstanceAttributeOutput](c, &vpc.ModifyInstanceAttributeInput{InstanceId: is.ID, DisableApiStop: boolean(false)})
		c.did("disable_api_stop")
	}
	if b := o.InstanceInitiatedShutdownBehavior.V; is.InstanceInitiatedShutdownBehavior != b {
		call[vpc.ModifyInstanceAttributeOutput](c, &vpc.ModifyInstanceAttributeInput{InstanceId: is.ID, InstanceInitiatedShutdownBehavior: &vpc.AttributeValue{Value: b}})
		c.did("instance_initiated_shutdown_behavior")
	}
	if l := o.limits(); is.Limits != l {
		call[vpc.ModifyInstanceAttributeOutput](c, &vpc.ModifyInstanceAttributeInput{InstanceId: is.ID, Limits: specification(l)})
		c.did("limits")
	}
	c.whileStopped(o, is)
	c.done()
}

// whileStopped changes what can be changed only while the instance is stopped
// (IN-04): it is stopped for that, and started again if it is to run.
func (c *converger) whileStopped(o *Instance, is *vpc.Instance) {
	c.resourceNames(o, is)
	var changes []*vpc.ModifyInstanceAttributeInput
	if is.InstanceType != o.InstanceType.V {
		changes = append(changes, &vpc.ModifyInstanceAttributeInput{InstanceId: is.ID, InstanceType: &vpc.AttributeValue{Value: o.InstanceType.V}})
		c.did("instance_type %s", o.InstanceType.V)
	}
	if is.UserData != o.UserData.V {
		changes = append(changes, &vpc.ModifyInstanceAttributeInput{InstanceId: is.ID, UserData: &vpc.BlobAttributeValue{Value: []byte(o.UserData.V)}})
		c.did("user_data")
	}
	rename := c.renamed(o, is)
	if len(changes) == 0 && rename == nil || c.err != nil {
		return
	}
	on := is.State != vpc.StateStopped
	if on {
		c.tx.InstanceRunning(is.ID)
		call[vpc.StopInstancesOutput](c, &vpc.StopInstancesInput{InstanceIds: []vpc.InstanceID{is.ID}})
		c.tx.InstanceStopped(is.ID, "")
	}
	for _, in := range changes {
		call[vpc.ModifyInstanceAttributeOutput](c, in)
	}
	if rename != nil {
		call[vpc.ModifyPrivateDnsNameOptionsOutput](c, rename)
	}
	if on && o.State.V == "running" {
		call[vpc.StartInstancesOutput](c, &vpc.StartInstancesInput{InstanceIds: []vpc.InstanceID{is.ID}})
		c.did("stopped and started for that")
	}
}

// attachments plugs interfaces in where they belong, after unplugging all that
// are elsewhere.
func (c *converger) attachments() {
	where := func(o *NetworkInterface) (*vpc.NetworkInterface, vpc.InstanceID, int) {
		is := c.tx.NetworkInterfaces.Get(vpc.NetworkInterfaceID(c.id("network_interfaces", o.Name)))
		return is, vpc.InstanceID(c.id("instances", o.Attachment.V.Instance.V)), o.Attachment.V.DeviceIndex.V
	}
	unplugged := map[string]bool{}
	for _, o := range c.f.NetworkInterfaces.List {
		c.at(&o.Head)
		is, instance, index := where(o)
		if c.err != nil || is == nil || is.Attachment == nil || is.Attachment.InstanceID == instance && is.Attachment.DeviceIndex == index {
			continue
		}
		call[vpc.DetachNetworkInterfaceOutput](c, &vpc.DetachNetworkInterfaceInput{AttachmentId: is.Attachment.ID})
		unplugged[o.Name] = true
	}
	for _, o := range c.f.NetworkInterfaces.List {
		c.at(&o.Head)
		is, instance, index := where(o)
		switch {
		case c.err != nil || is == nil:
			return
		case is.Attachment == nil && instance != "":
			c.line = o.Attachment.Line
			c.whileRunning(instance, func() {
				call[vpc.AttachNetworkInterfaceOutput](c, &vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: is.ID, InstanceId: instance, DeviceIndex: &index})
			})
			c.did("attached to %s", o.Attachment.V.Instance.V)
		case unplugged[o.Name]:
			c.did("detached")
		}
		c.done()
	}
}

// whileRunning does what an instance that is still pending would refuse: by the
// time this working copy counts, it is made with it.
func (c *converger) whileRunning(id vpc.InstanceID, do func()) {
	was := c.tx.Instances.Get(id)
	c.tx.InstanceRunning(id)
	do()
	if was.State == vpc.StatePending {
		i := *c.tx.Instances.Get(id)
		i.State, i.StateReason = was.State, was.StateReason
		c.tx.Instances.Put(id, &i)
	}
}

// elasticIpAssociations frees Elastic IPs that are where they should not be, then
// associates all; one that only moves is moved in one step.
func (c *converger) elasticIpAssociations() {
	for _, o := range c.f.ElasticIps.List {
		c.at(&o.Head)
		is := c.tx.Addresses.Get(vpc.AllocationID(c.id("elastic_ips", o.Name)))
		if c.err != nil || is == nil {
			return
		}
		if n := c.tx.NetworkInterfaces.Get(is.NetworkInterfaceID); n != nil && n.RequesterManaged {
			continue // a NAT gateway's
		}
		var target *vpc.NetworkInterface
		if o.Instance.Set {
			if own := c.tx.InstanceInterfaces(vpc.InstanceID(c.id("instances", o.Instance.V))); len(own) > 0 {
				target = own[0]
			}
		} else if o.NetworkInterface.Set {
			target = c.tx.NetworkInterfaces.Get(vpc.NetworkInterfaceID(c.id("network_interfaces", o.NetworkInterface.V)))
		}
		if target == nil {
			if is.AssociationID != "" {
				call[vpc.DisassociateAddressOutput](c, &vpc.DisassociateAddressInput{AssociationId: is.AssociationID})
				c.did("disassociated")
			}
			c.done()
			continue
		}
		private := target.PrivateIps[0].PrivateIp
		if o.AssociateWithPrivateIp.Set {
			private = o.AssociateWithPrivateIp.V
		}
		if is.NetworkInterfaceID != target.ID || is.PrivateIp != private {
			c.line = max(o.Instance.Line, o.NetworkInterface.Line)
			call[vpc.AssociateAddressOutput](c, &vpc.AssociateAddressInput{AllocationId: is.AllocationID, NetworkInterfaceId: target.ID, PrivateIpAddress: private.String()})
			c.did("associated with %s", o.Instance.V+o.NetworkInterface.V)
		}
		c.done()
	}
}

func (c *converger) instanceStates() {
	for _, o := range c.f.Instances.List {
		c.at(&o.Head)
		is := c.tx.Instances.Get(vpc.InstanceID(c.id("instances", o.Name)))
		if c.err != nil || is == nil {
			return
		}
		ids := []vpc.InstanceID{is.ID}
		c.power(o.State, is.State, c.fresh[o.Source()], machine{
			start:   func() { call[vpc.StartInstancesOutput](c, &vpc.StartInstancesInput{InstanceIds: ids}) },
			stop:    func() { call[vpc.StopInstancesOutput](c, &vpc.StopInstancesInput{InstanceIds: ids}) },
			running: func() { c.tx.InstanceRunning(is.ID) },
			stopped: func() { c.tx.InstanceStopped(is.ID, "") },
		})
		if o.DisableApiStop.V && !is.DisableApiStop { // only now: it may have had to stop before
			call[vpc.ModifyInstanceAttributeOutput](c, &vpc.ModifyInstanceAttributeInput{InstanceId: is.ID, DisableApiStop: boolean(true)})
			c.did("disable_api_stop")
			c.done()
		}
	}
}
