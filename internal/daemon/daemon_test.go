package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

func TestUp_EveryInstanceRunsAndNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	b := newBench(t)
	b.mustUp(twoInstances)
	equal(t, "running", b.m.names(), []string{"a", "b", "far"})
	for _, name := range []string{"a", "b"} {
		if s := b.instance(name).State; s != vpc.StateRunning {
			t.Errorf("%s is %s", name, s)
		}
	}
	b.m.happened()
	b.mustUp(twoInstances)
	equal(t, "the second up did", b.m.happened(), nil)
	b.Close()
	equal(t, "running without a daemon", b.m.names(), []string{"a", "b", "far"})
	b.eventually("goroutines end with the daemon", func() bool { return runtime.NumGoroutine() <= before })
}

func TestStart_FailureIsToldOnceAndLeavesTheInstanceStopped(t *testing.T) {
	b := newBench(t)
	b.m.failStart["b"] = errors.New("disk: no space left on device")
	err := b.up(twoInstances)
	id := string(b.instance("b").ID)
	if err == nil || err.Error() != "instance b ("+id+"): disk: no space left on device" {
		t.Fatalf("up: %v", err)
	}
	if i := b.instance("b"); i.State != vpc.StateStopped || !strings.HasPrefix(i.StateReason, "Server.InternalError: ") || !strings.Contains(i.StateReason, "no space") {
		t.Fatalf("b is %s: %s", i.State, i.StateReason)
	}
	equal(t, "running", b.m.names(), []string{"a", "far"})
	b.must("StopInstances", `{"InstanceIds":["a"]}`) // b's failure is none of a's business
	b.must("StartInstances", `{"InstanceIds":["a"]}`)
	delete(b.m.failStart, "b")
	b.mustUp(twoInstances)
	equal(t, "running", b.m.names(), []string{"a", "b", "far"})
}

// A launch that fails ends the instance, as on AWS: a client that waits until it runs would wait on for one that is
// stopped. A later start that fails leaves it stopped.
func TestIN01_ALaunchThatFailsIsTerminated(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	launch := func(name string) error {
		return b.do("RunInstances", `{"SubnetId":"`+string(b.instance("a").SubnetID)+`","MinCount":1,"MaxCount":1,"TagSpecifications":[{"ResourceType":"instance","Tags":[{"Key":"Name","Value":"`+name+`"}]}]}`)
	}
	b.m.failStart["c"], b.m.failStart["d"] = errors.New("no space left on device"), nil
	if err := launch("c"); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("launch: %v", err)
	}
	c := b.instance("c")
	if c.State != vpc.StateTerminated || !strings.HasPrefix(c.StateReason, "Server.InternalError: ") || len(b.Model().InstanceInterfaces(c.ID)) > 0 {
		t.Errorf("c is %s: %s", c.State, c.StateReason)
	}
	b.eventually("its disk is gone", func() bool { b.m.mu.Lock(); defer b.m.mu.Unlock(); return !b.m.disks[string(c.ID)] })
	if err := launch("d"); err != nil {
		t.Fatal(err)
	}
	b.must("StopInstances", `{"InstanceIds":["d"]}`)
	b.m.failStart["d"] = errors.New("no space left on device")
	if err := b.do("StartInstances", `{"InstanceIds":["d"]}`); err == nil {
		t.Fatal("it was started")
	}
	if d := b.instance("d"); d.State != vpc.StateStopped || !b.m.disks[string(d.ID)] {
		t.Errorf("d is %s: %s", d.State, d.StateReason)
	}
}

func TestEnd_KilledInstanceIsStoppedWithTheReason(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	b.m.happened()
	b.m.die("a", host.Exit{Cause: host.ExitKilled, Detail: "signal 9 (killed)"})
	b.eventually("a is stopped", func() bool { return b.instance("a").State == vpc.StateStopped })
	if r := b.instance("a").StateReason; r != "Server.InternalError: killed: signal 9 (killed)" {
		t.Fatalf("reason %q", r)
	}
	if err := b.settled(); err != nil {
		t.Fatal(err)
	}
	equal(t, "on the machine", b.m.happened(), []string{"remove " + string(b.instance("a").ID)})
	b.must("StartInstances", `{"InstanceIds":["a"]}`)
	equal(t, "running", b.m.names(), []string{"a", "b", "far"})
}

