package control

// TraceRequest asks which way an imagined packet goes.
type TraceRequest struct {
	// From and To are names, IDs or addresses, or "internet".
	From, To string
	Protocol string // tcp, udp, icmp or a number
	Port     int    // of the destination, TCP and UDP
	// SourcePort is a port of the sender's, 0: one of the ephemeral ones.
	SourcePort int `json:",omitempty"`
	// Size is the length of the IP packet in bytes, 0: as short as it can be.
	Size         int  `json:",omitempty"`
	TTL          int  `json:",omitempty"` // 0: 64
	DontFragment bool `json:",omitempty"`
	// Established is a TCP segment in mid-stream instead of a first SYN.
	Established bool `json:",omitempty"`
}

// Trace is the way of an imagined packet, and of what answers it.
type Trace struct {
	From, To Object
	Protocol string
	Port     int `json:",omitempty"`
	Source   string
	// Destination is the address that the packet was sent to.
	Destination string
	// Reachable: the packet arrives, and its answer does.
	Reachable bool
	// Reason is that of the drop, on whichever way it was, or DELIVERED. Code is the
	// Reachability Analyzer's explanation code, where it has one (RA-04), Text a sentence.
	Reason string
	Code   string `json:",omitempty"`
	Text   string
	// Decided is the object that dropped the packet, DecidedRule what in it, "" for none.
	Decided     *Object `json:",omitempty"`
	DecidedRule string  `json:",omitempty"`
	Forward     *Path
	Return      *Path `json:",omitempty"` // nil: the packet did not arrive
	// SeenAs is the source address as the receiver sees it, "" if it did not arrive.
	SeenAs string `json:",omitempty"`
	// Via are the gateways and middleboxes that the packet passed on its way out.
	Via []Object `json:",omitempty"`
	// Advice is what would have to change, each a sentence or a command.
	Advice []string `json:",omitempty"`
}

// Path is the way of one packet.
type Path struct {
	// Packet says what is sent: "tcp SYN", "udp", "icmp echo request".
	Packet    string
	Hops      []Hop
	Delivered bool
	Reason    string
	Code      string `json:",omitempty"`
	Text      string
	// Answer is what the network itself sends back, such as "icmp fragmentation needed,
	// MTU 1500, from 172.30.0.1"; "" for nothing.
	Answer string `json:",omitempty"`
}

// Object is a thing of the lab.
type Object struct {
	Kind string // instance, interface, internet host, security group, network acl, route table, nat gateway, internet gateway, subnet, vpc, address, internet
	ID   string `json:",omitempty"`
	Name string `json:",omitempty"`
}

func (o Object) String() string {
	switch {
	case o.Name == "":
		return o.ID
	case o.ID == "" || o.ID == o.Name:
		return o.Name
	}
	return o.Name + " (" + o.ID + ")"
}

// Hop is one stage that the packet passed, or at which it ended.
type Hop struct {
	Stage  string  // sg-egress, acl-ingress, route …: the data plane's name
	Object Object  // the stage's: a group's interface, an ACL, a route table, a gateway
	At     *Object `json:",omitempty"` // the network interface in whose way the stage lies
	Rule   string  `json:",omitempty"` // what decided, in words
	RuleID string  `json:",omitempty"` // sgr-…, or an ACL rule's number
	// Before and After are the packet's addresses around the stage.
	Before, After Header
	Verdict       string // pass, drop, deliver
	Reason        string `json:",omitempty"` // of a drop
	Note          string `json:",omitempty"` // such as that a middlebox is assumed to forward
}

// Header is what a packet says of where it comes from and goes.
type Header struct {
	Source, Destination string // 172.30.0.10:40000, without a port where there is none
	Protocol            string
}
