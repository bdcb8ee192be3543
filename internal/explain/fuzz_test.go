package explain

import (
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
)

// Any request is answered or refused.
func FuzzTrace(f *testing.F) {
	f.Add("laptop", "web", "tcp", 22, 0, 0, 0, false, false)
	f.Add("app", "internet", "udp", 53, 1, 9001, 1, true, false)
	f.Add("web", "10.0.0.2", "icmp", 0, 0, 65535, 255, false, false)
	f.Add("203.0.113.2", "192.0.2.7", "47", 0, 0, 28, 0, true, true)
	f.Add("app", "255.255.255.255", "udp", 67, 68, 0, 0, false, false)
	f.Add("app", "224.0.0.1", "6", 80, 40000, 40, 64, false, true)
	f.Add("0.0.0.0", "::", "-1", -1, -1, -1, -1, false, false)
	l := newLab(f, site)
	f.Fuzz(func(t *testing.T, from, to, protocol string, port, source, size, ttl int, df, established bool) {
		tr, err := Trace(&l.Model, l.Engine.Tracer(), control.TraceRequest{From: from, To: to, Protocol: protocol, Port: port,
			SourcePort: source, Size: size, TTL: ttl, DontFragment: df, Established: established})
		if err != nil {
			return
		}
		if tr.Reachable != (len(tr.Advice) == 0) {
			t.Errorf("reachable: %v, advice %q", tr.Reachable, tr.Advice)
		}
		if Text(tr) == "" || Mermaid(tr) == "" {
			t.Error("nothing to show")
		}
	})
}
