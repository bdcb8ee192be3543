// Package wire holds what the host and PID 1 of an instance say to one another: the configuration that is
// handed over once, and the messages of the instance's control socket.
//
// The guest program is started with a fixed set of descriptors (the FD constants). It reads one Config as
// JSON, sets the instance up, writes one Report as JSON, and from then on answers on the control socket.
// The socket is of type SOCK_SEQPACKET: a message is one packet, descriptors travel with the message they
// belong to, and a connection carries one request (an exec also carries its signals).
package wire

import (
	"fmt"
	"net/netip"
	"time"
)

// Descriptors that PID 1 is born with.
const (
	FDSocket = 3 + iota // listening control socket
	FDConfig            // read end of the pipe that carries the Config
	FDReport            // write end of the pipe that takes the Report
	FDExit              // file that takes the cause of the exit, one of the Cause constants
)

// Argv0 is how an instance's PID 1 names itself; the arguments after it are the label by which the host
// recognises the process (see Label).
const Argv0 = "vpcemu-guest"

// Label is the argument vector of PID 1. It names the lab by its run directory, because two hosts' labs may
// have the same name but never share a run directory.
func Label(lab, runDir, id string) []string {
	return []string{Argv0, "--lab", lab, "--run", runDir, "--id", id}
}

// ParseLabel takes Label apart again; ok is false for anything else.
func ParseLabel(argv []string) (lab, runDir, id string, ok bool) {
	if len(argv) != 7 || argv[0] != Argv0 || argv[1] != "--lab" || argv[3] != "--run" || argv[5] != "--id" {
		return "", "", "", false
	}
	return argv[2], argv[4], argv[6], true
}

// What ended an instance, as PID 1 writes it to FDExit.
const (
	CausePoweroff = "poweroff" // from inside
	CauseReboot   = "reboot"   // from inside
	CauseStop     = "stop"     // from outside: SIGTERM or a stop request
)

// NIC is one network interface of an instance. Its name inside is eth<DeviceIndex>.
type NIC struct {
	Handle      uint32
	DeviceIndex int
	Ethernet    bool   // TAP, else TUN
	MAC         string // of a TAP; a TUN has none
	MTU         int    // bytes; 0 leaves the kernel's 1500
	// Static is the address of an interface without DHCP; invalid means DHCP.
	Static netip.Prefix
}

// Name is the interface's name inside the instance.
func (n NIC) Name() string { return fmt.Sprintf("eth%d", n.DeviceIndex) }

// Config is everything that PID 1 needs to know. Paths are the host's.
type Config struct {
	Lab, ID, Name string
	// Hostname is the name without domain; empty takes the one that DHCP gives on eth0.
	Hostname string
	// Resolvers are the name servers of an instance that gets none by DHCP.
	Resolvers []netip.Addr
	// Root is an empty directory in which the new root is put together.
	Root string
	// Disk is the directory of the instance's disk (package disk).
	Disk string
	// Tree is the directory that the disk lies over; empty means the host's root.
	Tree string `json:",omitempty"`
	// ReadOnly makes the root read-only but for /etc, /home, /root, /tmp, /var and what is no file system.
	ReadOnly bool `json:",omitempty"`
	// Cgroups are the control groups of the instance that it sees, read-only.
	Cgroups []Cgroup `json:",omitempty"`
	// Hidden are directories of the host that appear empty inside, where the host's root is shown.
	Hidden         []string
	NICs           []NIC
	UserData       []byte // as it was given
	Plan           *Plan  // what it comes to
	AuthorizedKeys []string
	// PrivateKeys are OpenSSH private keys by file name, for the .ssh directories of root and ec2-user.
	PrivateKeys map[string]string
	// HostKeys are for an sshd whose disk has none of the type yet.
	HostKeys []HostKey
	// Devices are further device nodes of the host, such as /dev/net/tun.
	Devices []string
	// Notes are remarks of the host's for the user, repeated in Status.
	Notes []string
}

