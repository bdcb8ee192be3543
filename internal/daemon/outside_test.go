package daemon

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/hostlink"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// fakeLink is a link to a machine's network in memory.
type fakeLink struct {
	mu       sync.Mutex
	wish     hostlink.Wish // what was applied last
	hosts    []hostlink.Host
	machine  *os.File // its end of the device, nil for none
	refused  []netip.Prefix
	attached int
	changed  func() // of Watch
	fail     error  // of Apply
	blind    error  // of Refused
	busy     error  // of Check
}

func (l *fakeLink) Check(hostlink.Wish) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy
}

func (l *fakeLink) Apply(w hostlink.Wish) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return "", l.fail
	}
	l.wish = w
	if !w.Linked() {
		l.close()
		return "", nil
	}
	return "vpcemu0", nil
}

func (l *fakeLink) Attach(string) (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	l.machine = os.NewFile(uintptr(fds[0]), "machine")
	l.attached++
	return os.NewFile(uintptr(fds[1]), "vpcemu0"), nil
}

// close closes the machine's end. l.mu is held.
func (l *fakeLink) close() {
	if l.machine != nil {
		l.machine.Close()
		l.machine = nil
	}
}

func (l *fakeLink) Refused(hostlink.Wish) ([]netip.Prefix, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused, l.blind
}

func (l *fakeLink) Watch(ctx context.Context, changed func()) error {
	l.mu.Lock()
	l.changed = changed
	l.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (l *fakeLink) Obstacles(string) ([]string, error) { return nil, nil }

func (l *fakeLink) SetHosts(list []hostlink.Host) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts = list
	return nil
}

// linked waits until the link satisfies ok, which may change it as well.
func (b *bench) linked(what string, ok func(*fakeLink) bool) {
	b.t.Helper()
	b.eventually(what, func() bool {
		b.m.link.mu.Lock()
		defer b.m.link.mu.Unlock()
		return ok(b.m.link)
	})
}

const joinedFile = "join: true\njoin_hosts: true\n" + twoInstances

// reachesFar tells whether a packet of the machine comes to the Internet host far.
func (b *bench) reachesFar() {
	b.t.Helper()
	var far *fakeInstance
	b.m.mu.Lock()
	far = b.m.named("far")
	b.m.mu.Unlock()
	m := b.Model()
	var handle uint32
	var to netip.Addr
	for _, h := range m.InternetHosts.All() {
		handle, to = h.Handle, h.PublicIp
	}
	far.mu.Lock()
	end := far.theirs[handle]
	far.mu.Unlock()
	tuple := packet.Tuple{Src: packet.AddrFrom(m.Outside.Address), Dst: packet.AddrFrom(to), SrcPort: 1, DstPort: 2, Proto: packet.ProtoUDP}
	b.m.link.mu.Lock()
	_, err := b.m.link.machine.Write(packet.BuildUDP(nil, tuple, 64, []byte("hello")))
	b.m.link.mu.Unlock()
	if err != nil {
		b.t.Fatal(err)
	}
	b.eventually("the packet arrives at far", func() bool {
		buf := make([]byte, 2000)
		n, err := unix.Read(int(end.Fd()), buf)
		return err == nil && strings.HasSuffix(string(buf[:n]), "hello")
	})
}

// A lab that calls made is joined without a file, and nothing else of it changes.
func TestOutside_JoinWithoutAFile(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	up := func(req control.UpRequest) (*control.UpResult, error) {
		return b.Up(t.Context(), req, func(string) {})
	}
	if _, err := up(control.UpRequest{}); err == nil {
		t.Error("up for nothing")
	}
	r, err := up(control.UpRequest{Hosts: true})
	if err != nil || len(r.Changes) != 1 || r.Changes[0].Verb != "create" {
		t.Fatalf("%+v, %v", r, err)
	}
	if l := b.m.link; !l.wish.Join || len(l.hosts) == 0 {
		t.Errorf("%+v %+v", l.wish, l.hosts)
	}
	equal(t, "running", b.m.names(), []string{"a", "b", "far"})
	if r, err = up(control.UpRequest{Join: true}); err != nil || len(r.Changes) != 0 || !r.Lab.Outside.Hosts {
		t.Errorf("a second time: %+v, %v", r, err)
	}
	b.mustUp(twoInstances) // says nothing of it, and so unties it
	b.must("CreateTags", `{"Resources":["`+string(b.instance("a").ID)+`"],"Tags":[{"Key":"Name","Value":"host"}]}`)
	if _, err := up(control.UpRequest{Join: true}); err == nil || !strings.Contains(err.Error(), "is called host") {
		t.Errorf("with an instance that has this machine's name: %v", err)
	}
}

func TestOutside_JoinIsThereWhenUpReturnsAndWithTheNextDaemon(t *testing.T) {
	b := newBench(t)
	b.mustUp(joinedFile)
	l := b.m.link
	want := hostlink.Wish{Pools: vpc.DefaultPools, Address: netip.MustParseAddr("198.51.100.254"), Join: true}
	if !reflect.DeepEqual(l.wish, want) || l.attached != 1 {
		t.Fatalf("%+v, attached %d times", l.wish, l.attached)
	}
	if len(l.hosts) != 1 || l.hosts[0].Bare != "far" || l.hosts[0].Names[0] != "far.lab" {
		t.Errorf("names %+v", l.hosts)
	}
	b.reachesFar()
	lab, err := b.Lab(t.Context())
	if err != nil || !reflect.DeepEqual(lab.Outside, &control.Outside{Device: "vpcemu0", Address: want.Address, Join: true, Hosts: true}) {
		t.Errorf("%+v, %v", lab.Outside, err)
	}
	b.reopen()
	b.linked("the next daemon takes the device over", func(l *fakeLink) bool { return l.attached == 2 })
	b.eventually("and names its port", func() bool { p, _ := b.outside.end(); return p != nil })
	b.reachesFar()
	b.mustUp(twoInstances)
	if l.wish.Linked() || l.machine != nil || len(l.hosts) != 0 {
		t.Errorf("after an up without join: %+v", l)
	}
	if port, _ := b.outside.end(); port != nil {
		t.Error("the port is still there")
	}
}

