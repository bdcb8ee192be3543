package traffic

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// TestMain is also the world of the tests: a process in a network namespace of its own, which is one end of the traffic or
// starts both.
func TestMain(m *testing.M) {
	switch os.Getenv("TRAFFIC_TEST") {
	case "world":
		os.Exit(world(os.Getenv("TRAFFIC_SPEC")))
	case "server", "client":
		var s Spec
		err := json.Unmarshal([]byte(os.Getenv("TRAFFIC_SPEC")), &s)
		if err == nil {
			err = Main(os.Getenv("TRAFFIC_TEST"), s, os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// world brings the loopback device up and has a server and a client talk over it. It prints the results of both.
func world(spec string) int {
	err := loopbackUp()
	if err == nil {
		err = Prepare()
	}
	if err == nil {
		err = both(spec)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

func both(spec string) error {
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), "TRAFFIC_TEST=server")
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	if said, err := lines.ReadString('\n'); strings.TrimSpace(said) != Ready {
		return fmt.Errorf("the server said %q: %w", said, err)
	}
	client := exec.Command(os.Args[0])
	client.Env = append(os.Environ(), "TRAFFIC_TEST=client")
	client.Stdout, client.Stderr = os.Stdout, os.Stderr
	err = client.Run()
	if err != nil || strings.Contains(spec, `"crr"`) { // whose server goes on
		_ = server.Process.Kill()
		_ = server.Wait()
		return err
	}
	if _, err := io.Copy(os.Stdout, lines); err != nil {
		return err
	}
	return server.Wait()
}

// run measures a work on the loopback device of a namespace.
func run(t *testing.T, s Spec) (client, server Result) {
	t.Helper()
	s.Address, s.Time, s.CPU = netip.MustParseAddr("127.0.0.1"), 100*time.Millisecond, -1
	spec, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TRAFFIC_TEST=world", "TRAFFIC_SPEC="+string(spec))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v (a network namespace of its own needs root): %s", err, errs.String())
	}
	d := json.NewDecoder(strings.NewReader(out.String()))
	if err := d.Decode(&client); err != nil {
		t.Fatalf("the client's result: %v", err)
	}
	if err := d.Decode(&server); err != nil && s.Kind != CRR {
		t.Fatalf("the server's result: %v", err)
	}
	return client, server
}

func TestTCP(t *testing.T) {
	for _, streams := range []int{1, 4} {
		_, s := run(t, Spec{Kind: TCP, Streams: streams, MSS: 1460})
		if s.Bytes == 0 || s.Seconds < 0.1 || s.Seconds > 10 || s.Peer.String() != "127.0.0.1" {
			t.Errorf("%d streams: %+v", streams, s)
		}
	}
}

func TestTCPIsPaced(t *testing.T) {
	const pace = 4 << 20
	_, s := run(t, Spec{Kind: TCP, Streams: 1, Pace: pace})
	if rate := float64(s.Bytes) / s.Seconds; rate == 0 || rate > 3*pace { // a chunk may be on its way as the time begins
		t.Errorf("%.0f bytes a second: %+v", rate, s)
	}
}

func TestUDPCountsWhatIsDelivered(t *testing.T) {
	c, s := run(t, Spec{Kind: UDP, Size: 512})
	if s.Count == 0 || s.Bytes != 512*s.Count || s.Count > c.Sent || c.SentFor < s.Seconds {
		t.Errorf("sent %+v, delivered %+v", c, s)
	}
}

func TestRoundTripsAreSorted(t *testing.T) {
	c, _ := run(t, Spec{Kind: RR})
	if c.Count == 0 || c.P50 <= 0 || c.P50 > c.P99 || c.P99 > c.P999 || c.P50*1e-6 > c.Seconds {
		t.Errorf("%+v", c)
	}
}

func TestRoundTripsAtTheirTimes(t *testing.T) {
	c, _ := run(t, Spec{Kind: RR, Every: 2 * time.Millisecond})
	if most := uint64(c.Seconds/0.002) + 2; c.Count == 0 || c.Count > most {
		t.Errorf("%d round trips, %d at the most: %+v", c.Count, most, c)
	}
}

func TestConnectionsDoNotRunOutOfPorts(t *testing.T) {
	c, _ := run(t, Spec{Kind: CRR})
	if c.Count == 0 || c.Seconds < 0.1 {
		t.Errorf("%+v", c)
	}
}

func TestFlowsAreAllSetUpFirst(t *testing.T) {
	for _, n := range []int{1000, sources + 1000} {
		c, s := run(t, Spec{Kind: Flows, Flows: n, Size: 64})
		if s.SetUp < uint64(setUpShare*float64(n)) || s.SetUp > uint64(n) || s.Count == 0 || s.Bytes != 64*s.Count || s.Count > c.Sent {
			t.Errorf("%d flows: sent %+v, delivered %+v", n, c, s)
		}
	}
}

func TestFlowsHavePortsOfTheirOwn(t *testing.T) {
	seen, different := make([]bool, Ports<<16), 0
	for i := range MaxFlows {
		source, destination := ports(i)
		if source < firstSource || destination < Port || destination >= control || int(destination) >= Port+destinations(i+1) {
			t.Fatalf("flow %d: ports %d to %d", i, source, destination)
		}
		if at := (int(destination)-Port)<<16 + int(source); !seen[at] {
			seen[at] = true
			different++
		}
	}
	if different != MaxFlows || MaxFlows < 1_000_000 {
		t.Errorf("%d pairs of ports for %d flows", different, MaxFlows)
	}
}

func TestDatagramIsWhatItsHeadersSay(t *testing.T) {
	b := datagram(netip.MustParseAddr("10.0.1.10"), netip.MustParseAddr("10.0.2.10"), 64)
	p := gopacket.NewPacket(b, layers.LayerTypeIPv4, gopacket.Default)
	ip, ok := p.NetworkLayer().(*layers.IPv4)
	udp, also := p.TransportLayer().(*layers.UDP)
	if !ok || !also || p.ErrorLayer() != nil {
		t.Fatalf("% x: %v", b, p.ErrorLayer())
	}
	if ip.SrcIP.String() != "10.0.1.10" || ip.DstIP.String() != "10.0.2.10" || int(ip.Length) != len(b) || udp.Length != 72 || len(udp.Payload) != 64 {
		t.Errorf("%v %v", ip, udp)
	}
}

// The oracle counts.
func TestPercentile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 50_000), 1, 300).Draw(t, "nanoseconds")
		slices.Sort(values)
		share := rapid.SampledFrom([]float64{0.5, 0.99, 0.999}).Draw(t, "share")
		got := percentile(values, share)
		for _, v := range values {
			below := 0
			for _, w := range values {
				if w <= v {
					below++
				}
			}
			if float64(below) >= math.Ceil(share*float64(len(values))-1e-9) {
				if want := float64(v) / 1000; got != want {
					t.Fatalf("got %v, want %v", got, want)
				}
				return
			}
		}
		t.Fatal("no value has enough below it")
	})
}
