package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
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
)

// awsFields is AWS's list of the fields of a flow log record (VPC User Guide, Flow log
// records, versions 2 to 5) with the form of each. The records of these tests are read by
// it and not by the program that writes them.
var awsFields = map[string]string{
	"version":             `[2-5]`,
	"account-id":          `\d{12}`,
	"interface-id":        `eni-[0-9a-f]{17}`,
	"srcaddr":             `\d+\.\d+\.\d+\.\d+`,
	"dstaddr":             `\d+\.\d+\.\d+\.\d+`,
	"srcport":             `\d{1,5}`,
	"dstport":             `\d{1,5}`,
	"protocol":            `\d{1,3}`,
	"packets":             `[1-9]\d*`,
	"bytes":               `[1-9]\d*`,
	"start":               `\d{10}`,
	"end":                 `\d{10}`,
	"action":              `ACCEPT|REJECT`,
	"log-status":          `OK|NODATA|SKIPDATA`,
	"vpc-id":              `vpc-[0-9a-f]{17}`,
	"subnet-id":           `subnet-[0-9a-f]{17}`,
	"instance-id":         `i-[0-9a-f]{17}|-`,
	"tcp-flags":           `\d{1,2}`,
	"type":                `IPv4`,
	"pkt-srcaddr":         `\d+\.\d+\.\d+\.\d+`,
	"pkt-dstaddr":         `\d+\.\d+\.\d+\.\d+`,
	"region":              `[a-z]+-[a-z]+-\d`,
	"az-id":               `[a-z0-9]+-az\d`,
	"sublocation-type":    `-`,
	"sublocation-id":      `-`,
	"pkt-src-aws-service": `-`,
	"pkt-dst-aws-service": `-`,
	"flow-direction":      `ingress|egress`,
	"traffic-path":        `[1-8]|-`,
}

// ofInterface are the fields that NODATA and SKIPDATA have, too.
var ofInterface = regexp.MustCompile(`^(version|account-id|interface-id|start|end|log-status|vpc-id|subnet-id|instance-id|region|az-id)$`)

// flowRecord is one line of a flow log by its fields' names.
type flowRecord map[string]string

func (r flowRecord) number(t *testing.T, field string) int {
	t.Helper()
	n, err := strconv.Atoi(r[field])
	if err != nil {
		t.Fatalf("%s: %v", field, err)
	}
	return n
}

// parseFlowLog reads the lines of a flow log, the names of the fields first, and returns
// the records of packets and the number of those that say that there were none.
func parseFlowLog(t *testing.T, text string) (list []flowRecord, empty int) {
	t.Helper()
	head, rest, _ := strings.Cut(text, "\n")
	names := strings.Split(head, " ")
	for line := range strings.Lines(rest) {
		line = strings.TrimSuffix(line, "\n")
		words := strings.Split(line, " ")
		if len(words) != len(names) {
			t.Fatalf("%d fields and %d values: %q", len(names), len(words), line)
		}
		r := flowRecord{}
		for i, name := range names {
			r[name] = words[i]
		}
		none := r["log-status"] == "NODATA" || r["log-status"] == "SKIPDATA"
		for name, value := range r {
			form, known := awsFields[name]
			if none && !ofInterface.MatchString(name) {
				form = "-"
			}
			if !known || !regexp.MustCompile("^("+form+")$").MatchString(value) {
				t.Fatalf("field %s is %q in %q", name, value, line)
			}
		}
		if none {
			empty++
			continue
		}
		list = append(list, r)
	}
	return list, empty
}

const allFields = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status} " +
	"${vpc-id} ${subnet-id} ${instance-id} ${tcp-flags} ${type} ${pkt-srcaddr} ${pkt-dstaddr} ${region} ${az-id} ${sublocation-type} ${sublocation-id} " +
	"${pkt-src-aws-service} ${pkt-dst-aws-service} ${flow-direction} ${traffic-path}"

// withFlowLogs is the book's topology with flow logs.
func withFlowLogs(t *testing.T, entries string) string {
	t.Helper()
	return embedded(t, "book") + "\nflow_logs:\n" + entries
}

// interfaceOf is the ID of an instance's first network interface.
func (l *lab) interfaceOf(name string) string {
	l.t.Helper()
	return get(l.t, l.ec2("describe-instances --filters Name=tag:Name,Values="+name), "Reservations", 0, "Instances", 0, "NetworkInterfaces", 0, "NetworkInterfaceId")
}

