// Package ssm serves what tests of AWS setups use of AWS Systems Manager: Run Command with
// the document AWS-RunShellScript, by which commands run in instances without a network, the
// inventory that tells which instances take commands, and the public parameters by which the latest
// image of a distribution is found.
//
// It speaks the service's JSON protocol, version 1.1: the action is in the header
// X-Amz-Target (AmazonSSM.SendCommand), input and output are JSON. Actions: SendCommand,
// GetCommandInvocation, ListCommandInvocations, ListCommands, CancelCommand,
// DescribeInstanceInformation, GetParameter, GetParameters, GetParametersByPath.
//
// Every running instance is managed: it needs no agent, no role and no way to the service's
// endpoints. Output is not written to S3 or CloudWatch.
//
// Source: AWS Systems Manager API Reference.
package ssm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Backend is the lab.
type Backend interface {
	// Instances are those of a Region that are not terminated, ordered by ID.
	Instances(region string) []Instance
	// RunScript runs a shell script as root in an instance, and returns its exit status. When ctx
	// ends, so does the script. An error means that it did not run to its end.
	RunScript(ctx context.Context, instanceID string, s Script) (exit int, err error)
	// Parameters are the public parameters, ordered by name.
	Parameters() []Parameter
}

// Parameter is a public parameter, whose value is an image.
type Parameter struct{ Name, Value string }

// Instance is one that may take commands.
type Instance struct {
	ID      string
	Name    string // its host name
	Address string // private
	Running bool
	Tags    map[string]string
}

// Script is what to run and where its output goes.
type Script struct {
	Text           string
	Dir            string // "": the user's home
	Stdout, Stderr io.Writer
}

// Limits. AWS keeps commands for 30 days; here they are gone with the daemon, too.
const (
	maxCommands  = 1000     // kept, the oldest that ended go first
	maxKept      = 64 << 20 // bytes of their parameters and, at the most, output
	maxRunning   = 64       // scripts at a time; more wait, and are Pending
	maxInstances = 50       // named in one request (API Reference, SendCommand)
	maxStdout    = 24_000
	maxStderr    = 8_000
	maxBody      = 1 << 20
)

// Server is an http.Handler for requests to the service. Region and caller come with the
// request, by RegionOf.
type Server struct {
	b        Backend
	regionOf func(context.Context) string
	account  func() string
	slots    chan struct{}

	mu       sync.Mutex
	commands map[string]*command
	order    []*command
	running  sync.WaitGroup
	ctx      context.Context
}

// New returns a Server. Scripts end when ctx does. regionOf tells the Region of a request
// by its context.
func New(ctx context.Context, b Backend, account func() string, regionOf func(context.Context) string) *Server {
	return &Server{b: b, account: account, regionOf: regionOf, slots: make(chan struct{}, maxRunning), commands: map[string]*command{}, ctx: ctx}
}

// Wait returns when no script runs any more, which is soon after New's ctx has ended.
func (s *Server) Wait() { s.running.Wait() }

// Error is an error of the service's.
type Error struct {
	Code    string // InvalidInstanceId
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func errorf(code, format string, a ...any) *Error { return &Error{code, fmt.Sprintf(format, a...)} }

func invalid(format string, a ...any) *Error { return errorf("ValidationException", format, a...) }

// action decodes its input and answers.
type action func(s *Server, region string, body []byte) (any, error)

func typed[In, Out any](do func(s *Server, region string, in *In) (Out, error)) action {
	return func(s *Server, region string, body []byte) (any, error) {
		in := new(In)
		if err := json.Unmarshal(body, in); err != nil {
			return nil, errorf("SerializationException", "The request is no JSON of this action: %v", err)
		}
		return do(s, region, in)
	}
}

var actions = map[string]action{
	"SendCommand":                 typed((*Server).sendCommand),
	"GetCommandInvocation":        typed((*Server).getCommandInvocation),
	"ListCommandInvocations":      typed((*Server).listCommandInvocations),
	"ListCommands":                typed((*Server).listCommands),
	"CancelCommand":               typed((*Server).cancelCommand),
	"DescribeInstanceInformation": typed((*Server).describeInstanceInformation),
	"GetParameter":                typed((*Server).getParameter),
	"GetParameters":               typed((*Server).getParameters),
	"GetParametersByPath":         typed((*Server).getParametersByPath),
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := s.answer(w, r)
	var e *Error
	status := http.StatusOK
	switch {
	case errors.As(err, &e):
		status, out = http.StatusBadRequest, map[string]string{"__type": e.Code, "message": e.Message}
	case err != nil:
		status, out = http.StatusInternalServerError, map[string]string{"__type": "InternalServerError", "message": err.Error()}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // a client that left misses its answer
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
	do := actions[name]
	if r.Method != http.MethodPost || !ok || do == nil {
		return nil, errorf("UnknownOperationException", "vpcemu has no action %q of the service ssm: it has %s.", name, strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, errorf("SerializationException", "The request could not be read: %v", err)
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	return do(s, s.regionOf(r.Context()), body)
}

// epoch is a time as the protocol has it: seconds, with a fraction.
type epoch time.Time

func (e epoch) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", float64(time.Time(e).UnixMilli())/1000), nil
}
