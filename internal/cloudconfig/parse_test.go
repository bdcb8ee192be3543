package cloudconfig_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/cloudconfig"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// parse fails the test on problems.
func parse(t *testing.T, text string) *wire.Plan {
	t.Helper()
	plan, problems := cloudconfig.Parse([]byte(text))
	if len(problems) > 0 || len(plan.Failures) > 0 {
		t.Fatalf("problems %v, failures %v", problems, plan.Failures)
	}
	return plan
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

// told is the steps of a plan, a line each.
func told(p *wire.Plan) string {
	var b strings.Builder
	for _, stage := range []struct {
		name  string
		steps []wire.Step
	}{{"every boot", p.EveryBoot}, {"init", p.Init}, {"final", p.Final}, {"last", p.LastBoot}} {
		for _, s := range stage.steps {
			fmt.Fprintf(&b, "%s: %s: %s\n", stage.name, s.Module, s.Name)
		}
	}
	return b.String()
}

func TestFormats(t *testing.T) {
	const script = "#!/bin/sh\necho hi\n"
	mime := "Content-Type: multipart/mixed; boundary=\"==B==\"\nMIME-Version: 1.0\n\n" +
		"--==B==\nContent-Type: text/cloud-config; charset=\"us-ascii\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nContent-Disposition: attachment; filename=\"cloud.txt\"\n\n#cloud-config\nruncmd: [date]\n\n" +
		"--==B==\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"run.sh\"\n\n" + base64.StdEncoding.EncodeToString([]byte(script)) + "\n\n" +
		"--==B==\nContent-Type: text/plain\n\n#cloud-boothook\n#!/bin/sh\ntrue\n" +
		"--==B==\nContent-Type: text/x-shellscript-per-boot\n\n#!/bin/sh\ntrue\n" +
		"--==B==--\n"
	for _, tt := range []struct{ name, data, kind, want string }{
		{"nothing", "", "", ""},
		{"script", script, "script", "final: scripts_user: part-001\n"},
		{"script with Windows line ends", "#!/bin/sh\r\necho hi\r\n", "script", "final: scripts_user: part-001\n"},
		{"compressed script", gzipped(script), "script", "final: scripts_user: part-001\n"},
		{"cloud-config", "#cloud-config\nruncmd: [date]\n", "cloud-config", "final: runcmd: runcmd\n"},
		{"boothook", "#cloud-boothook\n#!/bin/sh\ntrue\n", "boothook", "every boot: boothook: part-001\n"},
		{"boothook in its first line", "#cloud-boothook #!/bin/sh\ntrue\n", "boothook", "every boot: boothook: part-001\n"},
		{"MIME", mime, "archive", "every boot: boothook: part-003\nfinal: scripts_user: run.sh\nfinal: runcmd: runcmd\nlast: scripts_per_boot: part-004\n"},
		{"compressed MIME", gzipped(mime), "archive", "every boot: boothook: part-003\nfinal: scripts_user: run.sh\nfinal: runcmd: runcmd\nlast: scripts_per_boot: part-004\n"},
		{"one part with MIME headers", "MIME-Version: 1.0\nContent-Type: text/cloud-config\n\nruncmd: [date]\n", "cloud-config", "final: runcmd: runcmd\n"},
		{"archive of YAML", "#cloud-config-archive\n- type: text/cloud-config\n  content: |\n    runcmd: [date]\n- filename: a.sh\n  content: \"#!/bin/sh\\n\"\n- |\n  bootcmd: [true0]\n",
			"archive", "every boot: bootcmd: bootcmd\nfinal: scripts_user: a.sh\n" + "final: runcmd: runcmd\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, tt.data)
			if diff := cmp.Diff(tt.want, told(p)); diff != "" || p.Kind != tt.kind {
				t.Errorf("kind %q, want %q; -want +got:\n%s", p.Kind, tt.kind, diff)
			}
			for _, s := range p.Final {
				if s.Module == "scripts_user" && strings.Contains(string(s.Script.Body), "\r") {
					t.Errorf("the script has line ends of Windows: %q", s.Script.Body)
				}
			}
		})
	}
}

// A script that writes a mail is no archive.
func TestScriptWithMIMEHeaderInIt(t *testing.T) {
	plan, problems := cloudconfig.Parse([]byte("#!/bin/sh\ncat >/tmp/mail <<E\nMIME-Version: 1.0\nE\n"))
	if len(problems) > 0 || plan.Kind != "script" || len(plan.Final) != 1 {
		t.Errorf("%q: %d steps, %v", plan.Kind, len(plan.Final), problems)
	}
}

