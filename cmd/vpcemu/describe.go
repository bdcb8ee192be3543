package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
)

// A kind of object that describe knows: the action that lists it, where the list
// is in the answer, and the columns of its table (dotted paths into an object).
type kind struct {
	action, list string
	columns      []string
}

var kinds = map[string]kind{
	"vpc":               {"DescribeVpcs", "Vpcs", []string{"VpcId", "CidrBlock", "State", "IsDefault", "InstanceTenancy"}},
	"subnet":            {"DescribeSubnets", "Subnets", []string{"SubnetId", "VpcId", "CidrBlock", "AvailabilityZone", "MapPublicIpOnLaunch", "AvailableIpAddressCount"}},
	"route-table":       {"DescribeRouteTables", "RouteTables", []string{"RouteTableId", "VpcId", "Associations", "Routes"}},
	"internet-gateway":  {"DescribeInternetGateways", "InternetGateways", []string{"InternetGatewayId", "Attachments"}},
	"nat-gateway":       {"DescribeNatGateways", "NatGateways", []string{"NatGatewayId", "SubnetId", "State", "ConnectivityType", "NatGatewayAddresses"}},
	"elastic-ip":        {"DescribeAddresses", "Addresses", []string{"AllocationId", "PublicIp", "PrivateIpAddress", "NetworkInterfaceId"}},
	"security-group":    {"DescribeSecurityGroups", "SecurityGroups", []string{"GroupId", "GroupName", "VpcId", "IpPermissions", "IpPermissionsEgress"}},
	"network-acl":       {"DescribeNetworkAcls", "NetworkAcls", []string{"NetworkAclId", "VpcId", "IsDefault", "Associations", "Entries"}},
	"dhcp-options":      {"DescribeDhcpOptions", "DhcpOptions", []string{"DhcpOptionsId", "DhcpConfigurations"}},
	"network-interface": {"DescribeNetworkInterfaces", "NetworkInterfaces", []string{"NetworkInterfaceId", "SubnetId", "PrivateIpAddress", "Association.PublicIp", "MacAddress", "Status", "Attachment.InstanceId", "Attachment.DeviceIndex"}},
	"instance":          {"DescribeInstances", "Reservations.Instances", []string{"InstanceId", "State.Name", "InstanceType", "PrivateIpAddress", "PublicIpAddress", "SubnetId", "SecurityGroups"}},
	"internet-host":     {"DescribeInternetHosts", "InternetHosts", []string{"InternetHostId", "HostName", "PublicIp", "State"}},
	"key-pair":          {"DescribeKeyPairs", "KeyPairs", []string{"KeyPairId", "KeyName", "KeyFingerprint"}},
}

func newDescribe() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "describe [KIND [NAME]]",
		Short: "Show a lab's objects in full",
		Long: `Describe shows the objects of a lab: all of them, those of one kind, or one by its name or
ID. Kinds: ` + strings.Join(slices.Sorted(maps.Keys(kinds)), ", ") + `.`,
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
					return fmt.Errorf("no kind %s; there are: %s", args[0], strings.Join(names, ", "))
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
	all := map[string][]any{}
	for _, name := range names {
		objects, err := objectsOf(ctx, c, kinds[name])
		if err != nil {
			return err
		}
		if len(args) == 2 {
			objects = slices.DeleteFunc(objects, func(o any) bool { return !isNamed(o, kinds[name], args[1]) })
			if len(objects) == 0 {
				return fmt.Errorf("no %s %s", name, args[1])
			}
		}
		all[name] = objects
	}
	if out != "" {
		if len(names) == 1 {
			return printAs(w, out, all[names[0]])
		}
		return printAs(w, out, all)
	}
	for _, name := range names {
		if len(all[name]) == 0 && len(names) > 1 {
			continue
		}
		if len(names) > 1 {
			fmt.Fprintf(w, "%s\n", strings.ToUpper(name))
		}
		if err := describeTable(w, kinds[name], all[name]); err != nil {
			return err
		}
		if len(names) > 1 {
			fmt.Fprintln(w)
		}
	}
	return nil
}

func objectsOf(ctx context.Context, c *control.Client, k kind) ([]any, error) {
	raw, err := c.Run(ctx, k.action, nil, false)
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
	return nameTag(m) == name || m[k.columns[0]] == name || m["GroupName"] == name || m["KeyName"] == name || m["HostName"] == name
}

func nameTag(m map[string]any) string {
	tags, _ := m["Tags"].([]any)
	for _, t := range tags {
		if tag, _ := t.(map[string]any); tag["Key"] == "Name" {
			name, _ := tag["Value"].(string)
			return name
		}
	}
	return ""
}

func describeTable(w io.Writer, k kind, objects []any) error {
	heading := []string{"NAME"}
	for _, c := range k.columns {
		parts := strings.Split(c, ".")
		heading = append(heading, strings.ToUpper(parts[len(parts)-1]))
	}
	rows := [][]string{heading}
	for _, o := range objects {
		m, _ := o.(map[string]any)
		row := []string{nameTag(m)}
		for _, c := range k.columns {
			row = append(row, cell(at(o, c)))
		}
		rows = append(rows, row)
	}
	return table(w, rows)
}

func at(o any, path string) any {
	for _, key := range strings.Split(path, ".") {
		m, _ := o.(map[string]any)
		o = m[key]
	}
	return o
}
