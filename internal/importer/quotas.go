package importer

import (
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// quotas raises those that the account has outgrown, with some room to add.
func (c *converter) quotas() {
	m, err := vpc.New("import", "123456789012", c.region, nil, vpc.Call{NewID: vpc.RandomID}, false)
	if err != nil {
		return // settleZones has chosen a Region that there is
	}
	need := c.needs()
	raised := map[string]int{}
	for name, n := range need {
		if n > m.Quota(name) {
			raised[name] = n
			if name != vpc.QuotaGroupsPerEni && name != vpc.QuotaNatElasticIps {
				raised[name] = (n + 9) / 10 * 10
			}
		}
	}
	if len(raised) > 0 {
		c.file.Quotas = set(raised)
	}
}

// needs are the quotas that the file uses up.
func (c *converter) needs() map[string]int {
	f := c.file
	need := map[string]int{vpc.QuotaVpcs: len(f.Vpcs.List), vpc.QuotaInternetGateways: len(f.InternetGateways.List), vpc.QuotaElasticIps: len(f.ElasticIps.List),
		vpc.QuotaSecurityGroups:    len(f.SecurityGroups.List) + len(f.Vpcs.List) + 1,
		vpc.QuotaNetworkInterfaces: len(f.NetworkInterfaces.List) + len(f.Instances.List) + len(f.NatGateways.List)}
	if !f.DefaultVpc.Set {
		need[vpc.QuotaVpcs]++
		need[vpc.QuotaInternetGateways]++
	}
	most := func(name string, n int) { need[name] = max(need[name], n) }
	each := map[string]int{}
	count := func(name, of string) {
		each[name+"/"+of]++
		most(name, each[name+"/"+of])
	}
	for _, v := range f.Vpcs.List {
		most(vpc.QuotaCidrs, 1+len(v.SecondaryCidrBlocks.V))
		most(vpc.QuotaRoutes, 1+len(v.SecondaryCidrBlocks.V)+len(v.MainRouteTable.V.Routes.V))
		c.ruleNeeds(most, v.DefaultSecurityGroup.V.Ingress, v.DefaultSecurityGroup.V.Egress)
		most(vpc.QuotaNetworkAclRules, max(len(v.DefaultNetworkAcl.V.Ingress.V), len(v.DefaultNetworkAcl.V.Egress.V)))
		count(vpc.QuotaRouteTables, v.Name)
		count(vpc.QuotaNetworkAcls, v.Name)
	}
	zones := map[string]string{}
	for _, s := range f.Subnets.List {
		zones[s.Name] = s.AvailabilityZone.V
		count(vpc.QuotaSubnets, s.Vpc.V)
	}
	for _, n := range f.NatGateways.List {
		count(vpc.QuotaNatGateways, zones[n.Subnet.V])
		if !n.ConnectivityType.Set {
			most(vpc.QuotaNatElasticIps, 1+len(n.SecondaryElasticIps.V))
		}
	}
	for _, t := range f.RouteTables.List {
		count(vpc.QuotaRouteTables, t.Vpc.V)
		most(vpc.QuotaRoutes, len(t.Routes.V)+5)
	}
	for _, a := range f.NetworkAcls.List {
		count(vpc.QuotaNetworkAcls, a.Vpc.V)
		most(vpc.QuotaNetworkAclRules, max(len(a.Ingress.V), len(a.Egress.V)))
	}
	for _, g := range f.SecurityGroups.List {
		c.ruleNeeds(most, g.Ingress, g.Egress)
	}
	for _, i := range f.Instances.List {
		most(vpc.QuotaGroupsPerEni, len(i.SecurityGroups.V))
	}
	for _, n := range f.NetworkInterfaces.List {
		most(vpc.QuotaGroupsPerEni, len(n.SecurityGroups.V))
	}
	return need
}

func (c *converter) ruleNeeds(most func(string, int), directions ...topology.List[topology.GroupRule]) {
	for _, rules := range directions {
		n := 0
		for _, r := range rules.V {
			n += len(r.V.CidrBlocks.V) + len(r.V.SecurityGroups.V)
			if r.V.Self.V {
				n++
			}
		}
		most(vpc.QuotaGroupRules, n)
	}
}
