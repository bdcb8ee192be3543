package vpc

import (
	"testing"
	"time"
)

// placesLab has a subnet in each of two zones, an instance, an Internet host and a NAT gateway.
func placesLab(t *testing.T) *Tx {
	t.Helper()
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	s := must(tx.CreateSubnet(&CreateSubnetInput{VpcId: v, CidrBlock: "10.0.0.0/24", AvailabilityZone: tx.Zones[0], TagSpecifications: NamedTag("subnet", "one")})).Subnet.SubnetId
	must(tx.CreateSubnet(&CreateSubnetInput{VpcId: v, CidrBlock: "10.0.1.0/24", AvailabilityZone: tx.Zones[1], TagSpecifications: NamedTag("subnet", "two")}))
	must(tx.RunInstances(&RunInstancesInput{MinCount: new(1), MaxCount: new(1), SubnetId: s, TagSpecifications: NamedTag("instance", "web")}))
	must(tx.CreateInternetHost(&CreateInternetHostInput{HostName: "laptop"}))
	must(tx.CreateNatGateway(&CreateNatGatewayInput{SubnetId: s, ConnectivityType: "private", TagSpecifications: NamedTag("natgateway", "nat")}))
	return tx
}

func TestFindPlace(t *testing.T) {
	tx := placesLab(t)
	zone := tx.Zones[0]
	for text, want := range map[string]string{
		"web": PlaceInstance, "instance:web": PlaceInstance, "laptop": PlaceInternetHost, "host:laptop": PlaceInternetHost, "instance:laptop": PlaceInternetHost,
		"one": PlaceSubnet, "subnet:two": PlaceSubnet, "nat": PlaceNatGateway, "nat:nat": PlaceNatGateway, zone: PlaceZone,
		"zone:" + zone[len(zone)-1:]: PlaceZone, "zone:" + zone: PlaceZone, "internet": PlaceInternet,
		"": "", "zone:": "", "zone:web": "", "subnet:web": "", "host:web": "", "table:x": "", "other": "", "internet:x": "",
	} {
		p, err := tx.FindPlace(text)
		if p.Type != want || (err == nil) != (want != "") {
			t.Errorf("%q: %v %v, want %q", text, p, err, want)
		}
		if err == nil {
			if again, err := tx.FindPlace(tx.PlaceWord(p)); err != nil || again != p {
				t.Errorf("%q: its word %q is %v %v", text, tx.PlaceWord(p), again, err)
			}
		}
	}
	// Of one name, the instance is meant, and the word before a colon tells another.
	must(tx.CreateTags(&CreateTagsInput{Resources: []ResourceID{ResourceID(tx.placesNamed("two")[0].ID)}, Tags: []Tag{{"Name", "web"}}}))
	if p, err := tx.FindPlace("web"); err != nil || p.Type != PlaceInstance {
		t.Error(p, err)
	}
	p, err := tx.FindPlace("subnet:web")
	if err != nil || p.Type != PlaceSubnet || tx.PlaceWord(p) != p.ID {
		t.Error(p, err, tx.PlaceWord(p))
	}
}

func TestModifyImpairment(t *testing.T) {
	tx := placesLab(t)
	a, b := tx.Zones[0], tx.Zones[1]
	set := func(in *ModifyImpairmentInput) ImpairmentInfo {
		t.Helper()
		out := must(tx.ModifyImpairment(in)).Impairment
		wantConsistent(t, &tx.Model)
		if out == nil {
			return ImpairmentInfo{}
		}
		return *out
	}
	if i := set(&ModifyImpairmentInput{Place: "web", Delay: "20ms"}); i.Egress != "delay 20ms" || i.Ingress != "delay 20ms" || i.ResourceType != PlaceInstance {
		t.Errorf("%+v", i)
	}
	if i := set(&ModifyImpairmentInput{Place: "web", Direction: "ingress", Rate: "10mbit"}); i.Egress != "delay 20ms" || i.Ingress != "rate 10mbit" {
		t.Errorf("%+v", i)
	}
	// Named the other way round, egress is from the one named first.
	if i := set(&ModifyImpairmentInput{Place: b, To: a, Direction: "egress", Loss: "1%"}); i.Place != a || i.To != b || i.Egress != "" || i.Ingress != "loss 1%" {
		t.Errorf("%+v", i)
	}
	if i := set(&ModifyImpairmentInput{Place: a, To: a, Direction: "egress", Delay: "1ms"}); i.Egress != "delay 1ms" || i.Ingress != "delay 1ms" {
		t.Errorf("%+v", i)
	}
	set(&ModifyImpairmentInput{Place: "internet", Delay: "5ms"})
	if n := len(must(tx.DescribeImpairments(&DescribeImpairmentsInput{})).Impairments); n != 4 {
		t.Errorf("%d impairments", n)
	}
	set(&ModifyImpairmentInput{Place: "web"})
	set(&ModifyImpairmentInput{Place: "internet"})
	if n := tx.Impairments.Len(); n != 2 {
		t.Errorf("%d impairments after two were cleared", n)
	}
	for name, r := range map[string]struct {
		in   ModifyImpairmentInput
		want string
	}{
		"nobody":         {ModifyImpairmentInput{Place: "x"}, "InvalidPlace.NotFound"},
		"nothing":        {ModifyImpairmentInput{}, "MissingParameter"},
		"nat":            {ModifyImpairmentInput{Place: "nat", Delay: "1ms"}, "InvalidParameterValue"},
		"one zone":       {ModifyImpairmentInput{Place: a, Delay: "1ms"}, "InvalidParameterValue"},
		"zone and other": {ModifyImpairmentInput{Place: a, To: "web", Delay: "1ms"}, "InvalidParameterValue"},
		"two instances":  {ModifyImpairmentInput{Place: "web", To: "web", Delay: "1ms"}, "InvalidParameterValue"},
		"direction":      {ModifyImpairmentInput{Place: "web", Direction: "up", Delay: "1ms"}, "InvalidParameterValue"},
		"conditions":     {ModifyImpairmentInput{Place: "web", Loss: "2"}, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, code(tx.ModifyImpairment(&r.in)), r.want) })
	}
}

