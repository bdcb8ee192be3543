package vpc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/flowlog/record"
)

func flowLogInput(kind string, ids ...string) *CreateFlowLogsInput {
	in := &CreateFlowLogsInput{ResourceType: kind, TrafficType: "ALL", LogGroupName: "logs"}
	for _, id := range ids {
		in.ResourceIds = append(in.ResourceIds, ResourceID(id))
	}
	return in
}

func TestFL10_CreateFlowLogs(t *testing.T) {
	for name, r := range map[string]struct {
		change func(in *CreateFlowLogsInput)
		want   string
	}{
		"as it is":           {func(*CreateFlowLogsInput) {}, ""},
		"accepted only":      {func(in *CreateFlowLogsInput) { in.TrafficType = "ACCEPT" }, ""},
		"no resource":        {func(in *CreateFlowLogsInput) { in.ResourceIds = nil }, "MissingParameter"},
		"no resource type":   {func(in *CreateFlowLogsInput) { in.ResourceType = "" }, "MissingParameter"},
		"no traffic type":    {func(in *CreateFlowLogsInput) { in.TrafficType = "" }, "MissingParameter"},
		"traffic type":       {func(in *CreateFlowLogsInput) { in.TrafficType = "all" }, "InvalidParameterValue"},
		"transit gateway":    {func(in *CreateFlowLogsInput) { in.ResourceType = "TransitGateway" }, "InvalidParameterValue"},
		"another type's ID":  {func(in *CreateFlowLogsInput) { in.ResourceType = FlowLogSubnet }, "InvalidSubnetID.Malformed"},
		"unknown VPC":        {func(in *CreateFlowLogsInput) { in.ResourceIds[0] = "vpc-0123456789abcdef0" }, "InvalidVpcID.NotFound"},
		"600 s":              {func(in *CreateFlowLogsInput) { in.MaxAggregationInterval = new(600) }, ""},
		"60 s":               {func(in *CreateFlowLogsInput) { in.MaxAggregationInterval = new(60) }, ""},
		"1 s":                {func(in *CreateFlowLogsInput) { in.MaxAggregationInterval = new(1) }, ""},
		"0 s":                {func(in *CreateFlowLogsInput) { in.MaxAggregationInterval = new(0) }, "InvalidParameter"},
		"61 s":               {func(in *CreateFlowLogsInput) { in.MaxAggregationInterval = new(61) }, "InvalidParameter"},
		"format":             {func(in *CreateFlowLogsInput) { in.LogFormat = "${version} ${traffic-path}" }, ""},
		"blank at the end":   {func(in *CreateFlowLogsInput) { in.LogFormat = "${version} " }, "InvalidParameter"},
		"unknown field":      {func(in *CreateFlowLogsInput) { in.LogFormat = "${version} ${colour}" }, "InvalidParameter"},
		"nowhere":            {func(in *CreateFlowLogsInput) { in.LogGroupName = "" }, "InvalidParameter"},
		"group with slashes": {func(in *CreateFlowLogsInput) { in.LogGroupName = "/aws/vpc" }, ""},
		"group that climbs":  {func(in *CreateFlowLogsInput) { in.LogGroupName = "a/../../b" }, "InvalidParameterValue"},
		"group's characters": {func(in *CreateFlowLogsInput) { in.LogGroupName = "a b" }, "InvalidParameterValue"},
		"group twice": {func(in *CreateFlowLogsInput) {
			in.LogDestination = "arn:aws:logs:ap-northeast-1:123456789012:log-group:g"
		}, "InvalidParameter"},
		"group's ARN": {func(in *CreateFlowLogsInput) {
			in.LogGroupName, in.LogDestination = "", "arn:aws:logs:ap-northeast-1:123456789012:log-group:/a/b:*"
		}, ""},
		"bucket": {func(in *CreateFlowLogsInput) {
			in.LogGroupName, in.LogDestinationType, in.LogDestination = "", "s3", "arn:aws:s3:::bucket/a/b/"
		}, ""},
		"bucket's options": {func(in *CreateFlowLogsInput) {
			in.LogGroupName, in.LogDestinationType, in.LogDestination = "", "s3", "arn:aws:s3:::bucket"
			in.DestinationOptions = &DestinationOptionsRequest{FileFormat: "plain-text"}
		}, ""},
		"parquet": {func(in *CreateFlowLogsInput) {
			in.LogGroupName, in.LogDestinationType, in.LogDestination = "", "s3", "arn:aws:s3:::bucket"
			in.DestinationOptions = &DestinationOptionsRequest{FileFormat: "parquet"}
		}, "UnsupportedOperation"},
		"by the hour": {func(in *CreateFlowLogsInput) {
			in.LogGroupName, in.LogDestinationType, in.LogDestination = "", "s3", "arn:aws:s3:::bucket"
			in.DestinationOptions = &DestinationOptionsRequest{PerHourPartition: true}
		}, "UnsupportedOperation"},
		"no format": {func(in *CreateFlowLogsInput) {
			in.LogGroupName, in.LogDestinationType, in.LogDestination = "", "s3", "arn:aws:s3:::bucket"
			in.DestinationOptions = &DestinationOptionsRequest{FileFormat: "text"}
		}, "InvalidParameterValue"},
		"options of a group": {func(in *CreateFlowLogsInput) { in.DestinationOptions = &DestinationOptionsRequest{} }, "InvalidParameter"},
		"bucket that climbs": {func(in *CreateFlowLogsInput) {
			in.LogGroupName, in.LogDestinationType, in.LogDestination = "", "s3", "arn:aws:s3:::bucket/../b"
		}, "InvalidParameterValue"},
		"bucket without name": {func(in *CreateFlowLogsInput) { in.LogGroupName, in.LogDestinationType = "", "s3" }, "InvalidParameter"},
		"bucket's group":      {func(in *CreateFlowLogsInput) { in.LogDestinationType = "s3" }, "InvalidParameter"},
		"firehose":            {func(in *CreateFlowLogsInput) { in.LogDestinationType = "kinesis-data-firehose" }, "InvalidParameterValue"},
		"file":                {func(in *CreateFlowLogsInput) { in.LogGroupName, in.LogDestination = "", "/var/log/flows" }, ""},
		"file that climbs":    {func(in *CreateFlowLogsInput) { in.LogGroupName, in.LogDestination = "", "/var/../etc/flows" }, "InvalidParameterValue"},
		"folder":              {func(in *CreateFlowLogsInput) { in.LogGroupName, in.LogDestination = "", "/" }, "InvalidParameterValue"},
		"relative path":       {func(in *CreateFlowLogsInput) { in.LogGroupName, in.LogDestination = "", "flows.log" }, "InvalidParameterValue"},
		"tags of another":     {func(in *CreateFlowLogsInput) { in.TagSpecifications = NamedTag("vpc", "x") }, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) {
			tx := emptyLab(t)
			in := flowLogInput(FlowLogVpc, string(newVpc(tx, "10.0.0.0/16")))
			r.change(in)
			wantCode(t, code(tx.CreateFlowLogs(in)), r.want)
			wantConsistent(t, &tx.Model)
		})
	}
}

