package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// WatchRequest says which packets to watch: those that meet one of the values of every
// list that is not empty.
type WatchRequest struct {
	// On are names or IDs of instances, network interfaces, subnets, VPCs, gateways or
	// Internet hosts: the packet comes from there, is for there, or passes it.
	On        []string
	Addresses []netip.Prefix // one of the packet's addresses lies in it, before or after a translation
	Ports     []uint16       // of TCP or UDP, source or destination
	Protocols []uint8
	Verdict   string   // VerdictDelivered, VerdictDropped, or "" for both
	Reasons   []string // as `vpcemu reasons` has them
	// Packets is a line for each packet instead of each flow.
	Packets bool
	// Duration and Count end the watch, after some time or so many lines; 0: do not.
	Duration time.Duration
	Count    int
}

// watchServices are the names that a port may have.
var watchServices = map[string]uint16{"ssh": 22, "smtp": 25, "dns": 53, "http": 80, "ntp": 123, "https": 443, "mysql": 3306,
	"rdp": 3389, "postgresql": 5432, "redis": 6379}

var watchProtocols = map[string]uint8{"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "sctp": 132}

// Values are the request as the parameters of a URL, which ParseWatch reads.
func (r WatchRequest) Values() url.Values {
	v := url.Values{}
	v["on"], v["reason"] = r.On, r.Reasons
	for _, p := range r.Addresses {
		v.Add("address", p.String())
	}
	for _, p := range r.Ports {
		v.Add("port", strconv.Itoa(int(p)))
	}
	for _, p := range r.Protocols {
		v.Add("protocol", strconv.Itoa(int(p)))
	}
	for key, value := range map[string]string{"verdict": r.Verdict, "packets": "", "duration": "", "count": ""} {
		switch {
		case key == "packets" && r.Packets:
			value = "true"
		case key == "duration" && r.Duration != 0:
			value = r.Duration.String()
		case key == "count" && r.Count != 0:
			value = strconv.Itoa(r.Count)
		}
		if value != "" {
			v.Set(key, value)
		}
	}
	for key, values := range v {
		if len(values) == 0 {
			delete(v, key)
		}
	}
	return v
}

// ParseWatch reads a request from parameters on, address, port, protocol, verdict,
// reason (each may be there several times, but for verdict), packets, duration and count.
// Errors say which parameter is wrong and what it may be. That names and reasons exist
// is for the daemon to check.
func ParseWatch(v url.Values) (WatchRequest, error) {
	var r WatchRequest
	for key, values := range v {
		for _, text := range values {
			if err := r.set(key, text); err != nil {
				return WatchRequest{}, err
			}
		}
		if len(values) > 1 && !slices.Contains([]string{"on", "address", "port", "protocol", "reason"}, key) {
			return WatchRequest{}, fmt.Errorf("%s: give it once", key)
		}
	}
	return r, nil
}

func (r *WatchRequest) set(key, text string) (err error) {
	switch key {
	case "on":
		if r.On = append(r.On, text); text == "" {
			err = errors.New("a name or ID is wanted")
		}
	case "address":
		var p netip.Prefix
		p, err = addressRange(text)
		r.Addresses = append(r.Addresses, p)
	case "port":
		var p uint16
		p, err = portNumber(text)
		r.Ports = append(r.Ports, p)
	case "protocol":
		var p uint8
		p, err = protocolNumber(text)
		r.Protocols = append(r.Protocols, p)
	case "verdict":
		if r.Verdict = text; text != VerdictDelivered && text != VerdictDropped {
			err = fmt.Errorf("%q is neither %s nor %s", text, VerdictDelivered, VerdictDropped)
		}
	case "reason":
		r.Reasons = append(r.Reasons, text)
	case "packets":
		r.Packets, err = strconv.ParseBool(text)
	case "duration":
		if r.Duration, err = time.ParseDuration(text); err != nil || r.Duration <= 0 {
			err = fmt.Errorf("%q is no time such as 30s or 5m", text)
		}
	case "count":
		if r.Count, err = strconv.Atoi(text); err != nil || r.Count <= 0 {
			err = fmt.Errorf("%q is no number of lines from 1", text)
		}
	default:
		err = errors.New("there is no such parameter")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// addressRange takes an address for the range that has only it.
func addressRange(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no address or CIDR block such as 172.30.0.0/24", text)
	}
	return p.Masked(), nil
}

func portNumber(text string) (uint16, error) {
	if p, ok := watchServices[strings.ToLower(text)]; ok {
		return p, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no port from 0 to 65535, nor one of %s", text, sortedKeys(watchServices))
	}
	return uint16(n), nil
}

func protocolNumber(text string) (uint8, error) {
	if p, ok := watchProtocols[strings.ToLower(text)]; ok {
		return p, nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%q is no protocol number from 0 to 255, nor one of %s", text, sortedKeys(watchProtocols))
	}
	return uint8(n), nil
}

func sortedKeys[T any](m map[string]T) string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}

// watchedOrError is a line of the stream.
type watchedOrError struct {
	Watched
	Error *Error `json:"error,omitempty"`
}

// Watch calls show for each line of a watch until it ends: by its own limits, because
// stop was closed, or with the daemon. After stop the totals of flows that are still open
// come. An error of show ends the watch and is returned. What is wrong with the request
// is an *Error that comes before any line.
func (c *Client) Watch(ctx context.Context, r WatchRequest, stop <-chan struct{}, show func(*Watched) error) error {
	id := rand.Text()
	values := r.Values()
	values.Set("id", id)
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon/v1/watch?"+values.Encode(), nil)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	resp, err := c.do(ctx, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return read(resp.Body, nil, nil)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-stop:
			// A watch that has ended meanwhile needs no end.
			_ = c.call(ctx, http.MethodPost, "/v1/watch/"+id+"/end", nil, nil, nil)
		case <-ended:
		}
	}()
	return lines(resp.Body, show)
}

