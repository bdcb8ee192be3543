package reasons

import (
	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
)

var (
	zoneFailure = control.Named{ID: "fail-0c1d2e3f4a5b60718", Name: "zone ap-northeast-1a"}
	webOutward  = control.Named{ID: "imp-08f7e6d5c4b3a2910", Name: "web outward"}
)

// linking explains what failures and impaired links do.
var linking = map[dataplane.Reason]text{
	dataplane.ZoneFailed: {
		happened: "The packet's sender, its receiver or a NAT gateway on its way is in an availability zone that `vpcemu fail zone` has failed. Nothing goes in, out or within it; instances run on, and keep DHCP and DNS.",
		look:     "`vpcemu fail`, which lists what has failed.",
		change:   "`vpcemu heal zone ZONE`. What should survive a zone's failure needs a copy in another one, and a NAT gateway there.",
		example:  example{packet: "172.30.0.10:40000 > 172.30.1.20:80 tcp SYN", way: "web → db", by: zoneFailure},
	},
	dataplane.SubnetFailed: {
		happened: "The same, of a subnet: `vpcemu fail subnet`.",
		look:     "`vpcemu fail`, which lists what has failed.",
		change:   "`vpcemu heal subnet NAME`.",
	},
	dataplane.InstanceFailed: {
		happened: "The sender or receiver is an instance or Internet host that `vpcemu fail instance` has cut off. It runs on, and keeps DHCP and DNS.",
		look:     "`vpcemu fail`, which lists what has failed.",
		change:   "`vpcemu heal instance NAME`.",
	},
	dataplane.NATGatewayFailed: {
		happened: "`vpcemu fail nat` has failed the NAT gateway: it forwards nothing, in neither direction, though its routes are still active. Connections through it are kept, and go on when it is healed in time.",
		look:     "`vpcemu fail`, which lists what has failed.",
		change:   "`vpcemu heal nat NAME`, or a route to another NAT gateway.",
	},
	dataplane.LinkFailed: {
		happened: "`vpcemu fail link` has cut the two ends off from one another, whichever gateways lie between them.",
		look:     "`vpcemu fail`, which lists what has failed.",
		change:   "`vpcemu heal link ONE OTHER`.",
	},
	dataplane.LinkLoss: {
		happened: "A link with `loss` lost it (`impair:` in the file, `vpcemu impair`). All filters had let it pass; flow logs say ACCEPT.",
		look:     "`vpcemu impair`, which lists the links with what they have lost.",
		change:   "Less loss, or none: `vpcemu impair NAME --clear`. TCP repeats what is lost, and gets slower; with UDP that is the program's business.",
		example:  example{packet: "172.30.0.10:40000 > 172.30.1.20:80 tcp", way: "web → db", by: webOutward, rule: "loss 1%"},
	},
	dataplane.LinkQueueFull: {
		happened: "More was sent than a link's `rate` takes, and its queue was full. A TCP connection finds the rate by just that. It is also the reason when as much waits in delayed links as vpcemu keeps, 128 MiB a worker.",
		look:     "`vpcemu impair`, which lists the links with what waits in them.",
		change:   "A longer `queue`, or a higher `rate`; or a sender that sends less.",
		example:  example{packet: "172.30.0.10:40000 > 172.30.1.20:80 tcp", way: "web → db", by: webOutward, rule: "rate 10mbit"},
	},
}
