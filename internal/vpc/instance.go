package vpc

import (
	"encoding/base64"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// RunInstancesInput and the other types below have the members of the EC2 API.
type RunInstancesInput struct {
	ImageId                           string // "" is the lab's image
	InstanceType                      string // "" is t3.micro
	MinCount                          *int   // 1
	MaxCount                          *int   // 1
	KeyName                           string
	SubnetId                          SubnetID
	SecurityGroupIds                  []SecurityGroupID
	SecurityGroups                    []string // names; in the default VPC only
	PrivateIpAddress                  string
	NetworkInterfaces                 []InstanceNetworkInterfaceSpecification
	Placement                         *Placement
	UserData                          string // base64
	DisableApiTermination             *bool
	DisableApiStop                    *bool
	InstanceInitiatedShutdownBehavior string // stop (default), terminate
	TagSpecifications                 []TagSpecification
	ClientToken                       string
	DryRun                            bool
	// vpcemu's own: the type of the links of the interfaces that the call makes
	// (tun, tap), and the host's device files that the sandbox shall have.
	LinkType string
	Devices  []string
}

// InstanceNetworkInterfaceSpecification describes an interface to make, or names
// one to take.
type InstanceNetworkInterfaceSpecification struct {
	DeviceIndex                     *int
	NetworkInterfaceId              NetworkInterfaceID
	SubnetId                        SubnetID
	Description                     string
	Groups                          []SecurityGroupID
	PrivateIpAddress                string
	PrivateIpAddresses              []PrivateIpAddressSpecification
	SecondaryPrivateIpAddressCount  *int
	AssociatePublicIpAddress        *bool
	DeleteOnTermination             *bool
	InterfaceType                   string
	ConnectionTrackingSpecification *ConnectionTracking
	// LinkType is vpcemu's own.
	LinkType string
}

// Placement is where an instance runs.
type Placement struct {
	AvailabilityZone   string `json:"AvailabilityZone"`
	AvailabilityZoneId string `json:"AvailabilityZoneId"`
	GroupName          string `json:"GroupName"`
	Tenancy            string `json:"Tenancy"` // default, dedicated
}

// RunInstancesOutput is the reservation that the instances were launched by.
type RunInstancesOutput struct {
	ReservationId ReservationID     `json:"ReservationId"`
	OwnerId       string            `json:"OwnerId"`
	Groups        []GroupIdentifier `json:"Groups"`
	Instances     []InstanceInfo    `json:"Instances"`
}

// maxUserData is AWS's limit, in bytes before base64.
const maxUserData = 16384

// maxLaunch bounds the number of instances of one call.
const maxLaunch = 1000

// launch is a RunInstances request after its checks.
type launch struct {
	template    Instance
	nics        []InstanceNetworkInterfaceSpecification // by device index
	nicTags     map[string]string
	min, max    int
	reservation ReservationID
}

// RunInstances launches between MinCount and MaxCount instances, which are left
// pending for the host to start. Each gets a primary interface that goes when it
// is terminated (EN-03), with a private address chosen by hand or automatic, and
// where its subnet or the request wishes so, a public one (PI-01).
func (tx *Tx) RunInstances(in *RunInstancesInput) (*RunInstancesOutput, error) {
	l, err := tx.planLaunch(in)
	if err != nil {
		return nil, err
	}
	var ids []InstanceID
	err = tx.attempt(func() error {
		for n := range l.max {
			var id InstanceID
			err := tx.attempt(func() (err error) { id, err = tx.launchOne(l, n); return err })
			if outOfAddresses(err) && n >= l.min {
				break
			}
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &RunInstancesOutput{ReservationId: l.reservation, OwnerId: tx.Account, Groups: []GroupIdentifier{}}
	for _, id := range ids {
		out.Instances = append(out.Instances, tx.instanceInfo(tx.Instances.Get(id)))
	}
	return out, nil
}

func outOfAddresses(err error) bool {
	return slices.Contains([]string{"InsufficientFreeAddressesInSubnet", "InsufficientAddressCapacity"}, errorCode(err))
}

// planLaunch checks all that does not depend on the single instance.
func (tx *Tx) planLaunch(in *RunInstancesInput) (*launch, error) {
	l := &launch{min: 1, max: 1}
	if err := l.counts(in); err != nil {
		return nil, err
	}
	var err error
	if l.template, err = tx.instanceTemplate(in); err != nil {
		return nil, err
	}
	if l.nicTags, err = specTags(in.TagSpecifications, "network-interface", "instance", "volume"); err != nil {
		return nil, err
	}
	if l.nics, err = tx.launchInterfaces(in); err != nil {
		return nil, err
	}
	if l.max > 1 {
		if err := repeatable(l.nics); err != nil {
			return nil, err
		}
	}
	if err := tx.place(l, in.Placement); err != nil {
		return nil, err
	}
	l.reservation = ReservationID(tx.Call.NewID("r-"))
	return l, nil
}

func (l *launch) counts(in *RunInstancesInput) error {
	if in.MinCount != nil {
		l.min, l.max = *in.MinCount, *in.MinCount
	}
	if in.MaxCount != nil {
		l.max = *in.MaxCount
	}
	switch {
	case l.min < 1:
		return errValue(l.min, "minCount", "It must be at least 1.")
	case l.max < l.min:
		return errorf("InvalidParameterCombination", "minCount (%d) must not be greater than maxCount (%d)", l.min, l.max)
	case l.max > maxLaunch:
		return errorf("InstanceLimitExceeded", "You have requested more instances (%d) than one call launches (%d).", l.max, maxLaunch)
	}
	return nil
}

// instanceTemplate is what the launched instances have in common.
func (tx *Tx) instanceTemplate(in *RunInstancesInput) (Instance, error) {
	i := Instance{State: StatePending, ImageID: in.ImageId, KeyName: in.KeyName, LaunchTime: tx.Call.Now, BootID: 1, Devices: slices.Clone(in.Devices)}
	if i.ImageID == "" {
		i.ImageID = ImageID
	}
	if err := checkImage(i.ImageID); err != nil {
		return i, err
	}
	var err error
	if i.InstanceType, err = typeNamed(in.InstanceType); err != nil {
		return i, err
	}
	if in.KeyName != "" {
		k := tx.KeyPairs.Get(in.KeyName)
		if k == nil {
			return i, errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", in.KeyName)
		}
		i.PublicKey = k.PublicKey
	}
	if i.UserData, err = decodeUserData(in.UserData); err != nil {
		return i, err
	}
	if i.InstanceInitiatedShutdownBehavior, err = shutdownBehavior(in.InstanceInitiatedShutdownBehavior); err != nil {
		return i, err
	}
	i.DisableApiTermination = in.DisableApiTermination != nil && *in.DisableApiTermination
	i.DisableApiStop = in.DisableApiStop != nil && *in.DisableApiStop
	if err := checkDevices(in.Devices); err != nil {
		return i, err
	}
	if i.Meta, err = tx.newMeta("instance", nil); err != nil {
		return i, err
	}
	i.Tags, err = specTags(in.TagSpecifications, "instance", "network-interface", "volume")
	return i, err
}

// decodeUserData decodes the API's base64. The model keeps text.
func decodeUserData(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data")
	}
	return string(b), checkUserData(b)
}

func checkUserData(b []byte) error {
	switch {
	case len(b) > maxUserData:
		return errInvalid("User data is limited to %d bytes", maxUserData)
	case !utf8.Valid(b):
		return errInvalid("User data must be UTF-8 text")
	}
	return nil
}

func shutdownBehavior(s string) (string, error) {
	switch s {
	case "":
		return "stop", nil
	case "stop", "terminate":
		return s, nil
	}
	return "", errValue(s, "instanceInitiatedShutdownBehavior", "It is stop or terminate.")
}

// checkDevices accepts paths of device files.
func checkDevices(devices []string) error {
	for _, d := range devices {
		if path.Clean(d) != d || !strings.HasPrefix(d, "/dev/") {
			return errValue(d, "devices", "It is not a path below /dev.")
		}
	}
	return nil
}

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
		if n.DeviceIndex == nil && len(nics) == 1 {
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
		g := tx.groupNamed(v.ID, name)
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
	return tx.zoneFor(p.AvailabilityZone, p.AvailabilityZoneId)
}

// place sets where the instances run, which their primary interface decides, and
// their tenancy: a dedicated VPC makes every instance dedicated (IN-05).
func (tx *Tx) place(l *launch, p *Placement) error {
	subnet := l.nics[0].SubnetId
	if id := l.nics[0].NetworkInterfaceId; id != "" {
		n, err := find(&tx.NetworkInterfaces, id)
		if err != nil {
			return err
		}
		subnet = n.SubnetID
	}
	s, err := find(&tx.Subnets, subnet)
	if err != nil {
		return err
	}
	zone, err := tx.zoneOf(p)
	if err != nil {
		return err
	}
	if zone != "" && zone != s.AvailabilityZone {
		return errValue(zone, "availabilityZone", "Subnet '"+string(s.ID)+"' is in the availability zone "+s.AvailabilityZone)
	}
	v, err := find(&tx.Vpcs, s.VpcID)
	if err != nil {
		return err
	}
	l.template.SubnetID, l.template.VpcID, l.template.Tenancy = s.ID, v.ID, "default"
	if v.InstanceTenancy == "dedicated" {
		l.template.Tenancy = "dedicated"
	}
	if p == nil {
		return nil
	}
	switch p.Tenancy {
	case "", "default":
	case "dedicated":
		l.template.Tenancy = "dedicated"
	case "host":
		return errorf("UnsupportedTenancy", "The tenancy host is not supported: a lab has no dedicated hosts.")
	default:
		return errValue(p.Tenancy, "tenancy", "It is default or dedicated.")
	}
	return nil
}

// launchOne makes the instance of that number in its reservation.
func (tx *Tx) launchOne(l *launch, number int) (InstanceID, error) {
	i := l.template
	i.ID, i.ReservationID, i.AmiLaunchIndex = newID[InstanceID](tx), l.reservation, number
	tx.Instances.Put(i.ID, &i)
	for _, spec := range l.nics {
		if err := tx.launchInterface(&i, l, spec); err != nil {
			return "", err
		}
	}
	primary := tx.InstanceInterfaces(i.ID)[0]
	c := i
	c.PrivateDnsName = tx.privateName(&i, primary)
	tx.Instances.Put(c.ID, &c)
	p := primary.change()
	if err := tx.givePublic(p); err != nil {
		return "", err
	}
	tx.NetworkInterfaces.Put(p.ID, p)
	return i.ID, nil
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
			addressRequest: addressRequest{spec.PrivateIpAddress, spec.PrivateIpAddresses, spec.SecondaryPrivateIpAddressCount},
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

// privateName is the instance's private DNS name, after its address or, where
// the subnet says so, its ID (DNS-05).
func (m *Model) privateName(i *Instance, primary *NetworkInterface) string {
	if s := m.Subnets.Get(i.SubnetID); s != nil && s.PrivateDnsHostnameType == "resource-name" {
		return string(i.ID) + "." + internalDomain(m.Region)
	}
	return m.PrivateDnsName(primary.Primary())
}

// instanceZone is the availability zone that the instance is in.
func (m *Model) instanceZone(i *Instance) string {
	if s := m.Subnets.Get(i.SubnetID); s != nil {
		return s.AvailabilityZone
	}
	return ""
}
