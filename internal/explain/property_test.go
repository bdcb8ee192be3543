package explain

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/explain/labtest"
)

// drawTrace is a trace within labtest.DrawSite.
func drawTrace(t *rapid.T) string {
	ends := []string{"ia", "ib", "ic", "fw", "laptop", "server", "internet"}
	from := rapid.SampledFrom(ends).Draw(t, "from")
	to := rapid.SampledFrom(ends).Filter(func(s string) bool { return s != from }).Draw(t, "to")
	return from + " " + to + " " + rapid.SampledFrom([]string{"tcp/22", "tcp/80", "tcp/8080", "udp/53", "udp/9", "icmp", "47"}).Draw(t, "packet")
}

// Whatever is advised, over random networks, brings the packet further, until it arrives and
// is answered or there is nothing left but words.
func TestAdviceAlwaysHelps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		yaml := labtest.DrawSite(rt)
		rt.Log(yaml)
		l := newLab(t, yaml)
		defer l.Close()
		l.Failf = rt.Fatalf
		l.follow(drawTrace(rt))
	})
}
