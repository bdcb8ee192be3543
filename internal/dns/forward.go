package dns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Limits of a Forwarder.
const (
	// maxWaiting is how many questions may wait for the host's resolver, and
	// maxWaitingOfClient how many of one address. Those above are answered SERVFAIL, so
	// that an instance that floods a dead server takes the names of no other.
	maxWaiting         = 512
	maxWaitingOfClient = 64
	// tryTimeout is how long one server has for one attempt, and askTimeout how long all
	// have together. A client waits 5 s and asks again (resolv.conf(5)).
	tryTimeout = 2 * time.Second
	askTimeout = 8 * time.Second
	// maxServers is as many as the C library asks (resolv.conf(5)).
	maxServers = 3
)

// Forwarder asks the servers that a resolv.conf(5) names, one after another, over
// UDP and, where that is cut off, TCP. The file is read anew when it has changed.
// Answers are kept for as long as they say, so that a fleet that starts together
// asks once.
type Forwarder struct {
	path string
	port string // of the servers
	now  func() time.Time
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup // calls

	mu       sync.Mutex
	file     fileState
	servers  []string
	attempts int
	cache    cache
	calls    map[key]*call
	waiting  map[client]int
	total    int // of waiting
}

// client is an address in a VPC, or on the Internet.
type client struct {
	vpc  vpc.VpcID
	addr netip.Addr
}

// call is a question under way. answer is nil where no server gave one.
type call struct {
	done   chan struct{}
	answer *dns.Msg
}

// NewForwarder makes a Forwarder to the servers of the file at path, which need not
// exist yet. It asks from the network namespace of the process.
func NewForwarder(path string) *Forwarder {
	f := &Forwarder{path: path, port: "53", now: time.Now, calls: map[key]*call{}, waiting: map[client]int{}}
	f.ctx, f.stop = context.WithCancel(context.Background())
	return f
}

// Close ends what is under way; those who wait for it are answered SERVFAIL.
func (f *Forwarder) Close() {
	f.mu.Lock()
	f.stop()
	f.mu.Unlock()
	f.wg.Wait()
}

// admit tells whether one more question of the client may wait. One that may ends with leave.
func (f *Forwarder) admit(who client) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.total >= maxWaiting || f.waiting[who] >= maxWaitingOfClient {
		return false
	}
	f.total++
	f.waiting[who]++
	return true
}

func (f *Forwarder) leave(who client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total--
	if f.waiting[who]--; f.waiting[who] == 0 {
		delete(f.waiting, who)
	}
}

// known fills in the reply where the answer is known already.
func (f *Forwarder) known(q *query) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reread()
	e, ok := f.cache.get(keyOf(q), f.now())
	if ok {
		e.fill(q, f.now())
	}
	return ok
}

// resolve fills in the reply: with SERVFAIL where no server answers, and when ctx ends.
func (f *Forwarder) resolve(ctx context.Context, q *query) {
	c := f.start(keyOf(q))
	select {
	case <-c.done:
	case <-ctx.Done():
		q.reply.Rcode = dns.RcodeServerFailure
		return
	}
	(&entry{answer: c.answer}).fill(q, time.Time{})
}

// start begins to ask, or joins those who wait for the same answer already.
func (f *Forwarder) start(k key) *call {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.calls[k]; c != nil {
		return c
	}
	c := &call{done: make(chan struct{})}
	if f.ctx.Err() != nil {
		close(c.done)
		return c
	}
	f.reread()
	if e, ok := f.cache.get(k, f.now()); ok { // it came since the caller looked
		c.answer = e.answer
		close(c.done)
		return c
	}
	f.calls[k] = c
	servers, attempts, file := f.servers, f.attempts, f.file
	f.wg.Go(func() {
		c.answer = f.ask(k, servers, attempts)
		f.mu.Lock()
		defer f.mu.Unlock()
		if file == f.file { // else the answer of servers that are not to be asked any more
			f.cache.put(k, c.answer, f.now())
		}
		delete(f.calls, k)
		close(c.done)
	})
	return c
}

// ask tries the servers in order, as often as the file says. One that fails, or
// refuses to answer, leaves it to the next (as in the C library).
func (f *Forwarder) ask(k key, servers []string, attempts int) *dns.Msg {
	ctx, cancel := context.WithTimeout(f.ctx, askTimeout)
	defer cancel()
	for range attempts {
		for _, server := range servers {
			r, err := f.exchange(ctx, k, server)
			if err == nil && (r.Rcode == dns.RcodeSuccess || r.Rcode == dns.RcodeNameError) {
				return r
			}
			if ctx.Err() != nil {
				return nil
			}
		}
	}
	return nil
}

// exchange asks one server, once more over TCP where the answer was cut off.
func (f *Forwarder) exchange(ctx context.Context, k key, server string) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(k.name, k.qtype)
	m.CheckingDisabled = k.cd
	m.SetEdns0(udpSize, k.do)
	r, err := f.exchangeOver(ctx, "udp", m, server)
	if err == nil && r.Rcode == dns.RcodeFormatError && r.IsEdns0() == nil { // a server older than EDNS, RFC 6891 section 7
		m.Extra = nil
		r, err = f.exchangeOver(ctx, "udp", m, server)
	}
	if err == nil && r.Truncated {
		r, err = f.exchangeOver(ctx, "tcp", m, server)
	}
	return r, err
}

func (f *Forwarder) exchangeOver(ctx context.Context, network string, m *dns.Msg, server string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	c := &dns.Client{Net: network, Timeout: tryTimeout, UDPSize: udpSize}
	conn, err := c.DialContext(ctx, net.JoinHostPort(server, f.port))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // reading would not notice otherwise
	r, _, err := c.ExchangeWithConnContext(ctx, m, conn)
	if err != nil {
		return nil, err
	}
	if !r.Response || len(r.Question) != 1 || r.Question[0].Qtype != m.Question[0].Qtype || dns.CanonicalName(r.Question[0].Name) != m.Question[0].Name {
		return nil, errStranger
	}
	return r, nil
}

// reread reads the file if it has changed, and forgets what its former servers
// said. f.mu is held.
func (f *Forwarder) reread() {
	state := stateOf(f.path)
	if state == f.file {
		return
	}
	f.file, f.servers, f.attempts = state, nil, 1
	f.cache.clear()
	conf, err := dns.ClientConfigFromFile(f.path)
	if err != nil {
		return // nobody to ask until it can be read
	}
	for _, s := range conf.Servers {
		if _, err := netip.ParseAddr(s); err == nil && len(f.servers) < maxServers && !slices.Contains(f.servers, s) {
			f.servers = append(f.servers, s)
		}
	}
	f.attempts = min(max(conf.Attempts, 1), 5) // the C library's limit
}
