package vpc

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/flowlog/record"
)

// Resource types of flow logs (FL-10). Those of transit gateways and regional NAT
// gateways are not part of vpcemu.
const (
	FlowLogVpc              = "VPC"
	FlowLogSubnet           = "Subnet"
	FlowLogNetworkInterface = "NetworkInterface"
)

// Destinations of flow logs. AWS's third, kinesis-data-firehose, is not part of vpcemu.
const (
	LogsToCloudWatch = "cloud-watch-logs"
	LogsToS3         = "s3"
)

// FlowLog records the traffic of one network interface, or of all of a subnet or VPC
// (FL-01 to FL-11). It cannot be changed, but for its tags (FL-10).
type FlowLog struct {
	Meta
	ID           FlowLogID
	ResourceID   ResourceID // vpc-, subnet- or eni-
	ResourceType string     // VPC, Subnet, NetworkInterface
	TrafficType  string     // ACCEPT, REJECT, ALL
	// LogDestinationType is cloud-watch-logs or s3. Where records go follows from it and
	// LogGroupName (CloudWatch) or LogDestination: an ARN of a log group or bucket, or,
	// vpcemu's own, the absolute path of a file.
	LogDestinationType string
	LogGroupName       string
	LogDestination     string
	LogFormat          string // as record.Parse takes it; never empty
	// MaxAggregationInterval is the length of the windows in seconds: 60 or 600, and
	// 1 to 59, which is vpcemu's own.
	MaxAggregationInterval   int
	DeliverLogsPermissionArn string // kept and shown; a lab has no IAM
	// DestinationOptions were given, with AWS's defaults: what a lab does.
	DestinationOptions bool
}

// CreateFlowLogsInput and the other inputs and outputs below have the members of the EC2 API.
type CreateFlowLogsInput struct {
	ResourceIds              []ResourceID
	ResourceType             string
	TrafficType              string
	LogDestinationType       string
	LogDestination           string
	LogGroupName             string
	LogFormat                string
	MaxAggregationInterval   *int
	DeliverLogsPermissionArn string
	DestinationOptions       *DestinationOptionsRequest
	TagSpecifications        []TagSpecification
	ClientToken              string
	DryRun                   bool
}

// DestinationOptionsRequest says how files of a bucket are: a lab's are plain text, in folders by the day.
type DestinationOptionsRequest struct {
	FileFormat               string
	HiveCompatiblePartitions bool
	PerHourPartition         bool
}

type CreateFlowLogsOutput struct {
	ClientToken  string             `json:"ClientToken,omitempty"`
	FlowLogIds   []FlowLogID        `json:"FlowLogIds"`
	Unsuccessful []UnsuccessfulItem `json:"Unsuccessful"`
}

// UnsuccessfulItem is what went wrong with one of several resources.
type UnsuccessfulItem struct {
	Error      UnsuccessfulItemError `json:"Error"`
	ResourceId string                `json:"ResourceId"`
}

type UnsuccessfulItemError struct {
	Code    string `json:"Code"`
	Message string `json:"Message"`
}

// maxFlowLogResources is AWS's limit of ResourceIds in one request.
const maxFlowLogResources = 1000

// CreateFlowLogs makes a flow log for each of the resources (FL-10). Resources that
// cannot have it are told of in Unsuccessful; if none can, the first one's error is the
// request's.
func (tx *Tx) CreateFlowLogs(in *CreateFlowLogsInput) (*CreateFlowLogsOutput, error) {
	like, err := tx.newFlowLog(in)
	if err != nil {
		return nil, err
	}
	switch n := len(in.ResourceIds); {
	case n == 0:
		return nil, errMissing("resourceIds")
	case n > maxFlowLogResources:
		return nil, errInvalid("At most %d resources may be specified.", maxFlowLogResources)
	}
	out := &CreateFlowLogsOutput{ClientToken: in.ClientToken, FlowLogIds: []FlowLogID{}, Unsuccessful: []UnsuccessfulItem{}}
	var first error
	for _, id := range in.ResourceIds {
		l := *like
		l.ResourceID = id
		if err := tx.mayHaveFlowLog(&l); err != nil {
			refused := new(Error)
			if !errors.As(err, &refused) {
				return nil, err
			}
			if first == nil {
				first = err
			}
			out.Unsuccessful = append(out.Unsuccessful, UnsuccessfulItem{UnsuccessfulItemError{refused.Code, refused.Message}, string(id)})
			continue
		}
		l.ID = newID[FlowLogID](tx)
		tx.FlowLogs.Put(l.ID, &l)
		out.FlowLogIds = append(out.FlowLogIds, l.ID)
	}
	if len(out.FlowLogIds) == 0 {
		return nil, first
	}
	return out, nil
}

