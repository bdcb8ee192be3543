package guest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/cloudconfig"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// The guest program cannot import the package that knows YAML.
func TestFailedEntriesIsOneFile(t *testing.T) {
	if failedEntries != cloudconfig.FailedEntries {
		t.Errorf("%s here, %s in the scripts", failedEntries, cloudconfig.FailedEntries)
	}
}

// However much is wrong in user data, PID 1 can tell of it.
func TestUserDataStatus_FitsAMessage(t *testing.T) {
	u := &userData{}
	u.status.Problem = strings.Repeat("\x01", 1<<20)
	for i := range 50_000 {
		u.status.Warnings = append(u.status.Warnings, fmt.Sprintf("command %d of 50000 (\x01\x02) ended with exit status 1", i))
	}
	data, err := json.Marshal(wire.Reply{Status: &wire.Status{UserData: u.Status()}})
	if err != nil || len(data) > wire.MaxMessage {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	for _, want := range []string{"command 99 of", "49900 more warnings are in /var/log", "and more in /var/log"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("nothing of %q", want)
		}
	}
	u.status = wire.UserDataStatus{State: wire.UserDataFailed, Problem: "one", Warnings: []string{"two"}}
	if diff := cmp.Diff(u.status, u.Status()); diff != "" {
		t.Error(diff)
	}
}

func TestAddUser(t *testing.T) {
	start := func() accountFiles {
		return accountFiles{
			passwd: "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\ndaemon:x:999:999::/:/bin/false\n",
			group:  "root:x:0:\nadm:x:4:me\nusers:x:100:\nme:x:1000:\nshared:x:1001:\n",
			shadow: "root:*:1::::::\n", gshadow: "adm:*::me\n",
		}
	}
	id := func(n uint32) *uint32 { return &n }
	for _, tt := range []struct {
		user                  wire.User
		passwd, group, shadow string
	}{
		{wire.User{Name: "a", Shell: "/bin/sh"}, "a:x:1002:1002::/home/a:/bin/sh", "a:x:1002:", "a:*:20000:0:99999:7:::"},
		{wire.User{Name: "a", Gecos: "A B", Home: "/srv/a", Shell: "/bin/zsh", UID: id(5000)}, "a:x:5000:5000:A B:/srv/a:/bin/zsh", "a:x:5000:", "a:*:20000:0:99999:7:::"},
		{wire.User{Name: "s", Shell: "/bin/sh", System: true}, "s:x:998:998::/home/s:/bin/sh", "s:x:998:", ""},
		{wire.User{Name: "a", Shell: "/bin/sh", PrimaryGroup: "shared"}, "a:x:1002:1001::/home/a:/bin/sh", "shared:x:1001:", ""},
		{wire.User{Name: "a", Shell: "/bin/sh", PrimaryGroup: "a", Groups: []string{"a", "adm"}}, "a:x:1002:1002::/home/a:/bin/sh", "adm:x:4:me,a", ""},
		{wire.User{Name: "a", Shell: "/bin/sh", NoUserGroup: true, Groups: []string{"adm", "new"}}, "a:x:1002:100::/home/a:/bin/sh", "new:x:1002:a", ""},
		{wire.User{Name: "a", Shell: "/bin/sh", Passwd: "$6$h"}, "", "", "a:!$6$h:20000:0:99999:7:::"},
		{wire.User{Name: "a", Shell: "/bin/sh", Passwd: "$6$h", Unlocked: true}, "", "", "a:$6$h:20000:0:99999:7:::"},
	} {
		a := start()
		if err := a.addUser(&tt.user); err != nil {
			t.Errorf("%+v: %v", tt.user, err)
			continue
		}
		for text, want := range map[string]string{a.passwd: tt.passwd, a.group: tt.group, a.shadow: tt.shadow} {
			if want != "" && !strings.Contains(text, want+"\n") {
				t.Errorf("%+v: no line %q in\n%s", tt.user, want, text)
			}
		}
	}
	for _, u := range []wire.User{{Name: "shared"}, {Name: "a", UID: id(1000)}} {
		a := start()
		if err := a.addUser(&u); err == nil {
			t.Errorf("%+v was made", u)
		}
	}
}

