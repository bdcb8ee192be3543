package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/hcl"
	"github.com/vpcemu/vpcemu/internal/importer"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Export implements control.Applier.
func (d *Daemon) Export(ctx context.Context, req control.ExportRequest) (*control.Exported, error) {
	m := d.Model()
	if m.Lab == "" {
		return nil, errors.New("the lab has no cloud yet: there is nothing to export")
	}
	if req.Region != "" && !slices.Contains(vpc.RegionNames(), req.Region) {
		return nil, fmt.Errorf("export: there is no Region %q; the lab has used %s", req.Region, strings.Join(m.OpenRegions(), ", "))
	}
	if req.Format == control.ExportTerraform {
		text, notes := hcl.Lab(m, req.Region)
		return &control.Exported{Text: string(text), Notes: notes, UserData: true}, nil
	}
	r, err := d.exportTopology(ctx, req)
	if err != nil {
		return nil, err
	}
	out := &control.Exported{Text: string(r.Text), UserData: r.HasUserData}
	for _, n := range r.Notes {
		out.Notes = append(out.Notes, n.String())
	}
	if r.Invalid != nil {
		out.Problem = r.Invalid.Error()
	}
	return out, nil
}

// exportTopology writes a topology file; with Adopt the lab's objects are the file's from then on.
func (d *Daemon) exportTopology(ctx context.Context, req control.ExportRequest) (r *importer.Result, err error) {
	if !req.Adopt {
		return importer.Lab(d.Model(), req.Region)
	}
	err = d.Apply(ctx, func(tx *vpc.Tx) (err error) {
		r, err = importer.Adopt(tx)
		return err
	})
	return r, err
}
