package slab

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestBoottimeIsTheKernels compares with the kernel's clock, between whose readings it must lie
// but for what the two clocks drift apart in a tenth of a second.
func TestBoottimeIsTheKernels(t *testing.T) {
	kernel := func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
			t.Fatal(err)
		}
		return ts.Nano()
	}
	const drift = int64(time.Millisecond)
	for range 50 {
		before, got, after := kernel(), Boottime(), kernel()
		if got < before-drift || got > after+drift {
			t.Errorf("%d is not between %d and %d", got, before, after)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
