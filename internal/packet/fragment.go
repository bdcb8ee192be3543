package packet

import "errors"

// Why Fragment refused a packet.
var (
	// ErrDontFragment: the packet has DF set; answer with FragNeeded.
	ErrDontFragment = errors.New("fragment: packet has DF set")
	// ErrNotIPv4: IPv6 packets are fragmented by their sender only.
	ErrNotIPv4 = errors.New("fragment: packet is not IPv4")
	// ErrMTU: the MTU leaves no room for 8 bytes after the header.
	ErrMTU = errors.New("fragment: MTU below 68 bytes")
	// ErrHeaderChecksum: cutting would give a damaged header a right checksum.
	ErrHeaderChecksum = errors.New("fragment: IPv4 header checksum is wrong")
)

// minMTU is the least MTU of an IPv4 link (RFC 791 3.2): the longest header and 8 bytes.
const minMTU = 68

// Fragment cuts the IPv4 packet b into fragments of at most mtu bytes (RFC 791 3.2)
// and hands them to emit in order; a packet that fits is handed on as it is. dst
// is scratch space that does not overlap b, of mtu bytes so that nothing is
// allocated; a fragment is good
// until emit returns. All options go with the first fragment, those with the
// copied flag with each. A fragment can be cut again. The transport checksum of b
// has to be complete (CompleteChecksum). The error is one of those above, or why b
// is malformed; nothing was emitted then.
func Fragment(dst []byte, b []byte, mtu int, emit func(fragment []byte)) error {
	var h Header
	if m := h.Parse(b); m != 0 {
		return m
	}
	b = h.Data
	switch {
	case h.Version != 4:
		return ErrNotIPv4
	case len(b) <= mtu:
		emit(b)
		return nil
	case h.DontFragment:
		return ErrDontFragment
	case mtu < minMTU:
		return ErrMTU
	case !headerSumOK(b):
		return ErrHeaderChecksum
	}
	dst = room(dst, mtu)
	size := h.L4 // of the header in dst
	copy(dst, b[:size])
	for at := h.L4; at < len(b); {
		n, last := len(b)-at, len(b)-at <= mtu-size
		if !last {
			n = (mtu - size) &^ 7
		}
		copy(dst[size:], b[at:at+n])
		f := uint16((h.FragOffset + at - h.L4) / 8)
		if !last || h.MoreFragments {
			f |= 0x2000
		}
		be.PutUint16(dst[2:], uint16(size+n))
		be.PutUint16(dst[6:], f|be.Uint16(b[6:])&0x8000)
		sealHeader(dst)
		emit(dst[:size+n])
		if at == h.L4 {
			size = copiedHeader(dst, b[:h.L4])
		}
		at += n
	}
	return nil
}

// copiedHeader writes the header of later fragments into dst: that of the first,
// with only the options that have the copied flag. It returns its length.
func copiedHeader(dst, first []byte) int {
	size := v4HeaderLen
	for o := first[v4HeaderLen:]; len(o) > 0 && o[0] != 0; {
		n := 1
		if o[0] != 1 {
			n = int(o[1])
		}
		if o[0]&0x80 != 0 {
			size += copy(dst[size:], o[:n])
		}
		o = o[n:]
	}
	for size%4 != 0 {
		dst[size] = 0
		size++
	}
	dst[0] = 4<<4 | uint8(size/4)
	return size
}
