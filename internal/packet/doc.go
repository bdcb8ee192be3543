// Package packet reads and changes IPv4 and IPv6 packets in place, without
// allocating.
//
// A Header is a decoded view of one packet, reused from packet to packet. Parse
// trusts nothing: each offset that a Header carries lies inside Data, and a
// packet whose fields contradict its length or one another is refused with a
// reason (Malformed). Setters change the bytes, the decoded field and, by
// difference (RFC 1624), every checksum that covers it: what was right stays
// right and what was wrong stays wrong, so a receiver still notices damage that
// happened before the packet came here.
//
// The package also builds what a router answers by itself (ICMP errors, TCP
// resets, fragments) and, for tests and captures, whole packets.
//
// Checksums are not verified by Parse: on one machine they are mostly left to
// the device (partial checksums), and a wrong one is the receiver's to drop.
package packet
