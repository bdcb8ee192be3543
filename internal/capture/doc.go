// Package capture shows packets to Wireshark: it makes a pcapng stream of what a
// dataplane.Tap takes, and files of the stream.
//
//	pcapng.go   writes blocks
//	points.go   the places that see packets, and which of them a packet meets
//	views.go    the form that a packet had at each
//	comment.go  says in words what became of it
//	builder.go  makes blocks of a tap's packets
//	stream.go   writes them as a stream: the daemon's half
//	filter.go   pcap-filter(7) expressions
//	blocks.go   reads blocks: the command's half
//	files.go    writes them to files, one after the other where that is asked for
//
// The format is draft-ietf-opsawg-pcapng. gopacket's writer has no comments, directions
// and packet IDs, which are what a capture of a whole network is about.
package capture
