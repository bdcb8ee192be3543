package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vpcemu/vpcemu/internal/check"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/probe"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// checksAtOnce is how many checks are under way together.
const checksAtOnce = 16

// Time that a check may take to come true: a service may still be starting, and the
// network answers at once.
const (
	connectsLimit = 15 * time.Second
	reachesLimit  = 5 * time.Second
)

// netnsDir is where the names of instances' network namespaces are (ip-netns(8)).
const netnsDir = "/run/netns"

// Check implements control.Applier.
func (d *Daemon) Check(ctx context.Context, req control.CheckRequest, result func(control.CheckResult)) error {
	all := req.Checks
	if all == nil {
		all = d.Model().Expectations
	}
	if len(all) == 0 {
		return fmt.Errorf("there are no checks: lab %s was not brought up with a file that has any; write some below `checks:` (docs/topology.md)", d.cfg.Lab)
	}
	chosen := check.Select(all, req.Only)
	if len(chosen) == 0 {
		titles := make([]string, len(all))
		for i, e := range all {
			titles[i] = e.Title()
		}
		return fmt.Errorf("no check is called %q; there are:\n  %s", req.Only, strings.Join(titles, "\n  "))
	}
	events := newChases(d.engine)
	defer events.close()
	c := &checker{limit: req.Limit, trace: d.Trace, model: d.Model, space: d.space, open: openProbe, events: events}
	return c.run(ctx, all, chosen, result)
}

// space is the path of the network namespace of a running instance or host, "" if it
// does not run.
func (d *Daemon) space(id string) string {
	if port, _ := d.outside.end(); id == vpc.HostName && port != nil {
		return fmt.Sprintf("/proc/%d/ns/net", os.Getpid())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.actual[id]
	if s == nil || s.exit != nil || s.instance == nil {
		return ""
	}
	return filepath.Join(netnsDir, d.cfg.Lab+"."+s.netns)
}

// checker answers checks. Its functions are the daemon's, or a test's.
type checker struct {
	limit  time.Duration
	trace  func(context.Context, control.TraceRequest) (*control.Trace, error)
	model  func() *vpc.Model
	space  func(id string) string
	open   func(probe.Spec) (prober, error)
	events *chases
}

// run answers the chosen checks side by side and gives the results in order.
func (c *checker) run(ctx context.Context, all []vpc.Expectation, chosen []int, result func(control.CheckResult)) error {
	results := make([]chan control.CheckResult, len(chosen))
	slots := make(chan struct{}, checksAtOnce)
	var workers sync.WaitGroup
	defer workers.Wait()
	for i, n := range chosen {
		results[i] = make(chan control.CheckResult, 1)
		workers.Go(func() {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			defer func() { <-slots }()
			began := time.Now()
			r := c.one(ctx, all[n])
			r.Number, r.Title, r.Check, r.Took = n+1, all[n].Title(), all[n].Sentence(), time.Since(began)
			results[i] <- r
		})
	}
	for _, r := range results {
		select {
		case r := <-r:
			if ctx.Err() != nil { // its packets were cut short
				return context.Cause(ctx)
			}
			result(r)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// one answers a check. Where the two answers contradict each other it asks once more:
// the lab may have been changed between them.
func (c *checker) one(ctx context.Context, e vpc.Expectation) (r control.CheckResult) {
	if r = c.try(ctx, e); r.Bug && ctx.Err() == nil {
		r = c.try(ctx, e)
	}
	return r
}

func (c *checker) try(ctx context.Context, e vpc.Expectation) control.CheckResult {
	m := c.model()
	x, err := check.Resolve(m, e)
	if errors.Is(err, endpoint.ErrAmbiguous) && e.Verb == vpc.Unreached && e.Because == "" {
		return control.CheckResult{Pass: true, Notes: []string{"nothing to send: " + err.Error()}}
	}
	if err != nil {
		return control.CheckResult{Problems: []string{err.Error()}}
	}
	t, err := c.trace(ctx, x.Request)
	if err != nil {
		return control.CheckResult{Problems: []string{err.Error()}}
	}
	why := x.TraceAlone()
	if why == "" && x.Sender == "" {
		why = fmt.Sprintf("no real packet: nothing in the lab is %s", x.From.Name)
	}
	if why != "" {
		r := check.Judge(e, x, t, nil)
		r.Notes = append(r.Notes, why)
		return r
	}
	p := c.packets(ctx, m, e, x)
	r := check.Judge(e, x, t, p)
	if !r.Bug {
		return r
	}
	// A rule may be about the sender's port, which its kernel chose.
	if x.Request.SourcePort = portBeside(p.Source); x.Request.SourcePort != 0 {
		if t, err = c.trace(ctx, x.Request); err == nil {
			r = check.Judge(e, x, t, p)
		}
	}
	return r
}

// portBeside is a port next to that of a packet's source, 0 where it has none: the port
// itself belongs to a connection that is tracked now.
func portBeside(source string) int {
	a, err := netip.ParseAddrPort(source)
	switch {
	case err != nil || a.Port() == 0:
		return 0
	case a.Port()%2 == 0:
		return int(a.Port()) + 1
	}
	return int(a.Port()) - 1
}

// patience is how long the check may take to come true.
func (c *checker) patience(e vpc.Expectation) time.Duration {
	switch {
	case e.Within > 0:
		return e.Within
	case c.limit > 0:
		return c.limit
	case e.Verb == vpc.Connects:
		return connectsLimit
	}
	return reachesLimit
}
