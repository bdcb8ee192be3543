package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// ExportRequest says what to write a lab as.
type ExportRequest struct {
	Format string // ExportTopology, ExportTerraform
	Region string // "": the lab's home Region
	Adopt  bool   // write the topology file as the one that is to be what made the objects
	// With Adopt: the Digest of the text that has been kept. The objects are given to the file only if it is
	// still that of the lab; without it nothing changes yet.
	Kept string `json:",omitempty"`
}

// Formats of Export.
const (
	ExportTopology  = "topology"
	ExportTerraform = "terraform"
)

// Exported is a lab as a file.
type Exported struct {
	Text     string
	Notes    []string // what the file does not say
	Problem  string   `json:",omitempty"` // why the file is not as `up` takes it
	UserData bool     // the file holds user data, which may hold secrets
}

// Digest tells one text from another.
func (e *Exported) Digest() string {
	sum := sha256.Sum256([]byte(e.Text))
	return hex.EncodeToString(sum[:])
}

type exporter interface {
	// Export writes the lab as a file that makes it again. An error is about the request.
	Export(ctx context.Context, req ExportRequest) (*Exported, error)
}

func handleExport(mux *http.ServeMux, a exporter) {
	mux.HandleFunc("POST /v1/export", func(w http.ResponseWriter, r *http.Request) {
		var req ExportRequest
		if !decode(w, r, &req) {
			return
		}
		out, err := a.Export(r.Context(), req)
		answer(w, out, err)
	})
}

// Export gives the lab as a file that makes it again.
func (c *Client) Export(ctx context.Context, req ExportRequest) (*Exported, error) {
	out := &Exported{}
	return out, c.call(ctx, http.MethodPost, "/v1/export", req, out, nil)
}
