package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
)

// A kind of object that describe knows: the action that lists it, where the list
// is in the answer, the key of its ID, and the other columns of its table, each
// HEADING=PATH with a dotted path into an object.
type kind struct {
	action, list, id string
	columns          []string
}

var kinds = map[string]kind{
	"vpc":               {"DescribeVpcs", "Vpcs", "VpcId", []string{"CIDR=CidrBlockAssociationSet", "STATE=State", "DEFAULT=IsDefault", "TENANCY=InstanceTenancy"}},
	"subnet":            {"DescribeSubnets", "Subnets", "SubnetId", []string{"VPC=VpcId", "CIDR=CidrBlock", "ZONE=AvailabilityZone", "PUBLIC IP=MapPublicIpOnLaunch", "FREE=AvailableIpAddressCount"}},
	"route-table":       {"DescribeRouteTables", "RouteTables", "RouteTableId", []string{"VPC=VpcId", "OF=Associations", "ROUTES=Routes"}},
	"internet-gateway":  {"DescribeInternetGateways", "InternetGateways", "InternetGatewayId", []string{"VPC=Attachments"}},
	"nat-gateway":       {"DescribeNatGateways", "NatGateways", "NatGatewayId", []string{"SUBNET=SubnetId", "STATE=State", "TYPE=ConnectivityType", "ADDRESSES=NatGatewayAddresses"}},
	"elastic-ip":        {"DescribeAddresses", "Addresses", "AllocationId", []string{"PUBLIC=PublicIp", "PRIVATE=PrivateIpAddress", "INTERFACE=NetworkInterfaceId", "INSTANCE=InstanceId"}},
	"security-group":    {"DescribeSecurityGroups", "SecurityGroups", "GroupId", []string{"VPC=VpcId", "INGRESS=IpPermissions", "EGRESS=IpPermissionsEgress"}},
	"network-acl":       {"DescribeNetworkAcls", "NetworkAcls", "NetworkAclId", []string{"VPC=VpcId", "DEFAULT=IsDefault", "SUBNETS=Associations", "ENTRIES=Entries"}},
	"dhcp-options":      {"DescribeDhcpOptions", "DhcpOptions", "DhcpOptionsId", []string{"OPTIONS=DhcpConfigurations"}},
	"network-interface": {"DescribeNetworkInterfaces", "NetworkInterfaces", "NetworkInterfaceId", []string{"SUBNET=SubnetId", "PRIVATE=PrivateIpAddresses", "MAC=MacAddress", "STATUS=Status", "ATTACHED=Attachment.InstanceId", "INDEX=Attachment.DeviceIndex", "GROUPS=Groups"}},
	"instance":          {"DescribeInstances", "Reservations.Instances", "InstanceId", []string{"STATE=State.Name", "TYPE=InstanceType", "PRIVATE=PrivateIpAddress", "PUBLIC=PublicIpAddress", "SUBNET=SubnetId", "GROUPS=SecurityGroups", "KEY=KeyName"}},
	"internet-host":     {"DescribeInternetHosts", "InternetHosts", "InternetHostId", []string{"STATE=State", "PUBLIC=PublicIp", "KEYS=KeyNames"}},
	"flow-log":          {"DescribeFlowLogs", "FlowLogs", "FlowLogId", []string{"OF=ResourceId", "TRAFFIC=TrafficType", "EVERY=MaxAggregationInterval", "TO=LogDestinationType", "GROUP=LogGroupName", "DESTINATION=LogDestination"}},
	"impairment":        {"DescribeImpairments", "Impairments", "ImpairmentId", []string{"PLACE=Place", "TO=To", "EGRESS=Egress", "INGRESS=Ingress"}},
	"failure":           {"DescribeFailures", "Failures", "FailureId", []string{"OF=ResourceType", "PLACE=Place", "TO=To"}},
	"key-pair":          {"DescribeKeyPairs", "KeyPairs", "KeyPairId", []string{"TYPE=KeyType", "FINGERPRINT=KeyFingerprint"}},
}

