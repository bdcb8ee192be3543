package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
)

// ErrNoDaemon: nobody answers on the lab's socket.
var ErrNoDaemon = errors.New("the lab's daemon is not running")

// ErrStopping: the lab's daemon answers no more because it is told to end.
var ErrStopping = errors.New("the lab's daemon is stopping")

// codeStopping is how ErrStopping goes over the socket.
const codeStopping = "Stopping"

// asError is what a client returns for e: an *Error about the request, or ErrStopping.
func (e *Error) asError() error {
	if e.Code == codeStopping {
		return ErrStopping
	}
	return e
}

// Client calls a lab's daemon.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client of the daemon whose run directory is runDir. It
// connects at the first call.
func NewClient(runDir string) *Client {
	c := &Client{path: Socket(runDir)}
	c.http.Transport = &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, c.path)
		},
	}
	return c
}

// Ping tells whether the daemon answers: ErrNoDaemon where there is none.
func (c *Client) Ping(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/v1/ping", nil, nil, nil)
}

// Up converges the lab; progress gets a line at a time and may be nil.
func (c *Client) Up(ctx context.Context, req UpRequest, progress func(string)) (*UpResult, error) {
	r := &UpResult{}
	return r, c.call(ctx, http.MethodPost, "/v1/up", req, r, progress)
}

// Down removes the lab and ends its daemon.
func (c *Client) Down(ctx context.Context, progress func(string)) error {
	return c.call(ctx, http.MethodPost, "/v1/down", nil, nil, progress)
}

// Run performs one EC2-named operation in the lab's home Region; input is its Input as JSON.
func (c *Client) Run(ctx context.Context, action string, input any, wait bool) (json.RawMessage, error) {
	return c.RunIn(ctx, "", action, input, wait)
}

// RunIn is Run in any Region.
func (c *Client) RunIn(ctx context.Context, region, action string, input any, wait bool) (json.RawMessage, error) {
	path := "/v1/ec2/" + url.PathEscape(action) + "?region=" + url.QueryEscape(region)
	if wait {
		path += "&wait"
	}
	var out json.RawMessage
	return out, c.call(ctx, http.MethodPost, path, input, &out, nil)
}

// Lab tells what there is.
func (c *Client) Lab(ctx context.Context) (*Lab, error) {
	l := &Lab{}
	return l, c.call(ctx, http.MethodGet, "/v1/lab", nil, l, nil)
}

// Drops returns dropped packets after a sequence number.
func (c *Client) Drops(ctx context.Context, after uint64) ([]Drop, error) {
	var d []Drop
	err := c.call(ctx, http.MethodGet, "/v1/drops?after="+strconv.FormatUint(after, 10), nil, &d, nil)
	return d, err
}

// Counters tells what the network has done since the daemon started.
func (c *Client) Counters(ctx context.Context) (*Counters, error) {
	var n Counters
	err := c.call(ctx, http.MethodGet, "/v1/counters", nil, &n, nil)
	return &n, err
}

// Trace tells which way an imagined packet goes, and its answer.
func (c *Client) Trace(ctx context.Context, req TraceRequest) (*Trace, error) {
	t := &Trace{}
	return t, c.call(ctx, http.MethodPost, "/v1/trace", req, t, nil)
}

// Matrix tells who reaches whom.
func (c *Client) Matrix(ctx context.Context, req MatrixRequest) (*Matrix, error) {
	x := &Matrix{}
	return x, c.call(ctx, http.MethodPost, "/v1/matrix", req, x, nil)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any, progress func(string)) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("control: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://daemon"+path, body)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	resp, err := c.do(ctx, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err = read(resp.Body, out, progress); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// do sends a request. Its errors are for the user.
func (c *Client) do(ctx context.Context, req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	switch {
	case err == nil:
		return resp, nil
	case errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNoDaemon
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: permission denied: run the command as root (sudo vpcemu …)", c.path)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return nil, errCut
	}
	return nil, fmt.Errorf("control: %w", err)
}

// errCut: nobody knows whether the request was carried out.
var errCut = fmt.Errorf("%w any more: it ended before it answered; run the command again: it goes on from where it was", ErrNoDaemon)

// read takes progress lines until a result or an error ends the answer.
func read(body io.Reader, out any, progress func(string)) error {
	lines := json.NewDecoder(bufio.NewReader(body))
	for {
		var m message
		if err := lines.Decode(&m); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return errCut
			}
			return fmt.Errorf("control: answer: %w", err)
		}
		switch {
		case m.Error != nil:
			return m.Error.asError()
		case m.Progress != "":
			if progress != nil {
				progress(m.Progress)
			}
		case m.Result != nil:
			if out == nil {
				return nil
			}
			if err := json.Unmarshal(m.Result, out); err != nil {
				return fmt.Errorf("control: answer: %w", err)
			}
			return nil
		default:
			return nil
		}
	}
}
