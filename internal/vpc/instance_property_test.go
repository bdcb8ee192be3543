package vpc

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world runs random operations on one model and looks after each whether the
// model still holds together.
type world struct {
	*site
	t   *rapid.T
	rng *rand.Rand // drawn from anew at each step, so that a sequence shrinks by steps
	now time.Time
	// done counts the successes of each action.
	done map[string]int
}

// pickID draws one of the table's keys, or one that nothing has.
func pickID[K ~string, V any](w *world, table *Table[K, V]) K {
	var keys []K
	for k := range table.All() {
		keys = append(keys, k, k, k)
	}
	keys = append(keys, K(kindOf[K]().prefix+"00000000000000bad"))
	return sample(w.rng, keys)
}

func (w *world) subnet() SubnetID {
	return sample(w.rng, []SubnetID{w.public, w.public, w.private, w.other})
}

// address is a private one, rarely free of any subnet, or none.
func (w *world) address() string {
	n := w.between(-9, 9)
	if n < 0 {
		return ""
	}
	return fmt.Sprintf("10.0.%d.%d", sample(w.rng, []int{0, 0, 1, 2}), n)
}

// held is an address that some interface has, or address.
func (w *world) held() string {
	list := []string{w.address()}
	for _, n := range w.NetworkInterfaces.All() {
		for _, p := range n.PrivateIps {
			list = append(list, p.PrivateIp.String())
		}
	}
	return sample(w.rng, list)
}

// flag is nil, false or true.
func (w *world) flag() *bool {
	return sample(w.rng, []*bool{nil, new(false), new(true)})
}

func (w *world) between(lo, hi int) int { return lo + w.rng.IntN(hi-lo+1) }

func (w *world) maybe() bool { return w.rng.IntN(2) == 0 }

func (w *world) number(lo, hi int) *int { return new(w.between(lo, hi)) }

func (w *world) ids() []InstanceID {
	ids := []InstanceID{pickID(w, &w.Instances)}
	if w.maybe() {
		ids = append(ids, pickID(w, &w.Instances))
	}
	return ids
}

// run performs an action, which on an error must leave the model as it was.
func (w *world) run(name string, in any) {
	before := dump(w.t, &w.Model)
	if _, err := w.Run(name, in); err != nil {
		if dump(w.t, &w.Model) != before {
			w.t.Fatalf("%s failed (%v) and changed the model", name, err)
		}
		return
	}
	w.done[name]++
}

func (w *world) attachment() AttachmentID {
	ids := []AttachmentID{"eni-attach-00000000000000bad"}
	for _, n := range w.NetworkInterfaces.All() {
		if n.Attachment != nil {
			ids = append(ids, n.Attachment.ID)
		}
	}
	return sample(w.rng, ids)
}

func (w *world) association() AddressAssocID {
	ids := []AddressAssocID{"eipassoc-00000000000000bad"}
	for _, a := range w.Addresses.All() {
		if a.AssociationID != "" {
			ids = append(ids, a.AssociationID)
		}
	}
	return sample(w.rng, ids)
}

func (w *world) nicSpecs() []InstanceNetworkInterfaceSpecification {
	var specs []InstanceNetworkInterfaceSpecification
	for k := range sample(w.rng, []int{1, 1, 2, 3}) {
		n := InstanceNetworkInterfaceSpecification{DeviceIndex: new(k), DeleteOnTermination: w.flag()}
		if w.maybe() {
			n.NetworkInterfaceId = pickID(w, &w.NetworkInterfaces)
		} else {
			n.SubnetId, n.PrivateIpAddress = w.subnet(), w.address()
		}
		specs = append(specs, n)
	}
	if len(specs) == 1 {
		specs[0].AssociatePublicIpAddress = w.flag()
	}
	return specs
}

