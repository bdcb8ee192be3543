package packet

func (h *Header) SetSrc(a Addr)            { h.Src = a }
func (h *Header) SetDst(a Addr)            { h.Dst = a }
func (h *Header) SetSrcPort(p uint16)      { h.SrcPort = p }
func (h *Header) SetDstPort(p uint16)      { h.DstPort = p }
func (h *Header) SetTTL(ttl uint8)         { h.TTL = ttl }
func (h *Header) SetInnerSrc(a Addr)       { h.Inner.Src = a }
func (h *Header) SetInnerDst(a Addr)       { h.Inner.Dst = a }
func (h *Header) SetInnerSrcPort(p uint16) { h.Inner.SrcPort = p }
func (h *Header) SetInnerDstPort(p uint16) { h.Inner.DstPort = p }
func (h *Header) IsICMPError() bool        { return false }
func (h *Header) IsICMPQuery() bool        { return false }
func (h *Header) Payload() []byte          { return h.Data[h.L4:] }
func (h *Header) CompleteChecksum()        {}
func ICMPError(dst []byte, from Addr, typ, code uint8, mtu uint16, quoted []byte) []byte {
	return nil
}
func FragNeeded(dst []byte, from Addr, mtu int, quoted []byte) []byte { return nil }
func TimeExceeded(dst []byte, from Addr, quoted []byte) []byte        { return nil }
func TCPReset(dst []byte, h *Header) []byte                           { return nil }
func Fragment(dst []byte, b []byte, mtu int, emit func(fragment []byte)) error {
	return nil
}
func ClampMSS(h *Header, mss uint16) bool                            { return false }
func BuildUDP(dst []byte, t Tuple, ttl uint8, payload []byte) []byte { return nil }
func BuildTCP(dst []byte, t Tuple, flags uint8, seq, ack uint32, payload []byte) []byte {
	return nil
}
func BuildSYN(dst []byte, t Tuple, seq uint32, mss uint16) []byte { return nil }
func BuildICMPEcho(dst []byte, src, d Addr, reply bool, id, seq uint16, payload []byte) []byte {
	return nil
}
func Checksum(b []byte) uint16                    { return 0 }
func VerifyChecksums(b []byte) error              { return nil }
func SetDF(b []byte)                              {}
func SetIPID(b []byte, id uint16)                 {}
func SetFragment(b []byte, offset int, more bool) {}
func SetTTL(b []byte, ttl uint8)                  {}
func AddIPOptions(dst, b, options []byte) []byte  { return nil }
