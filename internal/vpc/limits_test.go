package vpc

import (
	"slices"
	"testing"
)

func TestParseMemoryAndCpus(t *testing.T) {
	for text, want := range map[string]int64{"512MiB": 512 << 20, "1GiB": 1 << 30, "1.5G": 3 << 29, "64M": 64 << 20, "100 MB": 100e6, "33554432": 0,
		"31MiB": 0, "": 0, "x": 0, "MiB": 0, "-1GiB": 0, "NaNGiB": 0, "1e9TiB": 0, "1 PiB": 0} {
		if got, err := ParseMemory(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for text, want := range map[string]int{"2": 2000, "0.5": 500, "1.5": 1500, "0.01": 10, "0.001": 0, "0": 0, "-1": 0, "": 0, "NaN": 0, "Inf": 0, "all": 0} {
		if got, err := ParseCpus(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestLimits_SpecificationIsReadBack(t *testing.T) {
	for _, l := range []Limits{{Cpu: 10}, {Cpu: 1500, Memory: 512 << 20}, {Memory: 100e6}, {Memory: 32<<20 + 1}, {Pids: 99, OfType: true}} {
		got, err := l.Specification().limits()
		if err != nil || got != l {
			t.Errorf("%+v by way of %+v: %+v, %v", l, l.Specification(), got, err)
		}
	}
	if (Limits{}).Specification() != nil {
		t.Error("no limits have a form")
	}
}

func TestLimits_OfTheInstanceType(t *testing.T) {
	i := &Instance{InstanceType: "t3.nano", Limits: Limits{OfType: true, Cpu: 500}}
	if got := i.LimitsInForce(); got != (Limits{Cpu: 500, Memory: 512 << 20}) {
		t.Errorf("%+v", got)
	}
	i.Limits.OfType = false
	if got := i.LimitsInForce(); got != (Limits{Cpu: 500}) {
		t.Errorf("%+v", got)
	}
}

func FuzzParseMemory(f *testing.F) {
	f.Add("1.5GiB")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseMemory(s); err == nil && (n < minMemory || n > maxMemory) {
			t.Errorf("%q is %d", s, n)
		}
		if n, err := ParseCpus(s); err == nil && (n < minCpu || n > maxCpu) {
			t.Errorf("%q is %d", s, n)
		}
	})
}

// A type's processors make up its vCPUs; which threads a core may have is told of types that take CPU options (EC2
// User Guide, Supported CPU options).
func TestInstanceTypes_Processors(t *testing.T) {
	for name, i := range instanceTypes {
		c := i.cpu(name)
		if c.DefaultCores < 1 || c.DefaultCores*c.DefaultThreadsPerCore != c.DefaultVCpus {
			t.Errorf("%s: %+v", name, c)
		}
	}
	tx := emptyLab(t)
	for name, want := range map[string]struct {
		threads int
		valid   []int
	}{"t3.micro": {2, []int{1, 2}}, "m5.large": {2, []int{1, 2}}, "c7a.large": {1, []int{1}}, "m7g.large": {1, []int{1}}, "t2.large": {1, nil}, "m7g.medium": {1, nil}} {
		got := must(tx.DescribeInstanceTypes(&DescribeInstanceTypesInput{InstanceTypes: []string{name}})).InstanceTypes[0].VCpuInfo
		if got.DefaultThreadsPerCore != want.threads || !slices.Equal(got.ValidThreadsPerCore, want.valid) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	both := must(tx.DescribeInstanceTypes(&DescribeInstanceTypesInput{Filters: []Filter{{"vcpu-info.valid-threads-per-core", []string{"2"}}, {"instance-type", []string{"t3.micro", "c7a.large"}}}})).InstanceTypes
	if len(both) != 1 || both[0].InstanceType != "t3.micro" {
		t.Errorf("two threads a core: %v", both)
	}
}
