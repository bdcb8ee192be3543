package thread

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Functions never run on the first thread nor on one another's.
func TestGo_ThreadsOfTheirOwn(t *testing.T) {
	const n = 50
	ids, release := make(chan int, n), make(chan struct{})
	for range n {
		Go(func() {
			ids <- unix.Gettid()
			<-release
		})
	}
	seen := map[int]bool{unix.Getpid(): true}
	for range n {
		id := <-ids
		if seen[id] {
			t.Errorf("thread %d has two functions or is the first", id)
		}
		seen[id] = true
	}
	close(release)
}
