package daemon

import (
	"github.com/vpcemu/vpcemu/internal/dns"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// zone lists the private names of a VPC's network interfaces (DNS-05). With
// enableDnsHostnames off, names that Amazon provides do not resolve (DNS-07).
func zone(m *vpc.Model, id vpc.VpcID) *dns.Zone {
	z := dns.NewZone()
	v := m.Vpcs.Get(id)
	if v == nil || !v.EnableDnsSupport || !v.EnableDnsHostnames {
		return z
	}
	for _, e := range m.NetworkInterfaces.All() {
		if e.VpcID != id {
			continue
		}
		for _, p := range e.PrivateIps {
			z.Add(dns.PrivateName(p.PrivateIp, m.Region), p.PrivateIp)
		}
	}
	return z
}
