package daemon

import (
	"context"

	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/ssm"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// managed is the lab as SSM sees it. It implements ssm.Backend.
type managed struct{ d *Daemon }

// Instances implements ssm.Backend.
func (m managed) Instances(region string) []ssm.Instance {
	var list []ssm.Instance
	model := m.d.Model()
	interfaces := interfacesOf(model)
	for id, i := range model.Instances.All() {
		if i.State == vpc.StateTerminated || i.Region != region {
			continue
		}
		s := ssm.Instance{ID: string(id), Name: i.PrivateDnsName, Running: i.State == vpc.StateRunning, Tags: i.Tags}
		if list := interfaces[id]; len(list) > 0 {
			s.Address = list[0].PrivateIps[0].PrivateIp.String()
		}
		list = append(list, s)
	}
	return list
}

// RunScript implements ssm.Backend. It needs no network in the instance.
func (m managed) RunScript(ctx context.Context, id string, s ssm.Script) (int, error) {
	return host.Exec(ctx, m.d.cfg.RunDir, id, host.ExecRequest{Argv: []string{"/bin/sh", "-c", s.Text}, Dir: s.Dir, Stdout: s.Stdout, Stderr: s.Stderr})
}

// Parameters implements ssm.Backend.
func (m managed) Parameters() (list []ssm.Parameter) {
	for _, p := range vpc.ImageParameters() {
		list = append(list, ssm.Parameter(p))
	}
	return list
}