// Cgroup is a directory of the host's that shows in /sys/fs/cgroup: of that name, or as that itself if there is none.
type Cgroup struct {
	Dir, Name string
}

// HostKey is an SSH host key: Type as in ssh_host_TYPE_key, the files' contents.
type HostKey struct {
	Type, Private, Public string
}

// Report is PID 1's answer to its Config. Step and Error are empty when the instance is up.
type Report struct {
	Step, Error string
}

// Operations of a Request.
const (
	OpStatus = "status" // Reply.Status
	OpReady  = "ready"  // answered when every address is there and the units are started
	OpQueues = "queues" // Reply.Handles, with one descriptor each
	OpAttach = "attach" // NIC; answered with its queue descriptor
	OpDetach = "detach" // Handle
	OpExec   = "exec"   // Exec, with three descriptors unless TTY; see Exec
	OpSignal = "signal" // Signal, on the connection of an exec
	OpMemory = "memory" // Memory, with the descriptor of the file where the kernel counts what it kills for want of it
	OpStop   = "stop"   // Grace; answered at once, the instance then ends
)

// Request is a message to PID 1.
type Request struct {
	Op     string
	NIC    *NIC          `json:",omitempty"`
	Handle uint32        `json:",omitempty"`
	Exec   *Exec         `json:",omitempty"`
	Signal int           `json:",omitempty"`
	Grace  time.Duration `json:",omitempty"`
	Memory int64         `json:",omitempty"` // bytes
}

// Reply is a message from PID 1. Error is empty on success.
type Reply struct {
	Error   string   `json:",omitempty"`
	Status  *Status  `json:",omitempty"`
	Handles []uint32 `json:",omitempty"`
	// Started answers an exec; with TTY the terminal's master comes with it.
	Started bool    `json:",omitempty"`
	Exited  *Exited `json:",omitempty"`
}

// Exec asks for a program to be run. Without TTY the request carries its standard input, output and error.
// With TTY, PID 1 opens a terminal and sends the master back with the Started reply. The connection stays
// open until the Exited reply; when the client closes it earlier, the program's process group gets SIGHUP.
type Exec struct {
	Argv []string // empty runs the user's login shell
	Env  []string // added to the user's environment, NAME=value
	Dir  string   // empty means the user's home
	User string   // name or number; empty means root
	TTY  bool
	Term string // TERM of the terminal
	Rows uint16
	Cols uint16
}

// Exited is how a program ended: Signal is 0 if it exited with Code. A program that could not be started has
// Code 127 (not found) or 126, as a shell reports it, and the reason in Reply.Error.
type Exited struct {
	Code   int
	Signal int
}

// States of an instance in Status.
const (
	StateBooting  = "booting"
	StateReady    = "ready"
	StateStopping = "stopping"
)

// Status is what PID 1 knows about its instance.
type Status struct {
	State    string
	Hostname string
	NICs     []NICStatus
	UserData UserDataStatus
	Units    []string // enabled units that failed to start at boot, each with its problem
	HostKeys []string // public SSH host keys, in known_hosts form without the host
	Notes    []string // remarks for the user
}

// NICStatus is one interface and its addressing.
type NICStatus struct {
	Handle uint32
	Name   string
	// Addr is the address in use; invalid while there is none.
	Addr    netip.Prefix
	Router  netip.Addr
	DNS     []netip.Addr
	Expires time.Time // end of the lease; zero for a static address
	// Problem is the last one that the DHCP client or the set-up of its lease met.
	Problem string
}

// States of UserDataStatus.
const (
	UserDataNone    = "none"
	UserDataPending = "pending"
	UserDataRunning = "running"
	UserDataDone    = "done"   // ended, and every step succeeded
	UserDataFailed  = "failed" // Problem says how
)

// UserDataStatus is the result of the user data, which runs once in the life of a disk.
type UserDataStatus struct {
	State   string
	Code    int    // exit status of the script that failed
	Problem string // empty unless failed
	// Warnings tell what was not done, and commands of a list that failed.
	Warnings []string `json:",omitempty"`
}