// What is not for us is not refused: the instance's programs may read it from the metadata service.
func TestOtherDataIsAWarning(t *testing.T) {
	p := parse(t, `{"cluster": "blue"}`)
	if p.Kind != "data" || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "169.254.169.254") {
		t.Errorf("plan %+v", p)
	}
}

// The examples of cloud-init's documentation, shortened (doc/examples, doc/module-docs).
func TestDocumentedExamples(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"the order of modules, whatever the order of keys", `
runcmd:
 - [ ls, -l, / ]
packages:
 - pwgen
 - [libpython3.8, 3.8.10-0ubuntu1~20.04.2]
power_state: {mode: reboot, delay: "+5", message: Bye, condition: test -f /done}
final_message: |
  cloud-init has finished
  version: $version
timezone: US/Eastern
write_files:
- path: /etc/late
  defer: true
- path: /etc/early
ssh_authorized_keys: [ssh-rsa AAAA me]
chpasswd: {expire: false, users: [{name: ubuntu, password: pw, type: text}, {name: me, password: "$6$a$b"}, {name: she, type: RANDOM}]}
ssh_pwauth: true
users:
  - default
  - name: foobar
    gecos: Foo B. Bar
    primary_group: foobar
    groups: users, admin
    lock_passwd: true
    ssh_authorized_keys: [ssh-rsa BBBB her]
groups:
  - admingroup: [root, sys]
  - cloud-users
bootcmd:
 - echo 192.168.1.130 us.archive.ubuntu.com >> /etc/hosts
`, `every boot: bootcmd: bootcmd
init: write_files: /etc/early
init: users_groups: group admingroup
init: users_groups: group cloud-users
init: users_groups: user foobar
init: ssh: keys of ec2-user and root
init: set_passwords: passwords
init: set_passwords: ssh_pwauth
final: timezone: US/Eastern
final: package_update_upgrade_install: packages
final: write_files: /etc/late
final: runcmd: runcmd
`},
		{"groups and users as mappings", "groups: {a: [b, c], d: e}\nusers: {alice: true, bob: {gecos: Bob}, carol: false}\n",
			"init: users_groups: group a\ninit: users_groups: group d\ninit: users_groups: user alice\ninit: users_groups: user bob\n"},
		{"users and groups as texts", "groups: a, b\nusers: alice,bob\n",
			"init: users_groups: group a\ninit: users_groups: group b\ninit: users_groups: user alice\ninit: users_groups: user bob\n"},
		{"sources of apt", "apt: {sources: {mine: {source: 'deb [trusted=yes] file:/srv/repo ./'}}, conf: 'APT { }'}\npackage_update: true\n",
			"final: apt_configure: /etc/apt/sources.list.d/mine.list\nfinal: apt_configure: /etc/apt/apt.conf.d/94cloud-init-config\nfinal: package_update_upgrade_install: packages\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, told(parse(t, "#cloud-config\n"+tt.text))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"#cloud-config\nruncmd:\n - a: [\n", "this is no YAML"},
		{"#cloud-config\n- a\n", "line 2: a cloud-config is a mapping of keys, not a list"},
		{"#cloud-config\nruncmd: date\n", `line 2: runcmd: a list of commands is wanted here, not "date"`},
		{"#cloud-config\nruncmd:\n - date\n - echo a: b\n", `line 4: runcmd: command 2: a command is a text or a list, not a mapping: the ": " in it makes it one; put the whole of it into quotes`},
		{"#cloud-config\nruncmd: [[a, [b]]]\n", "line 2: runcmd: command 1: an argument is a text, not a list"},
		{"#cloud-config\nruncmd: [true]\n", "line 2: runcmd: command 1: a command is a text or a list, not the truth value true"},
		{"#cloud-config\nwrite_files:\n- content: a\n", "line 3: write_files: file 1 has no path"},
		{"#cloud-config\nwrite_files:\n- {path: /a, permissions: rw}\n", `line 3: write_files: permissions are octal digits in quotes, such as "0644", not "rw"`},
		{"#cloud-config\nwrite_files:\n- {path: /a, content: '*', encoding: b64}\n", "line 3: write_files: file 1 (/a): content: this is no base64: illegal base64 data at input byte 0"},
		{"#cloud-config\nwrite_files:\n- {path: /a, content: aGk=, encoding: gz+b64}\n", "line 3: write_files: file 1 (/a): content: this is no gzip: unexpected EOF"},
		{"#cloud-config\nwrite_files:\n- {path: /a, append: perhaps}\n", `line 3: write_files: true or false is wanted here, not "perhaps"`},
		{"#cloud-config\npackages: [--force]\n", `line 2: packages: package 1: "--force" is no name of a package, or no version`},
		{"#cloud-config\nusers: [{name: 'a:b'}]\n", `line 2: users: "a:b" is no name for a user`},
		{"#cloud-config\nusers: [{name: a, gecos: 'x:0:0'}]\n", `line 2: users: a colon or a line end cannot be in "x:0:0"`},
		{"#cloud-config\nusers: [{name: a, system: true, ssh_authorized_keys: [k]}]\n", "line 2: users: user a: ssh_authorized_keys need a home, which no_create_home and system leave out"},
		{"#cloud-config\nusers: [{name: a, uid: many}]\n", `line 2: users: uid is a number, not "many"`},
		{"#cloud-config\nhostname: a_b\n", `line 2: hostname: "a_b" is no host name`},
		{"#cloud-config\ntimezone: ../../etc/shadow\n", `line 2: timezone: "../../etc/shadow" is no time zone such as Asia/Tokyo`},
		{"#cloud-config\npower_state: {mode: off}\n", `line 2: power_state: mode is one of poweroff, reboot and halt, not "off"`},
		{"#cloud-config\npower_state: {mode: reboot, delay: soon}\n", `line 2: power_state: delay is now, or a number of minutes such as +30, not "soon"`},
		{"#cloud-config\nmounts: [[a, b]]\n", "line 2: mounts: an instance here has no disks but its root, so nothing is mounted; take the key out"},
		{"#cloud-config\nchpasswd: {users: [{name: a}]}\n", "line 2: chpasswd: user a has no password"},
		{"## template: jinja\n#cloud-config\n", "a template (## template: jinja) is not supported: write out the values that it would fill in"},
		{"#include\nhttp://10.0.0.1/x\n", "#include is not supported: put what it would fetch into the user data, or fetch it in a script"},
		{"\x1f\x8bnonsense", "part-001 cannot be unpacked by gzip: gzip: invalid header"},
		{gzipped(strings.Repeat("x", 2<<20)), "part-001 cannot be unpacked by gzip: it unpacks to more than 1048576 bytes"},
		{"MIME-Version: 1.0\nContent-Type: multipart/mixed\n\n", "MIME archive: the content type names no boundary"},
		{"#cloud-config\na: &a [1,2,3,4,5,6,7,8,9]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nruncmd: [*c]\n", "line 3: runcmd: command 1: an argument is a text, not a list"},
	} {
		_, problems := cloudconfig.Parse([]byte(tt.text))
		if len(problems) == 0 || !strings.Contains(problems[0].String(), tt.want) {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, problems, tt.want)
		}
	}
}