func TestFailures(t *testing.T) {
	tx := placesLab(t)
	a := tx.Zones[0]
	for _, in := range []CreateFailureInput{{Place: a}, {Place: "one"}, {Place: "web"}, {Place: "laptop"}, {Place: "nat"}, {Place: "web", To: "internet"}, {Place: "two", To: a}} {
		id := must(tx.CreateFailure(&in)).Failure.FailureId
		again := must(tx.CreateFailure(&CreateFailureInput{Place: in.Place, To: in.To})).Failure.FailureId
		if in.To != "" {
			again = must(tx.CreateFailure(&CreateFailureInput{Place: in.To, To: in.Place})).Failure.FailureId
		}
		if again != id {
			t.Errorf("%+v failed twice", in)
		}
		wantConsistent(t, &tx.Model)
		f := tx.Failures.Get(id)
		if w := f.Words(&tx.Model); len(w) != 2 && in.To == "" || len(w) != 3 && in.To != "" {
			t.Errorf("%v", w)
		}
	}
	if n := len(must(tx.DescribeFailures(&DescribeFailuresInput{})).Failures); n != 7 {
		t.Errorf("%d failures", n)
	}
	must(tx.DeleteFailure(&DeleteFailureInput{Place: "internet", To: "web"}))
	wantCode(t, code(tx.DeleteFailure(&DeleteFailureInput{Place: "internet", To: "web"})), "InvalidFailure.NotFound")
	for name, r := range map[string]struct {
		in   CreateFailureInput
		want string
	}{
		"nobody":       {CreateFailureInput{Place: "x"}, "InvalidPlace.NotFound"},
		"the Internet": {CreateFailureInput{Place: "internet"}, "InvalidParameterValue"},
		"link to nat":  {CreateFailureInput{Place: "web", To: "nat"}, "InvalidParameterValue"},
		"link to host": {CreateFailureInput{Place: "web", To: "laptop"}, "InvalidParameterValue"},
		"one end":      {CreateFailureInput{Place: "web", To: "web"}, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, code(tx.CreateFailure(&r.in)), r.want) })
	}
}

// What is said about a place goes with it.
func TestPlacesGo(t *testing.T) {
	tx := placesLab(t)
	for _, place := range []string{"web", "laptop", "nat", "one"} {
		must(tx.CreateFailure(&CreateFailureInput{Place: place}))
	}
	must(tx.CreateFailure(&CreateFailureInput{Place: "web", To: "internet"}))
	for _, place := range []string{"web", "laptop", "one"} {
		must(tx.ModifyImpairment(&ModifyImpairmentInput{Place: place, Delay: "1ms"}))
	}
	left := func(impairments, failures int) {
		t.Helper()
		wantConsistent(t, &tx.Model)
		if tx.Impairments.Len() != impairments || tx.Failures.Len() != failures {
			t.Errorf("%d impairments and %d failures are left, want %d and %d", tx.Impairments.Len(), tx.Failures.Len(), impairments, failures)
		}
	}
	web, _ := tx.FindPlace("web")
	must(tx.TerminateInstances(&TerminateInstancesInput{InstanceIds: []InstanceID{InstanceID(web.ID)}}))
	tx.InstanceTerminated(InstanceID(web.ID))
	left(2, 3)
	tx.Call.Now = tx.Call.Now.Add(time.Hour)
	laptop, _ := tx.FindPlace("laptop")
	must(tx.DeleteInternetHost(&DeleteInternetHostInput{InternetHostId: InternetHostID(laptop.ID)}))
	tx.InternetHostTerminated(InternetHostID(laptop.ID))
	left(1, 2)
	nat, _ := tx.FindPlace("nat")
	must(tx.DeleteNatGateway(&DeleteNatGatewayInput{NatGatewayId: NatGatewayID(nat.ID)}))
	left(1, 1)
	one, _ := tx.FindPlace("one")
	must(tx.DeleteSubnet(&DeleteSubnetInput{SubnetId: SubnetID(one.ID)}))
	left(0, 0)
}
