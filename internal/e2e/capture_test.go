package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/vpcemu/vpcemu/internal/capture"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// buffer is written by a program while a test reads it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// recording is a `vpcemu capture` under way.
type recording struct {
	l    *lab
	cmd  *exec.Cmd
	said buffer
}

// record begins a capture, and returns once it is under way.
func (l *lab) record(stdout io.Writer, args ...string) *recording {
	l.t.Helper()
	r := &recording{l: l, cmd: l.command(append([]string{"capture"}, args...)...)}
	r.cmd.Stdout, r.cmd.Stderr = stdout, &r.said
	if err := r.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() })
	eventually(l.t, "capture", func() error {
		if !strings.Contains(r.said.String(), "capturing") {
			return fmt.Errorf("it has not begun: %s", r.said.String())
		}
		return nil
	})
	return r
}

// end waits for the capture's end, and returns what it said; Ctrl-C ends it first, if asked for.
func (r *recording) end(interrupt bool, status int) string {
	r.l.t.Helper()
	if interrupt {
		_ = r.cmd.Process.Signal(os.Interrupt)
	}
	_ = r.cmd.Wait()
	if got := r.cmd.ProcessState.ExitCode(); got != status {
		r.l.t.Fatalf("capture: exit status %d, want %d: %s", got, status, r.said.String())
	}
	return r.said.String()
}

