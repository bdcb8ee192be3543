package record

import (
	"net/netip"
	"strconv"
)

// Status is what a record says of its window (FL-04).
type Status uint8

const (
	OK       Status = iota // the record is of packets
	NoData                 // the interface had no traffic that the log wants
	SkipData               // records of the interface are missing
)

func (s Status) String() string {
	switch s {
	case NoData:
		return "NODATA"
	case SkipData:
		return "SKIPDATA"
	}
	return "OK"
}

// Interface is what records say of a network interface. What it has not, such as the
// instance of a NAT gateway's (EN-07), is "".
type Interface struct {
	ID       string // eni-…
	Account  string
	Region   string
	ZoneID   string // apne1-az1
	VPC      string
	Subnet   string
	Instance string
}

// Traffic paths of packets that leave an interface (FL-08). Others need what vpcemu
// has not.
const (
	PathNone     uint8 = 0 // "-"
	PathVPC      uint8 = 1 // through the VPC itself, also to another interface of it
	PathIGW      uint8 = 2 // through an Internet gateway, from an instance not built on Nitro
	PathIGWNitro uint8 = 8 // through an Internet gateway
)

// Record is one line of a flow log: what one interface saw of one flow in one
// direction with one action in one window (FL-03). With a Status other than OK only
// Interface, Start and End count.
type Record struct {
	Status    Status
	Interface *Interface
	// Src and Dst are the flow's addresses with the interface's primary private IPv4 on
	// its side; PktSrc and PktDst the packet's own (FL-06).
	Src, Dst, PktSrc, PktDst netip.Addr
	SrcPort, DstPort         uint16 // 0 of protocols without ports, ICMP among them
	Protocol                 uint8  // IANA's number
	TCPFlags                 uint8  // FL-07
	Packets, Bytes           uint64
	// Start and End are Unix seconds of the first and the last packet, or of the window.
	Start, End int64
	Reject     bool
	Egress     bool
	Path       uint8
}

func appendAddr(dst []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return dst
	}
	return a.AppendTo(dst)
}

func appendPath(dst []byte, path uint8) []byte {
	if path == PathNone {
		return dst
	}
	return strconv.AppendUint(dst, uint64(path), 10)
}
