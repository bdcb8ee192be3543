package vpc

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// noDhcpOptions is what a VPC has, and AssociateDhcpOptions takes, for no option
// set at all (DH-02).
const noDhcpOptions DhcpOptionsID = "default"

// amazonDNS is the value of domain-name-servers that means the VPC's resolver.
const amazonDNS = "AmazonProvidedDNS"

type NewDhcpConfiguration struct {
	Key    string
	Values []string
}

// CreateDhcpOptionsInput and the other inputs and outputs below have the members of the EC2 API.
type CreateDhcpOptionsInput struct {
	DhcpConfigurations []NewDhcpConfiguration
	TagSpecifications  []TagSpecification
	DryRun             bool
}

type CreateDhcpOptionsOutput struct {
	DhcpOptions DhcpOptionsInfo `json:"DhcpOptions"`
}

// DhcpOptionsInfo is an option set as the API answers it.
type DhcpOptionsInfo struct {
	OwnerId            string              `json:"OwnerId"`
	Tags               []Tag               `json:"Tags"`
	DhcpOptionsId      DhcpOptionsID       `json:"DhcpOptionsId"`
	DhcpConfigurations []DhcpConfiguration `json:"DhcpConfigurations"`
}

type DhcpConfiguration struct {
	Key    string           `json:"Key"`
	Values []AttributeValue `json:"Values"`
}

// configurations are the options that are set, in AWS's order, which Ansible compares with its own.
func (d *DhcpOptions) configurations() []NewDhcpConfiguration {
	number := func(n int) []string {
		if n == 0 {
			return nil
		}
		return intText(n)
	}
	var name []string
	if d.DomainName != "" {
		name = one(d.DomainName)
	}
	all := []NewDhcpConfiguration{
		{"domain-name", name},
		{"domain-name-servers", d.DomainNameServers},
		{"ntp-servers", d.NtpServers},
		{"netbios-name-servers", d.NetbiosNameServers},
		{"netbios-node-type", number(d.NetbiosNodeType)},
		{"ipv6-address-preferred-lease-time", number(d.Ipv6PreferredLeaseTime)},
	}
	return slices.DeleteFunc(all, func(c NewDhcpConfiguration) bool { return len(c.Values) == 0 })
}

func (d *DhcpOptions) info() DhcpOptionsInfo {
	i := DhcpOptionsInfo{d.Account, tagList(d.Tags), d.ID, []DhcpConfiguration{}}
	for _, c := range d.configurations() {
		values := make([]AttributeValue, len(c.Values))
		for n, v := range c.Values {
			values[n] = AttributeValue{v}
		}
		i.DhcpConfigurations = append(i.DhcpConfigurations, DhcpConfiguration{c.Key, values})
	}
	return i
}

// CreateDhcpOptions makes an option set; it cannot be changed later (DH-01, DH-02).
func (tx *Tx) CreateDhcpOptions(in *CreateDhcpOptionsInput) (*CreateDhcpOptionsOutput, error) {
	if len(in.DhcpConfigurations) == 0 {
		return nil, errMissing("dhcpConfigurations")
	}
	d := &DhcpOptions{}
	seen := map[string]bool{}
	for _, c := range in.DhcpConfigurations {
		if seen[c.Key] {
			return nil, errInvalid("The DHCP option %s is given twice.", c.Key)
		}
		seen[c.Key] = true
		// A list may also come as one value with commas, as the User Guide writes it.
		var values []string
		for _, v := range c.Values {
			for part := range strings.SplitSeq(v, ",") {
				if part = strings.TrimSpace(part); part != "" {
					values = append(values, part)
				}
			}
		}
		if len(values) == 0 {
			return nil, errInvalid("The DHCP option %s has no value.", c.Key)
		}
		if err := d.set(c.Key, values); err != nil {
			return nil, err
		}
	}
	meta, err := tx.newMeta("dhcp-options", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	d.Meta, d.ID = meta, newID[DhcpOptionsID](tx)
	tx.DhcpOptions.Put(d.ID, d)
	return &CreateDhcpOptionsOutput{d.info()}, nil
}

func (d *DhcpOptions) set(key string, values []string) (err error) {
	switch key {
	case "domain-name":
		d.DomainName, err = domainName(values)
	case "domain-name-servers":
		d.DomainNameServers = values
		err = addresses(key, values, 4, true, amazonDNS)
	case "ntp-servers":
		d.NtpServers = values
		err = addresses(key, values, 8, true, "")
	case "netbios-name-servers":
		d.NetbiosNameServers = values
		err = addresses(key, values, 4, false, "")
	case "netbios-node-type":
		d.NetbiosNodeType, err = strconv.Atoi(values[0])
		if err != nil || len(values) != 1 || !slices.Contains([]int{1, 2, 4, 8}, d.NetbiosNodeType) {
			err = errOption(key, values, "It must be 1, 2, 4 or 8.")
		}
	case "ipv6-address-preferred-lease-time":
		d.Ipv6PreferredLeaseTime, err = strconv.Atoi(values[0])
		if err != nil || len(values) != 1 || d.Ipv6PreferredLeaseTime < 140 || d.Ipv6PreferredLeaseTime > 2147483647 {
			err = errOption(key, values, "It must be between 140 and 2147483647 seconds.")
		}
	default:
		err = errInvalid("Unknown DHCP option: %s", key)
	}
	return err
}

func errOption(key string, values []string, why string) error {
	return errValue(strings.Join(values, ","), key, why)
}

var domainSyntax = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)

