package vpc

import (
	"cmp"
	"slices"
	"strings"
)

// Types of places.
const (
	PlaceInstance     = "instance"
	PlaceInternetHost = "internet-host"
	PlaceSubnet       = "subnet"
	PlaceNatGateway   = "nat-gateway"
	PlaceZone         = "availability-zone"
	PlaceInternet     = "internet"
)

// A Place is where a link ends, or what can fail (vpcemu's own).
type Place struct {
	Type string
	ID   string // i-…, host-…, subnet-…, nat-…, ap-northeast-1a; "" of the Internet
}

// placeWords are the words before a colon that say of which type a place is.
var placeWords = map[string]string{
	"instance": PlaceInstance, "host": PlaceInternetHost, PlaceInternetHost: PlaceInternetHost, "subnet": PlaceSubnet,
	"nat": PlaceNatGateway, PlaceNatGateway: PlaceNatGateway, "zone": PlaceZone, PlaceZone: PlaceZone,
}

// FindPlace finds the place that a text names: an instance, Internet host, subnet or NAT
// gateway by name or ID, a zone by its name, or "internet". instance:, host:, subnet:, nat:
// or zone: before a name tells things of one name apart; after zone: the last letter of the
// name of a zone of the home Region will do. Of things with one name an instance or Internet host is meant without
// that, as everywhere. Links are of the lab: places of all its Regions are found. What is
// terminated or deleted is no place.
func (m *Model) FindPlace(text string) (Place, error) {
	word, name, typed := strings.Cut(text, ":")
	of := placeWords[word]
	switch {
	case text == PlaceInternet:
		return Place{Type: PlaceInternet}, nil
	case typed && of == "":
		return Place{}, errInvalid("%s: what is before the colon is none of instance, host, subnet, nat and zone.", text)
	case !typed:
		name = text
	}
	if name == "" {
		return Place{}, errMissing("place")
	}
	var found []Place
	for _, p := range m.placesNamed(name) {
		// A host on the Internet is an instance to whoever sits at the command line.
		if !typed || p.Type == of || of == PlaceInstance && p.Type == PlaceInternetHost {
			found = append(found, p)
		}
	}
	isMachine := func(p Place) bool { return p.Type == PlaceInstance || p.Type == PlaceInternetHost }
	if slices.ContainsFunc(found, isMachine) {
		found = slices.DeleteFunc(found, func(p Place) bool { return !isMachine(p) })
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Place{}, errorf("InvalidPlace.NotFound", "%s: no instance, Internet host, subnet, NAT gateway or availability zone has this name or ID, and it is not internet.", text)
	}
	var which []string
	for _, p := range found {
		which = append(which, p.ID)
	}
	return Place{}, errInvalid("%s: several have this name: say which by its ID: %s", text, strings.Join(which, ", "))
}

// placesNamed are those that have the name or ID.
func (m *Model) placesNamed(name string) (found []Place) {
	m = m.everywhere()
	add := func(is bool, p Place) {
		if is {
			found = append(found, p)
		}
	}
	for id, i := range m.Instances.All() {
		add(i.Deleted.IsZero() && (string(id) == name || i.Name() == name), Place{PlaceInstance, string(id)})
	}
	for id, h := range m.InternetHosts.All() {
		add(string(id) == name || h.HostName == name || h.Name() == name, Place{PlaceInternetHost, string(id)})
	}
	for id, s := range m.Subnets.All() {
		add(string(id) == name || s.Name() == name || s.DefaultForAz && s.Name() == "" && "default-"+s.AvailabilityZone == name, Place{PlaceSubnet, string(id)})
	}
	for id, g := range m.NatGateways.All() {
		add(g.Deleted.IsZero() && (string(id) == name || g.Name() == name), Place{PlaceNatGateway, string(id)})
	}
	for _, region := range m.OpenRegions() {
		for _, z := range m.ZonesOf(region) {
			add(z == name || region == m.Region && region+name == z, Place{PlaceZone, z})
		}
	}
	return found
}

// hasPlace tells whether the place is there.
func (m *Model) hasPlace(p Place) bool {
	return p.Type == PlaceInternet || slices.Contains(m.placesNamed(p.ID), p)
}

// PlaceName is what people call the place: web, ap-northeast-1a, internet.
func (m *Model) PlaceName(p Place) string {
	m = m.everywhere()
	name := ""
	switch p.Type {
	case PlaceInstance:
		if i := m.Instances.Get(InstanceID(p.ID)); i != nil {
			name = i.Name()
		}
	case PlaceInternetHost:
		if h := m.InternetHosts.Get(InternetHostID(p.ID)); h != nil {
			name = h.HostName
		}
	case PlaceSubnet:
		if s := m.Subnets.Get(SubnetID(p.ID)); s != nil {
			if name = s.Name(); name == "" && s.DefaultForAz {
				name = "default-" + s.AvailabilityZone
			}
		}
	case PlaceNatGateway:
		if g := m.NatGateways.Get(NatGatewayID(p.ID)); g != nil {
			name = g.Name()
		}
	case PlaceInternet:
		name = PlaceInternet
	}
	return cmp.Or(name, p.ID)
}

// PlaceWord is a text by which FindPlace finds the place: its name, if that is enough.
func (m *Model) PlaceWord(p Place) string {
	name := m.PlaceName(p)
	if found, err := m.FindPlace(name); err == nil && found == p {
		return name
	}
	return cmp.Or(p.ID, p.Type)
}

// dropPlace deletes what is said about a place that goes.
func (tx *Tx) dropPlace(p Place) {
	for id, i := range tx.Impairments.All() {
		if i.Place == p || i.To == p {
			tx.Impairments.Delete(id)
		}
	}
	for id, f := range tx.Failures.All() {
		if f.Place == p || f.To == p {
			tx.Failures.Delete(id)
		}
	}
}
