package daemon

import (
	"os"

	"github.com/vpcemu/vpcemu/internal/host"
)

// filePort is a TUN or TAP queue as a port of the network.
type filePort struct {
	*os.File
	ethernet bool
	name     string
}

func newPort(q *os.File, n host.NIC) *filePort {
	return &filePort{File: q, ethernet: n.LinkType == "tap", name: n.ID}
}

// Ethernet tells whether the port carries frames (TAP) or IP packets (TUN).
func (p *filePort) Ethernet() bool { return p.ethernet }

func (p *filePort) String() string { return p.name }