// actions are the operations to draw from.
func (w *world) actions() map[string]func() {
	return map[string]func(){
		"RunInstances": func() {
			in := &RunInstancesInput{InstanceType: sample(w.rng, []string{"t3.micro", "t3.large"}), MinCount: new(1), MaxCount: sample(w.rng, []*int{nil, nil, new(2)})}
			if w.maybe() {
				in.NetworkInterfaces = w.nicSpecs()
			} else {
				in.SubnetId, in.PrivateIpAddress = w.subnet(), w.address()
			}
			w.run("RunInstances", in)
		},
		"StartInstances":     func() { w.run("StartInstances", &StartInstancesInput{InstanceIds: w.ids()}) },
		"StopInstances":      func() { w.run("StopInstances", &StopInstancesInput{InstanceIds: w.ids()}) },
		"RebootInstances":    func() { w.run("RebootInstances", &RebootInstancesInput{InstanceIds: w.ids()}) },
		"TerminateInstances": func() { w.run("TerminateInstances", &TerminateInstancesInput{InstanceIds: w.ids()}) },
		"CreateNetworkInterface": func() {
			w.run("CreateNetworkInterface", &CreateNetworkInterfaceInput{SubnetId: w.subnet(), PrivateIpAddress: w.address(), SecondaryPrivateIpAddressCount: w.number(0, 3)})
		},
		"DeleteNetworkInterface": func() {
			w.run("DeleteNetworkInterface", &DeleteNetworkInterfaceInput{NetworkInterfaceId: pickID(w, &w.NetworkInterfaces)})
		},
		"AttachNetworkInterface": func() {
			w.run("AttachNetworkInterface", &AttachNetworkInterfaceInput{NetworkInterfaceId: pickID(w, &w.NetworkInterfaces), InstanceId: pickID(w, &w.Instances), DeviceIndex: sample(w.rng, []*int{new(0), new(1), new(1), new(2)})})
		},
		"DetachNetworkInterface": func() { w.run("DetachNetworkInterface", &DetachNetworkInterfaceInput{AttachmentId: w.attachment()}) },
		"ModifyNetworkInterfaceAttribute": func() {
			w.run("ModifyNetworkInterfaceAttribute", &ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: pickID(w, &w.NetworkInterfaces), AssociatePublicIpAddress: w.flag()})
		},
		"AssignPrivateIpAddresses": func() {
			in := &AssignPrivateIpAddressesInput{NetworkInterfaceId: pickID(w, &w.NetworkInterfaces), AllowReassignment: w.maybe()}
			if a := w.held(); a != "" {
				in.PrivateIpAddresses = []string{a}
			} else {
				in.SecondaryPrivateIpAddressCount = w.number(0, 2)
			}
			w.run("AssignPrivateIpAddresses", in)
		},
		"UnassignPrivateIpAddresses": func() {
			w.run("UnassignPrivateIpAddresses", &UnassignPrivateIpAddressesInput{NetworkInterfaceId: pickID(w, &w.NetworkInterfaces), PrivateIpAddresses: []string{w.held()}})
		},
		"AllocateAddress": func() { w.run("AllocateAddress", &AllocateAddressInput{}) },
		"ReleaseAddress":  func() { w.run("ReleaseAddress", &ReleaseAddressInput{AllocationId: pickID(w, &w.Addresses)}) },
		"AssociateAddress": func() {
			in := &AssociateAddressInput{AllocationId: pickID(w, &w.Addresses), PrivateIpAddress: sample(w.rng, []string{"", "", w.held()}), AllowReassociation: w.flag()}
			if w.maybe() {
				in.InstanceId = pickID(w, &w.Instances)
			} else {
				in.NetworkInterfaceId = pickID(w, &w.NetworkInterfaces)
			}
			w.run("AssociateAddress", in)
		},
		"DisassociateAddress": func() { w.run("DisassociateAddress", &DisassociateAddressInput{AssociationId: w.association()}) },
		"CreateNatGateway": func() {
			in := &CreateNatGatewayInput{SubnetId: w.subnet(), ConnectivityType: sample(w.rng, []string{"public", "private"}), PrivateIpAddress: w.address()}
			if in.ConnectivityType == "public" {
				in.AllocationId = pickID(w, &w.Addresses)
			}
			w.run("CreateNatGateway", in)
		},
		"DeleteNatGateway": func() { w.run("DeleteNatGateway", &DeleteNatGatewayInput{NatGatewayId: pickID(w, &w.NatGateways)}) },
		"AssociateNatGatewayAddress": func() {
			w.run("AssociateNatGatewayAddress", &AssociateNatGatewayAddressInput{NatGatewayId: pickID(w, &w.NatGateways), AllocationIds: []AllocationID{pickID(w, &w.Addresses)}})
		},
		"DisassociateNatGatewayAddress": func() {
			w.run("DisassociateNatGatewayAddress", &DisassociateNatGatewayAddressInput{NatGatewayId: pickID(w, &w.NatGateways), AssociationIds: []AddressAssocID{w.association()}})
		},
		"AssignPrivateNatGatewayAddress": func() {
			w.run("AssignPrivateNatGatewayAddress", &AssignPrivateNatGatewayAddressInput{NatGatewayId: pickID(w, &w.NatGateways), PrivateIpAddressCount: w.number(0, 4)})
		},
		"UnassignPrivateNatGatewayAddress": func() {
			w.run("UnassignPrivateNatGatewayAddress", &UnassignPrivateNatGatewayAddressInput{NatGatewayId: pickID(w, &w.NatGateways), PrivateIpAddresses: []string{w.held()}})
		},
		"CreateInternetHost": func() { w.run("CreateInternetHost", &CreateInternetHostInput{}) },
		"DeleteInternetHost": func() {
			w.run("DeleteInternetHost", &DeleteInternetHostInput{InternetHostId: pickID(w, &w.InternetHosts)})
		},
		"settle": func() { w.settle() },
		"wait": func() {
			w.now = w.now.Add(time.Duration(*w.number(1, 3600)) * time.Second)
			w.Call.Now = w.now
			w.PurgeDeleted(w.now)
			if next := w.NextPurge(); !next.IsZero() && !next.After(w.now) {
				w.t.Fatalf("at %s, the next purge is at %s", w.now, next)
			}
		},
	}
}

