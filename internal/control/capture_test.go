package control

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func (f *fake) Capture(ctx context.Context, req CaptureRequest, w io.Writer) (CaptureEnd, error) {
	if len(req.On) == 0 {
		return CaptureEnd{}, errors.New("on: nothing")
	}
	if _, err := io.WriteString(w, "first "); err != nil {
		return CaptureEnd{}, err
	}
	if req.Count > 0 {
		return CaptureEnd{Packets: req.Count}, errors.New("the tap burst")
	}
	<-ctx.Done()
	_, err := io.WriteString(w, "last")
	return CaptureEnd{Packets: 2, Skipped: 7}, err
}

func TestCapture(t *testing.T) {
	c := client(t, &fake{})
	s, err := c.Capture(t.Context(), CaptureRequest{On: []string{"web"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first := make([]byte, 6) // comes at once, while the capture goes on
	if _, err := io.ReadFull(s, first); err != nil || string(first) != "first " {
		t.Fatalf("%q, %v", first, err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(s)
	if err != nil || string(rest) != "last" {
		t.Fatalf("%q, %v", rest, err)
	}
	if end, err := s.End(); err != nil || end != (CaptureEnd{Packets: 2, Skipped: 7}) {
		t.Errorf("%+v, %v", end, err)
	}
	if err := s.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "ended already") {
		t.Errorf("stopped twice: %v", err)
	}
}

func TestCaptureFails(t *testing.T) {
	c := client(t, &fake{})
	if _, err := c.Capture(t.Context(), CaptureRequest{}); err == nil || err.Error() != "on: nothing" {
		t.Errorf("before the stream: %v", err)
	}
	s, err := c.Capture(t.Context(), CaptureRequest{On: []string{"web"}, Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if b, err := io.ReadAll(s); err != nil || string(b) != "first " {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := s.End(); err == nil || err.Error() != "the tap burst" {
		t.Errorf("in the stream: %v", err)
	}
	if _, err := NewClient(t.TempDir()).Capture(t.Context(), CaptureRequest{}); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("no daemon: %v", err)
	}
}

func TestCaptureTokens(t *testing.T) {
	c := &captures{stop: map[string]context.CancelFunc{}}
	stop := func() {}
	if err := errors.Join(c.add("a", stop), c.add("b", stop)); err != nil {
		t.Fatal(err)
	}
	if c.add("a", stop) == nil || c.add("", stop) == nil {
		t.Error("a token that is taken, and none")
	}
	c.remove("a")
	if err := c.add("a", stop); err != nil {
		t.Error(err)
	}
}

// A daemon that is killed leaves a stream that breaks off, not one that ends.
func TestCaptureOfADaemonThatDies(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: Handler(&fake{})}
	go srv.Serve(l)
	s, err := NewClient(dir).Capture(t.Context(), CaptureRequest{On: []string{"web"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := io.ReadFull(s, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	srv.Close()
	if _, err := io.ReadAll(s); err == nil {
		t.Error("the stream ended as if it were whole")
	}
	if _, err := s.End(); err == nil {
		t.Error("an end of a capture that has none")
	}
}

// The client's leaving ends the capture.
func TestCaptureIsGivenUp(t *testing.T) {
	ended := make(chan struct{})
	c := client(t, &watched{ended: ended})
	s, err := c.Capture(t.Context(), CaptureRequest{On: []string{"web"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the capture goes on without a reader")
	}
}

type watched struct {
	fake
	ended chan struct{}
}

func (w *watched) Capture(ctx context.Context, req CaptureRequest, out io.Writer) (CaptureEnd, error) {
	defer close(w.ended)
	return w.fake.Capture(ctx, req, out)
}
