// Package dns is the Amazon resolver of a VPC (semantics section 10) and that of
// the lab's Internet: ordinary DNS servers on real sockets, UDP and TCP.
//
// What a resolver answers depends on who asks, so each is a view of one
// directory (Names), which is made of the model:
//
//   - From a VPC: private names of its interfaces and their reverse (DNS-05), and
//     those of other VPCs where DNS-08 says so; public names of its own
//     interfaces as private addresses, those of others as public ones (DNS-06).
//   - From the Internet: public names and their reverse, and nothing private.
//   - From both: Internet hosts, by the names that the lab gives them.
//
// The rest is forwarded where the lab has an uplink (Forwarder), else answered
// NXDOMAIN at once: a resolver that stayed silent would make programs wait.
// MariaDB asks for the name of each client before it greets it.
//
// The message layer follows RFC 1035, 2308 (negative answers), 6891 (EDNS),
// 7766 (TCP), 8020 (NXDOMAIN says that nothing is below), 8482 (ANY) and 9619
// (one question).
package dns
