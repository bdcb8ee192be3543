package vpc

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

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

var stateCodes = map[string]int{StatePending: 0, StateRunning: 16, StateShuttingDown: 32, StateTerminated: 48, StateStopping: 64, StateStopped: 80}

func stateOf(name string) InstanceState { return InstanceState{stateCodes[name], name} }

// Reasons of states, code and message.
const (
	ReasonUserInitiated     = "Client.UserInitiatedShutdown: User initiated shutdown"
	ReasonInstanceInitiated = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
	ReasonInternalError     = "Server.InternalError: Internal error on launch"
)

// userInitiated is the state transition reason of what a user asked for.
func userInitiated(now time.Time) string {
	return "User initiated (" + now.UTC().Format("2006-01-02 15:04:05") + " GMT)"
}

// changeStates looks up the instances, refuses the whole request if allowed does
// one of them, and then changes those that change wants changed.
func (tx *Tx) changeStates(ids []InstanceID, allowed func(*Instance) error, change func(*Instance) error) ([]InstanceStateChange, error) {
	if len(ids) == 0 {
		return nil, errorf("InvalidParameterCombination", "No instances specified")
	}
	found, err := findAll(&tx.Instances, ids)
	if err != nil {
		return nil, err
	}
	var was []*Instance
	for _, i := range found {
		if err := allowed(i); err != nil {
			return nil, err
		}
		if !slices.Contains(was, i) {
			was = append(was, i)
		}
	}
	list := []InstanceStateChange{}
	err = tx.attempt(func() error {
		for _, old := range was {
			i := *old
			if err := change(&i); err != nil {
				return err
			}
			if i.State != old.State || i.BootID != old.BootID {
				tx.Instances.Put(i.ID, &i)
			}
			list = append(list, InstanceStateChange{CurrentState: stateOf(i.State), InstanceId: i.ID, PreviousState: stateOf(old.State)})
		}
		return nil
	})
	return list, err
}

func errState(i *Instance, verb string) error {
	return errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s. (%s)", i.ID, verb, i.State)
}

// in tells whether the instance is in one of the states.
func (i *Instance) in(states ...string) bool { return slices.Contains(states, i.State) }

// StartInstances starts stopped instances: they are pending until the host has
// made a new sandbox on the old disk. Addresses stay, but the automatic public
// one is new (IN-02, PI-02, PI-03). One that runs already is left alone.
func (tx *Tx) StartInstances(in *StartInstancesInput) (*StartInstancesOutput, error) {
	list, err := tx.changeStates(in.InstanceIds, func(i *Instance) error {
		if !i.in(StateStopped, StatePending, StateRunning) {
			return errState(i, "started")
		}
		return nil
	}, func(i *Instance) error {
		if i.State != StateStopped {
			return nil
		}
		i.State, i.StateReason, i.StateTransitionReason = StatePending, "", ""
		i.LaunchTime, i.BootID, i.Due = tx.Call.Now, i.BootID+1, tx.due(delayInstanceRun)
		tx.Instances.Put(i.ID, new(*i))
		for _, n := range tx.InstanceInterfaces(i.ID) {
			c := n.change()
			if err := tx.givePublic(c); err != nil {
				return err
			}
			tx.NetworkInterfaces.Put(c.ID, c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &StartInstancesOutput{list}, nil
}

// StopInstances asks running instances to stop: they are stopping until the host
// tells that they have (InstanceStopped). One that is stopped is left alone.
func (tx *Tx) StopInstances(in *StopInstancesInput) (*StopInstancesOutput, error) {
	list, err := tx.changeStates(in.InstanceIds, func(i *Instance) error {
		switch {
		case !i.in(StateRunning, StateStopping, StateStopped):
			return errState(i, "stopped")
		case i.DisableApiStop && i.State == StateRunning:
			return errorf("OperationNotPermitted", "The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", i.ID)
		}
		return nil
	}, func(i *Instance) error {
		if i.State == StateRunning {
			i.State, i.StateReason, i.StateTransitionReason = StateStopping, ReasonUserInitiated, userInitiated(tx.Call.Now)
			i.Due = tx.due(delayInstanceStop)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &StopInstancesOutput{list}, nil
}

// RebootInstances reboots running instances, which stay in state running and
// keep everything (IN-01); the host sees the new BootID. Terminated ones are ignored (API
// Reference, RebootInstances).
func (tx *Tx) RebootInstances(in *RebootInstancesInput) (*RebootInstancesOutput, error) {
	_, err := tx.changeStates(in.InstanceIds, func(i *Instance) error {
		if i.State != StateRunning && i.State != StateTerminated {
			return errState(i, "rebooted")
		}
		return nil
	}, func(i *Instance) error {
		if i.State != StateTerminated {
			i.BootID++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &RebootInstancesOutput{}, nil
}

// TerminateInstances ends instances: they are shutting down until the host tells
// that they are gone (InstanceTerminated). Termination protection refuses (IN-04): neither the
// instance ends nor others that the call names in its zone. Those in other zones do, and the
// error tells of it as Partial (API Reference, TerminateInstances). Doing it again succeeds.
func (tx *Tx) TerminateInstances(in *TerminateInstancesInput) (*TerminateInstancesOutput, error) {
	protected := map[string]bool{} // zones
	var refused *Error
	list, err := tx.changeStates(in.InstanceIds, func(i *Instance) error {
		if i.DisableApiTermination && !i.ended() {
			protected[tx.instanceZone(i)] = true
			refused = cmp.Or(refused, errorf("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", i.ID))
		}
		return nil
	}, func(i *Instance) error {
		if !i.ended() && !protected[tx.instanceZone(i)] {
			i.State, i.StateReason, i.StateTransitionReason = StateShuttingDown, ReasonUserInitiated, userInitiated(tx.Call.Now)
			i.Due = tx.due(delayInstanceEnd)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if refused != nil {
		refused.Partial = slices.ContainsFunc(list, func(c InstanceStateChange) bool { return c.CurrentState != c.PreviousState })
		return nil, refused
	}
	return &TerminateInstancesOutput{list}, nil
}

// ended tells whether the instance is terminated or about to be.
func (i *Instance) ended() bool { return i.in(StateShuttingDown, StateTerminated) }

// releasePublic takes the automatic public addresses from the instance (PI-02).
func (tx *Tx) releasePublic(id InstanceID) {
	for _, n := range tx.InstanceInterfaces(id) {
		if n.PublicIp.IsValid() {
			c := n.change()
			c.PublicIp = netip.Addr{}
			tx.NetworkInterfaces.Put(c.ID, c)
		}
	}
}
