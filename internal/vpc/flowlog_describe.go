package vpc

import (
	"slices"
	"time"
)

// DescribeFlowLogsInput and the other types below have the members of the EC2 API.
// The API calls this action's filters Filter.
type DescribeFlowLogsInput struct {
	FlowLogIds []FlowLogID
	Filter     []Filter
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type DescribeFlowLogsOutput struct {
	FlowLogs  []FlowLogInfo `json:"FlowLogs"`
	NextToken string        `json:"NextToken,omitempty"`
}

// FlowLogInfo is a flow log as the API answers it.
type FlowLogInfo struct {
	CreationTime             time.Time  `json:"CreationTime"`
	DeliverLogsPermissionArn string     `json:"DeliverLogsPermissionArn,omitempty"`
	DeliverLogsStatus        string     `json:"DeliverLogsStatus"`
	FlowLogId                FlowLogID  `json:"FlowLogId"`
	FlowLogStatus            string     `json:"FlowLogStatus"`
	LogGroupName             string     `json:"LogGroupName,omitempty"`
	ResourceId               ResourceID `json:"ResourceId"`
	TrafficType              string     `json:"TrafficType"`
	LogDestinationType       string     `json:"LogDestinationType"`
	LogDestination           string     `json:"LogDestination,omitempty"`
	LogFormat                string     `json:"LogFormat"`
	Tags                     []Tag      `json:"Tags"`
	MaxAggregationInterval   int        `json:"MaxAggregationInterval"`
	// DestinationOptions are left out where the request did not have them.
	DestinationOptions *DestinationOptionsResponse `json:"DestinationOptions,omitempty"`
}

type DestinationOptionsResponse struct {
	FileFormat               string `json:"FileFormat"`
	HiveCompatiblePartitions bool   `json:"HiveCompatiblePartitions"`
	PerHourPartition         bool   `json:"PerHourPartition"`
}

// delivered is every log's DeliverLogsStatus: the model knows of no disk. What the
// daemon cannot write it says in its log and in the notes of `vpcemu ls`.
const delivered = "SUCCESS"

func (l *FlowLog) info() FlowLogInfo {
	var options *DestinationOptionsResponse
	if l.DestinationOptions {
		options = &DestinationOptionsResponse{FileFormat: "plain-text"}
	}
	return FlowLogInfo{
		DestinationOptions: options,
		CreationTime:       l.Created, DeliverLogsPermissionArn: l.DeliverLogsPermissionArn, DeliverLogsStatus: delivered,
		FlowLogId: l.ID, FlowLogStatus: "ACTIVE", LogGroupName: l.LogGroupName, ResourceId: l.ResourceID, TrafficType: l.TrafficType,
		LogDestinationType: l.LogDestinationType, LogDestination: l.LogDestination, LogFormat: l.LogFormat, Tags: tagList(l.Tags),
		MaxAggregationInterval: l.MaxAggregationInterval,
	}
}

var flowLogFilters = filterSet[FlowLog]{
	"deliver-log-status":   func(*Model, *FlowLog) []string { return one(delivered) },
	"log-destination-type": func(_ *Model, l *FlowLog) []string { return one(l.LogDestinationType) },
	"flow-log-id":          func(_ *Model, l *FlowLog) []string { return one(l.ID) },
	"log-group-name":       func(_ *Model, l *FlowLog) []string { return one(l.LogGroupName) },
	"resource-id":          func(_ *Model, l *FlowLog) []string { return one(l.ResourceID) },
	"traffic-type":         func(_ *Model, l *FlowLog) []string { return one(l.TrafficType) },
}

// DescribeFlowLogs lists flow logs. One that is gone is no error as it is elsewhere: the list is without
// it, which is how Terraform's provider sees that it disappeared (TestAccVPCFlowLog_disappears).
func (tx *Tx) DescribeFlowLogs(in *DescribeFlowLogsInput) (*DescribeFlowLogsOutput, error) {
	ids := slices.DeleteFunc(slices.Clone(in.FlowLogIds), func(id FlowLogID) bool {
		return WellFormed("fl-", string(id)) && tx.FlowLogs.Get(id) == nil
	})
	if len(ids) == 0 && len(in.FlowLogIds) > 0 {
		return &DescribeFlowLogsOutput{FlowLogs: []FlowLogInfo{}}, nil
	}
	found, next, err := describe(tx, &tx.FlowLogs, ids, flowLogFilters, in.Filter, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeFlowLogsOutput{views(found, (*FlowLog).info), next}, nil
}
