package graph

import (
	"fmt"
	"strings"
)

// drawNets draws the Internet, the VPCs and the lines between them.
func (l *layout) drawNets() {
	l.frame(layerFrames, "inet", l.inet, 10, "")
	l.drawLines(l.heading(), l.inet.x+pad, l.inet.y+pad-4, l.inet)
	for _, h := range l.hosts {
		l.drawNode(h)
	}
	for _, v := range l.vpcs {
		b := l.nets[v]
		l.frame(layerFrames, "vpc", b.rect, 10, lines("VPC "+v.name+" "+v.id, strings.Join(v.blocks, ", ")))
		room := b.w - 2*pad - l.lanes - 10
		if v.gateway != nil {
			room = b.pill.x - 20 - b.x - pad
		}
		l.drawLines(b.title(room), b.x+pad, b.y+10, b.rect)
		l.drawZones(b)
		l.drawGateway(b)
		l.drawRoutes(b)
		l.drawRules(b)
	}
}

func (l *layout) drawZones(b *netBox) {
	for _, z := range b.zones {
		l.frame(layerFrames, "zone", z.rect, 8, "availability zone "+z.z.name)
		l.drawLines(fitLines([]line{{h: 20, runs: []run{plain(fontSmall, "", z.z.name)}}}, z.w-2*zonePad), z.x+zonePad+4, z.y+4, z.rect)
		for _, s := range z.z.rows {
			if s != nil {
				l.drawSubnet(s)
			}
		}
	}
	if b.n.folded != "" {
		y := b.body + b.zonesH
		folded := line{h: 20, runs: []run{plain(fontSmall, "", b.n.folded)}}
		room := b.w - 2*pad - 6
		if l.beside {
			room -= b.rulesW
		}
		l.drawLines(fitLines([]line{folded}, room), b.x+pad+6, y, b.rect)
	}
}

func (l *layout) drawSubnet(s *subnet) {
	x := l.boxes[s]
	tip := lines("subnet "+s.name+" "+s.id, s.block+" in "+s.zone)
	if s.table != nil {
		tip = lines(tip, s.table.tip())
	}
	l.frame(layerFrames, "sub "+tierNames[s.tier], x.rect, 8, tip)
	l.drawLines(x.head, x.x+pad, x.y+pad-4, x.rect)
	if s.acl != nil {
		t := s.acl.tag(x.w - 2*pad)
		around := rect{x.x, x.y - tagH/2, x.w, x.h}
		l.tag(t, x.right()-pad-t.w, x.y-tagH/2, around)
	}
	for _, n := range s.nodes {
		l.drawNode(n)
	}
}

// nodeClasses are the looks of cards by kind.
var nodeClasses = [...]string{kindHost: "host", kindInstance: "inst", kindInterface: "eni", kindNAT: "gw", kindOutside: "eni"}

func (l *layout) drawNode(n *node) {
	c := l.cards[n]
	class := nodeClasses[n.kind]
	if n.off {
		class = "off"
	}
	l.frame(layerCards, class, c.rect, 8, n.tip)
	l.drawLines(c.lines, c.x+cardPad, c.y+cardPad-4, c.rect)
}

// drawGateway draws the Internet gateway on the VPC's edge and its line to the Internet.
func (l *layout) drawGateway(b *netBox) {
	g := b.n.gateway
	if g == nil {
		return
	}
	p := b.pill
	l.frame(layerCards, "gw", p, pillH/2, lines("Internet gateway "+g.name, g.id))
	name, what := g.name, "Internet gateway"
	if name == g.id {
		name, what = what, name
	}
	l.writeMid(run{fontHead, "", fontHead.fitName(name, p.w-30), name}, p.midX(), p.y+16, p)
	l.writeMid(plain(fontSmall, "", what), p.midX(), p.y+31, p)
	if !l.trace.passes(b.n) {
		l.stroke(layerLines, "line", []point{{p.midX(), p.y}, {p.midX(), l.inet.bottom()}}, false)
	}
	notes := g.lines()
	x := p.right() + 10
	room := rect{x, l.inet.bottom(), b.right() - x, b.y - l.inet.bottom()}
	l.drawLines(notes, x, b.y-heightOf(notes)-2, room)
}

// drawRoutes draws a line from the Internet gateway to each public subnet, and from each
// subnet to the NAT gateways and interfaces that its routes name.
func (l *layout) drawRoutes(b *netBox) {
	for _, z := range b.zones {
		for _, s := range z.z.rows {
			if s == nil || s.table == nil {
				continue
			}
			for i, h := range s.table.routes {
				if i == maxRoutes-1 && len(s.table.routes) > maxRoutes {
					break
				}
				l.drawRoute(b, z, s, i, h)
			}
		}
	}
}

func (l *layout) drawRoute(b *netBox, z *zoneBox, s *subnet, i int, h hop) {
	from := l.boxes[s]
	y := from.y + pad - 4 + 20 + 17 + float64(i)*17 + 9
	if h.blackhole {
		return
	}
	if h.toInternet {
		x := b.pill.midX()
		l.stroke(layerLines, "line", []point{{x, b.pill.bottom()}, {x, b.bus}, {z.left, b.bus}, {z.left, y}, {from.x, y}}, true)
		return
	}
	t := l.nodes[h.id]
	to := l.cards[t]
	if to == nil || t.subnet == nil || to.net != b {
		return
	}
	const class = "via"
	end := []point{{to.lastX(), to.y - 5}, {to.lastX(), to.y}}
	if t.kind == kindNAT {
		end = []point{{to.right(), to.midY()}}
	}
	if to.zone == z {
		x := z.lane(t)
		points := append([]point{{from.right(), y}, {x, y}, {x, end[0].y}}, end...)
		l.stroke(layerLines, class, points, true)
		return
	}
	out, in := z.lane(t), to.zone.lane(t)
	between := b.gapLane(t)
	points := append([]point{{from.right(), y}, {out, y}, {out, between}, {in, between}, {in, end[0].y}}, end...)
	l.stroke(layerLines, class, points, true)
}

// lastX is where lines of routes meet the top of a card, off the way of traces.
func (c *card) lastX() float64 { return c.right() - 14 }

// lane is the x of the lines to a target in the zone's right gutter.
func (z *zoneBox) lane(t *node) float64 {
	for i, other := range z.targets {
		if other == t {
			return z.right + float64(i)*laneGap
		}
	}
	return z.right
}

// gapLane is the y of the lines to a target that cross zones.
func (b *netBox) gapLane(t *node) float64 {
	row := t.subnet.at + 1
	for i, other := range b.gaps[row] {
		if other == t {
			return b.gapY[row] + 5 + float64(i)*laneGap
		}
	}
	return b.gapY[row] + 5
}

// svg puts the layers together.
func (l *layout) svg() string {
	var b strings.Builder
	name := "Topology of lab " + l.title
	if l.trace != nil {
		name += ": " + l.trace.title + ", " + l.trace.verdict
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]s" height="%[2]s" viewBox="0 0 %[1]s %[2]s" role="img" aria-label="%[3]s">`+"\n",
		px(l.w), px(l.h), escape(name))
	fmt.Fprintf(&b, "<title>%s</title>\n<style>%s</style>\n", escape(name), style())
	fmt.Fprintf(&b, `<rect class="bg" width="%s" height="%s"/>`+"\n", px(l.w), px(l.h))
	class := ""
	for i := range l.layers {
		class = ""
		if i == layerLines && l.trace != nil {
			class = ` class="dim"`
		}
		if l.layers[i].Len() > 0 {
			fmt.Fprintf(&b, "<g%s>\n%s</g>\n", class, l.layers[i].String())
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}
