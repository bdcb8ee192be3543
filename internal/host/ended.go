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
		if !dead(st.PID) {
			return 0, Exit{}, false
		}
	}
	if cause := readCause(h.runDir(id)); cause != "" {
		return st.BootID, Exit{Cause: cause}, true
	}
	return st.BootID, Exit{Cause: ExitKilled, Detail: "while the lab's daemon was not there to see it"}, true
}

// dead tells a process of which only the exit status is left (proc_pid_stat(5)):
// its starter died, and whoever inherited it has not asked for that yet.
func dead(pid int) bool {
	fields, err := statFields(pid)
	return err != nil || fields[0] == "Z" || fields[0] == "X"
}
