// Package thread runs functions on operating system threads of their own, for what the kernel keeps by thread:
// namespaces and capabilities.
package thread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Go runs f on a thread that nothing else runs on, now or later, so that f may enter namespaces and give up
// capabilities for good: the thread ends with f.
//
// It is never the process's first thread. That one cannot end, and the kernel takes it for the whole process:
// /proc/PID would show its namespaces, /proc/self/mountinfo a copy of the mounts that nobody changes any more.
func Go(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		elsewhere := make(chan struct{})
		go func() { // while this goroutine keeps the first thread
			runtime.LockOSThread()
			close(elsewhere)
			f()
		}()
		<-elsewhere
		runtime.UnlockOSThread()
	}()
}
