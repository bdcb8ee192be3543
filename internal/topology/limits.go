package topology

import (
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Cpus is a number of processors, in thousandths.
type Cpus int

// UnmarshalText reads "2" or "0.5".
func (c *Cpus) UnmarshalText(b []byte) error {
	n, err := vpc.ParseCpus(string(b))
	if err != nil {
		return textError(err.Error())
	}
	*c = Cpus(n)
	return nil
}

// Memory is an amount of memory in bytes.
type Memory int64

// UnmarshalText reads "512MiB".
func (m *Memory) UnmarshalText(b []byte) error {
	n, err := vpc.ParseMemory(string(b))
	if err != nil {
		return textError(err.Error())
	}
	*m = Memory(n)
	return nil
}

func (o *Instance) limits() vpc.Limits {
	return vpc.Limits{Cpu: int(o.Cpus.V), Memory: int64(o.Memory.V), Pids: o.Pids.V, OfType: o.InstanceTypeLimits.V}
}

func (o *InternetHost) limits() vpc.Limits {
	return vpc.Limits{Cpu: int(o.Cpus.V), Memory: int64(o.Memory.V), Pids: o.Pids.V}
}

// specification is that of limits for an operation that has to be told also that there are none.
func specification(l vpc.Limits) *vpc.LimitsSpecification {
	if s := l.Specification(); s != nil {
		return s
	}
	return &vpc.LimitsSpecification{}
}
