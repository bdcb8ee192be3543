package main

import (
	"fmt"
	"strconv"
	"strings"
)

// cell shows a value of an EC2 answer in a table: routes, rules and associations
// each in the short form that a person would write down.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var parts []string
		for _, item := range v {
			if s := cell(item); s != "" {
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, "; ")
	case map[string]any:
		return short(v)
	}
	return fmt.Sprint(v)
}

// short is the gist of one structure.
func short(m map[string]any) string {
	str := func(key string) string { return cell(m[key]) }
	switch {
	case m["DestinationCidrBlock"] != nil: // a route
		for _, target := range []string{"NatGatewayId", "InstanceId", "NetworkInterfaceId", "GatewayId"} {
			if t := str(target); t != "" {
				s := str("DestinationCidrBlock") + " -> " + t
				if str("State") == "blackhole" {
					s += " (blackhole)"
				}
				return s
			}
		}
	case m["RuleNumber"] != nil: // an ACL entry
		direction := "in"
		if m["Egress"] == true {
			direction = "out"
		}
		s := direction + " " + str("RuleNumber") + " " + str("RuleAction") + " " + protocolName(str("Protocol"))
		if r, ok := m["PortRange"].(map[string]any); ok {
			s += " " + portRange(cell(r["From"]), cell(r["To"]))
		}
		if r, ok := m["IcmpTypeCode"].(map[string]any); ok {
			s += icmpType(cell(r["Type"]), cell(r["Code"]))
		}
		return s + " " + str("CidrBlock") + str("Ipv6CidrBlock")
	case m["IpProtocol"] != nil: // a permission
		s := protocolName(str("IpProtocol"))
		if m["FromPort"] != nil && strings.HasPrefix(s, "icmp") {
			s += icmpType(str("FromPort"), str("ToPort"))
		} else if m["FromPort"] != nil {
			s += " " + portRange(str("FromPort"), str("ToPort"))
		}
		var peers []string
		for _, key := range []string{"IpRanges", "Ipv6Ranges", "UserIdGroupPairs"} {
			if p := str(key); p != "" {
				peers = append(peers, p)
			}
		}
		return s + " " + strings.Join(peers, ",")
	case m["CidrIp"] != nil:
		return str("CidrIp")
	case m["CidrIpv6"] != nil:
		return str("CidrIpv6")
	case m["Main"] == true:
		return "main"
	case m["RouteTableAssociationId"] != nil, m["NetworkAclAssociationId"] != nil:
		return str("SubnetId") + str("GatewayId")
	case m["PublicIp"] != nil && m["PrivateIp"] != nil:
		return str("PrivateIp") + " as " + str("PublicIp")
	case m["PrivateIpAddress"] != nil: // of a network interface
		if a, ok := m["Association"].(map[string]any); ok && cell(a["PublicIp"]) != "" {
			return str("PrivateIpAddress") + " as " + cell(a["PublicIp"])
		}
		return str("PrivateIpAddress")
	case m["CidrBlockState"] != nil: // of a VPC
		return str("CidrBlock")
	case m["Key"] != nil && m["Values"] != nil: // DHCP options
		return str("Key") + "=" + str("Values")
	}
	for _, key := range []string{"GroupName", "GroupId", "VpcId", "PrivateIp", "Value"} {
		if s := str(key); s != "" {
			return s
		}
	}
	return ""
}

func portRange(from, to string) string {
	if from == to {
		return from
	}
	return from + "-" + to
}

// icmpType words type and code, each -1 for any.
func icmpType(typ, code string) string {
	switch {
	case typ == "-1":
		return ""
	case code == "-1":
		return " type " + typ
	}
	return " type " + typ + " code " + code
}

func protocolName(p string) string {
	switch p {
	case "-1":
		return "all"
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "1":
		return "icmp"
	}
	return p
}
