package graph

import (
	"fmt"
	"math"
	"slices"
)

// Distances in pixels.
const (
	margin    = 20.0 // around the picture
	pad       = 14.0 // inside boxes
	cardPad   = 10.0
	cardGap   = 14.0
	zonePad   = 10.0
	zoneHead  = 24.0
	vpcHead   = 34.0
	pillH     = 38.0
	laneGap   = 6.0 // between lines side by side
	minCard   = 128.0
	maxCard   = 224.0
	maxHeader = 330.0
	ruleRoom  = 330.0
)

// options are what a layout may vary to give the picture a good shape.
type options struct {
	columns int  // cards side by side in a subnet, at most
	beside  bool // rules to the right of the subnets, else below
}

// layout places a scene on a canvas. It goes top down: sizes first, then positions.
type layout struct {
	*scene
	options
	canvas
	lanes float64 // the room that traced ways need side by side
	inet  rect
	cards map[*node]*card
	boxes map[*subnet]*box
	nets  map[*network]*netBox
}

// card is where a node is.
type card struct {
	rect
	lines []line
	lane  float64 // y of the gap above its row
	s     *subnet // nil for a host, as the following are
	net   *netBox
	zone  *zoneBox
}

// box is where a subnet is.
type box struct {
	rect
	s       *subnet
	head    []line
	columns int
	places  []*card // row by row; nil: nothing there
	rowH    []float64
}

// zoneBox is where a zone is; left and right are the x of its outermost gutter lanes.
type zoneBox struct {
	rect
	z           *zone
	width       float64 // of its subnets
	columns     int     // of their cards
	left, right float64
	targets     []*node // that lines in the right gutter lead to, by lane
}

// netBox is where a VPC is.
type netBox struct {
	rect
	n      *network
	cardW  float64
	zones  []*zoneBox
	rowH   []float64
	gaps   [][]*node // lanes in the gap above each row, and below the last
	gapY   []float64
	rules  [][]*panel // in columns
	rulesW float64
	zonesW float64
	zonesH float64
	pill   rect
	bus    float64
	body   float64 // y of the zones
}

const goodShape = 1.45

// best is the layout whose shape is nearest to that of a screen.
func best(s *scene) *layout {
	most := 1
	for _, v := range s.vpcs {
		for _, z := range v.zones {
			for _, sub := range z.rows {
				if sub != nil {
					most = max(most, len(sub.nodes))
				}
			}
		}
	}
	var found *layout
	score := math.Inf(1)
	for columns := 1; columns <= min(most, 16); columns++ {
		for _, beside := range []bool{false, true} {
			l := newLayout(s, options{columns, beside})
			if is := math.Abs(math.Log(l.w / l.h / goodShape)); is < score {
				found, score = l, is
			}
		}
	}
	return found.draw()
}

// newLayout places everything; what has no frame to wait for is written at once.
func newLayout(s *scene, o options) *layout {
	l := &layout{scene: s, options: o, cards: map[*node]*card{}, boxes: map[*subnet]*box{}, nets: map[*network]*netBox{}}
	if s.trace != nil {
		l.lanes = float64(s.trace.legs()) * laneGap
	}
	width := 0.0
	for _, v := range s.vpcs {
		width += l.measureNet(v).w + margin
	}
	l.w = max(width-margin, l.internetWidth(), l.traceWidth(), 420) + 2*margin
	y := l.placeHeadline(margin)
	y = l.placeInternet(y)
	y += l.channel()
	l.placeNets(y)
	bottom := y
	for _, b := range l.nets {
		bottom = max(bottom, b.bottom())
	}
	if len(s.vpcs) == 0 && s.trace == nil {
		bottom = l.inet.bottom()
	}
	l.h = l.placeFoot(bottom+margin) + margin
	return l
}

// draw draws what is placed.
func (l *layout) draw() *layout {
	l.drawNets()
	l.drawTrace()
	return l
}

// measureNet finds the size of a VPC and all in it, and in which lanes its routes run.
func (l *layout) measureNet(n *network) *netBox {
	b := &netBox{n: n, rowH: make([]float64, n.tiers), gaps: make([][]*node, n.tiers+1)}
	l.nets[n] = b
	b.cardW = l.cardWidth(n)
	for _, z := range n.zones {
		b.zones = append(b.zones, &zoneBox{z: z})
	}
	l.routeLanes(b)
	for _, z := range b.zones {
		for _, s := range z.z.rows {
			if s != nil {
				z.width = max(z.width, l.subnetWidth(s, b))
				z.columns = max(z.columns, l.columnsOf(s))
			}
		}
		for i, s := range z.z.rows {
			if s != nil {
				b.rowH[i] = max(b.rowH[i], l.measureSubnet(s, b, z))
			}
		}
	}
	l.sumNet(b)
	return b
}