func newDescribe() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "describe [KIND [NAME]]",
		Short: "Show a lab's objects: all, those of a kind, or one",
		Long: `Describe shows the objects of a lab: all of them, those of one kind, or one by its name or
ID. A default VPC that nothing is in is left out of lists. With -o it shows what EC2's
Describe actions answer. In a lab of several Regions each object tells its Region.

Kinds:
  ` + strings.Join(slices.Sorted(maps.Keys(kinds)), "\n  "),
		Example: "  sudo vpcemu describe\n  sudo vpcemu describe security-group web -o yaml",
		Args:    cobra.MaximumNArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return slices.Sorted(maps.Keys(kinds)), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			names := slices.Sorted(maps.Keys(kinds))
			if len(args) > 0 {
				name := strings.TrimSuffix(args[0], "s")
				if args[0] == "dhcp-options" {
					name = args[0]
				}
				if _, ok := kinds[name]; !ok {
					return fmt.Errorf("no kind %s; describe wants a kind, then a name; kinds are: %s", args[0], strings.Join(names, ", "))
				}
				names = []string{name}
			}
			c, _, err := client(cmd.Context())
			if err != nil {
				return err
			}
			return describe(cmd.Context(), cmd.OutOrStdout(), c, names, args, out)
		},
	}
	outputFlag(cmd, &out)
	return cmd
}

func describe(ctx context.Context, w io.Writer, c *control.Client, names, args []string, out string) error {
	if err := validOutput(out); err != nil {
		return err
	}
	lab, err := c.Lab(ctx)
	if err != nil {
		return err
	}
	all := map[string][]any{} // of every kind: tables show names instead of IDs
	for name := range kinds {
		objects, err := everywhere(ctx, c, name, lab.Regions)
		if err != nil {
			return err
		}
		all[name] = objects
	}
	known := namesOf(all)
	if len(args) < 2 {
		hideUnused(all)
	} else {
		k := kinds[names[0]]
		all[names[0]] = slices.DeleteFunc(all[names[0]], func(o any) bool { return !isNamed(o, k, args[1]) })
		if len(all[names[0]]) == 0 {
			return fmt.Errorf("no %s %s", names[0], args[1])
		}
	}
	if len(names) == 1 {
		if out != "" {
			return printAs(w, out, all[names[0]])
		}
		return describeTable(w, kinds[names[0]], all[names[0]], known)
	}
	if out != "" {
		return printAs(w, out, all)
	}
	for _, name := range names {
		if len(all[name]) == 0 {
			continue
		}
		fmt.Fprintf(w, "%s\n", strings.ToUpper(name))
		if err := describeTable(w, kinds[name], all[name], known); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return nil
}

// hideUnused leaves out a default VPC without a network interface: every account
// has one, and nobody asked for it.
func hideUnused(all map[string][]any) {
	unused := map[any]bool{}
	for _, v := range all["vpc"] {
		if at(v, "IsDefault") == true {
			unused[at(v, "VpcId")] = true
		}
	}
	for _, e := range all["network-interface"] {
		delete(unused, at(e, "VpcId"))
	}
	for name, objects := range all {
		all[name] = slices.DeleteFunc(objects, func(o any) bool {
			attachments, _ := at(o, "Attachments").([]any)
			return unused[at(o, "VpcId")] || len(attachments) == 1 && unused[at(attachments[0], "VpcId")]
		})
	}
}

// labWide are the kinds of what is in no Region.
var labWide = []string{"internet-host", "impairment", "failure"}

// everywhere lists the objects of a kind in all Regions. Where there are several, each
// object tells its own.
func everywhere(ctx context.Context, c *control.Client, name string, regions []string) (list []any, err error) {
	if len(regions) == 0 || slices.Contains(labWide, name) {
		regions = []string{""}
	}
	for _, region := range regions {
		objects, err := objectsOf(ctx, c, region, kinds[name])
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			if m, ok := o.(map[string]any); ok && len(regions) > 1 {
				m["Region"] = region
			}
		}
		list = append(list, objects...)
	}
	return list, nil
}

