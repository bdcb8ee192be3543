package packet

const tcpOptionMSS = 2

// TCPReset builds the RST that answers h as a host without such a connection
// would (RFC 9293 3.10.7.1), addressed from h.Dst to h.Src as h reads now. It
// returns nil if h is no TCP segment, a RST itself, a fragment, or not from one
// host to one host. dst should hold 60 bytes.
func TCPReset(dst []byte, h *Header) []byte {
	if !h.IsTCP() || h.Version == 0 || h.IsFragment() || h.TCPFlags&FlagRST != 0 {
		return nil
	}
	if !isOneHost(h.Src) || !isOneHost(h.Dst) {
		return nil
	}
	p := h.Data[h.L4:]
	seq, ack, flags := be.Uint32(p[8:]), uint32(0), uint8(FlagRST)
	if h.TCPFlags&FlagACK == 0 {
		seq, ack, flags = 0, be.Uint32(p[4:])+h.segmentLen(), FlagRST|FlagACK
	}
	b, l4 := newTCP(dst, h.Reverse(), flags, seq, ack, tcpHeaderLen, 0)
	if b == nil {
		return nil
	}
	be.PutUint16(b[l4+14:], 0)
	if h.Version == 4 {
		b[6] = 0x40 // DF: an atomic datagram needs no identification (RFC 6864 4.1)
	}
	return seal(b, l4, h.Dst, h.Src, ProtoTCP)
}

// segmentLen is SEG.LEN of RFC 9293 3.4: the payload, and one each for SYN and FIN.
func (h *Header) segmentLen() uint32 {
	n := uint32(len(h.Payload()))
	if h.TCPFlags&FlagSYN != 0 {
		n++
	}
	if h.TCPFlags&FlagFIN != 0 {
		n++
	}
	return n
}

// ClampMSS lowers the MSS option of a SYN or SYN-ACK to mss (bytes of TCP payload)
// and keeps the checksum. It tells whether it changed anything: a SYN without the
// option, with a smaller one, or with options that make no sense stays as it is.
func ClampMSS(h *Header, mss uint16) bool {
	if !h.IsTCP() || h.Version == 0 || h.NonFirstFragment() || h.TCPFlags&FlagSYN == 0 {
		return false
	}
	at := h.L4 + tcpHeaderLen
	end := h.L4 + int(h.Data[h.L4+12]>>4)*4
	changed := false
	for at < end {
		switch h.Data[at] {
		case 0: // end of list
			return changed
		case 1: // no operation
			at++
			continue
		}
		if end-at < 2 || h.Data[at+1] < 2 || int(h.Data[at+1]) > end-at {
			return changed
		}
		if h.Data[at] == tcpOptionMSS && h.Data[at+1] == 4 && be.Uint16(h.Data[at+2:]) > mss {
			h.setMSS(at+2, mss)
			changed = true
		}
		at += int(h.Data[at+1])
	}
	return changed
}

// setMSS stores mss at off. At an odd distance from the TCP header its two bytes
// lie in two words of the sum, which swaps their weights.
func (h *Header) setMSS(off int, mss uint16) {
	old := be.Uint16(h.Data[off:])
	be.PutUint16(h.Data[off:], mss)
	if (off-h.L4)%2 != 0 {
		old, mss = old<<8|old>>8, mss<<8|mss>>8
	}
	h.fixTransport(diff16(old, mss), false)
}