// domainName reads one name, or several separated by blanks, which some Linux
// systems take as a search list (User Guide, DHCP option sets).
func domainName(values []string) (string, error) {
	s := strings.Join(values, " ")
	for name := range strings.FieldsSeq(s) {
		if len(name) > 253 || !domainSyntax.MatchString(name) {
			return "", errOption("domain-name", values, "It is not a domain name.")
		}
	}
	return s, nil
}

// addresses checks a list of addresses: at most limit, of IPv4, and of IPv6
// where six is set; word is also allowed.
func addresses(key string, values []string, limit int, six bool, word string) error {
	if len(values) > limit {
		return errOption(key, values, "At most "+strconv.Itoa(limit)+" values are allowed.")
	}
	for _, v := range values {
		a, err := netip.ParseAddr(v)
		if v == word && word != "" || err == nil && a.Zone() == "" && (six || a.Is4()) {
			continue
		}
		return errOption(key, values, "It is not a list of addresses.")
	}
	return nil
}

// DefaultDhcpOptions is the ID of the account's default set in a Region (DH-03), which is made anew if it was deleted.
func (tx *Tx) DefaultDhcpOptions(region string) DhcpOptionsID {
	defer func(was string) { tx.Region = was }(tx.Region)
	tx.Region = region
	tx.look(region)
	defer tx.look("")
	return tx.defaultDhcpOptions()
}

// defaultDhcpOptions is that of the call's Region.
func (tx *Tx) defaultDhcpOptions() DhcpOptionsID {
	s := tx.settings()
	if tx.DhcpOptions.Get(s.DefaultDhcpOptionsID) != nil {
		return s.DefaultDhcpOptionsID
	}
	d := &DhcpOptions{
		Meta: Meta{Account: tx.Account, Region: tx.Region, Created: tx.Call.Now}, ID: newID[DhcpOptionsID](tx),
		DomainName: PrivateDnsDomain(tx.Region), DomainNameServers: []string{amazonDNS},
	}
	tx.DhcpOptions.Put(d.ID, d)
	s.DefaultDhcpOptionsID = d.ID
	tx.setSettings(s)
	return d.ID
}

type DeleteDhcpOptionsInput struct {
	DhcpOptionsId DhcpOptionsID
	DryRun        bool
}

type DeleteDhcpOptionsOutput struct{}

// DeleteDhcpOptions deletes a set that no VPC uses (DH-02).
func (tx *Tx) DeleteDhcpOptions(in *DeleteDhcpOptionsInput) (*DeleteDhcpOptionsOutput, error) {
	d, err := find(&tx.DhcpOptions, in.DhcpOptionsId)
	if err != nil {
		return nil, err
	}
	for _, v := range tx.Vpcs.All() {
		if v.DhcpOptionsID == d.ID {
			return nil, errDependency("dhcpOptions", d.ID)
		}
	}
	tx.DhcpOptions.Delete(d.ID)
	return &DeleteDhcpOptionsOutput{}, nil
}

type AssociateDhcpOptionsInput struct {
	DhcpOptionsId DhcpOptionsID
	VpcId         VpcID
	DryRun        bool
}

type AssociateDhcpOptionsOutput struct{}

// AssociateDhcpOptions gives a VPC another set, or none with the ID "default".
// Instances learn of it when they renew their leases (DH-04).
func (tx *Tx) AssociateDhcpOptions(in *AssociateDhcpOptionsInput) (*AssociateDhcpOptionsOutput, error) {
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	if in.DhcpOptionsId != noDhcpOptions {
		if _, err := find(&tx.DhcpOptions, in.DhcpOptionsId); err != nil {
			return nil, err
		}
	}
	c := *v
	c.DhcpOptionsID = in.DhcpOptionsId
	tx.Vpcs.Put(c.ID, &c)
	return &AssociateDhcpOptionsOutput{}, nil
}

type DescribeDhcpOptionsInput struct {
	DhcpOptionsIds []DhcpOptionsID
	Filters        []Filter
	MaxResults     *int
	NextToken      string
	DryRun         bool
}

type DescribeDhcpOptionsOutput struct {
	DhcpOptions []DhcpOptionsInfo `json:"DhcpOptions"`
	NextToken   string            `json:"NextToken,omitempty"`
}

var dhcpOptionsFilters = filterSet[DhcpOptions]{
	"dhcp-options-id": func(_ *Model, d *DhcpOptions) []string { return one(d.ID) },
	"key": func(_ *Model, d *DhcpOptions) []string {
		return each(d.configurations(), func(c *NewDhcpConfiguration) string { return c.Key })
	},
	"value": func(_ *Model, d *DhcpOptions) []string {
		var all []string
		for _, c := range d.configurations() {
			all = append(all, c.Values...)
		}
		return all
	},
}

// DescribeDhcpOptions lists option sets. Of one that does not exist it tells with a code of
// its own, InvalidDhcpOptionID.NotFound, and clients tell the two apart.
func (tx *Tx) DescribeDhcpOptions(in *DescribeDhcpOptionsInput) (*DescribeDhcpOptionsOutput, error) {
	found, next, err := describe(tx, &tx.DhcpOptions, in.DhcpOptionsIds, dhcpOptionsFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if errorCode(err) == kindOf[DhcpOptionsID]().notFound {
		return nil, errorf("InvalidDhcpOptionID.NotFound", "%s", err.(*Error).Message)
	}
	if err != nil {
		return nil, err
	}
	return &DescribeDhcpOptionsOutput{views(found, (*DhcpOptions).info), next}, nil
}
