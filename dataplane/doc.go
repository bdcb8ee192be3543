// Package dataplane is the network of a VPC: it takes packets from ports, decides with
// a Snapshot of the model what AWS would do with each, and writes them to other ports.
//
// # The walk of a packet
//
// A walk is a series of hops; each hop is a stretch of the way between two places
// where the packet is put down: the ENI it came in by, the subnet into which a NAT
// gateway sends it, the Internet. Stages are methods of walk, in packet order:
//
//	stage         file                does                                              reads          rules
//	frame         frame.go            Ethernet off, next hop, ARP answered              ENI, subnet    L2-02 L2-06 RT-15
//	parse         walk.go             decodes, checks the virtio-net header             packet
//	fragments     stage_fragments.go  gives later fragments the first one's ports       own table      AC-08 FR-01
//	services      stage_services.go   DHCP, DNS, metadata, time; drops what nobody serves ENI, VPC     EX-01 EX-02 L2-01 DNS-02 IM-01 TI-01
//	link          stage_link.go       what has failed; notes the links crossed           ENI, subnet
//	source-check  stage_eni.go        the source is the ENI's, unless its check is off  ENI            PL-02 L2-05
//	sg-egress     stage_filter.go     tracked connection, or a rule                     conntrack, ENI SG-01 to SG-09 CT-01 to CT-09
//	              stage_eni.go        neighbour in the same subnet: on to sg-ingress                   AC-06 U-01
//	acl-egress    stage_filter.go     the subnet's ACL, outbound                        subnet         AC-03 to AC-07
//	route         stage_eni.go        longest prefix, blackholes                        route table    RT-04 to RT-10 RT-17 RT-18
//	nat-gateway   stage_nat.go        translation, RST, hop count, MSS; then a new hop  NAT table      NA-02 to NA-14
//	igw-egress    stage_igw.go        checks, MTU 1500, private to public; then a hop   gateway        IG-01 to IG-05 MT-11 TT-01
//	internet      stage_igw.go        host, gateway of a public address, or the uplink  Internet       IG-06
//	igw-ingress   stage_igw.go        checks, public to private                         gateway        IG-04 IG-05
//	edge-route    stage_igw.go        the gateway's own route table                     route table    RT-14
//	acl-ingress   stage_filter.go     the ACL of the subnet entered, if another         subnet         AC-06
//	sg-ingress    stage_filter.go     tracked connection, or a rule                     conntrack, ENI SG-03 SG-09
//	dest-check    stage_eni.go        the destination is the ENI's                      ENI            PL-02
//	deliver       stage_eni.go        to the port, in segments or fragments if need be  ENI            MT-01
//	commit        walk.go             effects of the stages passed                                     CT-07 NA-05
//
// Stages change the packet in its buffer and nothing else. What they want of the
// conntrack and NAT tables are effects, committed at the end of the walk for all
// stages that the packet passed, also when a later one dropped it. Engine.Trace runs the
// same walk and commits none.
//
// What the network itself says (ICMP about size and TTL, the NAT gateway's RST) is built
// from the packet as its sender sent it, and goes straight back into the port it came
// from, past every filter, at a limited rate. Everything else that is dropped is
// dropped silently (PL-03), with a Reason, a counter and an Event.
//
// # Offloads and the flow cache
//
// A port with Features.Header carries super-packets: TCP segments or UDP datagrams that
// the sender's kernel would have cut, and has not. They are walked like one packet, with
// the size of the longest that is on the wire, and counted as all of them. Checksums
// that are partial stay so. What the receiving port does not take is cut at the end of
// the walk, and what an MTU does not let through is answered or fragmented as its
// segments would be, quoting the first (packet.ReadVnet, packet.Segment).
//
// What a walk found out about an established flow is kept in the flow cache (flows.go)
// of the worker that reads the port. A packet that finds an entry skips all stages after
// parse (fast.go). The two can never disagree: an entry holds for one snapshot, the
// tracking entries and mappings that the stages would refresh are refreshed, and a
// packet of which a stage looks at more than addresses, ports, size and TTL takes them.
//
// # Links that are not perfect
//
// A walk notes the impaired links on its way (Link): at an interface, at the edge of a
// subnet, between two zones, to the Internet. Whether a packet survives them is decided when
// its walk has ended well (lane.go): losses are drawn at once, and told of as any drop. What
// is delayed is copied into the worker's line (line.go), a heap by time, which the wait for
// packets serves, too, with a precision of microseconds. A link is a queue of its own, and a
// packet meets each when it has left the one before, also in another worker's hands. A flow
// of the cache has its links with its port; one that has none pays one comparison.
//
// A super-packet stays whole where links only delay; loss, duplicates, reordering and rates
// are of the packets that it stands for. What waits keeps no snapshot, and is written to its
// port only if the snapshot of that moment has given the port to the same receiver, who has
// not failed. A loss at a link behind another one comes after the packet has been told of as
// delivered: counters are put right, and a second event tells of it.
//
// # How packets are explained
//
// Everything that tells of packets rests on one thing: each stage hands its decision
// (what it belongs to, which rule or route, at which interface) to pass or end. Nothing
// else knows of the stages, and there is no second pipeline that could disagree.
//
// A worker keeps the decisions as a tree of ways (way.go): packets that were decided alike
// share a Way, which counts them, and a flow of the cache knows the way that its packets
// take. So counters by rule, interface and gateway (account.go) cost two additions a packet,
// and whoever looks on is asked about a way once and not about each packet:
//
//   - a Subscription gets an Event for each packet,
//   - a Meter (meter.go) gets flows with true counts at intervals,
//   - a Tap (tap.go) gets copies of packets as they came and as they went,
//
// none of which ever makes a packet wait: what a reader does not take in time is skipped
// and counted. While somebody wants to know the packet's addresses at each stage, its flow
// is looked up no more (a Tap with Detail), or once an interval (a Meter). A way leads into
// the snapshot that it is of; what is kept for long, such as the latest drops, has copies
// (lasting.go).
//
// A Tracer (tracer.go) sends imagined packets through the same stages and commits their
// effects to itself instead of the tables, so that an answer finds what its question
// would have left.
//
// # Choices where AWS is silent
//
//   - CT-09: ICMP errors about an admitted flow pass security groups without a rule while
//     Config.RelatedICMP is set; they never open a flow of their own. ACLs filter them (AC-09).
//   - AC-08: the first fragment decides, later ones inherit its ports. One that comes
//     before its first is dropped.
//   - A packet that leaves its subnet by a route to an ENI or NAT gateway in that same
//     subnet meets the subnet's ACL in both directions, as its destination lies outside
//     (as TG-09 has it for transit gateways). One to a destination in the same subnet meets
//     neither ACL nor route table, also when it was sent to the router (U-01).
//   - SG-09: a packet whose source is not the sending ENI's own bears no group identity,
//     nor does one that a gateway has translated.
//   - IG-04: public addresses of the Internet's hosts are not checked at their source.
//   - MT-03: packets above 1500 bytes from the Internet are answered from the public
//     address they were sent to, as its gateway has no address of its own.
//   - CT-03: a UDP packet, or TCP other than a first SYN, that no entry covers and whose
//     reverse a rule admits as untracked counts as a reply of an untracked flow. A UDP
//     client whose own port is open to everybody is therefore untracked, too.
//   - TCP without SYN that no state knows is admitted by a rule (mid-stream pick-up) but
//     not by a NAT gateway, which resets it (NA-07). It starts a tracked connection unless
//     a rule for everybody on all ports lets it pass: such a rule lets the replies of
//     untracked flows pass, and a removed rule has to cut those at once (CT-05).
//   - RT-14: what the redirected subnet sends straight to the Internet gateway is dropped
//     there: AWS documents the path as unusable, not where it ends.
//   - MT-01: a packet larger than the receiving ENI's MTU is treated as by a router, with
//     the answer from the sender's own. IPv6 gets no such answer yet: subnets have no IPv6
//     router address.
//   - DNS-02 counts whole seconds from the first packet on, for all link-local services together.
//
// # Concurrency
//
// A worker reads many ports, one after the other, and owns all scratch space that walks
// need, the flow cache, and what is kept of each port (fragments, rates). Each port has
// one worker. The snapshot is loaded once a batch of packets; Swap waits until nobody
// uses an earlier one, then closes ports that the new one does not name. Nothing on the
// packet path allocates, logs, asks for the time of day or takes a lock that a
// configuration change holds. System calls do not block, and Go's scheduler is not told
// of them, but for the wait for packets.
package dataplane
