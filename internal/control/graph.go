package control

import (
	"context"
	"net/http"
)

// GraphRequest asks for a picture of the lab.
type GraphRequest struct {
	Format string // svg, mermaid, dot
	// Trace is a packet whose way is drawn into the picture, nil for none.
	Trace *TraceRequest `json:",omitempty"`
}

// Graph is a picture of the lab.
type Graph struct {
	Text string // in the format asked for
}

// Graph draws the lab, and a traced packet into it where the request has one.
func (c *Client) Graph(ctx context.Context, req GraphRequest) (*Graph, error) {
	g := &Graph{}
	return g, c.call(ctx, http.MethodPost, "/v1/graph", req, g, nil)
}

// handleGraph serves Applier.Graph.
func handleGraph(mux *http.ServeMux, a Applier) {
	mux.HandleFunc("POST /v1/graph", func(w http.ResponseWriter, r *http.Request) {
		var req GraphRequest
		if !decode(w, r, &req) {
			return
		}
		g, err := a.Graph(r.Context(), req)
		answer(w, g, err)
	})
}
