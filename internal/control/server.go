package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// maxBody bounds a request: a topology file of a thousand instances is far below.
const maxBody = 16 << 20

// message is one line of a streamed answer: some progress lines, then a result
// or an error.
type message struct {
	Progress string          `json:",omitempty"`
	Result   json.RawMessage `json:",omitempty"`
	Error    *Error          `json:",omitempty"`
}

// Handler serves the control API from a.
func Handler(a Applier) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/up", func(w http.ResponseWriter, r *http.Request) {
		var req UpRequest
		if !decode(w, r, &req) {
			return
		}
		stream(w, func(progress func(string)) (any, error) { return a.Up(r.Context(), req, progress) })
	})
	mux.HandleFunc("POST /v1/down", func(w http.ResponseWriter, r *http.Request) {
		// The lab goes even when the client does not wait for the end of it.
		ctx := context.WithoutCancel(r.Context())
		stream(w, func(progress func(string)) (any, error) { return nil, a.Down(ctx, progress) })
	})
	mux.HandleFunc("POST /v1/ec2/{action}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			answer(w, nil, fmt.Errorf("request: %w", err))
			return
		}
		query := r.URL.Query()
		out, err := a.Run(r.Context(), query.Get("region"), r.PathValue("action"), body, query.Has("wait"))
		answer(w, out, err)
	})
	mux.HandleFunc("GET /v1/ping", func(w http.ResponseWriter, _ *http.Request) { answer(w, struct{}{}, nil) })
	mux.HandleFunc("GET /v1/lab", func(w http.ResponseWriter, r *http.Request) {
		lab, err := a.Lab(r.Context())
		answer(w, lab, err)
	})
	mux.HandleFunc("GET /v1/drops", func(w http.ResponseWriter, r *http.Request) {
		after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
		if err != nil {
			answer(w, nil, fmt.Errorf("parameter after: %w", err))
			return
		}
		drops, err := a.Drops(r.Context(), after)
		answer(w, drops, err)
	})
	mux.HandleFunc("GET /v1/counters", func(w http.ResponseWriter, r *http.Request) {
		c, err := a.Counters(r.Context())
		answer(w, c, err)
	})
	mux.HandleFunc("POST /v1/trace", func(w http.ResponseWriter, r *http.Request) {
		var req TraceRequest
		if !decode(w, r, &req) {
			return
		}
		tr, err := a.Trace(r.Context(), req)
		answer(w, tr, err)
	})
	mux.HandleFunc("POST /v1/matrix", func(w http.ResponseWriter, r *http.Request) {
		var req MatrixRequest
		if !decode(w, r, &req) {
			return
		}
		x, err := a.Matrix(r.Context(), req)
		answer(w, x, err)
	})
	(&watchList{}).handle(mux, a)
	handleFlowLogs(mux, a)
	handleCaptures(mux, a)
	handleGraph(mux, a)
	handleAPI(mux, a)
	handleExport(mux, a)
	mux.HandleFunc("POST /v1/check", func(w http.ResponseWriter, r *http.Request) { serveCheck(a, w, r) })
	return mux
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		answer(w, nil, fmt.Errorf("request: %w", err))
		return false
	}
	return true
}

func answer(w http.ResponseWriter, result any, err error) {
	w.Header().Set("Content-Type", "application/json")
	m := message{}
	if err == nil {
		m.Result, err = json.Marshal(result)
	}
	if err != nil {
		m = message{Error: wireError(err)}
		w.WriteHeader(http.StatusBadRequest)
	}
	_ = json.NewEncoder(w).Encode(m) // a client that left misses its answer
}

func stream(w http.ResponseWriter, do func(progress func(string)) (any, error)) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	var mu sync.Mutex
	enc := json.NewEncoder(w)
	rc := http.NewResponseController(w)
	send := func(m message) {
		mu.Lock()
		defer mu.Unlock()
		if enc.Encode(m) == nil {
			_ = rc.Flush()
		}
	}
	result, err := do(func(line string) { send(message{Progress: line}) })
	if err != nil {
		send(message{Error: wireError(err)})
		return
	}
	b, err := json.Marshal(result)
	if err != nil {
		send(message{Error: wireError(err)})
		return
	}
	send(message{Result: b})
}

func wireError(err error) *Error {
	var ec2 *vpc.Error
	if errors.As(err, &ec2) && err.Error() == ec2.Error() {
		return &Error{Code: ec2.Code, Message: ec2.Message}
	}
	if errors.Is(err, ErrStopping) {
		return &Error{Code: codeStopping, Message: err.Error()}
	}
	return &Error{Message: err.Error()}
}
