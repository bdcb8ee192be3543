package control

import (
	"context"
	"net/http"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// APIRequest says what the lab's endpoint of the EC2 API is to be.
type APIRequest struct {
	Off    bool   `json:",omitempty"` // there is to be none
	Listen string `json:",omitempty"` // address and port; port 0: a free one. "": as it is, or DefaultAPI
	// Keys are access keys with their secrets by which signatures are verified; AnyKey ends that.
	Keys   map[string]string `json:",omitempty"`
	AnyKey bool              `json:",omitempty"`
	// Delays is how long objects stay in states that pass: "" as it is, DelaysNone or DelaysAWS.
	Delays string `json:",omitempty"`
	// Hosts are further names of the endpoint in requests, besides addresses and localhost.
	Hosts []string `json:",omitempty"`
}

// Values of APIRequest.Delays.
const (
	DelaysNone = "none" // none but what the machine needs
	DelaysAWS  = vpc.DelaysAWS
)

// DefaultAPI is where the endpoint listens unless told otherwise.
const DefaultAPI = "127.0.0.1:4566"

// API is the endpoint as it is.
type API struct {
	Listen  string // "": there is none
	Keys    bool   // signatures are verified
	Hosts   []string
	Delays  string // DelaysNone or DelaysAWS
	Problem string `json:",omitempty"` // why nobody listens there
}

// apiServer is what the daemon offers of it.
type apiServer interface {
	// API changes the lab's endpoint of the EC2 API where there is a request, and tells what it is
	// then. What cannot be is an error, and leaves it as it was.
	API(ctx context.Context, req *APIRequest) (*API, error)
}

func handleAPI(mux *http.ServeMux, a apiServer) {
	mux.HandleFunc("GET /v1/api", func(w http.ResponseWriter, r *http.Request) {
		out, err := a.API(r.Context(), nil)
		answer(w, out, err)
	})
	mux.HandleFunc("POST /v1/api", func(w http.ResponseWriter, r *http.Request) {
		var req APIRequest
		if !decode(w, r, &req) {
			return
		}
		out, err := a.API(r.Context(), &req)
		answer(w, out, err)
	})
}

// API changes the lab's endpoint of the EC2 API, or only tells what it is (nil).
func (c *Client) API(ctx context.Context, req *APIRequest) (*API, error) {
	out := &API{}
	if req == nil {
		return out, c.call(ctx, http.MethodGet, "/v1/api", nil, out, nil)
	}
	return out, c.call(ctx, http.MethodPost, "/v1/api", req, out, nil)
}
