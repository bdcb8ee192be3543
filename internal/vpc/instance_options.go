package vpc

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// InstanceOptions are settings of an instance that mean nothing in a lab, and that clients read
// back.
type InstanceOptions struct {
	Monitoring   bool
	EbsOptimized bool
	CpuCredits   string // standard, unlimited; "": as the type has it
	// The instance profile by its ARN, and the association's ID. A lab has no IAM: it is only told.
	ProfileArn           string
	ProfileAssociationID string
	Hardware             InstanceHardware `json:",omitzero"`
}

// RunInstancesMonitoringEnabled and the types below have the members of the EC2 API.
type RunInstancesMonitoringEnabled struct {
	Enabled *bool
}

type CreditSpecificationRequest struct {
	CpuCredits string
}

type IamInstanceProfileSpecification struct {
	Arn  string
	Name string
}

type IamInstanceProfile struct {
	Arn string `json:"Arn"`
	Id  string `json:"Id"`
}

// instanceOptions are those of a launch.
func (tx *Tx) instanceOptions(in *RunInstancesInput) (InstanceOptions, error) {
	o := InstanceOptions{EbsOptimized: valueOr(in.EbsOptimized, false)}
	if in.Monitoring != nil {
		o.Monitoring = valueOr(in.Monitoring.Enabled, false)
	}
	if in.CreditSpecification != nil {
		if o.CpuCredits = in.CreditSpecification.CpuCredits; !isCredit(o.CpuCredits) {
			return o, errValue(o.CpuCredits, "cpuCredits", "It is standard or unlimited.")
		}
	}
	if p := in.IamInstanceProfile; p != nil && (p.Arn != "" || p.Name != "") {
		var err error
		if o.ProfileArn, err = tx.profileArn(p); err != nil {
			return o, err
		}
	}
	return o, nil
}

func isCredit(s string) bool { return s == "standard" || s == "unlimited" }

func (i *Instance) monitoring() Monitoring {
	if i.Options.Monitoring {
		return Monitoring{"enabled"}
	}
	return Monitoring{"disabled"}
}

func (i *Instance) profile() *IamInstanceProfile {
	if i.Options.ProfileArn == "" {
		return nil
	}
	// An ID that belongs to the ARN, in AWS's form.
	return &IamInstanceProfile{i.Options.ProfileArn, "AIPA" + strings.ToUpper(strings.TrimPrefix(i.Options.ProfileAssociationID, "iip-assoc-"))}
}

// credits is what a burstable instance may do beyond its baseline; "" for other types (EC2 User
// Guide, Burstable performance instances: T2 is standard by default, the others unlimited).
func (i *Instance) credits() string {
	switch family, _, _ := strings.Cut(i.InstanceType, "."); family {
	case "t2":
		return cmp.Or(i.Options.CpuCredits, "standard")
	case "t3", "t3a", "t4g":
		return cmp.Or(i.Options.CpuCredits, "unlimited")
	}
	return ""
}

type MonitorInstancesInput struct {
	InstanceIds []InstanceID
	DryRun      bool
}

type MonitorInstancesOutput struct {
	InstanceMonitorings []InstanceMonitoring `json:"InstanceMonitorings"`
}

type InstanceMonitoring struct {
	InstanceId InstanceID `json:"InstanceId"`
	Monitoring Monitoring `json:"Monitoring"`
}

// MonitorInstances notes that instances are to be monitored in detail. Nothing does so.
func (tx *Tx) MonitorInstances(in *MonitorInstancesInput) (*MonitorInstancesOutput, error) {
	list, err := tx.monitor(in.InstanceIds, true)
	return &MonitorInstancesOutput{list}, err
}

type UnmonitorInstancesInput struct {
	InstanceIds []InstanceID
	DryRun      bool
}

type UnmonitorInstancesOutput struct {
	InstanceMonitorings []InstanceMonitoring `json:"InstanceMonitorings"`
}

// UnmonitorInstances takes that back.
func (tx *Tx) UnmonitorInstances(in *UnmonitorInstancesInput) (*UnmonitorInstancesOutput, error) {
	list, err := tx.monitor(in.InstanceIds, false)
	return &UnmonitorInstancesOutput{list}, err
}