// A commit that comes between the end of a sandbox and the record of it must not
// start the instance again.
func TestEnd_IsNotTakenForAWishToStart(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	busy.Go(func() {
		for ctx.Err() == nil {
			_ = b.republish(ctx)
		}
	})
	for range 50 {
		b.m.happened()
		b.m.die("a", host.Exit{Cause: host.ExitPoweroff})
		b.eventually("a is stopped", func() bool { return b.instance("a").State == vpc.StateStopped })
		if err := b.settled(); err != nil {
			t.Fatal(err)
		}
		equal(t, "on the machine", b.m.happened(), []string{"remove " + string(b.instance("a").ID)})
		b.must("StartInstances", `{"InstanceIds":["a"]}`)
	}
	cancel()
	busy.Wait()
}

func TestEnd_PoweroffAndRebootFromInside(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	boot := b.instance("a").BootID
	b.m.die("a", host.Exit{Cause: host.ExitReboot})
	b.eventually("a runs again", func() bool { return len(b.m.names()) == 3 && b.instance("a").BootID == boot+1 })
	if err := b.settled(); err != nil {
		t.Fatal(err)
	}
	// It was running all the time, but its queues are new.
	for _, way := range [][2]string{{"a", "b"}, {"b", "a"}} {
		if _, end := b.capturing(control.CaptureRequest{On: []string{"a"}, Count: 1}, func() { b.send(way[0], way[1]) }); end.Packets != 1 {
			t.Errorf("from %s to %s: %+v", way[0], way[1], end)
		}
	}
	b.m.die("a", host.Exit{Cause: host.ExitPoweroff})
	b.eventually("a is stopped", func() bool { return b.instance("a").State == vpc.StateStopped })
	b.must("StartInstances", `{"InstanceIds":["a"]}`)

	id := b.instance("a").ID
	b.must("ModifyInstanceAttribute", `{"InstanceId":"a","InstanceInitiatedShutdownBehavior":{"Value":"terminate"}}`)
	b.must("ModifyInstanceAttribute", `{"InstanceId":"a","DisableApiTermination":{"Value":true}}`)
	b.m.die("a", host.Exit{Cause: host.ExitPoweroff})
	b.eventually("a is terminated", func() bool { return b.Model().Instances.Get(id).State == vpc.StateTerminated })
	b.eventually("its disk goes", func() bool {
		b.m.mu.Lock()
		defer b.m.mu.Unlock()
		return !b.m.disks[string(id)]
	})
}

func TestReopen_AdoptsWhatRunsAndLearnsWhatEnded(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances + "  near: {}\n")
	was := b.Model()
	b.Close()
	b.m.die("b", host.Exit{Cause: host.ExitPoweroff})
	b.m.die("far", host.Exit{Cause: host.ExitKilled})
	b.m.mu.Lock()
	b.m.disks["i-0nobodys"] = true
	near := b.m.named("near").spec.ID
	delete(b.m.running, near) // as after a restart of the machine: no trace of it
	b.m.mu.Unlock()
	b.m.happened()
	b.open()
	b.eventually("far is stopped", func() bool {
		for _, h := range b.Model().InternetHosts.All() {
			if h.HostName == "far" {
				return h.State == vpc.StateStopped && strings.Contains(h.StateNote, "killed")
			}
		}
		return false
	})
	if err := b.settled(); err != nil {
		t.Fatal(err)
	}
	equal(t, "running", b.m.names(), []string{"a", "near"})
	if i := b.instance("b"); i.State != vpc.StateStopped || i.StateReason != vpc.ReasonInstanceInitiated {
		t.Errorf("b is %s: %s", i.State, i.StateReason)
	}
	b.m.mu.Lock()
	if b.m.disks["i-0nobodys"] {
		t.Error("a disk of no instance is left")
	}
	b.m.mu.Unlock()
	done := strings.Join(b.m.happened(), "; ")
	if !strings.Contains(done, "adopt a") || strings.Contains(done, "start a") || strings.Contains(done, "start b") || !strings.Contains(done, "start near") {
		t.Errorf("on the machine: %s", done)
	}
	for id, i := range was.Instances.All() {
		if n := b.Model().Instances.Get(id); n == nil || n.PrivateDnsName != i.PrivateDnsName {
			t.Errorf("%s became %+v", id, n)
		}
	}
}

