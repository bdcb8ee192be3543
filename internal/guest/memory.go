package guest

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// memoryLook is how often PID 1 looks for what the kernel has killed. Only instances with a limit of memory are
// looked at.
const memoryLook = time.Second

// memory tells of processes that were killed because the instance had used up its memory.
type memory struct {
	mu     sync.Mutex
	events *os.File // nil until there is a limit
	limit  int64    // bytes
	killed int      // so far
}

// watch looks at events from now on, in the place of what was given before.
func (m *memory) watch(events *os.File, limit int64, logf func(string, ...any)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	running := m.events != nil
	if running {
		m.events.Close()
	}
	m.events, m.limit = events, limit
	if !running {
		m.killed = countKilled(events)
		go func() {
			for range time.Tick(memoryLook) {
				m.look(logf)
			}
		}()
	}
}

func (m *memory) look(logf func(string, ...any)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := countKilled(m.events); n > m.killed {
		logf("out of memory: the kernel killed %d of the processes: the instance may use %d MiB", n-m.killed, m.limit>>20)
		m.killed = n
	}
}

// countKilled reads memory.events or memory.oom_control; 0 where neither says.
func countKilled(events *os.File) int {
	buf := make([]byte, 4096)
	n, _ := events.ReadAt(buf, 0) // io.EOF after the last line
	for s := bufio.NewScanner(bytes.NewReader(buf[:n])); s.Scan(); {
		if text, ok := strings.CutPrefix(s.Text(), "oom_kill "); ok {
			if n, err := strconv.Atoi(text); err == nil {
				return n
			}
		}
	}
	return 0
}
