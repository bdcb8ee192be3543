package ssm

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

type commandInfo struct {
	CommandId              string
	DocumentName           string
	DocumentVersion        string
	Comment                string
	ExpiresAfter           epoch
	Parameters             map[string][]string
	InstanceIds            []string
	Targets                []target
	RequestedDateTime      epoch
	Status                 string
	StatusDetails          string
	OutputS3BucketName     string
	OutputS3KeyPrefix      string
	MaxConcurrency         string
	MaxErrors              string
	TargetCount            int
	CompletedCount         int
	ErrorCount             int
	DeliveryTimedOutCount  int
	ServiceRole            string
	NotificationConfig     struct{}
	CloudWatchOutputConfig struct{ CloudWatchOutputEnabled bool }
	TimeoutSeconds         int
}

// info is the command now: it is what the worst of its invocations is, once all have ended.
func (c *command) info() commandInfo {
	i := commandInfo{CommandId: c.id, DocumentName: c.document, Comment: c.comment, Parameters: c.parameters, InstanceIds: nonNil(c.instances),
		Targets: nonNil(c.targets), RequestedDateTime: epoch(c.requested), ExpiresAfter: epoch(c.requested.Add(time.Duration(c.timeout)*time.Second + c.limit)),
		MaxConcurrency: "50", MaxErrors: "0", TargetCount: len(c.invocations), TimeoutSeconds: c.timeout, Status: pending}
	worst := success
	for _, v := range c.invocations {
		v.mu.Lock()
		status, ended := v.status, !v.ended.IsZero()
		v.mu.Unlock()
		if ended {
			i.CompletedCount++
		}
		switch status {
		case failed, timedOut:
			i.ErrorCount++
			worst = status
		case cancelled:
			if worst == success {
				worst = status
			}
		case inProgress:
			i.Status = inProgress
		}
	}
	if i.CompletedCount == i.TargetCount {
		i.Status = worst
	} else if i.CompletedCount > 0 {
		i.Status = inProgress
	}
	i.StatusDetails = details(i.Status)
	return i
}

// details is how a command's status is put in StatusDetails.
func details(status string) string {
	if status == timedOut {
		return "ExecutionTimedOut"
	}
	return status
}

