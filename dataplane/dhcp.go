package dataplane

import (
	"net/netip"

	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/internal/packet"
)

const udpHeaderLen = 8

// serveDHCP answers a client's message out of the ENI's reservation (DH-05, DH-06).
// The reply goes to the ENI and nobody else, past security groups and ACLs (EX-01); its
// IP and MAC destinations are those of RFC 2131 section 4.1.
func (r *worker) serveDHCP(e *ENI) {
	w := &r.w
	h := &w.hdr
	if h.IsFragment() || len(h.Data) < h.L4+udpHeaderLen {
		w.end(StageServices, DHCPNotServed, e.Ref, Rule{})
		return
	}
	req := h.Data[h.L4+udpHeaderLen:]
	reply, lease, err := dhcp.Serve(req, e.DHCP, r.e.cfg.WallClock())
	if err != nil {
		w.end(StageServices, DHCPNotServed, e.Ref, Rule{})
		return
	}
	if lease.State != "" && r.e.cfg.OnLease != nil {
		r.e.cfg.OnLease(e.Handle, lease)
	}
	if len(reply) == 0 {
		if lease.State == "" {
			w.end(StageServices, DHCPNotServed, e.Ref, Rule{})
		}
		return // release and decline are served without a reply
	}
	r.sendDHCP(e, req, reply)
}

func (r *worker) sendDHCP(e *ENI, req, reply []byte) {
	to, broadcast := dhcp.ReplyTo(req, reply)
	mac := e.MAC
	if broadcast {
		to, mac = netip.AddrFrom4([4]byte{255, 255, 255, 255}), broadcastMAC
	}
	t := packet.Tuple{
		Src: e.Subnet.Router, Dst: packet.AddrFrom(to),
		SrcPort: dhcp.ServerPort, DstPort: dhcp.ClientPort, Proto: packet.ProtoUDP,
	}
	b := packet.BuildUDP(r.scratch[ipRoom:], t, 64, reply)
	if !r.write(r.src.port, r.framed(r.src.features, r.scratch, len(b), [2][6]byte{mac, e.Subnet.routerMAC})) {
		r.w.end(StageServices, PortWriteFailed, e.Ref, Rule{})
		return
	}
	r.answered = b
}
