package ssm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Statuses of a command and of an invocation (Systems Manager User Guide, Understanding command
// statuses).
const (
	pending    = "Pending"
	inProgress = "InProgress"
	success    = "Success"
	failed     = "Failed"
	timedOut   = "TimedOut"
	cancelled  = "Cancelled"
)

// command is one SendCommand.
type command struct {
	id, region, document, comment string
	parameters                    map[string][]string
	targets                       []target
	instances                     []string
	timeout                       int
	requested                     time.Time
	dir                           string
	limit                         time.Duration // of execution
	invocations                   []*invocation
	bytes                         int // that it may keep, output included
}

// invocation is a command in one instance.
type invocation struct {
	of       *command
	instance string
	name     string
	ctx      context.Context // ends with cancel, and with the server's
	cancel   context.CancelCauseFunc

	mu             sync.Mutex
	status         string
	exit           int // -1 until it has ended
	began, ended   time.Time
	stdout, stderr clipped
}

// clipped keeps the beginning of what is written to it.
type clipped struct {
	mu   sync.Mutex
	b    []byte
	most int
}

func (c *clipped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.b = append(c.b, p[:min(len(p), c.most-len(c.b))]...)
	return len(p), nil
}

func (c *clipped) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.ToValidUTF8(string(c.b), "\uFFFD")
}

type target struct {
	Key    string
	Values []string
}

type sendCommandInput struct {
	DocumentName    string
	DocumentVersion string
	InstanceIds     []string
	Targets         []target
	Parameters      map[string][]string
	Comment         string
	TimeoutSeconds  *int
}

type sendCommandOutput struct{ Command commandInfo }

func (s *Server) sendCommand(region string, in *sendCommandInput) (*sendCommandOutput, error) {
	c := &command{id: newID(), region: region, document: in.DocumentName, comment: in.Comment, parameters: in.Parameters, targets: in.Targets,
		instances: in.InstanceIds, timeout: 3600, requested: time.Now()}
	if err := c.read(in); err != nil {
		return nil, err
	}
	chosen, err := s.choose(region, in)
	if err != nil {
		return nil, err
	}
	for _, i := range chosen {
		v := &invocation{of: c, instance: i.ID, name: i.Name, status: pending, exit: -1}
		v.stdout.most, v.stderr.most = maxStdout, maxStderr
		v.ctx, v.cancel = context.WithCancelCause(s.ctx)
		c.invocations = append(c.invocations, v)
		c.bytes += maxStdout + maxStderr
	}
	if err := s.keep(c); err != nil {
		for _, v := range c.invocations {
			v.cancel(err)
		}
		return nil, err
	}
	for _, v := range c.invocations {
		s.running.Go(func() {
			defer v.cancel(nil) // or the server's context would remember it
			s.run(v)
		})
	}
	return &sendCommandOutput{c.info()}, nil
}

// read takes over what the document's parameters say.
func (c *command) read(in *sendCommandInput) error {
	name := in.DocumentName[strings.LastIndex(in.DocumentName, "/")+1:] // an ARN ends in the name
	if name != "AWS-RunShellScript" {
		return errorf("InvalidDocument", "The document %q does not exist: vpcemu has AWS-RunShellScript.", in.DocumentName)
	}
	if t := in.TimeoutSeconds; t != nil {
		if *t < 30 || *t > 2_592_000 {
			return invalid("TimeoutSeconds must be between 30 and 2592000.")
		}
		c.timeout = *t
	}
	seconds := 3600
	for key, values := range in.Parameters {
		for _, v := range values {
			c.bytes += len(v)
		}
		switch key {
		case "commands":
		case "workingDirectory":
			c.dir = strings.Join(values, "")
		case "executionTimeout":
			n, err := strconv.Atoi(strings.Join(values, ""))
			if err != nil || n < 1 || n > 172_800 {
				return errorf("InvalidParameters", "executionTimeout must be between 1 and 172800 seconds.")
			}
			seconds = n
		default:
			return errorf("InvalidParameters", "The document AWS-RunShellScript has no parameter %q.", key)
		}
	}
	if len(in.Parameters["commands"]) == 0 {
		return errorf("InvalidParameters", "The document AWS-RunShellScript needs the parameter commands.")
	}
	c.limit = time.Duration(seconds) * time.Second
	return nil
}

