package unit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Packages of Debian have their units enabled by `systemctl preset` (deb-systemd-helper).
func TestPreset(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"web", "debug-shell", "other"} {
		l.unit(name, "ExecStart=/bin/sleep 1000")
	}
	l.file("/lib/systemd/system-preset/90-systemd.preset", "# comment\nenable web.service\ndisable debug-*\n")
	l.file("/etc/systemd/system-preset/50-mine.preset", "disable other.service\n")
	l.systemctl("enable", "debug-shell")
	for _, args := range [][]string{{"--preset-mode=enable-only", "preset", "web"}, {"preset", "debug-shell", "other"}} {
		if _, errs, exit := l.systemctl(args...); exit != 0 {
			t.Errorf("%v: exit %d, %q", args, exit, errs)
		}
	}
	if diff := cmp.Diff([]string{"web.service"}, l.enabled()); diff != "" {
		t.Error(diff)
	}
	l.systemctl("enable", "debug-shell")
	l.systemctl("--preset-mode=enable-only", "preset", "debug-shell")
	if diff := cmp.Diff([]string{"debug-shell.service", "web.service"}, l.enabled()); diff != "" {
		t.Error(diff)
	}
}

func TestPowerAtATime(t *testing.T) {
	var got []string
	var at time.Time
	l := newLab(t, func(c *Config) {
		c.Power = func(action string) error { got = append(got, action); return nil }
		c.At = func(action string, when time.Time, message string) error {
			got, at = append(got, action+" later: "+message), when
			return nil
		}
	})
	if _, errs, exit := l.systemctl("poweroff", "--when=@1900000000", "--message=bye"); exit != 0 || errs != "Shutdown scheduled for Sun 2030-03-17 17:46:40 UTC, use 'shutdown -c' to cancel.\n" || at.Unix() != 1900000000 {
		t.Errorf("exit %d, %q, %v", exit, errs, at)
	}
	if _, _, exit := l.systemctl("reboot", "--when=cancel"); exit != 0 || !at.IsZero() {
		t.Errorf("exit %d, %v", exit, at)
	}
	if _, errs, exit := l.systemctl("reboot", "--when=someday"); exit == 0 || errs != "Failed to reboot: \"someday\" is no time\n" {
		t.Errorf("exit %d, %q", exit, errs)
	}
	l.systemctl("reboot")
	if diff := cmp.Diff([]string{"poweroff later: bye", "reboot later: ", "reboot"}, got); diff != "" {
		t.Error(diff)
	}
}
