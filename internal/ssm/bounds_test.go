package ssm_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vpcemu/vpcemu/internal/ssm"
)

// slow is a Backend whose scripts take until they are told to end.
type slow struct {
	lab
	end chan struct{}
}

func (s *slow) RunScript(ctx context.Context, _ string, _ ssm.Script) (int, error) {
	select {
	case <-s.end:
		return 0, nil
	case <-ctx.Done():
		return -1, ctx.Err()
	}
}

// watched counts the contexts that hang on one.
type watched struct {
	context.Context
	mu       sync.Mutex
	children map[any]bool
}

func (w *watched) AfterFunc(f func()) func() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := new(int)
	w.children[key] = true
	stop := context.AfterFunc(w.Context, f)
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.children, key)
		return stop()
	}
}

// Value hides what Context is, so that a child hangs on AfterFunc.
func (w *watched) Value(any) any { return nil }

func newSlow(t *testing.T, ctx context.Context) (*service, *slow) {
	b := &slow{lab{[]ssm.Instance{{ID: one, Running: true}}}, make(chan struct{})}
	s := ssm.New(ctx, b, func() string { return "123456789012" }, func(context.Context) string { return "eu-west-1" })
	return &service{t, s}, b
}

// Commands that have ended leave nothing behind but what is kept of them.
func TestCommands_LeaveNoContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watched{Context: ctx, children: map[any]bool{}}
	s, b := newSlow(t, w)
	for range 20 {
		s.send(command(one, "true"))
	}
	w.mu.Lock()
	if len(w.children) == 0 {
		t.Error("nothing was seen")
	}
	w.mu.Unlock()
	close(b.end)
	s.server.Wait()
	if len(w.children) > 0 {
		t.Errorf("%d contexts are left", len(w.children))
	}
	cancel()
}

// What has not ended is bounded, in number and in bytes, and is not forgotten for more.
func TestCommands_AreBounded(t *testing.T) {
	everywhere := `{"DocumentName": "AWS-RunShellScript", "Targets": [{"Key": "InstanceIds", "Values": ["*"]}], "Parameters": {"commands": ["true"]}}`
	for name, c := range map[string]struct {
		instances int // each may have 32 KB of output
		most      int
	}{"number": {1, 1000}, "bytes": {50, 41}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			s, b := newSlow(t, ctx)
			b.list = nil
			for n := range c.instances {
				b.list = append(b.list, ssm.Instance{ID: fmt.Sprintf("i-%017x", n), Running: true})
			}
			defer s.server.Wait()
			defer cancel()
			sent := 0
			for ; ; sent++ {
				if _, code := s.call("SendCommand", everywhere); code == "ThrottlingException" {
					break
				} else if code != "" || sent > c.most {
					t.Fatalf("after %d: %q", sent, code)
				}
			}
			if sent != c.most {
				t.Errorf("%d commands, want %d", sent, c.most)
			}
			close(b.end)
			s.server.Wait()
			if _, code := s.call("SendCommand", everywhere); code != "" {
				t.Errorf("after their end: %s", code)
			}
			out, _ := s.call("ListCommands", `{"MaxResults": 50}`)
			if n := len(out["Commands"].([]any)); n < min(c.most, 50) {
				t.Errorf("%d are left", n)
			}
		})
	}
}

// A script that finds no place within TimeoutSeconds does not run any more.
func TestCommands_DeliveryTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		s, _ := newSlow(t, ctx)
		for range 64 {
			s.send(command(one, "true"))
		}
		synctest.Wait()
		id := s.send(fmt.Sprintf(`{"DocumentName": "AWS-RunShellScript", "InstanceIds": [%q], "Parameters": {"commands": ["true"]}, "TimeoutSeconds": 30}`, one))
		status := func() string {
			out, _ := s.call("GetCommandInvocation", fmt.Sprintf(`{"CommandId": %q, "InstanceId": %q}`, id, one))
			return fmt.Sprint(out["Status"], " ", out["StatusDetails"])
		}
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if got := status(); got != "Pending Pending" {
			t.Error(got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := status(); got != "TimedOut DeliveryTimedOut" {
			t.Error(got)
		}
		cancel()
		s.server.Wait()
	})
}

// For the race detector: commands are listed and cancelled while they are sent.
func TestCommands_CancelledWhileTheyAreSent(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s, _ := newSlow(t, ctx)
	var all sync.WaitGroup
	all.Go(func() {
		for range 200 {
			s.call("SendCommand", command(one, "true"))
		}
	})
	all.Go(func() {
		for range 200 {
			out, _ := s.call("ListCommands", `{"MaxResults": 5}`)
			list, _ := out["Commands"].([]any)
			for _, c := range list {
				s.call("CancelCommand", fmt.Sprintf(`{"CommandId": %q}`, c.(map[string]any)["CommandId"]))
			}
		}
	})
	all.Wait()
	cancel()
	s.server.Wait()
}
