package vpc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// region is one of AWS's: its zones are its name and a letter, their IDs the
// code and "-az" with a number. Which letter has which ID differs between AWS
// accounts; here they run in order.
type region struct {
	name, code string
	letters    string
	optIn      bool
}

// regions of the partitions aws, aws-cn and aws-us-gov (EC2 User Guide, Regions and
// Zones). Letters are those that new accounts see. The sovereign and secret partitions
// are not known here.
var regions = []region{
	{"af-south-1", "afs1", "abc", true},
	{"ap-east-1", "ape1", "abc", true},
	{"ap-east-2", "ape2", "abc", true},
	{"ap-northeast-1", "apne1", "acd", false},
	{"ap-northeast-2", "apne2", "abcd", false},
	{"ap-northeast-3", "apne3", "abc", false},
	{"ap-south-1", "aps1", "abc", false},
	{"ap-south-2", "aps2", "abc", true},
	{"ap-southeast-1", "apse1", "abc", false},
	{"ap-southeast-2", "apse2", "abc", false},
	{"ap-southeast-3", "apse3", "abc", true},
	{"ap-southeast-4", "apse4", "abc", true},
	{"ap-southeast-5", "apse5", "abc", true},
	{"ap-southeast-6", "apse6", "abc", true},
	{"ap-southeast-7", "apse7", "abc", true},
	{"ca-central-1", "cac1", "abd", false},
	{"ca-west-1", "caw1", "abc", true},
	{"cn-north-1", "cnn1", "abd", false},
	{"cn-northwest-1", "cnnw1", "abc", false},
	{"eu-central-1", "euc1", "abc", false},
	{"eu-central-2", "euc2", "abc", true},
	{"eu-north-1", "eun1", "abc", false},
	{"eu-south-1", "eus1", "abc", true},
	{"eu-south-2", "eus2", "abc", true},
	{"eu-west-1", "euw1", "abc", false},
	{"eu-west-2", "euw2", "abc", false},
	{"eu-west-3", "euw3", "abc", false},
	{"il-central-1", "ilc1", "abc", true},
	{"me-central-1", "mec1", "abc", true},
	{"me-south-1", "mes1", "abc", true},
	{"mx-central-1", "mxc1", "abc", true},
	{"sa-east-1", "sae1", "abc", false},
	{"us-east-1", "use1", "abcdef", false},
	{"us-east-2", "use2", "abc", false},
	{"us-gov-east-1", "usge1", "abc", false},
	{"us-gov-west-1", "usgw1", "abc", false},
	{"us-west-1", "usw1", "ab", false},
	{"us-west-2", "usw2", "abcd", false},
}

func findRegion(name string) (region, bool) {
	i := slices.IndexFunc(regions, func(r region) bool { return r.name == name })
	if i < 0 {
		return region{}, false
	}
	return regions[i], true
}

func (r region) zones() []string {
	var list []string
	for _, c := range r.letters {
		list = append(list, r.name+string(c))
	}
	return list
}

func (r region) endpoint() string { return "ec2." + r.name + "." + DnsSuffix(r.name) }