// cardWidth is what all cards of a VPC have, so that they stand in columns.
func (l *layout) cardWidth(n *network) float64 {
	w := minCard
	for _, z := range n.zones {
		for _, s := range z.rows {
			if s == nil {
				continue
			}
			for _, node := range s.nodes {
				w = max(w, widest(node.cardLines(maxCard-2*cardPad))+2*cardPad)
			}
		}
	}
	return min(w, maxCard)
}

func (l *layout) columnsOf(s *subnet) int { return max(1, min(l.columns, len(s.nodes))) }

func (l *layout) subnetWidth(s *subnet, b *netBox) float64 {
	columns := float64(l.columnsOf(s))
	if len(s.nodes) == 0 {
		columns = 0
	}
	return max(widest(s.header(maxHeader)), columns*(b.cardW+cardGap)-cardGap) + 2*pad
}

// cardRow is the gap above a row of cards, in which traced ways run.
func (l *layout) cardRow() float64 { return 13 + l.lanes }

// measureSubnet puts a subnet's cards in rows, NAT gateways in the last column, as the
// lines of their routes come from the right. It returns the height that the subnet needs.
func (l *layout) measureSubnet(s *subnet, b *netBox, z *zoneBox) float64 {
	x := &box{s: s, columns: z.columns, head: s.header(z.width - 2*pad)}
	l.boxes[s] = x
	var rest []*card
	for _, n := range s.nodes {
		c := &card{s: s, net: b, zone: z, lines: n.cardLines(b.cardW - 2*cardPad)}
		c.w, c.h = b.cardW, heightOf(c.lines)+2*cardPad-4
		l.cards[n] = c
		if n.kind != kindNAT {
			rest = append(rest, c)
			continue
		}
		for len(x.places)%x.columns != x.columns-1 {
			x.places = append(x.places, nil)
		}
		x.places = append(x.places, c)
	}
	for i := 0; len(rest) > 0; i++ {
		switch {
		case i == len(x.places):
			x.places = append(x.places, rest[0])
		case x.places[i] == nil:
			x.places[i] = rest[0]
		default:
			continue
		}
		rest = rest[1:]
	}
	h := pad - 2 + heightOf(x.head)
	for i := 0; i < len(x.places); i += x.columns {
		row := 0.0
		for _, c := range x.places[i:min(i+x.columns, len(x.places))] {
			if c != nil {
				row = max(row, c.h)
			}
		}
		x.rowH = append(x.rowH, row)
		h += l.cardRow() + row
	}
	return h + pad
}

// gap is the height of the strip above a row of subnets; the ACL's tag stands half in it.
func (l *layout) gap(b *netBox, row int) float64 {
	h := 20 + float64(len(b.gaps[row]))*laneGap
	if l.trace != nil && l.trace.crossesZones() {
		h += l.lanes
	}
	return h
}

// leftGutter and rightGutter hold the lines to Internet gateways and those to others.
func (l *layout) leftGutter() float64            { return 20 + l.lanes }
func (l *layout) rightGutter(z *zoneBox) float64 { return 8 + float64(len(z.targets))*laneGap }

// sumNet adds up what a VPC has inside.
func (l *layout) sumNet(b *netBox) {
	for i, z := range b.zones {
		if i == 0 {
			b.zonesW += 6
		}
		b.zonesW += l.leftGutter() + z.width + 2*zonePad + l.rightGutter(z)
	}
	b.zonesH = zoneHead
	for i := range b.gaps {
		b.zonesH += l.gap(b, i)
	}
	for _, h := range b.rowH {
		b.zonesH += h
	}
	if len(b.zones) == 0 {
		b.zonesH = 0
	}
	b.h = vpcHead + 14 + l.lanes + b.zonesH + pad
	if b.n.folded != "" {
		b.h += 20
	}
	title := widest(b.title(1e6))
	pill := 0.0
	if g := b.n.gateway; g != nil {
		b.pill.w = min(g.width()+34, 260)
		pill = b.pill.w + 40
		if len(g.lines()) > 0 {
			pill += noteRoom
		}
	}
	b.w = max(b.zonesW, min(title, 420)+pill, 300) + 2*pad
	l.measureRules(b)
}

