package guest

import (
	"os"
	"strings"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// packageManager is how one is called. The words are cloud-init's (cloudinit/distros/package_management).
type packageManager struct {
	program                  string
	env                      []string
	update, upgrade, install []string // without the program
	versioned                string   // between name and version
}

// packageManagers in the order in which they are looked for.
var packageManagers = []packageManager{
	{program: "apt-get", env: []string{"DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true"},
		update:  []string{"update"},
		upgrade: []string{"dist-upgrade"},
		install: []string{"install"}, versioned: "="},
	{program: "dnf", update: []string{"-y", "makecache"}, upgrade: []string{"-y", "upgrade"}, install: []string{"-y", "install"}, versioned: "-"},
	{program: "yum", update: []string{"-y", "makecache"}, upgrade: []string{"-y", "upgrade"}, install: []string{"-y", "install"}, versioned: "-"},
	{program: "zypper", update: []string{"--non-interactive", "refresh"}, upgrade: []string{"--non-interactive", "update"}, install: []string{"--non-interactive", "install"}, versioned: "="},
	{program: "apk", update: []string{"update"}, upgrade: []string{"upgrade", "--update-cache"}, install: []string{"add"}, versioned: "="},
}

// aptOptions keep apt from asking, and from waiting for disks.
var aptOptions = []string{"--option=Dpkg::Options::=--force-confold", "--option=Dpkg::options::=--force-unsafe-io", "--option=DPkg::Lock::Timeout=120", "--assume-yes", "--quiet"}

// packages updates, upgrades and installs. As cloud-init does, it updates the lists before it installs, and goes
// on when that fails: what is in the old lists may be all that is asked for.
func (u *userData) packages(out *output, w *wire.Packages) {
	m, ok := u.findManager()
	if !ok {
		u.fail(out, "packages: this root has no apt-get, dnf, yum, zypper or apk")
		return
	}
	run := func(what string, args ...string) bool {
		if m.program == "apt-get" {
			args = append(append([]string{}, aptOptions...), args...)
		}
		status, err := u.execute(out, append([]string{m.program}, args...), m.env)
		switch {
		case err != nil:
			u.fail(out, "packages: %s: %v", what, err)
		case status != 0:
			u.fail(out, "packages: %s: %s %s, output in %s", what, m.program, ended(status), outputLog)
		}
		return err == nil && status == 0
	}
	run("update", m.update...)
	if w.Upgrade {
		run("upgrade", m.upgrade...)
	}
	u.install(out, m, w.List, run)
	u.rebootIfRequired(out, w)
}

func (u *userData) findManager() (packageManager, bool) {
	for _, m := range packageManagers {
		if _, err := findProgram(m.program, nil, "/"); err == nil {
			return m, true
		}
	}
	return packageManager{}, false
}

// install installs all at once or, if that fails, one by one, so that a name that does not exist costs no more
// than itself.
func (u *userData) install(out *output, m packageManager, list []wire.Package, run func(string, ...string) bool) {
	var names []string
	for _, p := range list {
		name := p.Name
		if p.Version != "" {
			name += m.versioned + p.Version
		}
		names = append(names, name)
	}
	switch {
	case len(names) == 0:
		return
	case len(names) == 1:
		run("install "+names[0], append(m.install, names[0])...)
		return
	}
	args := append(append([]string{}, m.install...), names...)
	if m.program == "apt-get" {
		args = append(append([]string{}, aptOptions...), args...)
	}
	if status, err := u.execute(out, append([]string{m.program}, args...), m.env); err == nil && status == 0 {
		return
	}
	out.line("vpcemu: packages: %s could not be installed together; each is tried alone", strings.Join(names, ", "))
	for _, n := range names {
		if u.g.ending() {
			return
		}
		run("install "+n, append(append([]string{}, m.install...), n)...)
	}
}

// rebootIfRequired restarts the instance when a package asks for it (package_reboot_if_required).
func (u *userData) rebootIfRequired(out *output, w *wire.Packages) {
	if !w.RebootIfRequired || !w.Upgrade && len(w.List) == 0 {
		return
	}
	for _, marker := range []string{"/var/run/reboot-required", "/run/reboot-needed"} {
		if _, err := os.Stat(marker); err == nil {
			out.line("vpcemu: packages: the instance restarts, as %s asks", marker)
			u.restart = true
			return
		}
	}
}
