package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
)

// answers reads what the AWS CLI printed: the members tell which calls it was.
func (r *reader) answers(members map[string]json.RawMessage) error {
	token, more := members["NextToken"]
	more = more && string(token) != `""` && string(token) != "null"
	known := false
	for _, key := range slices.Sorted(maps.Keys(members)) {
		read, ok := readers[key]
		if !ok {
			continue
		}
		known, r.cli = true, true
		r.has[key] = true
		if of := key + " " + r.region; more {
			r.parts = append(r.parts, part{r.name, of})
		} else {
			r.last[of] = true
		}
		if err := read(r, members[key]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	switch {
	case r.attributes(members), known, r.entries(members):
	default:
		var keys []string
		for _, k := range slices.Sorted(maps.Keys(members)) {
			if _, ignored := unneeded[k]; k != "NextToken" && !ignored {
				keys = append(keys, k)
			}
		}
		if len(keys) > 0 {
			r.notes.add("file", r.name, "holds %s, which import does not read; the file was passed over", quoted(keys))
		}
	}
	return nil
}

func quoted(keys []string) string {
	text := ""
	for i, k := range keys {
		if i == 3 {
			return text + " and more"
		}
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q", printable(shorten(k)))
	}
	return text
}

func shorten(s string) string {
	if len(s) <= 60 {
		return s
	}
	return printable(s[:60]) + "…"
}

// readers are the answers' members that hold objects. It is filled by init as its functions lead back to it.
var readers map[string]func(*reader, json.RawMessage) error

// unneeded are members of answers that say nothing a topology file could hold; they are passed over without a word.
var unneeded = map[string]bool{"Images": true, "AvailabilityZones": true, "Regions": true, "AccountAttributes": true, "InstanceTypes": true,
	"InstanceStatuses": true, "InstanceTypeOfferings": true, "Account": true, "UserId": true, "Arn": true, "Tags": true, "SecurityGroupVpcAssociations": true,
	"StaleSecurityGroupSet": true, "SubnetIpv6CidrReservations": true, "VpcAttributes": true, "ResponseMetadata": true}

func init() {
	readers = map[string]func(*reader, json.RawMessage) error{
		"Vpcs":             objects(func(a *account) *[]*rawVpc { return &a.Vpcs }, func(o *rawVpc) (string, *origin) { return o.VpcId, &o.origin }),
		"Subnets":          objects(func(a *account) *[]*rawSubnet { return &a.Subnets }, func(o *rawSubnet) (string, *origin) { return o.SubnetId, &o.origin }),
		"RouteTables":      objects(func(a *account) *[]*rawRouteTable { return &a.RouteTables }, func(o *rawRouteTable) (string, *origin) { return o.RouteTableId, &o.origin }),
		"InternetGateways": objects(func(a *account) *[]*rawInternetGateway { return &a.InternetGateways }, func(o *rawInternetGateway) (string, *origin) { return o.InternetGatewayId, &o.origin }),
		"NatGateways":      objects(func(a *account) *[]*rawNatGateway { return &a.NatGateways }, func(o *rawNatGateway) (string, *origin) { return o.NatGatewayId, &o.origin }),
		"Addresses": objects(func(a *account) *[]*rawAddress { return &a.Addresses }, func(o *rawAddress) (string, *origin) {
			if o.AllocationId == "" { // of EC2-Classic
				return o.PublicIp, &o.origin
			}
			return o.AllocationId, &o.origin
		}),
		"SecurityGroups":     objects(func(a *account) *[]*rawSecurityGroup { return &a.SecurityGroups }, func(o *rawSecurityGroup) (string, *origin) { return o.GroupId, &o.origin }),
		"SecurityGroupRules": objects(func(a *account) *[]*rawGroupRule { return &a.GroupRules }, func(o *rawGroupRule) (string, *origin) { return o.SecurityGroupRuleId, &origin{} }),
		"NetworkAcls":        objects(func(a *account) *[]*rawNetworkAcl { return &a.NetworkAcls }, func(o *rawNetworkAcl) (string, *origin) { return o.NetworkAclId, &o.origin }),
		"NetworkInterfaces":  objects(func(a *account) *[]*rawInterface { return &a.NetworkInterfaces }, func(o *rawInterface) (string, *origin) { return o.NetworkInterfaceId, &o.origin }),
		"KeyPairs": objects(func(a *account) *[]*rawKeyPair { return &a.KeyPairs }, func(o *rawKeyPair) (string, *origin) {
			return o.KeyPairId + "/" + o.KeyName, &o.origin
		}),
		"DhcpOptions": objects(func(a *account) *[]*rawDhcpOptions { return &a.DhcpOptions }, func(o *rawDhcpOptions) (string, *origin) { return o.DhcpOptionsId, &o.origin }),
		"FlowLogs":    objects(func(a *account) *[]*rawFlowLog { return &a.FlowLogs }, func(o *rawFlowLog) (string, *origin) { return o.FlowLogId, &o.origin }),
		"SubnetIpv4CidrReservations": objects(func(a *account) *[]*rawCidrReservation { return &a.CidrReservations }, func(o *rawCidrReservation) (string, *origin) {
			return o.SubnetCidrReservationId, &o.origin
		}),
		"Reservations": (*reader).reservations,
		"PrefixLists":  (*reader).prefixListsOf,
	}
	for key, k := range notRead {
		readers[key] = k.read
	}
}

// objects reads a list of objects of one type. One that was read already, by another file, counts once.
func objects[T any](list func(*account) *[]*T, of func(*T) (string, *origin)) func(*reader, json.RawMessage) error {
	return func(r *reader, raw json.RawMessage) error {
		found, err := unmarshal[[]*T](r, raw)
		if err != nil {
			return err
		}
		to := list(r.account)
		have := map[string]bool{}
		for _, o := range *to {
			id, _ := of(o)
			have[id] = true
		}
		for _, o := range found {
			if o == nil {
				continue
			}
			id, at := of(o)
			if id == "" || id == "/" {
				r.notes.add("file", r.name, "has an object without an ID; it was passed over")
				continue
			}
			if !have[id] {
				*at = r.origin()
				*to = append(*to, o)
			}
			have[id] = true
		}
		return nil
	}
}

// unmarshal reads as much as fits: a member of another type than AWS's is noted and left out.
func unmarshal[T any](r *reader, raw json.RawMessage) (T, error) {
	var out T
	err := json.Unmarshal(raw, &out)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		if mismatch.Field == "" {
			return out, fmt.Errorf("it is %s, not what AWS has there", article(mismatch.Value))
		}
		r.notes.add("file", r.name, "has %s where AWS has something else (%s); it was passed over", article(mismatch.Value), printable(shorten(mismatch.Field)))
		return out, nil
	}
	return out, err
}

func article(what string) string {
	switch what {
	case "object", "array":
		return "an " + what
	}
	return "a " + what
}

func (r *reader) reservations(raw json.RawMessage) error {
	type reservation struct{ Instances []*rawInstance }
	found, err := unmarshal[[]reservation](r, raw)
	if err != nil {
		return err
	}
	for _, o := range found {
		for _, i := range o.Instances {
			if i != nil && i.InstanceId != "" && r.instance(i.InstanceId) == nil {
				i.origin = r.origin()
				i.NetworkInterfaces = slices.DeleteFunc(i.NetworkInterfaces, func(n *rawInterface) bool { return n == nil })
				r.Instances = append(r.Instances, i)
			}
		}
	}
	return nil
}

// prefixListsOf reads describe-managed-prefix-lists, which has no entries, and describe-prefix-lists, which has.
func (r *reader) prefixListsOf(raw json.RawMessage) error {
	found, err := unmarshal[[]struct {
		PrefixListId, PrefixListName string
		Cidrs                        []string
	}](r, raw)
	for _, p := range found {
		if p.PrefixListId == "" {
			continue
		}
		l := r.prefixList(p.PrefixListId)
		l.name = p.PrefixListName
		if len(p.Cidrs) > 0 {
			l.cidrs, l.known = p.Cidrs, true
		}
	}
	return err
}

func (a *account) prefixList(id string) *prefixList {
	if a.prefixLists[id] == nil {
		a.prefixLists[id] = &prefixList{id: id}
	}
	return a.prefixLists[id]
}

var prefixListID = regexp.MustCompile(`pl-[0-9a-f]{8,17}`)

// entries reads get-managed-prefix-list-entries. The answer does not say whose entries they are, so that the
// file has to be named after the list.
func (r *reader) entries(members map[string]json.RawMessage) bool {
	raw, ok := members["Entries"]
	if !ok {
		return false
	}
	id := prefixListID.FindString(filepath.Base(r.name))
	found, err := unmarshal[[]struct{ Cidr string }](r, raw)
	switch {
	case err != nil:
		return false
	case id == "":
		r.notes.add("file", r.name, "holds the entries of a prefix list, but not whose: call the file after its ID, such as pl-0123456789abcdef0.json")
		return true
	}
	l := r.prefixList(id)
	l.known = true
	for _, e := range found {
		l.cidrs = append(l.cidrs, e.Cidr)
	}
	return true
}

// attributes reads describe-vpc-attribute and describe-instance-attribute: one attribute of one object.
func (r *reader) attributes(members map[string]json.RawMessage) bool {
	text := func(key string) (s string) {
		_ = json.Unmarshal(members[key], &s) // another type is as good as none
		return s
	}
	flag := func(key string, to **bool) {
		var v struct{ Value *bool }
		if _, ok := members[key]; ok && json.Unmarshal(members[key], &v) == nil && v.Value != nil {
			*to = v.Value
		}
	}
	told := func(keys ...string) bool {
		return slices.ContainsFunc(keys, func(key string) bool { _, ok := members[key]; return ok })
	}
	if id := text("VpcId"); id != "" && told("EnableDnsHostnames", "EnableDnsSupport", "EnableNetworkAddressUsageMetrics") {
		v := r.vpcAttributes[id]
		flag("EnableDnsHostnames", &v.EnableDnsHostnames)
		flag("EnableDnsSupport", &v.EnableDnsSupport)
		r.vpcAttributes[id] = v
		return true
	}
	if id := text("InstanceId"); id != "" && !told("ImageId", "State") { // those are of a whole instance
		i := r.instanceAttributes[id]
		value := func(key string) string {
			var v struct{ Value string }
			_ = json.Unmarshal(members[key], &v) // another type is as good as none
			return v.Value
		}
		if _, told := members["UserData"]; told {
			data := value("UserData")
			i.UserData = &data
		}
		flag("DisableApiTermination", &i.DisableApiTermination)
		flag("DisableApiStop", &i.DisableApiStop)
		i.InstanceInitiatedShutdownBehavior = firstOf(value("InstanceInitiatedShutdownBehavior"), i.InstanceInitiatedShutdownBehavior)
		r.instanceAttributes[id] = i
		return true
	}
	return false
}

// unread is a type of object that a lab has not: each one is noted, with the reason.
type unread struct {
	kind, id string // the member that has the ID
	reason   string
}

// absent is such an object.
type absent struct{ region, kind, object, reason string }

var notRead = map[string]unread{
	"VpcPeeringConnections":        {"peering connection", "VpcPeeringConnectionId", "a lab has no peering yet"},
	"VpcEndpoints":                 {"VPC endpoint", "VpcEndpointId", "a lab has no endpoints, and none of the services behind them"},
	"TransitGateways":              {"transit gateway", "TransitGatewayId", "a lab has no transit gateways yet"},
	"TransitGatewayAttachments":    {"transit gateway attachment", "TransitGatewayAttachmentId", "a lab has no transit gateways yet"},
	"TransitGatewayVpcAttachments": {"transit gateway attachment", "TransitGatewayAttachmentId", "a lab has no transit gateways yet"},
	"TransitGatewayRouteTables":    {"transit gateway route table", "TransitGatewayRouteTableId", "a lab has no transit gateways yet"},
	"EgressOnlyInternetGateways":   {"egress-only Internet gateway", "EgressOnlyInternetGatewayId", "a lab has no IPv6 yet"},
	"VpnGateways":                  {"virtual private gateway", "VpnGatewayId", "a lab has no VPN"},
	"VpnConnections":               {"VPN connection", "VpnConnectionId", "a lab has no VPN"},
	"CustomerGateways":             {"customer gateway", "CustomerGatewayId", "a lab has no VPN"},
	"CarrierGateways":              {"carrier gateway", "CarrierGatewayId", "a lab has no Wavelength zones"},
	"LoadBalancers":                {"load balancer", "LoadBalancerName", "a lab has no load balancers"},
	"LoadBalancerDescriptions":     {"load balancer", "LoadBalancerName", "a lab has no load balancers"},
	"DBInstances":                  {"database", "DBInstanceIdentifier", "a lab has no RDS"},
	"Volumes":                      {"volume", "VolumeId", "a lab has no EBS: an instance's disk lies over the lab's root file system"},
	"LaunchTemplates":              {"launch template", "LaunchTemplateId", "the instances launched from it were read by themselves"},
	"ClientVpnEndpoints":           {"client VPN endpoint", "ClientVpnEndpointId", "a lab has no VPN"},
	"Ipams":                        {"IPAM", "IpamId", "ranges are in the file as they are"},
}

func (k unread) read(r *reader, raw json.RawMessage) error {
	found, err := unmarshal[[]map[string]json.RawMessage](r, raw)
	if err != nil {
		return err
	}
	for _, o := range found {
		var id, state string
		var tags []rawTag
		var status struct{ Code string }
		_ = json.Unmarshal(o[k.id], &id) // what is missing stays empty
		_ = json.Unmarshal(o["State"], &state)
		_ = json.Unmarshal(o["Status"], &status)
		_ = json.Unmarshal(o["Tags"], &tags)
		if gone := slices.Contains([]string{"deleted", "deleting", "rejected", "expired", "failed"}, firstOf(state, status.Code)); id != "" && !gone {
			r.absent = append(r.absent, absent{r.region, k.kind, label(nameOf(tags), id, origin{}), k.reason})
		}
	}
	return nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
