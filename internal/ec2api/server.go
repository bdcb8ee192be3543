package ec2api

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Backend performs operations: the daemon, or one of apitest.
type Backend interface {
	// Do runs one action in a Region. in points to the action's Input type (vpc.LookupAction), the
	// result to its Output. Errors of the cloud are *vpc.Error; any other becomes InternalError.
	Do(ctx context.Context, region, action string, in any) (any, error)
	// Account is the twelve digits of the lab's account.
	Account() string
}

// Auth checks who a request is from. The request's body has been read and is given as it
// came. Errors are *vpc.Error with AWS's codes: MissingAuthenticationToken, IncompleteSignature,
// InvalidClientTokenId, SignatureDoesNotMatch, RequestExpired.
type Auth interface {
	Check(r *http.Request, body []byte) (Caller, error)
}

// Caller is who signed a request, and for what: the credential scope of the signature.
type Caller struct {
	AccessKey string
	Region    string // eu-west-1
	Service   string // ec2
}

// Config is what a Server needs.
type Config struct {
	Backend Backend
	Auth    Auth         // nil: Signatures without keys
	Log     *slog.Logger // nil: none
	// Services are asked for requests that are signed for another service than ec2 and sts, by
	// the service's name (ssm). CallerOf tells them who asks.
	Services map[string]http.Handler
}

// Server answers requests to an endpoint of AWS's: see the package's comment. It is safe
// for concurrent use.
type Server struct{ cfg Config }

// New returns a Server.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Auth == nil {
		cfg.Auth = &Signatures{Now: time.Now}
	}
	return &Server{cfg}
}

type callerKey struct{}

// CallerOf is who sent the request that a handler of Config.Services got.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newRequestID()
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler: // a handler's own wish
			panic(p)
		default:
			s.cfg.Log.Error("a request to the API panicked", "panic", p, "stack", string(debug.Stack()))
			writeError(w, errf("InternalError", "An internal error has occurred: the daemon's log has the details."), id)
		}
	}()
	body, err := readBody(r.Body)
	if err != nil {
		writeError(w, err, id)
		return
	}
	caller, err := s.cfg.Auth.Check(r, body)
	switch {
	case err != nil && r.Header.Get("X-Amz-Target") != "": // of a service that speaks JSON
		writeJSONError(w, err, id)
		return
	case err != nil:
		writeError(w, err, id)
		return
	}
	switch h := s.cfg.Services[caller.Service]; {
	case caller.Service == "ec2":
		s.ec2(w, r, body, caller, id)
	case caller.Service == "sts":
		s.sts(w, r, body, caller, id)
	case h != nil:
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller))
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	default:
		writeOtherError(w, r, errf("UnsupportedOperation", "vpcemu does not have the service %s: it has ec2, sts and ssm.", shown(caller.Service)), caller.Service, id)
	}
}

// readBody reads all of a body that is not too large. What is larger is read off nevertheless, as far
// as a client may go in good faith (user data, a key file): one that still sends when the connection
// closes sees no answer, but a connection that broke, and tries again.
func readBody(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return nil, errf("MalformedQueryString", "The request could not be read: %v", err)
	}
	if len(body) > maxBody {
		_, _ = io.Copy(io.Discard, io.LimitReader(r, maxDrained)) // the answer is the same
		return nil, errf("MalformedQueryString", "The request is too large: it may have %d bytes.", maxBody)
	}
	return body, nil
}

func newRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// formOf are the parameters of a request: of its query string, and of its body where that
// is a form.
func formOf(r *http.Request, body []byte) (url.Values, error) {
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err == nil && r.Method == http.MethodPost && len(body) > 0 { // a presigned request has all in its query string
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
			return nil, errf("MalformedQueryString", "The body of a request must be of the type application/x-www-form-urlencoded.")
		}
		var posted url.Values
		posted, err = url.ParseQuery(string(body))
		for name, values := range posted {
			form[name] = append(form[name], values...)
		}
	}
	if err != nil {
		return nil, errf("MalformedQueryString", "The query string is malformed: %v", err)
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return nil, errf("InvalidAction", "The method %s is not valid for this web service: use POST or GET.", r.Method)
	}
	return form, nil
}

func (s *Server) ec2(w http.ResponseWriter, r *http.Request, body []byte, caller Caller, id string) {
	read := time.Now()
	form, err := formOf(r, body)
	if err != nil {
		writeError(w, err, id)
		return
	}
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	err = s.call(r.Context(), form, caller, id, b)
	s.cfg.Log.Debug("API", "action", form.Get("Action"), "region", caller.Region, "request", id, "error", err)
	if err != nil {
		writeError(w, err, id)
		return
	}
	awaitGoSDK(r.Context(), r, read, b.Len())
	writeXML(w, http.StatusOK, id, b.Bytes())
}

// buffers are for answers, which can have megabytes: growing a new one to that costs as much
// as filling it.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func release(b *bytes.Buffer) {
	const most = 8 << 20 // bytes that are kept
	if b.Cap() <= most {
		b.Reset()
		buffers.Put(b)
	}
}

// call runs the action that a form asks for, and writes its answer.
func (s *Server) call(ctx context.Context, form url.Values, caller Caller, id string, answer *bytes.Buffer) error {
	a, op, err := find(form)
	if err != nil {
		return err
	}
	in, err := decode(a, op, form)
	if err != nil {
		return err
	}
	out, err := s.cfg.Backend.Do(ctx, caller.Region, a.name, in)
	if err != nil {
		return refusal{err}
	}
	encode(answer, a, out, id)
	return nil
}

// find looks up the action that a form asks for.
func find(form url.Values) (*action, vpc.Action, error) {
	name := form.Get("Action")
	if name == "" {
		return nil, vpc.Action{}, errf("MissingAction", "The request is missing an action or a required parameter.")
	}
	if err := checkVersion(form); err != nil {
		return nil, vpc.Action{}, err
	}
	a := theTable().actions[name]
	op, known := vpc.LookupAction(name)
	switch {
	case a == nil:
		return nil, op, errf("InvalidAction", "The action %s is not valid for this web service.", shown(name))
	case !known || !a.shapes:
		return nil, op, errf("UnsupportedOperation", "The action %s is not supported by vpcemu.", name)
	}
	return a, op, nil
}

// checkVersion takes the versions of the API's history: what has been in one of them is in
// the last one, too.
func checkVersion(form url.Values) error {
	v := form.Get("Version")
	switch {
	case v == "":
		return errf("MissingParameter", "The request must contain the parameter Version")
	case len(v) != len(apiVersion) || !strings.HasPrefix(v, "20") || v > apiVersion:
		return errf("NoSuchVersion", "The requested version (%s) of service AmazonEC2 does not exist", shown(v))
	}
	return nil
}
