package packet

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

var be = binary.BigEndian

// Checksum is the Internet checksum of b (RFC 1071), as it is stored.
func Checksum(b []byte) uint16 { return ^fold(sum(b, 0)) }

// sum adds b, as big-endian 16-bit words, to acc, which has room for as much
// again. Adding 64 bits at a time with end-around carry is the same modulo 0xffff.
func sum(b []byte, acc uint64) uint64 {
	if len(b) >= 32 {
		var carry uint64
		for len(b) >= 32 {
			acc, carry = bits.Add64(acc, be.Uint64(b), carry)
			acc, carry = bits.Add64(acc, be.Uint64(b[8:]), carry)
			acc, carry = bits.Add64(acc, be.Uint64(b[16:]), carry)
			acc, carry = bits.Add64(acc, be.Uint64(b[24:]), carry)
			b = b[32:]
		}
		acc = acc>>32 + acc&0xffffffff + carry
	}
	for len(b) >= 8 {
		v := be.Uint64(b)
		acc += v>>32 + v&0xffffffff
		b = b[8:]
	}
	for len(b) >= 2 {
		acc += uint64(be.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint64(b[0]) << 8
	}
	return acc
}

// fold reduces a sum to 16 bits with end-around carry; only 0 gives 0.
func fold(acc uint64) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}

// diff16 is what replacing the word old by new adds to a sum (RFC 1624, eqn. 3).
func diff16(old, new uint16) uint64 { return uint64(^old) + uint64(new) }

// diffBytes is diff16 for words at even offsets; old and new are equally long, an even number of bytes.
func diffBytes(old, new []byte) uint64 {
	var d uint64
	for i := 0; i+1 < len(old); i += 2 {
		d += diff16(be.Uint16(old[i:]), be.Uint16(new[i:]))
	}
	return d
}

// pseudo is the sum of the pseudo header (RFC 9293 3.1, RFC 8200 8.1).
func pseudo(src, dst Addr, proto uint8, length int) uint64 {
	acc := uint64(proto) + uint64(length)
	if src.Is4() {
		return sum(dst[12:], sum(src[12:], acc))
	}
	return sum(dst[:], sum(src[:], acc))
}

// checksumAt returns the offset of the transport checksum relative to the
// transport header, and whether the pseudo header is part of it.
func checksumAt(version, proto uint8) (off int, pseudoHeader, ok bool) {
	switch {
	case proto == ProtoTCP:
		return 16, true, true
	case proto == ProtoUDP:
		return 6, true, true
	case proto == ProtoICMP && version == 4:
		return 2, false, true
	case proto == ProtoICMPv6 && version == 6:
		return 2, true, true
	}
	return 0, false, false
}

// transportSum adds up what the transport checksum covers, the checksum field
// included. UDP may be shorter than the IP payload.
func (h *Header) transportSum(withPseudo bool) uint64 {
	p := h.Data[h.L4:]
	if h.Proto == ProtoUDP {
		p = p[:be.Uint16(p[4:])]
	}
	var acc uint64
	if withPseudo {
		acc = pseudo(h.Src, h.Dst, h.Proto, len(p))
	}
	return sum(p, acc)
}

// CompleteChecksum does what the device would have done with a partial checksum,
// for a packet that is shown, quoted or cut instead of being handed on. It does
// nothing unless PartialChecksum is set, and clears it. A fragment cannot be
// completed and keeps its checksum.
func (h *Header) CompleteChecksum() {
	if !h.PartialChecksum {
		return
	}
	h.PartialChecksum = false
	at, withPseudo, ok := checksumAt(h.Version, h.Proto)
	if !ok || h.IsFragment() {
		return
	}
	f := h.Data[h.L4+at:]
	be.PutUint16(f, 0)
	v := ^fold(h.transportSum(withPseudo))
	if v == 0 && h.Proto == ProtoUDP {
		v = 0xffff // RFC 768: 0 means that there is none
	}
	be.PutUint16(f, v)
}

// VerifyChecksums checks the IPv4 header checksum, the checksum of TCP, UDP, ICMP
// or ICMPv6 unless the packet is a fragment, and the header checksum of an IPv4
// packet quoted in an ICMP error. A UDP checksum of 0 passes. It is for tests and
// captures; the error names the checksum that is wrong, or wraps the Malformed.
func VerifyChecksums(b []byte) error {
	var h Header
	if m := h.Parse(b); m != 0 {
		return fmt.Errorf("packet: %w", m)
	}
	if h.Version == 4 && !headerSumOK(h.Data) {
		return fmt.Errorf("packet %v: IPv4 header checksum %#04x is wrong", h.Tuple, be.Uint16(h.Data[10:]))
	}
	at, withPseudo, ok := checksumAt(h.Version, h.Proto)
	if !ok || h.IsFragment() {
		return nil
	}
	got := be.Uint16(h.Data[h.L4+at:])
	if got == 0 && h.Proto == ProtoUDP {
		return nil
	}
	// Only ICMP of all zeros has the sum 0, one's complement's other zero.
	if s := fold(h.transportSum(withPseudo)); s != 0xffff && s != 0 {
		return fmt.Errorf("packet %v: %s checksum %#04x is wrong", h.Tuple, protoName(h.Proto), got)
	}
	if h.HasInner && h.Version == 4 && !headerSumOK(h.Data[h.InnerL3:]) {
		return fmt.Errorf("packet %v: quoted IPv4 header checksum %#04x is wrong", h.Tuple, be.Uint16(h.Data[h.InnerL3+10:]))
	}
	return nil
}

// headerSumOK checks the header checksum of the IPv4 packet at the start of b,
// whose header is known to be complete.
func headerSumOK(b []byte) bool {
	return fold(sum(b[:int(b[0]&0xf)*4], 0)) == 0xffff
}
