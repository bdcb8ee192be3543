package explain

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// adviseGroups adds the rule that is missing to one of the interface's security groups.
func adviseGroups(f *fault) []string {
	n := f.eniOf(f.step.At)
	if n == nil || len(n.Groups) == 0 {
		return []string{"Give the network interface a security group that has a rule for the packet."}
	}
	g := f.groupToChange(n)
	group := refer(f, g.ID, g.GroupName)
	inbound := f.step.Stage == dataplane.StageSGIngress
	what := f.traffic()
	if inbound {
		why := fmt.Sprintf("No inbound rule of %s's %s allows %s from %s.", title(f.eni(f.step.At)), groupNames(f.m, n), what, f.pkt.Src)
		if f.returning {
			why += " The answer is no reply of a tracked connection here: it came back another way than the packet went."
		}
		return []string{why, f.command("authorize-security-group-ingress", "--group-id "+group, f.permission(), f.peer(n, f.pkt.Src.Netip()))}
	}
	return []string{
		fmt.Sprintf("No outbound rule of %s's %s allows %s to %s.", title(f.eni(f.step.At)), groupNames(f.m, n), what, f.pkt.Dst),
		f.command("authorize-security-group-egress", "--group-id "+group, f.permission(), "--cidr "+f.cidr(f.pkt.Dst.Netip())),
	}
}

// adviseReference adds a rule by address beside the one by group, which only the private
// address of a member matches (SG-08, SG-09).
func adviseReference(f *fault) []string {
	n := f.eniOf(f.step.At)
	if n == nil || len(n.Groups) == 0 {
		return nil
	}
	why := "A rule that names a group matches the private addresses of its members alone, and only as long as no gateway or middlebox lies between."
	if to := f.privateOfTarget(); to.IsValid() {
		why += fmt.Sprintf(" Use the private address: `vpcemu trace %s %s %s`.", f.from.Name, to, f.asked())
	}
	g := f.groupToChange(n)
	return []string{why + " Or allow the address that the packet comes from:",
		f.command("authorize-security-group-ingress", "--group-id "+refer(f, g.ID, g.GroupName), f.permission(), "--cidr "+f.cidr(f.pkt.Src.Netip()))}
}

// privateOfTarget is the private address of a target in the sender's VPC to whose public
// one the packet was sent.
func (f *fault) privateOfTarget() netip.Addr {
	to, from := f.to.Interface, f.from.Interface
	if to == nil || from == nil || to.VpcID != from.VpcID || f.to.Asked != f.to.Public {
		return netip.Addr{}
	}
	return f.to.Private
}

// groupToChange is the group of an interface that a rule is best added to: its first own
// one, since the default group is everybody's.
func (f *fault) groupToChange(n *vpc.NetworkInterface) *vpc.SecurityGroup {
	var first *vpc.SecurityGroup
	for _, id := range n.Groups {
		g := f.m.SecurityGroups.Get(id)
		switch {
		case g == nil:
		case g.GroupName != "default":
			return g
		case first == nil:
			first = g
		}
	}
	return first
}

func groupNames(m *vpc.Model, n *vpc.NetworkInterface) string {
	names := ""
	for i, id := range n.Groups {
		if i > 0 {
			names += ", "
		}
		name := string(id)
		if g := m.SecurityGroups.Get(id); g != nil {
			name = g.GroupName
		}
		names += name
	}
	if len(n.Groups) == 1 {
		return "security group (" + names + ")"
	}
	return "security groups (" + names + ")"
}

// traffic is what the packet is to a rule: "tcp 22", "icmp", "protocol 47".
func (f *fault) traffic() string {
	name := protocolName(f.pkt.Proto)
	switch {
	case hasPorts(f.pkt.Proto):
		return name + " " + strconv.Itoa(int(f.pkt.DstPort))
	case f.pkt.Proto == packet.ProtoICMP:
		return name
	}
	return "protocol " + name
}

// permission are the flags of a rule for the packet.
func (f *fault) permission() string {
	name := protocolName(f.pkt.Proto)
	switch {
	case hasPorts(f.pkt.Proto):
		return "--protocol " + name + " --port " + f.ports("-")
	case f.pkt.Proto == packet.ProtoICMP:
		return "--protocol icmp --port -1"
	}
	return "--protocol " + name
}

// Ephemeral ports, as AWS advises for the answers to any client.
const (
	firstEphemeral = 1024
	lastPort       = 65535
)

// ports are those that a rule for the packet is for: of an answer all ephemeral ones, as
// the next connection has another.
func (f *fault) ports(between string) string {
	if f.returning && f.pkt.DstPort >= firstEphemeral {
		return fmt.Sprintf("%d%s%d", firstEphemeral, between, lastPort)
	}
	return strconv.Itoa(int(f.pkt.DstPort))
}

// peer is the flag for who sends: the group of a neighbour that is known by its group, else
// the address.
func (f *fault) peer(n *vpc.NetworkInterface, a netip.Addr) string {
	sender := f.interfaceWith(n.VpcID, a)
	if sender == nil || sender.Handle != f.leg.From || f.metGateway() {
		return "--cidr " + f.cidr(a)
	}
	if g := f.groupToChange(sender); g != nil {
		return "--source-group " + refer(f, g.ID, g.GroupName)
	}
	return "--cidr " + f.cidr(a)
}

// metGateway tells whether the leg led through a gateway, which hides the sender's groups.
func (f *fault) metGateway() bool {
	for i := range f.leg.Steps {
		switch f.leg.Steps[i].Stage {
		case dataplane.StageNAT, dataplane.StageIGWEgress, dataplane.StageIGWIngress:
			return true
		}
	}
	return false
}

