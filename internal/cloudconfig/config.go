package cloudconfig

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// config is a cloud-config understood, before the steps are put into order.
type config struct {
	bootcmd, runcmd []wire.Step
	files, deferred []wire.Step
	groups, users   []wire.Step
	defaultUser     string
	keys            []string
	disableRoot     bool
	password        string // of the default user
	passwords       wire.Passwords
	passwordAuth    *bool
	timezone        string
	aptSources      []wire.Step
	packages        wire.Packages
	hostname, fqdn  string
	preferFQDN      bool
	message         string
	power           *wire.PowerState
	keepPasswords   bool // chpasswd's expire is false
}

// cloudConfig reads a cloud-config and merges it with those before.
func (p *parser) cloudConfig(x part) {
	root := p.readYAML(x.body)
	switch {
	case root == nil || isNull(root):
		if len(p.problems) == 0 {
			p.warn("the cloud-config is empty")
		}
	case root.Kind != yaml.MappingNode:
		p.fail(root.Line, "a cloud-config is a mapping of keys, not %s", describe(root))
	case p.merged == nil:
		p.merged = root
	default:
		p.merged = p.merge(p.merged, root, p.mergeRuleOf(p.entries(root), x.merge), 0)
	}
}

// module reads the value of one top-level key.
type module struct {
	*parser
	key string
}

func (m module) fail(line int, format string, a ...any) {
	m.parser.fail(line, "%s: %s", m.key, fmt.Sprintf(format, a...))
}

func (m module) warn(format string, a ...any) {
	m.parser.warn("%s: %s", m.key, fmt.Sprintf(format, a...))
}

// readers are the modules that are carried out, by top-level key.
var readers map[string]func(m module, n *yaml.Node)

func init() {
	readers = map[string]func(m module, n *yaml.Node){
		"bootcmd":     module.bootcmd,
		"runcmd":      module.runcmd,
		"write_files": module.writeFiles,
		"groups":      module.groups,
		"users":       module.users,
		"user":        module.user,
		"ssh_authorized_keys": func(m module, n *yaml.Node) {
			m.config.keys = append(m.config.keys, m.texts(n)...)
		},
		"disable_root": func(m module, n *yaml.Node) { m.config.disableRoot = m.truth(n) },
		"chpasswd":     module.chpasswd,
		"password":     func(m module, n *yaml.Node) { m.config.password = m.text(n) },
		"ssh_pwauth":   module.sshPasswords,
		"hostname":     func(m module, n *yaml.Node) { m.config.hostname = m.hostText(n) },
		"fqdn":         func(m module, n *yaml.Node) { m.config.fqdn = m.hostText(n) },
		"prefer_fqdn_over_hostname": func(m module, n *yaml.Node) {
			m.config.preferFQDN = m.truth(n)
		},
		"preserve_hostname": func(m module, n *yaml.Node) { m.plan.PreserveHostname = m.truth(n) },
		"manage_etc_hosts":  module.manageEtcHosts,
		"timezone":          module.timezone,
		"apt":               module.apt,
		"packages":          module.packages,
		"package_update":    func(m module, n *yaml.Node) { m.config.packages.Update = m.truth(n) || m.config.packages.Update },
		"package_upgrade":   func(m module, n *yaml.Node) { m.config.packages.Upgrade = m.truth(n) || m.config.packages.Upgrade },
		"package_reboot_if_required": func(m module, n *yaml.Node) {
			m.config.packages.RebootIfRequired = m.truth(n) || m.config.packages.RebootIfRequired
		},
		"final_message": func(m module, n *yaml.Node) { m.config.message = strings.TrimSpace(m.text(n)) },
		"power_state":   module.powerState,
	}
	// The names of old (cc_package_update_upgrade_install.py).
	for old, now := range map[string]string{"apt_update": "package_update", "apt_upgrade": "package_upgrade", "apt_reboot_if_required": "package_reboot_if_required"} {
		readers[old] = readers[now]
	}
}

// read goes through the keys in the order in which they are written.
func (p *parser) read(root *yaml.Node) {
	for _, e := range p.entries(root) {
		m := module{p, e.key}
		switch reason, known := ignored[e.key]; {
		case readers[e.key] != nil:
			if !isNull(e.value) {
				readers[e.key](m, e.value)
			}
		case refusedModules[e.key] != "":
			m.fail(e.line, "%s", refusedModules[e.key])
		case known && reason != "":
			m.warn("%s", reason)
		case known:
		case unsupported[e.key]:
			m.warn("this module of cloud-init is not supported here; nothing is done about it")
		default:
			p.warn("the key %q is unknown to cloud-init (line %d)%s", shorten(e.key), e.line, suggest(e.key))
		}
	}
}

// text is a scalar.
func (m module) text(n *yaml.Node) string {
	s, ok := asText(n)
	switch {
	case ok:
	case n.Kind == yaml.ScalarNode: // with !!binary
		m.fail(n.Line, "this is no base64: %s", describe(n))
	default:
		m.fail(n.Line, "a text is wanted here, not %s", describe(n))
	}
	return s
}

// truth is a truth value.
func (m module) truth(n *yaml.Node) bool {
	b, ok := asTruth(n)
	if !ok {
		m.fail(n.Line, "true or false is wanted here, not %s", describe(n))
	}
	return b
}

// texts is a list of texts, or one text.
func (m module) texts(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		if isNull(n) {
			return nil
		}
		return []string{m.text(n)}
	}
	if n.Kind != yaml.SequenceNode {
		m.fail(n.Line, "a list of texts is wanted here, not %s", describe(n))
		return nil
	}
	var out []string
	for _, item := range m.items(n) {
		switch s, ok := asText(item); {
		case !ok:
			m.fail(item.Line, "a text is wanted here, not %s%s", describe(item), quoteHint(item))
		case !isNull(item):
			out = append(out, s)
		}
	}
	return out
}

// commaTexts is a list of texts, or one text with commas between.
func (m module) commaTexts(n *yaml.Node) []string {
	list := m.texts(n)
	if n.Kind == yaml.ScalarNode && len(list) == 1 {
		list = strings.Split(list[0], ",")
	}
	out := list[:0]
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// list is the items of a list; anything else is a problem.
func (m module) list(n *yaml.Node, of string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		m.fail(n.Line, "a list of %s is wanted here, not %s", of, describe(n))
		return nil
	}
	return m.items(n)
}

// quoteHint explains the mapping that a colon makes of a command.
func quoteHint(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode {
		return `: the ": " in it makes it one; put the whole of it into quotes`
	}
	return ""
}
