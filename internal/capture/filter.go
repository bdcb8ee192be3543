package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/net/bpf"
)

// maxProgram is the number of instructions of a filter that Linux takes, too (BPF_MAXINSNS).
const maxProgram = 4096

// Program is a compiled filter for packets that begin with their IP header.
type Program []bpf.RawInstruction

// Compile makes a program of a pcap-filter(7) expression. It asks tcpdump, whose language
// that is: no Go package that has all of it can be had through the module proxy. Nothing
// is opened, and no privilege needed. An error says what is wrong with the expression, or
// which package is missing.
func Compile(ctx context.Context, expression string) (Program, error) {
	path, err := exec.LookPath("tcpdump")
	if err != nil {
		return nil, fmt.Errorf("filter %q: tcpdump, which compiles filters, is not installed: apt-get install tcpdump", expression)
	}
	cmd := exec.CommandContext(ctx, path, "-y", "RAW", "-ddd", "--", expression)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		said := strings.TrimPrefix(strings.TrimSpace(string(exit.Stderr)), "tcpdump: ")
		return nil, fmt.Errorf("filter %q: %s (the language: pcap-filter(7))", expression, said)
	}
	if err != nil {
		return nil, fmt.Errorf("filter %q: tcpdump: %w", expression, err)
	}
	p, err := parseProgram(out)
	if err == nil {
		_, err = p.Filter()
	}
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", expression, err)
	}
	return p, nil
}

// parseProgram reads what tcpdump -ddd prints: the number of instructions, then each as
// four numbers.
func parseProgram(out []byte) (Program, error) {
	r := bytes.NewReader(out)
	var n int
	if _, err := fmt.Fscan(r, &n); err != nil || n < 1 || n > maxProgram {
		return nil, fmt.Errorf("tcpdump's program of %d instructions: want 1 to %d", n, maxProgram)
	}
	p := make(Program, n)
	for i := range p {
		if _, err := fmt.Fscan(r, &p[i].Op, &p[i].Jt, &p[i].Jf, &p[i].K); err != nil {
			return nil, fmt.Errorf("tcpdump's program: instruction %d: %w", i, err)
		}
	}
	return p, nil
}

// Filter is a program that is ready to run. Any number of goroutines may use it.
type Filter struct{ vm *bpf.VM }

// Filter checks p and makes it ready to run.
func (p Program) Filter() (*Filter, error) {
	if len(p) > maxProgram {
		return nil, fmt.Errorf("%d instructions: at most %d", len(p), maxProgram)
	}
	list, ok := bpf.Disassemble(p)
	if !ok {
		return nil, errors.New("not a classic BPF program")
	}
	for _, i := range list {
		// What only a device's driver knows: direction, VLAN tag, interface number.
		if e, ok := i.(bpf.LoadExtension); ok && e.Num != bpf.ExtLen {
			return nil, errors.New("it asks for something that is not in the packet, such as inbound or outbound " +
				"(the capture has the direction of each packet: frame.packet_flags_direction)")
		}
	}
	vm, err := bpf.NewVM(list)
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	return &Filter{vm}, nil
}

// Match tells whether the filter lets a whole IP packet pass. A nil filter lets all pass.
func (f *Filter) Match(ip []byte) bool {
	if f == nil {
		return true
	}
	n, err := f.vm.Run(ip)
	return err == nil && n > 0
}
