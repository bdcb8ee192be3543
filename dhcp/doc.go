// Package dhcp is the DHCP server of a subnet, reduced to a function: a request and the reservation of the
// network interface it came from give a reply.
//
// A VPC has no address pool to lease from. Every network interface owns its primary address from the moment
// it is made, so that the server only ever confirms it (DH-06), and the reservation alone says what the
// answer is. What the server remembers of a client is one Lease, kept by the caller for display.
//
// The package knows neither sockets nor IP headers: it takes and gives UDP payloads (client port 68, server
// port 67), and ReplyTo names the address that a reply must be sent to.
//
// Sources: RFC 2131, RFC 2132, RFC 3396 (long options), RFC 6842 (client identifier in replies), and the
// rules DH-01 to DH-07 of the behaviour specification.
package dhcp