// title is the VPC's name and blocks.
func (b *netBox) title(room float64) []line {
	runs := []run{plain(fontHead, "", "VPC "+b.n.name)}
	for _, block := range b.n.blocks {
		runs = append(runs, plain(fontMono, "", block))
	}
	return fitLines([]line{{h: 20, runs: runs}}, room)
}

// placeNets puts the VPCs side by side; one alone is as wide as the Internet.
func (l *layout) placeNets(y float64) {
	total := -margin
	for _, n := range l.vpcs {
		total += l.nets[n].w + margin
	}
	extra := (l.w - 2*margin - total) / float64(max(1, len(l.vpcs)))
	x := margin
	for _, n := range l.vpcs {
		b := l.nets[n]
		b.x, b.y = x, y
		b.w += extra
		x = b.right() + margin
		l.placeNet(b)
	}
	for _, n := range l.vpcs { // of the same height, whatever is in them
		for _, o := range l.nets {
			l.nets[n].h = max(l.nets[n].h, o.bottom()-y)
		}
	}
}

// placeNet places the zones of a VPC, its gateway, and its rules.
func (l *layout) placeNet(b *netBox) {
	b.bus = b.y + vpcHead + 7 + l.lanes/2
	b.body = b.y + vpcHead + 14 + l.lanes
	room := b.w - 2*pad
	if l.beside {
		room -= b.rulesW
	}
	if n := len(b.zones); n > 0 {
		wider := max(0, room-b.zonesW) / float64(n)
		for _, z := range b.zones {
			z.width += wider
		}
	}
	x := b.x + pad
	for _, z := range b.zones {
		z.left = x + 8
		z.x, z.y = x+l.leftGutter(), b.body
		z.w, z.h = z.width+2*zonePad, b.zonesH-4
		z.right = z.rect.right() + 8
		x = z.rect.right() + l.rightGutter(z)
	}
	y := b.body + zoneHead
	for i := range b.gaps {
		b.gapY = append(b.gapY, y)
		y += l.gap(b, i)
		if i == len(b.rowH) {
			break
		}
		for _, z := range b.zones {
			if s := z.z.rows[i]; s != nil {
				l.placeSubnet(s, z, y, b.rowH[i])
			}
		}
		y += b.rowH[i]
	}
	if b.n.gateway != nil {
		left := b.x + pad + min(widest(b.title(1e6)), b.w-2*pad-b.pill.w-40) + 24
		b.pill = rect{max(b.midX()-b.pill.w/2, left), b.y - pillH/2, b.pill.w, pillH}
		right := b.right() - pad
		if len(b.n.gateway.lines()) > 0 {
			right -= noteRoom + 10
		}
		b.pill.x = min(b.pill.x, right-b.pill.w)
	}
}

func (l *layout) placeSubnet(s *subnet, z *zoneBox, y, h float64) {
	x := l.boxes[s]
	x.rect = rect{z.x + zonePad, y, z.width, h}
	top := y + pad - 2 + heightOf(x.head)
	step := (z.width - 2*pad + cardGap) / float64(x.columns)
	for i, c := range x.places {
		if i%x.columns == 0 {
			if i > 0 {
				top += x.rowH[i/x.columns-1]
			}
			top += l.cardRow()
		}
		if c == nil {
			continue
		}
		c.x, c.y = x.x+pad+float64(i%x.columns)*step, top
		c.w, c.h = min(step-cardGap, c.w*1.4), x.rowH[i/x.columns]
		c.lane = top - l.cardRow()/2 - 2
	}
}

// routeLanes gives each target of routes that is not an Internet gateway a lane in the
// gutters and gaps that lines to it run in.
func (l *layout) routeLanes(b *netBox) {
	for _, from := range b.zones {
		for _, s := range from.z.rows {
			for _, t := range l.targetsOf(s) {
				from.targets = addLane(from.targets, t)
				if t.subnet.zone == s.zone {
					continue
				}
				for _, z := range b.zones {
					if z.z.name == t.subnet.zone {
						z.targets = addLane(z.targets, t)
					}
				}
				below := t.subnet.at + 1
				b.gaps[below] = addLane(b.gaps[below], t)
			}
		}
	}
}

func addLane(lanes []*node, t *node) []*node {
	if slices.Contains(lanes, t) {
		return lanes
	}
	return append(lanes, t)
}

