// Package flowlog makes VPC flow logs of what a dataplane.Meter reads: for every flow
// what each network interface on its way saw of it, gathered in windows of time into
// records of package record.
//
// Sightings takes the steps of a flow apart. An Aggregator gathers the sightings of the
// interfaces that one flow log watches, and writes the records when a window has ended.
// Neither reads a clock or a model: time comes in with what is read, interfaces with Watch.
//
// # Choices where AWS is silent
//
//   - A packet that its own interface's source check stops has met neither security group
//     nor ACL and makes no record. All else that drops packets behind the filters, such as
//     routes, gateways, sizes and the destination check, leaves an ACCEPT (FL-11).
//   - What the filters let in to an instance that does not run leaves an ACCEPT at its
//     interface.
//   - What the network itself answers (ICMP about sizes and hops, the NAT gateway's RST)
//     passes no filter, and makes no record.
//   - traffic-path through an Internet gateway is 8 for NAT gateways as for Nitro instances.
//   - NODATA and SKIPDATA have the ends of their window as start and end, and the fields that
//     name the interface and its place.
//   - A flow is in the window of the first packet that its reading has. Readings are short, so
//     end may lie in the next window by less than a second.
package flowlog
