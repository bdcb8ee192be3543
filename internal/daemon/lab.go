package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Lab implements control.Applier.
func (d *Daemon) Lab(ctx context.Context) (*control.Lab, error) {
	m := d.Model()
	lab := &control.Lab{Name: d.cfg.Lab, Region: m.Region, Regions: m.OpenRegions(), Daemon: os.Getpid(), Started: d.started}
	interfaces := interfacesOf(m)
	for id, i := range m.Instances.All() {
		lab.Instances = append(lab.Instances, d.instanceOf(m, i, interfaces[id]))
	}
	for _, h := range m.InternetHosts.All() {
		lab.Instances = append(lab.Instances, control.Instance{Name: cmp.Or(h.HostName, string(h.ID)), ID: string(h.ID), Kind: "internet host",
			State: h.State, Reason: h.StateNote, PublicIp: h.PublicIp})
	}
	slices.SortStableFunc(lab.Instances, func(a, b control.Instance) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), ended(a)-ended(b))
	})
	notes := make([][]string, len(lab.Instances))
	wishes := d.wishes(m)
	var all sync.WaitGroup
	for i := range lab.Instances {
		if w := wishes[lab.Instances[i].ID]; w != nil {
			lab.Instances[i].Netns = d.cfg.Lab + "." + w.netns
			all.Go(func() { notes[i] = d.look(ctx, &lab.Instances[i]) })
		}
	}
	all.Wait()
	lab.Notes = append(slices.Concat(notes...), d.logs.notes()...)
	if lab.Outside = d.outside.of(m); lab.Outside != nil && lab.Outside.Problem != "" {
		lab.Notes = append(lab.Notes, lab.Outside.Problem+": it is tried again")
	}
	if m.Api.Listen != "" {
		if lab.API = d.api.status(); lab.API.Problem != "" {
			lab.Notes = append(lab.Notes, lab.API.Problem+": it is tried again")
		}
	}
	lab.Notes = append(lab.Notes, linkNotes(m)...)
	return lab, nil
}

// interfacesOf is Model.InstanceInterfaces of all instances, in one go.
func interfacesOf(m *vpc.Model) map[vpc.InstanceID][]*vpc.NetworkInterface {
	of := map[vpc.InstanceID][]*vpc.NetworkInterface{}
	for _, e := range m.NetworkInterfaces.All() {
		if a := e.Attachment; a != nil && a.InstanceID != "" {
			of[a.InstanceID] = append(of[a.InstanceID], e)
		}
	}
	for _, list := range of {
		slices.SortFunc(list, func(a, b *vpc.NetworkInterface) int { return a.Attachment.DeviceIndex - b.Attachment.DeviceIndex })
	}
	return of
}

func (d *Daemon) instanceOf(m *vpc.Model, i *vpc.Instance, interfaces []*vpc.NetworkInterface) control.Instance {
	name := cmp.Or(i.Name(), string(i.ID))
	out := control.Instance{Name: name, ID: string(i.ID), Kind: "instance", Region: i.Region, State: i.State, Reason: i.StateReason}
	if s := m.Subnets.Get(i.SubnetID); s != nil {
		out.Subnet, out.Zone = subnetName(s), s.AvailabilityZone
	}
	if v := m.Vpcs.Get(i.VpcID); v != nil {
		out.Vpc = cmp.Or(v.Name(), string(v.ID))
	}
	for _, e := range interfaces {
		if l, ok := d.leases.get(e.Handle); ok {
			out.Leases = append(out.Leases, control.Lease{NetworkInterface: string(e.ID), Address: l.Addr, State: l.State, Expires: l.Expires})
		}
		if e.Attachment.DeviceIndex == 0 {
			out.PrivateIp, out.PublicIp = e.PrivateIps[0].PrivateIp, publicIp(m, e)
		}
	}
	return out
}

func publicIp(m *vpc.Model, e *vpc.NetworkInterface) netip.Addr {
	if a := m.Addresses.Get(e.PrivateIps[0].AllocationID); a != nil {
		return a.PublicIp
	}
	return e.PublicIp
}

// statusPatience is how long an instance's PID 1 may take to say how it does.
const statusPatience = 2 * time.Second