func TestFL10_FlowLogsAreDescribed(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	s := newSubnet(tx, v, "10.0.1.0/24")
	in := flowLogInput(FlowLogVpc, string(v))
	in.TagSpecifications = NamedTag("vpc-flow-log", "all")
	id := must(tx.CreateFlowLogs(in)).FlowLogIds[0]
	in = flowLogInput(FlowLogSubnet, string(s))
	in.TrafficType, in.LogFormat, in.MaxAggregationInterval = "REJECT", "${srcaddr}", new(5)
	other := must(tx.CreateFlowLogs(in)).FlowLogIds[0]
	want := []FlowLogInfo{
		{CreationTime: testNow, DeliverLogsStatus: "SUCCESS", FlowLogId: id, FlowLogStatus: "ACTIVE", LogGroupName: "logs", ResourceId: ResourceID(v), TrafficType: "ALL",
			LogDestinationType: "cloud-watch-logs", LogFormat: record.Default, Tags: []Tag{{"Name", "all"}}, MaxAggregationInterval: 600},
		{CreationTime: testNow, DeliverLogsStatus: "SUCCESS", FlowLogId: other, FlowLogStatus: "ACTIVE", LogGroupName: "logs", ResourceId: ResourceID(s), TrafficType: "REJECT",
			LogDestinationType: "cloud-watch-logs", LogFormat: "${srcaddr}", Tags: []Tag{}, MaxAggregationInterval: 5},
	}
	if diff := cmp.Diff(want, must(tx.DescribeFlowLogs(&DescribeFlowLogsInput{})).FlowLogs); diff != "" {
		t.Error(diff)
	}
	for filter, value := range map[string]string{"deliver-log-status": "SUCCESS", "log-destination-type": "cloud-watch-logs", "flow-log-id": string(id),
		"log-group-name": "logs", "resource-id": string(v), "traffic-type": "ALL", "tag:Name": "all", "tag-key": "Name"} {
		got := must(tx.DescribeFlowLogs(&DescribeFlowLogsInput{Filter: []Filter{{filter, []string{value}}}})).FlowLogs
		if len(got) == 0 || got[0].FlowLogId != id {
			t.Errorf("%s: got %v", filter, got)
		}
		if none := must(tx.DescribeFlowLogs(&DescribeFlowLogsInput{Filter: []Filter{{filter, []string{"none"}}}})).FlowLogs; len(none) != 0 {
			t.Errorf("%s: got %v", filter, none)
		}
	}
	const gone FlowLogID = "fl-0123456789abcdef0"
	if got := must(tx.DescribeFlowLogs(&DescribeFlowLogsInput{FlowLogIds: []FlowLogID{gone, id}})).FlowLogs; len(got) != 1 || got[0].FlowLogId != id {
		t.Errorf("one of two that is gone: got %v", got)
	}
	if got := must(tx.DescribeFlowLogs(&DescribeFlowLogsInput{FlowLogIds: []FlowLogID{gone}})).FlowLogs; got == nil || len(got) != 0 {
		t.Errorf("one that is gone: got %v", got)
	}
	wantCode(t, code(tx.DescribeFlowLogs(&DescribeFlowLogsInput{FlowLogIds: []FlowLogID{"log"}})), "InvalidFlowLogId.Malformed")
	wantCode(t, code(tx.DeleteFlowLogs(&DeleteFlowLogsInput{FlowLogIds: []FlowLogID{id, gone}})), "InvalidFlowLogId.NotFound")
	wantCode(t, code(tx.DeleteFlowLogs(&DeleteFlowLogsInput{FlowLogIds: []FlowLogID{"log"}})), "InvalidFlowLogId.Malformed")
	wantCode(t, code(tx.DeleteFlowLogs(&DeleteFlowLogsInput{})), "MissingParameter")
	wantCode(t, code(tx.DeleteFlowLogs(&DeleteFlowLogsInput{FlowLogIds: []FlowLogID{id}})), "")
	if tx.FlowLogs.Len() != 1 {
		t.Errorf("%d flow logs are left", tx.FlowLogs.Len())
	}
	in = flowLogInput(FlowLogSubnet, string(s))
	in.LogGroupName, in.LogDestinationType, in.LogDestination, in.DestinationOptions = "", "s3", "arn:aws:s3:::bucket", &DestinationOptionsRequest{}
	toBucket := must(tx.CreateFlowLogs(in)).FlowLogIds
	if got := must(tx.DescribeFlowLogs(&DescribeFlowLogsInput{FlowLogIds: toBucket})).FlowLogs[0].DestinationOptions; got == nil || *got != (DestinationOptionsResponse{FileFormat: "plain-text"}) {
		t.Errorf("the destination's options: %v", got)
	}
}

