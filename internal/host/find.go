package host

import (
	"os"
	"path/filepath"
)

// Find gives the ID of a running instance by its ID or name, from what a lab has
// on the machine alone; it needs neither daemon nor Host.
func Find(runDir, name string) (id string, ok bool) {
	entries, err := os.ReadDir(filepath.Join(runDir, "instances"))
	if err != nil {
		return "", false
	}
	for _, e := range entries {
		st, err := readState(runDirOf(runDir, e.Name()))
		if err != nil || st.KernelBoot != kernelBoot() || e.Name() != name && st.Name != name {
			continue
		}
		if p, err := openProcess(st.PID, st.StartTime); err == nil {
			p.close()
			return e.Name(), true
		}
	}
	return "", false
}
