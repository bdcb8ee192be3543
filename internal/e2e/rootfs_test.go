package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// busyboxTree makes the smallest root file system there is: busybox in /bin, and nothing else.
func busyboxTree(t *testing.T, dir string) {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "/bin/busybox", bin).CombinedOutput(); err != nil {
		t.Fatalf("the Debian package busybox-static is needed: %v\n%s", err, out)
	}
	for _, name := range []string{"sh", "cat", "ls", "id", "touch", "ping", "mkdir", "nc", "head", "sleep", "seq", "ip"} {
		if err := os.Symlink("busybox", filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// names lists what is below a directory.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, strings.TrimPrefix(path, dir))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Instances over a directory, an archive and the host's root read-only, with addresses and a network like any other.
func TestRootfs(t *testing.T) {
	dir := t.TempDir()
	tree := filepath.Join(dir, `tr:ee,\x`) // a name that overlayfs would take apart
	busyboxTree(t, tree)
	if out, err := exec.Command("tar", "-C", tree, "-cJf", filepath.Join(dir, "tree.tar.xz"), ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	before := names(t, tree)
	l := newLab(t, "")
	l.file = filepath.Join(dir, "lab.yaml")
	text := `version: 1
rootfs: tree.tar.xz
security_groups: {open: {ingress: [{protocol: icmp, cidr_blocks: [0.0.0.0/0]}]}}
instances:
  tree: {rootfs: 'tr:ee,\x', security_groups: [open]}
  one: {security_groups: [open], user_data: "#!/bin/sh\nid > /made-by-user-data\n"}
  two: {}
  ro: {rootfs: host-read-only}
internet_hosts: {laptop: {}}
`
	l.write(text)
	l.cli("up", l.file)
	for _, name := range []string{"tree", "one", "two", "laptop"} {
		if got := l.in(name, "id; cat /etc/passwd; ls -d /tmp /var/log /root /etc/machine-id; touch /written; echo $0"); !strings.Contains(got, "uid=0(root)") || !strings.Contains(got, "ec2-user:x:1000:1000:") {
			t.Errorf("%s: %s", name, got)
		}
		if _, _, status := l.tryIn(name, "test -e /usr/bin/bash"); status == 0 {
			t.Errorf("%s sees the host's programs", name)
		}
	}
	eventually(t, "user data without bash", func() error {
		if out, errs, status := l.tryIn("one", "cat /made-by-user-data"); status != 0 {
			return fmt.Errorf("%s%s", out, errs)
		}
		return nil
	})
	l.in("tree", "ping -c 1 -W 5 "+strings.Fields(l.in("one", "ip -o -4 addr show eth0 | head -1"))[3][:len("172.31.0.0")])
	if after := names(t, tree); !slices.Equal(before, after) {
		t.Errorf("the tree was written to: %q, it was %q", after, before)
	}
	trees := filepath.Join(os.Getenv("VPCEMU_STATE_DIR"), ".rootfs")
	if unpacked, _ := filepath.Glob(trees + "/*/tree"); len(unpacked) != 1 {
		t.Errorf("unpacked: %q", unpacked)
	}
	if _, errs, status := l.tryIn("ro", "touch /etc/a /var/a /tmp/a /root/a /home/a && ! touch /usr/a /opt/a /a && cloud-init status --wait"); status != 0 {
		t.Errorf("read-only: %s", errs)
	}
	// What an instance was made over stays, whatever becomes of the archive.
	l.cli("stop", "one")
	if err := os.WriteFile(filepath.Join(dir, "tree.tar.xz"), []byte(strings.Repeat("no archive\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	l.cli("start", "one")
	l.in("one", "ls /written /made-by-user-data")
	// Another root is another instance.
	l.write(strings.Replace(text, "rootfs: host-read-only", "rootfs: host", 1))
	if _, errs, status := l.try("", "up", l.file); status == 0 || !strings.Contains(errs, "rootfs cannot be changed in place") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	// An archive that is none is the instance's failure, and is told, as on EC2, by its state.
	id := get(t, l.ec2("run-instances --rootfs "+filepath.Join(dir, "tree.tar.xz")), "Instances", 0, "InstanceId")
	eventually(t, "an archive that is none", func() error {
		if why := get(t, l.ec2("describe-instances --instance-ids "+id), "Reservations", 0, "Instances", 0, "StateReason", "Message"); !strings.Contains(why, "no tar archive") {
			return fmt.Errorf("state reason: %s", why)
		}
		return nil
	})
	l.write("version: 1\ninstances:\n  x: {rootfs: nowhere}\n")
	if _, errs, status := l.try("", "validate", l.file); status != 2 || !strings.Contains(errs, "lab.yaml:3: instance x: rootfs: ") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	l.cli("down")
	if _, err := os.Stat(trees); err == nil {
		t.Errorf("left: %q", names(t, trees))
	}
}

// groupsOf lists the control groups of a lab.
func groupsOf(t *testing.T, l *lab) string {
	t.Helper()
	out, err := exec.Command("find", "/sys/fs/cgroup", "-type", "d", "-path", "*/vpcemu/"+l.name+"*").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// An instance is held to its limits, those that come later included, and a killed daemon leaves no groups for ever.
func TestLimits(t *testing.T) {
	l := up(t, `version: 1
instances:
  small: {memory: 64MiB, cpus: 0.5, pids: 100}
  free: {instance_type: t3.nano}
`)
	eat := "python3 -c 'x = bytearray(150 << 20)'"
	if _, _, status := l.tryIn("small", eat); status != 137 {
		t.Errorf("more memory than there is: exit status %d", status)
	}
	eventually(t, "the log tells of it", func() error {
		if log := l.cli("logs", "small"); !strings.Contains(log, "out of memory: the kernel killed 1 of the processes") {
			return fmt.Errorf("%s", log)
		}
		return nil
	})
	l.in("free", eat)
	fork := "for i in $(seq 60); do sleep 5 & done; wait"
	l.start("free", "exec sleep 1000") // it was there before the limit
	l.write("version: 1\ninstances:\n  small: {memory: 400MiB, pids: 4000}\n  free: {instance_type: t3.nano, instance_type_limits: true, pids: 50}\n")
	if out := l.cli("plan", l.file); out != "update  instance free: limits\nupdate  instance small: limits\n" && out != "update  instance small: limits\nupdate  instance free: limits\n" {
		t.Errorf("plan: %s", out)
	}
	l.cli("up", l.file)
	l.in("small", eat)
	if _, errs, status := l.tryIn("free", fork); status == 0 || !strings.Contains(strings.ToLower(errs), "fork") {
		t.Errorf("more processes than allowed: exit status %d: %s", status, errs)
	}
	l.cli("ec2", "modify-instance-attribute", "--instance-id", "free", "--limits", "Pids=500")
	if groupsOf(t, l) == "" {
		t.Error("no groups")
	}
	l.killDaemon()
	l.cli("stop", "small")
	l.cli("down")
	if left := groupsOf(t, l); left != "" {
		t.Errorf("left: %s", left)
	}
}

// Files go in and out with their modes, and logs are there while nothing runs.
func TestCpAndLogs(t *testing.T) {
	dir := t.TempDir()
	l := up(t, "version: 1\ninstances:\n  a: {user_data: \"#!/bin/sh\\necho said by user data\\n\"}\n  b: {}\n")
	src := filepath.Join(dir, "src")
	for _, err := range []error{os.MkdirAll(src+"/d", 0o755), os.WriteFile(src+"/d/f", []byte("text"), 0o640), os.Symlink("/etc/hostname", src+"/link"), os.Chown(src+"/d/f", 12, 34)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	l.cli("cp", "-a", src, "a:/root/new")
	l.cli("cp", "-a", "a:new", "b:/srv/")
	if got := l.in("b", "stat -c '%a %u %g' /srv/new/d/f; readlink /srv/new/link; cat /srv/new/d/f"); got != "640 12 34\n/etc/hostname\ntext" {
		t.Errorf("%q", got)
	}
	l.cli("cp", "-u", "ec2-user", src+"/d", "a:")
	if got := l.in("a", "stat -c %U /home/ec2-user/d/f"); got != "ec2-user\n" {
		t.Errorf("owner %q", got)
	}
	// The instance's links lead where they do there.
	l.in("a", "ln -s /etc /tmp/way")
	l.cli("cp", "a:/tmp/way/hostname", dir)
	if got, err := os.ReadFile(dir + "/hostname"); err != nil || string(got) != l.in("a", "cat /etc/hostname") {
		t.Errorf("%q, %v", got, err)
	}
	// A full disk, and a copy that is killed, leave nothing under the name.
	l.in("a", "mkdir /tmp/small && mount -t tmpfs -o size=64k tmpfs /tmp/small")
	if err := os.WriteFile(dir+"/large", make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := l.try("", "cp", dir+"/large", "a:/tmp/small"); status != 1 || !strings.Contains(errs, "no space left on device") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	if left := l.in("a", "ls -A /tmp/small"); left != "" {
		t.Errorf("left: %s", left)
	}
	for _, c := range [][2]string{{"a:/nothing", "no such file"}, {"nobody:/x", "no instance nobody"}} {
		if _, errs, status := l.try("", "cp", c[0], dir); status != 1 || !strings.Contains(errs, c[1]) {
			t.Errorf("%s: exit status %d: %s", c[0], status, errs)
		}
	}
	eventually(t, "what user data says is on the console", func() error {
		if log := l.cli("logs", "a"); !strings.Contains(log, "said by user data") {
			return fmt.Errorf("%s", log)
		}
		return nil
	})
	l.cli("stop", "a")
	l.cli("start", "a")
	l.cli("stop", "a")
	if _, errs, status := l.try("", "cp", src, "a:/x"); status != 1 || !strings.Contains(errs, "vpcemu start a") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	console, err := base64.StdEncoding.DecodeString(get(t, l.ec2("get-console-output --instance-id a"), "Output"))
	if err != nil || !strings.Contains(string(console), "said by user data") {
		t.Errorf("%q, %v", console, err)
	}
	l.killDaemon()
	if log := l.cli("logs", "a"); !strings.Contains(log, "said by user data") || strings.Count(log, ": boot ") != 2 {
		t.Errorf("stopped, no daemon: %s", log)
	}
	if log := l.cli("logs", "--boot", "0", "a"); strings.Contains(log, "said by user data") {
		t.Errorf("the second boot: %s", log)
	}
	l.cli("logs", "--unit", "ssh", "-n", "1", "a")
	l.cli("logs", "--unit", "ssh", "-n", "1", "b")
	l.cli("cp", src, "b:/tmp/again")
}

// killDaemon ends the lab's daemon as bad luck does.
func (l *lab) killDaemon() {
	l.t.Helper()
	var lab struct{ Daemon int }
	if err := json.Unmarshal([]byte(l.cli("ls", "-o", "json")), &lab); err != nil || lab.Daemon == 0 {
		l.t.Fatalf("no daemon: %v", err)
	}
	l.kill(lab.Daemon)
}
