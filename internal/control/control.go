// Package control is the API between the vpcemu command and a lab's daemon:
// JSON over HTTP on a unix socket that only root may open. Its types are the
// wire format; Handler serves them from an Applier and Client calls them.
package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Applier is what the daemon offers. Its errors travel as Error; those of EC2
// operations keep their AWS code.
type Applier interface {
	// Up converges the lab to a topology file and returns when every instance
	// that should run does and holds its lease. progress may be called from any
	// goroutine.
	Up(ctx context.Context, req UpRequest, progress func(string)) (*UpResult, error)
	// Run performs one EC2-named operation in a Region, "" for the lab's home Region.
	// With wait it returns once the instances that the operation concerns have reached
	// their state.
	Run(ctx context.Context, region, action string, input json.RawMessage, wait bool) (json.RawMessage, error)
	// Lab tells what there is and how it does.
	Lab(ctx context.Context) (*Lab, error)
	// Drops returns the latest dropped packets, the oldest first, after the
	// given sequence number.
	Drops(ctx context.Context, after uint64) ([]Drop, error)
	// Counters tells what the network has done since the daemon started.
	Counters(ctx context.Context) (*Counters, error)
	// Trace tells which way an imagined packet goes, and its answer. An error is about the
	// request: an end that does not exist or sends nothing, a packet that cannot be.
	Trace(ctx context.Context, req TraceRequest) (*Trace, error)
	// Matrix tells who reaches whom. An error is about the request.
	Matrix(ctx context.Context, req MatrixRequest) (*Matrix, error)
	// Watch sends a line for each packet or flow that the request asks for, the first of
	// kind WatchedStarted, until ctx or end are closed or the request's own limits are
	// reached; then the totals of flows that are open. A wrong request is an error before
	// the first line; errors of send end the watch.
	Watch(ctx context.Context, req WatchRequest, end <-chan struct{}, send func(...*Watched) error) error
	flowLogger
	apiServer
	exporter
	// Capture writes packets to w as pcapng, whole blocks at a time, until ctx ends or the
	// request says so. It writes nothing where the request is wrong.
	Capture(ctx context.Context, req CaptureRequest, w io.Writer) (CaptureEnd, error)
	// Graph draws the lab. An error is about the request.
	Graph(ctx context.Context, req GraphRequest) (*Graph, error)
	// Check holds the lab to checks, by a trace and by real packets each, and calls result
	// in the order of the checks, from one goroutine at a time.
	Check(ctx context.Context, req CheckRequest, result func(CheckResult)) error
	// Down removes the whole lab; the daemon ends afterwards.
	Down(ctx context.Context, progress func(string)) error
}

// UpRequest carries a topology file's text and name (for its error messages).
type UpRequest struct {
	File    string // its path: user_data_file is looked for beside it
	Text    string // "": what there is, with Join and Hosts
	Plan    bool   // only tell what would change
	Prune   bool   // also remove what no file made
	Replace bool   // allow what destroys a disk
	// Join puts this machine on the lab's Internet, and Hosts the lab's names into its hosts
	// file, whatever the topology file says.
	Join, Hosts bool
}

// Change is one line of a plan.
type Change struct {
	Verb   string // create, update, replace, delete, start, stop
	Kind   string // subnet
	Name   string
	Detail string
}

func (c Change) String() string {
	s := fmt.Sprintf("%-7s %s %s", c.Verb, c.Kind, c.Name)
	if c.Detail != "" {
		s += ": " + c.Detail
	}
	return s
}

// UpResult is what an `up` or `plan` did or would do.
type UpResult struct {
	Changes []Change
	Notes   []string // for the user's eyes: a fallback taken, user data that failed
	Lab     *Lab
}

// Lab is the state of a whole lab.
type Lab struct {
	Name      string
	Region    string   // its home
	Regions   []string // all that it uses, the home Region first
	Daemon    int      // process ID
	Started   time.Time
	Instances []Instance
	Outside   *Outside `json:",omitempty"`
	API       *API     `json:",omitempty"` // the endpoint of the EC2 API, if there is one
	Notes     []string
}

// Outside is the lab's link to the network of the machine that it runs on.
type Outside struct {
	Device  string // vpcemu0; "" while there is none
	Address netip.Addr
	Join    bool   // this machine's programs reach the lab
	Hosts   bool   // by name, too
	Uplink  string // "host": the lab reaches the world outside
	Problem string `json:",omitempty"` // why it is not as it should be
}

// Instance is one sandbox: an EC2 instance or a host on the lab's Internet.
type Instance struct {
	Name      string
	ID        string
	Kind      string // instance, internet host
	State     string
	Reason    string // why it is not running, where that is known
	PrivateIp netip.Addr
	PublicIp  netip.Addr
	Subnet    string
	Vpc       string
	Zone      string
	Region    string // "" of an Internet host
	Netns     string // as in `ip netns`
	Ready     bool   // every interface has its address
	UserData  string // "", running, done, failed: exit status 1
	Leases    []Lease
}

// Lease is the DHCP lease of one network interface.
type Lease struct {
	NetworkInterface string
	Address          netip.Addr
	State            string
	Expires          time.Time
}

// Drop is one dropped packet and what decided. Its texts are those of a Seen.
type Drop struct {
	Sequence uint64
	Time     time.Time
	Packet   string // 198.51.100.10:40000 > 172.30.0.10:22 tcp SYN
	Where    string // the network interface or Internet host that sent it
	Way      string // from it by way of gateways to where it was meant to go: laptop → igw → web
	Reason   string // ENI_SG_RULES_MISMATCH
	Text     string // the reason in words
	Decided  string // the rule, route or object that decided
	Outcome  string // all of this in one sentence
	Count    uint64 // how many like it in a row
}

func (d Drop) String() string {
	times := ""
	if d.Count > 1 {
		times = fmt.Sprintf("[%d times]", d.Count)
	}
	return join([]string{clock(d.Time), d.Packet, d.Way, d.Outcome, times})
}

// Error is an error on the wire. Code is AWS's where an EC2 operation failed,
// else empty.
type Error struct {
	Code    string `json:",omitempty"`
	Message string
}

func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return e.Code + ": " + e.Message
}
