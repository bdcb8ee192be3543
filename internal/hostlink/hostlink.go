// Package hostlink is a lab's link to the network of the machine that it runs on: one TUN
// device, the routes to the lab's public addresses, a table of nftables, and forwarding on the
// interfaces that an uplink needs. Everything is made in the network namespace of the calling
// thread and outlives the process; it is found again by its label:
//
//	vpcemu0, vpcemu1, …  the device; its alias (ip link, "alias") names the lab and its run directory
//	vpcemu-LAB-HASH      the table (nft list table ip …)
//	RunDir/forwarding    the interfaces on which this lab, or one before it, switched forwarding on
//	/etc/hosts           a block between two lines that name the lab
//
// Apply and Remove can be called again after they failed or were killed. Labs take turns: a
// lock on the network namespace itself keeps them apart, whatever directories they use.
//
// Reading order: hostlink, label, survey (what the machine has), collide, device, table,
// forward, hosts, watch.
package hostlink

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
)

// Lab says whose link it is.
type Lab struct {
	Name   string
	RunDir string // absolute; the label
}

// Wish is what a lab wants of the machine's network. A Wish that neither joins nor has an
// uplink wants no link at all.
type Wish struct {
	// Pools are the lab's public prefixes; routes lead there.
	Pools []netip.Prefix
	// Address is the device's own, one of the pools'.
	Address netip.Addr
	// Join lets programs of this machine open connections to the lab.
	Join bool
	// Uplink lets packets of the lab leave by this machine's routes.
	Uplink bool
	// Allow are destinations that the lab may reach although they are private: networks
	// behind the uplink, and addresses of this machine.
	Allow []netip.Prefix
}

// Linked tells whether there is to be a device.
func (w Wish) Linked() bool { return w.Join || w.Uplink }

// Check tells, before anything is made, why Apply could not do what w wants: an address range
// that this machine or another lab uses, a kernel without nftables. For a lab that wants no
// link it tells whether its pools collide with a route of this machine: what is said of an
// address would then be true of two hosts.
func Check(lab Lab, w Wish) error {
	s, err := look()
	if err != nil {
		return err
	}
	if err := s.collision(lab, w); err != nil || !w.Linked() {
		return err
	}
	return checkTables()
}

// Apply brings the machine's network to what w wants and returns the name of the device, "" if
// there is none. What is right already is not touched, so that connections go on.
func Apply(lab Lab, w Wish) (device string, err error) {
	if !w.Linked() {
		return "", Remove(lab)
	}
	err = locked(func() error {
		s, err := look()
		if err != nil {
			return err
		}
		if err := s.collision(lab, w); err != nil {
			return err
		}
		device, err = s.ensureDevice(lab)
		if err != nil {
			return err
		}
		// The rules come before the first packet.
		if err := applyTable(lab, device, w, s.refused(lab, w)); err != nil {
			return err
		}
		if err := configure(device, w); err != nil {
			return err
		}
		return s.forward(lab, w)
	})
	if err != nil {
		return "", fmt.Errorf("link to this machine's network: %w", err)
	}
	return device, nil
}

// Remove takes everything of the lab's link off the machine, and is no error where there is
// nothing. The file of names is RemoveHosts's.
func Remove(lab Lab) error {
	err := locked(func() error {
		s, err := look()
		if err != nil {
			return err
		}
		// What it wrote down of forwarding is of no use to other labs once the device is gone.
		return errors.Join(s.release(lab), s.removeDevices(lab), removeTable(lab))
	})
	if err != nil {
		return fmt.Errorf("link to this machine's network: %w", err)
	}
	return nil
}

// Refused are the destinations that no packet of the lab leaves for by the uplink, w.Allow
// apart: private ranges, this machine's own addresses and neighbours, other labs. It changes
// when the machine's network does; see Watch.
func Refused(lab Lab, w Wish) ([]netip.Prefix, error) {
	s, err := look()
	if err != nil {
		return nil, err
	}
	return s.refused(lab, w), nil
}

// sysctl writes a setting of the network namespace, below /proc/sys/net. One that this kernel
// lacks has nothing to be set.
func sysctl(path, value string) error {
	err := os.WriteFile("/proc/sys/net/"+path, []byte(value), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("sysctl net/%s: %w", path, err)
	}
	return nil
}