// settle lets the host report something about every instance and Internet host.
func (w *world) settle() {
	hooks := []func(InstanceID){
		w.InstanceRunning, w.InstanceRunning, w.InstanceTerminated, w.InstanceRebooted,
		func(id InstanceID) { w.InstanceStopped(id, ReasonInternalError) },
		func(id InstanceID) { w.InstanceStopped(id, ReasonInstanceInitiated) },
		func(id InstanceID) { w.InstanceNotStarted(id, ReasonInternalError) },
	}
	for id := range w.Instances.All() {
		sample(w.rng, hooks)(id)
	}
	for id := range w.InternetHosts.All() {
		w.InternetHostRunning(id)
		w.InternetHostTerminated(id)
	}
}

// check looks at the promises that the model makes by itself.
func (w *world) check() {
	for _, err := range w.Check() {
		w.t.Error(err)
	}
	private, public := map[string]string{}, map[netip.Addr]string{}
	take := func(a netip.Addr, who string) {
		if other, taken := public[a]; taken && a.IsValid() {
			w.t.Errorf("%s and %s hold %s", other, who, a)
		}
		public[a] = who
	}
	for id, n := range w.NetworkInterfaces.All() {
		take(n.PublicIp, string(id))
		elastic := false
		for _, p := range n.PrivateIps {
			key := string(n.VpcID) + p.PrivateIp.String()
			if other, taken := private[key]; taken {
				w.t.Errorf("%s and %s hold %s", other, id, p.PrivateIp)
			}
			private[key] = string(id)
			elastic = elastic || p.Primary && p.AllocationID != ""
		}
		if n.PublicIp.IsValid() && (elastic || n.Attachment == nil || !w.onRunningInstance(n)) {
			w.t.Errorf("%s holds %s: %+v", id, n.PublicIp, n)
		}
		if (n.Attachment != nil || n.RequesterManaged) != (n.Status == "in-use") {
			w.t.Errorf("%s is %s with attachment %v", id, n.Status, n.Attachment)
		}
	}
	for id, a := range w.Addresses.All() {
		take(a.PublicIp, string(id))
	}
	for id, h := range w.InternetHosts.All() {
		take(h.PublicIp, string(id))
	}
	for id, i := range w.Instances.All() {
		nics := w.InstanceInterfaces(id)
		limits := instanceTypes[i.InstanceType]
		if len(nics) > limits.interfaces || (len(nics) == 0) != (i.State == StateTerminated) {
			w.t.Errorf("%s (%s, %s) has %d interfaces", id, i.InstanceType, i.State, len(nics))
		}
		for _, n := range nics {
			if len(n.PrivateIps) > limits.addresses {
				w.t.Errorf("%s of %s has %d addresses", n.ID, id, len(n.PrivateIps))
			}
		}
	}
}

func TestProperty_RandomOperationsKeepTheModelConsistent(t *testing.T) {
	base := newSite(t)
	for range 2 { // so that there is something to pick from the start
		base.inPublic()
		base.inPrivate()
		base.eni(base.public)
	}
	base.eip()
	base.publicNat(t)
	base.privateNat(t)
	done := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		s := *base
		s.Tx = Begin(&base.Model, countingFrom(1<<20))
		w := &world{site: &s, t: rt, now: testNow, done: done}
		w.PublicPools = []netip.Prefix{cidr("203.0.113.0/28"), cidr("198.51.100.0/29")} // scarce
		actions := w.actions()
		names := make([]string, 0, len(actions))
		for name := range actions {
			names = append(names, name)
		}
		names = append(names, "settle", "settle", "RunInstances", "RunInstances", "AttachNetworkInterface", "AssociateAddress")
		slices.Sort(names)
		for k, seed := range rapid.SliceOfN(rapid.Uint64(), 30, 60).Draw(rt, "steps") {
			w.rng = rand.New(rand.NewPCG(seed, uint64(k)))
			actions[sample(w.rng, names)]()
			w.check()
		}
	})
	if !t.Failed() {
		t.Logf("succeeded: %v", done)
	}
}

// countingFrom is countingCall with other IDs than the base model's.
func countingFrom(n int) Call {
	return Call{Now: testNow, NewID: func(prefix string) string {
		n++
		return fmt.Sprintf("%s%017x", prefix, n)
	}}
}
