// Package impair is what a link does to packets besides carrying them: it delays, loses,
// doubles and reorders them, and takes no more than so many a second. The model is that
// of Linux's tc-netem(8), with the differences that Link names.
package impair

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Distributions of Conditions.Jitter, as tc-netem(8) has them.
const (
	Uniform = "uniform" // between -jitter and +jitter
	Normal  = "normal"  // jitter is the standard deviation
	Pareto  = "pareto"  // most are a little early, a few are late by up to four times the jitter
)

// DefaultQueue is how many packets may wait for the rate of a link that says nothing
// about its queue, as with tc-netem(8).
const DefaultQueue = 1000

// Bounds of Conditions.
const (
	MaxDelay = 10 * time.Minute
	MinRate  = 1000              // bit/s
	MaxRate  = 1_000_000_000_000 // bit/s
	MaxQueue = 100_000           // packets; of bytes a thousand times as many
)

// Conditions of a link in one direction. The zero value is a perfect link. Two are the same
// if they are equal.
type Conditions struct {
	// Delay that every packet has, and Jitter by which it varies, at random with the
	// Distribution; "" is uniform. Jitter is at most Delay.
	Delay        time.Duration `json:",omitempty"`
	Jitter       time.Duration `json:",omitempty"`
	Distribution string        `json:",omitempty"`
	// Loss is the share of packets that are lost, from 0 to 1. LossBurst is how many of
	// them are lost in a row on average (the Gilbert model); 0: each by itself.
	Loss      float64 `json:",omitempty"`
	LossBurst float64 `json:",omitempty"`
	// Duplicate is the share of packets that arrive twice.
	Duplicate float64 `json:",omitempty"`
	// Reorder is the share of packets that overtake: they have neither delay nor queue. Only
	// each Gap-th packet may; 0 is as 1.
	Reorder float64 `json:",omitempty"`
	Gap     int     `json:",omitempty"`
	// Rate is in bits a second of IP packets, headers included; 0: no limit.
	Rate int64 `json:",omitempty"`
	// Queue is how much may wait for the rate; what comes on top is lost.
	Queue Queue `json:",omitzero"`
}

// Queue is the length of a queue in packets or in bytes; the zero value is DefaultQueue.
type Queue struct {
	Packets int `json:",omitempty"`
	Bytes   int `json:",omitempty"`
}

// IsZero tells whether the link is perfect.
func (c Conditions) IsZero() bool { return c == Conditions{} }

// PerPacket tells whether the link looks at each packet on the wire by itself, and not only
// delays what it gets.
func (c Conditions) PerPacket() bool {
	return c.Loss > 0 || c.Duplicate > 0 || c.Reorder > 0 || c.Rate > 0
}

// LosesAll tells whether nothing ever comes through.
func (c Conditions) LosesAll() bool { return c.Loss >= 1 }

// Check tells what is wrong with the conditions; the error says it in the words of the keys.
func (c Conditions) Check() error {
	share := func(f float64) bool { return f >= 0 && f <= 1 } // false for NaN
	switch {
	case c.Delay < 0 || c.Delay > MaxDelay:
		return fmt.Errorf("delay: %s is not between 0s and %s", c.Delay, MaxDelay)
	case c.Jitter < 0 || c.Jitter > c.Delay:
		return fmt.Errorf("jitter: %s is not between 0s and the delay, %s", c.Jitter, c.Delay)
	case c.Distribution != "" && c.Distribution != Uniform && c.Distribution != Normal && c.Distribution != Pareto:
		return fmt.Errorf("distribution: %q is none of uniform, normal and pareto", c.Distribution)
	case c.Distribution != "" && c.Jitter == 0:
		return errors.New("distribution: there is no jitter to distribute")
	case !share(c.Loss):
		return errors.New("loss: it is between 0% and 100%")
	case !share(c.Duplicate):
		return errors.New("duplicate: it is between 0% and 100%")
	case !share(c.Reorder):
		return errors.New("reorder: it is between 0% and 100%")
	case c.Reorder > 0 && c.Delay == 0:
		return errors.New("reorder: a packet overtakes others only where there is a delay")
	case c.Gap < 0 || c.Gap > 0 && c.Reorder == 0:
		return errors.New("gap: it says which packets reorder is for, from 1, and there is no reorder")
	}
	return errors.Join(c.checkBurst(), c.checkRate())
}

// checkBurst: the chain needs some packets between two bursts.
func (c Conditions) checkBurst() error {
	b := c.LossBurst
	switch {
	case b == 0:
		return nil
	case !(b >= 1 && b <= 1e6) || c.Loss == 0:
		return errors.New("loss_burst: it is the mean number of packets lost in a row, from 1, and needs loss")
	case c.Loss < 1 && c.Loss > b/(b+1):
		return fmt.Errorf("loss_burst: with bursts of %g at most %s can be lost, as a packet arrives between any two bursts", b, percent(b/(b+1)))
	}
	return nil
}

func (c Conditions) checkRate() error {
	switch q := c.Queue; {
	case c.Rate != 0 && (c.Rate < MinRate || c.Rate > MaxRate):
		return fmt.Errorf("rate: %s is not between %s and %s", rateText(c.Rate), rateText(MinRate), rateText(MaxRate))
	case q != (Queue{}) && c.Rate == 0:
		return errors.New("queue: nothing waits where there is no rate")
	case q.Packets < 0 || q.Packets > MaxQueue || q.Bytes < 0 || q.Bytes > 1000*MaxQueue || q.Packets > 0 && q.Bytes > 0:
		return fmt.Errorf("queue: it is between 1 and %d packets or between 1 and %d bytes", MaxQueue, 1000*MaxQueue)
	}
	return nil
}

// String tells the conditions as a person would write them: "delay 20ms, jitter 2ms, loss 1%".
func (c Conditions) String() string {
	var parts []string
	add := func(is bool, format string, a ...any) {
		if is {
			parts = append(parts, fmt.Sprintf(format, a...))
		}
	}
	add(c.Delay > 0, "delay %s", c.Delay)
	add(c.Jitter > 0, "jitter %s", strings.TrimSpace(c.Jitter.String()+" "+c.Distribution))
	add(c.Loss > 0, "loss %s", percent(c.Loss))
	add(c.LossBurst > 0, "loss burst %g", c.LossBurst)
	add(c.Duplicate > 0, "duplicate %s", percent(c.Duplicate))
	add(c.Reorder > 0, "reorder %s", percent(c.Reorder))
	add(c.Gap > 0, "gap %d", c.Gap)
	add(c.Rate > 0, "rate %s", rateText(c.Rate))
	add(c.Queue != Queue{}, "queue %s", c.Queue)
	if len(parts) == 0 {
		return "perfect"
	}
	return strings.Join(parts, ", ")
}

func (q Queue) String() string {
	if q.Bytes > 0 {
		return fmt.Sprintf("%d bytes", q.Bytes)
	}
	if q.Packets == 0 {
		q.Packets = DefaultQueue
	}
	return fmt.Sprintf("%d packets", q.Packets)
}
