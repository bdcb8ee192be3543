package topology

import (
	"slices"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// subnetNames sets what instances that are launched in a subnet are called.
func (c *converger) subnetNames(o *Subnet, is *vpc.Subnet) {
	was := is.PrivateDnsHostnameType
	if was == "" {
		was = "ip-name"
	}
	if want := o.PrivateDnsHostnameTypeOnLaunch.V; was != want {
		call[vpc.ModifySubnetAttributeOutput](c, &vpc.ModifySubnetAttributeInput{SubnetId: is.ID, PrivateDnsHostnameTypeOnLaunch: want})
		c.did("private_dns_hostname_type_on_launch")
	}
	if want := o.EnableResourceNameDnsARecordOnLaunch.V; is.EnableResourceNameDnsARecord != want {
		call[vpc.ModifySubnetAttributeOutput](c, &vpc.ModifySubnetAttributeInput{SubnetId: is.ID, EnableResourceNameDnsARecordOnLaunch: boolean(want)})
		c.did("enable_resource_name_dns_a_record_on_launch")
	}
}

// privateNames is the block as a launch takes it.
func privateNames(o *Instance) *vpc.PrivateDnsNameOptionsRequest {
	n := o.PrivateDnsNameOptions.V
	r := &vpc.PrivateDnsNameOptionsRequest{HostnameType: n.HostnameType.V}
	if n.EnableResourceNameDnsARecord.Set {
		r.EnableResourceNameDnsARecord = &n.EnableResourceNameDnsARecord.V
	}
	return r
}

// resourceNames sets whether the DNS answers for the instance's ID.
func (c *converger) resourceNames(o *Instance, is *vpc.Instance) {
	want := o.PrivateDnsNameOptions.V.EnableResourceNameDnsARecord
	if !want.Set || want.V == is.EnableResourceNameDnsARecord {
		return
	}
	c.line = want.Line
	call[vpc.ModifyPrivateDnsNameOptionsOutput](c, &vpc.ModifyPrivateDnsNameOptionsInput{InstanceId: is.ID, EnableResourceNameDnsARecord: &want.V})
	c.did("private_dns_name_options: enable_resource_name_dns_a_record")
}

// renamed is the change of the instance's name that the file wants, nil for none. The
// instance has to be stopped for it.
func (c *converger) renamed(o *Instance, is *vpc.Instance) *vpc.ModifyPrivateDnsNameOptionsInput {
	want := o.PrivateDnsNameOptions.V.HostnameType
	if !want.Set || want.V == is.HostnameType() {
		return nil
	}
	c.line = want.Line
	c.did("private_dns_name_options: hostname_type %s", want.V)
	return &vpc.ModifyPrivateDnsNameOptionsInput{InstanceId: is.ID, PrivateDnsHostnameType: want.V}
}

// hostNames gives an Internet host its names in the DNS.
func (c *converger) hostNames(o *InternetHost, is *vpc.InternetHost) {
	want := values(o.DnsNames)
	if slices.Equal(is.DnsNames, want) {
		return
	}
	c.line = max(o.DnsNames.Line, o.Line)
	call[vpc.ModifyInternetHostOutput](c, &vpc.ModifyInternetHostInput{InternetHostId: is.ID, DnsNames: want})
	if !slices.Equal(is.DnsNames, c.tx.InternetHosts.Get(is.ID).DnsNames) { // not another spelling of the same
		c.did("dns_names")
	}
}

// dnsNames are the names of Internet hosts in the DNS.
func (c *checker) dnsNames() {
	for _, h := range c.f.InternetHosts.List {
		for _, n := range h.DnsNames.V {
			if reason := vpc.DnsNameProblem(n.V); reason != "" {
				c.add(n.Line, h.String(), "dns_names: %s: %s", shorten(n.V), reason)
			}
		}
	}
}
