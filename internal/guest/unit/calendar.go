package unit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// calendar is an event of systemd.time(7), as OnCalendar has it: the values that each part may have. An empty list
// admits all.
type calendar struct {
	weekdays             []int // 0 is Sunday
	years, months, days  []int
	hours, minutes, secs []int
	location             *time.Location
}

// calendarWords are the shorthands.
var calendarWords = map[string]string{
	"minutely": "*-*-* *:*:00", "hourly": "*-*-* *:00:00", "daily": "*-*-* 00:00:00", "weekly": "Mon *-*-* 00:00:00", "monthly": "*-*-01 00:00:00",
	"quarterly": "*-01,04,07,10-01 00:00:00", "semiannually": "*-01,07-01 00:00:00", "yearly": "*-01-01 00:00:00", "annually": "*-01-01 00:00:00",
}

// readCalendar reads an event: [WEEKDAYS] [[YEAR-]MONTH-DAY] [HOUR:MINUTE[:SECOND]] [UTC]. Fractions of seconds and
// days from the end of the month (~) are not known here.
func readCalendar(text string, local *time.Location) (c calendar, err error) {
	c.location = local
	if full, ok := calendarWords[strings.ToLower(text)]; ok {
		text = full
	}
	words := strings.Fields(text)
	if n := len(words); n > 1 && words[n-1] == "UTC" {
		c.location, words = time.UTC, words[:n-1]
	}
	if len(words) > 0 && strings.IndexByte("MTWFSmtwfs", words[0][0]) >= 0 {
		if c.weekdays, err = readWeekdays(strings.TrimSuffix(words[0], ",")); err != nil {
			return c, err
		}
		words = words[1:]
		c.hours, c.minutes, c.secs = []int{0}, []int{0}, []int{0}
	}
	if len(words) > 0 && strings.Contains(words[0], "-") {
		parts := strings.Split(words[0], "-")
		if len(parts) == 2 {
			parts = append([]string{"*"}, parts...)
		}
		if len(parts) != 3 {
			return c, fmt.Errorf("not a date: %q", words[0])
		}
		if err := readParts(parts, []*[]int{&c.years, &c.months, &c.days}, [][2]int{{1970, 2200}, {1, 12}, {1, 31}}); err != nil {
			return c, err
		}
		words = words[1:]
		c.hours, c.minutes, c.secs = []int{0}, []int{0}, []int{0}
	}
	if len(words) > 0 && strings.Contains(words[0], ":") {
		parts := strings.Split(words[0], ":")
		if len(parts) == 2 {
			parts = append(parts, "00")
		}
		if len(parts) != 3 {
			return c, fmt.Errorf("not a time: %q", words[0])
		}
		if err := readParts(parts, []*[]int{&c.hours, &c.minutes, &c.secs}, [][2]int{{0, 23}, {0, 59}, {0, 59}}); err != nil {
			return c, err
		}
		words = words[1:]
	}
	if len(words) > 0 || text == "" {
		return c, fmt.Errorf("not a calendar event: %q", text)
	}
	return c, nil
}

func readParts(parts []string, to []*[]int, bounds [][2]int) (err error) {
	for i, p := range parts {
		if *to[i], err = readValues(p, bounds[i][0], bounds[i][1]); err != nil {
			return err
		}
	}
	return nil
}

// readValues reads *, N, N..M, each also with /STEP, and lists of these.
func readValues(text string, low, high int) (out []int, err error) {
	if text == "*" {
		return nil, nil
	}
	for _, one := range strings.Split(text, ",") {
		span, stepText, stepped := strings.Cut(one, "/")
		step, first, last := 1, low, high
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return nil, fmt.Errorf("not a step: %q", one)
			}
		}
		if span != "*" {
			from, to, ranged := strings.Cut(span, "..")
			if first, err = strconv.Atoi(from); err != nil {
				return nil, fmt.Errorf("not a number: %q", one)
			}
			switch {
			case ranged:
				if last, err = strconv.Atoi(to); err != nil {
					return nil, fmt.Errorf("not a number: %q", one)
				}
			case !stepped:
				last = first
			}
		}
		if first < low || last > high || first > last {
			return nil, fmt.Errorf("%q is not within %d to %d", one, low, high)
		}
		for n := first; n <= last; n += step {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func readWeekdays(text string) (out []int, err error) {
	day := func(s string) (int, error) {
		for i := range 7 {
			name := strings.ToLower(time.Weekday(i).String())
			if s := strings.ToLower(s); s == name || s == name[:3] {
				return i, nil
			}
		}
		return 0, fmt.Errorf("not a day of the week: %q", s)
	}
	for _, one := range strings.Split(text, ",") {
		from, to, ranged := strings.Cut(one, "..")
		first, err := day(from)
		if err != nil {
			return nil, err
		}
		last := first
		if ranged {
			if last, err = day(to); err != nil {
				return nil, err
			}
		}
		for d := first; ; d = (d + 1) % 7 {
			out = append(out, d)
			if d == last {
				break
			}
		}
	}
	return out, nil
}

func admits(values []int, v int) bool { return len(values) == 0 || slices.Contains(values, v) }

// next is the first time after now; false if there is none within eight years, in which every date comes once.
func (c calendar) next(now time.Time) (time.Time, bool) {
	start := now.In(c.location).Truncate(time.Second).Add(time.Second)
	for day := range 8*366 + 1 {
		date := time.Date(start.Year(), start.Month(), start.Day()+day, 0, 0, 0, 0, c.location)
		if !admits(c.years, date.Year()) || !admits(c.months, int(date.Month())) || !admits(c.days, date.Day()) || !admits(c.weekdays, int(date.Weekday())) {
			continue
		}
		if t, ok := c.inDay(date, start); ok {
			return t, true
		}
	}
	return time.Time{}, false
}

// inDay is the first time of a day that is not before start.
func (c calendar) inDay(date, start time.Time) (time.Time, bool) {
	for h := range 24 {
		if !admits(c.hours, h) {
			continue
		}
		if time.Date(date.Year(), date.Month(), date.Day(), h, 59, 59, 0, c.location).Before(start) {
			continue
		}
		for m := range 60 {
			if !admits(c.minutes, m) {
				continue
			}
			for s := range 60 {
				if t := time.Date(date.Year(), date.Month(), date.Day(), h, m, s, 0, c.location); admits(c.secs, s) && !t.Before(start) {
					return t, true
				}
			}
		}
	}
	return time.Time{}, false
}
