package dataplane_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func TestSwapClosesPortsNoLongerNamed(t *testing.T) {
	b := newBook(t).applied()
	old := b.db.Port
	b.db.Port = nil
	b.Apply()
	if !old.Closed() {
		t.Error("the port is open")
	}
	if b.web.Port.Closed() {
		t.Error("a port that is still named is closed")
	}
	before := b.Engine.Counters()[dataplane.ENIDetached]
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(Dropped(dataplane.ENIDetached))
	if got := b.Engine.Counters()[dataplane.ENIDetached]; got != before+1 {
		t.Errorf("counter went from %d to %d", before, got)
	}
}

func TestCountersSurviveTheirPort(t *testing.T) {
	b := newBook(t).applied()
	b.db.Send(SYN(dbIP+":1", webIP+":80")).Want(At("web"))
	b.db.Port = nil
	b.Apply()
	if got := b.Engine.Counters()[dataplane.Delivered]; got != 1 {
		t.Errorf("%d delivered", got)
	}
}

func TestFailedPortIsReportedOnce(t *testing.T) {
	b := newBook(t)
	var down atomic.Int32
	b.Config.OnPortDown = func(p dataplane.Port, err error) {
		if p.String() == "db" && err != nil {
			down.Add(1)
		}
	}
	b.Apply()
	b.db.Port.Close()
	eventually(t, "report", func() bool { return down.Load() == 1 })
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(Dropped(dataplane.PortWriteFailed))
	b.Apply() // names the dead port still: not read again
	b.db.Port = NewPort("db")
	b.Apply()
	b.web.Send(SYN(webIP+":2", dbIP+":80")).Want(At("db"))
	b.db.Send(SYN(dbIP+":1", webIP+":80")).Want(At("web"))
	if n := down.Load(); n != 1 {
		t.Errorf("reported %d times", n)
	}
}

// emptyPort reads nothing and no error, for ever.
type emptyPort struct{ reads atomic.Int64 }

func (p *emptyPort) Read([]byte) (int, error)     { p.reads.Add(1); return 0, nil }
func (p *emptyPort) Write(b []byte) (int, error)  { return len(b), nil }
func (p *emptyPort) Close() error                 { return nil }
func (p *emptyPort) Features() dataplane.Features { return dataplane.Features{} }
func (p *emptyPort) String() string               { return "empty" }

func TestPortThatReadsNothingDoesNotSpin(t *testing.T) {
	b := newBook(t)
	failed := make(chan error, 1)
	b.Config.OnPortDown = func(_ dataplane.Port, err error) { failed <- err }
	b.Apply()
	p := &emptyPort{}
	b.Snapshot = &dataplane.Snapshot{ENIs: map[uint32]*dataplane.ENI{}}
	web := &dataplane.VPC{Services: p}
	b.Snapshot.VPCs = []*dataplane.VPC{web}
	b.Snapshot.Finish()
	b.Engine.Swap(b.Snapshot)
	select {
	case err := <-failed:
		if err == nil || p.reads.Load() > 5000 {
			t.Errorf("%v after %d reads", err, p.reads.Load())
		}
	case <-time.After(10 * time.Second):
		t.Error("the port is still read")
	}
}

func TestSubscriptionCountsWhatItSkipped(t *testing.T) {
	b := newBook(t).applied()
	s := b.Engine.Subscribe(2)
	for i := range 5 {
		b.web.Send(SYN(webIP+":"+strconv.Itoa(1000+i), dbIP+":80")).Want(At("db"))
	}
	if n := s.Skipped(); n != 3 {
		t.Errorf("%d skipped", n)
	}
	e := <-s.C
	if e.Handle != b.web.Handle || e.To != b.db.Handle || e.Reason != dataplane.Delivered || e.Sent.SrcPort != 1000 {
		t.Errorf("event %+v", e)
	}
	s.Close()
	<-s.C
	b.web.Send(SYN(webIP+":2000", dbIP+":80")).Want(At("db"))
	select {
	case e := <-s.C:
		t.Errorf("event after Close: %s", &e)
	default:
	}
}

