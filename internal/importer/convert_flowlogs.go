package importer

import (
	"strings"

	"github.com/vpcemu/vpcemu/internal/flowlog/record"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

func (c *converter) convertFlowLogs() {
	for _, l := range c.FlowLogs {
		said := label(nameOf(l.Tags), l.FlowLogId, l.origin)
		o := &topology.FlowLog{}
		target, ok := c.watched(o, l.ResourceId)
		switch _, err := record.Parse(l.LogFormat); {
		case !ok:
			c.note("flow log", said, "watches %s, which was not brought over", l.ResourceId)
			continue
		case l.LogDestinationType != "" && l.LogDestinationType != vpc.LogsToCloudWatch && l.LogDestinationType != vpc.LogsToS3:
			c.note("flow log", said, "its destination %s: a lab has cloud-watch-logs and s3, as files", l.LogDestinationType)
			continue
		case err != nil:
			c.note("flow log", said, "its format: %v; it has AWS's default here", err)
		case l.LogFormat != "" && l.LogFormat != record.Default:
			o.LogFormat = set(l.LogFormat)
		}
		c.begin(&o.Head, "flow_logs", c.names.give("flow_logs", l.FlowLogId, nameOf(l.Tags), own(l.origin), target), l.FlowLogId, l.Tags, l.origin)
		if t := l.TrafficType; t == "ACCEPT" || t == "REJECT" {
			o.TrafficType = set(t)
		}
		if l.MaxAggregationInterval >= 1 && l.MaxAggregationInterval <= 60 {
			o.MaxAggregationInterval = set(l.MaxAggregationInterval)
		}
		if l.LogDestinationType == vpc.LogsToS3 {
			o.LogDestinationType = set(vpc.LogsToS3)
		}
		switch {
		case l.LogGroupName != "" && l.LogDestinationType != vpc.LogsToS3:
			o.LogGroupName = set(l.LogGroupName)
		case l.LogDestination != "":
			o.LogDestination = set(strings.TrimSuffix(l.LogDestination, ":*"))
		}
		if l.DeliverLogsPermissionArn != "" {
			o.IamRoleArn = set(l.DeliverLogsPermissionArn)
		}
		c.file.FlowLogs.List = append(c.file.FlowLogs.List, o)
	}
}

// watched sets what the flow log is of, and returns its name.
func (c *converter) watched(o *topology.FlowLog, id string) (string, bool) {
	for instance, p := range c.primaries {
		if p.NetworkInterfaceId != "" && p.NetworkInterfaceId == id {
			name, ok := c.names.of(instance)
			o.Instance = set(name)
			return name, ok
		}
	}
	name, ok := c.names.of(id)
	switch {
	case strings.HasPrefix(id, "vpc-") || c.vpc(id) != nil:
		o.Vpc = set(name)
	case c.subnet(id) != nil:
		o.Subnet = set(name)
	case c.networkInterface(id) != nil:
		o.NetworkInterface = set(name)
	default:
		return "", false
	}
	return name, ok
}
