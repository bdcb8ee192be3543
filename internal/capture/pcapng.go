package capture

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

var le = binary.LittleEndian

// Block types (draft-ietf-opsawg-pcapng, section 11.1).
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockStatistics = 5
	blockPacket     = 6
)

// Options: of all blocks, then of the section, interface, packet and statistics blocks
// (sections 3.5, 4.1, 4.2, 4.3 and 4.6).
const (
	optEnd     = 0
	optComment = 1

	sectionApplication = 4

	interfaceName        = 2
	interfaceDescription = 3
	interfaceResolution  = 9
	interfaceFilter      = 11

	packetFlags = 2
	packetDrops = 4
	packetID    = 5

	statisticsReceived = 4
	statisticsDropped  = 5
)

const (
	byteOrder = 0x1a2b3c4d
	// linkRaw is LINKTYPE_RAW: the packet begins with its IPv4 or IPv6 header.
	linkRaw = 101
	// nanoseconds is if_tsresol for 10^-9 seconds.
	nanoseconds = 9
	// maxOption is the length in bytes of an option's value.
	maxOption = 1<<16 - 1
)

// Direction is which way a packet goes, as seen from the interface. Values are those of
// the two lowest bits of epb_flags.
type Direction uint8

// Directions.
const (
	Inbound  Direction = 1
	Outbound Direction = 2
)

func (d Direction) String() string {
	if d == Outbound {
		return "out"
	}
	return "in"
}

// Interface is one place where packets are seen. Timestamps are in nanoseconds, packets
// begin with their IP header.
type Interface struct {
	Name        string
	Description string
	Filter      string // pcap-filter(7) expression, "" for none
	Snap        int    // bytes kept of each packet, 0: all
}

// Packet is one packet as an interface saw it.
type Packet struct {
	Interface int    // number, in the order in which interfaces were written
	Time      int64  // nanoseconds since 1970-01-01 UTC
	ID        uint64 // the same at every interface that saw the packet
	Direction Direction
	Data      []byte // what is kept of it
	Length    int    // its whole length in bytes
	Skipped   uint64 // packets that were lost before it
	Comment   string // what is above 65535 bytes is cut off
}

// Statistics are of one interface, written when a capture ends.
type Statistics struct {
	Interface int
	Time      int64 // as in Packet
	Received  uint64
	Dropped   uint64
	Comment   string
}

// AppendSection begins a pcapng stream: everything is little-endian, and the length of
// the section is left open (draft-ietf-opsawg-pcapng 4.1).
func AppendSection(dst []byte, comment string) []byte {
	dst, start := begin(dst, blockSection)
	dst = le.AppendUint32(dst, byteOrder)
	dst = le.AppendUint16(dst, 1)
	dst = le.AppendUint16(dst, 0)
	dst = le.AppendUint64(dst, 1<<64-1)
	dst = text(dst, optComment, comment)
	dst = text(dst, sectionApplication, "vpcemu")
	return finish(dst, start)
}

// AppendInterface adds an interface block (4.2). The first has number 0.
func AppendInterface(dst []byte, i Interface) []byte {
	dst, start := begin(dst, blockInterface)
	dst = le.AppendUint16(dst, linkRaw)
	dst = le.AppendUint16(dst, 0)
	dst = le.AppendUint32(dst, uint32(i.Snap))
	dst = text(dst, interfaceName, i.Name)
	dst = text(dst, interfaceDescription, i.Description)
	dst = option(dst, interfaceResolution, []byte{nanoseconds})
	if i.Filter != "" {
		dst = text(dst, interfaceFilter, "\x00"+i.Filter) // 0: as libpcap takes it
	}
	return finish(dst, start)
}

// AppendPacket adds an enhanced packet block (4.3).
func AppendPacket(dst []byte, p *Packet) []byte {
	dst, start := begin(dst, blockPacket)
	dst = le.AppendUint32(dst, uint32(p.Interface))
	dst = timestamp(dst, p.Time)
	dst = le.AppendUint32(dst, uint32(len(p.Data)))
	dst = le.AppendUint32(dst, uint32(p.Length))
	dst = pad(append(dst, p.Data...), len(p.Data))
	dst = text(dst, optComment, p.Comment)
	dst = option(dst, packetFlags, le.AppendUint32(nil, uint32(p.Direction)))
	if p.Skipped > 0 {
		dst = option(dst, packetDrops, le.AppendUint64(nil, p.Skipped))
	}
	dst = option(dst, packetID, le.AppendUint64(nil, p.ID))
	return finish(dst, start)
}

// AppendStatistics adds an interface statistics block (4.6).
func AppendStatistics(dst []byte, s Statistics) []byte {
	dst, start := begin(dst, blockStatistics)
	dst = le.AppendUint32(dst, uint32(s.Interface))
	dst = timestamp(dst, s.Time)
	dst = text(dst, optComment, s.Comment)
	dst = option(dst, statisticsReceived, le.AppendUint64(nil, s.Received))
	dst = option(dst, statisticsDropped, le.AppendUint64(nil, s.Dropped))
	return finish(dst, start)
}

// begin writes a block's type and keeps room for its length.
func begin(dst []byte, kind uint32) (longer []byte, start int) {
	start = len(dst)
	dst = le.AppendUint32(dst, kind)
	return le.AppendUint32(dst, 0), start
}

// finish ends a block's options and writes its length at both ends.
func finish(dst []byte, start int) []byte {
	dst = le.AppendUint32(dst, optEnd)
	n := uint32(len(dst) - start + 4)
	le.PutUint32(dst[start+4:], n)
	return le.AppendUint32(dst, n)
}

// timestamp writes the upper half first, whatever the byte order.
func timestamp(dst []byte, t int64) []byte {
	dst = le.AppendUint32(dst, uint32(uint64(t)>>32))
	return le.AppendUint32(dst, uint32(t))
}

// text writes an option of UTF-8, cut to what an option can hold; an empty one is left out.
func text(dst []byte, code uint16, s string) []byte {
	if s == "" {
		return dst
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > maxOption {
		n := maxOption
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	dst = le.AppendUint16(dst, code)
	dst = le.AppendUint16(dst, uint16(len(s)))
	return pad(append(dst, s...), len(s))
}

func option(dst []byte, code uint16, value []byte) []byte {
	dst = le.AppendUint16(dst, code)
	dst = le.AppendUint16(dst, uint16(len(value)))
	return pad(append(dst, value...), len(value))
}

// pad fills up to a multiple of four bytes after n of them.
func pad(dst []byte, n int) []byte {
	for ; n%4 != 0; n++ {
		dst = append(dst, 0)
	}
	return dst
}
