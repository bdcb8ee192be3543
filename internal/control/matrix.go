package control

import (
	"fmt"
	"strconv"
	"strings"
)

// MatrixRequest asks who reaches whom.
type MatrixRequest struct {
	// From and To are sets, as captures and flow logs name them (instances, interfaces,
	// subnets, VPCs, security groups, Internet hosts), or "internet"; empty: everybody.
	From, To []string
	// Ports are what is asked about, such as tcp/22, udp/53 or icmp; empty: all ports of TCP
	// and UDP, and ICMP echo.
	Ports []string
	// Protocol leaves the others out: tcp, udp or icmp; "" for none.
	Protocol string
}

// Matrix tells who reaches whom on which ports: packet and answer arrive, as traces see it.
type Matrix struct {
	From, To []MatrixEnd
	// Cells has a row for each of From, with a cell for each of To.
	Cells [][]MatrixCell
}

// MatrixEnd is a row or column.
type MatrixEnd struct {
	Object
	Subnet  string `json:",omitempty"`
	Private string `json:",omitempty"` // address
	Public  string `json:",omitempty"`
	// Note says why nothing is sent from here, such as that the instance is stopped.
	Note string `json:",omitempty"`
}

// MatrixCell is what one reaches of another.
type MatrixCell struct {
	Destination string `json:",omitempty"` // address that the packets went to
	// Self: the two are one; such packets never leave it.
	Self bool `json:",omitempty"`
	// Spans are ranges of ports with one verdict, in order, TCP before UDP before ICMP.
	Spans []MatrixSpan `json:",omitempty"`
}

// MatrixSpan is a range of ports with one verdict.
type MatrixSpan struct {
	Protocol string
	From, To int  `json:",omitempty"` // ports, both in it; 0 for ICMP
	Reached  bool // the packet arrives, and its answer does
	// Reason is that of the drop, on whichever way it was; Code the Reachability Analyzer's.
	Reason  string `json:",omitempty"`
	Code    string `json:",omitempty"`
	OnReply bool   `json:",omitempty"` // the answer was dropped, not the packet
}

// lastPort is the highest port.
const lastPort = 65535

// Ports is the span's range: "22", "1024-65535", "all"; "" for ICMP.
func (s MatrixSpan) Ports() string {
	switch {
	case s.To == 0:
		return ""
	case s.From <= 1 && s.To == lastPort:
		return "all"
	case s.From == s.To:
		return strconv.Itoa(s.From)
	}
	return fmt.Sprintf("%d-%d", s.From, s.To)
}

// Summary says what is reached: "tcp 22,80,1024-65535; udp all; icmp", or "-" for nothing.
func (c MatrixCell) Summary() string {
	text := c.list(func(s MatrixSpan) bool { return s.Reached })
	if text == "" {
		return "-"
	}
	return text
}

// list names the spans that are wanted, by protocol.
func (c MatrixCell) list(want func(MatrixSpan) bool) string {
	var parts []string
	last := ""
	for _, s := range c.Spans {
		switch p := s.Ports(); {
		case !want(s):
		case s.Protocol == last:
			parts[len(parts)-1] += "," + p
		default:
			parts = append(parts, strings.TrimSpace(s.Protocol+" "+p))
			last = s.Protocol
		}
	}
	return strings.Join(parts, "; ")
}

// Reasons says what is not reached, a line for each reason:
// "tcp 1-21,23-65535; udp all: ENI_SG_RULES_MISMATCH".
func (c MatrixCell) Reasons() []string {
	var lines []string
	met := map[MatrixSpan]bool{}
	for _, first := range c.Spans {
		kind := MatrixSpan{Reason: first.Reason, OnReply: first.OnReply}
		if first.Reached || met[kind] {
			continue
		}
		met[kind] = true
		reason := first.Reason
		if first.OnReply {
			reason += " (the answer)"
		}
		what := c.list(func(s MatrixSpan) bool { return !s.Reached && s.Reason == kind.Reason && s.OnReply == kind.OnReply })
		lines = append(lines, what+": "+reason)
	}
	return lines
}
