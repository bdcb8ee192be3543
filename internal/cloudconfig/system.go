package cloudconfig

import (
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// validHost is a host name with or without domain (RFC 1123 section 2.1).
var validHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

func (m module) hostText(n *yaml.Node) string {
	s := m.text(n)
	if !validHost.MatchString(s) || len(s) > 253 {
		m.fail(n.Line, "%q is no host name", shorten(s))
		return ""
	}
	return s
}

// setHostname decides between hostname and fqdn (util.get_hostname_fqdn).
func (p *parser) setHostname() {
	c := &p.config
	short, _, dotted := strings.Cut(c.hostname, ".")
	switch {
	case c.fqdn != "" && c.hostname == "":
		c.hostname, _, _ = strings.Cut(c.fqdn, ".")
	case c.fqdn == "" && dotted:
		c.fqdn, c.hostname = c.hostname, short
	}
	p.plan.Hostname, p.plan.FQDN = c.hostname, c.fqdn
	if c.preferFQDN && c.fqdn != "" {
		p.plan.Hostname = c.fqdn
	}
	if len(p.plan.Hostname) > 63 {
		p.fail(0, "hostname: %q is longer than 63 characters", shorten(p.plan.Hostname))
		p.plan.Hostname, p.plan.FQDN = "", ""
	}
}

// manageEtcHosts is checked only: /etc/hosts always has a line for the instance's own name.
func (m module) manageEtcHosts(n *yaml.Node) {
	if s, _ := asText(n); s == "localhost" || s == "template" {
		return
	}
	m.truth(n)
}

func (m module) timezone(n *yaml.Node) {
	s := m.text(n)
	if clean := path.Clean("/" + s); s == "" || clean != "/"+s {
		m.fail(n.Line, "%s is no time zone such as Asia/Tokyo", describe(n))
		return
	}
	m.config.timezone = s
}

// packages reads packages: names, pairs of name and version, and mappings of such lists by package manager, of
// which the instance's own are taken (cc_package_update_upgrade_install.py).
func (m module) packages(n *yaml.Node) {
	for i, item := range m.list(n, "packages") {
		m.onePackage(item, i+1)
	}
}

func (m module) onePackage(n *yaml.Node, number int) {
	switch n.Kind {
	case yaml.SequenceNode:
		words := m.texts(n)
		if len(words) < 1 || len(words) > 2 {
			m.fail(n.Line, "package %d is a name, or a list of name and version", number)
			return
		}
		m.addPackage(n, number, append(words, "")[:2])
	case yaml.MappingNode:
		for _, e := range m.entries(n) {
			switch e.key {
			case "apt":
				for _, item := range m.list(e.value, "packages") {
					if item.Kind == yaml.MappingNode {
						m.fail(item.Line, "package %d is a name, or a list of name and version", number)
					} else {
						m.onePackage(item, number)
					}
				}
			default:
				m.warn("package %d: packages of %s are not installed here", number, shorten(e.key))
			}
		}
	default:
		if isNull(n) {
			m.fail(n.Line, "package %d is empty", number)
			return
		}
		m.addPackage(n, number, []string{m.text(n), ""})
	}
}

var validPackage = regexp.MustCompile(`^[A-Za-z0-9@/_][A-Za-z0-9@/._+:=~*^-]*$`)

// addPackage keeps words out that a package manager would take for options.
func (m module) addPackage(n *yaml.Node, number int, words []string) {
	if !validPackage.MatchString(words[0]) || words[1] != "" && !validPackage.MatchString(words[1]) {
		m.fail(n.Line, "package %d: %q is no name of a package, or no version", number, shorten(strings.TrimSpace(strings.Join(words, " "))))
		return
	}
	m.config.packages.List = append(m.config.packages.List, wire.Package{Name: words[0], Version: words[1]})
}

// apt reads apt's sources as far as they are complete; keys and proxies of it are not supported.
func (m module) apt(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		m.fail(n.Line, "a mapping is wanted here, not %s", describe(n))
		return
	}
	for _, e := range m.entries(n) {
		switch e.key {
		case "preserve_sources_list":
		case "sources":
			if e.value.Kind != yaml.MappingNode {
				m.fail(e.value.Line, "sources is a mapping by name, not %s", describe(e.value))
				continue
			}
			for _, s := range m.entries(e.value) {
				m.aptSource(s)
			}
		case "conf":
			m.config.aptSources = append(m.config.aptSources, aptFile("/etc/apt/apt.conf.d/94cloud-init-config", m.text(e.value)))
		default:
			m.warn("%s is not supported here; nothing is done about it", shorten(e.key))
		}
	}
}

func aptFile(name, text string) wire.Step {
	return wire.Step{Module: "apt_configure", Name: name, File: &wire.File{Path: name, Content: []byte(strings.TrimRight(text, "\n") + "\n"), Owner: defaultOwner, Mode: defaultMode}}
}

func (m module) aptSource(s entry) {
	name, source := s.key, ""
	for _, e := range m.entries(s.value) {
		switch e.key {
		case "source":
			source = m.text(e.value)
		case "filename":
			name = m.text(e.value)
		default:
			m.warn("source %s: %s is not supported here; nothing is done about it", shorten(s.key), shorten(e.key))
		}
	}
	if strings.ContainsAny(source, "$\n") || strings.HasPrefix(source, "ppa:") {
		m.fail(s.line, "source %s: $MIRROR, $RELEASE and ppa: are not supported: write the line out", shorten(s.key))
		return
	}
	if source == "" {
		return
	}
	if !strings.HasPrefix(name, "/") {
		name = "/etc/apt/sources.list.d/" + path.Base(path.Clean("/"+name))
	}
	if !strings.HasSuffix(name, ".list") {
		name += ".list"
	}
	m.config.aptSources = append(m.config.aptSources, aptFile(path.Clean(name), source))
}
