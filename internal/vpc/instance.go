package vpc

import (
	"cmp"
	"encoding/base64"
	"path"
	"slices"
	"strings"
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
	PrivateDnsNameOptions             *PrivateDnsNameOptionsRequest
	MetadataOptions                   *InstanceMetadataOptionsRequest
	TagSpecifications                 []TagSpecification
	BlockDeviceMappings               []BlockDeviceMapping
	EbsOptimized                      *bool
	Monitoring                        *RunInstancesMonitoringEnabled
	CreditSpecification               *CreditSpecificationRequest
	IamInstanceProfile                *IamInstanceProfileSpecification
	CpuOptions                        *CpuOptionsRequest
	HibernationOptions                *HibernationOptionsRequest
	EnclaveOptions                    *EnclaveOptionsRequest
	MaintenanceOptions                *InstanceMaintenanceOptionsRequest
	CapacityReservationSpecification  *CapacityReservationSpecification
	ClientToken                       string
	DryRun                            bool
	// vpcemu's own: the type of the links of the interfaces that the call makes
	// (tun, tap), and the host's device files that the sandbox shall have.
	LinkType string
	Devices  []string
	// Rootfs is vpcemu's own, too: host (the default), host-read-only, or the absolute path of a directory or tar
	// archive that holds a root file system.
	Rootfs string
	// Limits of what the instance may use of the machine; vpcemu's own.
	Limits *LimitsSpecification
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
	volumes     []Volume
	volumeTags  map[string]string
	names       *PrivateDnsNameOptionsRequest // nil: as the subnet says
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
	if l.names = in.PrivateDnsNameOptions; l.names != nil {
		if err := l.names.check(); err != nil {
			return nil, err
		}
	}
	if l.nicTags, err = specTags(in.TagSpecifications, "network-interface", "instance", "volume"); err != nil {
		return nil, err
	}
	if l.volumeTags, err = specTags(in.TagSpecifications, "volume", "instance", "network-interface"); err != nil {
		return nil, err
	}
	if l.volumes, err = volumesWanted(in.BlockDeviceMappings); err != nil {
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
	i := Instance{State: StatePending, ImageID: in.ImageId, KeyName: in.KeyName, ClientToken: in.ClientToken, LaunchTime: tx.Call.Now, BootID: 1, Devices: slices.Clone(in.Devices)}
	if i.ImageID == "" && tx.Call.Client {
		return i, errMissing("ImageId")
	}
	if i.ImageID == "" {
		i.ImageID = ImageID
	}
	var err error
	if i.ImageID, err = resolveImage(i.ImageID); err != nil {
		return i, err
	}
	if err := checkImage(i.ImageID); err != nil {
		return i, err
	}
	if i.InstanceType, err = typeNamed(in.InstanceType); err != nil {
		return i, err
	}
	if err := tx.runsOn(i.ImageID, i.InstanceType); err != nil {
		return i, err
	}
	if in.KeyName != "" {
		k := tx.KeyPair(tx.Region, in.KeyName)
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
	if i.Rootfs, err = rootfs(cmp.Or(in.Rootfs, tx.Images[i.ImageID].Rootfs)); err != nil {
		return i, err
	}
	if i.Limits, err = in.Limits.limits(); err != nil {
		return i, err
	}
	if i.Options, err = tx.instanceOptions(in); err != nil {
		return i, err
	}
	if i.Options.Hardware, err = instanceHardware(in, i.InstanceType); err != nil {
		return i, err
	}
	if i.Meta, err = tx.newMeta("instance", nil); err != nil {
		return i, err
	}
	if i.Tags, err = specTags(in.TagSpecifications, "instance", "network-interface", "volume"); err != nil {
		return i, err
	}
	i.Due = tx.due(delayInstanceRun)
	asked, err := metadataOptions(in.MetadataOptions)
	if err != nil {
		return i, err
	}
	i.MetadataOptions = asked.over(tx.DefaultMetadata(tx.Region, i.ImageID))
	return i, i.tagsFitMetadata()
}

// decodeUserData decodes the API's base64. The model keeps the bytes.
func decodeUserData(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data")
	}
	return string(b), checkUserData(b)
}

func checkUserData(b []byte) error {
	if len(b) > maxUserData {
		return errInvalid("User data is limited to %d bytes", maxUserData)
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
	if i.Options.ProfileArn != "" {
		i.Options.ProfileAssociationID = tx.Call.NewID("iip-assoc-")
	}
	tx.Instances.Put(i.ID, &i)
	for _, spec := range l.nics {
		if err := tx.launchInterface(&i, l, spec); err != nil {
			return "", err
		}
	}
	primary := tx.InstanceInterfaces(i.ID)[0]
	c := i
	tx.nameFor(&c, primary, l.names)
	tx.Instances.Put(c.ID, &c)
	tx.makeVolumes(&c, l)
	p := primary.change()
	if err := tx.givePublic(p); err != nil {
		return "", err
	}
	tx.NetworkInterfaces.Put(p.ID, p)
	return i.ID, nil
}

// instanceZone is the availability zone that the instance is in.
func (m *Model) instanceZone(i *Instance) string {
	if s := m.Subnets.Get(i.SubnetID); s != nil {
		return s.AvailabilityZone
	}
	return ""
}
