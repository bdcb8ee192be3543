package host

// Ended tells how an instance ended of which only files are left: the number of
// the boot that ended, and its cause. ok is false where the machine itself was
// restarted since, where the instance never was up, and where it still runs.
func (h *Host) Ended(id string) (boot int, exit Exit, ok bool) {
	if !validName(id) {
		return 0, Exit{}, false
	}
	st, err := readState(h.runDir(id))
	if err != nil || st.KernelBoot != kernelBoot() {
		return 0, Exit{}, false
	}
	if p, err := openProcess(st.PID, st.StartTime); err == nil {
		p.close()
		return 0, Exit{}, false
	}
	if cause := readCause(h.runDir(id)); cause != "" {
		return st.BootID, Exit{Cause: cause}, true
	}
	return st.BootID, Exit{Cause: ExitKilled, Detail: "while the lab's daemon was not there to see it"}, true
}
