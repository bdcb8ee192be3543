package daemon

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"

	"github.com/vpcemu/vpcemu/internal/capture"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/slab"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Capture implements control.Applier. Interfaces that come to be during the capture
// belong to it if they do to what the request names.
func (d *Daemon) Capture(ctx context.Context, req control.CaptureRequest, w io.Writer) (control.CaptureEnd, error) {
	opt, err := d.captureOptions(req)
	if err != nil {
		return control.CaptureEnd{}, err
	}
	if req.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.Duration)
		defer cancel()
	}
	tap, err := d.engine.Tap(opt.TapConfig())
	if err != nil {
		return control.CaptureEnd{}, err
	}
	defer tap.Close()
	b := capture.NewBuilder(opt, time.Now().UnixNano()-slab.Boottime())
	packets, skipped, err := capture.Stream(ctx, tap, b, w, req.Count, slab.Boottime)
	return control.CaptureEnd{Packets: packets, Skipped: skipped}, err
}

func (d *Daemon) captureOptions(req control.CaptureRequest) (opt capture.Options, err error) {
	opt = capture.Options{DropsOnly: req.DropsOnly, Expression: req.Expression, Snap: req.Snap}
	opt.Comment = fmt.Sprintf("lab %s, region %s: %s", d.cfg.Lab, d.Model().Region, commandLine(req))
	if opt.NAT, err = capture.ParseNAT(req.NAT); err != nil {
		return opt, err
	}
	if len(req.Filter) > 0 {
		program := make(capture.Program, len(req.Filter))
		for i, n := range req.Filter {
			program[i] = bpf.RawInstruction{Op: uint16(n[0]), Jt: uint8(n[1]), Jf: uint8(n[2]), K: n[3]}
		}
		if opt.Filter, err = program.Filter(); err != nil {
			return opt, fmt.Errorf("filter: %w", err)
		}
	}
	if len(req.On) > 0 {
		s := &selector{model: d.Model, on: req.On}
		if err := s.first(); err != nil {
			return opt, err
		}
		opt.Select = s.now
	}
	return opt, nil
}

// commandLine is what the request would be as a command.
func commandLine(req control.CaptureRequest) string {
	words := append([]string{"vpcemu", "capture"}, req.On...)
	if req.DropsOnly {
		words = append(words, "--drops-only")
	}
	if req.NAT != "" && req.NAT != string(capture.NATBoth) {
		words = append(words, "--nat", req.NAT)
	}
	if req.Expression != "" {
		words = append(words, "--", req.Expression)
	}
	return strings.Join(words, " ")
}

// selector keeps the places that a request names up to date with the model.
type selector struct {
	model func() *vpc.Model
	on    []string
	found atomic.Pointer[selected]
}

type selected struct {
	in    *vpc.Model
	whole []*capture.Selection // of each name
	all   *capture.Selection
}

// first finds the places; an error says which name means none.
func (s *selector) first() error {
	m := s.model()
	found := &selected{in: m}
	for _, name := range s.on {
		set, err := endpoint.Interfaces(m, name)
		if err != nil {
			return err
		}
		found.whole = append(found.whole, selectionOf(set))
	}
	found.join()
	s.found.Store(found)
	return nil
}

// now is what the names mean in the current model. One that means nothing any more, as
// its object was removed, goes on meaning what it did.
func (s *selector) now() *capture.Selection {
	old, m := s.found.Load(), s.model()
	if old.in == m {
		return old.all
	}
	found := &selected{in: m}
	for i, name := range s.on {
		next := old.whole[i]
		if set, err := endpoint.Interfaces(m, name); err == nil {
			next = selectionOf(set)
		}
		found.whole = append(found.whole, next)
	}
	found.join()
	s.found.Store(found)
	return found.all
}

func (f *selected) join() {
	f.all = &capture.Selection{Handles: map[uint32]bool{}, Gateways: map[string]bool{}}
	for _, one := range f.whole {
		for h := range one.Handles {
			f.all.Handles[h] = true
		}
		for id := range one.Gateways {
			f.all.Gateways[id] = true
		}
	}
}

func selectionOf(set endpoint.Set) *capture.Selection {
	s := &capture.Selection{Handles: set.Handles(), Gateways: map[string]bool{}}
	for _, id := range set.Gateways {
		s.Gateways[id] = true
	}
	return s
}
