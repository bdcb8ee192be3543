// Package client is the DHCP client of an instance: RFC 2131 section 4.4 over AF_PACKET, small enough for a
// program that runs as PID 1.
//
// It applies nothing. Run calls back with each lease, and the caller configures addresses, routes and names.
// Cooked packet sockets (SOCK_DGRAM) make it work on TUN devices, which have no link-layer address, and on
// Ethernet alike. Sockets are open only while a message is under way: a packet socket costs every packet
// that the interface receives.
//
// The states are functions that hand over to one another: reboot (INIT-REBOOT), discover (INIT, SELECTING,
// REQUESTING), hold (BOUND), renew (RENEWING), rebind (REBINDING).
package client
