package control

// Counters are what the network has done since the daemon started, in packets on the
// wire: a super-packet counts as the segments that it stands for.
type Counters struct {
	Verdicts map[string]uint64 `json:"verdicts"` // packets by how they ended
	// Stages tells how many reads met each stage; packets of known flows meet none but
	// parse.
	Stages map[string]uint64 `json:"stages"`
	Bytes  uint64            `json:"bytes"` // of IP packets that came in
	// Reads and writes of packets or super-packets, batches of reads, and datagrams that
	// went out within another's write.
	Reads   uint64 `json:"reads"`
	Batches uint64 `json:"batches"`
	Writes  uint64 `json:"writes"`
	Joined  uint64 `json:"joined"`
	Workers int    `json:"workers"` // threads that move packets

	FlowCache   FlowCache `json:"flow_cache"`
	Connections Table     `json:"connections"` // security groups' tracked connections
	Mappings    Table     `json:"mappings"`    // of NAT gateways

	// Rules and routes, those that nothing has met yet included.
	Rules      []RuleCounter      `json:"rules"`
	Interfaces []InterfaceCounter `json:"interfaces"`
	Gateways   []GatewayCounter   `json:"gateways"`
	Links      []LinkCounter      `json:"links"` // that are impaired
}

// LinkCounter is what one direction of an impaired link has done, in packets on the wire.
type LinkCounter struct {
	ID         string `json:"id"`   // imp-…
	Name       string `json:"name"` // web outward
	Place      string `json:"place"`
	To         string `json:"to,omitempty"` // the other one of two zones
	Direction  string `json:"direction"`    // egress, ingress
	Conditions string `json:"conditions"`   // delay 20ms, loss 1%
	Traffic           // that was sent into it
	Held       int64  `json:"held"`       // that are in it now
	Delayed    uint64 `json:"delayed"`    // that had to wait
	Lost       uint64 `json:"lost"`       // by its loss
	Overflowed uint64 `json:"overflowed"` // as its queue was full
	Reordered  uint64 `json:"reordered"`
	Duplicated uint64 `json:"duplicated"`
}

// FlowCache is what the workers remember of flows.
type FlowCache struct {
	Hits    uint64 `json:"hits"`
	Misses  uint64 `json:"misses"`
	Stale   uint64 `json:"stale"`   // a rule's connection or mapping had gone
	Evicted uint64 `json:"evicted"` // flows in use that gave way to others
	Entries int    `json:"entries"` // room
	Bytes   int    `json:"bytes"`   // of memory
}

// Table is how full a flow table is.
type Table struct {
	Entries  int `json:"entries"`
	Capacity int `json:"capacity"`
	// Made and expired since the daemon started; refused for want of room, by cause.
	Made    uint64            `json:"made"`
	Expired uint64            `json:"expired"`
	Refused map[string]uint64 `json:"refused"`
}

// RuleCounter is what one rule or route has decided about, of all interfaces and subnets
// that it applies to. A packet of a tracked connection passes a security group by no rule
// (CT-01): a rule of a tracking group counts the packets that opened connections.
type RuleCounter struct {
	Kind      string `json:"kind"` // security group, network acl, route table
	ID        string `json:"id"`   // of that
	Name      string `json:"name,omitempty"`
	Rule      string `json:"rule"`                // sgr-…, a number or "*", a destination
	Direction string `json:"direction,omitempty"` // ingress, egress
	Text      string `json:"text"`                // what the rule says
	Traffic
}

// InterfaceCounter is what one interface or Internet host has sent and received.
type InterfaceCounter struct {
	Kind     string  `json:"kind"` // interface, nat gateway, internet host
	ID       string  `json:"id"`
	Name     string  `json:"name,omitempty"`
	Sent     Traffic `json:"sent"`     // what came out of it, dropped or not
	Received Traffic `json:"received"` // what was delivered to it
	// Dropped is what its own security groups, ACL and checks dropped, either way, and what
	// it sent that was dropped beyond all interfaces; packets by reason.
	Dropped map[string]uint64 `json:"dropped"`
}

// GatewayCounter is what one gateway has translated, either way.
type GatewayCounter struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Traffic
}

// Traffic is packets on the wire, and the bytes of them.
type Traffic struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}
