package vpc

import (
	"slices"
	"strings"
	"time"
)

// The methods of this file are no EC2 actions: the daemon calls them when the
// host has seen something happen, or when time has passed. Each is idempotent and
// does nothing for an object that is gone or in a state that does not fit.

// retention is how long terminated instances and deleted or failed NAT gateways
// stay listed (IN-03, NA-15, NA-16).
const retention = time.Hour

// InstanceRunning: the sandbox of a pending instance is up.
func (tx *Tx) InstanceRunning(id InstanceID) {
	if i := tx.Instances.Get(id); i != nil && i.State == StatePending {
		c := *i
		c.State, c.StateReason, c.Due = StateRunning, "", time.Time{}
		tx.Instances.Put(id, &c)
	}
}

// InstanceStopped: the sandbox has ended. After a StopInstances the reason of
// that stays; else reason is one of the Reason texts, and an instance that
// powered itself off (ReasonInstanceInitiated) is stopped or terminated as its
// InstanceInitiatedShutdownBehavior says. An instance that was shutting down is
// terminated. The automatic public address is released (PI-02); the host keeps
// the disk while the instance is stopped.
func (tx *Tx) InstanceStopped(id InstanceID, reason string) {
	i := tx.Instances.Get(id)
	if i == nil || i.in(StateStopped, StateTerminated) {
		return
	}
	itself := reason == ReasonInstanceInitiated && i.in(StatePending, StateRunning)
	if i.State == StateShuttingDown || itself && i.InstanceInitiatedShutdownBehavior == "terminate" {
		tx.endInstance(i, reason)
		return
	}
	c := *i
	if i.State != StateStopping {
		c.StateReason, c.StateTransitionReason = reason, ""
	}
	c.State, c.Due = StateStopped, time.Time{}
	tx.Instances.Put(id, &c)
	tx.releasePublic(id)
}

// InstanceNotStarted: the sandbox of a pending instance cannot be made. One that was just launched is
// terminated, as on AWS (EC2 User Guide, Instance terminates immediately): clients that wait for it to run
// take that for a failure, and would wait on for one that is stopped. Any other is stopped, and so is one of a
// topology file, which the next `up` starts.
func (tx *Tx) InstanceNotStarted(id InstanceID, reason string) {
	if i := tx.Instances.Get(id); i != nil && i.State == StatePending && i.BootID == 1 && i.Source == "" {
		tx.endInstance(i, reason)
		return
	}
	tx.InstanceStopped(id, reason)
}

// InstanceTerminated: the sandbox and the disk of an instance that was shutting
// down are gone. Its interfaces are deleted or become available, as each
// attachment says, and its Elastic IPs are disassociated (IN-03).
func (tx *Tx) InstanceTerminated(id InstanceID) {
	if i := tx.Instances.Get(id); i != nil && i.State == StateShuttingDown {
		tx.endInstance(i, i.StateReason)
	}
}

// endInstance makes the instance terminated.
func (tx *Tx) endInstance(i *Instance, reason string) {
	for _, n := range tx.InstanceInterfaces(i.ID) {
		if n.Attachment.DeleteOnTermination {
			tx.removeInterface(n)
			continue
		}
		for _, p := range n.PrivateIps {
			tx.freeAddress(p.AllocationID)
		}
		tx.detach(tx.NetworkInterfaces.Get(n.ID))
	}
	tx.dropPlace(Place{PlaceInstance, string(i.ID)})
	tx.freeVolumes(i.ID)
	c := *i
	if i.State != StateShuttingDown {
		c.StateReason, c.StateTransitionReason = reason, ""
	}
	c.State, c.Deleted, c.Due = StateTerminated, tx.Call.Now, time.Time{}
	tx.Instances.Put(i.ID, &c)
}

// InstanceRebooted: the guest rebooted itself. As after RebootInstances it stays
// in state running, and the host starts a sandbox for the new BootID.
func (tx *Tx) InstanceRebooted(id InstanceID) {
	if i := tx.Instances.Get(id); i != nil && i.State == StateRunning {
		c := *i
		c.BootID++
		tx.Instances.Put(id, &c)
	}
}

// InternetHostRunning, InternetHostStopped, InternetHostTerminated and
// InternetHostRebooted are the same for hosts on the Internet. A host keeps its
// public address while it is stopped.
func (tx *Tx) InternetHostRunning(id InternetHostID) {
	if h := tx.InternetHosts.Get(id); h != nil && h.State == StatePending {
		c := *h
		c.State, c.StateNote = StateRunning, ""
		tx.InternetHosts.Put(id, &c)
	}
}

// InternetHostStopped: the sandbox has ended.
func (tx *Tx) InternetHostStopped(id InternetHostID, reason string) {
	h := tx.InternetHosts.Get(id)
	switch {
	case h == nil || h.State == StateStopped || h.State == StateTerminated:
	case h.State == StateShuttingDown:
		tx.InternetHostTerminated(id)
	default:
		c := *h
		if h.State != StateStopping {
			c.StateNote = reason
		}
		c.State = StateStopped
		tx.InternetHosts.Put(id, &c)
	}
}

// InternetHostTerminated: the host is gone; its address is free.
func (tx *Tx) InternetHostTerminated(id InternetHostID) {
	if h := tx.InternetHosts.Get(id); h != nil && h.State == StateShuttingDown {
		tx.dropPlace(Place{PlaceInternetHost, string(id)})
		tx.InternetHosts.Delete(id)
	}
}

// InternetHostRebooted: the guest rebooted itself.
func (tx *Tx) InternetHostRebooted(id InternetHostID) {
	if h := tx.InternetHosts.Get(id); h != nil && h.State == StateRunning {
		c := *h
		c.BootID++
		tx.InternetHosts.Put(id, &c)
	}
}

// PurgeDeleted does what time brings about: states pass (API.Delays), terminated instances and deleted or
// failed NAT gateways vanish an hour after their end, and the addresses of NAT
// gateways that have drained go (NA-17).
func (tx *Tx) PurgeDeleted(now time.Time) {
	tx.passStates(now)
	for id, i := range tx.Instances.All() {
		if end := i.gone(); !end.IsZero() && !now.Before(end) {
			tx.Instances.Delete(id)
		}
	}
	for id, g := range tx.NatGateways.All() {
		if end := g.gone(); !end.IsZero() && !now.Before(end) {
			tx.NatGateways.Delete(id)
			continue
		}
		tx.dropDrained(g, now)
	}
}

// NextPurge is when PurgeDeleted next has something to do, zero for never.
func (m *Model) NextPurge() time.Time {
	times := m.dueTimes()
	for _, i := range m.Instances.each() {
		times = append(times, i.gone())
	}
	for _, g := range m.NatGateways.each() {
		times = append(times, g.gone())
		for k := range g.Addresses {
			times = append(times, g.Addresses[k].DrainUntil)
		}
	}
	times = slices.DeleteFunc(times, time.Time.IsZero)
	if len(times) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(times, time.Time.Compare)
}

// gone is when the object vanishes, zero while it lives.
func (i *Instance) gone() time.Time {
	if i.Deleted.IsZero() {
		return time.Time{}
	}
	return i.Deleted.Add(retention)
}

func (g *NatGateway) gone() time.Time {
	switch {
	case !g.Deleted.IsZero():
		return g.Deleted.Add(retention)
	case g.State == natFailed:
		return g.Created.Add(retention)
	}
	return time.Time{}
}

// reasonCode is the code of a state's reason: what stands before the colon.
func reasonCode(reason string) string {
	code, _, _ := strings.Cut(reason, ":")
	return code
}
