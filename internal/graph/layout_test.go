package graph

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// drawModel draws a lab of any shape: what the model would not allow is drawn as well.
func drawModel(t *rapid.T) *vpc.Model {
	m := &vpc.Model{Lab: "lab"}
	d := &drawer{T: t, m: m}
	for range d.upTo(6, "hosts") {
		id := vpc.InternetHostID(d.id("host"))
		m.InternetHosts.Put(id, &vpc.InternetHost{ID: id, HostName: d.name(), PublicIp: d.addr(198), State: d.state()})
	}
	for range d.upTo(2, "vpcs") {
		d.vpc()
	}
	if d.yes("loose") {
		m.InternetGateways.Put("igw-loose", &vpc.InternetGateway{ID: "igw-loose"})
		m.Addresses.Put("eipalloc-loose", &vpc.Address{AllocationID: "eipalloc-loose", PublicIp: d.addr(203)})
	}
	return m
}

type drawer struct {
	*rapid.T
	m    *vpc.Model
	next int
}

func (d *drawer) upTo(n int, what string) int { return rapid.IntRange(0, n).Draw(d.T, what) }
func (d *drawer) yes(what string) bool        { return rapid.Bool().Draw(d.T, what) }
func (d *drawer) id(prefix string) string {
	d.next++
	return fmt.Sprintf("%s-%017x", prefix, d.next)
}

func (d *drawer) addr(first byte) netip.Addr {
	d.next++
	return netip.AddrFrom4([4]byte{first, 255, byte(100 + d.next>>8), byte(d.next)})
}

func (d *drawer) name() string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"web", "db", "a", strings.Repeat("W", 63), "node-" + strings.Repeat("i", 50) + "-17", `<&"'>;#end`, "日本語の名前です日本語の名前です", "two words", "", "x\ny"}),
		rapid.StringN(0, 63, 255),
	).Draw(d.T, "name")
}

func (d *drawer) meta() vpc.Meta { return vpc.Meta{Tags: map[string]string{"Name": d.name()}} }

func (d *drawer) state() string {
	return rapid.SampledFrom([]string{vpc.StateRunning, vpc.StateStopped, vpc.StatePending, vpc.StateTerminated}).Draw(d.T, "state")
}

func (d *drawer) vpc() {
	m := d.m
	id := vpc.VpcID(d.id("vpc"))
	v := &vpc.Vpc{Meta: d.meta(), ID: id, IsDefault: d.yes("default")}
	for range 1 + d.upTo(3, "blocks") {
		v.Cidrs = append(v.Cidrs, vpc.CidrAssociation{CidrBlock: netip.PrefixFrom(d.addr(10), 16).Masked()})
	}
	m.Vpcs.Put(id, v)
	var targets []vpc.Route
	if d.yes("igw") {
		g := vpc.InternetGatewayID(d.id("igw"))
		m.InternetGateways.Put(g, &vpc.InternetGateway{Meta: d.meta(), ID: g, VpcID: id})
		targets = append(targets, vpc.Route{GatewayID: g})
	}
	groups := d.groups(id)
	acls := d.acls(id)
	var subnets []vpc.SubnetID
	for range d.upTo(6, "subnets") {
		s := vpc.SubnetID(d.id("subnet"))
		m.Subnets.Put(s, &vpc.Subnet{Meta: d.meta(), ID: s, VpcID: id, CidrBlock: netip.PrefixFrom(d.addr(10), 24).Masked(), DefaultForAz: d.yes("default subnet"),
			AvailabilityZone: rapid.SampledFrom([]string{"ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"}).Draw(d.T, "zone"), NetworkAclID: acls[d.upTo(len(acls)-1, "acl")]})
		subnets = append(subnets, s)
		targets = append(targets, d.machines(id, s, groups)...)
	}
	d.tables(id, subnets, targets)
}