// Partition is the partition of AWS that a Region is in: aws, aws-cn or aws-us-gov. ARNs
// begin with it.
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// DnsSuffix is the domain of a Region's endpoints and public names.
func DnsSuffix(region string) string {
	if Partition(region) == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

func (r region) optInStatus() string {
	if r.optIn {
		return "opted-in"
	}
	return "opt-in-not-required"
}

// RegionNames are the Regions that a lab can be in.
func RegionNames() []string {
	var list []string
	for _, r := range regions {
		list = append(list, r.name)
	}
	return list
}

// here is the Region that the model shows, of one that shows all the home Region.
func (m *Model) here() string { return cmp.Or(m.view, m.Region) }

// zones are the availability zones of the Region that the model shows.
func (m *Model) zones() []string { return m.ZonesOf(m.here()) }

// ZonesOf are the availability zones of a Region, none of one that AWS has not.
func (m *Model) ZonesOf(regionName string) []string {
	if regionName == m.Region {
		return m.Zones
	}
	r, _ := findRegion(regionName)
	return r.zones()
}

// In is a model that shows the objects of one Region, "" for the home Region, and what is
// in none: Internet hosts, impairments, failures. It is for reading, also while others
// read m once that is published.
func (m *Model) In(regionName string) Model {
	c := m.Clone()
	c.look(cmp.Or(regionName, m.Region))
	return c
}

// everywhere is the model with all Regions in view, for reading.
func (m *Model) everywhere() *Model {
	if m.view == "" {
		return m
	}
	c := *m
	c.look("")
	return &c
}

// OpenRegions are the Regions that have been used, the home Region first.
func (m *Model) OpenRegions() []string {
	list := []string{m.Region}
	for name := range m.Regions.All() {
		list = append(list, name)
	}
	return list
}

// RegionOpen tells whether a Region has been used; "" is the home Region.
func (m *Model) RegionOpen(name string) bool {
	return name == "" || name == m.Region || m.Regions.Get(name) != nil
}

// RegionOf is the Region of the object with an ID, "" for what is in none or not there.
func (m *Model) RegionOf(id string) (name string) {
	tx := &Tx{Model: *m, Region: m.here()} // only read
	for _, t := range tx.tagged() {
		if WellFormed(t.kind.prefix, id) {
			t.all(func(other string, o *Meta) {
				if other == id {
					name = o.Region
				}
			})
		}
	}
	return name
}

// settings are those of the Region that the model shows.
func (m *Model) settings() RegionSettings { return m.SettingsOf(m.here()) }

// SettingsOf are the settings of a Region, empty ones while it is not open.
func (m *Model) SettingsOf(regionName string) RegionSettings {
	if regionName == m.Region {
		return m.RegionSettings
	}
	if s := m.Regions.Get(regionName); s != nil {
		return *s
	}
	return RegionSettings{}
}

func (m *Model) setSettings(s RegionSettings) {
	if m.here() == m.Region {
		m.RegionSettings = s
	} else {
		m.Regions.Put(m.here(), &s)
	}
}

// OpenRegion readies a Region as a fresh account has it: with default DHCP options (DH-03)
// and, in a lab with default VPCs, the default VPC (DV-01). One that is open stays as it
// is. It is no EC2 action; Run opens the Region of its call.
func (tx *Tx) OpenRegion(name string) error {
	if tx.RegionOpen(name) {
		return nil
	}
	if tx.Model.Region == "" {
		return fmt.Errorf("region %s: the lab has no cloud yet: `vpcemu up` makes one", name)
	}
	if _, ok := findRegion(name); !ok {
		return errorf("AuthFailure", "Credential should be scoped to a valid Region, and %q is none.", name)
	}
	before, was := tx.Model.Clone(), tx.Region
	tx.Regions.Put(name, &RegionSettings{})
	tx.Region = name
	tx.look(name)
	err := tx.furnish()
	tx.look("")
	tx.Region = was
	if err != nil {
		tx.Model = before
		return fmt.Errorf("region %s: %w", name, err)
	}
	return nil
}

// furnish gives the Region at hand what a fresh account has.
func (tx *Tx) furnish() error {
	tx.defaultDhcpOptions()
	if !tx.DefaultVpcs {
		return nil
	}
	_, err := tx.CreateDefaultVpc(&CreateDefaultVpcInput{})
	return err
}

// ZoneID is the ID of an availability zone of any Region (apne1-az1), "" for one that
// AWS has not.
func (m *Model) ZoneID(zone string) string {
	r, ok := findRegion(zone[:max(0, len(zone)-1)])
	i := slices.Index(m.ZonesOf(r.name), zone)
	if !ok || i < 0 {
		return ""
	}
	return r.code + "-az" + strconv.Itoa(i+1)
}

// zoneFor is the zone that a request names by name or ID, or the first of the
// Region if it names none.
func (m *Model) zoneFor(name, id string) (string, error) {
	zones := m.zones()
	switch {
	case name != "" && id != "":
		return "", errorf("InvalidParameterCombination", "The parameters availabilityZone and availabilityZoneId cannot be used together")
	case name != "":
		if slices.Contains(zones, name) {
			return name, nil
		}
		return "", errValue(name, "availabilityZone", "Subnets can currently only be created in the following availability zones: "+strings.Join(zones, ", ")+".")
	case id != "":
		for _, z := range zones {
			if m.ZoneID(z) == id {
				return z, nil
			}
		}
		return "", errValue(id, "availabilityZoneId", "")
	}
	if len(zones) == 0 {
		return "", errInvalid("The Region %s has no availability zones.", m.here())
	}
	return zones[0], nil
}

// DescribeRegionsInput and the other types below have the members of the EC2 API.
type DescribeRegionsInput struct {
	RegionNames []string
	AllRegions  bool
	Filters     []Filter
	DryRun      bool
}

type DescribeRegionsOutput struct {
	Regions []RegionInfo `json:"Regions"`
}

type RegionInfo struct {
	OptInStatus string `json:"OptInStatus"`
	RegionName  string `json:"RegionName"`
	Endpoint    string `json:"Endpoint"`
}

var regionFilters = filterSet[region]{
	"endpoint":      func(_ *Model, r *region) []string { return one(r.endpoint()) },
	"opt-in-status": func(_ *Model, r *region) []string { return one(r.optInStatus()) },
	"region-name":   func(_ *Model, r *region) []string { return one(r.name) },
}

// DescribeRegions lists AWS's Regions, those of the partition that the call goes to. A lab
// can be in any of them, and in several.
func (tx *Tx) DescribeRegions(in *DescribeRegionsInput) (*DescribeRegionsOutput, error) {
	if err := regionFilters.check(in.Filters); err != nil {
		return nil, err
	}
	for _, name := range in.RegionNames {
		if _, ok := findRegion(name); !ok || Partition(name) != Partition(tx.Region) {
			return nil, errInvalid("Invalid region names: [%s]", name)
		}
	}
	out := &DescribeRegionsOutput{Regions: []RegionInfo{}}
	for i := range regions {
		r := &regions[i]
		if Partition(r.name) != Partition(tx.Region) || len(in.RegionNames) > 0 && !slices.Contains(in.RegionNames, r.name) || !regionFilters.match(&tx.Model, in.Filters, r) {
			continue
		}
		out.Regions = append(out.Regions, RegionInfo{r.optInStatus(), r.name, r.endpoint()})
	}
	return out, nil
}

type DescribeAvailabilityZonesInput struct {
	ZoneNames            []string
	ZoneIds              []string
	AllAvailabilityZones bool
	Filters              []Filter
	DryRun               bool
}

type DescribeAvailabilityZonesOutput struct {
	AvailabilityZones []AvailabilityZone `json:"AvailabilityZones"`
}

type AvailabilityZone struct {
	OptInStatus        string     `json:"OptInStatus"`
	Messages           []struct{} `json:"Messages"`
	RegionName         string     `json:"RegionName"`
	ZoneName           string     `json:"ZoneName"`
	ZoneId             string     `json:"ZoneId"`
	GroupName          string     `json:"GroupName"`
	NetworkBorderGroup string     `json:"NetworkBorderGroup"`
	ZoneType           string     `json:"ZoneType"`
	State              string     `json:"State"`
}

var zoneFilters = filterSet[AvailabilityZone]{
	"group-long-name":  func(_ *Model, z *AvailabilityZone) []string { return one(z.GroupName) },
	"group-name":       func(_ *Model, z *AvailabilityZone) []string { return one(z.GroupName) },
	"message":          func(*Model, *AvailabilityZone) []string { return nil },
	"opt-in-status":    func(_ *Model, z *AvailabilityZone) []string { return one(z.OptInStatus) },
	"parent-zone-id":   func(*Model, *AvailabilityZone) []string { return nil },
	"parent-zone-name": func(*Model, *AvailabilityZone) []string { return nil },
	"region-name":      func(_ *Model, z *AvailabilityZone) []string { return one(z.RegionName) },
	"state":            func(_ *Model, z *AvailabilityZone) []string { return one(z.State) },
	"zone-id":          func(_ *Model, z *AvailabilityZone) []string { return one(z.ZoneId) },
	"zone-name":        func(_ *Model, z *AvailabilityZone) []string { return one(z.ZoneName) },
	"zone-type":        func(_ *Model, z *AvailabilityZone) []string { return one(z.ZoneType) },
}

// DescribeAvailabilityZones lists the zones of the call's Region.
func (tx *Tx) DescribeAvailabilityZones(in *DescribeAvailabilityZonesInput) (*DescribeAvailabilityZonesOutput, error) {
	if err := zoneFilters.check(in.Filters); err != nil {
		return nil, err
	}
	for _, name := range in.ZoneNames {
		if !slices.Contains(tx.zones(), name) {
			return nil, errInvalid("Invalid availability zone: [%s]", name)
		}
	}
	for _, id := range in.ZoneIds {
		if _, err := tx.zoneFor("", id); err != nil {
			return nil, errInvalid("Invalid availability zone-id: [%s]", id)
		}
	}
	out := &DescribeAvailabilityZonesOutput{AvailabilityZones: []AvailabilityZone{}}
	for _, name := range tx.zones() {
		z := AvailabilityZone{
			OptInStatus: "opt-in-not-required", Messages: []struct{}{}, RegionName: tx.Region, ZoneName: name,
			ZoneId: tx.ZoneID(name), GroupName: tx.Region + "-zg-1", NetworkBorderGroup: tx.Region,
			ZoneType: "availability-zone", State: "available",
		}
		if len(in.ZoneNames) > 0 && !slices.Contains(in.ZoneNames, name) ||
			len(in.ZoneIds) > 0 && !slices.Contains(in.ZoneIds, z.ZoneId) || !zoneFilters.match(&tx.Model, in.Filters, &z) {
			continue
		}
		out.AvailabilityZones = append(out.AvailabilityZones, z)
	}
	return out, nil
}

type DescribeAccountAttributesInput struct {
	AttributeNames []string
	DryRun         bool
}

type DescribeAccountAttributesOutput struct {
	AccountAttributes []AccountAttribute `json:"AccountAttributes"`
}

type AccountAttribute struct {
	AttributeName   string                  `json:"AttributeName"`
	AttributeValues []AccountAttributeValue `json:"AttributeValues"`
}

type AccountAttributeValue struct {
	AttributeValue string `json:"AttributeValue"`
}

// DescribeAccountAttributes tells limits and the default VPC.
func (tx *Tx) DescribeAccountAttributes(in *DescribeAccountAttributesInput) (*DescribeAccountAttributesOutput, error) {
	defaultVpc := "none"
	if v := tx.DefaultVpc(); v != nil {
		defaultVpc = string(v.ID)
	}
	ips := strconv.Itoa(tx.Quota(QuotaElasticIps))
	all := [][2]string{
		{"supported-platforms", "VPC"},
		{"default-vpc", defaultVpc},
		{"max-instances", "20"},
		{"vpc-max-security-groups-per-interface", strconv.Itoa(tx.Quota(QuotaGroupsPerEni))},
		{"max-elastic-ips", ips},
		{"vpc-max-elastic-ips", ips},
	}
	for _, name := range in.AttributeNames {
		if !slices.ContainsFunc(all, func(a [2]string) bool { return a[0] == name }) {
			return nil, errInvalid("Invalid attribute name: %s", name)
		}
	}
	out := &DescribeAccountAttributesOutput{AccountAttributes: []AccountAttribute{}}
	for _, a := range all {
		if len(in.AttributeNames) == 0 || slices.Contains(in.AttributeNames, a[0]) {
			out.AccountAttributes = append(out.AccountAttributes, AccountAttribute{a[0], []AccountAttributeValue{{a[1]}}})
		}
	}
	return out, nil
}