func TestFreeNumber(t *testing.T) {
	full := map[int]bool{}
	for n := firstSystem; n <= lastSystem; n++ {
		full[n] = true
	}
	if n, err := freeNumber(true, full); err == nil {
		t.Errorf("%d is free among all", n)
	}
	if n, err := freeNumber(false, full, map[int]bool{1000: true}, map[int]bool{1001: true}); n != 1002 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestWriteCloudFile(t *testing.T) {
	dir := t.TempDir()
	owner := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	path := filepath.Join(dir, "new/folder/file")
	for _, f := range []wire.File{{Content: []byte("a"), Mode: 0o4750}, {Content: []byte("b"), Mode: 0o600, Append: true}} {
		f.Path, f.Owner = path, owner
		if err := writeCloudFile(&f); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(path); err != nil || uint32(fi.Mode().Perm()) != f.Mode&0o777 || (fi.Mode()&os.ModeSetuid != 0) != (f.Mode&0o4000 != 0) {
			t.Errorf("mode %v, want %o", fi.Mode(), f.Mode)
		}
	}
	if text, err := os.ReadFile(path); string(text) != "ab" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	link := filepath.Join(dir, "link") // is followed, as open(2) does
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := writeCloudFile(&wire.File{Path: link, Content: []byte("c"), Mode: 0o644, Owner: owner}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); string(text) != "c" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	for _, bad := range []wire.File{{Path: path, Owner: "nobody-here:root"}, {Path: path + "/x", Owner: owner}, {Path: "/dev/null", Owner: "0:no-such-group"}} {
		if err := writeCloudFile(&bad); err == nil {
			t.Errorf("%+v was written", bad)
		}
	}
}

func TestOutput(t *testing.T) {
	var complaints []string
	logf := func(format string, a ...any) { complaints = append(complaints, fmt.Sprintf(format, a...)) }
	path := filepath.Join(t.TempDir(), "log")
	for range 2 {
		o := openOutput(path, logf)
		o.line("line %d", 1)
		o.Close()
	}
	if text, err := os.ReadFile(path); string(text) != "line 1\nline 1\n" || err != nil || len(complaints) > 0 {
		t.Errorf("%q, %v, %v", text, err, complaints)
	}
	// What is in the log's place neither holds the boot up nor is written to.
	for _, place := range []string{"/dev/null", "/nonexistent/log"} {
		complaints = nil
		o := openOutput(place, logf)
		o.Close()
		if len(complaints) != 1 {
			t.Errorf("%s: %v", place, complaints)
		}
	}
}

func TestMessage(t *testing.T) {
	u := &userData{g: &guest{config: &wire.Config{ID: "i-1"}}, plan: &wire.Plan{Message: "up $UPTIME s, {{version}} from ${datasource} $DATASOURCE"}}
	if got := u.message(); !strings.HasSuffix(got, " s, vpcemu from DataSourceEc2Local DataSourceEc2Local") || strings.Contains(got, "UPTIME") {
		t.Errorf("%q", got)
	}
}

func TestCloudInitCommand(t *testing.T) {
	for _, tt := range []struct {
		args string
		exit int
		want string
	}{
		{"status --nonsense", 2, ""}, {"status --format yaml", 2, ""}, {"clean", 2, ""}, {"", 2, ""}, {"--version", 0, "/usr/bin/cloud-init vpcemu\n"},
	} {
		var out, errs bytes.Buffer
		if exit := cloudInit(strings.Fields(tt.args), &out, &errs); exit != tt.exit || out.String() != tt.want || (exit != 0) != (errs.Len() > 0) {
			t.Errorf("%s: exit %d, %q, %q", tt.args, exit, out.String(), errs.String())
		}
	}
}

// who(1) reads what was written.
func TestUtmpRecord(t *testing.T) {
	size := map[string]int{"arm64": 400, "riscv64": 400, "loong64": 400}[runtime.GOARCH]
	if size == 0 {
		size = 384
	}
	b := utmpRecord(utmpBoot, 0, "reboot", time.Unix(1900000000, 5000))
	if len(b) != size || b[0] != utmpBoot || string(b[44:50]) != "reboot" || string(b[40:42]) != "~~" {
		t.Errorf("% x", b)
	}
	path := filepath.Join(t.TempDir(), "utmp")
	if err := writeUtmp(path, time.Unix(1900000000, 0)); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() != int64(2*size) {
		t.Errorf("%v, %v", fi, err)
	}
}

func TestScriptFailure(t *testing.T) {
	for _, tt := range []struct {
		step wire.Step
		want string
	}{
		{wire.Step{Module: "scripts_user", Name: "part-001"}, "exit status 3"},
		{wire.Step{Module: "scripts_user", Name: "a.sh"}, "scripts_user: a.sh: exit status 3"},
		{wire.Step{Module: "runcmd", Name: "runcmd"}, "runcmd: exit status 3"},
	} {
		if diff := cmp.Diff(tt.want, scriptFailure(tt.step, 3<<8)); diff != "" {
			t.Error(diff)
		}
	}
}
