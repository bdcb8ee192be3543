package impair

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// within fails unless a share is that expected, by five standard deviations of n draws.
func within(t *testing.T, what string, got, n int, want float64) {
	t.Helper()
	if d := 5 * math.Sqrt(want*(1-want)*float64(n)); math.Abs(float64(got)-want*float64(n)) > d {
		t.Errorf("%s: %d of %d, want %g of them by %.0f", what, got, n, want, d)
	}
}

func TestDelayIsExact(t *testing.T) {
	l := NewLink(1, Conditions{Delay: 20 * time.Millisecond})
	for now := int64(5); now < 1000; now += 7 {
		if p := l.Enter(now, 44, 64000); p.Leaves != now+20*ms || p.Twice || p.Full {
			t.Fatalf("at %d: %+v", now, p)
		}
	}
	if c := l.Counts(); c.Delayed != 44*143 {
		t.Errorf("%+v", c)
	}
}

func TestPerfectLink(t *testing.T) {
	l := NewLink(1, Conditions{})
	if p := l.Enter(5, 1, 100); p.Leaves != 5 || l.Loses(1, 100) {
		t.Error(p)
	}
	if c := l.Counts(); c != (Counts{Packets: 1, Bytes: 100}) {
		t.Errorf("%+v", c)
	}
}

// Packets far enough from one another have each its own delay: its mean, its deviation and
// its bounds are the distribution's.
func TestJitterDistributions(t *testing.T) {
	const n = 100_000
	for _, r := range []struct {
		name            string
		deviation       float64 // in jitters
		least, most     float64
		meanBy, deviate float64
	}{
		{Uniform, 1 / math.Sqrt(3), -1, 1, .01, .01},
		{Normal, 1, -4, 4, .02, .02},
		{Pareto, .8, -.58, 4, .1, .1}, // the far end is cut off
	} {
		t.Run(r.name, func(t *testing.T) {
			c := Conditions{Delay: 100 * time.Millisecond, Jitter: 10 * time.Millisecond, Distribution: r.name}
			l := NewLink(7, c)
			var sum, squares float64
			for i := range int64(n) {
				x := float64(l.Enter(i*1000*ms, 1, 100).Leaves-i*1000*ms-100*ms) / float64(10*ms)
				if x < r.least-1e-6 || x > r.most+1e-6 {
					t.Fatalf("%g is not between %g and %g", x, r.least, r.most)
				}
				sum += x
				squares += x * x
			}
			mean := sum / n
			deviation := math.Sqrt(squares/n - mean*mean)
			if math.Abs(mean) > r.meanBy || math.Abs(deviation-r.deviation) > r.deviate {
				t.Errorf("mean %g, deviation %g", mean, deviation)
			}
		})
	}
}

func TestJitterKeepsOrder(t *testing.T) {
	l := NewLink(3, Conditions{Delay: 10 * time.Millisecond, Jitter: 10 * time.Millisecond, Distribution: Normal})
	last := int64(0)
	for now := int64(0); now < 1000*ms; now += ms / 10 {
		p := l.Enter(now, 1, 1000)
		if p.Leaves < last || p.Leaves < now {
			t.Fatalf("at %d leaves at %d, the one before at %d", now, p.Leaves, last)
		}
		last = p.Leaves
	}
}

func TestLossAndDuplicates(t *testing.T) {
	const n = 200_000
	l := NewLink(11, Conditions{Loss: .01, Duplicate: .03})
	lost, twice := 0, 0
	for range n {
		if l.Loses(1, 100) {
			lost++
		}
		if l.Enter(0, 1, 100).Twice {
			twice++
		}
	}
	within(t, "lost", lost, n, .01)
	within(t, "duplicated", twice, n, .03)
	if c := l.Counts(); c.Lost != uint64(lost) || c.Duplicated != uint64(twice) || c.Packets != n {
		t.Errorf("%+v", c)
	}
}

func TestCertainLoss(t *testing.T) {
	for _, burst := range []float64{0, 1, 7} {
		l := NewLink(1, Conditions{Loss: 1, LossBurst: burst})
		for range 1000 {
			if !l.Loses(1, 100) {
				t.Fatal("a packet came through")
			}
		}
	}
}

// The share of losses is as asked however long bursts are, and they are as long as asked.
func TestLossBursts(t *testing.T) {
	const n = 1_000_000
	for _, burst := range []float64{1, 2, 5, 20} {
		l := NewLink(5, Conditions{Loss: .02, LossBurst: burst})
		lost, bursts, before := 0, 0, false
		for range n {
			now := l.Loses(1, 100)
			if now {
				lost++
				if !before {
					bursts++
				}
			}
			before = now
		}
		// So many bursts, whose length deviates by about its mean: four deviations.
		by := 4 * math.Sqrt(2/float64(bursts))
		if got := float64(lost) / n; math.Abs(got-.02) > .02*by {
			t.Errorf("bursts of %g: %g lost", burst, got)
		}
		if got := float64(lost) / float64(bursts); math.Abs(got-burst) > burst*by {
			t.Errorf("bursts of %g: mean %g", burst, got)
		}
	}
}

