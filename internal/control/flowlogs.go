package control

import (
	"context"
	"net/http"
	"time"
)

// FlowLogsRequest asks for the records of a flow log of the lab, or for records made for
// the one who asks.
type FlowLogsRequest struct {
	FlowLog string `json:",omitempty"` // name or ID; "" means the only one
	Follow  bool   `json:",omitempty"` // go on as records are written

	// On makes records of the traffic of these interfaces: the name or ID of an instance,
	// subnet, VPC, security group or interface. Then, and only then, the rest counts.
	On          string        `json:",omitempty"`
	Format      string        `json:",omitempty"` // as record.ParseNames takes it
	Interval    time.Duration `json:",omitempty"` // length of the windows, whole seconds from 1 to 600
	TrafficType string        `json:",omitempty"` // ALL, ACCEPT or REJECT
	Duration    time.Duration `json:",omitempty"` // end after that time, 0: when the asker leaves
}

// FlowLogsResult ends an answer.
type FlowLogsResult struct {
	Note string `json:",omitempty"` // why there were no records
}

// flowLogger is the part of an Applier that answers FlowLogsRequests.
type flowLogger interface {
	// FlowLogs calls lines with records as they come, some whole lines at a time, the
	// names of the fields first. It ends when there are no more, or with ctx.
	FlowLogs(ctx context.Context, req FlowLogsRequest, lines func(string)) (*FlowLogsResult, error)
}

func handleFlowLogs(mux *http.ServeMux, a flowLogger) {
	mux.HandleFunc("POST /v1/flow-logs", func(w http.ResponseWriter, r *http.Request) {
		var req FlowLogsRequest
		if !decode(w, r, &req) {
			return
		}
		stream(w, func(lines func(string)) (any, error) { return a.FlowLogs(r.Context(), req, lines) })
	})
}

// FlowLogs calls lines with records as they come, until ctx ends or there are no more.
func (c *Client) FlowLogs(ctx context.Context, req FlowLogsRequest, lines func(string)) (*FlowLogsResult, error) {
	r := &FlowLogsResult{}
	return r, c.call(ctx, http.MethodPost, "/v1/flow-logs", req, r, lines)
}