// A module that is wrong keeps the others from nothing.
func TestProblemsLeaveTheRest(t *testing.T) {
	p, problems := cloudconfig.Parse([]byte("#cloud-config\nruncmd: {}\nbootcmd: [date]\nwrite_files: [{}, {path: /a}]\n"))
	want := []string{"line 2: runcmd: a list of commands is wanted here, not a mapping", "line 4: write_files: file 1 has no path"}
	if diff := cmp.Diff(want, p.Failures); diff != "" || len(problems) != 2 {
		t.Errorf("%d problems; failures -want +got:\n%s", len(problems), diff)
	}
	if diff := cmp.Diff("every boot: bootcmd: bootcmd\ninit: write_files: /a\n", told(p)); diff != "" {
		t.Error(diff)
	}
}

func TestWarnings(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"run_cmd: [date]", `the key "run_cmd" is unknown to cloud-init (line 2); did you mean runcmd?`},
		{"frobnicate: 1", `the key "frobnicate" is unknown to cloud-init (line 2)`},
		{"puppet: {}", "puppet: this module of cloud-init is not supported here; nothing is done about it"},
		{"ntp: {enabled: true}", "ntp: an instance has the clock of its host; nothing is done about it"},
		{"write_files: [{path: /a, permissions: 644}]", `write_files: permissions 644 (line 2) are a decimal number, octal 1204, which cloud-init takes as it is; you may mean "0644"`},
		{"write_files: [{path: /a, mode: '0644'}]", `write_files: file 1: the key "mode" is unknown (line 2)`},
		{"users: [{name: a, ssh_import_id: [gh:a]}]", "users: user a: ssh_import_id is not supported here; nothing is done about it"},
		{"packages: [{snap: [hello]}]", "packages: package 1: packages of snap are not installed here"},
	} {
		if diff := cmp.Diff([]string{tt.want}, parse(t, "#cloud-config\n"+tt.text+"\n").Warnings); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.text, diff)
		}
	}
	if w := parse(t, "#cloud-config\noutput: {all: '| tee -a /x'}\ngrowpart: {}\nversion: v1\n").Warnings; len(w) > 0 {
		t.Errorf("warnings %v about keys that make no difference", w)
	}
}

