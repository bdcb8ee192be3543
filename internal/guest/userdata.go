package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// Where cloud-init has its files, which scripts look at.
const (
	cloudDir       = "/var/lib/cloud"
	instanceDir    = cloudDir + "/instance" // a link to instances/ID
	userDataResult = instanceDir + "/user-data-result.json"
	bootFinished   = instanceDir + "/boot-finished"
	outputLog      = "/var/log/cloud-init-output.log"
)

// userData carries out the plan that the host has made of the user data: some of it at every boot, most of it
// once in the life of the disk, as cloud-init does. What a boot cut short is not begun again.
type userData struct {
	g    *guest
	plan *wire.Plan // never nil
	once bool       // this boot is the one

	mu       sync.Mutex
	status   wire.UserDataStatus
	failures []string // of this boot, as are the next two
	warnings []string
	code     int
	restart  bool // a package asks for it
}

// newUserData finds out what there is to do, before anyone can ask for the status.
func newUserData(g *guest) *userData {
	u := &userData{g: g, plan: g.config.Plan}
	if u.plan == nil {
		u.plan = &wire.Plan{}
	}
	if err := linkInstance(g.config.ID); err != nil {
		g.logf("user data: %v", err)
	}
	data, err := readFile(userDataResult)
	if err == nil {
		err = json.Unmarshal(data, &u.status)
	}
	switch {
	case err == nil && u.status.State == wire.UserDataRunning:
		u.status.State, u.status.Problem = wire.UserDataFailed, "cut short when the instance stopped; it runs only once"
	case err == nil:
	case !errors.Is(err, os.ErrNotExist):
		u.status = wire.UserDataStatus{State: wire.UserDataFailed, Problem: err.Error()}
	case len(g.config.UserData) == 0:
		u.status.State = wire.UserDataNone
	default:
		u.status.State, u.once = wire.UserDataPending, true
	}
	writeCloudStatus(g.config.ID, "init", nil)
	return u
}

