package unit

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestFind_PrecedenceAliasTemplate(t *testing.T) {
	l := newLab(t)
	l.unit("ssh", "ExecStart=/bin/true")
	l.link("/lib/systemd/system/ssh.service", "/etc/systemd/system/sshd.service")
	l.unit("mariadb", "ExecStart=/bin/true")
	l.link("mariadb.service", "/lib/systemd/system/mysql.service")
	l.unit("web@", "ExecStart=/bin/echo %i %I %p %n %N")
	l.link("/lib/systemd/system/web@.service", "/etc/systemd/system/www@.service")
	l.unit("both", "ExecStart=/bin/false")
	l.file("/etc/systemd/system/both.service", "[Service]\nExecStart=/bin/true\n")
	l.link("/nowhere/gone.service", "/etc/systemd/system/gone.service")
	for _, tc := range []struct{ ask, name, path string }{
		{"ssh", "ssh.service", "/lib/systemd/system/ssh.service"},
		{"sshd", "ssh.service", "/lib/systemd/system/ssh.service"},
		{"mysql.service", "mariadb.service", "/lib/systemd/system/mariadb.service"},
		{"web@a-b", "web@a-b.service", "/lib/systemd/system/web@.service"},
		{"www@x", "web@x.service", "/lib/systemd/system/web@.service"},
		{"both", "both.service", "/etc/systemd/system/both.service"},
	} {
		f, err := l.c.find(tc.ask)
		if err != nil || f.name != tc.name || f.path != tc.path {
			t.Errorf("%s: %+v, %v; want %s at %s", tc.ask, f, err, tc.name, tc.path)
		}
	}
	d, err := l.c.load("web@a-b")
	if err != nil || !slices.Equal(d.start[0].args, []string{"/bin/echo", "a-b", "a/b", "web", "web@a-b.service", "web@a-b"}) {
		t.Errorf("specifiers: %+v, %v", d.start, err)
	}
	for _, missing := range []string{"none", "gone", "../../etc/passwd", ""} {
		if _, err := l.c.find(missing); err == nil {
			t.Errorf("%q was found", missing)
		}
	}
	if _, err := l.c.find("none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestFind_DropIns(t *testing.T) {
	l := newLab(t)
	l.unit("a", "ExecStart=/bin/false", "Environment=A=1")
	l.file("/lib/systemd/system/a.service.d/10-x.conf", "[Service]\nEnvironment=A=lib\n")
	l.file("/etc/systemd/system/a.service.d/10-x.conf", "[Service]\nEnvironment=A=etc\n")
	l.file("/etc/systemd/system/a.service.d/20-y.conf", "[Service]\nExecStart=\nExecStart=/bin/true\n")
	l.file("/etc/systemd/system/service.d/all.conf", "[Service]\nUMask=077\n")
	d, err := l.c.load("a")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.env, []string{"A=1", "A=etc"}) || len(d.start) != 1 || d.start[0].args[0] != "/bin/true" || d.umask != 0o77 {
		t.Errorf("%v %+v %o", d.env, d.start, d.umask)
	}
	if !slices.Equal(d.dropIns, []string{"/etc/systemd/system/a.service.d/10-x.conf", "/etc/systemd/system/a.service.d/20-y.conf", "/etc/systemd/system/service.d/all.conf"}) {
		t.Errorf("drop-ins %v", d.dropIns)
	}
}

func TestDefine_BadSettings(t *testing.T) {
	l := newLab(t)
	for setting, names := range map[string]string{
		"Type=magic": "Type", "KillMode=all": "KillMode", "UMask=rwx": "UMask", "LimitNOFILE=many": "LimitNOFILE", "TimeoutStartSec=soon": "TimeoutStartSec",
		"KillSignal=SIGX": "KillSignal", "RuntimeDirectory=../x": "RUNTIME_DIRECTORY", "SuccessExitStatus=NOPE": "SuccessExitStatus", "ExecStartPost=": "", "ExecStart=/bin/x": "ExecStart",
	} {
		l.unit("bad", "ExecStart=/bin/true", setting)
		_, err := l.c.load("bad")
		if names == "" {
			if err != nil {
				t.Errorf("%s: %v", setting, err)
			}
		} else if err == nil || !strings.HasPrefix(err.Error(), "unit bad.service: ") || !strings.Contains(strings.ToUpper(err.Error()), strings.ToUpper(strings.TrimSuffix(names, "Sec"))[:4]) {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

// sshd tests its configuration itself; any other command before the start is run.
func TestNeeded(t *testing.T) {
	l := newLab(t)
	for want, lines := range map[string][]string{
		"":                          {"ExecStartPre=/usr/sbin/sshd -t", "ExecStart=/usr/sbin/sshd -D $SSHD_OPTS"},
		"/bin/a|/bin/b":             {"ExecStartPre=/bin/a", "ExecStartPre=/usr/sbin/sshd -t", "ExecStartPre=-/bin/b", "ExecStart=/usr/sbin/sshd -D"},
		"/usr/sbin/sshd -t":         {"ExecStartPre=/usr/sbin/sshd -t", "ExecStart=/usr/local/sbin/sshd -D"},
		"/usr/sbin/sshd -T":         {"ExecStartPre=/usr/sbin/sshd -T", "ExecStart=/usr/sbin/sshd -D"},
		"/usr/sbin/sshd -t -f /etc": {"ExecStartPre=/usr/sbin/sshd -t -f /etc", "ExecStart=/usr/sbin/sshd -D"},
		"/usr/sbin/nginx -t":        {"ExecStartPre=/usr/sbin/nginx -t", "ExecStart=/usr/sbin/nginx"},
	} {
		l.unit("ssh", lines...)
		d, err := l.c.load("ssh")
		if err != nil {
			t.Fatal(err)
		}
		before := len(d.pre)
		var got []string
		for _, c := range d.needed() {
			got = append(got, strings.Join(c.args, " "))
		}
		if strings.Join(got, "|") != want || len(d.pre) != before {
			t.Errorf("%q: needed %q of %d, want %q", lines, got, before, want)
		}
	}
}