// logged waits until the records in a file fulfil a condition, and returns them.
func logged(t *testing.T, file, what string, enough func([]flowRecord) error) []flowRecord {
	t.Helper()
	var list []flowRecord
	eventually(t, what, func() error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		list, _ = parseFlowLog(t, string(text[:bytes.LastIndexByte(text, '\n')+1]))
		return enough(list)
	})
	return list
}

// flowKey is a flow as it is on the link of an interface.
type flowKey struct {
	src, dst     string
	protocol     int
	sport, dport int
}

// total is what a flow amounted to.
type total struct{ packets, bytes int }

// tcpdumped reads what tcpdump wrote on a TUN interface: link type RAW, an IP packet each.
func countedByTcpdump(t *testing.T, file string) map[flowKey]total {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil || len(b) < 24 {
		t.Fatalf("%s: %d bytes, %v", file, len(b), err)
	}
	if magic, link := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[20:]); magic != 0xa1b2c3d4 || link != 101 && link != 12 {
		t.Fatalf("%s: magic %#x, link type %d", file, magic, link)
	}
	sums := map[flowKey]total{}
	for b = b[24:]; len(b) >= 16; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		p := b[16 : 16+n]
		b = b[16+n:]
		if p[0]>>4 != 4 {
			continue
		}
		k := flowKey{src: netip.AddrFrom4([4]byte(p[12:16])).String(), dst: netip.AddrFrom4([4]byte(p[16:20])).String(), protocol: int(p[9])}
		if k.protocol == 6 || k.protocol == 17 {
			l4 := p[int(p[0]&15)*4:]
			k.sport, k.dport = int(binary.BigEndian.Uint16(l4)), int(binary.BigEndian.Uint16(l4[2:]))
		}
		s := sums[k]
		s.packets++
		s.bytes += int(binary.BigEndian.Uint16(p[2:]))
		sums[k] = s
	}
	return sums
}

// dump runs tcpdump in an instance's network namespace, from outside, until stop is called.
// Its own buffer (-B, KiB) has room for eight packets in immediate mode, which a busy
// machine fills before tcpdump has its turn.
func (l *lab) dump(instance, file string) (stop func()) {
	l.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", l.name+"."+instance, "tcpdump", "--immediate-mode", "-B", "65536", "-U", "-n", "-i", "eth0", "-w", file, "ip")
	errs, err := cmd.StderrPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for scan := bufio.NewScanner(errs); scan.Scan(); {
		if strings.Contains(scan.Text(), "listening on") {
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, errs) }()
	return func() { _ = cmd.Process.Signal(syscall.SIGINT); _ = cmd.Wait() }
}

// logTotals sums what an interface's records say, by the packets' own addresses.
func logTotals(t *testing.T, list []flowRecord, eni string) map[flowKey]total {
	t.Helper()
	sums := map[flowKey]total{}
	for _, r := range list {
		if r["interface-id"] != eni || r["flow-direction"] == "ingress" && r["action"] == "REJECT" {
			continue // what is rejected on its way in is not on the link
		}
		k := flowKey{r["pkt-srcaddr"], r["pkt-dstaddr"], r.number(t, "protocol"), r.number(t, "srcport"), r.number(t, "dstport")}
		s := sums[k]
		s.packets += r.number(t, "packets")
		s.bytes += r.number(t, "bytes")
		sums[k] = s
	}
	return sums
}

