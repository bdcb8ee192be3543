package hostlink

import (
	"net/netip"
	"os"
	"strings"
	"testing"
)

var joined = Wish{Pools: prefixes("203.0.113.0/24", "198.51.100.0/24"), Address: netip.MustParseAddr("198.51.100.254"), Join: true}

func TestJoinedDeviceHasAddressAndRoutesAndGoesWithoutTrace(t *testing.T) {
	lab := newLab(t, "book")
	inside(t, func() {
		outside(t)
		before := network(t)
		name, err := Apply(lab, joined)
		if err != nil || name != "vpcemu0" {
			t.Errorf("device %q, %v", name, err)
			return
		}
		once := network(t)
		for _, want := range []string{
			"203.0.113.0/24 dev vpcemu0 proto static scope link src 198.51.100.254",
			"198.51.100.0/24 dev vpcemu0 proto static scope link src 198.51.100.254",
			"inet 198.51.100.254/32", "link vpcemu0 mtu 1500", "chain input", "/conf/vpcemu0/forwarding=0", "/conf/eth0/forwarding=0",
		} {
			if !strings.Contains(once, want) {
				t.Errorf("no %q in\n%s", want, once)
			}
		}
		if strings.Contains(once, "masquerade") || strings.Contains(once, "chain output") {
			t.Errorf("rules of an uplink:\n%s", once)
		}
		if name, err := Apply(lab, joined); err != nil || name != "vpcemu0" {
			t.Errorf("again: device %q, %v", name, err)
		}
		same(t, once, network(t))
		q, err := Attach(name)
		if err != nil {
			t.Error(err)
			return
		}
		defer q.Close()
		if out := run(t, "ip link show vpcemu0"); !strings.Contains(out, "LOWER_UP") {
			t.Errorf("the device has no carrier: %s", out)
		}
		if err := Remove(lab); err != nil {
			t.Error(err)
		}
		same(t, before, network(t))
		if err := Remove(lab); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}

func TestUplinkForwardsWhereAnswersComeBack(t *testing.T) {
	lab, other := newLab(t, "book"), newLab(t, "other")
	inside(t, func() {
		outside(t)
		run(t, "ip link add eth1 type veth peer name peer1")
		run(t, "ip addr add 10.66.0.1/24 dev eth1")
		run(t, "ip link set eth1 up")
		run(t, "ip link set peer1 up")
		before := network(t)
		w := joined
		w.Join, w.Uplink, w.Allow = false, true, prefixes("10.66.0.7/32")
		if _, err := Apply(lab, w); err != nil {
			t.Error(err)
			return
		}
		one := network(t)
		for _, want := range []string{"masquerade", "chain output", "/conf/vpcemu0/forwarding=1", "/conf/eth0/forwarding=1", "/conf/eth1/forwarding=1", "ip_forward=0"} {
			if !strings.Contains(one, want) {
				t.Errorf("no %q in\n%s", want, one)
			}
		}
		second := Wish{Pools: prefixes("192.0.2.0/24"), Address: netip.MustParseAddr("192.0.2.254"), Uplink: true}
		if name, err := Apply(other, second); err != nil || name != "vpcemu1" {
			t.Errorf("second lab: device %q, %v", name, err)
		}
		w.Allow = nil
		if _, err := Apply(lab, w); err != nil {
			t.Error(err)
		}
		if is := network(t); !strings.Contains(is, "/conf/eth1/forwarding=0") || !strings.Contains(is, "/conf/eth0/forwarding=1") {
			t.Errorf("forwarding on an interface that is not needed any more:\n%s", is)
		}
		if err := Remove(lab); err != nil {
			t.Error(err)
		}
		if is := network(t); !strings.Contains(is, "/conf/eth0/forwarding=1") {
			t.Error("the other lab still needs forwarding on eth0")
		}
		if err := Remove(other); err != nil {
			t.Error(err)
		}
		same(t, before, network(t))
	})
}

func TestForwardingOfTheWholeMachineIsLeftAlone(t *testing.T) {
	lab := newLab(t, "book")
	w := joined
	w.Uplink = true
	inside(t, func() {
		outside(t)
		if _, err := Apply(lab, w); err != nil {
			t.Error(err)
		}
		if err := sysctl("ipv4/ip_forward", "1"); err != nil { // as Docker does when it is installed
			t.Error(err)
		}
		if err := Remove(lab); err != nil {
			t.Error(err)
		}
		if is := network(t); !strings.Contains(is, "/conf/eth0/forwarding=1") || !strings.Contains(is, "ip_forward=1") {
			t.Errorf("what somebody else switched on was switched off:\n%s", is)
		}
		before := network(t)
		if _, err := Apply(lab, w); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(lab.RunDir + "/" + forwardingFile); !os.IsNotExist(err) {
			t.Errorf("forwarding that was on is written down as ours: %v", err)
		}
		if err := Remove(lab); err != nil {
			t.Error(err)
		}
		same(t, before, network(t))
	})
}

// A device that somebody deleted by hand takes neither table nor forwarding with it.
func TestRemoveWithoutTheDevice(t *testing.T) {
	lab := newLab(t, "book")
	w := joined
	w.Uplink = true
	inside(t, func() {
		outside(t)
		before := network(t)
		if _, err := Apply(lab, w); err != nil {
			t.Error(err)
		}
		run(t, "ip link del vpcemu0")
		if err := Remove(lab); err != nil {
			t.Error(err)
		}
		same(t, before, network(t))
	})
}

func TestDeviceIsFoundByItsLabelAlone(t *testing.T) {
	lab := newLab(t, "book")
	inside(t, func() {
		run(t, "ip tuntap add dev vpcemu0 mode tun") // somebody else's
		name, err := Apply(lab, joined)
		if err != nil || name != "vpcemu1" {
			t.Errorf("device %q, %v", name, err)
		}
		run(t, "ip link set vpcemu1 down")
		run(t, "ip addr flush dev vpcemu1")
		run(t, "ip link set vpcemu1 name renamed0") // by a rule of udev, say
		if name, err = Apply(lab, joined); err != nil || name != "renamed0" {
			t.Errorf("device %q, %v", name, err)
		}
		if out := run(t, "ip route"); !strings.Contains(out, "203.0.113.0/24 dev renamed0") {
			t.Errorf("routes:\n%s", out)
		}
		w := joined
		w.Address, w.Pools = netip.MustParseAddr("192.0.2.254"), prefixes("192.0.2.0/24")
		if _, err := Apply(lab, w); err != nil {
			t.Error(err)
		}
		if out := run(t, "ip route") + run(t, "ip addr"); strings.Contains(out, "203.0.113.0") || strings.Contains(out, "198.51.100.") {
			t.Errorf("former pools and addresses are still there:\n%s", out)
		}
		if err := Remove(lab); err != nil {
			t.Error(err)
		}
		if out := run(t, "ip -o link"); !strings.Contains(out, "vpcemu0") || strings.Contains(out, "renamed0") {
			t.Errorf("devices:\n%s", out)
		}
	})
}

func TestLabelThatDoesNotFit(t *testing.T) {
	lab := Lab{"book", "/" + strings.Repeat("x", 250)}
	inside(t, func() {
		before := network(t)
		if _, err := Apply(lab, joined); err == nil || !strings.Contains(err.Error(), "VPCEMU_RUN_DIR") {
			t.Errorf("error %v", err)
		}
		same(t, before, network(t))
	})
}