// look adds what only the running sandbox knows, and returns what its user
// should be told.
func (d *Daemon) look(ctx context.Context, i *control.Instance) (notes []string) {
	d.mu.Lock()
	s, failed := d.actual[i.ID], d.failed[i.ID]
	if s != nil && s.exit != nil {
		s = nil
	}
	d.mu.Unlock()
	if failed.retrying {
		notes = append(notes, fmt.Sprintf("%v: it is tried again", failed.err))
	}
	if s == nil {
		return notes
	}
	i.Netns = d.cfg.Lab + "." + s.netns
	ctx, cancel := context.WithTimeoutCause(ctx, statusPatience, fmt.Errorf("after %s", statusPatience))
	defer cancel()
	st, err := s.Status(ctx)
	if err != nil {
		return append(notes, fmt.Sprintf("%s: no answer from its PID 1: %v", i.Name, err))
	}
	i.Ready, i.UserData = st.State == wire.StateReady, st.UserData.State
	for _, n := range st.Notes {
		notes = append(notes, i.Name+": "+n)
	}
	if st.UserData.State == wire.UserDataFailed {
		notes = append(notes, fmt.Sprintf("%s: user data failed: %s", i.Name, st.UserData.Problem))
	}
	for _, w := range st.UserData.Warnings {
		notes = append(notes, fmt.Sprintf("%s: user data: %s", i.Name, w))
	}
	for _, u := range st.Units {
		notes = append(notes, fmt.Sprintf("%s: service %s", i.Name, u))
	}
	return notes
}

// Counters implements control.Applier.
func (d *Daemon) Counters(context.Context) (*control.Counters, error) {
	s := d.engine.Stats()
	out := &control.Counters{
		Verdicts: map[string]uint64{}, Stages: map[string]uint64{},
		Bytes: s.Bytes, Reads: s.Reads, Batches: s.Batches, Writes: s.Writes, Joined: s.Joined, Workers: s.Workers,
		FlowCache: control.FlowCache(s.Cache),
	}
	c, m := d.flows.Stats(), d.nats.Stats()
	out.Connections = control.Table{Entries: c.Entries, Capacity: c.Capacity, Made: c.Made, Expired: c.Expired,
		Refused: map[string]uint64{"table full": c.RefusedFull, "limit of the interface": c.RefusedENI}}
	out.Mappings = control.Table{Entries: m.Mappings, Capacity: m.Capacity, Made: m.Made, Expired: m.Expired,
		Refused: map[string]uint64{"table full": m.RefusedFull, "no port left": m.RefusedExhausted, "protocol": m.RefusedProtocol}}
	explain.Count(d.Model(), d.engine.Account(), out)
	out.Links = d.linkCounters(d.Model())
	for reason, n := range s.Reasons {
		out.Verdicts[reason.Name()] = n
	}
	for stage, n := range s.Stages {
		out.Stages[stage.String()] = n
	}
	return out, nil
}

// Drops implements control.Applier. A drop's sequence number is the boot clock's
// reading at its end, in nanoseconds.
func (d *Daemon) Drops(_ context.Context, after uint64) ([]control.Drop, error) {
	wall, show := newWallClock(), newShower(d.Model())
	out := []control.Drop{} // an empty list is one in JSON too
	for _, e := range d.engine.Drops() {
		if uint64(e.At) <= after {
			continue
		}
		p := passedOf(&e)
		s := show.seen(&p)
		drop := control.Drop{Sequence: uint64(e.At), Time: wall.of(e.At), Packet: s.Packet(), Where: e.Ingress.String(),
			Way: s.Way(), Reason: s.Reason, Text: s.Text, Decided: s.Decided(), Outcome: s.Outcome(), Count: 1}
		if n := len(out); n > 0 && same(out[n-1], drop) {
			out[n-1].Sequence, out[n-1].Count = drop.Sequence, out[n-1].Count+1
			continue
		}
		out = append(out, drop)
	}
	return out, nil
}

func same(a, b control.Drop) bool {
	return a.Packet == b.Packet && a.Where == b.Where && a.Reason == b.Reason && a.Decided == b.Decided
}

// subnetName is what a topology file calls the subnet: a default subnet has no
// name of its own there, but default-ZONE.
func subnetName(s *vpc.Subnet) string {
	if s.Name() == "" && s.DefaultForAz {
		return "default-" + s.AvailabilityZone
	}
	return cmp.Or(s.Name(), string(s.ID))
}

// ended sorts what is terminated behind what took its name.
func ended(i control.Instance) int {
	if i.State == vpc.StateTerminated {
		return 1
	}
	return 0
}