// choose finds the instances of a request: those named, which must be running, or those that
// all targets mean and which run.
func (s *Server) choose(region string, in *sendCommandInput) ([]Instance, error) {
	all := s.b.Instances(region)
	switch {
	case len(in.InstanceIds) > 0 && len(in.Targets) > 0:
		return nil, invalid("Specify InstanceIds or Targets, not both.")
	case len(in.InstanceIds) > maxInstances:
		return nil, invalid("InstanceIds has more than %d members.", maxInstances)
	case len(in.InstanceIds) > 0:
		return s.named(all, in.InstanceIds)
	case len(in.Targets) == 0:
		return nil, invalid("Specify InstanceIds or Targets.")
	}
	var chosen []Instance
	for _, i := range all {
		ok, err := meant(i, in.Targets)
		if err != nil {
			return nil, err
		}
		if ok && i.Running {
			chosen = append(chosen, i)
		}
	}
	return chosen, nil
}

func (s *Server) named(all []Instance, ids []string) ([]Instance, error) {
	var chosen []Instance
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		i := slices.IndexFunc(all, func(i Instance) bool { return i.ID == id })
		if i < 0 || !all[i].Running {
			return nil, errorf("InvalidInstanceId", "Instances [[%s]] not in a valid state for account %s", id, s.account())
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func meant(i Instance, targets []target) (bool, error) {
	for _, t := range targets {
		var ok bool
		switch key, isTag := strings.CutPrefix(t.Key, "tag:"); {
		case isTag:
			value, has := i.Tags[key]
			ok = has && slices.Contains(t.Values, value)
		case t.Key == "tag-key":
			ok = slices.ContainsFunc(t.Values, func(k string) bool { _, has := i.Tags[k]; return has })
		case strings.EqualFold(t.Key, "InstanceIds"):
			ok = slices.Contains(t.Values, i.ID) || slices.Contains(t.Values, "*")
		default:
			return false, errorf("InvalidTarget", "The target %q is not valid: use InstanceIds, tag:KEY or tag-key.", t.Key)
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// keep remembers a command, and forgets the oldest that have ended where there are too many
// or too much. It refuses the command where that does not help.
func (s *Server) keep(c *command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, bytes := len(s.order)+1, c.bytes
	for _, o := range s.order {
		bytes += o.bytes
	}
	full := func() bool { return number > maxCommands || bytes > maxKept }
	s.order = slices.DeleteFunc(s.order, func(o *command) bool {
		if !full() || !o.over() {
			return false
		}
		delete(s.commands, o.id)
		number, bytes = number-1, bytes-o.bytes
		return true
	})
	if full() {
		return errorf("ThrottlingException", "Too many commands have not ended yet: wait for some, or cancel them.")
	}
	s.commands[c.id] = c
	s.order = append(s.order, c)
	return nil
}

var (
	errTimeOut   = errors.New("the script took longer than executionTimeout")
	errLate      = errors.New("the script did not begin within TimeoutSeconds")
	errCancelled = errors.New("the command was cancelled")
)

// run takes a place among those who run, and runs the script.
func (s *Server) run(v *invocation) {
	late := time.NewTimer(time.Duration(v.of.timeout) * time.Second)
	defer late.Stop()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-late.C:
		v.end(-1, errLate)
		return
	case <-v.ctx.Done():
		v.end(-1, context.Cause(v.ctx))
		return
	}
	ctx, over := context.WithTimeoutCause(v.ctx, v.of.limit, errTimeOut)
	defer over()
	v.begin()
	script := strings.Join(v.of.parameters["commands"], "\n")
	exit, err := s.b.RunScript(ctx, v.instance, Script{Text: script, Dir: v.of.dir, Stdout: &v.stdout, Stderr: &v.stderr})
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	v.end(exit, err)
}

func (v *invocation) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status, v.began = inProgress, time.Now()
}

func (v *invocation) end(exit int, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended, v.exit = time.Now(), exit
	switch {
	case errors.Is(err, errTimeOut):
		v.status, v.exit = timedOut, 137
	case errors.Is(err, errLate):
		v.status = timedOut
	case errors.Is(err, errCancelled):
		v.status, v.exit = cancelled, 137
	case err != nil:
		v.status, v.exit = failed, max(exit, 1)
		fmt.Fprintf(&v.stderr, "\nfailed to run commands: %v", err)
	case exit != 0:
		v.status = failed
		fmt.Fprintf(&v.stderr, "\nfailed to run commands: exit status %d", exit)
	default:
		v.status = success
	}
}

func (v *invocation) over() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.ended.IsZero()
}

func (c *command) over() bool {
	return !slices.ContainsFunc(c.invocations, func(v *invocation) bool { return !v.over() })
}
