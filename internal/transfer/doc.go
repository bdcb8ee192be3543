// Package transfer carries files and directories over a stream: Send writes a tar archive (POSIX.1-2001, pax) with a
// mark at its end, Receive makes files of it. `vpcemu cp` runs one of the two on the host and the other in an
// instance, or both in instances; so both ends are this program, and the instance needs no tar.
//
// What Receive makes is whole or not there at all: every file and every new directory is made under another name and
// gets its own when it is complete. Nothing that the stream says leads out of the destination.
package transfer
