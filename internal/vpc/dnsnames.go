package vpc

import (
	"slices"
	"strings"
)

// PrivateDnsNameOptionsRequest says after what a launched instance is named, and
// whether its resource name answers (DNS-05). What is not given is as the subnet says.
type PrivateDnsNameOptionsRequest struct {
	HostnameType                    string // ip-name, resource-name
	EnableResourceNameDnsARecord    *bool
	EnableResourceNameDnsAAAARecord *bool
}

type ModifyPrivateDnsNameOptionsInput struct {
	InstanceId                      InstanceID
	PrivateDnsHostnameType          string
	EnableResourceNameDnsARecord    *bool
	EnableResourceNameDnsAAAARecord *bool
	DryRun                          bool
}

type ModifyPrivateDnsNameOptionsOutput struct {
	Return bool `json:"Return"`
}

// ModifyPrivateDnsNameOptions changes an instance's private name, which needs it
// stopped, and whether its resource name answers, which does not (DNS-05).
func (tx *Tx) ModifyPrivateDnsNameOptions(in *ModifyPrivateDnsNameOptionsInput) (*ModifyPrivateDnsNameOptionsOutput, error) {
	i, err := tx.liveInstance(in.InstanceId)
	if err != nil {
		return nil, err
	}
	r := PrivateDnsNameOptionsRequest{in.PrivateDnsHostnameType, in.EnableResourceNameDnsARecord, in.EnableResourceNameDnsAAAARecord}
	if err := r.check(); err != nil {
		return nil, err
	}
	c := *i
	if r.EnableResourceNameDnsARecord != nil {
		c.EnableResourceNameDnsARecord = *r.EnableResourceNameDnsARecord
	}
	if t := r.HostnameType; t != "" && t != i.HostnameType() {
		if i.State != StateStopped {
			return nil, errInvalid("Cannot modify hostname-type for running instances")
		}
		c.PrivateDnsName = privateName(i.ID, tx.InstanceInterfaces(i.ID)[0], t)
	}
	tx.Instances.Put(c.ID, &c)
	return &ModifyPrivateDnsNameOptionsOutput{true}, nil
}

func (r *PrivateDnsNameOptionsRequest) check() error {
	if !slices.Contains([]string{"", ipName, resourceName}, r.HostnameType) {
		return errValue(r.HostnameType, "privateDnsHostnameType", "It must be ip-name or resource-name.")
	}
	if r.EnableResourceNameDnsAAAARecord != nil && *r.EnableResourceNameDnsAAAARecord {
		return errorf("InvalidParameterCombination", "EnableResourceNameDnsAAAARecord needs a subnet with an IPv6 CIDR block, and a lab has none yet.")
	}
	return nil
}

const (
	ipName       = "ip-name"
	resourceName = "resource-name"
)

// nameFor gives a launched instance its private name: as the launch says, else as
// the subnet does.
func (tx *Tx) nameFor(i *Instance, primary *NetworkInterface, r *PrivateDnsNameOptionsRequest) {
	hostname := ipName
	if s := tx.Subnets.Get(i.SubnetID); s != nil {
		hostname, i.EnableResourceNameDnsARecord = s.hostnameType(), s.EnableResourceNameDnsARecord
	}
	if r != nil && r.HostnameType != "" {
		hostname = r.HostnameType
	}
	if r != nil && r.EnableResourceNameDnsARecord != nil {
		i.EnableResourceNameDnsARecord = *r.EnableResourceNameDnsARecord
	}
	i.PrivateDnsName = privateName(i.ID, primary, hostname)
}

// HostnameType is what an instance is named after: ip-name or resource-name.
func (i *Instance) HostnameType() string {
	if strings.HasPrefix(i.PrivateDnsName, string(i.ID)+".") {
		return resourceName
	}
	return ipName
}

// privateName is an instance's private DNS name, after its address or its ID (DNS-05).
func privateName(id InstanceID, primary *NetworkInterface, hostnameType string) string {
	if hostnameType == resourceName {
		return string(id) + "." + PrivateDnsDomain(primary.Region)
	}
	return PrivateDnsName(primary.Region, primary.Primary())
}

// dnsNames checks names for the public DNS and writes them in lower case, without a final dot.
func dnsNames(names []string) (list []string, err error) {
	for _, n := range names {
		if reason := DnsNameProblem(n); reason != "" {
			return nil, errValue(n, "dnsNames", reason)
		}
		if n = strings.ToLower(strings.TrimSuffix(n, ".")); !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list, nil
}

// notForHosts are domains in which the resolvers answer for themselves.
var notForHosts = []string{"localhost", "ec2.internal", "compute.internal", "in-addr.arpa", "ip6.arpa"}

// DnsNameProblem tells why a host on the Internet cannot have a name in the DNS, ""
// if it can. A name is one as in RFC 1123, and underscores are taken too.
func DnsNameProblem(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || !validHostName(strings.ReplaceAll(name, "_", "x")) {
		return "It is no DNS name: labels of letters, digits, hyphens and underscores, with dots between them."
	}
	for _, d := range notForHosts {
		if name == d || strings.HasSuffix(name, "."+d) {
			return "Names in " + d + " are the resolver's own."
		}
	}
	label, domain, _ := strings.Cut(name, ".")
	if strings.HasPrefix(label, "ec2-") && (domain == "compute-1.amazonaws.com" || strings.HasSuffix(domain, ".compute.amazonaws.com") || strings.HasSuffix(domain, ".compute.amazonaws.com.cn")) {
		return "It is a name of an Amazon instance."
	}
	return ""
}
