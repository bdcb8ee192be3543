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
	var parts []string
	for i := 0; i < len(c.Spans); {
		protocol := c.Spans[i].Protocol
		reached := false
		var ports []string
		for ; i < len(c.Spans) && c.Spans[i].Protocol == protocol; i++ {
			if s := c.Spans[i]; s.Reached {
				reached = true
				if p := s.Ports(); p != "" {
					ports = append(ports, p)
				}
			}
		}
		if reached {
			parts = append(parts, strings.TrimSpace(protocol+" "+strings.Join(ports, ",")))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, "; ")
}

// Reasons says what is not reached, and why, a line each: "tcp 1-21: ENI_SG_RULES_MISMATCH".
func (c MatrixCell) Reasons() []string {
	var reasons []string
	for _, s := range c.Spans {
		if !s.Reached {
			reason := s.Reason
			if s.OnReply {
				reason += " (the answer)"
			}
			line := strings.TrimSpace(s.Protocol+" "+s.Ports()) + ": " + reason
			reasons = append(reasons, line)
		}
	}
	return reasons
}
