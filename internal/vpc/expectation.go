package vpc

import (
	"fmt"
	"strings"
	"time"
)

// Expectation is what a topology file's checks say of who reaches whom. It is no object
// of AWS's: the model keeps it as the file's own, for `vpcemu check` without a file.
type Expectation struct {
	// Name is what results call it; "" means its sentence.
	Name string `json:",omitempty"`
	// Said is the sentence as the file has it, "" where it was no sentence there.
	Said     string `json:",omitempty"`
	From, To ExpectedEnd
	Verb     ExpectedVerb
	Protocol string // tcp, udp, icmp
	Port     int    `json:",omitempty"` // of the destination, TCP and UDP
	// Because is the reason that has to drop the packet, "" for any; of Unreached only.
	Because string `json:",omitempty"`
	// SeenAs is whose address has to arrive as the source, nil for any; not of Unreached.
	SeenAs *ExpectedEnd `json:",omitempty"`
	// ByWayOf are gateways and interfaces that have to be passed; not of Unreached.
	ByWayOf []string `json:",omitempty"`
	// Within is how long it may take to come true, 0 for the usual limit.
	Within time.Duration `json:",omitempty"`
}

// ExpectedVerb says what is expected.
type ExpectedVerb string

const (
	Reaches   ExpectedVerb = "reaches"        // the packet arrives, and so does its answer
	Unreached ExpectedVerb = "does not reach" // one of the two does not
	Connects  ExpectedVerb = "connects to"    // a service listens, besides
)

// ExpectedEnd names one end of a packet's way, or one of its addresses.
type ExpectedEnd struct {
	Name    string // of an object, an address, or "internet"
	Address ExpectedAddress
}

// ExpectedAddress says which address of an end is meant.
type ExpectedAddress string

const (
	ExpectAny     ExpectedAddress = ""        // the one that a packet to it would have
	ExpectPrivate ExpectedAddress = "private" // its primary private one
	ExpectPublic  ExpectedAddress = "public"  // its Elastic IP or automatic public one
	ExpectElastic ExpectedAddress = "elastic" // Name is that of an Elastic IP itself
)

func (e ExpectedEnd) String() string {
	switch e.Address {
	case ExpectPrivate, ExpectPublic:
		return fmt.Sprintf("the %s address of %s", string(e.Address), e.Name)
	case ExpectElastic:
		return "Elastic IP " + e.Name
	}
	return e.Name
}

// String is the expectation as a sentence of a topology file.
func (e Expectation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s on %s", e.From, e.Verb, e.To, e.Protocol)
	if e.Protocol != "icmp" {
		fmt.Fprintf(&b, " %d", e.Port)
	}
	if e.Because != "" {
		b.WriteString(", because " + e.Because)
	}
	if e.SeenAs != nil {
		b.WriteString(", seen as " + e.SeenAs.String())
	}
	if len(e.ByWayOf) > 0 {
		b.WriteString(", by way of " + strings.Join(e.ByWayOf, " and "))
	}
	if e.Within > 0 {
		b.WriteString(", within " + e.Within.String())
	}
	return b.String()
}

// Sentence is the expectation in the file's words, or as String has it.
func (e Expectation) Sentence() string {
	if e.Said != "" {
		return e.Said
	}
	return e.String()
}

// Title is what results call the expectation.
func (e Expectation) Title() string {
	if e.Name != "" {
		return e.Name
	}
	return e.Sentence()
}