// details are the same of an invocation, which may not have begun. v.mu is held.
func (v *invocation) details() string {
	if v.status == timedOut && v.began.IsZero() {
		return "DeliveryTimedOut"
	}
	return details(v.status)
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (s *Server) find(region, id string) *command {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.commands[id]; c != nil && c.region == region {
		return c
	}
	return nil
}

// all are the commands of a Region, the latest first.
func (s *Server) all(region string) []*command {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*command
	for _, c := range slices.Backward(s.order) {
		if c.region == region {
			list = append(list, c)
		}
	}
	return list
}

const plugin = "aws:runShellScript"

type getCommandInvocationInput struct{ CommandId, InstanceId, PluginName string }

type getCommandInvocationOutput struct {
	CommandId, InstanceId, Comment, DocumentName, DocumentVersion, PluginName        string
	ResponseCode                                                                     int
	ExecutionStartDateTime, ExecutionElapsedTime, ExecutionEndDateTime               string
	Status, StatusDetails                                                            string
	StandardOutputContent, StandardOutputUrl, StandardErrorContent, StandardErrorUrl string
	CloudWatchOutputConfig                                                           struct{ CloudWatchOutputEnabled bool }
}

func (s *Server) getCommandInvocation(region string, in *getCommandInvocationInput) (*getCommandInvocationOutput, error) {
	if in.CommandId == "" || in.InstanceId == "" {
		return nil, invalid("CommandId and InstanceId are required.")
	}
	if in.PluginName != "" && in.PluginName != plugin {
		return nil, errorf("InvalidPluginName", "The plugin %q is not part of the command: it has %s.", in.PluginName, plugin)
	}
	c := s.find(region, in.CommandId)
	if c == nil {
		return nil, errorf("InvocationDoesNotExist", "The command %s was not sent, or long ago.", in.CommandId)
	}
	i := slices.IndexFunc(c.invocations, func(v *invocation) bool { return v.instance == in.InstanceId })
	if i < 0 {
		return nil, errorf("InvocationDoesNotExist", "The command %s was not sent to %s.", in.CommandId, in.InstanceId)
	}
	return c.invocations[i].answer(), nil
}

func (v *invocation) answer() *getCommandInvocationOutput {
	v.mu.Lock()
	defer v.mu.Unlock()
	o := &getCommandInvocationOutput{CommandId: v.of.id, InstanceId: v.instance, Comment: v.of.comment, DocumentName: v.of.document,
		DocumentVersion: "$DEFAULT", PluginName: plugin, ResponseCode: v.exit, Status: v.status, StatusDetails: v.details()}
	if !v.began.IsZero() {
		o.ExecutionStartDateTime = v.began.UTC().Format(timeForm)
		o.ExecutionElapsedTime = "PT0S"
	}
	if !v.ended.IsZero() {
		o.StandardOutputContent, o.StandardErrorContent = v.stdout.text(), v.stderr.text()
		if !v.began.IsZero() {
			o.ExecutionEndDateTime = v.ended.UTC().Format(timeForm)
			o.ExecutionElapsedTime = fmt.Sprintf("PT%gS", v.ended.Sub(v.began).Round(time.Millisecond).Seconds())
		}
	}
	return o
}

const timeForm = "2006-01-02T15:04:05.000Z"

type filter struct {
	Key, Value string // of commands and invocations: lower case on the wire
}

type listCommandInvocationsInput struct {
	CommandId, InstanceId string
	MaxResults            *int
	NextToken             string
	Filters               []filter
	Details               bool
}

type listCommandInvocationsOutput struct {
	CommandInvocations []invocationInfo
	NextToken          string `json:",omitempty"`
}

type invocationInfo struct {
	CommandId, InstanceId, InstanceName, Comment, DocumentName, DocumentVersion string
	RequestedDateTime                                                           epoch
	Status, StatusDetails, StandardOutputUrl, StandardErrorUrl                  string
	CommandPlugins                                                              []pluginInfo
	ServiceRole                                                                 string
}

type pluginInfo struct {
	Name, Status, StatusDetails                 string
	ResponseCode                                int
	ResponseStartDateTime                       *epoch `json:",omitempty"`
	ResponseFinishDateTime                      *epoch `json:",omitempty"`
	Output, StandardOutputUrl, StandardErrorUrl string
}

func (s *Server) listCommandInvocations(region string, in *listCommandInvocationsInput) (*listCommandInvocationsOutput, error) {
	if in.CommandId != "" && s.find(region, in.CommandId) == nil {
		return nil, errorf("InvalidCommandId", "The command %s was not sent, or long ago.", in.CommandId)
	}
	list := []invocationInfo{}
	for _, c := range s.all(region) {
		for _, v := range c.invocations {
			info := v.info(in.Details)
			ok, err := passes(in.Filters, c, info.Status)
			if err != nil {
				return nil, err
			}
			if ok && (in.CommandId == "" || in.CommandId == c.id) && (in.InstanceId == "" || in.InstanceId == v.instance) {
				list = append(list, info)
			}
		}
	}
	page, next, err := cut(list, in.MaxResults, in.NextToken)
	return &listCommandInvocationsOutput{page, next}, err
}

func (v *invocation) info(withPlugins bool) invocationInfo {
	v.mu.Lock()
	defer v.mu.Unlock()
	i := invocationInfo{CommandId: v.of.id, InstanceId: v.instance, InstanceName: v.name, Comment: v.of.comment, DocumentName: v.of.document,
		DocumentVersion: "$DEFAULT", RequestedDateTime: epoch(v.of.requested), Status: v.status, StatusDetails: v.details(), CommandPlugins: []pluginInfo{}}
	if withPlugins {
		p := pluginInfo{Name: plugin, Status: v.status, StatusDetails: v.details(), ResponseCode: v.exit}
		if !v.began.IsZero() {
			p.ResponseStartDateTime = (*epoch)(&v.began)
		}
		if !v.ended.IsZero() {
			p.ResponseFinishDateTime = (*epoch)(&v.ended)
			p.Output = v.stdout.text()
			if e := v.stderr.text(); e != "" {
				p.Output += "\n----------ERROR-------\n" + e
			}
			p.Output = p.Output[:min(len(p.Output), 2500)]
		}
		i.CommandPlugins = append(i.CommandPlugins, p)
	}
	return i
}

// passes tells whether a command or invocation with a status passes filters.
func passes(filters []filter, c *command, status string) (bool, error) {
	for _, f := range filters {
		ok := false
		switch f.Key {
		case "Status":
			ok = f.Value == status
		case "DocumentName":
			ok = f.Value == c.document
		case "InvokedAfter", "InvokedBefore":
			at, err := time.Parse(time.RFC3339, f.Value)
			if err != nil {
				return false, errorf("InvalidFilterKey", "%s must be a time such as 2026-01-02T03:04:05Z.", f.Key)
			}
			ok = c.requested.After(at) == (f.Key == "InvokedAfter")
		default:
			return false, errorf("InvalidFilterKey", "The filter %q is not valid.", f.Key)
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

// cut takes a page out of a list. A token is the place of the next one.
func cut[T any](list []T, most *int, token string) ([]T, string, error) {
	from := 0
	if token != "" {
		b, err := base64.RawURLEncoding.DecodeString(token)
		if err == nil {
			from, err = strconv.Atoi(string(b))
		}
		if err != nil || from < 0 {
			return nil, "", errorf("InvalidNextToken", "The token is not valid.")
		}
	}
	size := 50
	if most != nil {
		if *most < 1 || *most > 50 {
			return nil, "", invalid("MaxResults must be between 1 and 50.")
		}
		size = *most
	}
	list = list[min(from, len(list)):]
	if len(list) <= size {
		return list, "", nil
	}
	return list[:size], base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(from + size))), nil
}

type listCommandsInput listCommandInvocationsInput

type listCommandsOutput struct {
	Commands  []commandInfo
	NextToken string `json:",omitempty"`
}

func (s *Server) listCommands(region string, in *listCommandsInput) (*listCommandsOutput, error) {
	list := []commandInfo{}
	for _, c := range s.all(region) {
		info := c.info()
		ok, err := passes(in.Filters, c, info.Status)
		if err != nil {
			return nil, err
		}
		to := in.InstanceId == "" || slices.ContainsFunc(c.invocations, func(v *invocation) bool { return v.instance == in.InstanceId })
		if ok && to && (in.CommandId == "" || in.CommandId == c.id) {
			list = append(list, info)
		}
	}
	page, next, err := cut(list, in.MaxResults, in.NextToken)
	return &listCommandsOutput{page, next}, err
}

type cancelCommandInput struct {
	CommandId   string
	InstanceIds []string
}

func (s *Server) cancelCommand(region string, in *cancelCommandInput) (*struct{}, error) {
	c := s.find(region, in.CommandId)
	if c == nil {
		return nil, errorf("InvalidCommandId", "The command %s was not sent, or long ago.", in.CommandId)
	}
	for _, v := range c.invocations {
		if len(in.InstanceIds) == 0 || slices.Contains(in.InstanceIds, v.instance) {
			v.cancel(errCancelled)
		}
	}
	return &struct{}{}, nil
}

type describeInstanceInformationInput struct {
	Filters                       []target
	InstanceInformationFilterList []struct {
		Key      string   `json:"key"`
		ValueSet []string `json:"valueSet"`
	}
	MaxResults *int
	NextToken  string
}

type describeInstanceInformationOutput struct {
	InstanceInformationList []instanceInformation
	NextToken               string `json:",omitempty"`
}

type instanceInformation struct {
	InstanceId, PingStatus                                            string
	LastPingDateTime                                                  epoch
	AgentVersion                                                      string
	IsLatestVersion                                                   bool
	PlatformType, PlatformName, ResourceType, IPAddress, ComputerName string
}

// describeInstanceInformation lists the instances that run: each is managed.
func (s *Server) describeInstanceInformation(region string, in *describeInstanceInformationInput) (*describeInstanceInformationOutput, error) {
	filters := slices.Clone(in.Filters)
	for _, f := range in.InstanceInformationFilterList {
		filters = append(filters, target{f.Key, f.ValueSet})
	}
	list := []instanceInformation{}
	for _, i := range s.b.Instances(region) {
		ok, err := listed(i, filters)
		if err != nil {
			return nil, err
		}
		if ok && i.Running {
			list = append(list, instanceInformation{InstanceId: i.ID, PingStatus: "Online", LastPingDateTime: epoch(time.Now()), AgentVersion: "3.3.0.0",
				IsLatestVersion: true, PlatformType: "Linux", PlatformName: "vpcemu", ResourceType: "EC2Instance", IPAddress: i.Address, ComputerName: i.Name})
		}
	}
	page, next, err := cut(list, in.MaxResults, in.NextToken)
	return &describeInstanceInformationOutput{page, next}, err
}

func listed(i Instance, filters []target) (bool, error) {
	for _, f := range filters {
		var has string
		switch f.Key {
		case "InstanceIds":
			has = i.ID
		case "PingStatus":
			has = "Online"
		case "PlatformTypes":
			has = "Linux"
		case "ResourceType":
			has = "EC2Instance"
		case "AgentVersion":
			has = "3.3.0.0"
		default:
			key, isTag := strings.CutPrefix(f.Key, "tag:")
			if f.Key == "tag-key" {
				if !slices.ContainsFunc(f.Values, func(k string) bool { _, ok := i.Tags[k]; return ok }) {
					return false, nil
				}
				continue
			}
			value, tagged := i.Tags[key]
			if !isTag {
				return false, errorf("InvalidInstanceInformationFilterValue", "The filter %q is not valid.", f.Key)
			}
			if !tagged {
				return false, nil
			}
			has = value
		}
		if !slices.Contains(f.Values, has) {
			return false, nil
		}
	}
	return true, nil
}
