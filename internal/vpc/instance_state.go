package vpc

// InstanceState is a state and its code (IN-01).
type InstanceState struct {
	Code int    `json:"Code"`
	Name string `json:"Name"`
}

// InstanceStateChange tells what an operation made of an instance.
type InstanceStateChange struct {
	CurrentState  InstanceState `json:"CurrentState"`
	InstanceId    InstanceID    `json:"InstanceId"`
	PreviousState InstanceState `json:"PreviousState"`
}

// StartInstancesInput and the other types below have the members of the EC2 API.
type StartInstancesInput struct {
	InstanceIds []InstanceID
	DryRun      bool
}

type StartInstancesOutput struct {
	StartingInstances []InstanceStateChange `json:"StartingInstances"`
}

type StopInstancesInput struct {
	InstanceIds []InstanceID
	Force       bool
	DryRun      bool
}

type StopInstancesOutput struct {
	StoppingInstances []InstanceStateChange `json:"StoppingInstances"`
}

type RebootInstancesInput struct {
	InstanceIds []InstanceID
	DryRun      bool
}

type RebootInstancesOutput struct{}

type TerminateInstancesInput struct {
	InstanceIds []InstanceID
	DryRun      bool
}

type TerminateInstancesOutput struct {
	TerminatingInstances []InstanceStateChange `json:"TerminatingInstances"`
}