func TestEventTellsBothTuplesAndTheDecider(t *testing.T) {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("g", In("tcp", "22", "0.0.0.0/0"))}
	b.Apply()
	r := b.laptop.Send(SYN(laptopIP+":1", webEIP+":80")).Want(Dropped(dataplane.SGRulesMismatch))
	e := r.Event
	if e.Sent.Dst != Addr(webEIP) || e.Tuple.Dst != Addr(webIP) || e.By.Name != "web" || e.Stage != dataplane.StageSGIngress {
		t.Errorf("event %s, tuple %s", &e, e.Tuple)
	}
	want := "tcp 198.51.100.5:1 > 203.0.113.10:80 ENI_SG_RULES_MISMATCH at sg-ingress by web (eni-web)"
	if got := e.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDropRingKeepsTheMostRecent(t *testing.T) {
	b := newBook(t).applied()
	for i := range 600 {
		b.web.Send(SYN(webIP+":"+strconv.Itoa(1000+i), "10.0.0.1:80"))
	}
	drops := b.Engine.Drops()
	if len(drops) != 512 || drops[511].Sent.SrcPort != 1599 || drops[0].Sent.SrcPort != 1088 {
		t.Errorf("%d drops from %d to %d", len(drops), drops[0].Sent.SrcPort, drops[len(drops)-1].Sent.SrcPort)
	}
}

func TestTablesForgetByThemselves(t *testing.T) {
	b := outOnly(t)
	b.web.Send(UDP(webIP+":1", dbIP+":53", 4)).Want(At("db"))
	b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(At("server"))
	b.Advance(10 * 24 * time.Hour)
	eventually(t, "expiry", func() bool { return b.Config.Conntrack.Len() == 0 && b.Config.NAT.Len() == 0 })
}

func TestClosedEngineSwapsNothing(t *testing.T) {
	b := newBook(t).applied()
	b.Engine.Close()
	b.Engine.Close()
	if !b.web.Port.Closed() {
		t.Error("port open after Close")
	}
	b.Engine.Swap(b.Snapshot)
	if err := b.web.Port.Send(SYN(webIP+":1", dbIP+":80")); err == nil {
		t.Error("a closed engine reads")
	}
}

// TestSwapUnderTraffic changes rules and takes ports away while packets flow. No packet
// may meet a closed port: the grace period keeps it open for walks under the old snapshot.
func TestSwapUnderTraffic(t *testing.T) {
	b := newBook(t)
	g := b.Group("g", In("tcp", "80", "172.30.0.0/16"))
	b.db.Groups = []*Group{g}
	extra := b.public.ENI("extra", "172.30.0.33", b.open)
	b.db.Port.Discard, b.server.Port.Discard, extra.Port.Discard = true, true, true
	b.Apply()
	stop := make(chan struct{})
	var senders sync.WaitGroup
	send := func(p *Port, pkts ...[]byte) {
		senders.Add(1)
		go func() {
			defer senders.Done()
			for {
				for _, pkt := range pkts {
					select {
					case <-stop:
						return
					default:
					}
					if err := p.Send(append([]byte(nil), pkt...)); err != nil {
						return
					}
				}
			}
		}()
	}
	send(b.web.Port, ACK(webIP+":1000", dbIP+":80"), ACK(webIP+":1000", "172.30.0.33:80"))
	send(b.laptop.Port, ACK(laptopIP+":1000", webEIP+":80"), ACK(laptopIP+":1000", natEIP+":80"))
	b.web.Port.Discard = true
	for i := range 200 {
		if i%2 == 0 {
			extra.Port = nil
		} else {
			extra.Port = NewPort("extra")
			extra.Port.Discard = true
		}
		g.Rules = []rule{In("tcp", strconv.Itoa(80+i%2), "172.30.0.0/16")}
		b.Apply()
		b.Engine.Trace(b.web.Handle, SYN(webIP+":1", dbIP+":80"))
		b.Engine.Counters()
		b.Engine.Drops()
	}
	close(stop)
	senders.Wait()
	counts := b.Engine.Counters()
	if counts[dataplane.PortWriteFailed] != 0 {
		t.Errorf("%d packets met a closed port", counts[dataplane.PortWriteFailed])
	}
	if counts[dataplane.Delivered] == 0 || counts[dataplane.NATNoMapping] == 0 {
		t.Errorf("no traffic: %v", counts)
	}
}

