package unit

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// infinity is a timeout that never ends.
const infinity = time.Duration(1<<63 - 1)

// readTimes reads timeouts and limits. A oneshot service may take as long as it likes to start
// (systemd.service(5), TimeoutStartSec).
func (d *definition) readTimes(c *Config) error {
	d.startTimeout, d.stopTimeout = c.StartTimeout, c.StopTimeout
	if d.kind == "oneshot" {
		d.startTimeout = infinity
	}
	d.restartDelay, d.startLimitInterval = 100*time.Millisecond, 10*time.Second
	for _, x := range []struct {
		section, key string
		to           []*time.Duration
	}{
		{"Service", "TimeoutSec", []*time.Duration{&d.startTimeout, &d.stopTimeout}},
		{"Service", "TimeoutStartSec", []*time.Duration{&d.startTimeout}},
		{"Service", "TimeoutStopSec", []*time.Duration{&d.stopTimeout}},
		{"Service", "RestartSec", []*time.Duration{&d.restartDelay}},
		{"Service", "StartLimitInterval", []*time.Duration{&d.startLimitInterval}},
		{"Unit", "StartLimitInterval", []*time.Duration{&d.startLimitInterval}},
		{"Unit", "StartLimitIntervalSec", []*time.Duration{&d.startLimitInterval}},
	} {
		v := d.settings.last(x.section, x.key, "")
		if v == "" {
			continue
		}
		span, err := readSpan(v)
		if err != nil {
			return fmt.Errorf("setting %s: %w", x.key, err)
		}
		if span == 0 && strings.HasPrefix(x.key, "Timeout") {
			span = infinity
		}
		for _, to := range x.to {
			*to = span
		}
	}
	d.startLimit = 5
	for _, section := range []string{"Service", "Unit"} {
		if v := d.settings.last(section, "StartLimitBurst", ""); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				return fmt.Errorf("setting StartLimitBurst: %q", v)
			}
			d.startLimit = n
		}
	}
	return nil
}

var spanUnits = map[string]time.Duration{
	"us": time.Microsecond, "usec": time.Microsecond, "µs": time.Microsecond, "ms": time.Millisecond, "msec": time.Millisecond,
	"": time.Second, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour, "weeks": 7 * 24 * time.Hour,
}

// readSpan reads a time span of systemd.time(7), such as 5min 20s or 1.5; a bare number is seconds.
func readSpan(v string) (time.Duration, error) {
	if v == "infinity" {
		return infinity, nil
	}
	var total time.Duration
	rest := strings.TrimSpace(v)
	if rest == "" {
		return 0, fmt.Errorf("no time span")
	}
	for rest != "" {
		n := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		number, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, fmt.Errorf("not a time span: %q", v)
		}
		rest = strings.TrimLeft(rest[n:], " ")
		n = len(rest) - len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyzµ"))
		scale, ok := spanUnits[rest[:n]]
		if !ok {
			return 0, fmt.Errorf("not a time span: %q", v)
		}
		if f := number * float64(scale); f < float64(infinity-total) {
			total += time.Duration(f)
		} else {
			total = infinity
		}
		rest = strings.TrimLeft(rest[n:], " ")
	}
	return total, nil
}

func (d *definition) readKill() error {
	d.killMode = d.value("KillMode", "control-group")
	switch d.killMode {
	case "control-group", "mixed", "process", "none":
	default:
		return fmt.Errorf("setting KillMode: unknown mode %q", d.killMode)
	}
	d.killSignal = syscall.SIGTERM
	if v := d.value("KillSignal", ""); v != "" {
		sig, err := readSignal(v)
		if err != nil {
			return fmt.Errorf("setting KillSignal: %w", err)
		}
		d.killSignal = sig
	}
	d.sendKill = truth(d.value("SendSIGKILL", ""), true)
	d.sendHup = truth(d.value("SendSIGHUP", ""), false)
	return nil
}