// cidr is the range of addresses that a rule for one of them is for: itself, or everybody
// where no particular host on the Internet is meant.
func (f *fault) cidr(a netip.Addr) string {
	if a == endpoint.Anywhere {
		return "0.0.0.0/0"
	}
	return netip.PrefixFrom(a, a.BitLen()).String()
}

// adviseACL adds the entry that is missing, or one before the entry that denies.
func adviseACL(f *fault) []string {
	acl := f.m.NetworkAcls.Get(vpc.NetworkAclID(f.step.By.ID))
	rule := f.step.Rule.ACL
	if acl == nil || rule == nil {
		return nil
	}
	egress := f.step.Stage == dataplane.StageACLEgress
	direction, remote := "inbound", f.pkt.Src.Netip()
	if egress {
		direction, remote = "outbound", f.pkt.Dst.Netip()
	}
	name := refer(f, acl.ID, acl.Name())
	number, free := freeNumber(acl, egress, rule.Number)
	return []string{f.aclStory(direction, name, free), f.aclCommand(number, free, egress, remote, name)}
}

// aclStory says why the entry denies.
func (f *fault) aclStory(direction, name string, free bool) string {
	rule := f.step.Rule.ACL
	star := rule.Label() == "*"
	switch {
	case star && f.returning:
		return fmt.Sprintf("Network ACLs are stateless: the answer needs an %s rule of its own, and %s has none for %s. Clients choose their ports from %d to %d (the ephemeral ports).",
			direction, name, f.traffic(), firstEphemeral, lastPort)
	case star:
		return fmt.Sprintf("No %s rule of network ACL %s allows %s, so rule * denies it.", direction, name, f.traffic())
	}
	remedy := "allow it in one with a lower number"
	if !free {
		remedy = "as no lower number is free, replace it"
	}
	return fmt.Sprintf("The %s rule %s of network ACL %s denies it, and the first rule that matches decides: %s.", direction, rule.Label(), name, remedy)
}

func (f *fault) aclCommand(number int, free, egress bool, remote netip.Addr, name string) string {
	action := "create-network-acl-entry"
	if !free {
		action = "replace-network-acl-entry"
	}
	direction, cidr := "--ingress", f.cidr(remote)
	if egress {
		direction = "--egress"
	}
	if f.step.Rule.ACL.Label() == "*" {
		cidr = f.around(remote)
	}
	list := []string{"--network-acl-id " + name, direction, "--rule-number " + strconv.Itoa(number)}
	switch {
	case hasPorts(f.pkt.Proto):
		ports := f.ports(" ")
		var from, to int
		if n, _ := fmt.Sscan(ports, &from, &to); n == 1 {
			to = from
		}
		list = append(list, "--protocol "+protocolName(f.pkt.Proto), fmt.Sprintf("--port-range From=%d,To=%d", from, to))
	case f.pkt.Proto == packet.ProtoICMP:
		list = append(list, "--protocol icmp", "--icmp-type-code Type=-1,Code=-1")
	default:
		list = append(list, "--protocol "+protocolName(f.pkt.Proto))
	}
	return f.command(action, append(list, "--cidr-block "+cidr, "--rule-action allow")...)
}

// around is the range that an ACL's entry for an address is for: its subnet, or everybody
// on the Internet, as ACLs are about networks and not hosts.
func (f *fault) around(a netip.Addr) string {
	if v := f.vpcOf(); v != nil {
		if s := f.subnetWith(v.ID, a); s != nil {
			return s.CidrBlock.String()
		}
	}
	return "0.0.0.0/0"
}

// Numbers of an ACL's entries.
const (
	firstNumber = 100
	numberStep  = 10
	starNumber  = 32767
)

// freeNumber is the number of a new entry that comes before the one that denied: after all
// others before the "*", just before an entry of a user's. False: there is none, and the
// entry itself has to be replaced.
func freeNumber(acl *vpc.NetworkAcl, egress bool, denied int) (int, bool) {
	taken := map[int]bool{}
	highest := 0
	for i := range acl.Entries {
		if e := &acl.Entries[i]; e.Egress == egress && e.RuleNumber < starNumber {
			taken[e.RuleNumber] = true
			highest = max(highest, e.RuleNumber)
		}
	}
	if denied >= starNumber {
		if highest == 0 {
			return firstNumber, true
		}
		if next := (highest/numberStep + 1) * numberStep; next < starNumber {
			return next, true
		}
		denied = starNumber
	}
	if n := denied - numberStep; n > 0 && !taken[n] {
		return n, true
	}
	for n := denied - 1; n > 0; n-- {
		if !taken[n] {
			return n, true
		}
	}
	return denied, false
}

// adviseSourceDestCheck turns the check off at an interface that is to forward.
func adviseSourceDestCheck(f *fault) []string {
	n := f.eniOf(f.step.At)
	if n == nil {
		return nil
	}
	why := fmt.Sprintf("%s gets the packet by a route, but it is for %s: an instance that forwards, such as a NAT instance or a firewall, needs its source/destination check off.",
		title(f.eni(f.step.At)), f.pkt.Dst)
	if f.step.Stage == dataplane.StageSourceCheck {
		why = fmt.Sprintf("%s sends a packet from %s, which is not its own address: an instance that forwards needs its source/destination check off.",
			title(f.eni(f.step.At)), f.pkt.Src)
	}
	flag, action := f.interfaceFlag(n), "modify-network-interface-attribute"
	if strings.HasPrefix(flag, "--instance-id") {
		action = "modify-instance-attribute"
	}
	return []string{why, f.command(action, flag, "--no-source-dest-check")}
}