func TestReorder(t *testing.T) {
	const n = 100_000
	for _, gap := range []int{0, 1, 5} {
		l := NewLink(9, Conditions{Delay: 10 * time.Millisecond, Reorder: .25, Gap: gap})
		first := 0
		since := 0
		for i := range int64(n) {
			switch p := l.Enter(i, 1, 100); p.Leaves {
			case i:
				if first++; since < gap-1 {
					t.Fatalf("gap %d: one overtook %d after another", gap, since)
				}
				since = 0
			case i + 10*ms:
				since++
			default:
				t.Fatalf("%+v", p)
			}
		}
		// Of each gap packets the last is drawn, and on until one is.
		want := 1 / (float64(max(gap, 1)-1) + 1/.25)
		within(t, "reordered", first, n, want)
	}
}

// rateOracle is a queue that is looked at a byte time at a time.
type rateOracle struct {
	rate    int64
	queue   Queue
	packets []sending // that have not been sent
	free    float64   // when the line is free
}

func (o *rateOracle) enter(now int64, bytes int) (leaves float64, ok bool) {
	o.packets = slices.DeleteFunc(o.packets, func(s sending) bool { return s.at <= now })
	waiting := 0
	for _, s := range o.packets {
		waiting += s.bytes
	}
	if o.queue.Bytes > 0 && waiting > 0 && waiting+bytes > o.queue.Bytes || o.queue.Packets > 0 && len(o.packets) >= o.queue.Packets {
		return 0, false
	}
	o.free = max(o.free, float64(now)) + float64(bytes)*8e9/float64(o.rate)
	o.packets = append(o.packets, sending{int64(math.Ceil(o.free)), bytes})
	return o.free, true
}

func TestRateAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		c := Conditions{Rate: 1_000_000 + rng.Int64N(1_000_000_000), Queue: Queue{Packets: 1 + rng.IntN(30)}}
		if rng.IntN(2) == 0 {
			c.Queue = Queue{Bytes: 1 + rng.IntN(30000)}
		}
		l, o := NewLink(1, c), &rateOracle{rate: c.Rate, queue: c.Queue}
		now, full := int64(0), 0
		for range 500 {
			now += rng.Int64N(2 * 1000 * 8e9 / c.Rate)
			bytes := 20 + rng.IntN(1480)
			p := l.Enter(now, 1, bytes)
			want, ok := o.enter(now, bytes)
			// Each packet's time is rounded up by less than 1 ns.
			if p.Full == ok || ok && (float64(p.Leaves) < want-1 || float64(p.Leaves) > want+600) {
				t.Fatalf("%v at %d: %+v, want %g %v", c, now, p, want, ok)
			}
			if p.Full {
				full++
			}
		}
		if got := l.Counts().Overflowed; got != uint64(full) {
			t.Fatalf("%d counted, %d overflowed", got, full)
		}
	}
}

// A queue's packets pass the rate's worth of bits in any second, and not one more.
func TestRateIsNotExceeded(t *testing.T) {
	l := NewLink(1, Conditions{Rate: 10_000_000})
	var sent []int64
	for i := range int64(2000) {
		if p := l.Enter(i*1000, 1, 1250); !p.Full { // 1 ms each
			sent = append(sent, p.Leaves)
		}
	}
	if len(sent) < DefaultQueue || len(sent) > DefaultQueue+3 {
		t.Errorf("%d packets found room", len(sent))
	}
	for i := 1; i < len(sent); i++ {
		if sent[i]-sent[i-1] < ms {
			t.Fatalf("%d ns between two packets", sent[i]-sent[i-1])
		}
	}
}

func TestAPacketLargerThanTheQueuePasses(t *testing.T) {
	l := NewLink(1, Conditions{Rate: 1_000_000, Queue: Queue{Bytes: 100}})
	if p := l.Enter(0, 1, 1000); p.Full {
		t.Error("the line was free")
	}
	if p := l.Enter(1, 1, 1000); !p.Full {
		t.Error("and then it was not")
	}
}

func TestSameSeedSameFate(t *testing.T) {
	c := Conditions{Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: .1, LossBurst: 3, Duplicate: .1, Reorder: .1}
	a, b, other := NewLink(4, c), NewLink(4, c), NewLink(5, c)
	differ := false
	for range 1000 {
		lost := a.Loses(1, 100)
		if b.Loses(1, 100) != lost {
			t.Fatal("losses differ")
		}
		differ = differ || other.Loses(1, 100) != lost
	}
	for i := range int64(1000) { // losses were drawn before: the rest does not depend on when
		p := a.Enter(i*ms, 1, 100)
		if q := b.Enter(i*ms, 1, 100); p != q {
			t.Fatalf("%+v %+v", p, q)
		}
		differ = differ || other.Enter(i*ms, 1, 100) != p
	}
	if !differ {
		t.Error("another seed makes no difference")
	}
}

func TestChangeForgetsWhatWaits(t *testing.T) {
	c := Conditions{Rate: 1000, Delay: time.Second}
	l := NewLink(1, c)
	for range 100 {
		l.Enter(0, 1, 1000)
	}
	if l.Change(c) || l.Version() != 0 {
		t.Error("nothing has changed")
	}
	if !l.Change(Conditions{Delay: time.Millisecond}) || l.Version() != 1 {
		t.Error("something has")
	}
	if p := l.Enter(5, 1, 1000); p.Leaves != 5+ms || p.Version != 1 {
		t.Errorf("%+v", p)
	}
	if c := l.Counts(); c.Delayed != 101 {
		t.Errorf("%+v", c)
	}
}
