package vpc

import "testing"

// public is the instance's public address as DescribeInstances tells it.
func (s *site) publicOf(id InstanceID) string { return s.info(id).PublicIpAddress }

func TestPI01_B11_SubnetDecidesAndTheRequestOverrides(t *testing.T) {
	for _, c := range []struct {
		name string
		in   func(*site) InstanceNetworkInterfaceSpecification
		want bool
	}{
		{"public subnet", func(s *site) InstanceNetworkInterfaceSpecification {
			return InstanceNetworkInterfaceSpecification{SubnetId: s.public}
		}, true},
		{"private subnet", func(s *site) InstanceNetworkInterfaceSpecification {
			return InstanceNetworkInterfaceSpecification{SubnetId: s.private}
		}, false},
		{"refused in the public one", func(s *site) InstanceNetworkInterfaceSpecification {
			return InstanceNetworkInterfaceSpecification{SubnetId: s.public, AssociatePublicIpAddress: new(false)}
		}, false},
		{"wanted in the private one", func(s *site) InstanceNetworkInterfaceSpecification {
			return InstanceNetworkInterfaceSpecification{SubnetId: s.private, AssociatePublicIpAddress: new(true)}
		}, true},
		{"interface of a public subnet", func(s *site) InstanceNetworkInterfaceSpecification {
			return InstanceNetworkInterfaceSpecification{NetworkInterfaceId: s.eni(s.public)}
		}, true},
	} {
		s := newSite(t)
		id := s.launched(RunInstancesInput{NetworkInterfaces: []InstanceNetworkInterfaceSpecification{c.in(s)}})
		if got := s.publicOf(id) != ""; got != c.want {
			t.Errorf("%s: public address %q", c.name, s.publicOf(id))
		}
		s.stop(id)
		s.start(id)
		if got := s.publicOf(id) != ""; got != c.want {
			t.Errorf("%s, after stop and start: public address %q", c.name, s.publicOf(id))
		}
	}
}

func TestPI01_TheInterfaceKeepsTheSubnetsSettingOfItsCreation(t *testing.T) {
	s := newSite(t)
	early := s.eni(s.private)
	must(s.ModifySubnetAttribute(&ModifySubnetAttributeInput{SubnetId: s.private, MapPublicIpOnLaunch: AttributeBooleanValue{new(true)}}))
	late := s.eni(s.private)
	for n, want := range map[NetworkInterfaceID]bool{early: false, late: true} {
		id := s.launched(RunInstancesInput{NetworkInterfaces: []InstanceNetworkInterfaceSpecification{{NetworkInterfaceId: n}}})
		if got := s.publicOf(id) != ""; got != want {
			t.Errorf("%s: public address %q", n, s.publicOf(id))
		}
	}
}

func TestPI01_NoneForTwoInterfaces(t *testing.T) {
	s := newSite(t)
	id := s.launched(RunInstancesInput{NetworkInterfaces: []InstanceNetworkInterfaceSpecification{{SubnetId: s.public, DeviceIndex: new(0)}, {SubnetId: s.public, DeviceIndex: new(1)}}})
	if got := s.publicOf(id); got != "" {
		t.Errorf("got %s", got)
	}
}

func TestPI02_B11_ReleasedOnStopAndAnotherOnStart(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	seen := map[string]bool{}
	for range 3 {
		got := s.publicOf(id)
		if got == "" || seen[got] {
			t.Errorf("address %q after %v", got, seen)
		}
		seen[got] = true
		s.stop(id)
		if got := s.publicOf(id); got != "" {
			t.Errorf("a stopped instance has %s", got)
		}
		s.start(id)
	}
}

func TestPI02_AnotherOnStartEvenInASmallPool(t *testing.T) {
	s := newSite(t)
	s.PublicPools = s.PublicPools[:0:0]
	s.PublicPools = append(s.PublicPools, cidr("203.0.113.0/30")) // two addresses
	id := s.inPublic()
	first := s.publicOf(id)
	for k := range 4 {
		s.stop(id)
		s.start(id)
		if same := s.publicOf(id) == first; same != (k%2 == 1) {
			t.Errorf("start %d: %s after %s", k, s.publicOf(id), first)
		}
	}
}

func TestPI02_KeptOnRebootAndReleasedOnTerminate(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	got := s.publicOf(id)
	must(s.RebootInstances(&RebootInstancesInput{InstanceIds: []InstanceID{id}}))
	if s.publicOf(id) != got {
		t.Error("the reboot changed it")
	}
	s.terminate(id)
	if len(s.publicInUse()) != 0 {
		t.Errorf("in use: %v", s.publicInUse())
	}
}

func TestPI02_B11_ElasticIpReplacesAndStays(t *testing.T) {
	s := newSite(t)
	id, e := s.inPublic(), s.eip()
	auto := s.publicOf(id)
	a := must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: id})).AssociationId
	elastic := s.Addresses.Get(e).PublicIp.String()
	if s.publicOf(id) != elastic || s.eth0(id).PublicIp.IsValid() {
		t.Errorf("the instance has %s and %s", s.publicOf(id), s.eth0(id).PublicIp)
	}
	s.stop(id)
	if s.publicOf(id) != elastic {
		t.Error("the stop took the Elastic IP")
	}
	s.start(id)
	if s.publicOf(id) != elastic || s.eth0(id).PublicIp.IsValid() {
		t.Errorf("after the start: %s and %s", s.publicOf(id), s.eth0(id).PublicIp)
	}
	must(s.DisassociateAddress(&DisassociateAddressInput{AssociationId: a}))
	if got := s.publicOf(id); got == "" || got == elastic || got == auto {
		t.Errorf("after disassociating: %q", got)
	}
}

func TestPI03_NoneOnStartWithTwoInterfaces(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	a := s.attached(s.eni(s.private), id, 1)
	if s.publicOf(id) == "" {
		t.Error("attaching took the address")
	}
	s.stop(id)
	s.start(id)
	if got := s.publicOf(id); got != "" {
		t.Errorf("got %s", got)
	}
	e := s.eip()
	id2 := must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, NetworkInterfaceId: s.eth0(id).ID})).AssociationId
	must(s.DisassociateAddress(&DisassociateAddressInput{AssociationId: id2}))
	if got := s.publicOf(id); got != "" {
		t.Errorf("after disassociating with two interfaces: %s", got)
	}
	must(s.DetachNetworkInterface(&DetachNetworkInterfaceInput{AttachmentId: a}))
	s.stop(id)
	s.start(id)
	if s.publicOf(id) == "" {
		t.Error("none on start with one interface")
	}
}

func TestPI03_NoneOnStartWithAnElasticIpOnASecondaryAddress(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	n := s.eth0(id).ID
	must(s.AssignPrivateIpAddresses(&AssignPrivateIpAddressesInput{NetworkInterfaceId: n, PrivateIpAddresses: []string{"10.0.0.99"}}))
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: s.eip(), NetworkInterfaceId: n, PrivateIpAddress: "10.0.0.99"}))
	s.stop(id)
	s.start(id)
	if got := s.publicOf(id); got != "" {
		t.Errorf("got %s", got)
	}
}

func TestPI02_StartFailsWhenThePoolsAreEmpty(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	s.stop(id)
	s.PublicPools = append(s.PublicPools[:0:0], cidr("203.0.113.9/32"))
	s.eip()
	before := dump(t, &s.Model)
	wantCode(t, code(s.StartInstances(&StartInstancesInput{InstanceIds: []InstanceID{id}})), "InsufficientAddressCapacity")
	if dump(t, &s.Model) != before {
		t.Error("the model has changed")
	}
}
