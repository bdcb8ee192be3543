package unit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// power asks PID 1 to end the instance, now or with --when at a time.
func power(action string) func(*call, []string) {
	return func(c *call, _ []string) {
		if err := c.power(action); err != nil {
			fmt.Fprintf(&c.err, "Failed to %s: %v\n", action, err)
			c.exit = 1
		}
	}
}

func (c *call) power(action string) error {
	switch {
	case c.o.when == "" && c.m.c.Power != nil:
		return c.m.c.Power(action)
	case c.o.when == "" || c.m.c.At == nil:
		return errors.New("this instance cannot")
	case c.o.when == "cancel":
		return c.m.c.At(action, time.Time{}, "")
	}
	at, err := ParseWhen(c.o.when, time.Now())
	if err != nil {
		return err
	}
	if err := c.m.c.At(action, at, c.o.message); err != nil {
		return err
	}
	fmt.Fprintf(&c.err, "%s, use 'shutdown -c' to cancel.\n", ScheduleText(action, at))
	return nil
}

// ScheduleText says what is to happen, as systemd does.
func ScheduleText(action string, at time.Time) string {
	what := "Shutdown"
	if action == "reboot" {
		what = "Reboot"
	}
	return what + " scheduled for " + at.UTC().Format("Mon 2006-01-02 15:04:05 MST")
}

// ParseWhen reads a time as shutdown(8) and systemctl's --when take it: now, +MINUTES, a span such as +2h, HH:MM
// (today or tomorrow), or @SECONDS since 1970.
func ParseWhen(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	if digits, ok := strings.CutPrefix(text, "@"); ok {
		if n, err := strconv.ParseInt(digits, 10, 40); err == nil && n >= 0 {
			return time.Unix(n, 0), nil
		}
	}
	if span, ok := strings.CutPrefix(text, "+"); ok {
		if n, err := strconv.ParseUint(span, 10, 20); err == nil {
			return now.Add(time.Duration(n) * time.Minute), nil
		}
		if d, err := readSpan(span); err == nil && d < infinity {
			return now.Add(d), nil
		}
	}
	if clock, err := time.Parse("15:04", text); err == nil {
		at := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
		if !at.After(now) {
			at = at.AddDate(0, 0, 1)
		}
		return at, nil
	}
	return time.Time{}, fmt.Errorf("%q is no time", text)
}