// A daemon that died between making a sandbox and recording it leaves a pending
// instance, whose PID 1 ended for want of its configuration.
func TestReopen_HalfMadeInstanceIsMadeAgain(t *testing.T) {
	b := newBench(t)
	b.m.hang = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var upping sync.WaitGroup
	upping.Go(func() { _ = b.up(twoInstances) })
	b.eventually("the model has a", func() bool { return b.Model().Instances.Len() == 2 })
	a := string(b.instance("a").ID)
	cancel()
	b.Close()
	upping.Wait()
	if ctx.Err() == nil || b.instance("a").State != vpc.StatePending {
		t.Fatalf("a is %s", b.instance("a").State)
	}
	b.m.hang = nil
	b.m.ended[a], b.m.boots[a] = host.Exit{Cause: host.ExitKilled}, 1
	b.open()
	b.mustUp(twoInstances)
	equal(t, "running", b.m.names(), []string{"a", "b", "far"})
}

func TestReopen_AnotherBootIsReplaced(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	b.Close()
	b.m.mu.Lock()
	b.m.named("a").spec.BootID = 77
	b.m.mu.Unlock()
	b.m.happened()
	b.open()
	b.mustUp(twoInstances)
	if done := strings.Join(b.m.happened(), "; "); !strings.Contains(done, "start a") || strings.Contains(done, "start b") {
		t.Fatalf("on the machine: %s", done)
	}
}

const movable = twoInstances + `network_interfaces:
  m: {subnet: s, attachment: {instance: a, device_index: 1}}
`

// The interface's packets must reach the instance that has it, whichever of the
// two workers is faster.
func TestInterface_MovesBetweenRunningInstances(t *testing.T) {
	b := newBench(t)
	b.mustUp(movable)
	for i := range 20 {
		to := []string{"b", "a"}[i%2]
		b.mustUp(strings.Replace(movable, "instance: a", "instance: "+to, 1))
		b.m.mu.Lock()
		in := b.m.named(to)
		b.m.mu.Unlock()
		var handle uint32
		for _, e := range b.Model().NetworkInterfaces.All() {
			if e.Name() == "m" {
				handle = e.Handle
			}
		}
		b.mu.Lock()
		p := b.actual[in.spec.ID].ports[handle]
		b.mu.Unlock()
		if got := b.portsOf(b.Model()).ENI(handle); p == nil || got != p {
			t.Fatalf("round %d: the port is %v, that of %s is %v", i, got, to, p)
		}
	}
}

