package vpc

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
