package graph

import (
	"fmt"
	"strings"

	"github.com/vpcemu/vpcemu/internal/explain"
)

// lines of traced ways run in the gaps: above the rows of cards, in the gutter to the left
// of a zone, in the strip above the zones and in the channel below the Internet. Each leg,
// from one stop to the next, has a lane of its own in all of them.

// drawTrace draws the ways of the trace, if there is one.
func (l *layout) drawTrace() {
	if l.trace == nil {
		return
	}
	lane := -(float64(l.trace.legs()) - 1) / 2
	for _, w := range l.trace.ways() {
		class := "out"
		if w == l.trace.back {
			class = "back"
		}
		lane = l.drawWay(w, class, lane)
	}
}

func (l *layout) drawWay(w *way, class string, lane float64) float64 {
	legs := len(w.stops) - 1
	end := point{}
	if legs == 0 && w.drop != nil {
		end = l.stub(w, class, lane*laneGap)
	}
	if legs == 0 {
		lane++
	}
	for i := range legs {
		d := lane * laneGap
		from, to := w.stops[i], w.stops[i+1]
		last := i == legs-1
		points := l.leg(from, to, d)
		if last && w.drop != nil && w.drop.atEdge && w.drop.inbound {
			points = l.cut(points, l.boxes[to.node.subnet].rect)
		}
		l.stroke(layerTrace, class, points, !last || w.drop == nil)
		if len(points) > 0 {
			end = points[len(points)-1]
		}
		if last && w.drop != nil && w.drop.atEdge && !w.drop.inbound {
			end = l.stub(&way{stops: []stop{to}, drop: w.drop}, class, d+laneGap/2)
		}
		lane++
	}
	if w.drop != nil {
		l.cross(end, w.drop.text)
	}
	return lane
}

// stub is the line of a packet that does not get away from where it starts.
func (l *layout) stub(w *way, class string, d float64) point {
	c := l.cards[w.stops[0].node]
	if c == nil {
		return point{l.inet.x + pad + 60, l.inet.bottom()}
	}
	if w.drop == nil || !w.drop.atEdge {
		if c.net == nil {
			end := point{c.midX() + d, c.lane}
			if l.lastRow(c) {
				end.y = l.inet.bottom()
			}
			l.stroke(layerTrace, class, []point{{end.x, c.bottom()}, end}, false)
			return end
		}
		return point{c.midX() + d, c.y}
	}
	edge := l.boxes[w.stops[0].node.subnet].x
	points := []point{{c.midX() + d, c.y}, {c.midX() + d, c.lane + d}, {edge, c.lane + d}}
	l.stroke(layerTrace, class, points, false)
	return points[2]
}

// cut ends a way where it first meets a box.
func (l *layout) cut(points []point, box rect) []point {
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		if a.y == b.y && a.y > box.y && a.y < box.bottom() {
			if a.x <= box.x && b.x > box.x {
				return append(points[:i:i], point{box.x, a.y})
			}
		}
	}
	return points
}

// leg is the way from one stop to the next, d off the middle of everything.
func (l *layout) leg(from, to stop, d float64) []point {
	if a, b := l.cards[from.node], l.cards[to.node]; a != nil && b != nil && a.net != nil && a.net == b.net {
		return l.inside(a, b, d)
	}
	up, down := l.toInternet(from, d), l.toInternet(to, d)
	if from.gate != nil && to.node != nil && l.within(to.node, from.gate) {
		down = l.toGateway(to, d)
		up = nil
	}
	if to.gate != nil && from.node != nil && l.within(from.node, to.gate) {
		up = l.toGateway(from, d)
		down = nil
	}
	points := up
	for i := len(down) - 1; i >= 0; i-- {
		points = append(points, down[i])
	}
	return points
}

func (l *layout) within(n *node, v *network) bool {
	c := l.cards[n]
	return c != nil && c.net == l.nets[v]
}