func TestFL10_OneOfAKind(t *testing.T) {
	tx := emptyLab(t)
	v, w := string(newVpc(tx, "10.0.0.0/16")), string(newVpc(tx, "10.1.0.0/16"))
	must(tx.CreateFlowLogs(flowLogInput(FlowLogVpc, v)))
	wantCode(t, code(tx.CreateFlowLogs(flowLogInput(FlowLogVpc, v))), "FlowLogAlreadyExists")
	out := must(tx.CreateFlowLogs(flowLogInput(FlowLogVpc, v, w, "vpc-0123456789abcdef0")))
	if len(out.FlowLogIds) != 1 || len(out.Unsuccessful) != 2 || out.Unsuccessful[0].Error.Code != "FlowLogAlreadyExists" || out.Unsuccessful[0].ResourceId != v ||
		out.Unsuccessful[1].Error.Code != "InvalidVpcID.NotFound" {
		t.Errorf("got %+v", out)
	}
	rejects := flowLogInput(FlowLogVpc, v)
	rejects.TrafficType = "REJECT"
	wantCode(t, code(tx.CreateFlowLogs(rejects)), "")
	file := flowLogInput(FlowLogVpc, v)
	file.LogGroupName, file.LogDestination = "", "/tmp/flows"
	must(tx.CreateFlowLogs(file))
	file.ResourceIds[0] = ResourceID(w)
	wantCode(t, code(tx.CreateFlowLogs(file)), "FlowLogAlreadyExists")
}

