package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// serviceDeb makes a package with a service in it, with the scripts that debhelper gives such a package, and the
// index of a repository of it alone.
func serviceDeb(t *testing.T, name string) (deb, index []byte) {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{
		"DEBIAN/control": "Package: " + name + "\nVersion: 1.2\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: a service\n",
		"DEBIAN/postinst": `#!/bin/sh
set -e
if deb-systemd-helper --quiet was-enabled 'NAME.service'; then
	deb-systemd-helper enable 'NAME.service' >/dev/null || true
else
	deb-systemd-helper update-state 'NAME.service' >/dev/null || true
fi
if [ -d /run/systemd/system ]; then
	systemctl --system daemon-reload >/dev/null || true
	deb-systemd-invoke start 'NAME.service' >/dev/null || true
fi
`,
		"usr/bin/NAME":                    "#!/bin/sh\necho started >>/var/log/NAME.log\nexec sleep infinity\n",
		"lib/systemd/system/NAME.service": "[Unit]\nDescription=A service\n[Service]\nExecStart=/usr/bin/NAME\nUser=daemon\nExecStartPre=+/bin/sh -c 'touch /var/log/NAME.log; chown daemon /var/log/NAME.log'\n[Install]\nWantedBy=multi-user.target\n",
	} {
		path := filepath.Join(dir, "tree", strings.ReplaceAll(file, "NAME", name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "NAME", name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, name+".deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "--build", filepath.Join(dir, "tree"), file).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v: %s", err, out)
	}
	deb, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	control, err := exec.Command("dpkg-deb", "--field", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	return deb, fmt.Appendf(control, "Filename: ./%s.deb\nSize: %d\nSHA256: %x\n\n", name, len(deb), sha256.Sum256(deb))
}

// sshPair makes a key pair and gives the private half's folder and the public half.
func sshPair(t *testing.T) (dir, public string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", filepath.Join(dir, "id")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "id.pub"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, strings.TrimSpace(string(text))
}

// A machine made by one #cloud-config, as on EC2 with cloud-init: a user who logs in with a key, files, a package
// with a service, commands in order, and a word about what failed.
func TestUserData_CloudConfig(t *testing.T) {
	t.Parallel()
	deb, index := serviceDeb(t, "vt-service")
	keys, public := sshPair(t)
	b64 := base64.StdEncoding.EncodeToString
	l := newLab(t, `version: 1
security_groups:
  ssh: {ingress: [{port: ssh, cidr_blocks: [0.0.0.0/0]}]}
instances:
  web:
    security_groups: [ssh]
    user_data: |
      #cloud-config
      fqdn: shop.example.com
      bootcmd:
        - rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*   # this machine's are out of reach
        - echo boot >> /root/boots
      groups: [crew]
      users:
        - default
        - name: alice
          gecos: Alice
          groups: crew, adm
          shell: /bin/sh
          sudo: ALL=(ALL) NOPASSWD:ALL
          ssh_authorized_keys: [`+public+`]
      write_files:
        - {path: /srv/repo/vt-service.deb, encoding: b64, content: `+b64(deb)+`}
        - {path: /srv/repo/Packages, encoding: b64, content: `+b64(index)+`}
        - {path: /etc/shop.conf, content: "port=80\n", permissions: "0640", owner: "root:adm"}
        - {path: /home/alice/.plan, content: "none\n", owner: "alice:crew", permissions: "0600", defer: true}
      apt: {sources: {here: {source: "deb [trusted=yes] file:/srv/repo ./"}}}
      packages: [vt-service, [vt-service, "1.2"], no-such-package]
      runcmd:
        - systemctl is-active vt-service > /root/service
        - [sh, -c, 'echo "$1" > /root/order', sh, "a  b"]
        - ls /nowhere
        - echo last >> /root/order
internet_hosts: {laptop: {}}
`)
	_, notes, status := l.try("", "up", l.file)
	l.copyIn("laptop", keys, "/root/keys")
	eventually(t, "user data ends", func() error {
		if out, _, _ := l.tryIn("web", "cloud-init status"); !strings.Contains(out, "error") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	if status != 0 {
		t.Fatalf("up: exit status %d\n%s", status, notes)
	}
	log := l.in("web", "cat /var/log/cloud-init-output.log")
	for command, want := range map[string]string{
		"cat /root/boots":       "boot",
		"hostname; hostname -f": "shop\nshop.example.com",
		"stat -c '%a %U:%G' /etc/shop.conf /home/alice/.plan": "640 root:adm\n600 alice:crew",
		"cat /etc/shop.conf":                                         "port=80",
		"grep ^alice /etc/sudoers.d/90-cloud-init-users":             "alice ALL=(ALL) NOPASSWD:ALL",
		"id -Gn alice":                                               "alice adm crew",
		"getent passwd alice | cut -d: -f5-":                         "Alice:/home/alice:/bin/sh",
		"cat /root/service":                                          "active",
		"cat /root/order":                                            "a  b\nlast",
		"systemctl is-enabled vt-service":                            "enabled",
		"cat /var/log/vt-service.log":                                "started",
		"test -s /var/lib/cloud/instance/boot-finished && echo done": "done",
		"cloud-init status --wait; echo $?":                          "\nstatus: error\n1",
	} {
		if got, _, _ := l.tryIn("web", command); strings.TrimSuffix(got, "\n") != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	if t.Failed() {
		t.Fatal(log)
	}
	addr := l.publicOf("web")
	if got := l.login("laptop", "-i /root/keys/id alice@"+addr+" whoami"); got != "alice" {
		t.Errorf("alice's log-in says %q", got)
	}
	l.loginFails("laptop", "-i /root/keys/id root@"+addr)

	// What failed is named, in the log and to the user, and kept nothing else from running.
	out, errs, _ := l.try("", "ls")
	for _, want := range []string{
		"web: user data failed: packages: install no-such-package: apt-get exit status 100",
		"web: user data: runcmd: command 3 of 4 (ls /nowhere) ended with exit status 2",
	} {
		if !strings.Contains(out+errs, want) {
			t.Errorf("no word about %q in\n%s%s", want, out, errs)
		}
	}
	for _, want := range []string{"Unable to locate package no-such-package", "vpcemu: failed: packages: install no-such-package", "cannot access '/nowhere'"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}

	// The next boot: the service is back by itself, and of the user data only bootcmd runs again.
	l.cli("stop", "web")
	l.cli("start", "web")
	for command, want := range map[string]string{
		"systemctl is-active vt-service": "active",
		"cat /root/boots":                "boot\nboot",
		"cat /root/order":                "a  b\nlast",
		"hostname":                       "shop",
		"cat /var/log/vt-service.log":    "started\nstarted",
	} {
		if got := strings.TrimSuffix(l.in("web", command), "\n"); got != want {
			t.Errorf("after stop and start: %s: %q, want %q", command, got, want)
		}
	}
	l.cli("down")
}

// The other formats that EC2 takes: a compressed MIME archive in base64, as Terraform's cloudinit provider makes it,
// and a boothook.
func TestUserData_ArchiveCompressed(t *testing.T) {
	t.Parallel()
	const archive = "Content-Type: multipart/mixed; boundary=\"MIMEBOUNDARY\"\nMIME-Version: 1.0\n\n" +
		"--MIMEBOUNDARY\nContent-Disposition: attachment; filename=\"init.cfg\"\nContent-Transfer-Encoding: 7bit\nContent-Type: text/cloud-config\nMime-Version: 1.0\n\n#cloud-config\nruncmd: [echo runcmd >> /root/ran]\n\n" +
		"--MIMEBOUNDARY\nContent-Disposition: attachment; filename=\"a.sh\"\nContent-Transfer-Encoding: 7bit\nContent-Type: text/x-shellscript\nMime-Version: 1.0\n\n#!/bin/sh\necho script >> /root/ran\n\n" +
		"--MIMEBOUNDARY\nContent-Type: text/cloud-boothook\nMime-Version: 1.0\n\n#cloud-boothook\n#!/bin/sh\necho hook $INSTANCE_ID >> /root/ran\n" +
		"--MIMEBOUNDARY--\n"
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(archive)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l := up(t, "version: 1\ninstances:\n  a: {user_data_base64: "+base64.StdEncoding.EncodeToString(packed.Bytes())+"}\n")
	id := get(t, l.instance("a"), "InstanceId")
	l.in("a", "cloud-init status --wait")
	equal(t, "what ran", l.in("a", "cat /root/ran"), "hook "+id+"\nscript\nruncmd\n")
	l.crash() // the daemon reads the bytes back from the store
	l.cli("reboot", "a")
	eventually(t, "the boothook runs at the second boot", func() error {
		if out, _, _ := l.tryIn("a", "cat /root/ran"); out != "hook "+id+"\nscript\nruncmd\nhook "+id+"\n" {
			return fmt.Errorf("%q", out)
		}
		return nil
	})
}

// What can be known before is told before anything is made, with its line.
func TestUserData_CheckedFirst(t *testing.T) {
	t.Parallel()
	l := newLab(t, "version: 1\ninstances:\n  a:\n    user_data: |\n      #cloud-config\n      runcmd:\n        - echo a: b\n")
	for _, command := range []string{"validate", "up"} {
		_, errs, status := l.try("", command, l.file)
		if status == 0 || !strings.Contains(errs, l.file+":7: instance a: user data: runcmd: command 1: ") {
			t.Errorf("%s: exit status %d, %s", command, status, errs)
		}
	}
	if _, err := os.Stat(l.stateDir()); err == nil {
		t.Error("something was made")
	}
}

// A stop that is to come in some minutes can be taken back, and power_state comes when all is done.
func TestUserData_PowerState(t *testing.T) {
	t.Parallel()
	l := up(t, "version: 1\ninstances:\n  a:\n    user_data: |\n      #cloud-config\n      runcmd: [echo done > /root/done]\n      power_state: {mode: poweroff, delay: now, condition: test -e /root/done}\n  b: {}\n")
	l.stateOf("a", "stopped")
	l.cli("start", "a")
	equal(t, "what a has done", l.in("a", "cat /root/done"), "done\n")
	if out, errs, status := l.tryIn("b", "shutdown -h +5 bye && shutdown --show && shutdown -c && ! shutdown --show"); status != 0 || strings.Count(errs, "Shutdown scheduled for ") != 2 {
		t.Errorf("exit status %d, %s%s", status, out, errs)
	}
	l.stateOf("b", "running")
}