// targetsOf are the nodes that a subnet's routes lead to.
func (l *layout) targetsOf(s *subnet) (list []*node) {
	if s == nil || s.table == nil {
		return nil
	}
	for i, h := range s.table.routes {
		if i == maxRoutes-1 && len(s.table.routes) > maxRoutes {
			break // the line of the route is not there
		}
		if t := l.nodes[h.id]; t != nil && t.subnet != nil && !h.blackhole && !h.toInternet {
			list = addLane(list, t)
		}
	}
	return list
}

// internetCard is the width of the cards of hosts.
func (l *layout) internetCard() float64 {
	w := minCard
	for _, h := range l.hosts {
		w = max(w, widest(h.cardLines(maxCard-2*cardPad))+2*cardPad)
	}
	return min(w, maxCard)
}

// heading are the lines to the left of the hosts.
func (l *layout) heading() []line {
	list := []line{{h: 20, runs: []run{plain(fontHead, "", "the Internet")}}}
	if len(l.hosts) == 0 {
		list = append(list, line{h: 16, runs: []run{plain(fontSmall, "", "no hosts")}})
	}
	if l.trace != nil {
		for _, note := range l.trace.outside {
			list = append(list, wrap("✕ "+note, 180, 6)...)
		}
	}
	return list
}

// hostGap is the distance between hosts, in which traced ways run as well.
func (l *layout) hostGap() float64 { return cardGap + l.lanes/4 }

func (l *layout) internetWidth() float64 {
	return widest(l.heading()) + 3*pad + float64(min(len(l.hosts), 4))*(l.internetCard()+l.hostGap())
}

// placeInternet places the hosts in rows, in the middle of what the heading leaves.
func (l *layout) placeInternet(y float64) float64 {
	head := l.heading()
	left := margin + 2*pad + widest(head)
	room := l.w - margin - pad - left
	w := l.internetCard()
	columns := max(1, min(len(l.hosts), int((room+l.hostGap())/(w+l.hostGap()))))
	h := 0.0
	for _, n := range l.hosts {
		c := &card{lines: n.cardLines(w - 2*cardPad)}
		c.w, c.h = w, heightOf(c.lines)+2*cardPad-4
		h = max(h, c.h)
		l.cards[n] = c
	}
	group := float64(columns)*(w+l.hostGap()) - l.hostGap()
	left = max(left, min((l.w-group)/2, left+room-group)) // in the middle of the picture, if the heading lets it
	rows := (len(l.hosts) + columns - 1) / columns
	for i, n := range l.hosts {
		c := l.cards[n]
		c.h = h
		c.x = left + float64(i%columns)*(w+l.hostGap())
		c.y = y + pad + float64(i/columns)*(h+l.cardRow())
		c.lane = c.bottom() + l.cardRow()/2
	}
	height := float64(rows)*(h+l.cardRow()) - l.cardRow() + 2*pad
	l.inet = rect{margin, y, l.w - 2*margin, max(height, heightOf(head)+2*pad-4, 48)}
	return l.inet.bottom()
}

// channel is the height between the Internet and the VPCs.
func (l *layout) channel() float64 {
	lines := 0.0
	for _, v := range l.vpcs {
		lines = max(lines, heightOf(v.gateway.lines()))
	}
	return 16 + l.lanes + max(pillH/2+10, lines+14)
}

// noteRoom is the width of the lines to the right of an Internet gateway.
const noteRoom = 240.0

// lines stand to the right of an Internet gateway: routes of its own, and a drop there.
func (g *gateway) lines() (list []line) {
	if g == nil {
		return nil
	}
	for i, h := range g.edge {
		r := h.run()
		r.text, r.full = "edge "+r.text, "edge "+r.text
		more := i == maxRoutes-1 && len(g.edge) > maxRoutes
		if more {
			r = plain(fontSmall, "", fmt.Sprintf("and %d more edge routes", len(g.edge)-i))
		}
		list = append(list, line{h: 16, runs: []run{r}})
		if more {
			break
		}
	}
	list = fitLines(list, noteRoom)
	for _, n := range g.notes {
		list = append(list, wrap("✕ "+n, noteRoom, 4)...)
	}
	return list
}

// width is that of the gateway's two lines.
func (g *gateway) width() float64 {
	if g.name == g.id {
		return max(fontHead.width("Internet gateway"), fontSmall.width(g.id))
	}
	return max(fontHead.width(g.name), fontSmall.width("Internet gateway"))
}