// newFlowLog checks what is the same for all resources of a request.
func (tx *Tx) newFlowLog(in *CreateFlowLogsInput) (*FlowLog, error) {
	l := &FlowLog{ResourceType: in.ResourceType, TrafficType: in.TrafficType, DeliverLogsPermissionArn: in.DeliverLogsPermissionArn, MaxAggregationInterval: 600}
	switch l.ResourceType {
	case FlowLogVpc, FlowLogSubnet, FlowLogNetworkInterface:
	case "":
		return nil, errMissing("resourceType")
	default:
		return nil, errValue(l.ResourceType, "resourceType", "It must be VPC, Subnet or NetworkInterface.")
	}
	switch l.TrafficType {
	case "ACCEPT", "REJECT", "ALL":
	case "":
		return nil, errMissing("trafficType")
	default:
		return nil, errValue(l.TrafficType, "trafficType", "It must be ACCEPT, REJECT or ALL.")
	}
	if n := in.MaxAggregationInterval; n != nil {
		l.MaxAggregationInterval = *n
		if *n != 600 && (*n < 1 || *n > 60) {
			return nil, errorf("InvalidParameter", "Invalid Flow Log Max Aggregation Interval: it is 60 or 600 seconds, or in a lab also 1 to 59.")
		}
	}
	format, err := record.Parse(in.LogFormat)
	if err != nil {
		return nil, errorf("InvalidParameter", "%v.", err)
	}
	l.LogFormat = format.String()
	if err := l.deliver(in); err != nil {
		return nil, err
	}
	l.Meta, err = tx.newMeta("vpc-flow-log", in.TagSpecifications)
	return l, err
}

var (
	logGroupName = regexp.MustCompile(`^[A-Za-z0-9_/.#-]{1,512}$`)
	logGroupArn  = regexp.MustCompile(`^arn:aws[a-z-]*:logs:[a-z0-9-]*:[0-9]*:log-group:([^:]+)(:\*)?$`)
	bucketArn    = regexp.MustCompile(`^arn:aws[a-z-]*:s3:::([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/[A-Za-z0-9!_.*'()/-]*)?$`)
)

// deliver sets where the records go.
func (l *FlowLog) deliver(in *CreateFlowLogsInput) error {
	l.LogDestinationType, l.LogDestination, l.LogGroupName = in.LogDestinationType, in.LogDestination, in.LogGroupName
	if l.LogDestinationType == "" {
		l.LogDestinationType = LogsToCloudWatch
	}
	if l.LogDestinationType != LogsToCloudWatch && l.LogDestinationType != LogsToS3 {
		return errValue(l.LogDestinationType, "logDestinationType", "It must be cloud-watch-logs or s3; vpcemu has no other.")
	}
	switch {
	case l.LogGroupName != "" && l.LogDestination != "":
		return errorf("InvalidParameter", "Please only provide LogGroupName or only provide LogDestination.")
	case strings.HasPrefix(l.LogDestination, "/"):
		if path.Clean(l.LogDestination) != l.LogDestination || strings.ContainsAny(l.LogDestination, "\x00\n") || path.Base(l.LogDestination) == "/" {
			return errValue(l.LogDestination, "logDestination", "It must be the absolute path of a file, without . or .. in it.")
		}
	case l.LogDestinationType == LogsToS3:
		if l.LogGroupName != "" || l.LogDestination == "" {
			return errorf("InvalidParameter", "LogDestination can't be empty, and LogGroupName must be, if LogDestinationType is s3.")
		}
		if m := bucketArn.FindStringSubmatch(l.LogDestination); m == nil || !folders(m[2]) {
			return errValue(l.LogDestination, "logDestination", "It must be the ARN of a bucket, arn:aws:s3:::BUCKET/PREFIX, or the absolute path of a file.")
		}
	default:
		if in.DestinationOptions != nil {
			return errorf("InvalidParameter", "DestinationOptions can only be given if LogDestinationType is s3.")
		}
		return l.toLogGroup()
	}
	return l.options(in.DestinationOptions)
}

