package unit

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Rlimit is one resource limit (setrlimit(2)); RLIM_INFINITY is ^uint64(0).
type Rlimit struct {
	Resource int
	Cur, Max uint64
}

// SpawnSpec is a process to be made. All of it is to be in force before the program runs.
type SpawnSpec struct {
	Path string   // program, absolute
	Argv []string // with argv[0], which may differ from Path
	Env  []string // the whole environment
	Dir  string   // working directory
	// UID, GID and Groups are set if Credentials is true; otherwise the process stays what PID 1 is.
	Credentials bool
	UID, GID    uint32
	Groups      []uint32
	Rlimits     []Rlimit
	// Umask is set unless it is negative.
	Umask int
	// Stdin, Stdout and Stderr are never nil. They belong to the manager, which closes them after Spawn.
	Stdin, Stdout, Stderr *os.File
	// Setsid puts the process in a session of its own.
	Setsid bool
}

// Config of a Manager. Only Spawn is required.
type Config struct {
	// Spawn makes a process. exited yields the wait status once, when the process has been
	// reaped; it must have room for it, since nobody may be listening. PID 1
	// owns the only wait loop of its namespace, so the manager never forks or waits itself.
	Spawn func(SpawnSpec) (pid int, exited <-chan syscall.WaitStatus, err error)
	// Watch reports the end of a process that PID 1 did not spawn but will reap: the daemon that a
	// Type=forking service left behind. Nil: its end is seen through a pidfd, its status is not.
	Watch func(pid int) (exited <-chan syscall.WaitStatus, err error)
	// Power is asked for poweroff, reboot and halt; nil: these commands fail.
	Power func(action string) error
	// At is Power at a later time, with a message to those who are logged in; the zero time takes it back.
	At func(action string, at time.Time, message string) error
	// Root is prepended to every path that the manager itself opens; "" in an instance. Processes do not
	// get it as their root.
	Root string
	// Enabled names the services that start at boot unless they are disabled inside the instance.
	Enabled []string
	// Env is the environment that every service starts from; nil means PATH and LANG.
	Env []string
	// StopTimeout and StartTimeout replace systemd's default of 90 s, for units without their own.
	StartTimeout, StopTimeout time.Duration
	// Logf, if set, is told what has no unit's log to go to.
	Logf func(format string, args ...any)
}

// Paths below Root.
const (
	// SocketPath is where systemctl finds PID 1.
	SocketPath = "/run/vpcemu/init.sock"
	// LogDir holds NAME.log, a unit's output and what the manager did with it.
	LogDir = "/var/log/vpcemu"

	enabledDir = "/var/lib/vpcemu/enabled"
	notifyDir  = "/run/vpcemu/notify"
)

// unitDirs in order of precedence (systemd.unit(5)).
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

const (
	adminDir       = "/etc/systemd/system"
	defaultTimeout = 90 * time.Second
)

func (c *Config) path(p string) string { return filepath.Join(c.Root, p) }

func (c *Config) setDefaults() {
	if c.Env == nil {
		c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = defaultTimeout
	}
	if c.StopTimeout <= 0 {
		c.StopTimeout = defaultTimeout
	}
	if c.Watch == nil {
		c.Watch = watchPidfd
	}
	if c.Logf == nil {
		c.Logf = func(string, ...any) {}
	}
}
