package vpc

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Limits are what an instance or Internet host may use of the machine, 0 being no limit (vpcemu's own). On EC2 the
// instance type sets them.
type Limits struct {
	Cpu    int   `json:",omitempty"` // thousandths of a processor
	Memory int64 `json:",omitempty"` // bytes
	Pids   int   `json:",omitempty"` // processes and threads
	// OfType takes processors and memory from the instance type where they are 0.
	OfType bool `json:",omitempty"`
}

// LimitsSpecification are Limits as requests and answers have them. What it does not name is not limited.
type LimitsSpecification struct {
	Cpus   string `json:"Cpus,omitempty"`   // processors, such as 0.5
	Memory string `json:"Memory,omitempty"` // such as 512MiB
	Pids   int    `json:"Pids,omitempty"`
	// InstanceType takes processors and memory from the instance's type where this names none.
	InstanceType bool `json:"InstanceType,omitempty"`
}

// Bounds of limits. Below the lower ones no instance would boot.
const (
	minCpu    = 10
	maxCpu    = 1024 * 1000
	minMemory = 32 << 20
	maxMemory = 1 << 45
	MinPids   = 32
	MaxPids   = 4 << 20 // the kernel's own (proc_sys_kernel(5), pid_max)
)

// ParseCpus reads a number of processors, such as 2 or 0.5, in thousandths.
func ParseCpus(s string) (int, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || f*1000 < minCpu || f*1000 > maxCpu {
		return 0, fmt.Errorf("%q is no number of processors between 0.01 and 1024", s)
	}
	return int(math.Round(f * 1000)), nil
}

// memoryUnits are bytes of each unit; the decimal ones are what disks are sold by, and taken for what they say.
var memoryUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}}

// ParseMemory reads an amount of memory, such as 512MiB or 1.5G, in bytes.
func ParseMemory(s string) (int64, error) {
	for _, u := range memoryUnits {
		number, ok := strings.CutSuffix(strings.TrimSpace(s), u.suffix)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		n := f * float64(u.bytes)
		if err != nil || math.IsNaN(n) || n < minMemory || n > maxMemory {
			break
		}
		return int64(n), nil
	}
	return 0, fmt.Errorf("%q is no amount of memory between 32MiB and 32TiB, such as 512MiB or 2GiB", s)
}

// memoryText is the shortest exact form of an amount of memory.
func memoryText(n int64) string {
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatFloat(float64(n)/(1<<10), 'f', -1, 64) + "KiB"
}

// limits reads a specification; nil limits nothing.
func (s *LimitsSpecification) limits() (l Limits, err error) {
	if s == nil {
		return l, nil
	}
	if s.Cpus != "" {
		if l.Cpu, err = ParseCpus(s.Cpus); err != nil {
			return l, errValue(s.Cpus, "cpus", err.Error())
		}
	}
	if s.Memory != "" {
		if l.Memory, err = ParseMemory(s.Memory); err != nil {
			return l, errValue(s.Memory, "memory", err.Error())
		}
	}
	if s.Pids != 0 && (s.Pids < MinPids || s.Pids > MaxPids) {
		return l, errValue(s.Pids, "pids", fmt.Sprintf("It is between %d and %d.", MinPids, MaxPids))
	}
	l.Pids, l.OfType = s.Pids, s.InstanceType
	return l, nil
}

// Specification is the form of l in requests and answers, nil where nothing is limited.
func (l Limits) Specification() *LimitsSpecification {
	if l == (Limits{}) {
		return nil
	}
	s := &LimitsSpecification{Pids: l.Pids, InstanceType: l.OfType}
	if l.Cpu > 0 {
		s.Cpus = strconv.FormatFloat(float64(l.Cpu)/1000, 'f', -1, 64)
	}
	if l.Memory > 0 {
		s.Memory = memoryText(l.Memory)
	}
	return s
}

// LimitsInForce are the instance's limits with those of its type.
func (i *Instance) LimitsInForce() Limits {
	l := i.Limits
	if t, ok := instanceTypes[i.InstanceType]; ok && l.OfType {
		if l.Cpu == 0 {
			l.Cpu = t.vcpus * 1000
		}
		if l.Memory == 0 {
			l.Memory = int64(t.memory) << 20
		}
	}
	l.OfType = false
	return l
}