// The packets and bytes of the log are those on the wire: each flow of a capture in the
// instance's namespace is in the log with the same counts.
func TestFL03_CountsAreThoseOfACapture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, pcap := filepath.Join(dir, "flows"), filepath.Join(dir, "web.pcap")
	l := up(t, withFlowLogs(t, fmt.Sprintf("  all: {vpc: book, max_aggregation_interval: 1, log_format: '%s', log_destination: %s}\n", allFields, file)))
	web, db, public := l.privateOf("web"), l.privateOf("db"), l.publicOf("web")
	l.waitPort("web", "tcp", 80)
	l.serve("web", "UDP-LISTEN:5000,fork", "EXEC:cat")
	l.serve("web", "UDP-LISTEN:5001,fork", "EXEC:cat")
	stop := l.dump("web", pcap)
	l.in("db", "ping -q -c 20 -i 0.05 -s 500 "+web)
	if l.pings("laptop", public) {
		t.Error("the ping from the laptop is answered")
	}
	l.in("laptop", "curl -sS -m 20 --local-port 40001 http://"+public+"/")
	l.in("db", "curl -sS -m 20 --local-port 40002 http://"+web+"/")
	l.in("db", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done | socat -t 1 - UDP:"+web+":5000,sourceport=40003")
	_, _, _ = l.tryIn("laptop", "echo no | socat -t 0.2 - UDP:"+public+":5001,sourceport=40004") // rejected: not on web's link
	if l.reaches("web", db, 81, 1) {                                                             // refused by db, which a RST tells
		t.Error("something listens on db's port 81")
	}
	stop()
	eni := l.interfaceOf("web")
	want := countedByTcpdump(t, pcap)
	if len(want) < 10 {
		t.Fatalf("the capture has %v", want)
	}
	logged(t, file, "records of all that was tcpdumped", func(list []flowRecord) error {
		got := logTotals(t, list, eni)
		for k, n := range want {
			if k.src == "172.30.0.2" || k.dst == "172.30.0.2" { // the resolver's
				if got[k] != (total{}) {
					return fmt.Errorf("%v is logged", k)
				}
			} else if got[k] != n {
				return fmt.Errorf("%v: %v in the log, %v in the capture", k, got[k], n)
			}
		}
		return nil
	})
	for _, r := range logged(t, file, "the reject", func(list []flowRecord) error {
		if !slices.ContainsFunc(list, func(r flowRecord) bool {
			return r["srcport"] == "40004" && r["action"] == "REJECT" && r["interface-id"] == eni && r["bytes"] == "31"
		}) {
			return errors.New("not there")
		}
		return nil
	}) {
		if r["version"] != "5" || r["region"] != "ap-northeast-1" || r["interface-id"] == eni && (r["srcaddr"] != web && r["dstaddr"] != web) {
			t.Errorf("%v", r)
		}
		if r["srcport"] == "40001" && (r["tcp-flags"] != "3" && r["tcp-flags"] != "2" && r["tcp-flags"] != "1" && r["tcp-flags"] != "0") {
			t.Errorf("tcp-flags %s of a client", r["tcp-flags"])
		}
	}
}

// Of a transfer in super-packets the log has the segments that are on the wire: without
// headers, which are 52 bytes with timestamps, there is left what was transferred.
func TestFL03_SuperPacketsCountAsTheirSegments(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "flows")
	l := up(t, withFlowLogs(t, fmt.Sprintf("  web: {instance: web, max_aggregation_interval: 1, log_destination: %s}\n", file)))
	l.waitPort("web", "tcp", 80)
	const size = 20_000_000
	l.in("web", fmt.Sprintf("head -c %d /dev/zero >/srv/www/big", size))
	l.in("laptop", "curl -sS -m 30 -o /dev/null --local-port 40001 http://"+l.publicOf("web")+"/big")
	logged(t, file, "records of the transfer", func(list []flowRecord) error {
		var sum total
		for _, r := range list {
			if r["dstport"] == "40001" {
				sum.packets += r.number(t, "packets")
				sum.bytes += r.number(t, "bytes")
			}
		}
		if left := sum.bytes - 52*sum.packets; left < size || left > size+size/50 || sum.packets < size/1448 {
			return fmt.Errorf("%d packets, %d bytes: %d without headers", sum.packets, sum.bytes, left)
		}
		return nil
	})
}