func (d *drawer) groups(id vpc.VpcID) (list []vpc.SecurityGroupID) {
	for i := range 1 + d.upTo(5, "groups") {
		g := vpc.SecurityGroupID(d.id("sg"))
		group := &vpc.SecurityGroup{ID: g, VpcID: id, GroupName: d.name()}
		if i == 0 {
			group.GroupName = "default"
		}
		for range d.upTo(14, "rules") {
			r := vpc.SecurityGroupRule{IpProtocol: rapid.SampledFrom([]string{"tcp", "udp", "icmp", "-1", "47"}).Draw(d.T, "protocol"), FromPort: d.upTo(65535, "from") - 1, ToPort: 65535}
			if r.GroupID = g; d.yes("cidr") {
				r.GroupID, r.CidrIpv4 = "", netip.PrefixFrom(d.addr(192), 32)
			}
			group.Ingress = append(group.Ingress, r)
		}
		d.m.SecurityGroups.Put(g, group)
		list = append(list, g)
	}
	return list
}

func (d *drawer) acls(id vpc.VpcID) (list []vpc.NetworkAclID) {
	for i := range 1 + d.upTo(2, "acls") {
		a := vpc.NetworkAclID(d.id("acl"))
		acl := &vpc.NetworkAcl{ID: a, VpcID: id, IsDefault: i == 0}
		if i > 0 {
			acl.Meta = d.meta()
		}
		for j := range d.upTo(12, "entries") {
			acl.Entries = append(acl.Entries, vpc.NetworkAclEntry{RuleNumber: 100 + j, Egress: d.yes("egress"), Protocol: rapid.SampledFrom([]string{"-1", "6", "1"}).Draw(d.T, "protocol"),
				RuleAction: rapid.SampledFrom([]string{"allow", "deny"}).Draw(d.T, "action"), CidrBlock: netip.PrefixFrom(d.addr(10), 24), FromPort: 1, ToPort: d.upTo(65535, "to"), IcmpType: -1, IcmpCode: -1})
		}
		d.m.NetworkAcls.Put(a, acl)
		list = append(list, a)
	}
	return list
}

// machines fills a subnet and returns what routes may lead to.
func (d *drawer) machines(id vpc.VpcID, s vpc.SubnetID, groups []vpc.SecurityGroupID) (targets []vpc.Route) {
	for range d.upTo(d.sizes(), "instances") {
		i := vpc.InstanceID(d.id("i"))
		d.m.Instances.Put(i, &vpc.Instance{Meta: d.meta(), ID: i, VpcID: id, SubnetID: s, State: d.state()})
		for index := range 1 + d.upTo(1, "interfaces") {
			e := d.eni(id, s, groups)
			e.Attachment = &vpc.Attachment{InstanceID: i, DeviceIndex: index}
			targets = append(targets, vpc.Route{NetworkInterfaceID: e.ID})
		}
	}
	for range d.upTo(1, "lone interfaces") {
		targets = append(targets, vpc.Route{NetworkInterfaceID: d.eni(id, s, groups).ID})
	}
	for range d.upTo(2, "nats") {
		g := vpc.NatGatewayID(d.id("nat"))
		e := d.eni(id, s, nil)
		e.InterfaceType = "natGateway"
		d.m.NatGateways.Put(g, &vpc.NatGateway{Meta: d.meta(), ID: g, VpcID: id, SubnetID: s, State: "available", NetworkInterfaceID: e.ID,
			Addresses: []vpc.NatGatewayAddress{{PrivateIp: d.addr(10), PublicIp: d.addr(203)}}})
		targets = append(targets, vpc.Route{NatGatewayID: g})
	}
	return targets
}

func (d *drawer) sizes() int { return rapid.SampledFrom([]int{1, 3, 3, 30}).Draw(d.T, "size") }

func (d *drawer) eni(id vpc.VpcID, s vpc.SubnetID, groups []vpc.SecurityGroupID) *vpc.NetworkInterface {
	e := &vpc.NetworkInterface{ID: vpc.NetworkInterfaceID(d.id("eni")), VpcID: id, SubnetID: s, SourceDestCheck: d.yes("check"), InterfaceType: "interface"}
	for i := range 1 + d.upTo(5, "addresses") {
		e.PrivateIps = append(e.PrivateIps, vpc.PrivateAddress{PrivateIp: d.addr(10), Primary: i == 0})
	}
	if d.yes("public") {
		e.PublicIp = d.addr(203)
	}
	if len(groups) > 0 {
		e.Groups = groups[d.upTo(len(groups)-1, "first group"):]
	}
	d.m.NetworkInterfaces.Put(e.ID, e)
	return e
}

