// Package probe sends real packets from one network namespace to another and tells what
// became of them at either end.
//
// Sockets are opened inside the namespace, on a thread that has entered it and ends
// with that (package thread), and can be used from any thread afterwards. They are
// those of any program there: the namespace's routes, choice of the source address and
// firewall are met.
//
// Each probe has a nonce, by which the receiving side knows it, whatever gateways did
// to addresses and ports: the initial sequence number of TCP, the first four bytes of
// data of UDP and ICMP.
package probe
