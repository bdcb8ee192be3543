package compile

import (
	"net/netip"
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

func (l *lab) tie(o vpc.Outside) {
	l.Helper()
	if err := l.change(func(tx *vpc.Tx) error { return tx.SetOutside(o) }); err != nil {
		l.Fatal(err)
	}
}

// The machine that has joined is a host like any other: it meets gateway, ACL and group.
func TestJoinedMachineIsAHost(t *testing.T) {
	l := newSite(t)
	l.fails("laptop", "198.51.100.254:80", dropped(dataplane.InternetUnreachable, "", ""))
	l.tie(vpc.Outside{Join: true})
	l.works("host", "web*:22", "web")
	l.works("host", "laptop:80", "laptop")
	l.works("laptop", "host:80", "host")
	l.works("app", "host:80", "host")
	l.setACL("public", "deny")
	l.fails("host", "web*:22", dropped(dataplane.ACLDenied, "deny", ""))
	l.setACL("public", "http")
	l.setGroups("web", "shut")
	l.fails("host", "web*:80", dropped(dataplane.SGHasNoRules, "web", ""))
	l.send("host", pt.SYN("10.55.0.2:1", l.at("web*:80"))).Want(dropped(dataplane.IGWSourceRFC1918, "igw", ""))
	// Nothing else is behind it.
	l.fails("laptop", "9.9.9.9:80", dropped(dataplane.InternetUnreachable, "", ""))
	l.tie(vpc.Outside{})
	l.fails("laptop", "198.51.100.254:80", dropped(dataplane.InternetUnreachable, "", ""))
}

func TestUplinkCarriesWhatNothingInTheLabHas(t *testing.T) {
	for name, o := range map[string]vpc.Outside{"alone": {Uplink: vpc.UplinkHost}, "and joined": {Uplink: vpc.UplinkHost, Join: true}} {
		t.Run(name, func(t *testing.T) {
			l := newSite(t)
			o.UplinkAllow = []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")}
			l.tie(o)
			for from, source := range map[string]string{"laptop": l.at("laptop"), "web": l.at("web*"), "app": l.allocation("nat").PublicIp.String()} {
				there := l.open(from, "9.9.9.9:80").Want(pt.At("host"), pt.From(source))
				l.put(l.ports[l.Outside.Handle], pt.Reply(there.Out[0].Packet)).Want(pt.At(from))
			}
			l.open("laptop", "192.168.7.7:80").Want(pt.At("host"))
			for dst, reason := range map[string]dataplane.Reason{
				"192.168.8.8:80": dataplane.UplinkRefused, "8.8.4.4:80": dataplane.UplinkRefused, // the machine's neighbours
				"198.51.100.77:80": dataplane.InternetUnreachable, "203.0.113.200:80": dataplane.InternetUnreachable, // the lab's own
			} {
				l.fails("laptop", dst, pt.Dropped(reason))
			}
			l.fails("app", "192.168.7.7:80", dropped(dataplane.IGWDestinationRFC1918, "igw", ""))
			l.send("laptop", pt.SYN("7.7.7.7:1", "9.9.9.9:80")).Want(pt.Dropped(dataplane.UplinkRefused))
			// What comes in does not go out again, and meets the gateway's checks.
			l.put(l.ports[l.Outside.Handle], pt.SYN("9.9.9.9:1", "7.7.7.7:80")).Want(pt.Dropped(dataplane.InternetUnreachable))
			l.put(l.ports[l.Outside.Handle], pt.SYN("10.1.1.1:1", l.at("web*:80"))).Want(dropped(dataplane.IGWSourceRFC1918, "igw", ""))
			if !o.Join {
				l.fails("laptop", l.Outside.Address.String()+":80", pt.Dropped(dataplane.InternetUnreachable))
			}
		})
	}
}
