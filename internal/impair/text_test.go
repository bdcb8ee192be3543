package impair

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]int64{"10mbit": 1e7, "10mbps": 1e7, "10 Mbit": 1e7, "1.5gbit/s": 15e8, "64kbit": 64000, "1000bit": 1000, "1tbit": 1e12} {
		if got, err := ParseRate(s); err != nil || got != want {
			t.Errorf("%q: %d %v", s, got, err)
		}
	}
	for _, s := range []string{"", "10", "10m", "-1mbit", "1bit", "2tbit", "10mbyte", "1e3kbit", "10mbit "} {
		if got, err := ParseRate(s); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
	for s, want := range map[string]float64{"1%": .01, "0.5 %": .005, "100%": 1, "0%": 0} {
		if got, err := ParsePercent(s); err != nil || got != want {
			t.Errorf("%q: %g %v", s, got, err)
		}
	}
	for _, s := range []string{"", "%", "1", "0.01", "101%", "-1%", "NaN%", "Inf%"} {
		if got, err := ParsePercent(s); err == nil {
			t.Errorf("%q: %g", s, got)
		}
	}
	for s, want := range map[string]Queue{"100": {Packets: 100}, "100 packets": {Packets: 100}, "1 packet": {Packets: 1}, "64kb": {Bytes: 64000}, "1.5 kB": {Bytes: 1500}, "64KiB": {Bytes: 65536}} {
		if got, err := ParseQueue(s); err != nil || got != want {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"", "0", "-1", "1.5", "100001", "101mb", "1.0001kb5", "ten"} {
		if got, err := ParseQueue(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
	for _, s := range []string{"", "20", "0", "-1ms", "20 ms", "fast"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
	if d, err := ParseDuration("1.5ms"); err != nil || d != 1500*time.Microsecond {
		t.Error(d, err)
	}
}

func TestCheck(t *testing.T) {
	for want, c := range map[string]Conditions{
		"":               {Delay: 20 * time.Millisecond, Jitter: time.Millisecond, Distribution: Pareto, Loss: .5, LossBurst: 1, Duplicate: 1, Reorder: .1, Gap: 3, Rate: 1e9, Queue: Queue{Packets: 5}},
		"delay: ":        {Delay: -1},
		"jitter: ":       {Delay: 1, Jitter: 2},
		"distribution: ": {Delay: 2, Jitter: 1, Distribution: "weird"},
		"loss: ":         {Loss: 1.1},
		"duplicate: ":    {Duplicate: -.1},
		"reorder: ":      {Reorder: .1},
		"gap: ":          {Gap: 2},
		"loss_burst: ":   {Loss: .9, LossBurst: 2},
		"rate: ":         {Rate: 1},
		"queue: ":        {Queue: Queue{Packets: 1}},
	} {
		switch err := c.Check(); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%v: %v, want %q", c, err, want)
		}
	}
	if s := (Conditions{Delay: 20 * time.Millisecond, Jitter: 2 * time.Millisecond, Distribution: Normal, Loss: .005, Rate: 15e5, Queue: Queue{Bytes: 3000}}).String(); s != "delay 20ms, jitter 2ms normal, loss 0.5%, rate 1.5mbit, queue 3000 bytes" {
		t.Error(s)
	}
}

// What a text means can be written and read again.
func FuzzText(f *testing.F) {
	for _, s := range []string{"10mbit", "1.5gbit/s", "0.5%", "100 packets", "64kb", "20ms", "1000.4bit", "99.999999%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := ParseRate(s); err == nil {
			if again, err := ParseRate(rateText(r)); err != nil || again != r {
				t.Errorf("%q: %d, written %q, read %d %v", s, r, rateText(r), again, err)
			}
		}
		if q, err := ParseQueue(s); err == nil {
			if again, err := ParseQueue(q.String()); err != nil || again != q {
				t.Errorf("%q: %v, read %v %v", s, q, again, err)
			}
		}
		if share, err := ParsePercent(s); err == nil {
			if _, err := ParsePercent(percent(share)); err != nil {
				t.Errorf("%q: %v", percent(share), err)
			}
		}
		if d, err := ParseDuration(s); err == nil && d > 0 {
			if again, err := ParseDuration(d.String()); err != nil || again != d {
				t.Errorf("%q: %s %v", s, d, err)
			}
		}
	})
}