func objectsOf(ctx context.Context, c *control.Client, region string, k kind) ([]any, error) {
	raw, err := c.RunIn(ctx, region, k.action, nil, false)
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	list := []any{v}
	for _, key := range strings.Split(k.list, ".") {
		var next []any
		for _, o := range list {
			m, _ := o.(map[string]any)
			items, _ := m[key].([]any)
			next = append(next, items...)
		}
		list = next
	}
	return list, nil
}

// isNamed tells whether an object has the name or ID.
func isNamed(o any, k kind, name string) bool {
	m, _ := o.(map[string]any)
	return nameTag(m) == name || m[k.id] == name || m["GroupName"] == name || m["KeyName"] == name || m["HostName"] == name
}

func nameTag(m map[string]any) string {
	tags, ok := m["Tags"].([]any)
	if !ok { // network interfaces have theirs here
		tags, _ = m["TagSet"].([]any)
	}
	for _, t := range tags {
		if tag, _ := t.(map[string]any); tag["Key"] == "Name" {
			name, _ := tag["Value"].(string)
			return name
		}
	}
	return ""
}

// nameOf is what people call an object.
func nameOf(o any) string {
	m, _ := o.(map[string]any)
	for _, s := range []string{nameTag(m), cell(m["GroupName"]), cell(m["HostName"]), cell(m["KeyName"])} {
		if s != "" {
			return s
		}
	}
	return ""
}

// namesOf lists the names of the objects that have one, by their IDs.
func namesOf(all map[string][]any) map[string]string {
	names := map[string]string{}
	for kind, objects := range all {
		for _, o := range objects {
			if name := nameOf(o); name != "" {
				names[cell(at(o, kinds[kind].id))] = name
			}
		}
	}
	return names
}

var anID = regexp.MustCompile(`[a-z]+-[0-9a-f]{17}`)

// describeTable prints an object a block: a list in it goes one item a line, and
// references are by name where there is one.
func describeTable(w io.Writer, k kind, objects []any, names map[string]string) error {
	heading := []string{"NAME", "ID"}
	for _, c := range k.columns {
		title, _, _ := strings.Cut(c, "=")
		heading = append(heading, title)
	}
	several := slices.ContainsFunc(objects, func(o any) bool { return at(o, "Region") != nil })
	if several {
		heading = slices.Insert(heading, 2, "REGION")
	}
	rows := [][]string{heading}
	for _, o := range objects {
		cells := [][]string{{nameOf(o)}, {cell(at(o, k.id))}}
		if several {
			cells = append(cells, []string{cell(at(o, "Region"))})
		}
		for _, c := range k.columns {
			_, path, _ := strings.Cut(c, "=")
			cells = append(cells, linesOf(at(o, path), names))
		}
		rows = append(rows, block(cells)...)
	}
	return table(w, rows)
}

func linesOf(v any, names map[string]string) (lines []string) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, item := range list {
		if s := cell(item); s != "" {
			lines = append(lines, anID.ReplaceAllStringFunc(s, func(id string) string { return cmp.Or(names[id], id) }))
		}
	}
	if len(lines) == 0 {
		return []string{""}
	}
	return lines
}

// block puts columns of different heights beside one another.
func block(columns [][]string) (rows [][]string) {
	height := 0
	for _, c := range columns {
		height = max(height, len(c))
	}
	for i := range height {
		row := make([]string, len(columns))
		for j, c := range columns {
			switch {
			case i < len(c):
				row[j] = c[i]
			case i > 0:
				row[j] = " " // nothing, as opposed to none
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func at(o any, path string) any {
	for _, key := range strings.Split(path, ".") {
		m, _ := o.(map[string]any)
		o = m[key]
	}
	return o
}