func TestInterface_DetachedAndAttachedAtOnceGetsANewQueue(t *testing.T) {
	b := newBench(t)
	b.mustUp(movable)
	err := b.Apply(t.Context(), func(tx *vpc.Tx) error {
		for _, e := range tx.NetworkInterfaces.All() {
			if e.Name() != "m" {
				continue
			}
			to := e.Attachment.InstanceID
			if _, err := tx.DetachNetworkInterface(&vpc.DetachNetworkInterfaceInput{AttachmentId: e.Attachment.ID}); err != nil {
				return err
			}
			_, err := tx.AttachNetworkInterface(&vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: e.ID, InstanceId: to, DeviceIndex: new(1)})
			return err
		}
		return errors.New("no interface m")
	})
	if err == nil {
		err = b.settled()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestInterface_DetachedWhileTheDaemonWasAway(t *testing.T) {
	b := newBench(t)
	b.mustUp(movable)
	b.Close()
	b.m.mu.Lock()
	b.m.named("a").plug(4711) // the instance still has what the model has not
	b.m.mu.Unlock()
	b.m.happened()
	b.open()
	if err := b.settled(); err != nil {
		t.Fatal(err)
	}
	if done := strings.Join(b.m.happened(), "; "); !strings.Contains(done, "detach a") {
		t.Fatalf("on the machine: %s", done)
	}
}

func TestInterface_ThatCannotBeAttachedIsDetachedAgain(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	b.m.failAttach = errors.New("no device")
	err := b.up(movable)
	if err == nil || !strings.Contains(err.Error(), "instance a (") || !strings.Contains(err.Error(), "no device") {
		t.Fatalf("up: %v", err)
	}
	if s := b.instance("a").State; s != vpc.StateRunning {
		t.Errorf("a is %s", s)
	}
	for _, e := range b.Model().NetworkInterfaces.All() {
		if e.Name() == "m" && e.Attachment != nil {
			t.Errorf("m is attached: %+v", e.Attachment)
		}
	}
}

// What the machine refuses after the commit is told at once and tried again.
func TestRetry_OfWhatTheMachineRefuses(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	id := string(b.instance("a").ID)
	b.m.mu.Lock()
	b.m.failRemove[id] = errors.New("device or resource busy")
	b.m.mu.Unlock()
	if err := b.do("StopInstances", `{"InstanceIds":["a"]}`); err == nil || !strings.Contains(err.Error(), "instance a (") || !strings.Contains(err.Error(), "busy") {
		t.Fatalf("stop: %v", err)
	}
	lab, err := b.Lab(t.Context())
	if err != nil || len(lab.Notes) != 1 || !strings.Contains(lab.Notes[0], "tried again") {
		t.Fatalf("notes: %v, %v", lab.Notes, err)
	}
	b.m.mu.Lock()
	delete(b.m.failRemove, id)
	b.m.mu.Unlock()
	b.eventually("a is stopped", func() bool { return b.instance("a").State == vpc.StateStopped })
}

func TestNames_AreUniqueInNetnsAndHandedOn(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	subnet := string(b.instance("a").SubnetID)
	b.must("RunInstances", `{"SubnetId":"`+subnet+`","MinCount":1,"MaxCount":1,"TagSpecifications":[{"ResourceType":"instance","Tags":[{"Key":"Name","Value":"a"}]}]}`)
	b.must("RunInstances", `{"SubnetId":"`+subnet+`","MinCount":1,"MaxCount":1,"TagSpecifications":[{"ResourceType":"instance","Tags":[{"Key":"Name","Value":"my own server"}]}]}`)
	names := strings.Join(b.m.names(), " ")
	if f := strings.Fields(names); len(f) != 5 || f[0] != "a" || f[1] != "b" || f[2] != "far" || !strings.HasPrefix(f[3], "i-") || !strings.HasPrefix(f[4], "i-") {
		t.Fatalf("names: %s", names)
	}
	// One that is made anew starts when the old one has given the name back.
	b2 := newBench(t)
	b2.mustUp(twoInstances)
	if _, err := b2.upReplacing(strings.Replace(twoInstances, "a: {subnet: s}", "a: {subnet: s, private_ip: 10.0.1.77}", 1)); err != nil {
		t.Fatal(err)
	}
	equal(t, "running", b2.m.names(), []string{"a", "b", "far"})
}

// One that was renamed while it runs keeps its name in `ip netns`, which its successor would wait for.
func TestNames_OfARenamedInstanceDoNotKeepItsSuccessorPending(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	a := b.instance("a")
	b.must("CreateTags", `{"Resources":["`+string(a.ID)+`"],"Tags":[{"Key":"Name","Value":"a-old"}]}`)
	run := `{"SubnetId":"` + string(a.SubnetID) + `","MinCount":1,"MaxCount":1,"TagSpecifications":[{"ResourceType":"instance","Tags":[{"Key":"Name","Value":"a"}]}]}`
	b.must("RunInstances", run)
	successor := b.instance("a")
	if successor.State != vpc.StateRunning {
		t.Fatalf("the successor is %s", successor.State)
	}
	equal(t, "names", b.m.names(), []string{"a", "b", "far", string(successor.ID)})
	b.reopen()
	equal(t, "names after a restart", b.m.names(), []string{"a", "b", "far", string(successor.ID)})
	b.must("StopInstances", `{"InstanceIds":["a-old"]}`)
	b.must("StopInstances", `{"InstanceIds":["a"]}`)
	b.must("StartInstances", `{"InstanceIds":["a"]}`)
	equal(t, "names once the first one is gone", b.m.names(), []string{"a", "b", "far"})
}

func TestNames_TakenByOthersAreRefusedBeforeTheCommit(t *testing.T) {
	b := newBench(t)
	b.m.taken["b"] = true
	if err := b.up(twoInstances); err == nil || !strings.Contains(err.Error(), "b is taken") {
		t.Fatalf("up: %v", err)
	}
	if n := b.Model().Instances.Len(); n != 0 {
		t.Fatalf("%d instances", n)
	}
}

func TestDown_WhileStartsAreUnderWay(t *testing.T) {
	before := runtime.NumGoroutine()
	b := newBench(t)
	b.m.hang = make(chan struct{}) // for ever
	var all sync.WaitGroup
	all.Go(func() {
		if err := b.up(twoInstances); err == nil {
			t.Error("up succeeded")
		}
	})
	b.eventually("work has begun", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.busy) == 3 })
	for range 3 { // whoever asks gets the same answer
		all.Go(func() {
			if err := b.Down(t.Context(), func(string) {}); err != nil {
				t.Errorf("down: %v", err)
			}
		})
	}
	all.Wait()
	b.Close()
	for _, path := range []string{b.cfg.StateDir, b.cfg.RunDir, lockPath(b.cfg)} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	if err := b.Apply(t.Context(), func(*vpc.Tx) error { return nil }); !errors.Is(err, errStopping) {
		t.Errorf("apply afterwards: %v", err)
	}
	b.eventually("goroutines end with the lab", func() bool { return runtime.NumGoroutine() <= before })
}

