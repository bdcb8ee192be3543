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
	if !req.Adopt {
		r, err := importer.Lab(m, req.Region)
		return exported(r), err
	}
	if req.Kept == "" {
		r, err := importer.Adopt(vpc.Begin(m, d.call()))
		return exported(r), err
	}
	return d.giveToFile(ctx, req.Kept)
}

// giveToFile gives the lab's objects to the topology file that the client has kept, if it is still that of the lab:
// the objects of a file that got lost would be taken away by the next `up` with another one.
func (d *Daemon) giveToFile(ctx context.Context, kept string) (out *control.Exported, err error) {
	err = d.Apply(ctx, func(tx *vpc.Tx) error {
		r, err := importer.Adopt(tx)
		if out = exported(r); err == nil && out.Digest() != kept {
			err = errors.New("the lab has changed while its file was written: run the command again")
		}
		return err
	})
	return out, err
}

func exported(r *importer.Result) *control.Exported {
	if r == nil {
		return nil
	}
	out := &control.Exported{Text: string(r.Text), UserData: r.HasUserData}
	for _, n := range r.Notes {
		out.Notes = append(out.Notes, n.String())
	}
	if r.Invalid != nil {
		out.Problem = r.Invalid.Error()
	}
	return out
}
