package vpc

import (
	"fmt"
	"net/netip"
	"slices"
)

// DefaultPools are the documentation prefixes that public addresses are drawn
// from unless a lab says otherwise (RFC 5737).
var DefaultPools = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.0/24")}

// New returns the cloud of a fresh account in one Region: the account's default
// DHCP options (DH-03) and, if asked for, the default VPC (DV-01). The account
// is twelve digits; pools are IPv4 and do not overlap; nil means DefaultPools.
func New(lab, account, regionName string, pools []netip.Prefix, call Call, withDefaultVpc bool) (Model, error) {
	if lab == "" {
		return Model{}, fmt.Errorf("lab: the name is empty")
	}
	if len(account) != 12 || !allDigits(account) {
		return Model{}, fmt.Errorf("lab %s: account %q is not twelve digits", lab, account)
	}
	r, ok := findRegion(regionName)
	if !ok {
		return Model{}, fmt.Errorf("lab %s: region %q is none of AWS's", lab, regionName)
	}
	if pools == nil {
		pools = DefaultPools
	}
	for i, p := range pools {
		if !p.IsValid() || !p.Addr().Is4() || p != p.Masked() {
			return Model{}, fmt.Errorf("lab %s: public pool %s is no IPv4 block", lab, p)
		}
		for _, q := range pools[:i] {
			if p.Overlaps(q) {
				return Model{}, fmt.Errorf("lab %s: public pools %s and %s overlap", lab, q, p)
			}
		}
	}
	m := Model{Lab: lab, Account: account, Region: regionName, Zones: r.zones(), PublicPools: slices.Clone(pools), NextHandle: 1, DefaultVpcs: withDefaultVpc}
	call.Region = ""
	tx := Begin(&m, call)
	tx.defaultDhcpOptions()
	if withDefaultVpc {
		if _, err := tx.CreateDefaultVpc(&CreateDefaultVpcInput{}); err != nil {
			return Model{}, fmt.Errorf("lab %s: default VPC: %w", lab, err)
		}
	}
	return tx.Model, nil
}

func allDigits(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(c byte) bool { return c < '0' || c > '9' })
}