// AWS's example: ping is let in, and the ACL does not let the reply out.
func TestFL05_PingWithAnACLThatDeniesTheReply(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "flows")
	topology := replaced(t, withFlowLogs(t, fmt.Sprintf("  web: {instance: web, max_aggregation_interval: 1, log_destination: %s}\n", file)),
		"- {port: http, cidr_blocks: [0.0.0.0/0]}", "- {port: http, cidr_blocks: [0.0.0.0/0]}\n      - {protocol: icmp, cidr_blocks: [0.0.0.0/0]}")
	l := up(t, topology+"network_acls:\n  deaf:\n    vpc: book\n    subnets: [public]\n    ingress: [{rule_no: 100, action: allow, protocol: all, cidr_block: 0.0.0.0/0}]\n    egress: []\n")
	laptop, web := l.publicOf("laptop"), l.privateOf("web")
	if _, _, status := l.tryIn("laptop", "ping -q -c 3 -i 0.1 -W 0.5 "+l.publicOf("web")); status == 0 {
		t.Error("the ping is answered")
	}
	logged(t, file, "an ACCEPT of the request and a REJECT of the reply", func(list []flowRecord) error {
		got := map[string]total{}
		for _, r := range list {
			if r["protocol"] == "1" {
				k := r["srcaddr"] + " " + r["dstaddr"] + " " + r["srcport"] + " " + r["dstport"] + " " + r["action"]
				s := got[k]
				got[k] = total{s.packets + r.number(t, "packets"), s.bytes + r.number(t, "bytes")}
			}
		}
		if accept, reject := laptop+" "+web+" 0 0 ACCEPT", web+" "+laptop+" 0 0 REJECT"; len(got) != 2 || got[accept] != (total{3, 252}) || got[reject] != (total{3, 252}) {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
}

// AWS's example: ssh from a private subnet through a NAT gateway makes four lines at the
// gateway's interface; here they are made on the spot.
func TestFL06_SSHThroughANATGateway(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "book"))
	nat, db, server := l.natOf("nat"), l.privateOf("db"), l.publicOf("laptop")
	l.waitPort("laptop", "tcp", 22)
	cmd := l.command("flow-logs", "--on", "nat", "--interval", "1s", "--format", "instance-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr srcport dstport packets bytes action log-status")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var text strings.Builder
	read := make(chan struct{})
	began := make(chan struct{}, 1)
	go func() {
		defer close(read)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			mu.Lock()
			text.WriteString(scan.Text() + "\n")
			mu.Unlock()
			select {
			case began <- struct{}{}:
			default:
			}
		}
	}()
	<-began // the header: from now on everything is logged
	l.in("db", "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout=10 ec2-user@"+server+" true 2>&1 || true")
	eventually(t, "four lines of the ssh", func() error {
		mu.Lock()
		list, _ := parseFlowLog(t, text.String())
		mu.Unlock()
		got := map[string]total{}
		for _, r := range list {
			if r["srcport"] == "22" || r["dstport"] == "22" {
				k := strings.Join([]string{r["instance-id"], r["srcaddr"], r["dstaddr"], r["pkt-srcaddr"], r["pkt-dstaddr"], r["action"]}, " ")
				s := got[k]
				got[k] = total{s.packets + r.number(t, "packets"), s.bytes + r.number(t, "bytes")}
			}
		}
		a, b := got["- "+db+" "+nat+" "+db+" "+server+" ACCEPT"], got["- "+nat+" "+server+" "+nat+" "+server+" ACCEPT"]
		c, d := got["- "+server+" "+nat+" "+server+" "+nat+" ACCEPT"], got["- "+nat+" "+db+" "+server+" "+db+" ACCEPT"]
		if len(got) != 4 || a != b || c != d || a.packets < 5 || c.packets < 5 {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-read
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

// A flow log is an object like others: made, listed, shown and deleted by name; it
// survives its daemon, converges, and goes with what it watches.
func TestFL10_FlowLogAsAnObject(t *testing.T) {
	t.Parallel()
	topology := withFlowLogs(t, "  all: {vpc: book, max_aggregation_interval: 1}\n")
	l := up(t, topology)
	if out := l.cli("plan", l.file); strings.Contains(out, "flow log") {
		t.Errorf("a second time: %s", out)
	}
	id := get(t, l.ec2("describe-flow-logs --filter Name=tag:Name,Values=all"), "FlowLogs", 0, "FlowLogId")
	if out := l.cli("describe", "flow-logs"); !strings.Contains(out, id) || !strings.Contains(out, "cloud-watch-logs") || !strings.Contains(out, "book") {
		t.Errorf("describe:\n%s", out)
	}
	l.ec2Fails("FlowLogAlreadyExists", "create-flow-logs --resource-type VPC --resource-ids book --traffic-type ALL --log-group-name all")
	l.ec2Fails("unknown fields in the log format: colour", "create-flow-logs --resource-type VPC --resource-ids book --traffic-type ALL --log-group-name x --log-format ${colour}")
	l.ec2("create-flow-logs --resource-type Subnet --resource-ids public --traffic-type REJECT --log-group-name mine --tag-specifications ResourceType=vpc-flow-log,Tags=[{Key=Name,Value=mine}]")
	l.waitPort("web", "tcp", 80)
	port := func(p string) func([]flowRecord) error {
		return func(list []flowRecord) error {
			if !slices.ContainsFunc(list, func(r flowRecord) bool { return r["srcport"] == p }) {
				return fmt.Errorf("none of port %s in %d records", p, len(list))
			}
			return nil
		}
	}
	file := filepath.Join(l.stateDir(), "flow-logs", "all", id+".log")
	get80 := func(p string) { l.in("db", "curl -sS -m 20 -o /dev/null --local-port "+p+" http://172.30.0.10/") }
	get80("40001")
	logged(t, file, "the first connection", port("40001"))
	l.kill9(l.daemons()...)
	l.cli("ls") // starts another
	get80("40003")
	logged(t, file, "the third connection", port("40003"))
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "version account-id") != 1 {
		t.Errorf("%d headers, %v", strings.Count(string(text), "version account-id"), err)
	}
	shown := l.cli("flow-logs", "all")
	if !strings.HasPrefix(shown, "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n") {
		t.Errorf("shown:\n%.500s", shown)
	}
	if list, _ := parseFlowLog(t, shown); port("40001")(list) != nil || port("40003")(list) != nil {
		t.Errorf("shown:\n%s", shown)
	}
	if out, errs, status := l.try("", "flow-logs"); status != 2 || !strings.Contains(errs, "say which: all, mine") {
		t.Errorf("two flow logs: %d, %s%s", status, out, errs)
	}
	if _, errs, status := l.try("", "flow-logs", "mine"); status != 0 || !strings.Contains(errs, "has no records yet") {
		t.Errorf("mine: %d, %s", status, errs)
	}
	l.write(strings.Replace(topology, "  all: {vpc: book, max_aggregation_interval: 1}\n", "  all: {vpc: book, max_aggregation_interval: 2}\n", 1))
	if out := l.cli("plan", l.file); !strings.Contains(out, "replace flow log all: max_aggregation_interval") {
		t.Errorf("a change: %s", out)
	}
	l.cli("up", l.file)
	if now := get(t, l.ec2("describe-flow-logs --filter Name=tag:Name,Values=all"), "FlowLogs", 0, "FlowLogId"); now == id {
		t.Errorf("%s is still there", id)
	}
	l.ec2("delete-flow-logs --flow-log-ids mine")
	if out := l.cli("describe", "flow-logs"); strings.Contains(out, "mine") {
		t.Errorf("deleted:\n%s", out)
	}
}

// A disk that is full costs records of the log and nothing else, is told, and the log
// goes on when there is room again.
func TestFlowLogs_FullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	file, filler := filepath.Join(dir, "flows"), filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 60<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	l := up(t, withFlowLogs(t, fmt.Sprintf("  all: {vpc: book, max_aggregation_interval: 1, log_destination: %s}\n", file)))
	eventually(t, "a note that the disk is full", func() error {
		if out := l.cli("ls"); !strings.Contains(out, "flow log all: its records are lost") || !strings.Contains(out, "no space left on device") {
			return errors.New(out)
		}
		return nil
	})
	l.waitPort("web", "tcp", 80)
	l.in("db", "curl -sS -m 20 -o /dev/null http://172.30.0.10/")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no note any more", func() error {
		if out := l.cli("ls"); strings.Contains(out, "records are lost") {
			return errors.New(out)
		}
		return nil
	})
	l.in("db", "curl -sS -m 20 -o /dev/null --local-port 40005 http://172.30.0.10/")
	logged(t, file, "records after it", func(list []flowRecord) error {
		if !slices.ContainsFunc(list, func(r flowRecord) bool { return r["srcport"] == "40005" }) {
			return errors.New("none yet")
		}
		return nil
	})
	log, err := os.ReadFile(filepath.Join(l.stateDir(), "daemon.log"))
	if n := strings.Count(string(log), "flow log: records are lost"); err != nil || n != 1 {
		t.Errorf("the daemon's log tells of it %d times (%v)", n, err)
	}
}