// inside is the way between two cards of a VPC: along the gap above the row, and through
// the gutter where they are not in one subnet.
func (l *layout) inside(a, b *card, d float64) []point {
	up, down := point{a.midX() + d, a.lane + d}, point{b.midX() + d, b.lane + d}
	points := []point{{up.x, a.y}, up}
	switch {
	case a.lane == b.lane && a.zone == b.zone:
	case a.s == b.s:
		x := l.boxes[a.s].x + pad/2 + d*8/max(8, l.lanes)
		points = append(points, point{x, up.y}, point{x, down.y})
	default:
		points = append(points, point{l.gutter(a.zone, d), up.y})
		if a.zone != b.zone {
			y := a.net.strip(max(a.s.at, b.s.at), d, l.lanes)
			points = append(points, point{l.gutter(a.zone, d), y}, point{l.gutter(b.zone, d), y})
		}
		points = append(points, point{l.gutter(b.zone, d), down.y})
	}
	return append(points, down, point{down.x, b.y})
}

// gutter is the x of a lane to the left of a zone.
func (l *layout) gutter(z *zoneBox, d float64) float64 {
	return z.x - 5 - l.lanes/2 + d
}

// strip is the y of a lane in the gap above a row of subnets.
func (b *netBox) strip(row int, d, lanes float64) float64 {
	return b.gapY[row] + 4 + float64(len(b.gaps[row]))*laneGap + lanes/2 + d
}

// toGateway is the way from a card to its VPC's Internet gateway.
func (l *layout) toGateway(from stop, d float64) []point {
	c := l.cards[from.node]
	b := c.net
	x, gutter := b.pill.midX()+d, l.gutter(c.zone, d)
	return []point{{c.midX() + d, c.y}, {c.midX() + d, c.lane + d}, {gutter, c.lane + d}, {gutter, b.bus + d}, {x, b.bus + d}, {x, b.pill.bottom()}}
}

// toInternet is the way from a host, a gateway, or a card by way of it, to the channel
// below the Internet.
func (l *layout) toInternet(from stop, d float64) []point {
	y := l.inet.bottom() + 8 + l.lanes/2 + d
	c := l.cards[from.node]
	switch {
	case from.gate != nil:
		p := l.nets[from.gate].pill
		return []point{{p.midX() + d, p.y}, {p.midX() + d, y}}
	case c == nil: // the Internet itself
		x := l.inet.x + pad + 60 + d
		return []point{{x, l.inet.bottom()}, {x, y}}
	case c.net != nil:
		x := c.net.right() - pad - l.lanes/2 + d // no gateway leads there: to the right of the name
		return []point{{c.midX() + d, c.y}, {c.midX() + d, c.lane + d}, {l.gutter(c.zone, d), c.lane + d}, {l.gutter(c.zone, d), c.net.bus + d}, {x, c.net.bus + d}, {x, y}}
	}
	points := []point{{c.midX() + d, c.bottom()}}
	if !l.lastRow(c) { // between the columns
		side := c.x - l.hostGap()/2 + d/4
		points = append(points, point{c.midX() + d, c.lane + d}, point{side, c.lane + d}, point{side, y})
		return points
	}
	return append(points, point{c.midX() + d, y})
}

// lastRow tells whether a host is in the lowest row.
func (l *layout) lastRow(c *card) bool {
	return l.cards[l.hosts[len(l.hosts)-1]].y == c.y
}

// placeHeadline writes what was traced and what came of it.
func (l *layout) placeHeadline(y float64) float64 {
	if l.trace == nil {
		return y
	}
	t := l.trace
	in := rect{margin, y, l.w - 2*margin, 44}
	class := "yes"
	if !t.reachable {
		class = "no"
	}
	pill := newTag(class, t.verdict, "", in.w/2)
	l.tag(pill, margin, y+2, in)
	x := margin + pill.w + 12
	l.write(run{fontTitle, "", fontTitle.fitName(t.title, in.right()-x), t.title}, x, y+17, in)
	l.write(run{fontSmall, "", fontSmall.fit(t.text, in.w), t.text}, margin, y+37, in)
	return y + 54
}

