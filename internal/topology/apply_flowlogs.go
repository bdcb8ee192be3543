package topology

import (
	"cmp"
	"fmt"

	"github.com/vpcemu/vpcemu/internal/flowlog/record"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// targets are the keys of a flow log that say what it watches, of which it has one.
func (o *FlowLog) targets() []flowLogTarget {
	return []flowLogTarget{
		{"vpc", "vpcs", vpc.FlowLogVpc, o.Vpc}, {"subnet", "subnets", vpc.FlowLogSubnet, o.Subnet},
		{"network_interface", "network_interfaces", vpc.FlowLogNetworkInterface, o.NetworkInterface},
		{"instance", "instances", vpc.FlowLogNetworkInterface, o.Instance},
	}
}

type flowLogTarget struct {
	key, kind string
	resource  string // EC2's ResourceType
	value     Value[string]
}

// target is the one that is set. The checks have made sure that there is one.
func (o *FlowLog) target() flowLogTarget {
	for _, t := range o.targets() {
		if t.value.Set {
			return t
		}
	}
	return flowLogTarget{}
}

func (c *checker) flowLogs() {
	for _, o := range c.f.FlowLogs.List {
		n := 0
		for _, t := range o.targets() {
			if t.value.Set || refused(t.value) {
				n++
			}
		}
		if n != 1 {
			c.add(o.Line, o.String(), "exactly one of vpc, subnet, network_interface and instance says what it watches")
		}
		if s := o.MaxAggregationInterval; s.Set && s.V > 60 && s.V < 600 {
			c.add(s.Line, o.String(), "max_aggregation_interval: AWS takes 60 or 600 seconds; a lab also takes 1 to 59")
		}
		if _, err := record.Parse(o.LogFormat.V); err != nil {
			c.add(o.LogFormat.Line, o.String(), "log_format: %v", err)
		}
		if g, d := o.LogGroupName, o.LogDestination; g.Set && d.Set {
			c.add(g.Line, o.String(), "log_group_name and log_destination exclude one another")
		}
	}
}

// flowLogResource is the ID of what the flow log watches, "" where there is none yet.
func (c *converger) flowLogResource(t flowLogTarget) string {
	id := c.refID(t.kind, t.value.V)
	if t.kind != "instances" || id == "" {
		return id
	}
	if own := c.tx.InstanceInterfaces(vpc.InstanceID(id)); len(own) > 0 {
		return string(own[0].ID)
	}
	return ""
}

// flowLogInput is the request that makes the flow log, but for the resource.
func (o *FlowLog) input() *vpc.CreateFlowLogsInput {
	in := &vpc.CreateFlowLogsInput{ResourceType: o.target().resource, TrafficType: o.TrafficType.V, LogDestinationType: o.LogDestinationType.V,
		LogDestination: o.LogDestination.V, LogGroupName: o.LogGroupName.V, LogFormat: o.LogFormat.V, MaxAggregationInterval: &o.MaxAggregationInterval.V,
		DeliverLogsPermissionArn: o.IamRoleArn.V}
	if o.LogDestinationType.V == vpc.LogsToCloudWatch && in.LogDestination == "" {
		in.LogGroupName = cmp.Or(in.LogGroupName, o.Name)
	}
	return in
}

// flowLogDiffers says which key makes another flow log necessary: none can be changed.
func (c *converger) flowLogDiffers(o *FlowLog, is *vpc.FlowLog) string {
	t, in := o.target(), o.input()
	_, anew := c.replace[t.kind+"."+t.value.V]
	group := is.LogGroupName
	if is.LogDestination != "" {
		group = "" // it follows from the ARN
	}
	return first(when(anew || is.ResourceType != t.resource || string(is.ResourceID) != c.flowLogResource(t), t.key), differs("traffic_type", is.TrafficType, in.TrafficType),
		differs("log_destination_type", is.LogDestinationType, in.LogDestinationType), differs("log_destination", is.LogDestination, in.LogDestination),
		differs("log_group_name", group, in.LogGroupName), differs("log_format", is.LogFormat, cmp.Or(in.LogFormat, record.Default)),
		differs("max_aggregation_interval", is.MaxAggregationInterval, *in.MaxAggregationInterval), differs("iam_role_arn", is.DeliverLogsPermissionArn, in.DeliverLogsPermissionArn))
}

// flowLog makes the flow log, also where it has gone with what it watched.
func (c *converger) flowLog(o *FlowLog) {
	c.at(&o.Head)
	id, present := c.present(&o.Head)
	if is := c.tx.FlowLogs.Get(vpc.FlowLogID(id)); present && is != nil {
		c.retag(id, is.Tags)
		c.done()
		return
	}
	in := o.input()
	in.ResourceIds, in.TagSpecifications = []vpc.ResourceID{vpc.ResourceID(c.flowLogResource(o.target()))}, c.tagged("vpc-flow-log")
	if c.err == nil && in.ResourceIds[0] == "" {
		t := o.target()
		c.fail(t.value.Line, &o.Head, fmt.Errorf("%s %s has no network interface to watch", singular(t.kind), t.value.V))
	}
	if out := call[vpc.CreateFlowLogsOutput](c, in); len(out.FlowLogIds) == 1 {
		c.made(string(out.FlowLogIds[0]))
	}
}
