package control

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// CheckRequest asks whether the lab is as a topology file's checks say.
type CheckRequest struct {
	// Checks are those of a file; nil means those of the file that the lab was last
	// brought up with.
	Checks []vpc.Expectation `json:",omitempty"`
	// Only selects checks by title: a part of it, or a pattern with * and ?. "" is all.
	Only string `json:",omitempty"`
	// Limit is how long a check may take to come true that says nothing else; 0 means 15 s
	// where a service has to answer, 5 s otherwise.
	Limit time.Duration `json:",omitempty"`
}

// CheckResult is what one check came to.
type CheckResult struct {
	Number int // from 1, as the checks stand in the file
	Title  string
	Check  string // as a sentence
	Pass   bool
	// Bug: trace and packets contradict each other, and nothing outside the network
	// explains it. Pass is false then.
	Bug      bool     `json:",omitempty"`
	Problems []string `json:",omitempty"` // why it does not pass, each a sentence or two
	Notes    []string `json:",omitempty"` // what else is to be known, such as that no packet was sent
	// Trace is the imagined packet's way, Packets what became of real ones; nil if
	// there were none.
	Trace   *Trace   `json:",omitempty"`
	Packets *Packets `json:",omitempty"`
	Took    time.Duration
}

// Packets is what became of real packets that were sent for a check.
type Packets struct {
	Source, Destination string // of the last one as sent: 10.0.0.4:40000
	Attempts            int    // connections or datagrams, not counting what TCP repeats
	Sent                bool   // the network has seen it come in
	Delivered           bool   // it arrived at the interface of whom it was for
	Answered            bool   // and an answer came back
	Answer              string `json:",omitempty"` // connected, refused, reply
	Returned            bool   `json:",omitempty"` // the network has delivered an answer to the sender's interface
	// SeenAs is the source address with which it arrived.
	SeenAs string `json:",omitempty"`
	// Reason is why the network dropped it, or on the way Back its answer, "" where it
	// did not; Text a sentence.
	Reason string `json:",omitempty"`
	Text   string `json:",omitempty"`
	Back   bool   `json:",omitempty"`
	// Stage, Decided, Rule and RuleID say what dropped it, as a Trace's last hop does.
	Stage   string  `json:",omitempty"`
	Decided *Object `json:",omitempty"`
	Rule    string  `json:",omitempty"`
	RuleID  string  `json:",omitempty"`
	// Via are the gateways and interfaces of others that it passed on its way out, as far
	// as it was followed: all the way, if Followed.
	Via      []Object `json:",omitempty"`
	Followed bool
	// ARP: the sender asked by ARP meanwhile and got no answer (link_type tap), which may be
	// why it did not send.
	ARP bool `json:",omitempty"`
	// Error is what kept the sender's or receiver's own machine from it.
	Error   string `json:",omitempty"`
	Skipped uint64 `json:",omitempty"` // packets of the lab of which was not looked what became
}

// serveCheck streams each result as a line of progress.
func serveCheck(a Applier, w http.ResponseWriter, r *http.Request) {
	var req CheckRequest
	if !decode(w, r, &req) {
		return
	}
	stream(w, func(progress func(string)) (any, error) {
		return struct{}{}, a.Check(r.Context(), req, func(c CheckResult) {
			if line, err := json.Marshal(c); err == nil { // plain data: it can be marshalled
				progress(string(line))
			}
		})
	})
}

// Check holds the lab to checks. Results come in the order of the checks, each as soon
// as it and those before it are there. An error means that none could be answered.
func (c *Client) Check(ctx context.Context, req CheckRequest, result func(CheckResult)) error {
	var bad error
	err := c.call(ctx, http.MethodPost, "/v1/check", req, nil, func(line string) {
		var r CheckResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			bad = err
			return
		}
		result(r)
	})
	if err == nil {
		err = bad
	}
	return err
}
