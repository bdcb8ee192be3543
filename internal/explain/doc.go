// Package explain tells which way an imagined packet goes, and its answer, in AWS's
// words: the wire type control.Trace made of what the data plane's own pipeline said
// (dataplane.Tracer), the trace as text and as a Mermaid diagram, and what would have
// to change where the packet was dropped.
//
// Nothing here decides about a packet. What the pipeline cannot know is assumed, and
// said: an instance or host answers what arrives for it, and a middlebox (an interface
// that gets packets for others, its source/destination check off) forwards them unchanged,
// its hop taken from the TTL.
package explain
