package traffic

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// maxTrips bounds the round trips that are kept, more than a second's.
const maxTrips = 4 << 20

// rrServer answers every byte with one, on one connection, until the client ends it.
func rrServer(s Spec, w io.Writer) (Result, error) {
	l, err := listen(Port, s)
	if err != nil {
		return Result{}, err
	}
	fmt.Fprintln(w, Ready)
	fd, err := again(func() (int, error) { fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC); return fd, err })
	if err != nil {
		return Result{}, os.NewSyscallError("accept", err)
	}
	if err := set(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return Result{}, err
	}
	for b := make([]byte, 1); ; {
		if n, err := again(func() (int, error) { return unix.Read(fd, b) }); n == 0 || err != nil {
			return Result{}, os.NewSyscallError("read", err)
		}
		if _, err := unix.Write(fd, b); err != nil {
			return Result{}, os.NewSyscallError("write", err)
		}
	}
}

// rrClient makes round trips of one byte for the time, one at a time, and measures each.
func rrClient(s Spec, _ io.Writer) (Result, error) {
	fd, err := dial(s, Port)
	if err != nil {
		return Result{}, err
	}
	defer unix.Close(fd)
	b := make([]byte, 1)
	trips := make([]int64, maxTrips)
	clear(trips) // touched now and not while it is measured
	if _, _, err := trip(fd, b, trips, warmUp, s.Every); err != nil {
		return Result{}, err
	}
	work := busy()
	n, passed, err := trip(fd, b, trips, s.Time, s.Every)
	if err != nil {
		return Result{}, err
	}
	r := Result{Seconds: passed.Seconds(), Count: uint64(n), Busy: busy() - work}
	trips = trips[:n]
	slices.Sort(trips)
	r.P50, r.P99, r.P999 = percentile(trips, 0.5), percentile(trips, 0.99), percentile(trips, 0.999)
	return r, nil
}

// trip makes round trips for the time and returns how many. One that had to wait for the one before has begun when it was to.
func trip(fd int, b []byte, trips []int64, limit, every time.Duration) (int, time.Duration, error) {
	start := time.Now()
	last := time.Duration(0)
	for i := range trips {
		began := last
		if due := time.Duration(i) * every; every > 0 && due < last {
			began = due
		} else if every > 0 {
			time.Sleep(due - last)
			began = time.Since(start)
		}
		if _, err := unix.Write(fd, b); err != nil {
			return i, last, os.NewSyscallError("write", err)
		}
		n, err := again(func() (int, error) { return unix.Read(fd, b) })
		if n == 0 || err != nil {
			return i, last, fmt.Errorf("the connection ended: %w", os.NewSyscallError("read", err))
		}
		last = time.Since(start)
		trips[i] = int64(last - began)
		if last >= limit {
			return i + 1, last, nil
		}
	}
	return len(trips), last, nil
}

// percentile is the smallest of the sorted durations that the share p of them does not exceed, in microseconds.
func percentile(sorted []int64, p float64) float64 {
	i := int(p*float64(len(sorted))+0.999999) - 1
	return float64(sorted[min(max(i, 0), len(sorted)-1)]) / 1000
}
