package vpc

import "slices"

// holdings are what each instance has. Without them each of a thousand instances looks through
// all interfaces and volumes.
type holdings struct {
	interfaces map[InstanceID][]*NetworkInterface // by device index
	volumes    map[InstanceID][]*Volume           // in no order
}

// reading readies the model for an action that changes nothing and asks of many instances. The
// function that it returns ends that.
func (m *Model) reading() (done func()) {
	h := &holdings{map[InstanceID][]*NetworkInterface{}, map[InstanceID][]*Volume{}}
	for _, n := range m.NetworkInterfaces.each() {
		if n.Attachment != nil {
			h.interfaces[n.Attachment.InstanceID] = append(h.interfaces[n.Attachment.InstanceID], n)
		}
	}
	for _, list := range h.interfaces {
		byDevice(list)
	}
	for _, v := range m.Volumes.each() {
		h.volumes[v.InstanceID] = append(h.volumes[v.InstanceID], v)
	}
	m.held = h
	return func() { m.held = nil }
}

func byDevice(list []*NetworkInterface) {
	slices.SortFunc(list, func(a, b *NetworkInterface) int { return a.Attachment.DeviceIndex - b.Attachment.DeviceIndex })
}