// options takes AWS's defaults, which Terraform writes out.
func (l *FlowLog) options(o *DestinationOptionsRequest) error {
	l.DestinationOptions = o != nil
	switch {
	case o == nil:
	case o.FileFormat != "" && o.FileFormat != "plain-text" && o.FileFormat != "parquet":
		return errValue(o.FileFormat, "fileFormat", "It must be plain-text or parquet.")
	case o.FileFormat == "parquet" || o.HiveCompatiblePartitions || o.PerHourPartition:
		return errorf("UnsupportedOperation", "A lab writes flow logs as plain text, a folder for each day: leave out fileFormat parquet, hiveCompatiblePartitions and perHourPartition.")
	}
	return nil
}

// toLogGroup is deliver for CloudWatch.
func (l *FlowLog) toLogGroup() error {
	if l.LogDestination != "" {
		m := logGroupArn.FindStringSubmatch(l.LogDestination)
		if m == nil {
			return errValue(l.LogDestination, "logDestination", "It must be the ARN of a log group, or the absolute path of a file.")
		}
		l.LogGroupName = m[1]
	}
	switch {
	case l.LogGroupName == "":
		return errorf("InvalidParameter", "LogDestination can't be empty if LogGroupName is not provided.")
	case !logGroupName.MatchString(l.LogGroupName) || !folders(l.LogGroupName):
		return errValue(l.LogGroupName, "logGroupName", "It has 1 to 512 of the characters A-Z a-z 0-9 _ / . # -, and no part . or .. of a path.")
	}
	return nil
}

// folders tells whether the text can be a path below a folder. Empty parts are left out.
func folders(s string) bool {
	return !slices.ContainsFunc(strings.Split(s, "/"), func(part string) bool { return part == "." || part == ".." })
}

// Bucket is the name of an s3 destination's bucket and the prefix in it, "" for others.
func (l *FlowLog) Bucket() (name, prefix string) {
	if m := bucketArn.FindStringSubmatch(l.LogDestination); m != nil {
		return m[1], strings.Trim(m[2], "/")
	}
	return "", ""
}

// mayHaveFlowLog tells whether the log's resource exists and has none like it.
func (tx *Tx) mayHaveFlowLog(l *FlowLog) (err error) {
	switch id := string(l.ResourceID); l.ResourceType {
	case FlowLogVpc:
		_, err = find(&tx.Vpcs, VpcID(id))
	case FlowLogSubnet:
		_, err = find(&tx.Subnets, SubnetID(id))
	default:
		_, err = find(&tx.NetworkInterfaces, NetworkInterfaceID(id))
	}
	if err != nil {
		return err
	}
	for id, o := range tx.FlowLogs.All() {
		same := o.LogDestinationType == l.LogDestinationType && o.LogDestination == l.LogDestination && o.LogGroupName == l.LogGroupName
		if same && o.ResourceID == l.ResourceID && o.TrafficType == l.TrafficType {
			return errorf("FlowLogAlreadyExists", "Error. There is an existing Flow Log with the same configuration and log destination.")
		}
		if strings.HasPrefix(l.LogDestination, "/") && o.LogDestination == l.LogDestination {
			return errorf("FlowLogAlreadyExists", "The flow log %s writes to %s already: each needs a file of its own.", id, l.LogDestination)
		}
	}
	return nil
}

// Watches tells whether the log records the interface's traffic.
func (l *FlowLog) Watches(n *NetworkInterface) bool {
	switch l.ResourceType {
	case FlowLogVpc:
		return string(n.VpcID) == string(l.ResourceID)
	case FlowLogSubnet:
		return string(n.SubnetID) == string(l.ResourceID)
	}
	return string(n.ID) == string(l.ResourceID)
}

// dropFlowLogs deletes the flow logs of a resource that goes.
func (tx *Tx) dropFlowLogs(resource string) {
	for id, l := range tx.FlowLogs.All() {
		if string(l.ResourceID) == resource {
			tx.FlowLogs.Delete(id)
		}
	}
}

type DeleteFlowLogsInput struct {
	FlowLogIds []FlowLogID
	DryRun     bool
}

type DeleteFlowLogsOutput struct {
	Unsuccessful []UnsuccessfulItem `json:"Unsuccessful"`
}

// DeleteFlowLogs deletes flow logs, all of them or none. What they wrote stays.
func (tx *Tx) DeleteFlowLogs(in *DeleteFlowLogsInput) (*DeleteFlowLogsOutput, error) {
	if len(in.FlowLogIds) == 0 {
		return nil, errMissing("flowLogIds")
	}
	if _, err := findAll(&tx.FlowLogs, in.FlowLogIds); err != nil {
		return nil, err
	}
	for _, id := range in.FlowLogIds {
		tx.FlowLogs.Delete(id)
	}
	return &DeleteFlowLogsOutput{[]UnsuccessfulItem{}}, nil
}
