package dataplane_test

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/dataplane/porttest"
)

var (
	update = flag.Bool("update", false, "write testdata/*.golden")

	producedMu sync.Mutex
	produced   = make(map[dataplane.Reason]bool)
)

// TestMain fails the package when a whole run of it leaves a reason unproduced.
func TestMain(m *testing.M) {
	code := m.Run()
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" &&
		flag.Lookup("test.list").Value.String() == "" && flag.Lookup("test.fuzz").Value.String() == ""
	if code == 0 && whole {
		for _, r := range dataplane.Reasons() {
			if !produced[r] {
				fmt.Fprintf(os.Stderr, "FAIL: no test produces reason %s\n", r)
				code = 1
			}
		}
	}
	os.Exit(code)
}

func newLab(t testing.TB) *porttest.Lab {
	l := porttest.NewLab(t)
	l.OnEnd(func(counts map[dataplane.Reason]uint64) {
		producedMu.Lock()
		defer producedMu.Unlock()
		for r := range counts {
			produced[r] = true
		}
	})
	return l
}

// A book is the book's worked example: a public and a private subnet, a web server
// and a NAT gateway in the one, a database in the other, two hosts outside.
type book struct {
	*porttest.Lab
	vpc             *porttest.VPC
	public, private *porttest.Subnet
	open            *porttest.Group
	web, db         *porttest.ENI
	nat             *porttest.NAT
	laptop, server  *porttest.Host
}

// Addresses of the book's lab.
const (
	webIP, webEIP = "172.30.0.10", "203.0.113.10"
	dbIP          = "172.30.1.20"
	natIP, natEIP = "172.30.0.99", "203.0.113.99"
	laptopIP      = "198.51.100.5"
	serverIP      = "198.51.100.7"
)

// newBook builds the example with groups that allow everything; Apply is for the caller.
func newBook(t testing.TB) *book {
	b := &book{Lab: newLab(t)}
	b.vpc = b.VPC("book", "172.30.0.0/16")
	b.public = b.vpc.Subnet("public", "172.30.0.0/24")
	b.private = b.vpc.Subnet("private", "172.30.1.0/24")
	b.public.Table = b.vpc.Table("public", "0.0.0.0/0 igw")
	b.private.Table = b.vpc.Table("private", "0.0.0.0/0 nat:nat")
	b.open = b.Open("open")
	b.web = b.public.ENI("web", webIP, b.open).EIP(0, webEIP)
	b.nat = b.public.NAT("nat", natIP)
	b.nat.ENI.EIP(0, natEIP)
	b.db = b.private.ENI("db", dbIP, b.open)
	b.laptop = b.Host("laptop", laptopIP)
	b.server = b.Host("server", serverIP)
	return b
}

// applied is Apply that gives the book back.
func (b *book) applied() *book { b.Apply(); return b }
