package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Run implements control.Applier: one EC2-named operation. Objects may be named
// by the names that they have in the Region.
func (d *Daemon) Run(ctx context.Context, region, action string, input json.RawMessage, wait bool) (json.RawMessage, error) {
	a, ok := vpc.LookupAction(action)
	if !ok {
		return nil, &vpc.Error{Code: "InvalidAction", Message: fmt.Sprintf("The action %s is not valid for this web service.", action)}
	}
	in := reflect.New(a.Input).Interface()
	if len(input) > 0 {
		dec := json.NewDecoder(bytes.NewReader(input))
		dec.DisallowUnknownFields()
		if err := dec.Decode(in); err != nil {
			return nil, &vpc.Error{Code: "UnknownParameter", Message: fmt.Sprintf("%s: %v", action, err)}
		}
	}
	if err := d.openRegion(ctx, region); err != nil {
		return nil, err
	}
	if reads(action) {
		return d.read(region, action, in)
	}
	var out any
	var concerned map[string]bool
	since := d.moment()
	err := d.Apply(ctx, func(tx *vpc.Tx) (err error) {
		if err := vpc.ResolveNames(&tx.Model, region, in); err != nil {
			return err
		}
		tx.Call.Region = region
		before := tx.Model.Clone()
		if out, err = tx.Run(action, in); err != nil {
			return err
		}
		if wait {
			concerned = differing(&before, &tx.Model)
		}
		return d.keepKeyMaterial(tx, out)
	})
	if err != nil {
		d.dropKeyMaterial(region, out)
		return nil, err
	}
	if wait {
		if err := d.settle(ctx, since, concerned); err != nil {
			return nil, err
		}
		if err := d.ready(ctx, concerned, func(string) {}); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

// differing lists the instances of which two models want different things.
func differing(before, after *vpc.Model) map[string]bool {
	was, is := wishesOf(before), wishesOf(after)
	ids := map[string]bool{}
	for id, w := range is {
		ids[id] = !w.same(was[id])
	}
	for id := range was {
		if is[id] == nil {
			ids[id] = true
		}
	}
	return ids
}

// reads tells whether an action only reads, so that it needs no commit.
func reads(action string) bool {
	return strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "Get")
}

// openRegion readies a Region that is used for the first time, so that two calls find the
// same things there, also where the first one only reads or fails.
func (d *Daemon) openRegion(ctx context.Context, region string) error {
	if d.Model().RegionOpen(region) {
		return nil
	}
	return d.Apply(ctx, func(tx *vpc.Tx) error { return tx.OpenRegion(region) })
}

func (d *Daemon) read(region, action string, in any) (json.RawMessage, error) {
	m := d.Model()
	if err := vpc.ResolveNames(m, region, in); err != nil {
		return nil, err
	}
	out, err := d.query(m, region, action, in)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// query performs an operation that only reads.
func (d *Daemon) query(m *vpc.Model, region, action string, in any) (any, error) {
	call := d.call()
	call.Region = region
	return vpc.Begin(m, call).Run(action, in)
}

// keepKeyMaterial saves the private half of a key pair just made, so that
// `vpcemu ssh` and Internet hosts can use it.
func (d *Daemon) keepKeyMaterial(tx *vpc.Tx, out any) error {
	k, ok := out.(*vpc.CreateKeyPairOutput)
	if !ok {
		return nil
	}
	return d.saveKeys(topology.KeyMaterial{tx.KeyPairKey(tx.Region, k.KeyName): []byte(k.KeyMaterial)})
}

// dropKeyMaterial takes that back where the change that made the pair did not come about.
func (d *Daemon) dropKeyMaterial(region string, out any) {
	m := d.Model()
	k, ok := out.(*vpc.CreateKeyPairOutput)
	if !ok || k == nil || m.KeyPair(cmp.Or(region, m.Region), k.KeyName) != nil {
		return
	}
	if path, err := d.keyPath(m.KeyPairKey(cmp.Or(region, m.Region), k.KeyName)); err == nil {
		_ = os.Remove(path) // it was never told to anybody
	}
}

// isHost tells an Internet host's ID from an instance's.
func isHost(id string) bool { return strings.HasPrefix(id, "host-") }

func markRunning(tx *vpc.Tx, id string) {
	if isHost(id) {
		tx.InternetHostRunning(vpc.InternetHostID(id))
	} else {
		tx.InstanceRunning(vpc.InstanceID(id))
	}
}

func markStopped(tx *vpc.Tx, id, reason string) {
	if isHost(id) {
		tx.InternetHostStopped(vpc.InternetHostID(id), reason)
	} else {
		tx.InstanceStopped(vpc.InstanceID(id), reason)
	}
}

// markNotStarted records that a sandbox cannot be made.
func markNotStarted(tx *vpc.Tx, id, reason string) {
	if isHost(id) {
		tx.InternetHostStopped(vpc.InternetHostID(id), reason)
	} else {
		tx.InstanceNotStarted(vpc.InstanceID(id), reason)
	}
}

func markTerminated(tx *vpc.Tx, id string) {
	if isHost(id) {
		tx.InternetHostTerminated(vpc.InternetHostID(id))
	} else {
		tx.InstanceTerminated(vpc.InstanceID(id))
	}
}

// markEnded records the end of a sandbox that nobody asked for.
func markEnded(tx *vpc.Tx, id string, exit host.Exit) {
	switch {
	case exit.Cause == host.ExitReboot && isHost(id):
		tx.InternetHostRebooted(vpc.InternetHostID(id))
	case exit.Cause == host.ExitReboot:
		tx.InstanceRebooted(vpc.InstanceID(id))
	case exit.Cause == host.ExitPoweroff:
		markStopped(tx, id, vpc.ReasonInstanceInitiated)
	default:
		markStopped(tx, id, "Server.InternalError: "+cause(exit))
	}
}

// markNotAttached takes back the attachment of an interface that the instance did
// not take; without the first one it cannot run at all.
func markNotAttached(tx *vpc.Tx, id string, n host.NIC, because error) {
	e := tx.NetworkInterfaces.Get(vpc.NetworkInterfaceID(n.ID))
	if e == nil || e.Attachment == nil || string(e.Attachment.InstanceID) != id {
		return
	}
	_, err := tx.DetachNetworkInterface(&vpc.DetachNetworkInterfaceInput{AttachmentId: e.Attachment.ID, Force: true})
	if err != nil {
		markStopped(tx, id, "Server.InternalError: "+because.Error())
	}
}

func cause(e host.Exit) string {
	if e.Detail == "" {
		return e.Cause
	}
	return e.Cause + ": " + e.Detail
}