func TestWriteFiles(t *testing.T) {
	p := parse(t, `#cloud-config
write_files:
- path: /a
- {path: b/../c, content: "x\n", owner: "www:adm", permissions: '0600', append: true}
- {path: /d, content: aGk=, encoding: b64, permissions: 0o755}
- {path: /e, content: `+base64.StdEncoding.EncodeToString([]byte(gzipped("hello")))+`, encoding: gz+b64, permissions: 0640}
- {path: /f, content: !!binary aGk=}
- {path: /g, content: 5}
`)
	want := []wire.File{
		{Path: "/a", Owner: "root:root", Mode: 0o644},
		{Path: "/c", Content: []byte("x\n"), Owner: "www:adm", Mode: 0o600, Append: true},
		{Path: "/d", Content: []byte("hi"), Owner: "root:root", Mode: 0o755},
		{Path: "/e", Content: []byte("hello"), Owner: "root:root", Mode: 0o640},
		{Path: "/f", Content: []byte("hi"), Owner: "root:root", Mode: 0o644},
		{Path: "/g", Content: []byte("5"), Owner: "root:root", Mode: 0o644},
	}
	var got []wire.File
	for _, s := range p.Init {
		got = append(got, *s.File)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestUsers(t *testing.T) {
	p := parse(t, `#cloud-config
users:
- default
- {name: a, gecos: A, homedir: /srv/a, shell: /bin/sh, primary_group: g, groups: [x, y], uid: 2000, passwd: $6$a$b, lock_passwd: false, sudo: "ALL=(ALL) ALL", ssh_authorized_keys: [k1, k2]}
- {name: b, system: true, no-create-home: yes, no_user_group: on, sudo: false, groups: 'x, y'}
- {name: c, plain_text_passwd: pw, hashed_passwd: $5$a$b, sudo: [r1, r2]}
`)
	id := uint32(2000)
	want := []wire.User{
		{Name: "a", Gecos: "A", Home: "/srv/a", Shell: "/bin/sh", PrimaryGroup: "g", Groups: []string{"x", "y"}, UID: &id, Passwd: "$6$a$b", Unlocked: true, Sudo: []string{"ALL=(ALL) ALL"}, Keys: []string{"k1", "k2"}},
		{Name: "b", System: true, NoCreateHome: true, NoUserGroup: true, Groups: []string{"x", "y"}},
		{Name: "c", PlainPasswd: "pw", HashedPasswd: "$5$a$b", Sudo: []string{"r1", "r2"}},
	}
	var got []wire.User
	for _, s := range p.Init {
		got = append(got, *s.User)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	old := parse(t, "#cloud-config\nuser: alice\npassword: pw\nssh_authorized_keys: [k]\n")
	if u := old.Init[0].User; u == nil || u.Name != "alice" || !u.LaunchKeys || len(u.Sudo) != 1 {
		t.Errorf("user: alice made %+v", u)
	}
	if k := old.Init[1].Keys; k == nil || k.User != "alice" {
		t.Errorf("keys %+v", k)
	}
	if w := old.Init[2].Password; w == nil || !w.Expire || len(w.Plain) != 1 || w.Plain[0] != (wire.UserPassword{User: "alice", Password: "pw"}) {
		t.Errorf("passwords %+v", w)
	}
}

func TestPasswords(t *testing.T) {
	p := parse(t, "#cloud-config\nchpasswd:\n  list: |\n    a:pw:1\n    b:$6$x$y\n    c:RANDOM\n  expire: false\n")
	want := &wire.Passwords{Plain: []wire.UserPassword{{User: "a", Password: "pw:1"}}, Hashed: []wire.UserPassword{{User: "b", Password: "$6$x$y"}}, Random: []string{"c"}}
	if diff := cmp.Diff(want, p.Init[0].Password); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestHostname(t *testing.T) {
	for _, tt := range []struct{ text, host, fqdn string }{
		{"hostname: web", "web", ""},
		{"hostname: web.example.com", "web", "web.example.com"},
		{"fqdn: web.example.com", "web", "web.example.com"},
		{"fqdn: web.example.com\nhostname: other", "other", "web.example.com"},
		{"fqdn: web.example.com\nprefer_fqdn_over_hostname: true", "web.example.com", "web.example.com"},
	} {
		p := parse(t, "#cloud-config\n"+tt.text+"\n")
		if p.Hostname != tt.host || p.FQDN != tt.fqdn {
			t.Errorf("%s: %q and %q", tt.text, p.Hostname, p.FQDN)
		}
	}
}

func TestPowerState(t *testing.T) {
	for _, tt := range []struct {
		text string
		want wire.PowerState
	}{
		{"{mode: poweroff}", wire.PowerState{Mode: "poweroff"}},
		{"{mode: reboot, delay: now, timeout: 30}", wire.PowerState{Mode: "reboot"}},
		{"{mode: halt, delay: +30, message: Bye, condition: false}", wire.PowerState{Mode: "halt", Delay: 30, Message: "Bye", Never: true}},
		{"{mode: reboot, delay: 2, condition: test -f /x}", wire.PowerState{Mode: "reboot", Delay: 2, Condition: []string{"/bin/sh", "-c", "test -f /x"}}},
		{"{mode: reboot, condition: [test, -f, /x]}", wire.PowerState{Mode: "reboot", Condition: []string{"test", "-f", "/x"}}},
	} {
		p := parse(t, "#cloud-config\npower_state: "+tt.text+"\n")
		if p.Power == nil {
			t.Errorf("%s: nothing", tt.text)
		} else if diff := cmp.Diff(tt.want, *p.Power); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.text, diff)
		}
	}
}

// How several cloud-configs become one (cloud-init, "Merging user data sections").
func TestMerge(t *testing.T) {
	both := func(how string) string {
		return "#cloud-config-archive\n- |\n  #cloud-config\n  runcmd: [a]\n  hostname: one\n- |\n  #cloud-config\n  " + how + "\n  runcmd: [b]\n  bootcmd: [c]\n  hostname: two\n"
	}
	for _, tt := range []struct {
		how, host string
		commands  []string
	}{
		{"", "two", []string{"b"}},
		{"merge_how: 'list(append)+dict(no_replace,recurse_list)+str()'", "one", []string{"a", "b"}},
		{"merge_how: [{name: list, settings: [prepend]}, {name: dict, settings: [no_replace, recurse_array]}]", "one", []string{"b", "a"}},
		{"merge_how: 'dict(no_replace)+list(append)'", "one", []string{"a"}},
		{"merge_type: 'dict(recurse_str,no_replace)+str(append)'", "onetwo", []string{"a"}},
	} {
		p := parse(t, both(tt.how))
		if diff := cmp.Diff(tt.commands, p.Final[0].Script.Entries); diff != "" || p.Hostname != tt.host || len(p.EveryBoot) != 1 {
			t.Errorf("%s: host name %s, %d bootcmd; commands -want +got:\n%s", tt.how, p.Hostname, len(p.EveryBoot), diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "#!/bin/sh\n", "#cloud-config\nruncmd: [date, [ls, -l]]\n", "#cloud-config\na: &a {<<: *a}\n", "#cloud-boothook\n", "#cloud-config-archive\n- {content: x}\n",
		gzipped("#cloud-config\nusers: [{name: a}]\n"), "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/cloud-config\n\npackages: [a]\n--b--\n",
		"#cloud-config\nwrite_files: [{path: /a, content: !!binary aGk=, permissions: '0644'}]\nchpasswd: {list: 'a:b'}\npower_state: {mode: reboot}\ngroups: {a: b}\nuser: x\napt: {sources: {a: {source: deb x y}}}\n",
		"#cloud-config\na: &a [1,1]\nruncmd: &r [*a,*a]\nbootcmd: *r\n<<: {hostname: x}\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, problems := cloudconfig.Parse(data)
		if plan == nil || len(problems) != len(plan.Failures) {
			t.Fatalf("plan %+v for problems %v", plan, problems)
		}
		for _, s := range append(append(append(append([]wire.Step{}, plan.EveryBoot...), plan.Init...), plan.Final...), plan.LastBoot...) {
			if s.Script != nil && (strings.Contains(s.Script.Path, "..") || strings.Count(s.Script.Path, "/") != 1) {
				t.Fatalf("a script's path leads out of its folder: %q", s.Script.Path)
			}
			if s.Module == "" || s.Name == "" {
				t.Fatalf("a step without a name: %+v", s)
			}
		}
	})
}
