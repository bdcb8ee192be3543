package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/daemon"
	"github.com/vpcemu/vpcemu/internal/host"
)

// labFlag is the value of --lab.
var labFlag string

// The directories of all labs. Tests point them elsewhere.
func stateBase() string { return envOr("VPCEMU_STATE_DIR", "/var/lib/vpcemu") }
func runBase() string   { return envOr("VPCEMU_RUN_DIR", "/run/vpcemu") }

// absolutePaths makes paths in the environment those of the directory that the command runs in, for the
// daemon that it may start as well, which runs in none.
func absolutePaths() error {
	for _, name := range []string{"VPCEMU_STATE_DIR", "VPCEMU_RUN_DIR", "VPCEMU_GUEST", "VPCEMU_HOSTS_FILE", "VPCEMU_RESOLV_CONF"} {
		path := os.Getenv(name)
		if path == "" {
			continue
		}
		abs, err := filepath.Abs(path)
		if err == nil {
			err = os.Setenv(name, abs)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func envOr(name, value string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return value
}

// labDirs says where a lab lives.
func labDirs(lab string) daemon.Config {
	return daemon.Config{Lab: lab, StateDir: filepath.Join(stateBase(), lab), RunDir: filepath.Join(runBase(), lab),
		GuestPath: os.Getenv("VPCEMU_GUEST"), HostsFile: os.Getenv("VPCEMU_HOSTS_FILE")}
}

// labs lists the labs that have left anything on this machine.
func labs() []string {
	found := map[string]bool{}
	for _, base := range []string{stateBase(), runBase()} {
		entries, err := os.ReadDir(base)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.IsDir() && e.Name()[0] != '.' { // host.Trees is none
				found[e.Name()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// theLab is the lab that a command means: the one named, or the only one.
func theLab() (string, error) {
	if labFlag != "" {
		return labFlag, validLab(labFlag)
	}
	switch all := labs(); len(all) {
	case 0:
		return "", errors.New("there is no lab: bring one up with `vpcemu up FILE` (try `vpcemu up book`)")
	case 1:
		return all[0], nil
	default:
		return "", fmt.Errorf("there are several labs: say which with --lab: %s", strings.Join(all, ", "))
	}
}

// validLab keeps directories inside those of vpcemu.
func validLab(name string) error {
	if !host.ValidName(name) {
		return fmt.Errorf("lab %q: not a name: letters, digits, '-', '_' and '.' only, at most 64, the first a letter or digit", name)
	}
	if strings.HasSuffix(name, ".lock") { // what another lab's lock is called
		return fmt.Errorf("lab %q: a name cannot end in .lock", name)
	}
	return nil
}

func noLab(name string) error {
	return fmt.Errorf("there is no lab %s: bring it up with `vpcemu up FILE --lab %s`", name, name)
}

// client returns a client of the lab's daemon, starting the daemon where it does
// not run: a lab that is on disk comes back as it was, also after a reboot.
func client(ctx context.Context) (*control.Client, daemon.Config, error) {
	name, err := theLab()
	if err != nil {
		return nil, daemon.Config{}, err
	}
	cfg := labDirs(name)
	if err := daemon.CheckDirs(cfg); err != nil { // or there would seem to be none
		return nil, cfg, err
	}
	if _, err := os.Stat(cfg.StateDir); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, cfg, noLab(name)
		}
		return nil, cfg, err
	}
	c, err := connect(ctx, cfg, false)
	return c, cfg, err
}

// completeInstance completes the name of one instance; what follows it is a
// program's command line.
func completeInstance(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return completeInstances(cmd, args, word)
}

// completeInstances completes the names of the lab's instances that are not there yet.
func completeInstances(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	name, err := theLab()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	lab, err := control.NewClient(labDirs(name).RunDir).Lab(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, i := range lab.Instances {
		if i.State != "terminated" && !slices.Contains(args, i.Name) {
			names = append(names, i.Name+"\t"+i.State)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// findInstance finds an instance or Internet host by name or ID.
func findInstance(lab *control.Lab, name string) (control.Instance, error) {
	var found []control.Instance
	var names []string
	for _, i := range lab.Instances {
		if i.ID == name || i.Name == name && i.State != "terminated" {
			found = append(found, i)
		}
		if i.State != "terminated" {
			names = append(names, i.Name)
		}
	}
	switch len(found) {
	case 0:
		return control.Instance{}, fmt.Errorf("no instance %s in lab %s; there are: %s", name, lab.Name, strings.Join(names, ", "))
	case 1:
		return found[0], nil
	}
	return control.Instance{}, fmt.Errorf("several instances of lab %s are named %s: use the ID (%s, %s …)", lab.Name, name, found[0].ID, found[1].ID)
}