// tshark runs tshark, which must not complain, and returns its lines.
func tshark(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("tshark", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	said := strings.ReplaceAll(errs.String(), "Running as user \"root\" and group \"root\". This could be dangerous.\n", "")
	if err != nil || said != "" {
		t.Fatalf("tshark %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	text := strings.TrimSuffix(out.String(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// sound fails unless every packet of the file is well formed, its checksums too.
func sound(t *testing.T, file string) {
	t.Helper()
	bad := tshark(t, "-r", file, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-Y", `_ws.malformed || ip.checksum.status == "Bad" || tcp.checksum.status == "Bad" || udp.checksum.status == "Bad" || icmp.checksum.status == "Bad"`)
	if len(bad) > 0 {
		t.Errorf("tshark finds faults:\n%s", strings.Join(bad, "\n"))
	}
}

// sighted is a packet as tshark tells it.
type sighted struct {
	at, direction, id, flow, comment string
}

func (c sighted) String() string { return c.at + " " + c.direction + " " + c.flow + ": " + c.comment }

// packets are those of a file that a display filter lets pass.
func packetsOf(t *testing.T, file, filter string) (list []sighted) {
	t.Helper()
	args := []string{"-r", file, "-Y", filter, "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"}
	for _, f := range []string{"frame.interface_name", "frame.packet_flags_direction", "frame.packet_id", "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "frame.comment"} {
		args = append(args, "-e", f)
	}
	for _, line := range tshark(t, args...) {
		f := strings.SplitN(line, "|", 8)
		if len(f) != 8 {
			t.Fatalf("tshark's line %q", line)
		}
		flow := f[3] + " > " + f[5]
		if f[4] != "" {
			flow = f[3] + ":" + f[4] + " > " + f[5] + ":" + f[6]
		}
		number, err := strconv.ParseUint(f[1], 0, 8)
		if err != nil {
			t.Fatalf("direction %q of %q", f[1], line)
		}
		list = append(list, sighted{at: f[0], direction: []string{"?", "in", "out"}[number], id: f[2], flow: flow, comment: f[7]})
	}
	return list
}

// noSSH is the book without its rule for ssh, and with web on a TAP device.
func noSSH(t *testing.T) string {
	t.Helper()
	text := replaced(t, embedded(t, "book"), "      - {port: ssh, cidr_blocks: [0.0.0.0/0]}\n", "")
	return replaced(t, text, "    private_ip: 172.30.0.10\n", "    private_ip: 172.30.0.10\n    link_type: tap\n")
}

// Everything in the lab: each place an interface of its own, a translated flow in all its
// forms, drops and the network's own answers, all of it with comments.
func TestCaptureForTshark(t *testing.T) {
	t.Parallel()
	l := up(t, noSSH(t))
	l.waitPort("server", "tcp", 80)
	file := filepath.Join(t.TempDir(), "lab.pcapng")
	r := l.record(nil, "-w", file)
	server, web, db := l.publicOf("server"), l.publicOf("web"), l.privateOf("db")
	l.in("db", "curl -sS -m 20 http://"+server+"/1MiB >/dev/null")
	l.tryIn("laptop", "nc -z -w 1 "+web+" 22")
	l.in("web", "ping -q -c 1 -W 5 "+db)
	l.tryIn("web", "ping -q -M do -s 3000 -c 1 -W 1 "+server)
	said := r.end(true, 0)
	sound(t, file)

	n := len(tshark(t, "-r", file))
	if want := fmt.Sprintf("%d packets captured in %s, 0 skipped", n, file); !strings.Contains(said, want) {
		t.Errorf("it said %q, want %q", said, want)
	}
	interfaces := tshark(t, "-r", file, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.interface_description")
	slices.Sort(interfaces)
	interfaces = slices.Compact(interfaces)
	var names []string
	for _, i := range interfaces {
		name, description, _ := strings.Cut(i, "\t")
		names = append(names, name)
		if !strings.Contains(description, "-") {
			t.Errorf("interface %s has the description %q", name, description)
		}
	}
	if got := strings.Join(names, " "); got != "db igw laptop nat server web" {
		t.Errorf("interfaces %s", got)
	}
	l.checkNATed(file, db, server)
	l.checkDrop(file, web)

	for filter, want := range map[string]string{
		`icmp.type == 8 && frame.interface_name == "db"`:                      `^db in 172\.30\.0\.10 > ` + db + `: db \(eni-\w+\) in, from web \(eni-\w+\): delivered \[.*sg-ingress: `,
		`icmp.type == 3 && icmp.code == 4`:                                    `^web in 172\.30\.0\.1 > 172\.30\.0\.10: web \(eni-\w+\) in: the network's answer to icmp .*PACKET_TOO_BIG`,
		`icmp.type == 8 && frame.interface_name == "igw" && frame.len > 3000`: `^igw in 172\.30\.0\.10 > ` + server + `: igw \(igw-\w+\) in, from web \(eni-\w+\): dropped by igw \(igw-\w+\), at igw-egress: PACKET_TOO_BIG`,
	} {
		list := packetsOf(t, file, filter)
		if len(list) != 1 || !regexp.MustCompile(want).MatchString(list[0].String()) {
			t.Errorf("%s: %v, want %s", filter, list, want)
		}
	}
	agreesWithTcpdump(t, file, server)
}

// checkNATed looks at the first packet of db's connection in all places, under one packet ID.
func (l *lab) checkNATed(file, db, server string) {
	t := l.t
	t.Helper()
	nat, elastic := l.natOf("nat"), l.elasticOf("nat")
	list := packetsOf(t, file, "tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.dstport == 80")
	port := func(s string) string { return "(?:" + regexp.QuoteMeta(s) + `:\d+)` }
	to := regexp.QuoteMeta(server + ":80")
	want := []string{
		`^db out ` + port(db) + ` > ` + to + `: db \(eni-\w+\) out: delivered to server \(host-\w+\) as tcp ` + port(elastic) + ` > ` + to + ` \[sg-egress: rule sgr-\w+ of default \(sg-\w+\); acl-egress: rule 100 allow of acl-\w+; route 0\.0\.0\.0/0 -> nat-\w+ of private \(rtb-\w+\);`,
		`^nat in ` + port(db) + ` > ` + to + `: nat \(nat-\w+\) in, from db \(eni-\w+\): translated to tcp ` + port(nat) + ` > ` + to + `; delivered to server`,
		`^nat out ` + port(nat) + ` > ` + to + `: nat \(nat-\w+\) out, from db \(eni-\w+\): translated from tcp ` + port(db) + ` > ` + to,
		`^igw in ` + port(nat) + ` > ` + to + `: .*translated to tcp ` + port(elastic),
		`^igw out ` + port(elastic) + ` > ` + to + `: .*translated from tcp ` + port(nat),
		`^server in ` + port(elastic) + ` > ` + to + `: server \(host-\w+\) in, from db \(eni-\w+\): delivered; sent as tcp ` + port(db),
	}
	if len(list) != len(want) {
		t.Fatalf("%d forms of the first packet, want %d:\n%v", len(list), len(want), list)
	}
	for i, c := range list {
		if !regexp.MustCompile(want[i]).MatchString(c.String()) || c.id != list[0].id || c.id == "" {
			t.Errorf("form %d (packet ID %s): %s\nwant %s", i, c.id, c, want[i])
		}
	}
}

// checkDrop looks at the ssh that web's group refused.
func (l *lab) checkDrop(file, web string) {
	t := l.t
	t.Helper()
	list := packetsOf(t, file, "tcp.dstport == 22")
	var at []string
	for _, c := range list {
		at = append(at, c.at+" "+c.direction)
		if want := "dropped by web (eni-"; !strings.Contains(c.comment, want) || !strings.Contains(c.comment, "at sg-ingress: ENI_SG_RULES_MISMATCH: no rule of the security groups allows the packet") {
			t.Errorf("%s, want %s …", c, want)
		}
	}
	slices.Sort(at)
	if got := strings.Join(slices.Compact(at), ", "); got != "igw in, igw out, laptop out, web in" {
		t.Errorf("the dropped ssh shows at %s", got)
	}
}

// agreesWithTcpdump compares our filters with tcpdump's own, over the packets of a file.
// tcpdump gets them as plain pcap: libpcap 1.10 takes the second interface of type
// LINKTYPE_RAW for one of another type than the first.
func agreesWithTcpdump(t *testing.T, file, server string) {
	t.Helper()
	all, _ := readAll(t, file)
	for _, b := range all {
		if err := packet.VerifyChecksums(b); err != nil {
			t.Error(err)
		}
	}
	plain := pcapOf(t, all)
	for _, expression := range []string{
		"tcp", "icmp", "udp", "host " + server, "src net 172.30.0.0/16 and tcp port 80", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
		"icmp[icmptype] == icmp-unreach", "greater 1000", "less 60", "ip[8] < 64", "portrange 1024-65535 and not port 80",
		"ip[2:2] > 576", "tcp port http or tcp port ssh", "len % 4 = 0", "ip proto 1 or (tcp and dst host " + server + ")",
	} {
		p, err := capture.Compile(t.Context(), expression)
		if err != nil {
			t.Error(err)
			continue
		}
		filter, err := p.Filter()
		if err != nil {
			t.Error(err)
			continue
		}
		ours := 0
		for _, b := range all {
			if filter.Match(b) {
				ours++
			}
		}
		out, err := exec.Command("tcpdump", "-n", "-t", "-r", plain, "--", expression).Output()
		if err != nil {
			t.Errorf("tcpdump: %v", err)
		}
		theirs := 0
		for line := range strings.Lines(string(out)) {
			if !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, " ") {
				theirs++
			}
		}
		if ours != theirs {
			t.Errorf("%s: tcpdump takes %d of %d packets, we %d", expression, theirs, len(all), ours)
		}
	}
	if _, err := capture.Compile(t.Context(), "port and"); err == nil || !strings.Contains(err.Error(), "syntax error") {
		t.Errorf("an expression that is none: %v", err)
	}
}

// readAll reads a file with gopacket: the packets, and how many its statistics tell were dropped.
func readAll(t *testing.T, file string) (all [][]byte, dropped uint64) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	for n := range r.NInterfaces() {
		i, err := r.Interface(n)
		if err != nil {
			t.Fatal(err)
		}
		dropped += i.Statistics.PacketsDropped
	}
	return all, dropped
}

func pcapOf(t *testing.T, all [][]byte) (file string) {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	err := w.WriteFileHeader(1<<18, layers.LinkTypeRaw)
	for _, p := range all {
		err = errors.Join(err, w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(p), Length: len(p)}, p))
	}
	file = filepath.Join(t.TempDir(), "plain.pcap")
	if err = errors.Join(err, os.WriteFile(file, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCaptureIsLimited(t *testing.T) {
	t.Parallel()
	l := up(t, noSSH(t))
	l.waitPort("server", "tcp", 80)
	server, web := l.publicOf("server"), l.publicOf("web")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }

	// A filter, a count and a length; the form before NAT only.
	two := l.record(nil, "db", "nat", "-w", file("two"), "-c", "2", "--snaplen", "40", "--nat", "before", "--", "tcp port 80", "and dst host", server)
	drops := l.record(nil, "--drops-only", "-w", file("drops"))
	// Of a subnet, with an instance that comes to be in it meanwhile.
	subnet := l.record(nil, "public", "-w", file("subnet"), "-f", "icmp")
	l.in("db", "curl -sS -m 20 http://"+server+"/ >/dev/null")
	l.tryIn("laptop", "nc -z -w 1 "+web+" 22")
	if said := two.end(false, 0); !strings.Contains(said, "2 packets captured") {
		t.Error(said)
	}
	if list := packetsOf(t, file("two"), "ip"); len(list) != 2 || list[0].at != "db" || list[1].at != "nat" || list[1].direction != "in" || list[0].id != list[1].id {
		t.Errorf("%v", list)
	}
	if lengths := tshark(t, "-r", file("two"), "-T", "fields", "-e", "frame.cap_len", "-e", "frame.len"); lengths[0] != "40\t60" {
		t.Errorf("lengths %v", lengths)
	}
	drops.end(true, 0)
	list := packetsOf(t, file("drops"), "ip")
	if len(list) < 4 || slices.ContainsFunc(list, func(c sighted) bool { return !strings.Contains(c.comment, "dropped by") }) {
		t.Errorf("drops: %v", list)
	}

	l.write(replaced(t, noSSH(t), "  db:\n    subnet: private\n", "  late: {subnet: public, security_groups: [default]}\n  db:\n    subnet: private\n"))
	l.cli("up", l.file)
	l.in("web", "ping -q -c 1 -W 5 "+l.privateOf("late"))
	l.in("web", "ping -q -c 1 -W 5 "+l.privateOf("db"))
	subnet.end(true, 0)
	var at []string
	for _, c := range packetsOf(t, file("subnet"), "icmp") {
		at = append(at, c.at+" "+c.direction)
	}
	if got := strings.Join(at, ", "); got != "web out, late in, late out, web in, web out, web in" {
		t.Errorf("of the subnet: %s", got)
	}
	sound(t, file("subnet"))

	timed := l.record(nil, "-w", file("timed"), "--duration", "1ms")
	if said := timed.end(false, 0); !strings.Contains(said, "0 packets captured") && !strings.Contains(said, "packets captured in "+file("timed")) {
		t.Error(said)
	}
	if n := tshark(t, "-r", file("timed"), "-Y", "tcp"); len(n) != 0 {
		t.Errorf("%d packets in a millisecond without any", len(n))
	}
}

func TestCaptureRotates(t *testing.T) {
	t.Parallel()
	l := up(t, noSSH(t))
	dir := t.TempDir()
	r := l.record(nil, "web", "db", "-w", filepath.Join(dir, "ring.pcapng"), "--rotate-size", "4kB", "--files", "3", "--", "icmp")
	l.in("web", "ping -q -c 40 -i 0.002 -W 5 "+l.privateOf("db"))
	said := r.end(true, 0)
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if !strings.Contains(said, "160 packets captured, the last of them in files "+files[0]+" to "+files[len(files)-1]+" (--files 3), 0 skipped") {
		t.Errorf("it said %q", said)
	}
	if len(files) != 3 || regexp.MustCompile(`ring-0000[123]\.pcapng`).MatchString(strings.Join(files, " ")) {
		t.Fatalf("files %v", files)
	}
	last := 0
	for i, f := range files {
		sound(t, f)
		if st, err := os.Stat(f); err != nil || st.Size() > 4000 {
			t.Errorf("%s has %d bytes, %v", f, st.Size(), err)
		}
		list := packetsOf(t, f, "icmp")
		for _, c := range list {
			if c.at != "web" && c.at != "db" {
				t.Errorf("%s: %s", f, c)
			}
		}
		id, err := strconv.ParseUint(list[0].id, 0, 64)
		if err != nil || i > 0 && int(id) < last {
			t.Errorf("%s begins with packet %s, the one before with %d", f, list[0].id, last)
		}
		last = int(id)
	}
}

// Into a pipe, with a reader that leaves: `vpcemu capture -w - | tshark -c 3 -r -`.
func TestCaptureIntoAPipe(t *testing.T) {
	t.Parallel()
	l := up(t, noSSH(t))
	l.waitPort("server", "tcp", 80)
	pipe, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader := exec.Command("tshark", "-n", "-l", "-c", "3", "-r", "-")
	var out bytes.Buffer
	reader.Stdin, reader.Stdout = pipe, &out
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	r := l.record(in, "db", "-w", "-")
	in.Close()
	l.in("db", "curl -sS -m 20 http://"+l.publicOf("server")+"/ >/dev/null")
	if err := reader.Wait(); err != nil {
		t.Errorf("tshark: %v", err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 || !strings.Contains(out.String(), "[SYN, ACK]") {
		t.Errorf("tshark showed\n%s", out.String())
	}
	if said := r.end(false, 0); !strings.Contains(said, "their reader has left") {
		t.Error(said)
	}

	// Also where no packet comes that could not be written.
	if pipe, in, err = os.Pipe(); err != nil {
		t.Fatal(err)
	}
	r = l.record(in, "laptop", "-w", "-")
	in.Close()
	pipe.Close()
	if said := r.end(false, 0); !strings.Contains(said, "0 packets captured; their reader has left") {
		t.Error(said)
	}
}

// A reader that does not read costs it packets, which are counted, and the network nothing.
func TestCaptureWithASlowReader(t *testing.T) {
	t.Parallel()
	l := up(t, noSSH(t))
	l.waitPort("server", "tcp", 80)
	l.in("server", "head -c 40000000 /dev/zero >/srv/www/40MB")
	pipe, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	r := l.record(in, "-w", "-")
	in.Close()
	if got := l.in("db", "curl -sS -m 60 http://"+l.publicOf("server")+"/40MB | wc -c"); strings.TrimSpace(got) != "40000000" {
		t.Errorf("%s bytes came through", got)
	}
	file := filepath.Join(t.TempDir(), "slow.pcapng")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	_ = r.cmd.Process.Signal(os.Interrupt)
	if _, err := io.Copy(out, pipe); err != nil {
		t.Fatal(err)
	}
	said := r.end(false, 0)
	told := regexp.MustCompile(`^(\d+) packets captured, ([1-9]\d*) skipped: they came faster than they could be written\n$`).FindStringSubmatch(said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:])
	if told == nil {
		t.Fatalf("it said %q", said)
	}
	sound(t, file)
	if n := len(tshark(t, "-r", file)); strconv.Itoa(n) != told[1] {
		t.Errorf("%d packets, it said %s", n, told[1])
	}
	_, dropped := readAll(t, file)
	if strconv.FormatUint(dropped, 10) != told[2] {
		t.Errorf("the file tells of %d packets that were skipped, the command of %s", dropped, told[2])
	}
}

func TestCaptureOnAFullDisk(t *testing.T) {
	t.Parallel()
	l := up(t, noSSH(t))
	l.waitPort("server", "tcp", 80)
	disk := t.TempDir()
	if err := syscall.Mount("vpcemu-test", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(disk, "full.pcapng")
	r := l.record(nil, "db", "-w", file)
	l.in("db", "curl -sS -m 20 http://"+l.publicOf("server")+"/1MiB >/dev/null")
	said := r.end(false, 1)
	n := len(tshark(t, "-r", file))
	if want := fmt.Sprintf("%s: no space left on device; %d packets captured in %s, and good to read", file, n, file); n == 0 || !strings.Contains(said, want) {
		t.Errorf("it said %q, want %q", said, want)
	}
}

func TestCaptureWhoseDaemonIsKilled(t *testing.T) {
	t.Parallel()
	l := up(t, noSSH(t))
	file := filepath.Join(t.TempDir(), "cut.pcapng")
	r := l.record(nil, "web", "-w", file, "--", "icmp")
	l.in("web", "ping -q -c 5 -i 0.01 -W 5 "+l.privateOf("db"))
	eventually(t, "packets in the file", func() error {
		if n := len(tshark(t, "-r", file)); n != 10 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	var lab struct{ Daemon int }
	if err := json.Unmarshal([]byte(l.cli("ls", "-o", "json")), &lab); err != nil || lab.Daemon == 0 {
		t.Fatalf("daemon %d, %v", lab.Daemon, err)
	}
	if err := syscall.Kill(lab.Daemon, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	said := r.end(false, 1)
	if !strings.Contains(said, "the lab's daemon ended during the capture") || !strings.Contains(said, "10 packets captured in "+file+" until then") {
		t.Error(said)
	}
	sound(t, file)
	if n := len(tshark(t, "-r", file)); n != 10 {
		t.Errorf("%d packets are in the file", n)
	}
}

func TestCaptureRefuses(t *testing.T) {
	t.Parallel()
	l := up(t, noSSH(t))
	file := filepath.Join(t.TempDir(), "x")
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, 2, "-w FILE"},
		{[]string{"-w", file, "--", "tcp", "porrt", "80"}, 2, "can't parse filter expression"},
		{[]string{"-w", file, "--", "inbound"}, 2, "inbound or outbound"},
		{[]string{"-w", file, "--nat", "during"}, 2, "before, after or both"},
		{[]string{"-w", file, "--rotate-size", "0"}, 2, "no size"},
		{[]string{"-w", file, "--files", "2"}, 2, "--rotate-size or --rotate-time"},
		{[]string{"-w", "-", "--rotate-time", "1s"}, 2, "does not rotate"},
		{[]string{"nobody", "-w", file}, 2, "nobody: nothing in the lab has this name or ID; there are: db"},
		{[]string{"-w", file + "/y/z"}, 1, "no such file"},
	} {
		_, said, status := l.try("", append([]string{"capture"}, c.args...)...)
		if status != c.status || !strings.Contains(said, c.want) {
			t.Errorf("capture %v: exit status %d, want %d with %q:\n%s", c.args, status, c.status, c.want, said)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a capture that did not begin left a file")
	}
}
