package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

type fake struct{ down bool }

func (f *fake) API(_ context.Context, req *APIRequest) (*API, error) {
	if req == nil {
		return &API{}, nil
	}
	return &API{Listen: req.Listen, Keys: len(req.Keys) > 0}, nil
}

func (f *fake) Up(_ context.Context, req UpRequest, progress func(string)) (*UpResult, error) {
	progress("vpc main")
	progress("instance web")
	if req.Text == "" {
		return nil, fmt.Errorf("%s: empty", req.File)
	}
	return &UpResult{Changes: []Change{{Verb: "create", Kind: "vpc", Name: "main"}}}, nil
}

func (f *fake) Run(_ context.Context, region, action string, in json.RawMessage, wait bool) (json.RawMessage, error) {
	if action != "CreateVpc" {
		return nil, &vpc.Error{Code: "InvalidAction", Message: "no " + action}
	}
	return json.Marshal(map[string]any{"In": in, "Wait": wait})
}
func (f *fake) Lab(context.Context) (*Lab, error) { return &Lab{Name: "book"}, nil }
func (f *fake) Drops(_ context.Context, after uint64) ([]Drop, error) {
	return []Drop{{Sequence: after + 1}}, nil
}
func (f *fake) Counters(context.Context) (*Counters, error) {
	return &Counters{Verdicts: map[string]uint64{"DELIVERED": 3}}, nil
}
func (f *fake) Trace(_ context.Context, req TraceRequest) (*Trace, error) {
	if req.From == "" {
		return nil, errors.New("from whom?")
	}
	return &Trace{From: Object{Name: req.From}, Port: req.Port}, nil
}
func (f *fake) FlowLogs(_ context.Context, req FlowLogsRequest, lines func(string)) (*FlowLogsResult, error) {
	lines("srcaddr\n")
	lines("10.0.0.1\n10.0.0.2\n")
	return &FlowLogsResult{Note: req.On}, nil
}
func (f *fake) Graph(_ context.Context, req GraphRequest) (*Graph, error) {
	return &Graph{Text: "<" + req.Format + " of " + req.Trace.From + ">"}, nil
}
func (f *fake) Check(_ context.Context, req CheckRequest, result func(CheckResult)) error {
	for i, c := range req.Checks {
		result(CheckResult{Number: i + 1, Title: c.Title(), Pass: true})
	}
	if req.Only == "nothing" {
		return errors.New("no check is called so")
	}
	return nil
}
func (f *fake) Down(context.Context, func(string)) error { f.down = true; return nil }

func client(t *testing.T, a Applier) *Client {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30)) // a socket's address has 107 bytes
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: Handler(a)}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return NewClient(dir)
}