func TestFL10_FlowLogsGoWithWhatTheyWatch(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	s := newSubnet(tx, v, "10.0.1.0/24")
	n := must(tx.CreateNetworkInterface(&CreateNetworkInterfaceInput{SubnetId: s})).NetworkInterface.NetworkInterfaceId
	for kind, id := range map[string]string{FlowLogVpc: string(v), FlowLogSubnet: string(s), FlowLogNetworkInterface: string(n)} {
		must(tx.CreateFlowLogs(flowLogInput(kind, id)))
	}
	for id, l := range tx.FlowLogs.All() {
		if !l.Watches(tx.NetworkInterfaces.Get(n)) {
			t.Errorf("%s does not watch the interface", id)
		}
		if l.Watches(&NetworkInterface{ID: "eni-1", SubnetID: "subnet-1", VpcID: "vpc-1"}) {
			t.Errorf("%s watches another's interface", id)
		}
	}
	must(tx.DeleteNetworkInterface(&DeleteNetworkInterfaceInput{NetworkInterfaceId: n}))
	if tx.FlowLogs.Len() != 2 {
		t.Errorf("%d flow logs after the interface", tx.FlowLogs.Len())
	}
	must(tx.DeleteSubnet(&DeleteSubnetInput{SubnetId: s}))
	if tx.FlowLogs.Len() != 1 {
		t.Errorf("%d flow logs after the subnet", tx.FlowLogs.Len())
	}
	must(tx.DeleteVpc(&DeleteVpcInput{VpcId: v}))
	if tx.FlowLogs.Len() != 0 {
		t.Errorf("%d flow logs after the VPC", tx.FlowLogs.Len())
	}
	wantConsistent(t, &tx.Model)
}

// A VPC and its subnet may have one name; the resource type says which is meant.
func TestResolveNames_FlowLogResources(t *testing.T) {
	tx := emptyLab(t)
	v := must(tx.CreateVpc(&CreateVpcInput{CidrBlock: "10.0.0.0/16", TagSpecifications: NamedTag("vpc", "main")})).Vpc.VpcId
	s := must(tx.CreateSubnet(&CreateSubnetInput{VpcId: v, CidrBlock: "10.0.0.0/24", TagSpecifications: NamedTag("subnet", "main")})).Subnet.SubnetId
	for kind, want := range map[string]string{FlowLogVpc: string(v), FlowLogSubnet: string(s)} {
		in := flowLogInput(kind, "main")
		if err := ResolveNames(&tx.Model, "", in); err != nil || string(in.ResourceIds[0]) != want {
			t.Errorf("%s: %v, %v", kind, in.ResourceIds, err)
		}
	}
	if err := ResolveNames(&tx.Model, "", flowLogInput(FlowLogNetworkInterface, "main")); err == nil || !strings.Contains(err.Error(), "network-interface") {
		t.Errorf("got %v", err)
	}
	id := must(tx.CreateFlowLogs(&CreateFlowLogsInput{ResourceIds: []ResourceID{ResourceID(v)}, ResourceType: FlowLogVpc, TrafficType: "ALL", LogGroupName: "g",
		TagSpecifications: NamedTag("vpc-flow-log", "all")})).FlowLogIds[0]
	del := &DeleteFlowLogsInput{FlowLogIds: []FlowLogID{"all"}}
	if err := ResolveNames(&tx.Model, "", del); err != nil || del.FlowLogIds[0] != id {
		t.Errorf("got %v, %v", del.FlowLogIds, err)
	}
}
