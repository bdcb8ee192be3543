package dataplane_test

import (
	"testing"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// FuzzWalk puts arbitrary bytes into a TUN port, a TAP port and a host's port. Nothing
// may crash or hang, whatever a guest writes.
func FuzzWalk(f *testing.F) {
	f.Add(SYN(webIP+":1", serverIP+":80"))
	f.Add(DF(UDP(webIP+":1", serverIP+":80", 2000)))
	f.Add(Ping(laptopIP, webEIP, 1, 8))
	f.Add(ICMPError(laptopIP, 3, 4, 1400, UDP(webEIP+":1", laptopIP+":9", 8)))
	f.Add(ICMPError(laptopIP, 3, 4, 1400, UDP(natEIP+":2000", laptopIP+":9", 8)))
	f.Add(UDP("0.0.0.0:68", "255.255.255.255:67", 300))
	f.Add(Frame(broadcast, [6]byte{0x0a, 0, 0, 0, 0, 2}, 0x0806, ARP(1, [6]byte{0x0a, 0, 0, 0, 0, 2}, webIP, [6]byte{}, "172.30.0.1")))
	for _, p := range Split(UDP(dbIP+":1", serverIP+":53", 3000), 1500, 9) {
		f.Add(p)
	}
	b := newBook(f)
	b.web.TAP()
	b.Apply()
	db, web, laptop := b.Engine.Walker(b.db.Port), b.Engine.Walker(b.web.Port), b.Engine.Walker(b.laptop.Port)
	f.Fuzz(func(t *testing.T, pkt []byte) {
		if len(pkt) > 65535 {
			return
		}
		db(pkt)
		laptop(pkt)
		web(pkt)
		web(Frame(b.web.RouterMAC(), b.web.MAC(), 0x0800, pkt))
		b.Engine.Trace(b.db.Handle, pkt)
		for _, p := range []*Port{b.db.Port, b.web.Port, b.laptop.Port, b.server.Port} {
			p.Received()
		}
	})
}