func TestRoundTrips(t *testing.T) {
	f := &fake{}
	c := client(t, f)
	ctx := t.Context()
	if err := c.Ping(ctx); err != nil {
		t.Fatalf("ping: %v", err)
	}
	var lines []string
	r, err := c.Up(ctx, UpRequest{File: "a.yaml", Text: "x"}, func(s string) { lines = append(lines, s) })
	if err != nil || len(r.Changes) != 1 || cmp.Diff([]string{"vpc main", "instance web"}, lines) != "" {
		t.Fatalf("up: %+v, %v, %v", r, lines, err)
	}
	if _, err := c.Up(ctx, UpRequest{File: "a.yaml"}, nil); err == nil || err.Error() != "a.yaml: empty" {
		t.Fatalf("up: %v", err)
	}
	out, err := c.Run(ctx, "CreateVpc", map[string]string{"CidrBlock": "10.0.0.0/16"}, true)
	if err != nil || string(out) != `{"In":{"CidrBlock":"10.0.0.0/16"},"Wait":true}` {
		t.Fatalf("run: %s, %v", out, err)
	}
	var e *Error
	if _, err := c.Run(ctx, "Nonsense", nil, false); !errors.As(err, &e) || e.Code != "InvalidAction" {
		t.Fatalf("run: %v", err)
	}
	if l, err := c.Lab(ctx); err != nil || l.Name != "book" {
		t.Fatalf("lab: %+v, %v", l, err)
	}
	if d, err := c.Drops(ctx, 41); err != nil || len(d) != 1 || d[0].Sequence != 42 {
		t.Fatalf("drops: %+v, %v", d, err)
	}
	if n, err := c.Counters(ctx); err != nil || n.Verdicts["DELIVERED"] != 3 {
		t.Fatalf("counters: %+v, %v", n, err)
	}
	if tr, err := c.Trace(ctx, TraceRequest{From: "web", Port: 22}); err != nil || tr.From.Name != "web" || tr.Port != 22 {
		t.Fatalf("trace: %+v, %v", tr, err)
	}
	if _, err := c.Trace(ctx, TraceRequest{}); !errors.As(err, &e) || e.Message != "from whom?" {
		t.Fatalf("trace: %v", err)
	}
	lines = nil
	if r, err := c.FlowLogs(ctx, FlowLogsRequest{On: "web"}, func(s string) { lines = append(lines, s) }); err != nil || r.Note != "web" || strings.Join(lines, "") != "srcaddr\n10.0.0.1\n10.0.0.2\n" {
		t.Fatalf("flow logs: %q, %+v, %v", lines, r, err)
	}
	if g, err := c.Graph(ctx, GraphRequest{Format: "svg", Trace: &TraceRequest{From: "web"}}); err != nil || g.Text != "<svg of web>" {
		t.Fatalf("graph: %+v, %v", g, err)
	}
	var results []CheckResult
	keep := func(r CheckResult) { results = append(results, r) }
	checks := []vpc.Expectation{{Name: "a"}, {Name: "b", SeenAs: &vpc.ExpectedEnd{Name: "nat", Address: vpc.ExpectPublic}}}
	if err := c.Check(ctx, CheckRequest{Checks: checks}, keep); err != nil || len(results) != 2 || results[1].Title != "b" || !results[1].Pass {
		t.Fatalf("check: %+v, %v", results, err)
	}
	if err := c.Check(ctx, CheckRequest{Only: "nothing"}, keep); err == nil || err.Error() != "no check is called so" {
		t.Fatalf("check: %v", err)
	}
	if err := c.Down(ctx, nil); err != nil || !f.down {
		t.Fatalf("down: %v", err)
	}
}

func TestNoDaemon(t *testing.T) {
	if _, err := NewClient(t.TempDir()).Lab(t.Context()); !errors.Is(err, ErrNoDaemon) {
		t.Fatalf("got %v", err)
	}
}

// What is wrong with a request, and a daemon that ends, are told apart.
func TestStoppingIsNoWrongRequest(t *testing.T) {
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "daemon.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: Handler(&fake{})}
	go s.Serve(l)
	defer s.Close()
	show := func(*Watched) error { return nil }
	var wrong *Error
	if err := NewClient(dir).Watch(t.Context(), WatchRequest{On: []string{"wob"}}, nil, show); !errors.As(err, &wrong) || errors.Is(err, ErrStopping) {
		t.Errorf("wrong: %v", err)
	}
	if err := NewClient(dir).Watch(t.Context(), WatchRequest{Packets: true}, nil, show); errors.As(err, &wrong) || !errors.Is(err, ErrStopping) {
		t.Errorf("stopping: %v", err)
	}
}

// A daemon killed in the middle of an answer must not look like success.
func TestCutAnswerIsAnError(t *testing.T) {
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "daemon.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"Progress":"half"}`)
		_ = http.NewResponseController(w).Flush()
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	})}
	go s.Serve(l)
	defer s.Close()
	if _, err := NewClient(dir).Up(t.Context(), UpRequest{}, nil); !errors.Is(err, ErrNoDaemon) {
		t.Fatalf("got %v", err)
	}
}

func (f *fake) Export(_ context.Context, req ExportRequest) (*Exported, error) {
	return &Exported{Text: req.Format}, nil
}