func (d *drawer) tables(id vpc.VpcID, subnets []vpc.SubnetID, targets []vpc.Route) {
	for i := range 1 + d.upTo(3, "tables") {
		r := &vpc.RouteTable{Meta: d.meta(), ID: vpc.RouteTableID(d.id("rtb")), VpcID: id, Routes: []vpc.Route{{Local: true}}}
		for range d.upTo(6, "routes") {
			if len(targets) > 0 {
				to := targets[d.upTo(len(targets)-1, "target")]
				to.DestinationCidrBlock = netip.PrefixFrom(d.addr(172), 24).Masked()
				r.Routes = append(r.Routes, to)
			}
		}
		if i == 0 {
			r.Associations = append(r.Associations, vpc.RouteAssociation{Main: true})
		}
		if g := d.m.VpcInternetGateway(id); g != nil && i == 1 {
			r.Associations = append(r.Associations, vpc.RouteAssociation{GatewayID: g.ID})
		}
		for _, s := range subnets {
			if d.yes("own table") {
				r.Associations = append(r.Associations, vpc.RouteAssociation{SubnetID: s})
			}
		}
		d.m.RouteTables.Put(r.ID, r)
	}
}

// drawTrace draws a way past any objects of the lab, and perhaps a drop.
func drawTrace(t *rapid.T, s *scene) *control.Trace {
	var places []control.Object
	for _, h := range s.hosts {
		places = append(places, control.Object{ID: h.id, Name: h.name})
	}
	for _, v := range s.vpcs {
		if v.gateway != nil {
			places = append(places, control.Object{ID: v.gateway.id, Name: v.gateway.name, Kind: "internet gateway"})
		}
		for _, sub := range v.all() {
			for _, n := range sub.nodes {
				places = append(places, control.Object{ID: n.id, Name: n.name})
			}
		}
	}
	places = append(places, control.Object{Kind: "internet", Name: "internet"}, control.Object{Kind: "address", Name: "192.0.2.7"})
	place := rapid.SampledFrom(places)
	path := func() *control.Path {
		p := &control.Path{Text: "denied by the subnet's network ACL, which is a reason of some length"}
		for range rapid.IntRange(0, 3).Draw(t, "hops") {
			at := place.Draw(t, "at")
			p.Hops = append(p.Hops, control.Hop{Stage: rapid.SampledFrom([]string{"sg-egress", "acl-egress", "route", "igw-egress", "internet", "acl-ingress", "deliver"}).Draw(t, "stage"),
				Object: place.Draw(t, "object"), At: &at, Rule: "rule 100 allows", Verdict: "pass"})
			if at.Kind != "" {
				p.Hops[len(p.Hops)-1].At = nil
			}
		}
		if n := len(p.Hops); n > 0 && rapid.Bool().Draw(t, "dropped") {
			p.Hops[n-1].Verdict = "drop"
		}
		return p
	}
	tr := &control.Trace{From: place.Draw(t, "from"), To: place.Draw(t, "to"), Protocol: "tcp", Port: 22, Source: "198.51.100.1:1", Destination: "10.0.0.1:22",
		Reason: "SUBNET_ACL_RESTRICTION", Text: "denied", Forward: path()}
	if rapid.Bool().Draw(t, "reply") {
		tr.Return = path()
	}
	return tr
}

// TestNothingOverlaps: whatever is in a lab, no text of its picture leaves its frame or
// overlaps another, no box overlaps its neighbours, and no line runs through text or cards.
func TestNothingOverlaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newScene(drawModel(t))
		if rapid.Bool().Draw(t, "traced") {
			s.addTrace(drawTrace(t, s))
		}
		checkLayout(t, newLayout(s, options{rapid.IntRange(1, 8).Draw(t, "columns"), rapid.Bool().Draw(t, "beside")}).draw())
	})
}

const slack = 0.01

func (r rect) overlaps(o rect) bool {
	return r.x+slack < o.right() && o.x+slack < r.right() && r.y+slack < o.bottom() && o.y+slack < r.bottom()
}

