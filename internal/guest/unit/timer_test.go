package unit

import (
	"strings"
	"testing"
	"time"
)

// The examples of systemd.time(7), "Calendar Events", and then some.
func TestCalendar(t *testing.T) {
	now := time.Date(2026, 11, 28, 22, 30, 15, 500, time.UTC) // a Saturday
	for text, want := range map[string]string{
		"minutely":               "2026-11-28 22:31:00",
		"hourly":                 "2026-11-28 23:00:00",
		"daily":                  "2026-11-29 00:00:00",
		"weekly":                 "2026-11-30 00:00:00",
		"monthly":                "2026-12-01 00:00:00",
		"quarterly":              "2027-01-01 00:00:00",
		"Yearly":                 "2027-01-01 00:00:00",
		"Sat,Thu,Mon..Wed":       "2026-11-30 00:00:00",
		"Mon,Sun 12-25 2,1:23":   "2028-12-25 01:23:00",
		"Fri..Mon":               "2026-11-29 00:00:00",
		"22:30":                  "2026-11-29 22:30:00",
		"22:30:16":               "2026-11-28 22:30:16",
		"*:0/15":                 "2026-11-28 22:45:00",
		"*:*:0/20":               "2026-11-28 22:30:20",
		"*-*-* 4,12..14:00 UTC":  "2026-11-29 04:00:00",
		"02-29":                  "2028-02-29 00:00:00",
		"2030-01-01 00:00":       "2030-01-01 00:00:00",
		"2001-01-01":             "",
		"02-30":                  "",
		"*-*-31 23:59:59":        "2026-12-31 23:59:59",
		"Mon..Fri *-*-* 9..17:0": "2026-11-30 09:00:00",
	} {
		c, err := readCalendar(text, time.UTC)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		at, ok := c.next(now)
		if got := at.Format("2006-01-02 15:04:05"); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "soon", "25:00", "*-13-01", "Blu", "1..", "*-*-*-*", "10:00:00:00", "*:0/0", "*-*~1", "5..2:00", "12-*-* 99"} {
		if c, err := readCalendar(text, time.UTC); err == nil {
			t.Errorf("%q is taken for %+v", text, c)
		}
	}
}

func FuzzCalendar(f *testing.F) {
	for _, s := range []string{"daily", "Mon..Fri 9:00", "*-*-1/5 0/4:*:30 UTC", "02-29"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 28, 22, 30, 15, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := readCalendar(text, time.UTC); err == nil {
			if at, ok := c.next(now); ok && !at.After(now) {
				t.Errorf("%q: %v is not after %v", text, at, now)
			}
		}
	})
}

func TestTimerNext(t *testing.T) {
	boot := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return boot.Add(d) }
	for _, tt := range []struct {
		name  string
		timer timer
		state State
		want  time.Time
	}{
		{"boot", timer{boot: []time.Duration{time.Minute}, since: at(time.Second)}, State{}, at(time.Minute)},
		{"boot, long past", timer{boot: []time.Duration{time.Minute}, since: at(time.Hour)}, State{}, at(time.Minute)},
		{"boot, done", timer{boot: []time.Duration{time.Minute}, since: at(0), last: at(time.Minute)}, State{}, time.Time{}},
		{"active", timer{active: []time.Duration{time.Minute}, since: at(time.Hour)}, State{}, at(time.Hour + time.Minute)},
		{"after the unit, which never ran", timer{after: []time.Duration{time.Minute}}, State{}, time.Time{}},
		{"after the unit, which runs", timer{after: []time.Duration{time.Minute}}, State{Active: "active", Since: at(time.Hour)}, at(time.Hour + time.Minute)},
		{"after the unit, which ran", timer{after: []time.Duration{time.Minute}, last: at(time.Hour)}, State{Active: "inactive", Since: at(2 * time.Hour)}, at(time.Hour + time.Minute)},
		{"after its end", timer{inactive: []time.Duration{time.Minute}}, State{Active: "inactive", Since: at(time.Hour)}, at(time.Hour + time.Minute)},
		{"after its end, but it runs", timer{inactive: []time.Duration{time.Minute}}, State{Active: "active", Since: at(time.Hour)}, time.Time{}},
	} {
		got, ok := tt.timer.next(boot, tt.state)
		if !got.Equal(tt.want) || ok != !tt.want.IsZero() {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, ok, tt.want)
		}
	}
}

func TestTimer(t *testing.T) {
	l := newLab(t)
	l.unit("job", "Type=oneshot", "ExecStart=/bin/sh -c 'echo run >> $ROOT/run/job'")
	l.file("/lib/systemd/system/job.timer", "[Timer]\nOnActiveSec=20ms\nOnUnitActiveSec=20ms\n[Install]\nWantedBy=timers.target\n")
	l.file("/lib/systemd/system/bad.timer", "[Timer]\nOnCalendar=whenever\n")
	l.file("/lib/systemd/system/never.timer", "[Timer]\nUnit=x.service\n")
	if _, errs, exit := l.systemctl("enable", "--now", "job.timer"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, errs)
	}
	l.want("job.timer", "active", "waiting")
	eventually(t, "three runs", func() bool { return l.exists("/run/job") && strings.Count(l.read("/run/job"), "run") >= 3 })
	if out, _, _ := l.systemctl("list-timers"); !strings.Contains(out, "job.timer job.service") || !strings.Contains(out, "1 timers listed.") {
		t.Errorf("timers:\n%s", out)
	}
	l.systemctl("stop", "job.timer")
	l.want("job.timer", "inactive", "dead")
	if err := l.StartEnabled(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.want("job.timer", "active", "waiting")
	for name, want := range map[string]string{"bad.timer": "setting OnCalendar: not a day of the week", "never.timer": "says when"} {
		if _, errs, exit := l.systemctl("start", name); exit == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %q", name, exit, errs)
		}
	}
}