func lines(body io.Reader, show func(*Watched) error) error {
	for d := json.NewDecoder(body); ; {
		var w watchedOrError
		if err := d.Decode(&w); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w any more: the watch ends here; run the command again (%w)", ErrNoDaemon, err)
		}
		if w.Error != nil {
			return w.Error.asError()
		}
		if err := show(&w.Watched); err != nil {
			return err
		}
	}
}

// A watchList knows the watches that are under way, so that a client can end one and
// still read its totals.
type watchList struct {
	mu   sync.Mutex
	ends map[string]chan struct{}
}

// add enters a watch under the name that its client gave it, "" for none. The channel is
// closed when the client asks for the end.
func (l *watchList) add(id string) (end <-chan struct{}, forget func()) {
	c := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ends == nil {
		l.ends = map[string]chan struct{}{}
	}
	if id != "" && l.ends[id] == nil {
		l.ends[id] = c
	}
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.ends[id] == c {
			delete(l.ends, id)
		}
	}
}

func (l *watchList) end(id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.ends[id]
	if c == nil {
		return fmt.Errorf("watch %s: it has ended, or never began", id)
	}
	close(c)
	delete(l.ends, id)
	return nil
}

// handle serves watches.
func (l *watchList) handle(mux *http.ServeMux, a Applier) {
	mux.HandleFunc("POST /v1/watch/{id}/end", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, l.end(r.PathValue("id")))
	})
	mux.HandleFunc("GET /v1/watch", func(w http.ResponseWriter, r *http.Request) {
		values := r.URL.Query()
		end, forget := l.add(values.Get("id"))
		defer forget()
		values.Del("id")
		req, err := ParseWatch(values)
		if err != nil {
			answer(w, nil, err)
			return
		}
		rc := http.NewResponseController(w)
		// A reader that has stopped reading must not keep the daemon from ending.
		defer context.AfterFunc(r.Context(), func() { _ = rc.SetWriteDeadline(time.Now().Add(watchGrace)) })()
		s := lineStream{w: w, flush: rc.Flush}
		if err := a.Watch(r.Context(), req, end, s.send); err != nil {
			s.fail(err)
		}
	})
}

// watchGrace is how long a watch's reader may take for the rest of it.
const watchGrace = 10 * time.Second

// A lineStream sends lines as they come.
type lineStream struct {
	w     http.ResponseWriter
	flush func() error
	enc   *json.Encoder
}

// send writes lines and sees to it that the client gets them now. Its error is that of
// a client that has left.
func (s *lineStream) send(lines ...*Watched) error {
	if s.enc == nil {
		s.w.Header().Set("Content-Type", "application/x-ndjson")
		s.enc = json.NewEncoder(s.w)
	}
	for _, l := range lines {
		if err := s.enc.Encode(l); err != nil {
			return err
		}
	}
	return s.flush()
}

func (s *lineStream) fail(err error) {
	if s.enc == nil {
		answer(s.w, nil, err)
		return
	}
	_ = s.enc.Encode(watchedOrError{Error: wireError(err)}) // a client that left misses it
}
