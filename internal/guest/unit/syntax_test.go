package unit

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader("; comment\nstray line\nKey=outside\n[Unit]\n# comment\nDescription = A  b \n[Service]\nExecStart=/bin/sh -c \"one \\\n# in between\n  two\"\r\nEnvironment=A=1 B=\nEnvironment=\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []entry{{"Unit", "Description", "A  b"}, {"Service", "ExecStart", `/bin/sh -c "one    two"`}, {"Service", "Environment", "A=1 B="}, {"Service", "Environment", ""}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); d != "" {
		t.Error(d)
	}
}

func TestSettings_EmptyValueForgets(t *testing.T) {
	s := settings{{"S", "K", "a"}, {"S", "K", ""}, {"S", "K", "b"}, {"S", "K", "c"}, {"X", "K", "d"}}
	if got := s.list("S", "K"); !slices.Equal(got, []string{"b", "c"}) || s.last("S", "K", "") != "c" || s.last("S", "none", "def") != "def" {
		t.Errorf("list %v", got)
	}
}

func TestSplitWords(t *testing.T) {
	for _, tc := range []struct {
		line string
		want []string
	}{
		{``, nil},
		{`  a  b	c `, []string{"a", "b", "c"}},
		{`"a b" 'c d'`, []string{"a b", "c d"}},
		{`--opt="a b"c ''`, []string{"--opt=a bc", ""}},
		{`"it's" 'say "hi"'`, []string{"it's", `say "hi"`}},
		{`a\x20b "\t" \s \u00e4 \101`, []string{"a b", "\t", " ", "ä", "A"}},
		{`\q \`, []string{`\q`, `\`}},
	} {
		if got, err := splitWords(tc.line); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, %v; want %q", tc.line, got, err, tc.want)
		}
	}
	if _, err := splitWords(`a "b`); err == nil {
		t.Error("an open quote was accepted")
	}
}

// TestExpandArgs is the table of systemd.service(5), "Command lines".
func TestExpandArgs(t *testing.T) {
	env := map[string]string{"ONE": "one", "TWO": "two two", "Q": `a "b c"`, "NONE": ""}
	in := []string{"$ONE", "$TWO", "${TWO}", "x${ONE}y", "x$ONE", "$$ONE", "$NONE", "${NONE}", "$UNSET", "${UNSET}", "$Q", "100%", "$", "a$", "${", "$1"}
	want := []string{"one", "two", "two", "two two", "xoney", "x$ONE", "$ONE", "", "", "a", "b c", "100%", "$", "a$", "${", "$1"}
	if got := expandArgs(in, func(k string) string { return env[k] }); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestCommand_MariaDB is Debian's own line: the shell's variables must reach the shell, since they are not
// whole words.
func TestCommand_MariaDB(t *testing.T) {
	s, err := parse(strings.NewReader("[Service]\nExecStart=/bin/sh -c \"set -f; [ ! -e /usr/bin/galera_recovery ] && VAR= || \\\n VAR=`/usr/bin/galera_recovery`; [ $? -eq 0 ] || exit 1; \\\n exec /usr/sbin/mariadbd $MYSQLD_OPTS $_WSREP_NEW_CLUSTER $VAR\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	cs, err := readCommand(s[0].value, nil)
	if err != nil || len(cs) != 1 {
		t.Fatalf("%v, %v", cs, err)
	}
	args := expandArgs(cs[0].args[1:], func(string) string { return "WRONG" })
	if len(args) != 2 || !strings.HasSuffix(args[1], "exec /usr/sbin/mariadbd $MYSQLD_OPTS $_WSREP_NEW_CLUSTER $VAR") || !strings.Contains(args[1], "[ $? -eq 0 ]") {
		t.Errorf("arguments %q", args)
	}
}

func TestCommand_Prefixes(t *testing.T) {
	cs, err := readCommand(`-!/bin/a x ; @:/bin/b name %i \; y`, map[byte]string{'i': "inst"})
	if err != nil || len(cs) != 2 {
		t.Fatalf("%+v, %v", cs, err)
	}
	if a := cs[0]; !a.ignore || !a.privileged || a.noExpansion || !slices.Equal(a.args, []string{"/bin/a", "x"}) {
		t.Errorf("%+v", a)
	}
	if b := cs[1]; b.argv0 != "name" || !b.noExpansion || !slices.Equal(b.args, []string{"/bin/b", "inst", ";", "y"}) {
		t.Errorf("%+v", b)
	}
	for _, bad := range []string{"", "-", "@/bin/a", `"open`} {
		if _, err := readCommand(bad, nil); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestSpansAndSizes(t *testing.T) {
	for v, want := range map[string]time.Duration{"5": 5 * time.Second, "1.5": 1500 * time.Millisecond, "5min 20s": 320 * time.Second, "100ms": 100 * time.Millisecond,
		"2h": 2 * time.Hour, "infinity": infinity, "1d12h": 36 * time.Hour, "99999999w": infinity} {
		if got, err := readSpan(v); err != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", v, got, err, want)
		}
	}
	for v, want := range map[string]uint64{"32768": 32768, "64K": 65536, "1G": 1 << 30, "infinity": ^uint64(0)} {
		if got, err := readSize(v); err != nil || got != want {
			t.Errorf("%s = %d, %v; want %d", v, got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "5x", "-1"} {
		if _, err := readSpan(bad); err == nil {
			t.Errorf("span %q was accepted", bad)
		}
		if _, err := readSize(bad); err == nil {
			t.Errorf("size %q was accepted", bad)
		}
	}
}

func TestAssignments(t *testing.T) {
	got := assignments("# c\n; c\nA=1\n B = \"two words\" \nC='x $y'\nD=a\\\nb\nE=un quoted\nnonsense\nF=\"q\\\"q\"\n")
	want := []string{"A=1", "B=two words", "C=x $y", "D=ab", "E=un quoted", `F=q"q`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNames(t *testing.T) {
	for _, tc := range []struct{ in, full, prefix, instance, template string }{
		{"ssh", "ssh.service", "ssh", "", ""},
		{"getty@tty1", "getty@tty1.service", "getty", "tty1", "getty@.service"},
		{"a.b", "a.b.service", "a.b", "", ""},
		{"multi-user.target", "multi-user.target", "multi-user", "", ""},
	} {
		full := fullName(tc.in)
		p, i, tmpl := split(full)
		if full != tc.full || p != tc.prefix || i != tc.instance || tmpl != tc.template {
			t.Errorf("%s: %s %s %s %s", tc.in, full, p, i, tmpl)
		}
	}
	if got := unescapeName(`dev-sd\x2da`); got != "dev/sd-a" {
		t.Errorf("unescaped %q", got)
	}
}

// FuzzUnitFile: no unit file makes the manager fall over.
func FuzzUnitFile(f *testing.F) {
	f.Add("[Service]\nType=notify\nExecStart=-/bin/sh -c \"a \\\n b\" $X ${Y}\nLimitNOFILE=1K:infinity\nTimeoutSec=5min 3s\n")
	f.Add("[Unit]\nRequires=a b\nConditionPathExists=|!/x\n[Service]\nExecStart=@/a b ; c %i%%%\nKillSignal=SIGINT\nSuccessExitStatus=5 TERM DATAERR\n")
	f.Add("[Install]\nAlias=../../x.service\nWantedBy=multi-user.target\n[Service]\nRuntimeDirectory=../etc a/b:c\nUMask=99\nExecStart=\"\\x00\\u12\\777\"")
	c := &Config{}
	c.setDefaults()
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse(strings.NewReader(text))
		if err != nil {
			return
		}
		d, err := c.define(&found{name: "x@i.service", instance: "i", settings: s})
		if err != nil {
			return
		}
		for _, dir := range d.directories {
			for _, n := range dir.names {
				if strings.HasPrefix(n, "/") || strings.HasPrefix(n, "..") {
					t.Fatalf("%s leads to %q", dir.env, n)
				}
			}
		}
		for _, l := range d.links() {
			if !strings.HasPrefix(l, adminDir+"/") || strings.Contains(l, "/../") {
				t.Fatalf("link %q", l)
			}
		}
		for _, x := range d.start {
			expandArgs(x.args, func(string) string { return text })
		}
		assignments(text)
		readNotification(text)
	})
}