func TestDown_CutShortIsFinishedByTheNext(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	b.Close()
	if err := markRemoving(b.cfg); err != nil {
		t.Fatal(err)
	}
	if err := removeAll(t.Context(), b.cfg, b.m); err != nil {
		t.Fatal(err)
	}
	if beingRemoved(b.cfg) || len(b.m.names()) != 0 {
		t.Fatal("not removed")
	}
	b.open()
	b.mustUp(twoInstances)
	equal(t, "running", b.m.names(), []string{"a", "b", "far"})
}

func TestLock_SecondDaemonIsRefused(t *testing.T) {
	b := newBench(t)
	begin := time.Now()
	if f, err := takeLock(t.Context(), b.cfg); !errors.Is(err, ErrRunning) {
		f.Close()
		t.Fatalf("got %v", err)
	}
	if took := time.Since(begin); took > 2*lockPatience {
		t.Errorf("it took %s", took)
	}
}

func TestOpen_WithoutTheGuestProgramLeavesNothing(t *testing.T) {
	t.Setenv("VPCEMU_GUEST", "")
	base := t.TempDir()
	cfg := Config{Lab: "lab", StateDir: filepath.Join(base, "state", "lab"), RunDir: filepath.Join(base, "run", "lab")}
	if err := os.MkdirAll(cfg.StateDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "VPCEMU_GUEST") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Dir(cfg.RunDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run directory is left: %v", err)
	}
}

// The state is locked itself: two directories that do not name each other, as on a disk that was full, keep
// nobody from it.
func TestLock_StateOfADaemonWithAnotherRunDirectory(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	other := b.cfg
	other.RunDir = filepath.Join(t.TempDir(), "run", b.cfg.Lab)
	for _, named := range []string{filepath.Join(b.cfg.StateDir, runNamed), filepath.Join(b.cfg.RunDir, stateNamed)} {
		if err := os.Remove(named); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	_, opened := Open(t.Context(), other)
	for what, err := range map[string]error{"Open": opened, "Remove": Remove(t.Context(), other)} {
		if !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), "set VPCEMU_RUN_DIR") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := os.Stat(filepath.Dir(other.RunDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	if _, err := os.Stat(statePath(b.cfg)); err != nil {
		t.Error(err)
	}
}

func TestApply_EachRequestPaysForItsOwnFaults(t *testing.T) {
	b := newBench(t)
	const n = 64
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			errs[i] = b.Apply(t.Context(), func(tx *vpc.Tx) error {
				switch i % 4 {
				case 1:
					_, err := tx.CreateVpc(&vpc.CreateVpcInput{CidrBlock: "10.0.0.0/8"}) // too large
					return err
				case 2:
					tx.Vpcs.Put("vpc-lost", &vpc.Vpc{})
					return fmt.Errorf("number %d", i)
				case 3:
					panic("mine")
				}
				_, err := tx.CreateVpc(&vpc.CreateVpcInput{CidrBlock: fmt.Sprintf("10.%d.0.0/16", i)})
				return err
			})
		})
	}
	all.Wait()
	for i, err := range errs {
		if ok := err == nil; ok != (i%4 == 0 && err == nil) && !(i%4 == 0 && isLimit(err)) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if b.Model().Vpcs.Get("vpc-lost") != nil {
		t.Error("a failed request has left something")
	}
}

