package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// mtu of a network interface in a VPC (MT-01) and of a host on the Internet
// (MT-03), in bytes.
const (
	vpcMTU      = 9001
	internetMTU = 1500
)

// defaultKey is the file that ssh looks for by itself, for the jump host of
// `ssh -J` too.
const defaultKey = "id_ed25519"

// wish is what the model wants of the host about one instance or Internet host.
type wish struct {
	id, name string
	state    string
	boot     int
	run      bool // a sandbox should be there
	nics     []host.NIC
	spec     func(*Daemon) (host.Spec, error) // all that starting it needs
}

type wishList struct {
	m    *vpc.Model
	byID map[string]*wish
}

// wishes lists what the model wants of the host, worked out once a model.
func (d *Daemon) wishes(m *vpc.Model) map[string]*wish {
	if w := d.wish.Load(); w != nil && w.m == m {
		return w.byID
	}
	w := &wishList{m: m, byID: map[string]*wish{}}
	nics := nicsByInstance(m)
	for id, i := range m.Instances.All() {
		if i.State != vpc.StateTerminated {
			w.byID[string(id)] = wishOfInstance(m, i, nics[id])
		}
	}
	for id, h := range m.InternetHosts.All() {
		if h.State != vpc.StateTerminated {
			w.byID[string(id)] = wishOfHost(m, h)
		}
	}
	d.wish.Store(w)
	return w.byID
}

func (w *wish) has(handle uint32) bool {
	return slices.ContainsFunc(w.nics, func(n host.NIC) bool { return n.Handle == handle })
}

func runs(state string) bool { return state == vpc.StatePending || state == vpc.StateRunning }

func nicsByInstance(m *vpc.Model) map[vpc.InstanceID][]host.NIC {
	nics := map[vpc.InstanceID][]host.NIC{}
	for id, e := range m.NetworkInterfaces.All() {
		if a := e.Attachment; a != nil && a.InstanceID != "" {
			nics[a.InstanceID] = append(nics[a.InstanceID], host.NIC{
				ID: string(id), Handle: e.Handle, DeviceIndex: a.DeviceIndex,
				LinkType: e.LinkType, MAC: e.MacAddress, MTU: vpcMTU,
			})
		}
	}
	for _, list := range nics {
		slices.SortFunc(list, func(a, b host.NIC) int { return a.DeviceIndex - b.DeviceIndex })
	}
	return nics
}

func wishOfInstance(m *vpc.Model, i *vpc.Instance, nics []host.NIC) *wish {
	w := &wish{id: string(i.ID), name: nameOr(i.Name(), string(i.ID)), state: i.State, boot: i.BootID, run: runs(i.State), nics: nics}
	w.spec = func(d *Daemon) (host.Spec, error) {
		s := host.Spec{ID: w.id, Name: w.name, BootID: i.BootID, NICs: nics, UserData: i.UserData, Devices: i.Devices}
		s.Hostname, _, _ = strings.Cut(i.PrivateDnsName, ".")
		if i.PublicKey != "" {
			s.AuthorizedKeys = []string{i.PublicKey} // kept from the launch: the pair may be deleted since
		}
		return s, nil
	}
	return w
}

func wishOfHost(m *vpc.Model, h *vpc.InternetHost) *wish {
	w := &wish{id: string(h.ID), name: nameOr(h.HostName, string(h.ID)), state: h.State, boot: h.BootID, run: runs(h.State)}
	w.nics = []host.NIC{{ID: w.id, Handle: h.Handle, LinkType: h.LinkType, MAC: h.Mac, MTU: internetMTU,
		Static: netip.PrefixFrom(h.PublicIp, h.PublicIp.BitLen())}}
	w.spec = func(d *Daemon) (host.Spec, error) {
		s := host.Spec{ID: w.id, Name: w.name, Hostname: w.name, BootID: h.BootID, NICs: w.nics, UserData: h.UserData, PrivateKeys: map[string]string{}}
		for _, name := range h.KeyNames {
			k := m.KeyPairs.Get(name)
			if k == nil {
				return s, fmt.Errorf("internet host %s: key pair %s does not exist", w.name, name)
			}
			s.AuthorizedKeys = append(s.AuthorizedKeys, k.PublicKey)
			pem, err := d.privateKey(name)
			if err != nil {
				continue // its owner kept the private half
			}
			s.PrivateKeys[name+".pem"] = pem
			if s.PrivateKeys[defaultKey] == "" {
				s.PrivateKeys[defaultKey] = pem
			}
		}
		return s, nil
	}
	return w
}

func nameOr(name, id string) string {
	if name == "" {
		return id
	}
	return name
}
