package dataplane

// A Port is one end of a link: TUN, TAP, the services namespace, or memory in tests.
//
// Read and Write carry one IP packet a call, or one Ethernet frame where Ethernet
// reports true. Read is called by one goroutine; Write by several at once, and must not
// block. Close makes a pending Read return an error. A Port is comparable: the engine
// knows ports by identity (use pointers).
type Port interface {
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	Close() error
	Ethernet() bool
	String() string
}
