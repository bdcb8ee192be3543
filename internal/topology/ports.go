package topology

import (
	"fmt"
	"strconv"
	"strings"
)

// Ports is a range of port numbers, both ends in it.
type Ports struct{ From, To int }

// services are the names that `port` knows.
var services = map[string]int{"ssh": 22, "smtp": 25, "dns": 53, "http": 80, "ntp": 123, "https": 443, "mysql": 3306,
	"rdp": 3389, "postgresql": 5432, "redis": 6379}

// UnmarshalText reads "22", "ssh", "8000-8100" or "all".
func (p *Ports) UnmarshalText(b []byte) error {
	text := strings.ToLower(strings.TrimSpace(string(b)))
	if text == "all" {
		*p = Ports{0, 65535}
		return nil
	}
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	var err error
	if p.From, err = port(strings.TrimSpace(from)); err == nil {
		p.To, err = port(strings.TrimSpace(to))
	}
	switch {
	case err != nil:
		return textError(fmt.Sprintf("%q is no port, range of ports or known service%s", shorten(text), suggest(text, serviceNames())))
	case p.From > p.To:
		return textError(fmt.Sprintf("the range %s ends before it starts", text))
	}
	return nil
}

func port(text string) (int, error) {
	if n, ok := services[text]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err
}

func serviceNames() (names []string) {
	for name := range services {
		names = append(names, name)
	}
	return names
}

// Protocol is "tcp", "udp", "icmp", "icmpv6", "-1" for all, or a number.
type Protocol string

var protocols = map[string]Protocol{"-1": "-1", "all": "-1", "tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp",
	"icmp": "icmp", "1": "icmp", "icmpv6": "icmpv6", "58": "icmpv6", "esp": "50", "gre": "47", "ah": "51", "sctp": "132"}

// UnmarshalText reads a protocol's name or number.
func (p *Protocol) UnmarshalText(b []byte) error {
	text := strings.ToLower(string(b))
	if known, ok := protocols[text]; ok {
		*p = known
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return textError(fmt.Sprintf("%q is no protocol: tcp, udp, icmp, all or a number up to 255", shorten(text)))
	}
	*p = Protocol(strconv.Itoa(int(n)))
	return nil
}

// number is the protocol as network ACLs write it.
func (p Protocol) number() string {
	switch p {
	case "tcp":
		return "6"
	case "udp":
		return "17"
	case "icmp":
		return "1"
	case "icmpv6":
		return "58"
	}
	return string(p)
}
