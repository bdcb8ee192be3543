package wire

// Plan is user data as PID 1 carries it out; package cloudconfig makes it. Steps run in their order, and one that
// fails does not keep the next from running (cloud-init does the same).
type Plan struct {
	// Kind says in a word what the user data is: script, cloud-config, archive of parts, or data that is for
	// the instance's programs alone.
	Kind string
	// Warnings are remarks about what is not done, for the log and the user.
	Warnings []string `json:",omitempty"`
	// Failures are modules and parts that cannot be carried out for what is written in them.
	Failures []string `json:",omitempty"`
	// Hostname and FQDN are in force at every boot, in place of what DHCP says.
	Hostname string `json:",omitempty"`
	FQDN     string `json:",omitempty"`
	// PreserveHostname leaves alone the name that the disk has.
	PreserveHostname bool `json:",omitempty"`

	EveryBoot []Step `json:",omitempty"` // before the services start, at each boot: boothooks, bootcmd
	Init      []Step `json:",omitempty"` // after those, once in the life of a disk
	Final     []Step `json:",omitempty"` // once, when the services have been started
	LastBoot  []Step `json:",omitempty"` // after Final, at each boot: scripts per boot
	// Message is written when all is done, with $UPTIME, $TIMESTAMP, $VERSION and $DATASOURCE replaced.
	Message string      `json:",omitempty"`
	Power   *PowerState `json:",omitempty"`
}

// OnlyScripts tells whether there is nothing to do before the services are started.
func (p *Plan) OnlyScripts() bool { return p == nil || len(p.EveryBoot) == 0 && len(p.Init) == 0 }

// Step is one thing to do: exactly one of the pointers is set.
type Step struct {
	Module string // cloud-init's name: write_files, runcmd…
	Name   string // what it is about, for messages: "/etc/motd", "user alice"

	File     *File      `json:",omitempty"`
	Group    *Group     `json:",omitempty"`
	User     *User      `json:",omitempty"`
	Keys     *Keys      `json:",omitempty"`
	Password *Passwords `json:",omitempty"`
	Timezone string     `json:",omitempty"`
	Packages *Packages  `json:",omitempty"`
	Script   *Script    `json:",omitempty"`
}

// File is an entry of write_files. Missing folders are made.
type File struct {
	Path    string
	Content []byte
	Owner   string // user:group
	Mode    uint32
	Append  bool `json:",omitempty"`
}

// Group is a group, made unless there is one, and members to add to it.
type Group struct {
	Name    string
	Members []string `json:",omitempty"`
}

// User is an entry of users. Of an account that is there, only passwords, keys and sudo rules are changed, as
// by cloud-init (Distro.create_user).
type User struct {
	Name, Gecos, Home, Shell string   `json:",omitempty"`
	PrimaryGroup             string   `json:",omitempty"`
	Groups                   []string `json:",omitempty"`
	UID                      *uint32  `json:",omitempty"`
	System                   bool     `json:",omitempty"`
	NoCreateHome             bool     `json:",omitempty"`
	NoUserGroup              bool     `json:",omitempty"`
	Passwd                   string   `json:",omitempty"` // hash, for a new account
	HashedPasswd             string   `json:",omitempty"` // hash
	PlainPasswd              string   `json:",omitempty"`
	Unlocked                 bool     `json:",omitempty"` // lock_passwd: false
	Sudo                     []string `json:",omitempty"`
	Keys                     []string `json:",omitempty"`
	LaunchKeys               bool     `json:",omitempty"` // those of the instance's key pair, too
}

// Keys are public keys for ec2-user, or whoever stands in for it, and root. DisableRoot makes root's tell the
// caller to log in as the user.
type Keys struct {
	User        string
	Keys        []string `json:",omitempty"`
	DisableRoot bool     `json:",omitempty"`
}

// Passwords are those of chpasswd.
type Passwords struct {
	Plain  []UserPassword `json:",omitempty"`
	Hashed []UserPassword `json:",omitempty"`
	Random []string       `json:",omitempty"` // users whose password is drawn, and shown on the console
	Expire bool           `json:",omitempty"` // to be changed at the first log-in
}

// UserPassword is a user's password or its hash.
type UserPassword struct{ User, Password string }

// Packages are installed with the package manager that the root has.
type Packages struct {
	Update, Upgrade  bool      `json:",omitempty"`
	RebootIfRequired bool      `json:",omitempty"`
	List             []Package `json:",omitempty"`
}

// Package is a package's name, and its version unless any will do.
type Package struct {
	Name    string
	Version string `json:",omitempty"`
}

// Script is a program of the user's: written to Path, a name below /var/lib/cloud/instance, and run as root.
type Script struct {
	Path string
	Body []byte
	// Entries are the commands that Body consists of, by number from 1, for messages about those that failed.
	Entries []string `json:",omitempty"`
}

// PowerState is what follows when all is done.
type PowerState struct {
	Mode    string // poweroff, reboot or halt
	Delay   int    `json:",omitempty"` // minutes
	Message string `json:",omitempty"`
	// Never is a condition of false; Condition is a command that has to succeed, empty for none.
	Never     bool     `json:",omitempty"`
	Condition []string `json:",omitempty"`
}
