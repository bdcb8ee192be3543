package vpc

import "time"

// DelaysAWS is the value of API.Delays with which objects take their time as on AWS.
const DelaysAWS = "aws"

// How long AWS takes, as users see it in a quiet Region; the documentation promises nothing but that
// a NAT gateway and an instance take minutes at the most. What a client waits for
// passes by Terraform's and the SDKs' own limits.
const (
	delayVpc          = 3 * time.Second  // pending -> available
	delaySubnet       = 2 * time.Second  // pending -> available
	delayNatCreate    = 90 * time.Second // pending -> available
	delayNatDelete    = 45 * time.Second // deleting -> deleted
	delayAttach       = 4 * time.Second  // attaching -> attached, of an interface
	delayInstanceRun  = 15 * time.Second // pending -> running
	delayInstanceStop = 30 * time.Second // stopping -> stopped
	delayInstanceEnd  = 30 * time.Second // shutting-down -> terminated
)

// due is when a state that lasts so long on AWS passes, zero where it does at once.
func (tx *Tx) due(delay time.Duration) time.Time {
	if tx.Api.Delays != DelaysAWS || tx.Call.AtOnce {
		return time.Time{}
	}
	return tx.Call.Now.Add(delay)
}

// begun is the state of an object that is first in one state and, when it is due, in another.
func begun(due time.Time, first, then string) string {
	if due.IsZero() {
		return then
	}
	return first
}

// passes tells whether something that is due by now remains to be done.
func passes(due, now time.Time) bool { return !due.IsZero() && !now.Before(due) }

// passStates brings objects out of the states whose time has passed. Instances are the daemon's: they
// pass when the host, too, has done its part.
func (tx *Tx) passStates(now time.Time) {
	for id, v := range tx.Vpcs.All() {
		if passes(v.Due, now) {
			c := *v
			c.State, c.Due = "available", time.Time{}
			tx.Vpcs.Put(id, &c)
		}
	}
	for id, s := range tx.Subnets.All() {
		if passes(s.Due, now) {
			c := *s
			c.State, c.Due = "available", time.Time{}
			tx.Subnets.Put(id, &c)
		}
	}
	for id, n := range tx.NetworkInterfaces.All() {
		if passes(n.Due, now) {
			c := n.change()
			c.Due = time.Time{}
			if c.Attachment != nil {
				c.Attachment.Status = "attached"
			}
			tx.NetworkInterfaces.Put(id, c)
		}
	}
	for id, g := range tx.NatGateways.All() {
		if !passes(g.Due, now) {
			continue
		}
		c := *g
		c.Due = time.Time{}
		if c.State == natDeleting {
			tx.endNat(&c, now)
			continue
		}
		c.State = natAvailable
		tx.NatGateways.Put(id, &c)
	}
}

// dueTimes are when passStates has something to do.
func (m *Model) dueTimes() (times []time.Time) {
	for _, v := range m.Vpcs.m {
		times = append(times, v.Due)
	}
	for _, s := range m.Subnets.m {
		times = append(times, s.Due)
	}
	for _, n := range m.NetworkInterfaces.m {
		times = append(times, n.Due)
	}
	for _, g := range m.NatGateways.m {
		times = append(times, g.Due)
	}
	return times
}
