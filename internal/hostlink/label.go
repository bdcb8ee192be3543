package hostlink

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// prefix of the devices' names; those with a label are labs'.
const prefix = "vpcemu"

// maxAlias is the longest alias of a device in bytes (IFALIASZ, with its end).
const maxAlias = 255

// label is the text of a device's alias.
type label struct {
	Lab    string `json:"vpcemu"`
	RunDir string `json:"run"`
}

func (l Lab) label() (string, error) {
	text, err := json.Marshal(label{l.Name, l.RunDir})
	if err != nil {
		return "", err
	}
	if len(text) > maxAlias {
		return "", fmt.Errorf("run directory %s: too long for the label of a device: choose a shorter one with VPCEMU_RUN_DIR", l.RunDir)
	}
	return string(text), nil
}

// readLabel tells whose device has the alias.
func readLabel(alias string) (Lab, bool) {
	var l label
	if json.Unmarshal([]byte(alias), &l) != nil || l.Lab == "" || l.RunDir == "" {
		return Lab{}, false
	}
	return Lab{l.Lab, l.RunDir}, true
}

// locked runs f while no other lab changes the network namespace of this thread: the lock is
// on the namespace, and goes with the process.
func locked(f func() error) error {
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer ns.Close()
	for {
		err := unix.Flock(int(ns.Fd()), unix.LOCK_EX)
		if err == nil {
			return f()
		}
		if err != unix.EINTR {
			return &os.PathError{Op: "lock", Path: ns.Name(), Err: err}
		}
	}
}