// linkInstance makes /var/lib/cloud/instance. A disk of an earlier version has a folder there, which stays.
func linkInstance(id string) error {
	target := filepath.Join("instances", filepath.Base(id))
	if err := os.MkdirAll(filepath.Join(cloudDir, target), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(target, instanceDir); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// Status is what there is to tell about it now.
func (u *userData) Status() wire.UserDataStatus {
	u.mu.Lock()
	defer u.mu.Unlock()
	return inBrief(u.status)
}

// maxTold bounds the problem and the warnings in a status, in bytes each: user data may be wrong in thousands of
// places, and the status has to fit a message (wire.MaxMessage), six bytes for each that JSON escapes.
const maxTold = 8 << 10

// inBrief is as much of a status as there is room for; all of it is in the log.
func inBrief(s wire.UserDataStatus) wire.UserDataStatus {
	if len(s.Problem) > maxTold {
		s.Problem = strings.ToValidUTF8(s.Problem[:maxTold], "") + "… and more in " + outputLog
	}
	left := maxTold
	for i, w := range s.Warnings {
		if left -= len(w); left < 0 || i == 100 {
			s.Warnings = append(slices.Clone(s.Warnings[:i]), fmt.Sprintf("%d more warnings are in %s", len(s.Warnings)-i, outputLog))
			break
		}
	}
	return s
}

// set keeps the result in memory and on the disk.
func (u *userData) set(s wire.UserDataStatus) {
	u.mu.Lock()
	u.status = s
	u.mu.Unlock()
	data, err := json.Marshal(s)
	if err == nil {
		err = replaceFile(userDataResult, data, 0o644)
	}
	if err != nil {
		u.g.logf("user data: %v", err)
	}
}

// early is what comes before the services: cloud-init's stage init.
func (u *userData) early() {
	out := u.begin()
	defer out.Close()
	u.run(out, u.plan.EveryBoot)
	if u.once {
		u.run(out, u.plan.Init)
	}
}

// begin notes that the one run is under way, and opens the log. It is called by early and late.
func (u *userData) begin() *output {
	if u.once && u.Status().State == wire.UserDataPending {
		u.set(wire.UserDataStatus{State: wire.UserDataRunning})
		if err := replaceFile(instanceDir+"/user-data.txt", u.g.config.UserData, 0o600); err != nil {
			u.g.logf("user data: %v", err)
		}
	}
	return openOutput(outputLog, u.g.logf)
}

// late is what comes when the services have been started: cloud-init's stages config and final.
func (u *userData) late() {
	defer u.forget()
	writeCloudStatus(u.g.config.ID, "modules-final", nil)
	if !u.once && len(u.plan.LastBoot) == 0 {
		u.finish()
		return
	}
	out := u.begin()
	whole := true
	if u.once {
		for _, w := range u.plan.Warnings {
			u.warn(out, "%s", w)
		}
		for _, f := range u.plan.Failures {
			u.fail(out, "%s", f)
		}
		whole = u.run(out, u.plan.Final)
	}
	whole = u.run(out, u.plan.LastBoot) && whole
	if u.plan.Message != "" && whole {
		out.line("%s", u.message())
	}
	out.Close()
	if u.g.ending() && (!whole || len(u.failures) > 0) {
		return // cut short, as the next boot will find
	}
	if u.once {
		u.set(u.result())
	}
	u.finish()
	switch {
	case u.restart:
		u.g.stop(wire.CauseReboot, defaultGrace)
	case u.once && u.plan.Power != nil:
		u.power(u.plan.Power)
	}
}

// forget gives the memory back: a plan may hold a megabyte of files.
func (u *userData) forget() {
	u.plan = &wire.Plan{}
	u.g.config.Plan, u.g.config.UserData = nil, nil
}

// leave is called when somebody inside ends the instance: a script whose last command is reboot has not been cut
// short, and cloud-init, too, would take it for done.
func (u *userData) leave() {
	if u.Status().State == wire.UserDataRunning {
		s := u.result()
		s.Warnings = append(s.Warnings, "the instance was ended from inside before the user data was through; the rest of it does not run")
		u.set(s)
	}
}

// result is how the one run went.
func (u *userData) result() wire.UserDataStatus {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := wire.UserDataStatus{State: wire.UserDataDone, Warnings: slices.Clone(u.warnings)}
	if len(u.failures) > 0 {
		s.State, s.Code = wire.UserDataFailed, u.code
		s.Problem = strings.Join(u.failures, "; ")
	}
	return s
}

// finish leaves the files that scripts wait for.
func (u *userData) finish() {
	text := fmt.Sprintf("%s - %s - v. vpcemu\n", uptime(), time.Now().UTC().Format(time.RFC1123Z))
	if err := replaceFile(bootFinished, []byte(text), 0o644); err != nil {
		u.g.logf("user data: %v", err)
	}
	s := u.Status()
	var problems []string
	if s.State == wire.UserDataFailed {
		problems = []string{s.Problem}
	}
	finishCloudStatus(u.g.config.ID, problems)
	if !u.once { // what happens at later boots is not in the result of the first
		if len(u.failures) > 0 {
			u.g.note("user data: %s", inBrief(wire.UserDataStatus{Problem: strings.Join(u.failures, "; ")}).Problem)
		}
	}
}

func uptime() string {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return "0"
	}
	return fmt.Sprint(info.Uptime)
}

// message fills in final_message (cc_final_message.py): $UPTIME in either case, also as {{uptime}}.
func (u *userData) message() string {
	var pairs []string
	for name, value := range map[string]string{"uptime": uptime(), "timestamp": time.Now().UTC().Format(time.RFC1123Z), "version": "vpcemu", "datasource": dataSource(u.g.config.ID)} {
		for _, n := range []string{name, strings.ToUpper(name)} {
			pairs = append(pairs, "$"+n, value, "${"+n+"}", value, "{{"+n+"}}", value, "{{ "+n+" }}", value)
		}
	}
	return strings.NewReplacer(pairs...).Replace(u.plan.Message)
}

// fail and warn note something for the status, the log and the console.
func (u *userData) fail(out *output, format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	u.mu.Lock()
	u.failures = append(u.failures, text)
	u.mu.Unlock()
	out.line("vpcemu: failed: %s", text)
}

func (u *userData) warn(out *output, format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	u.mu.Lock()
	u.warnings = append(u.warnings, text)
	u.mu.Unlock()
	out.line("vpcemu: warning: %s", text)
}

// run takes steps one after the other; false means that the instance's end came first.
func (u *userData) run(out *output, steps []wire.Step) bool {
	for _, s := range steps {
		if u.g.ending() {
			return false
		}
		u.take(out, s)
	}
	return true
}

// take carries out one step.
func (u *userData) take(out *output, s wire.Step) {
	writeCloudStatus(u.g.config.ID, s.Module, nil)
	var err error
	switch {
	case s.File != nil:
		err = writeCloudFile(s.File)
	case s.Group != nil:
		err = makeGroup(s.Group)
	case s.User != nil:
		err = u.makeUser(out, s.User)
	case s.Keys != nil:
		err = u.addKeys(s.Keys)
	case s.Password != nil:
		err = u.setPasswords(out, s.Password)
	case s.Timezone != "":
		err = setTimezone(s.Timezone)
	case s.Packages != nil:
		u.packages(out, s.Packages)
	case s.Script != nil:
		u.script(out, s)
	}
	if err != nil {
		u.fail(out, "%s: %s: %v", s.Module, s.Name, err)
	}
}

// power does what power_state says, once all is done (cc_power_state_change.py).
func (u *userData) power(p *wire.PowerState) {
	if p.Never {
		return
	}
	out := openOutput(outputLog, u.g.logf)
	defer out.Close()
	if len(p.Condition) > 0 {
		status, err := u.execute(out, p.Condition, nil)
		if err != nil || status != 0 {
			out.line("vpcemu: power_state: its condition is not met, so nothing is done")
			return
		}
	}
	action := p.Mode
	if action == "halt" {
		action = "poweroff"
	}
	if err := u.g.powerAt(action, time.Now().Add(time.Duration(p.Delay)*time.Minute), p.Message); err != nil {
		out.line("vpcemu: failed: power_state: %v", err)
	}
}

// ending tells whether the instance is being stopped.
func (g *guest) ending() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state == wire.StateStopping
}