// traceWidth is what the headline asks for.
func (l *layout) traceWidth() float64 {
	if l.trace == nil {
		return 0
	}
	return min(fontTitle.width(l.trace.title)+140, 900)
}

// placeFoot writes, below the VPCs, what is attached to nothing and the steps of the trace.
func (l *layout) placeFoot(y float64) float64 {
	in := rect{margin, y, l.w - 2*margin, 1e6}
	for i, text := range l.loose {
		if i == maxRules {
			text = fmt.Sprintf("and %d more", len(l.loose)-i)
		}
		l.write(run{fontSmall, "", fontSmall.fit(text, in.w), text}, margin, y+12, in)
		y += 17
		if i == maxRules {
			break
		}
	}
	if l.trace == nil {
		if len(l.loose) == 0 {
			y -= margin
		}
		return y
	}
	if len(l.loose) > 0 {
		y += 12
	}
	room := l.w - 2*margin
	list := l.trace.ways()
	if len(list) == 2 && l.trace.stepsWidth(list[0])+l.trace.stepsWidth(list[1])+2*margin <= room {
		half := max(l.trace.stepsWidth(list[0])+margin, room-max(l.trace.stepsWidth(list[1]), room/2))
		left := l.placeSteps(list[0], margin, y, half)
		return max(left, l.placeSteps(list[1], margin+half, y, room-half))
	}
	for i, w := range list {
		if i > 0 {
			y += 14
		}
		y = l.placeSteps(w, margin, y, room)
	}
	return y
}

// Columns of a way's steps begin so far from one another.
const stepNumber, stepGap = 24.0, 14.0

// stepColumns are the widths of stages and objects, the same for both ways.
func (r *route) stepColumns() (stage, object float64) {
	for _, w := range r.ways() {
		for _, s := range w.steps {
			stage = max(stage, fontSmall.width(s.Stage))
			object = max(object, fontSmall.width(s.Object))
		}
	}
	return stage, min(object, 180)
}

func (r *route) stepsWidth(w *way) (width float64) {
	stage, object := r.stepColumns()
	for _, s := range w.steps {
		width = max(width, fontSmall.width(detail(s)))
	}
	return max(180, stepNumber+stage+object+2*stepGap+width) // the heading is less
}

// placeSteps writes a way's steps, one a line, and returns where they end.
func (l *layout) placeSteps(w *way, left, y, room float64) float64 {
	class, head := "out", "The packet"
	if w == l.trace.back {
		class, head = "back", "Its reply"
	}
	in := rect{left, y, room, 24 + float64(len(w.steps))*ruleH}
	l.stroke(layerMarks, class, []point{{left, y + 9}, {left + 34, y + 9}}, true)
	l.write(plain(fontHead, class+"Ink", head), left+44, y+14, in)
	y += 24
	stage, object := l.trace.stepColumns()
	for i, s := range w.steps {
		ink := ""
		if s.Dropped {
			ink = "bad"
		}
		l.write(plain(fontSmall, "", fmt.Sprint(i+1)), left, y+12, in)
		x := left + stepNumber
		l.write(plain(fontSmall, ink, s.Stage), x, y+12, in)
		x += stage + stepGap
		l.write(run{fontSmall, ink, fontSmall.fitName(s.Object, object), s.Object}, x, y+12, in)
		x += object + stepGap
		l.write(run{fontSmall, ink, fontSmall.fit(detail(s), in.right()-x), detail(s)}, x, y+12, in)
		y += ruleH
	}
	return y
}

// detail is what a step says, the reason in front where the packet ended.
func detail(s explain.Line) string {
	if s.Dropped && s.Detail != s.Reason {
		return strings.TrimRight(s.Reason+", "+s.Detail, ", ")
	}
	return s.Detail
}
