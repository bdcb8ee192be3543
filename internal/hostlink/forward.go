package hostlink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The uplink needs forwarding on the interfaces by which answers come back, and on no other:
// net.ipv4.ip_forward stays as it is. A lab writes down on which it switched forwarding on
// before it does so. Another lab that needs one of those writes it down too, so that the last
// one to go switches it off again.
const forwardingFile = "forwarding"

// forward switches forwarding on where w needs it, and off where the lab needs it no longer.
func (s *survey) forward(lab Lab, w Wish) error {
	var want []string
	if w.Uplink {
		want = s.outward(w)
	}
	had, err := readForwarding(lab)
	if err != nil {
		return err
	}
	others, err := s.othersForwarding(lab)
	if err != nil {
		return err
	}
	var keep, on []string
	for _, name := range want {
		is, err := forwarding(name)
		if err != nil {
			return err
		}
		ours := slices.Contains(had, name) || slices.Contains(others, name)
		if ours || !is {
			keep = append(keep, name)
		}
		if !is {
			on = append(on, name)
		}
	}
	// Written before it is done, and the old list with it: a crash between loses nothing.
	if err := writeForwarding(lab, union(had, keep)); err != nil {
		return err
	}
	for _, name := range on {
		if err := sysctl("ipv4/conf/"+name+"/forwarding", "1"); err != nil {
			return err
		}
	}
	for _, name := range had {
		if !slices.Contains(keep, name) && !slices.Contains(others, name) {
			if err := restore(name); err != nil {
				return err
			}
		}
	}
	return writeForwarding(lab, keep)
}

// release is forward for a lab that goes.
func (s *survey) release(lab Lab) error { return s.forward(lab, Wish{}) }

// outward are the interfaces by which this machine reaches other networks, and those on which
// allowed destinations are.
func (s *survey) outward(w Wish) []string {
	var names []string
	for _, r := range s.routes {
		leads := r.gateway || r.to.Bits() < broad || slices.ContainsFunc(w.Allow, r.to.Overlaps)
		if r.device != "" && r.device != "lo" && !s.labelled(r.device) && leads {
			names = append(names, r.device)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// othersForwarding are the interfaces that other labs with a device here have written down.
func (s *survey) othersForwarding(lab Lab) (names []string, err error) {
	for _, d := range s.devices {
		if d.lab.RunDir == lab.RunDir {
			continue
		}
		theirs, err := readForwarding(d.lab)
		if err != nil {
			return nil, err
		}
		names = union(names, theirs)
	}
	return names, nil
}

// restore switches forwarding off, unless somebody has switched it on for the whole machine
// meanwhile, or the interface has gone.
func restore(name string) error {
	if all, err := forwarding("all"); err != nil || all {
		return err
	}
	return sysctl("ipv4/conf/"+name+"/forwarding", "0")
}

// forwarding tells whether packets that come in by the interface are forwarded. It is off for
// one that does not exist.
func forwarding(name string) (bool, error) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/conf/" + name + "/forwarding")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("sysctl net/ipv4/conf/%s/forwarding: %w", name, err)
	}
	return strings.TrimSpace(string(b)) == "1", nil
}

func readForwarding(lab Lab) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(lab.RunDir, forwardingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// What is no name of an interface would become another path of /proc.
	return slices.DeleteFunc(strings.Fields(string(b)), func(s string) bool { return strings.Contains(s, "/") || s == "all" || s == "default" }), nil
}

// writeForwarding replaces the list in one step; an empty one is no file.
func writeForwarding(lab Lab, names []string) error {
	path := filepath.Join(lab.RunDir, forwardingFile)
	if len(names) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if was, err := readForwarding(lab); err == nil && slices.Equal(was, names) {
		return nil
	}
	if err := os.WriteFile(path+".new", []byte(strings.Join(names, "\n")+"\n"), 0o600); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	return os.Rename(path+".new", path)
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
