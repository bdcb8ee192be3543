package vpc

// Quotas of an account and Region (semantics, section 20). A lab raises one by
// Model.Quotas.
const (
	QuotaVpcs              = "vpcs-per-region"
	QuotaSubnets           = "subnets-per-vpc"
	QuotaCidrs             = "cidrs-per-vpc"
	QuotaInternetGateways  = "internet-gateways-per-region"
	QuotaNatGateways       = "nat-gateways-per-zone"
	QuotaElasticIps        = "elastic-ips-per-region"
	QuotaNatElasticIps     = "elastic-ips-per-nat-gateway"
	QuotaRouteTables       = "route-tables-per-vpc"
	QuotaRoutes            = "routes-per-table"
	QuotaNetworkAcls       = "network-acls-per-vpc"
	QuotaNetworkAclRules   = "rules-per-network-acl" // in one direction
	QuotaSecurityGroups    = "security-groups-per-region"
	QuotaGroupRules        = "rules-per-security-group" // in one direction
	QuotaGroupsPerEni      = "security-groups-per-interface"
	QuotaNetworkInterfaces = "network-interfaces-per-region"
)

var defaultQuotas = map[string]int{
	QuotaVpcs:              5,
	QuotaSubnets:           200,
	QuotaCidrs:             5,
	QuotaInternetGateways:  5,
	QuotaNatGateways:       5,
	QuotaElasticIps:        5,
	QuotaNatElasticIps:     2,
	QuotaRouteTables:       200,
	QuotaRoutes:            500,
	QuotaNetworkAcls:       200,
	QuotaNetworkAclRules:   20,
	QuotaSecurityGroups:    2500,
	QuotaGroupRules:        60,
	QuotaGroupsPerEni:      5,
	QuotaNetworkInterfaces: 5000,
}

// Quota is the limit in force for one of the Quota names.
func (m *Model) Quota(name string) int {
	if n, ok := m.Quotas[name]; ok {
		return n
	}
	return defaultQuotas[name]
}
