package cloudconfig

import (
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// finish puts the steps in the order of cloud-init's stages (config/cloud.cfg.tmpl): cloud_init_modules come
// before the services, cloud_config_modules and cloud_final_modules after them.
func (p *parser) finish() {
	if p.merged != nil {
		p.read(p.merged)
	}
	c := &p.config
	p.setHostname()
	plan := p.plan
	plan.EveryBoot = slices.Concat(p.hooks, c.bootcmd)
	plan.Init = slices.Concat(c.files, c.groups, c.users, p.loginSteps())
	if c.timezone != "" {
		plan.Final = append(plan.Final, wire.Step{Module: "timezone", Name: c.timezone, Timezone: c.timezone})
	}
	plan.Final = append(plan.Final, c.aptSources...)
	if k := c.packages; k.Update || k.Upgrade || len(k.List) > 0 {
		plan.Final = append(plan.Final, wire.Step{Module: "package_update_upgrade_install", Name: "packages", Packages: &k})
	}
	plan.Final = append(plan.Final, c.deferred...)
	plan.Final = append(plan.Final, p.userScripts()...)
	plan.LastBoot = p.perBoot
	plan.Message, plan.Power = c.message, c.power
}

// userScripts are run in the order of their names, runcmd among them (cc_scripts_user.py runs a folder). Of two
// with one name, the later has overwritten the earlier.
func (p *parser) userScripts() []wire.Step {
	byName := map[string]wire.Step{}
	for _, s := range slices.Concat(p.config.runcmd, p.scripts) {
		byName[s.Script.Path] = s
	}
	var out []wire.Step
	for _, s := range byName {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b wire.Step) int { return strings.Compare(a.Script.Path, b.Script.Path) })
	return out
}

// loginSteps are ssh and set_passwords.
func (p *parser) loginSteps() (steps []wire.Step) {
	c := &p.config
	user := firstOf(c.defaultUser, DefaultUser)
	if len(c.keys) > 0 || c.disableRoot {
		steps = append(steps, wire.Step{Module: "ssh", Name: "keys of " + user + " and root", Keys: &wire.Keys{User: user, Keys: c.keys, DisableRoot: c.disableRoot}})
	}
	w := c.passwords
	if c.password != "" && len(w.Plain)+len(w.Hashed)+len(w.Random) == 0 {
		if strings.ContainsAny(c.password, "\n\x00") {
			p.fail(0, "password: a password is one line")
		} else {
			module{p, "password"}.passwordLine(0, user+":"+c.password)
			w = c.passwords
			w.Expire = !c.keepPasswords
		}
	}
	if len(w.Plain)+len(w.Hashed)+len(w.Random) > 0 {
		steps = append(steps, wire.Step{Module: "set_passwords", Name: "passwords", Password: &w})
	}
	if c.passwordAuth != nil {
		word := map[bool]string{true: "yes", false: "no"}[*c.passwordAuth]
		steps = append(steps, wire.Step{Module: "set_passwords", Name: "ssh_pwauth", File: &wire.File{Path: "/etc/ssh/sshd_config.d/50-cloud-init.conf",
			Content: []byte("PasswordAuthentication " + word + "\n"), Owner: defaultOwner, Mode: 0o600}})
	}
	return steps
}
