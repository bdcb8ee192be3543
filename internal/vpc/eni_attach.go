package vpc

import (
	"net/netip"
	"time"
)

// AttachNetworkInterfaceInput and the other types below have the members of the EC2 API.
type AttachNetworkInterfaceInput struct {
	NetworkInterfaceId NetworkInterfaceID
	InstanceId         InstanceID
	DeviceIndex        *int
	NetworkCardIndex   *int
	DryRun             bool
}

type AttachNetworkInterfaceOutput struct {
	AttachmentId     AttachmentID `json:"AttachmentId"`
	NetworkCardIndex int          `json:"NetworkCardIndex"`
}

type DetachNetworkInterfaceInput struct {
	AttachmentId AttachmentID
	Force        bool
	DryRun       bool
}

type DetachNetworkInterfaceOutput struct{}

// AttachNetworkInterface attaches an interface to an instance of its zone that
// runs or is stopped (EN-02). It stays when the instance is terminated, unless
// its attachment is changed (EN-03).
func (tx *Tx) AttachNetworkInterface(in *AttachNetworkInterfaceInput) (*AttachNetworkInterfaceOutput, error) {
	n, err := tx.ownInterface(in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	i, err := find(&tx.Instances, in.InstanceId)
	if err != nil {
		return nil, err
	}
	switch {
	case in.DeviceIndex == nil:
		return nil, errMissing("deviceIndex")
	case *in.DeviceIndex < 0:
		return nil, errValue(*in.DeviceIndex, "deviceIndex", "")
	case in.NetworkCardIndex != nil && *in.NetworkCardIndex != 0:
		return nil, errValue(*in.NetworkCardIndex, "networkCardIndex", "The instance type has one network card.")
	case i.State != StateRunning && i.State != StateStopped:
		return nil, errorf("IncorrectInstanceState", "Instance '%s' is %s; an interface can be attached while it is running or stopped.", i.ID, i.State)
	}
	a, err := tx.attach(n, i, *in.DeviceIndex, false)
	if err != nil {
		return nil, err
	}
	return &AttachNetworkInterfaceOutput{AttachmentId: a.ID}, nil
}

// attach attaches n to i, within the limits of the instance's type (EN-05).
func (tx *Tx) attach(n *NetworkInterface, i *Instance, device int, deleteOnTermination bool) (*Attachment, error) {
	if n.Attachment != nil {
		return nil, errorf("InvalidNetworkInterface.InUse", "Interface: [%s] in use.", n.ID)
	}
	if zone := tx.instanceZone(i); zone != n.AvailabilityZone {
		return nil, errorf("InvalidParameterCombination", "You may not attach a network interface to an instance if they are not in the same availability zone (%s in %s, %s in %s)", n.ID, n.AvailabilityZone, i.ID, zone)
	}
	others := tx.InstanceInterfaces(i.ID)
	for _, o := range others {
		if o.Attachment.DeviceIndex == device {
			return nil, errInvalid("Instance '%s' already has an interface attached at device index '%d'.", i.ID, device)
		}
	}
	t := instanceTypes[i.InstanceType]
	if len(others) >= t.interfaces {
		return nil, errorf("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", len(others)+1, i.InstanceType)
	}
	if err := t.takes(i.InstanceType, len(n.PrivateIps)); err != nil {
		return nil, err
	}
	c := n.change()
	c.Status = "in-use"
	c.Due = tx.due(delayAttach)
	c.Attachment = &Attachment{
		ID: newID[AttachmentID](tx), InstanceID: i.ID, DeviceIndex: device, DeleteOnTermination: deleteOnTermination,
		Status: begun(c.Due, "attaching", "attached"), AttachTime: tx.Call.Now,
	}
	tx.NetworkInterfaces.Put(c.ID, c)
	return c.Attachment, nil
}

// addressLimit tells whether the interface may have that many addresses where it
// is attached (EN-05).
func (m *Model) addressLimit(n *NetworkInterface, addresses int) error {
	if n.Attachment == nil {
		return nil
	}
	i := m.Instances.Get(n.Attachment.InstanceID)
	if i == nil {
		return nil
	}
	return instanceTypes[i.InstanceType].takes(i.InstanceType, addresses)
}

// DetachNetworkInterface detaches an interface other than the primary one
// (EN-03). Its addresses, Elastic IPs and groups stay with it.
func (tx *Tx) DetachNetworkInterface(in *DetachNetworkInterfaceInput) (*DetachNetworkInterfaceOutput, error) {
	n, err := tx.attached(in.AttachmentId)
	if err != nil {
		return nil, err
	}
	if n.Attachment.DeviceIndex == 0 {
		return nil, errorf("OperationNotPermitted", "The network interface at device index 0 cannot be detached.")
	}
	tx.detach(n)
	return &DetachNetworkInterfaceOutput{}, nil
}

// attached finds an interface by its attachment.
func (m *Model) attached(id AttachmentID) (*NetworkInterface, error) {
	for _, n := range m.NetworkInterfaces.each() {
		if n.Attachment != nil && n.Attachment.ID == id {
			return n, nil
		}
	}
	k := kindOf[AttachmentID]()
	if err := k.check(string(id)); err != nil {
		return nil, err
	}
	return nil, k.notFoundError(string(id))
}

// detach makes the interface available again, without an automatic public address.
func (tx *Tx) detach(n *NetworkInterface) {
	c := n.change()
	c.Attachment, c.Status, c.PublicIp, c.Due = nil, "available", netip.Addr{}, time.Time{}
	tx.NetworkInterfaces.Put(c.ID, c)
}
