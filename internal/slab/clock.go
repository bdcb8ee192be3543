package slab

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	compareTries  = 5
	compareWithin = int64(20 * time.Microsecond)
)

// clockCheck is how long, in nanoseconds, the distance between the two clocks is
// believed: a machine that was asleep is noticed that much later.
const clockCheck = int64(100 * time.Millisecond)

var (
	began = time.Now()
	// sleep is by how much CLOCK_BOOTTIME is ahead of the time since began, which was
	// compared at checked; 0: never.
	sleep, checked atomic.Int64
)

// Boottime is CLOCK_BOOTTIME in nanoseconds: the time of all records. It goes
// on while the machine sleeps and does not jump when the clock is set. Ten times
// a second it asks the kernel; in between it goes by the monotonic clock, which
// costs no system call.
func Boottime() int64 {
	now := int64(time.Since(began))
	if at := checked.Load(); at == 0 || now-at > clockCheck {
		now = compare()
	}
	return now + sleep.Load()
}

// compare reads both clocks. A thread that is held up between the two would put the
// time forward and then back: it reads again.
func compare() (now int64) {
	for range compareTries {
		now = int64(time.Since(began))
		var ts unix.Timespec
		// The only possible errors are a bad clock or a bad pointer.
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
		sleep.Store(ts.Nano() - now)
		if int64(time.Since(began))-now < compareWithin {
			break
		}
	}
	checked.Store(max(now, 1))
	return now
}
