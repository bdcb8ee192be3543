package cloudconfig

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// DefaultUser is the user of Amazon's images, which `default` stands for.
const DefaultUser = "ec2-user"

// validName keeps out of passwd(5) what would break its lines or the commands that read it.
var validName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.-]{0,31}\$?$`)

func (m module) name(n *yaml.Node, what string) (string, bool) {
	s := strings.TrimSpace(m.text(n))
	if !validName.MatchString(s) {
		m.fail(n.Line, "%q is no name for a %s", shorten(s), what)
		return "", false
	}
	return s, true
}

// groups reads groups: a text with commas, a list of texts and mappings, or a mapping of members by group.
func (m module) groups(n *yaml.Node) {
	add := func(name *yaml.Node, members []string) {
		if s, ok := m.name(name, "group"); ok {
			m.config.groups = append(m.config.groups, wire.Step{Module: "users_groups", Name: "group " + s, Group: &wire.Group{Name: s, Members: members}})
		}
	}
	mapping := func(n *yaml.Node) {
		for _, e := range m.entries(n) {
			add(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: e.key, Line: e.line}, m.commaTexts(e.value))
		}
	}
	switch n.Kind {
	case yaml.MappingNode:
		mapping(n)
	case yaml.SequenceNode:
		for _, item := range m.items(n) {
			if item.Kind == yaml.MappingNode {
				mapping(item)
			} else {
				add(item, nil)
			}
		}
	default:
		for _, s := range m.commaTexts(n) {
			add(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Line: n.Line}, nil)
		}
	}
}

// users reads users: a list of names and mappings, a mapping by name, or a text with commas.
func (m module) users(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for _, e := range m.entries(n) {
			name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: e.key, Line: e.line}
			if e.value.Kind == yaml.MappingNode {
				m.oneUser(e.value, name)
			} else if b, _ := asTruth(e.value); b {
				m.oneUser(name, nil)
			}
		}
	case yaml.SequenceNode:
		for _, item := range m.items(n) {
			switch item.Kind {
			case yaml.SequenceNode:
				for _, name := range m.items(item) {
					m.oneUser(name, nil)
				}
			default:
				m.oneUser(item, nil)
			}
		}
	default:
		for _, s := range m.commaTexts(n) {
			m.oneUser(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Line: n.Line}, nil)
		}
	}
}

// user reads the old form of saying who the default user is.
func (m module) user(n *yaml.Node) {
	if n.Kind != yaml.MappingNode && n.Kind != yaml.ScalarNode {
		m.fail(n.Line, "a name or a mapping is wanted here, not %s", describe(n))
		return
	}
	if u := m.oneUser(n, nil); u != nil && u.Name != DefaultUser {
		u.LaunchKeys, m.config.defaultUser = true, u.Name
		if len(u.Sudo) == 0 {
			u.Sudo = []string{"ALL=(ALL) NOPASSWD:ALL"}
		}
	}
}

// oneUser adds a user that is written as a name, or as a mapping; name is the one outside the mapping, or nil.
func (m module) oneUser(n, name *yaml.Node) *wire.User {
	u := &wire.User{Name: "default"}
	before := len(m.problems)
	if name != nil {
		u.Name, _ = m.name(name, "user")
	}
	switch {
	case n.Kind == yaml.ScalarNode:
		u.Name, _ = m.name(n, "user")
	case n.Kind == yaml.MappingNode:
		m.userKeys(n, u)
	default:
		m.fail(n.Line, "a user is a name or a mapping, not %s", describe(n))
	}
	if u.Name == "default" {
		u.Name = DefaultUser
		if n.Kind == yaml.ScalarNode {
			return nil // is there anyway
		}
	}
	if len(m.problems) > before {
		return nil
	}
	if (u.NoCreateHome || u.System) && len(u.Keys) > 0 {
		m.fail(n.Line, "user %s: ssh_authorized_keys need a home, which no_create_home and system leave out", u.Name)
		return nil
	}
	m.config.users = append(m.config.users, wire.Step{Module: "users_groups", Name: "user " + u.Name, User: u})
	return u
}

// userKeys reads the keys of a user (cc_users_groups.py); - and _ are the same in them.
func (m module) userKeys(n *yaml.Node, u *wire.User) {
	for _, e := range m.entries(n) {
		switch strings.TrimSpace(strings.ReplaceAll(e.key, "-", "_")) {
		case "name":
			u.Name, _ = m.name(e.value, "user")
		case "gecos":
			u.Gecos = m.field(e.value)
		case "homedir":
			u.Home = m.field(e.value)
			if !strings.HasPrefix(u.Home, "/") {
				m.fail(e.line, "homedir: %q is no absolute path", shorten(u.Home))
			}
		case "shell":
			u.Shell = m.field(e.value)
		case "primary_group":
			u.PrimaryGroup, _ = m.name(e.value, "group")
		case "groups":
			m.userGroups(e.value, u)
		case "uid":
			m.uid(e.value, u)
		case "system":
			u.System = m.truth(e.value)
		case "no_create_home":
			u.NoCreateHome = m.truth(e.value)
		case "no_user_group":
			u.NoUserGroup = m.truth(e.value)
		case "passwd":
			u.Passwd = m.field(e.value)
		case "hashed_passwd":
			u.HashedPasswd = m.field(e.value)
		case "plain_text_passwd":
			u.PlainPasswd = m.text(e.value)
		case "lock_passwd", "lock_password":
			u.Unlocked = !m.truth(e.value)
		case "sudo":
			m.sudo(e.value, u)
		case "ssh_authorized_keys":
			u.Keys = append(u.Keys, m.texts(e.value)...)
		case "no_log_init", "selinux_user", "create_groups":
		case "inactive", "expiredate", "ssh_import_id", "ssh_redirect_user", "doas", "snapuser":
			m.warn("user %s: %s is not supported here; nothing is done about it", firstOf(u.Name, "without a name"), e.key)
		default:
			m.warn("user %s: the key %q is unknown (line %d)", firstOf(u.Name, "without a name"), shorten(e.key), e.line)
		}
	}
}

// field is a text that fits a field of passwd(5) or shadow(5).
func (m module) field(n *yaml.Node) string {
	s := m.text(n)
	if strings.ContainsAny(s, ":\n\x00") {
		m.fail(n.Line, "a colon or a line end cannot be in %s", describe(n))
		return ""
	}
	return s
}

func (m module) userGroups(n *yaml.Node, u *wire.User) {
	if n.Kind == yaml.MappingNode { // deprecated, its keys are the groups
		for _, e := range m.entries(n) {
			u.Groups = append(u.Groups, e.key)
		}
	} else {
		u.Groups = m.commaTexts(n)
	}
	for _, g := range u.Groups {
		if !validName.MatchString(g) {
			m.fail(n.Line, "%q is no name for a group", shorten(g))
		}
	}
}

func (m module) uid(n *yaml.Node, u *wire.User) {
	text, _ := asText(n)
	v, err := strconv.ParseUint(text, 10, 32)
	if err != nil || v > 1<<32-2 {
		m.fail(n.Line, "uid is a number, not %s", describe(n))
		return
	}
	id := uint32(v)
	u.UID = &id
}

// sudo is a rule, a list of rules, or false for none.
func (m module) sudo(n *yaml.Node, u *wire.User) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		if b, _ := asTruth(n); b {
			m.fail(n.Line, `sudo is a rule such as "ALL=(ALL) NOPASSWD:ALL", not true`)
		}
		return
	}
	for _, rule := range m.texts(n) {
		if strings.Contains(rule, "\n") {
			m.fail(n.Line, "a rule of sudo is one line")
			return
		}
		u.Sudo = append(u.Sudo, rule)
	}
}

// hashed is how cloud-init tells a hash from a password in chpasswd's list (cc_set_passwords.py).
var hashed = regexp.MustCompile(`^\$(1|2a|2y|5|6)(\$.+){2}`)

// chpasswd reads users, a list of mappings, and list, its old form: lines of user:password.
func (m module) chpasswd(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		m.fail(n.Line, "a mapping with users and expire is wanted here, not %s", describe(n))
		return
	}
	w := &m.config.passwords
	w.Expire = true
	for _, e := range m.entries(n) {
		switch e.key {
		case "expire":
			w.Expire = m.truth(e.value)
			m.config.keepPasswords = !w.Expire
		case "users":
			for _, item := range m.list(e.value, "users") {
				m.userPassword(item)
			}
		case "list":
			lines := m.texts(e.value)
			if e.value.Kind == yaml.ScalarNode {
				lines = strings.Split(strings.Join(lines, ""), "\n")
			}
			for _, line := range lines {
				m.passwordLine(e.line, line)
			}
		default:
			m.warn("the key %q is unknown (line %d)", shorten(e.key), e.line)
		}
	}
}

func (m module) passwordLine(number int, line string) {
	if line == "" {
		return
	}
	user, password, ok := strings.Cut(line, ":")
	if !ok || !validName.MatchString(user) {
		m.fail(number, "a line of the list is user:password")
		return
	}
	kind := "text"
	switch {
	case password == "R" || password == "RANDOM":
		kind = "RANDOM"
	case hashed.MatchString(password) && !strings.Contains(password, ":"):
		kind = "hash"
	}
	m.setPassword(user, password, kind)
}

func (m module) userPassword(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		m.fail(n.Line, "a mapping with name, password and type is wanted here, not %s", describe(n))
		return
	}
	var user, password string
	kind, before := "hash", len(m.problems)
	for _, e := range m.entries(n) {
		switch e.key {
		case "name":
			user, _ = m.name(e.value, "user")
		case "password":
			password = m.text(e.value)
		case "type":
			kind = m.text(e.value)
		}
	}
	switch {
	case len(m.problems) > before:
	case user == "":
		m.fail(n.Line, "a user has no name")
	case kind != "hash" && kind != "text" && kind != "RANDOM":
		m.fail(n.Line, "type is one of hash, text and RANDOM, not %q", shorten(kind))
	case kind != "RANDOM" && password == "":
		m.fail(n.Line, "user %s has no password", user)
	case strings.ContainsAny(password, "\n\x00") || kind == "hash" && strings.Contains(password, ":"):
		m.fail(n.Line, "user %s: a password is one line, and a hash has no colon", user)
	default:
		m.setPassword(user, password, kind)
	}
}

func (m module) setPassword(user, password, kind string) {
	w := &m.config.passwords
	switch kind {
	case "text":
		w.Plain = append(w.Plain, wire.UserPassword{User: user, Password: password})
	case "hash":
		w.Hashed = append(w.Hashed, wire.UserPassword{User: user, Password: password})
	default:
		w.Random = append(w.Random, user)
	}
}

// sshPasswords reads ssh_pwauth.
func (m module) sshPasswords(n *yaml.Node) {
	if s, _ := asText(n); strings.EqualFold(s, "unchanged") {
		return
	}
	b := m.truth(n)
	m.config.passwordAuth = &b
}
