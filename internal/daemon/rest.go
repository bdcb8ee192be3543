package daemon

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// LabAtRest tells the names and states of the instances of a lab whose daemon does not run, and starts nothing: what
// is running there is what runs on the machine. It fails with fs.ErrNotExist where there is no such lab.
func LabAtRest(ctx context.Context, cfg Config) (*control.Lab, error) {
	if _, err := os.Stat(cfg.StateDir); err != nil {
		return nil, err
	}
	m, err := modelAtRest(ctx, cfg)
	if err != nil {
		return nil, err
	}
	lab := &control.Lab{Name: cfg.Lab, Region: m.Region, Regions: m.OpenRegions()}
	state := func(id, state string) string {
		if _, runs := host.Find(cfg.RunDir, id); runs {
			return vpc.StateRunning
		}
		if runsInModel := state == vpc.StateRunning || state == vpc.StatePending; runsInModel {
			return vpc.StateStopped
		}
		return state
	}
	for id, i := range m.Instances.All() {
		lab.Instances = append(lab.Instances, control.Instance{Name: cmp.Or(i.Name(), string(id)), ID: string(id), Kind: "instance", State: state(string(id), i.State)})
	}
	for id, h := range m.InternetHosts.All() {
		lab.Instances = append(lab.Instances, control.Instance{Name: cmp.Or(h.HostName, string(id)), ID: string(id), Kind: "internet host", State: state(string(id), h.State)})
	}
	return lab, nil
}

// console is the console's log of an instance, for EC2's operation.
func (d *Daemon) console(id vpc.InstanceID) ([]byte, error) {
	text, err := host.ReadConsole(d.cfg.StateDir, string(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}
