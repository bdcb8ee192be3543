package vpc

import (
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

// regions of the commercial partition (EC2 User Guide, Regions and Zones).
// Letters are those that new accounts see.
var regions = []region{
	{"af-south-1", "afs1", "abc", true},
	{"ap-east-1", "ape1", "abc", true},
	{"ap-northeast-1", "apne1", "acd", false},
	{"ap-northeast-2", "apne2", "abcd", false},
	{"ap-northeast-3", "apne3", "abc", false},
	{"ap-south-1", "aps1", "abc", false},
	{"ap-south-2", "aps2", "abc", true},
	{"ap-southeast-1", "apse1", "abc", false},
	{"ap-southeast-2", "apse2", "abc", false},
	{"ap-southeast-3", "apse3", "abc", true},
	{"ap-southeast-4", "apse4", "abc", true},
	{"ca-central-1", "cac1", "abd", false},
	{"ca-west-1", "caw1", "abc", true},
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
	{"sa-east-1", "sae1", "abc", false},
	{"us-east-1", "use1", "abcdef", false},
	{"us-east-2", "use2", "abc", false},
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

func (r region) endpoint() string { return "ec2." + r.name + ".amazonaws.com" }

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

// ZoneID is the ID of an availability zone (apne1-az1), "" for one that the
// Region lacks.
func (m *Model) ZoneID(zone string) string {
	r, _ := findRegion(m.Region)
	i := slices.Index(m.Zones, zone)
	if i < 0 || r.code == "" {
		return ""
	}
	return r.code + "-az" + strconv.Itoa(i+1)
}

// zoneFor is the zone that a request names by name or ID, or the first of the
// Region if it names none.
func (m *Model) zoneFor(name, id string) (string, error) {
	switch {
	case name != "" && id != "":
		return "", errorf("InvalidParameterCombination", "The parameters availabilityZone and availabilityZoneId cannot be used together")
	case name != "":
		if slices.Contains(m.Zones, name) {
			return name, nil
		}
		return "", errValue(name, "availabilityZone", "Subnets can currently only be created in the following availability zones: "+strings.Join(m.Zones, ", ")+".")
	case id != "":
		for _, z := range m.Zones {
			if m.ZoneID(z) == id {
				return z, nil
			}
		}
		return "", errValue(id, "availabilityZoneId", "")
	}
	if len(m.Zones) == 0 {
		return "", errInvalid("The Region %s has no availability zones.", m.Region)
	}
	return m.Zones[0], nil
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

// DescribeRegions lists AWS's Regions; the lab itself is in one of them.
func (tx *Tx) DescribeRegions(in *DescribeRegionsInput) (*DescribeRegionsOutput, error) {
	if err := regionFilters.check(in.Filters); err != nil {
		return nil, err
	}
	for _, name := range in.RegionNames {
		if _, ok := findRegion(name); !ok {
			return nil, errInvalid("Invalid region names: [%s]", name)
		}
	}
	out := &DescribeRegionsOutput{Regions: []RegionInfo{}}
	for i := range regions {
		r := &regions[i]
		if len(in.RegionNames) > 0 && !slices.Contains(in.RegionNames, r.name) || !regionFilters.match(&tx.Model, in.Filters, r) {
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

// DescribeAvailabilityZones lists the zones of the lab's Region.
func (tx *Tx) DescribeAvailabilityZones(in *DescribeAvailabilityZonesInput) (*DescribeAvailabilityZonesOutput, error) {
	if err := zoneFilters.check(in.Filters); err != nil {
		return nil, err
	}
	for _, name := range in.ZoneNames {
		if !slices.Contains(tx.Zones, name) {
			return nil, errInvalid("Invalid availability zone: [%s]", name)
		}
	}
	for _, id := range in.ZoneIds {
		if _, err := tx.zoneFor("", id); err != nil {
			return nil, errInvalid("Invalid availability zone-id: [%s]", id)
		}
	}
	out := &DescribeAvailabilityZonesOutput{AvailabilityZones: []AvailabilityZone{}}
	for _, name := range tx.Zones {
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