func TestOutside_WhatFailsIsToldAndTriedAgain(t *testing.T) {
	b := newBench(t)
	b.linked("", func(l *fakeLink) bool { l.fail = errors.New("no nftables here"); return true })
	if err := b.up(joinedFile); err == nil || err.Error() != "no nftables here" {
		t.Fatalf("up: %v", err)
	}
	lab, err := b.Lab(t.Context())
	if err != nil || lab.Outside.Problem != "no nftables here" || len(lab.Notes) != 1 {
		t.Fatalf("%+v, %v", lab, err)
	}
	equal(t, "running all the same", b.m.names(), []string{"a", "b", "far"})
	b.linked("", func(l *fakeLink) bool { l.fail = nil; return true })
	b.linked("it is tried again", func(l *fakeLink) bool { return l.attached == 1 })
	b.mustUp(joinedFile)
}

func TestOutside_CollisionIsToldBeforeAnythingIsDone(t *testing.T) {
	b := newBench(t)
	b.linked("", func(l *fakeLink) bool { l.busy = errors.New("lab other has it"); return true })
	if err := b.up(joinedFile); err == nil || !strings.Contains(err.Error(), "lab other has it") {
		t.Fatalf("up: %v", err)
	}
	if b.Model().Lab != "" || b.m.link.attached != 0 || len(b.m.names()) > 0 {
		t.Error("something was done")
	}
	b.linked("", func(l *fakeLink) bool { l.busy = nil; return true })
	b.mustUp(joinedFile)
	b.linked("", func(l *fakeLink) bool { l.busy = errors.New("lab other has it"); return true })
	b.mustUp(joinedFile) // nothing new is asked for
}

// A new device is of no use before the snapshot names it, also where the first try fails between.
func TestOutside_NewDeviceIsPublishedAfterAFailure(t *testing.T) {
	b := newBench(t)
	b.mustUp(joinedFile)
	b.m.link.mu.Lock()
	b.m.link.blind = errors.New("dump interrupted")
	b.m.link.close()
	b.m.link.mu.Unlock()
	b.linked("a new device is attached", func(l *fakeLink) bool { return l.attached == 2 })
	b.eventually("the failure is told", func() bool { o := b.outside.of(b.Model()); return o.Problem == "dump interrupted" })
	b.linked("", func(l *fakeLink) bool { l.blind = nil; return true })
	b.eventually("it is tried again", func() bool { return b.outside.of(b.Model()).Problem == "" })
	b.reachesFar()
}

// A device that somebody deletes is made anew, and what the machine's network says is refused
// goes into the snapshot as soon as it is known.
func TestOutside_FollowsTheMachinesNetwork(t *testing.T) {
	b := newBench(t)
	b.linked("", func(l *fakeLink) bool { l.refused = []netip.Prefix{netip.MustParsePrefix("9.9.9.0/24")}; return true })
	b.mustUp("internet: {uplink: host}\n" + twoInstances)
	refuses := func() []netip.Prefix { _, list := b.outside.end(); return list }
	if got := refuses(); !reflect.DeepEqual(got, b.m.link.refused) {
		t.Errorf("refused %v", got)
	}
	b.linked("the machine's network is watched", func(l *fakeLink) bool { return l.changed != nil })
	b.m.link.mu.Lock()
	b.m.link.refused = []netip.Prefix{netip.MustParsePrefix("8.8.0.0/16")}
	changed := b.m.link.changed
	b.m.link.mu.Unlock()
	changed()
	b.eventually("the snapshot follows", func() bool { return reflect.DeepEqual(refuses(), []netip.Prefix{netip.MustParsePrefix("8.8.0.0/16")}) })
	b.m.link.mu.Lock()
	b.m.link.close()
	b.m.link.mu.Unlock()
	b.linked("a new device is attached", func(l *fakeLink) bool { return l.attached == 2 })
}

func TestOutside_NamesAreThoseThatCanBe(t *testing.T) {
	for name, want := range map[string]bool{"web": true, "web-1.a": true, "": false, "a b": false, "-a": false, ".a": false, "localhost": false, "a\nb": false,
		"#": false, strings.Repeat("a", 64): false} {
		if got := isHostName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// A model may change while somebody waits for what it was.
func TestOutside_WaitingEndsWithTheContext(t *testing.T) {
	b := newBench(t)
	b.mustUp(joinedFile)
	b.outside.mu.Lock()
	b.outside.done.Join = false
	b.outside.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := b.linkReady(ctx); err != nil {
		t.Error(err)
	}
	over, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	b.Close()
	if err := b.linkReady(over); err == nil {
		t.Error("no error")
	}
}

// What an instance is called may not take a name of the world, or this machine's own, away.
func TestOutside_BareNamesAreTheLabsOnly(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	own, _, _ = strings.Cut(own, ".")
	b := newBench(t)
	b.mustUp(joinedFile)
	for _, name := range []string{"example.com", own} {
		b.must("CreateInternetHost", `{"HostName":"`+name+`"}`)
	}
	b.linked("their names with the lab's", func(l *fakeLink) bool { return len(l.hosts) == 3 })
	for _, h := range b.m.link.hosts {
		if (h.Bare == "") != (h.Names[0] != "far.lab") || !strings.HasSuffix(h.Names[0], ".lab") {
			t.Errorf("%+v", h)
		}
	}
}