// isLimit tells the quota of VPCs of a Region, which the requests may meet.
func isLimit(err error) bool {
	var e *vpc.Error
	return errors.As(err, &e) && e.Code == "VpcLimitExceeded"
}

func TestApply_CommitThatFailsChangesNothing(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	was := b.Model()
	b.store.Close()
	err := b.Apply(t.Context(), func(tx *vpc.Tx) error {
		_, err := tx.CreateVpc(&vpc.CreateVpcInput{CidrBlock: "10.9.0.0/16"})
		return err
	})
	if err == nil || b.Model() != was {
		t.Fatalf("err %v, model changed: %v", err, b.Model() != was)
	}
}

func TestKeys_DeletedPairDoesNotKeepAnInstanceFromStarting(t *testing.T) {
	b := newBench(t)
	text := strings.Replace(twoInstances, "a: {subnet: s}", "a: {subnet: s, key_name: k}", 1)
	text = strings.Replace(text, "far: {}", "far: {key_names: [k]}", 1) + "key_pairs: {k: {}}\n"
	b.mustUp(text)
	b.m.mu.Lock()
	if keys := b.m.named("far").spec.PrivateKeys; keys["k.pem"] == "" || keys[defaultKey] == "" {
		t.Errorf("far has keys %v", keys)
	}
	b.m.mu.Unlock()
	b.must("StopInstances", `{"InstanceIds":["a"]}`)
	b.must("DeleteKeyPair", `{"KeyName":"k"}`)
	b.must("StartInstances", `{"InstanceIds":["a"]}`)
	equal(t, "running", b.m.names(), []string{"a", "b", "far"})
}

func TestLeases_OfTheLastMomentAreKept(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	handle := b.Model().InstanceInterfaces(b.instance("a").ID)[0].Handle
	b.leases.note(handle, lease("10.0.1.4"))
	b.reopen()
	if l, ok := b.leases.get(handle); !ok || l.Addr.String() != "10.0.1.4" {
		t.Fatalf("lease %+v, %v", l, ok)
	}
}

// Taken out of the file while it is stopped, an instance has nothing running
// whose end could take its disk along.
func TestUp_DiskOfAStoppedInstanceGoesWithIt(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	id := string(b.instance("a").ID)
	b.must("StopInstances", `{"InstanceIds":["a"]}`)
	if !b.m.disks[id] {
		t.Fatal("a stopped instance lost its disk")
	}
	b.mustUp(strings.Replace(twoInstances, "  a: {subnet: s}\n", "", 1))
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	if b.m.disks[id] {
		t.Fatal("its disk is left")
	}
}

// An `up` right after the daemon's start must not take an instance that was killed
// meanwhile for a running one, and find it stopped afterwards.
func TestReopen_WhatEndedIsToldBeforeAnybodyAsks(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	b.Close()
	for _, name := range []string{"a", "b"} {
		b.m.die(name, host.Exit{Cause: host.ExitKilled})
	}
	b.open()
	for _, name := range []string{"a", "b"} {
		if i := b.instance(name); i.State != vpc.StateStopped || !strings.Contains(i.StateReason, "killed") {
			t.Errorf("%s is %s: %s", name, i.State, i.StateReason)
		}
	}
	b.mustUp(twoInstances)
	equal(t, "running", b.m.names(), []string{"a", "b", "far"})
}

// A call of the API answers when an instance begins to shut down; a file that wants what it still has waits
// for its end.
func TestUp_WaitsForWhatIsShuttingDown(t *testing.T) {
	b := newBench(t)
	fixed := strings.Replace(twoInstances, "a: {subnet: s}", "a: {subnet: s, private_ip: 10.0.1.77}", 1)
	for _, text := range []string{fixed, emptyAccount + "default_vpc: false\n"} { // its address, its subnet
		b.mustUp(fixed)
		id := b.instance("a").ID
		b.m.mu.Lock()
		b.m.failRemove[string(id)] = errors.New("busy")
		b.m.mu.Unlock()
		if _, err := b.Do(t.Context(), "us-east-1", "TerminateInstances", &vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{id}}); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- b.up(text) }()
		select {
		case err := <-done:
			t.Fatalf("up while the instance shuts down: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		b.m.mu.Lock()
		delete(b.m.failRemove, string(id))
		b.m.mu.Unlock()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