func TestConcurrentNewConnectionsThroughOneGateway(t *testing.T) {
	b := newBook(t)
	b.server.Port.Discard = true
	var enis []*ENI
	for i := range 4 {
		enis = append(enis, b.private.ENI("c"+strconv.Itoa(i), "172.30.1."+strconv.Itoa(100+i), b.open))
	}
	b.Apply()
	errs := make(chan error, len(enis))
	for _, e := range enis {
		go func() {
			var err error
			for port := 1000; port < 1500; port++ {
				src := e.Addrs[0].String() + ":" + strconv.Itoa(port)
				err = errors.Join(err, e.Port.Send(SYN(src, serverIP+":80")))
			}
			errs <- err
		}()
	}
	for range enis {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if n := b.Engine.Counters()[dataplane.Delivered]; n != 2000 {
		t.Errorf("%d delivered", n)
	}
	if n := b.Config.NAT.Len(); n != 2000 {
		t.Errorf("%d mappings", n)
	}
}

// queuePort is a port with a descriptor: one end of a socket pair, or a file, which
// cannot be polled.
type queuePort struct {
	fd     int
	closed atomic.Bool
}

func (p *queuePort) Read(b []byte) (int, error) {
	n, err := syscall.Read(p.fd, b)
	return max(n, 0), err
}
func (p *queuePort) Write(b []byte) (int, error)  { return syscall.Write(p.fd, b) }
func (p *queuePort) Close() error                 { p.closed.Store(true); return syscall.Close(p.fd) }
func (p *queuePort) Features() dataplane.Features { return dataplane.Features{} }
func (p *queuePort) String() string               { return "queue" }
func (p *queuePort) Descriptor() int              { return p.fd }

var _ dataplane.Queue = (*queuePort)(nil)

// withQueue puts a port into the book as the services port of a VPC of its own.
func withQueue(b *book, p dataplane.Port) {
	s := *b.Snapshot
	s.VPCs = append(slices.Clone(s.VPCs), &dataplane.VPC{Services: p})
	s.Finish()
	b.Engine.Swap(&s)
}

func TestQueueThatCannotBePolledIsReported(t *testing.T) {
	b := newBook(t)
	failed := make(chan error, 2)
	b.Config.OnPortDown = func(_ dataplane.Port, err error) { failed <- err }
	b.Apply()
	fd, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &queuePort{fd: fd}
	withQueue(b, p)
	select {
	case err := <-failed:
		if !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "port queue") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("not reported")
	}
	b.Apply() // names it no more
	if !p.closed.Load() {
		t.Error("it is not closed")
	}
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(At("db"))
}

// Ports with descriptors come and go while packets flow, also in each other's place.
func TestQueuesComeAndGo(t *testing.T) {
	b := newBook(t).applied()
	for range 50 {
		var pairs [3][2]int
		var ports []*queuePort
		s := *b.Snapshot
		s.VPCs = slices.Clone(s.VPCs)
		for i := range pairs {
			pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			pairs[i] = pair
			ports = append(ports, &queuePort{fd: pair[0]})
			v := *s.VPCs[0]
			v.Services = ports[i]
			s.VPCs = append(s.VPCs, &v)
		}
		s.Finish()
		before := b.Engine.Counters()[dataplane.AddressUnassigned]
		b.Engine.Swap(&s)
		for _, pair := range pairs {
			// What the services send to nobody is dropped, and counted.
			if _, err := syscall.Write(pair[1], UDP("172.30.0.2:53", "172.30.0.200:1", 8)); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "all three are read", func() bool { return b.Engine.Counters()[dataplane.AddressUnassigned] == before+3 })
		b.Apply()
		for i, p := range ports {
			if !p.closed.Load() {
				t.Fatal("a port is not closed")
			}
			syscall.Close(pairs[i][1])
		}
	}
}
