package daemon

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

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

// maxHostName is the kernel's limit, in bytes (sethostname(2)).
const maxHostName = 64

// wish is what the model wants of the host about one instance or Internet host.
type wish struct {
	id, name string
	netns    string // LAB.<netns> in `ip netns`: the name, or the ID where that cannot be had
	state    string
	boot     int
	due      time.Time // when it may leave a state that passes
	run      bool      // a sandbox should be there
	userData bool      // it has user data
	nics     []host.NIC
	limits   host.Limits
	spec     func(*Daemon) host.Spec // all that starting it needs
}

// wishList is what a model wants of the host. former is that of the model worked
// out before, without a former of its own.
type wishList struct {
	m      *vpc.Model
	byID   map[string]*wish
	former *wishList
}

// wishes lists what the model wants of the host, worked out once for the model
// in force and once for the one that is about to be.
func (d *Daemon) wishes(m *vpc.Model) map[string]*wish {
	last := d.wish.Load()
	for w := last; w != nil; w = w.former {
		if w.m == m {
			return w.byID
		}
	}
	w := &wishList{m: m, byID: wishesOf(m)}
	if last != nil {
		w.former = &wishList{m: last.m, byID: last.byID}
	}
	d.wish.Store(w)
	return w.byID
}

func wishesOf(m *vpc.Model) map[string]*wish {
	wishes := map[string]*wish{}
	nics := nicsByInstance(m)
	for id, i := range m.Instances.All() {
		if i.State != vpc.StateTerminated {
			wishes[string(id)] = wishOfInstance(m, i, nics[id])
		}
	}
	for id, h := range m.InternetHosts.All() {
		if h.State != vpc.StateTerminated {
			wishes[string(id)] = wishOfHost(m, h)
		}
	}
	nameNetns(wishes)
	return wishes
}

// nameNetns gives every sandbox a name of its own in `ip netns`. AWS lets several
// instances have the same name: the oldest that is not going has it there, the
// others go by their IDs, and so does one whose name is no file's.
func nameNetns(wishes map[string]*wish) {
	list := make([]*wish, 0, len(wishes))
	for _, w := range wishes {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b *wish) int {
		return cmp.Or(cmp.Compare(a.age(), b.age()), strings.Compare(a.id, b.id))
	})
	taken := map[string]bool{}
	for _, w := range list {
		w.netns = w.name
		if w.state == vpc.StateShuttingDown {
			continue
		}
		if taken[w.name] || !host.ValidName(w.name) {
			w.netns = w.id
		}
		taken[w.netns] = true
	}
}

// age orders instances by when they were made: handles are given in order.
func (w *wish) age() uint32 {
	if len(w.nics) == 0 {
		return 0
	}
	return w.nics[0].Handle
}

// same tells whether the model wants the same of the host.
func (w *wish) same(o *wish) bool {
	return w != nil && o != nil && w.state == o.state && w.boot == o.boot && slices.Equal(w.nics, o.nics) && w.limits == o.limits
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
	w := &wish{id: string(i.ID), name: cmp.Or(i.Name(), string(i.ID)), state: i.State, due: i.Due, boot: i.BootID, run: runs(i.State), userData: i.UserData != "", nics: nics, limits: limitsOf(i.LimitsInForce())}
	w.spec = func(*Daemon) host.Spec {
		s := host.Spec{ID: w.id, Name: w.netns, BootID: i.BootID, NICs: nics, UserData: i.UserData, Devices: i.Devices, Rootfs: i.Rootfs, Limits: w.limits}
		s.Hostname, _, _ = strings.Cut(i.PrivateDnsName, ".")
		// A key pair that was deleted meanwhile is on the disk since the first boot.
		if k := m.KeyPair(i.Region, i.KeyName); i.KeyName != "" && k != nil {
			s.AuthorizedKeys = []string{k.PublicKey}
		}
		return s
	}
	return w
}

func wishOfHost(m *vpc.Model, h *vpc.InternetHost) *wish {
	w := &wish{id: string(h.ID), name: cmp.Or(h.HostName, string(h.ID)), state: h.State, boot: h.BootID, run: runs(h.State), userData: h.UserData != "", limits: limitsOf(h.Limits)}
	w.nics = []host.NIC{{ID: w.id, Handle: h.Handle, LinkType: h.LinkType, MAC: h.Mac, MTU: internetMTU,
		Static: netip.PrefixFrom(h.PublicIp, h.PublicIp.BitLen())}}
	w.spec = func(d *Daemon) host.Spec {
		s := host.Spec{ID: w.id, Name: w.netns, Hostname: w.name, Resolvers: []netip.Addr{vpc.InternetResolver}, BootID: h.BootID, NICs: w.nics, UserData: h.UserData, PrivateKeys: map[string]string{}, Rootfs: h.Rootfs, Limits: w.limits}
		if len(s.Hostname) > maxHostName {
			s.Hostname, _, _ = strings.Cut(w.name, ".") // a label has 63 bytes at most
		}
		for _, name := range h.KeyNames {
			k := m.KeyPair(h.Region, name)
			if k == nil {
				continue // deleted meanwhile
			}
			s.AuthorizedKeys = append(s.AuthorizedKeys, k.PublicKey)
			pem, err := d.privateKey(m.KeyPairKey(h.Region, name))
			if err != nil || !fits(pem, k.PublicKey) {
				continue // its owner kept the private half
			}
			s.PrivateKeys[name+".pem"] = pem
			if s.PrivateKeys[defaultKey] == "" {
				s.PrivateKeys[defaultKey] = pem
			}
		}
		return s
	}
	return w
}

// fits tells whether a private key is the other half of a public one. The file
// of a key pair that was deleted and imported anew is not.
func fits(pem, public string) bool {
	signer, err := ssh.ParsePrivateKey([]byte(pem))
	if err != nil {
		return false
	}
	want, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	return err == nil && string(want.Marshal()) == string(signer.PublicKey().Marshal())
}

// about names the instance of an error by its name as well; package host knows
// the ID only.
func (w *wish) about(err error) error {
	if w.name == w.id {
		return err
	}
	return &instanceError{name: w.name, id: w.id, err: err}
}

type instanceError struct {
	name, id string
	err      error
}

func (e *instanceError) Error() string {
	return fmt.Sprintf("instance %s (%s): %s", e.name, e.id, strings.ReplaceAll(e.err.Error(), "instance "+e.id+": ", ""))
}

func (e *instanceError) Unwrap() error { return e.err }
