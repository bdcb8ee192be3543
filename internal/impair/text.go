package impair

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Texts are conditions as people write them; "" is perfect.
type Texts struct {
	Delay, Jitter, Distribution, Loss, LossBurst, Duplicate, Reorder, Gap, Rate, Queue string
}

// Parse reads conditions and checks them. The error names the key.
func (t Texts) Parse() (c Conditions, err error) {
	c.Distribution = t.Distribution
	for _, key := range []struct {
		name, text string
		read       func(s string) error
	}{
		{"delay", t.Delay, into(&c.Delay, ParseDuration)}, {"jitter", t.Jitter, into(&c.Jitter, ParseDuration)},
		{"loss", t.Loss, into(&c.Loss, ParsePercent)}, {"loss_burst", t.LossBurst, into(&c.LossBurst, parseNumber)},
		{"duplicate", t.Duplicate, into(&c.Duplicate, ParsePercent)}, {"reorder", t.Reorder, into(&c.Reorder, ParsePercent)},
		{"gap", t.Gap, into(&c.Gap, strconv.Atoi)}, {"rate", t.Rate, into(&c.Rate, ParseRate)}, {"queue", t.Queue, into(&c.Queue, ParseQueue)},
	} {
		if key.text == "" {
			continue
		}
		if err := key.read(key.text); err != nil {
			return Conditions{}, fmt.Errorf("%s: %w", key.name, err)
		}
	}
	return c, c.Check()
}

func into[T any](v *T, parse func(string) (T, error)) func(string) error {
	return func(s string) (err error) {
		*v, err = parse(s)
		return err
	}
}

func parseNumber(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("a number is wanted, not %q", s)
	}
	return f, nil
}

// ParseDuration reads 20ms, 1.5s, 250us. A number without a unit is an error.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || !strings.ContainsAny(s, "smh") { // "0" is no duration here
		return 0, fmt.Errorf("a time such as 20ms is wanted, not %q", s)
	}
	return d, nil
}

// ParsePercent reads 1%, 0.5%, 100% as a share of 1.
func ParsePercent(s string) (float64, error) {
	n, ok := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(n), 64)
	if !ok || err != nil || !(f >= 0 && f <= 100) {
		return 0, fmt.Errorf("a share from 0%% to 100%% is wanted, such as 0.5%%, not %q", s)
	}
	return f / 100, nil
}

// percent writes a share as ParsePercent reads it.
func percent(f float64) string { return strconv.FormatFloat(f*100, 'g', 6, 64) + "%" }

var (
	rateForm  = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)(?:bit|bit/s|bps)$`)
	queueForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?(|packets?|bytes?|b|kb|mb|kib|mib)$`)
	powers    = map[string]float64{"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
	units     = map[string]float64{"byte": 1, "bytes": 1, "b": 1, "kb": 1e3, "mb": 1e6, "kib": 1 << 10, "mib": 1 << 20}
)

// ParseRate reads 10mbit, 10mbps, 1.5gbit/s, 64kbit as bits a second. All of them are
// bits, as data sheets have it (tc(8) takes mbps for megabytes).
func ParseRate(s string) (int64, error) {
	m := rateForm.FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return 0, fmt.Errorf("a rate such as 10mbit or 1gbit is wanted, not %q", s)
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if f *= powers[m[2]]; err != nil || f < MinRate || f > MaxRate {
		return 0, fmt.Errorf("a rate from 1kbit to 1tbit is wanted, not %q", s)
	}
	return int64(math.Round(f)), nil
}

// rateText writes a rate as ParseRate reads it.
func rateText(r int64) string {
	for _, p := range []string{"t", "g", "m", "k"} {
		if f := float64(r) / powers[p]; f >= 1 && float64(int64(f*1000)) == f*1000 {
			return strconv.FormatFloat(f, 'f', -1, 64) + p + "bit"
		}
	}
	return strconv.FormatInt(r, 10) + "bit"
}

// ParseQueue reads 100, 100 packets, 64kb, 64KiB.
func ParseQueue(s string) (Queue, error) {
	m := queueForm.FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return Queue{}, fmt.Errorf("a queue such as 100 packets or 64kb is wanted, not %q", s)
	}
	f, err := strconv.ParseFloat(m[1], 64)
	unit, bytes := units[m[2]]
	if !bytes {
		unit = 1
	}
	if f *= unit; err != nil || f < 1 || f > MaxQueue*1000 || f != math.Trunc(f) || !bytes && f > MaxQueue {
		return Queue{}, fmt.Errorf("a queue from 1 to %d packets, or up to a thousand times as many bytes, is wanted, not %q", MaxQueue, s)
	}
	if bytes {
		return Queue{Bytes: int(f)}, nil
	}
	return Queue{Packets: int(f)}, nil
}