func (tx *Tx) monitor(ids []InstanceID, on bool) (list []InstanceMonitoring, err error) {
	if len(ids) == 0 {
		return nil, errMissing("InstanceId")
	}
	return list, tx.attempt(func() error {
		for _, id := range ids {
			i, err := tx.liveInstance(id)
			if err != nil {
				return err
			}
			c := *i
			c.Options.Monitoring = on
			tx.Instances.Put(id, &c)
			list = append(list, InstanceMonitoring{id, c.monitoring()})
		}
		return nil
	})
}

type DescribeInstanceCreditSpecificationsInput struct {
	InstanceIds []InstanceID
	Filters     []Filter
	MaxResults  *int
	NextToken   string
	DryRun      bool
}

type DescribeInstanceCreditSpecificationsOutput struct {
	InstanceCreditSpecifications []InstanceCreditSpecification `json:"InstanceCreditSpecifications"`
	NextToken                    string                        `json:"NextToken,omitempty"`
}

type InstanceCreditSpecification struct {
	InstanceId InstanceID `json:"InstanceId"`
	CpuCredits string     `json:"CpuCredits"`
}

var creditFilters = filterSet[Instance]{
	"instance-id": func(_ *Model, i *Instance) []string { return one(i.ID) },
}

// DescribeInstanceCreditSpecifications lists instances of burstable types: those named, or else
// those that are unlimited.
func (tx *Tx) DescribeInstanceCreditSpecifications(in *DescribeInstanceCreditSpecificationsInput) (*DescribeInstanceCreditSpecificationsOutput, error) {
	found, next, err := describe(tx, &tx.Instances, in.InstanceIds, creditFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	out := &DescribeInstanceCreditSpecificationsOutput{InstanceCreditSpecifications: []InstanceCreditSpecification{}, NextToken: next}
	for _, i := range found {
		credits := i.credits()
		if credits == "unlimited" || credits != "" && len(in.InstanceIds)+len(in.Filters) > 0 {
			out.InstanceCreditSpecifications = append(out.InstanceCreditSpecifications, InstanceCreditSpecification{i.ID, credits})
		}
	}
	return out, nil
}

type ModifyInstanceCreditSpecificationInput struct {
	InstanceCreditSpecifications []InstanceCreditSpecificationRequest
	ClientToken                  string
	DryRun                       bool
}

type InstanceCreditSpecificationRequest struct {
	InstanceId InstanceID
	CpuCredits string
}

type ModifyInstanceCreditSpecificationOutput struct {
	SuccessfulInstanceCreditSpecifications   []SuccessfulInstanceCreditSpecification   `json:"SuccessfulInstanceCreditSpecifications"`
	UnsuccessfulInstanceCreditSpecifications []UnsuccessfulInstanceCreditSpecification `json:"UnsuccessfulInstanceCreditSpecifications"`
}

type SuccessfulInstanceCreditSpecification struct {
	InstanceId InstanceID `json:"InstanceId"`
}

type UnsuccessfulInstanceCreditSpecification struct {
	InstanceId InstanceID        `json:"InstanceId"`
	Error      UnsuccessfulError `json:"Error"`
}

type UnsuccessfulError struct {
	Code    string `json:"Code"`
	Message string `json:"Message"`
}

// ModifyInstanceCreditSpecification changes instances one by one, and tells of each.
func (tx *Tx) ModifyInstanceCreditSpecification(in *ModifyInstanceCreditSpecificationInput) (*ModifyInstanceCreditSpecificationOutput, error) {
	if len(in.InstanceCreditSpecifications) == 0 {
		return nil, errMissing("InstanceCreditSpecification")
	}
	out := &ModifyInstanceCreditSpecificationOutput{[]SuccessfulInstanceCreditSpecification{}, []UnsuccessfulInstanceCreditSpecification{}}
	for _, s := range in.InstanceCreditSpecifications {
		if err := tx.setCredits(s); err != nil {
			out.UnsuccessfulInstanceCreditSpecifications = append(out.UnsuccessfulInstanceCreditSpecifications, UnsuccessfulInstanceCreditSpecification{s.InstanceId, UnsuccessfulError{errorCode(err), err.Error()}})
		} else {
			out.SuccessfulInstanceCreditSpecifications = append(out.SuccessfulInstanceCreditSpecifications, SuccessfulInstanceCreditSpecification{s.InstanceId})
		}
	}
	return out, nil
}

func (tx *Tx) setCredits(s InstanceCreditSpecificationRequest) error {
	i, err := tx.liveInstance(s.InstanceId)
	switch {
	case err != nil:
		return err
	case !isCredit(s.CpuCredits):
		return errValue(s.CpuCredits, "cpuCredits", "It is standard or unlimited.")
	case i.credits() == "":
		return errorf("InstanceCreditSpecification.NotSupported", "The specified instance '%s' does not support CPU credits.", i.ID)
	}
	c := *i
	c.Options.CpuCredits = s.CpuCredits
	tx.Instances.Put(c.ID, &c)
	return nil
}

type DescribeIamInstanceProfileAssociationsInput struct {
	AssociationIds []string
	Filters        []Filter
	MaxResults     *int
	NextToken      string
}

type DescribeIamInstanceProfileAssociationsOutput struct {
	IamInstanceProfileAssociations []IamInstanceProfileAssociation `json:"IamInstanceProfileAssociations"`
	NextToken                      string                          `json:"NextToken,omitempty"`
}

type IamInstanceProfileAssociation struct {
	AssociationId      string             `json:"AssociationId"`
	IamInstanceProfile IamInstanceProfile `json:"IamInstanceProfile"`
	InstanceId         InstanceID         `json:"InstanceId"`
	State              string             `json:"State"`
	Timestamp          time.Time          `json:"Timestamp"`
}

var profileFilters = filterSet[Instance]{
	"instance-id": func(_ *Model, i *Instance) []string { return one(i.ID) },
	"state":       func(*Model, *Instance) []string { return one("associated") },
}

// DescribeIamInstanceProfileAssociations lists the instances that have a profile.
func (tx *Tx) DescribeIamInstanceProfileAssociations(in *DescribeIamInstanceProfileAssociationsInput) (*DescribeIamInstanceProfileAssociationsOutput, error) {
	found, _, err := describe(tx, &tx.Instances, nil, profileFilters, in.Filters, paging{})
	if err != nil {
		return nil, err
	}
	list := []IamInstanceProfileAssociation{}
	ids := map[string]bool{}
	for _, id := range in.AssociationIds {
		ids[id] = true
	}
	for _, i := range found {
		if i.profile() == nil || i.State == StateTerminated || len(ids) > 0 && !ids[i.Options.ProfileAssociationID] {
			continue
		}
		delete(ids, i.Options.ProfileAssociationID)
		list = append(list, i.association("associated", i.LaunchTime))
		if len(in.AssociationIds) > 0 && len(ids) == 0 {
			break
		}
	}
	if id := slices.Sorted(maps.Keys(ids)); len(id) > 0 {
		return nil, errNoAssociation(id[0])
	}
	list, next, err := page(list, paging{in.MaxResults, in.NextToken, 5, 1000}, func(a IamInstanceProfileAssociation) string { return string(a.InstanceId) })
	return &DescribeIamInstanceProfileAssociationsOutput{list, next}, err
}

// profileArn is that of a profile named by it or by its name, whether it exists or not: a lab has no IAM.
func (tx *Tx) profileArn(p *IamInstanceProfileSpecification) (string, error) {
	if p == nil || p.Arn == "" && p.Name == "" {
		return "", errMissing("iamInstanceProfile")
	}
	arn := cmp.Or(p.Arn, "arn:"+Partition(tx.Region)+":iam::"+tx.Account+":instance-profile/"+p.Name)
	if !strings.Contains(arn, ":instance-profile/") {
		return "", errValue(arn, "iamInstanceProfile.arn", "Invalid IAM Instance Profile ARN")
	}
	return arn, nil
}

// AssociateIamInstanceProfileInput and the types below have the members of the EC2 API.
type AssociateIamInstanceProfileInput struct {
	IamInstanceProfile *IamInstanceProfileSpecification
	InstanceId         InstanceID
}

type AssociateIamInstanceProfileOutput struct {
	IamInstanceProfileAssociation IamInstanceProfileAssociation `json:"IamInstanceProfileAssociation"`
}

type ReplaceIamInstanceProfileAssociationInput struct {
	IamInstanceProfile *IamInstanceProfileSpecification
	AssociationId      string
}

type ReplaceIamInstanceProfileAssociationOutput struct {
	IamInstanceProfileAssociation IamInstanceProfileAssociation `json:"IamInstanceProfileAssociation"`
}

type DisassociateIamInstanceProfileInput struct {
	AssociationId string
}

type DisassociateIamInstanceProfileOutput struct {
	IamInstanceProfileAssociation IamInstanceProfileAssociation `json:"IamInstanceProfileAssociation"`
}

// AssociateIamInstanceProfile gives a running or stopped instance that has none a profile, which is told and means
// nothing here.
func (tx *Tx) AssociateIamInstanceProfile(in *AssociateIamInstanceProfileInput) (*AssociateIamInstanceProfileOutput, error) {
	i, err := find(&tx.Instances, in.InstanceId)
	switch {
	case err != nil:
		return nil, err
	case !i.in(StatePending, StateRunning, StateStopping, StateStopped):
		return nil, errorf("IncorrectInstanceState", "The instance '%s' is not in the 'running' or 'stopped' states.", i.ID)
	case i.Options.ProfileArn != "":
		return nil, errorf("IncorrectState", "There is an existing association for instance %s", i.ID)
	}
	a, err := tx.giveProfile(i, in.IamInstanceProfile)
	if err != nil {
		return nil, err
	}
	return &AssociateIamInstanceProfileOutput{a}, nil
}

// ReplaceIamInstanceProfileAssociation gives the instance of an association another profile, by a new association.
func (tx *Tx) ReplaceIamInstanceProfileAssociation(in *ReplaceIamInstanceProfileAssociationInput) (*ReplaceIamInstanceProfileAssociationOutput, error) {
	i, err := tx.profiled(in.AssociationId)
	if err != nil {
		return nil, err
	}
	a, err := tx.giveProfile(i, in.IamInstanceProfile)
	if err != nil {
		return nil, err
	}
	return &ReplaceIamInstanceProfileAssociationOutput{a}, nil
}

// DisassociateIamInstanceProfile takes the profile from the instance of an association.
func (tx *Tx) DisassociateIamInstanceProfile(in *DisassociateIamInstanceProfileInput) (*DisassociateIamInstanceProfileOutput, error) {
	i, err := tx.profiled(in.AssociationId)
	if err != nil {
		return nil, err
	}
	a := i.association("disassociating", tx.Call.Now)
	c := *i
	c.Options.ProfileArn, c.Options.ProfileAssociationID = "", ""
	tx.Instances.Put(c.ID, &c)
	return &DisassociateIamInstanceProfileOutput{a}, nil
}

// profiled is the instance with the association.
func (tx *Tx) profiled(id string) (*Instance, error) {
	if id == "" {
		return nil, errMissing("associationId")
	}
	for _, i := range tx.Instances.All() {
		if i.Options.ProfileAssociationID == id && i.State != StateTerminated {
			return i, nil
		}
	}
	return nil, errNoAssociation(id)
}

func errNoAssociation(id string) error {
	return errorf("InvalidAssociationID.NotFound", "An invalid association-id of '%s' was given", id)
}

func (tx *Tx) giveProfile(i *Instance, p *IamInstanceProfileSpecification) (IamInstanceProfileAssociation, error) {
	arn, err := tx.profileArn(p)
	if err != nil {
		return IamInstanceProfileAssociation{}, err
	}
	c := *i
	c.Options.ProfileArn, c.Options.ProfileAssociationID = arn, tx.Call.NewID("iip-assoc-")
	tx.Instances.Put(c.ID, &c)
	return c.association("associating", tx.Call.Now), nil
}

// association is that of the instance with its profile.
func (i *Instance) association(state string, since time.Time) IamInstanceProfileAssociation {
	return IamInstanceProfileAssociation{i.Options.ProfileAssociationID, *i.profile(), i.ID, state, since}
}

type DescribeVpcBlockPublicAccessOptionsInput struct {
	DryRun bool
}

type DescribeVpcBlockPublicAccessOptionsOutput struct {
	VpcBlockPublicAccessOptions VpcBlockPublicAccessOptions `json:"VpcBlockPublicAccessOptions"`
}

type VpcBlockPublicAccessOptions struct {
	AwsAccountId             string `json:"AwsAccountId"`
	AwsRegion                string `json:"AwsRegion"`
	State                    string `json:"State"`
	InternetGatewayBlockMode string `json:"InternetGatewayBlockMode"`
	ManagedBy                string `json:"ManagedBy"`
	ExclusionsAllowed        string `json:"ExclusionsAllowed"`
}

// DescribeVpcBlockPublicAccessOptions tells that nothing is blocked, as in a fresh account.
func (tx *Tx) DescribeVpcBlockPublicAccessOptions(*DescribeVpcBlockPublicAccessOptionsInput) (*DescribeVpcBlockPublicAccessOptionsOutput, error) {
	return &DescribeVpcBlockPublicAccessOptionsOutput{VpcBlockPublicAccessOptions{tx.Account, tx.Region, "default-state", "off", "account", "allowed"}}, nil
}
