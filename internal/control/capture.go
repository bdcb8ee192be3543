package control

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// CaptureRequest says which packets a capture is to have.
type CaptureRequest struct {
	// On names instances, interfaces, subnets, VPCs, security groups, Internet hosts or
	// gateways (endpoint.Interfaces); none: everything.
	On        []string
	NAT       string // before, after, both: the form of packets at gateways
	DropsOnly bool
	// Filter is a classic BPF program for packets that begin with their IP header, four
	// numbers (code, jt, jf, k) an instruction; Expression is the text it was made from.
	Filter     [][4]uint32
	Expression string
	Snap       int           // bytes kept of each packet, 0: all
	Count      uint64        // packets after which it ends, 0: never
	Duration   time.Duration // after which it ends, 0: never
	Token      string        // by which StopCapture means it; Client.Capture makes it
}

// CaptureEnd is what a capture came to.
type CaptureEnd struct {
	Packets uint64 // as written: one that is seen at two places is two
	Skipped uint64 // packets that were not captured because the reader was too slow
}

// Trailers of a capture's answer, after the stream.
const (
	trailerPackets = "Vpcemu-Packets"
	trailerSkipped = "Vpcemu-Skipped"
	trailerError   = "Vpcemu-Error"
)

// captureGrace is how long a capture's reader may take for the rest of it.
const captureGrace = 10 * time.Second

// captures are those under way, by token.
type captures struct {
	mu   sync.Mutex
	stop map[string]context.CancelFunc
}

func (c *captures) add(token string, stop context.CancelFunc) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.stop[token]; there || token == "" {
		return fmt.Errorf("capture: token %q: want one that no other capture has", token)
	}
	c.stop[token] = stop
	return nil
}

func (c *captures) remove(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.stop, token)
}

func (c *captures) end(token string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	stop := c.stop[token]
	if stop == nil {
		return errors.New("capture: it has ended already")
	}
	stop()
	return nil
}

// handleCaptures serves POST /v1/capture, whose answer is the pcapng stream until the
// client leaves or says DELETE /v1/capture/TOKEN.
func handleCaptures(mux *http.ServeMux, a Applier) {
	running := &captures{stop: map[string]context.CancelFunc{}}
	mux.HandleFunc("POST /v1/capture", func(w http.ResponseWriter, r *http.Request) {
		var req CaptureRequest
		if !decode(w, r, &req) {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // its end, from which on the client's leaving is noticed
		ctx, stop := context.WithCancel(r.Context())
		defer stop()
		if err := running.add(req.Token, stop); err != nil {
			answer(w, nil, err)
			return
		}
		defer running.remove(req.Token)
		// A reader that has stopped reading must not keep the daemon from ending.
		defer context.AfterFunc(ctx, func() {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(captureGrace))
		})()
		s := &captureStream{w: w}
		end, err := a.Capture(ctx, req, s)
		if err != nil && !s.began {
			answer(w, nil, err)
			return
		}
		w.Header().Set(trailerPackets, strconv.FormatUint(end.Packets, 10))
		w.Header().Set(trailerSkipped, strconv.FormatUint(end.Skipped, 10))
		if err != nil {
			w.Header().Set(trailerError, err.Error())
		}
	})
	mux.HandleFunc("DELETE /v1/capture/{token}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, running.end(r.PathValue("token")))
	})
}

// captureStream sends what is written at once. Until then an error is an ordinary answer.
type captureStream struct {
	w     http.ResponseWriter
	began bool
}

func (s *captureStream) Write(b []byte) (int, error) {
	if !s.began {
		s.began = true
		s.w.Header().Set("Content-Type", "application/x-pcapng")
		s.w.Header().Set("Trailer", trailerPackets+", "+trailerSkipped+", "+trailerError)
	}
	n, err := s.w.Write(b)
	if err == nil {
		err = http.NewResponseController(s.w).Flush()
	}
	return n, err
}

// Capture is a capture under way: a pcapng stream to read.
type Capture struct {
	client *Client
	token  string
	resp   *http.Response
}

// Capture begins a capture. It is under way when Capture returns, and is given up when
// ctx ends.
func (c *Client) Capture(ctx context.Context, req CaptureRequest) (*Capture, error) {
	req.Token = rand.Text()
	b, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://daemon/v1/capture", bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, read(resp.Body, nil, nil)
	}
	return &Capture{client: c, token: req.Token, resp: resp}, nil
}

// Read reads the stream. An error other than io.EOF means that the daemon has ended.
func (c *Capture) Read(b []byte) (int, error) { return c.resp.Body.Read(b) }

// Stop asks the daemon to end the stream, whose rest is still to be read.
func (c *Capture) Stop(ctx context.Context) error {
	return c.client.call(ctx, http.MethodDelete, "/v1/capture/"+c.token, nil, nil, nil)
}

// End tells what the capture came to, once Read has returned io.EOF. The error is why
// the daemon ended it.
func (c *Capture) End() (end CaptureEnd, err error) {
	if why := c.resp.Trailer.Get(trailerError); why != "" {
		return end, errors.New(why)
	}
	if end.Packets, err = strconv.ParseUint(c.resp.Trailer.Get(trailerPackets), 10, 64); err != nil {
		return end, errCut
	}
	if end.Skipped, err = strconv.ParseUint(c.resp.Trailer.Get(trailerSkipped), 10, 64); err != nil {
		return end, errCut
	}
	return end, nil
}

// Close gives the capture up.
func (c *Capture) Close() error { return c.resp.Body.Close() }
