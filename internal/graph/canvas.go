package graph

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// rect is a rectangle in pixels, its corner at the upper left.
type rect struct{ x, y, w, h float64 }

func (r rect) right() float64  { return r.x + r.w }
func (r rect) bottom() float64 { return r.y + r.h }
func (r rect) midX() float64   { return r.x + r.w/2 }
func (r rect) midY() float64   { return r.y + r.h/2 }

type point struct{ x, y float64 }

// canvas collects what is drawn, in layers, and remembers where all text and lines are.
type canvas struct {
	w, h   float64
	layers [layers]strings.Builder
	texts  []label
	lines  []polyline
}

// Layers, from the back to the front.
const (
	layerFrames = iota
	layerLines
	layerTrace
	layerCards
	layerText
	layerMarks
	layers
)

// label is a text with the box that it may fill and the frame that it must not leave.
type label struct {
	text    string
	box, in rect
}

type polyline struct {
	class  string
	points []point
}

// escape makes text fit for XML: characters that XML has no way to write become U+FFFD.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// px prints a length with a tenth of a pixel.
func px(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// titled wraps drawing in a group with a tooltip.
func titled(tip, body string) string {
	if tip == "" {
		return body
	}
	return "<g><title>" + escape(tip) + "</title>" + body + "</g>"
}

// frame draws a rectangle with round corners.
func (c *canvas) frame(layer int, class string, r rect, radius float64, tip string) {
	c.put(layer, titled(tip, fmt.Sprintf(`<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="%s"/>`,
		class, px(r.x), px(r.y), px(r.w), px(r.h), px(radius))))
}

func (c *canvas) put(layer int, s string) {
	if s == "" {
		return
	}
	c.layers[layer].WriteString(s)
	c.layers[layer].WriteByte('\n')
}

// Classes of text by face and size; style.go has them.
func (f font) class() string {
	switch f {
	case fontTitle:
		return "t"
	case fontHead:
		return "h"
	case fontTag:
		return "k"
	case fontMono:
		return "m"
	}
	return "s"
}

// write draws a run of text, its baseline at y, and returns where it ends.
func (c *canvas) write(r run, x, y float64, in rect) float64 {
	c.put(layerText, r.svg(x, y, ""))
	return c.took(r, x, y, in)
}

// writeMid draws a run of text with its middle at x.
func (c *canvas) writeMid(r run, x, y float64, in rect) {
	c.put(layerText, r.svg(x, y, " mid"))
	c.took(r, x-r.font.width(r.text)/2, y, in)
}

// classes are those of the font and of the colour.
func (r run) classes() string {
	if r.class == "" {
		return r.font.class()
	}
	return r.font.class() + " " + r.class
}

func (r run) svg(x, y float64, more string) string {
	if r.text == "" {
		return ""
	}
	tip := r.full
	if tip == r.text {
		tip = ""
	}
	return titled(tip, fmt.Sprintf(`<text class="%s%s" x="%s" y="%s">%s</text>`, r.classes(), more, px(x), px(y), escape(r.text)))
}

// took notes what room a text takes.
func (c *canvas) took(r run, x, y float64, in rect) float64 {
	w := r.font.width(r.text)
	if r.text != "" {
		c.texts = append(c.texts, label{r.text, rect{x, y - r.font.size*0.8, w, r.font.size}, in})
	}
	return x + w
}

// stroke draws a line with round corners and, with an arrow, a head at its end.
func (c *canvas) stroke(layer int, class string, points []point, arrow bool) {
	points = straight(points)
	if len(points) < 2 {
		return
	}
	c.lines = append(c.lines, polyline{class, points})
	var b strings.Builder
	fmt.Fprintf(&b, "M%s %s", px(points[0].x), px(points[0].y))
	for i := 1; i < len(points)-1; i++ {
		at := points[i]
		radius := min(6, length(points[i-1], at)/2, length(at, points[i+1])/2)
		from, to := toward(at, points[i-1], radius), toward(at, points[i+1], radius)
		fmt.Fprintf(&b, "L%s %sQ%s %s %s %s", px(from.x), px(from.y), px(at.x), px(at.y), px(to.x), px(to.y))
	}
	last := points[len(points)-1]
	before := points[len(points)-2]
	end := last
	if arrow {
		end = toward(last, before, 4)
	}
	fmt.Fprintf(&b, "L%s %s", px(end.x), px(end.y))
	c.put(layer, fmt.Sprintf(`<path class="%s" d="%s"/>`, class, b.String()))
	if arrow {
		back := toward(last, before, 8)
		dx, dy := (last.y-back.y)/2, (back.x-last.x)/2
		c.put(layer, fmt.Sprintf(`<path class="%s-tip" d="M%s %sL%s %sL%s %sZ"/>`, class,
			px(last.x), px(last.y), px(back.x+dx), px(back.y+dy), px(back.x-dx), px(back.y-dy)))
	}
}

// straight leaves out points that are on the way between their neighbours.
func straight(points []point) []point {
	var out []point
	for _, p := range points {
		n := len(out)
		if n > 0 && out[n-1] == p {
			continue
		}
		if n > 1 && (out[n-1].x == p.x && out[n-2].x == p.x || out[n-1].y == p.y && out[n-2].y == p.y) {
			out[n-1] = p
			continue
		}
		out = append(out, p)
	}
	return out
}

// length is that of a horizontal or vertical line.
func length(a, b point) float64 { return max(a.x-b.x, b.x-a.x) + max(a.y-b.y, b.y-a.y) }

// toward is the point that lies a distance from a on the straight way to b.
func toward(a, b point, distance float64) point {
	full := length(a, b)
	if full == 0 {
		return a
	}
	part := distance / full
	return point{a.x + (b.x-a.x)*part, a.y + (b.y-a.y)*part}
}

// cross marks the place of a drop.
func (c *canvas) cross(p point, tip string) {
	const arm = 4.5
	c.put(layerMarks, titled(tip, fmt.Sprintf(`<circle class="dropped" cx="%s" cy="%s" r="9"/><path class="x" d="M%s %sl%s %sm0 -%s l-%s %s"/>`,
		px(p.x), px(p.y), px(p.x-arm), px(p.y-arm), px(2*arm), px(2*arm), px(2*arm), px(2*arm), px(2*arm))))
}