func (r rect) holds(o rect) bool {
	return o.x > r.x-slack && o.y > r.y-slack && o.right() < r.right()+slack && o.bottom() < r.bottom()+slack
}

// within is r without a border.
func (r rect) within(border float64) rect {
	return rect{r.x + border, r.y + border, r.w - 2*border, r.h - 2*border}
}

func checkLayout(t interface{ Fatalf(string, ...any) }, l *layout) {
	page := rect{0, 0, l.w, l.h}
	for i, a := range l.texts {
		if !a.in.holds(a.box) || !page.holds(a.box) {
			t.Fatalf("text %q at %+v leaves its frame %+v (page %+v)", a.text, a.box, a.in, page)
		}
		for _, b := range l.texts[:i] {
			if a.box.overlaps(b.box) {
				t.Fatalf("text %q at %+v overlaps %q at %+v", a.text, a.box, b.text, b.box)
			}
		}
	}
	solid := solids(l)
	for i, a := range solid {
		for _, b := range solid[:i] {
			if a.overlaps(b) {
				t.Fatalf("cards %+v and %+v overlap", a, b)
			}
		}
	}
	for _, line := range l.lines {
		for i := 1; i < len(line.points); i++ {
			run := spanned(line.points[i-1], line.points[i])
			if run.w > slack && run.h > slack {
				t.Fatalf("line %s runs aslant: %v", line.class, line.points)
			}
			if !page.holds(run) {
				t.Fatalf("line %s leaves the page: %v", line.class, line.points)
			}
			for _, a := range l.texts {
				if run.overlapsLine(a.box) {
					t.Fatalf("line %s %v runs through text %q at %+v", line.class, line.points, a.text, a.box)
				}
			}
			for _, c := range solid {
				if run.overlapsLine(c.within(1)) {
					t.Fatalf("line %s %v runs through card %+v", line.class, line.points, c)
				}
			}
		}
	}
	checkFrames(t, l)
}

// solids are the boxes that lines may touch and not cross.
func solids(l *layout) (list []rect) {
	for _, c := range l.cards {
		list = append(list, c.rect)
	}
	for _, b := range l.nets {
		if b.pill.w > 0 {
			list = append(list, b.pill)
		}
	}
	return list
}

func spanned(a, b point) rect {
	return rect{min(a.x, b.x), min(a.y, b.y), max(a.x, b.x) - min(a.x, b.x), max(a.y, b.y) - min(a.y, b.y)}
}

// overlapsLine tells whether a line, which is as thin as it can be, meets the inside of a box.
func (r rect) overlapsLine(o rect) bool {
	return r.x < o.right()-slack && o.x+slack < r.right() && r.y < o.bottom()-slack && o.y+slack < r.bottom()
}

func checkFrames(t interface{ Fatalf(string, ...any) }, l *layout) {
	for n, c := range l.cards {
		frame := l.inet
		if n.subnet != nil {
			frame = l.boxes[n.subnet].rect
		}
		if !frame.holds(c.rect) {
			t.Fatalf("card %q at %+v leaves %+v", n.name, c.rect, frame)
		}
	}
	for _, b := range l.nets {
		if b.overlaps(l.inet) || !(rect{0, 0, l.w, l.h}).holds(b.rect) {
			t.Fatalf("VPC %+v overlaps the Internet %+v or leaves the page %v %v", b.rect, l.inet, l.w, l.h)
		}
		for i, z := range b.zones {
			if !b.holds(z.rect) || i > 0 && z.overlaps(b.zones[i-1].rect) {
				t.Fatalf("zone %+v leaves the VPC %+v or overlaps the one before", z.rect, b.rect)
			}
			for j, s := range z.z.rows {
				if s == nil {
					continue
				}
				if !z.holds(l.boxes[s].rect) {
					t.Fatalf("subnet %+v leaves zone %+v", l.boxes[s].rect, z.rect)
				}
				for _, o := range z.z.rows[:j] {
					if o != nil && l.boxes[s].overlaps(l.boxes[o].rect) {
						t.Fatalf("subnets overlap")
					}
				}
			}
		}
	}
}
