package graph

import (
	"fmt"
)

// panel is a security group or network ACL with its rules, in columns.
type panel struct {
	head  line
	cells [][]run // by row
	at    []float64
	more  string
	w, h  float64
}

const (
	panelGap = 22.0
	ruleH    = 17.0
)

// panels are those of a VPC's groups and ACLs that say something: not a default group
// that has no member, nor an ACL that allows everything.
func (n *network) panels() (list []*panel) {
	left := 0
	add := func(p *panel) {
		if len(list) == maxGroups {
			left++
			return
		}
		list = append(list, p)
	}
	for _, g := range n.groups {
		if g.colour < 0 && g.members == 0 {
			continue
		}
		add(newPanel(newTag(g.class(), g.name, g.tip(), ruleRoom-100), "security group", g.rules))
	}
	for _, a := range n.acls {
		if !a.open {
			add(newPanel(a.tag(ruleRoom-100), "network ACL", a.rules))
		}
	}
	if left > 0 {
		list[len(list)-1].more = fmt.Sprintf("and %d more groups and ACLs", left)
		list[len(list)-1].h += ruleH
	}
	return list
}

func (a *acl) tag(room float64) tag {
	class := "acl"
	if a.open {
		class = "acl open"
	}
	return newTag(class, "ACL "+a.name, lines("network ACL "+a.name+" "+a.id, ruleLines(a.rules)), room)
}

func newPanel(t tag, what string, rules []rule) *panel {
	head := line{h: 24, tags: []tag{t}, runs: []run{plain(fontSmall, "", what)}}
	p := &panel{head: head, h: head.h}
	for i, r := range rules {
		if i == maxRules-1 && len(rules) > maxRules {
			p.more = fmt.Sprintf("and %d more rules", len(rules)-i)
			p.h += ruleH
			break
		}
		p.cells = append(p.cells, r.cells())
	}
	if len(rules) == 0 {
		p.more, p.h = "no rules: nothing in, nothing out", p.h+ruleH
	}
	p.h += float64(len(p.cells)) * ruleH
	p.columns()
	p.w = max(p.w, head.width(), fontSmall.width(p.more))
	return p
}

func (r rule) cells() []run {
	way := "in"
	if r.out {
		way = "out"
	}
	list := []run{plain(fontSmall, "", way)}
	if r.number != "" {
		list = append(list, plain(fontMono, "", r.number), plain(fontSmall, r.action, r.action))
	}
	return append(list, plain(fontMono, "", r.what), plain(fontMono, "", r.peer))
}

// columns lines the cells up; the last ones give way where the room ends.
func (p *panel) columns() {
	x := 0.0
	for j := 0; len(p.cells) > 0 && j < len(p.cells[0]); j++ {
		p.at = append(p.at, x)
		w := 0.0
		for _, row := range p.cells {
			row[j].text = row[j].font.fit(row[j].text, max(ruleRoom-x, 16))
			w = max(w, row[j].font.width(row[j].text))
		}
		p.w = x + w
		x += w + 10
	}
}

// measureRules arranges the panels in columns, beside the zones or below them, and adds
// their room to the VPC's.
func (l *layout) measureRules(b *netBox) {
	list := b.n.panels()
	if len(list) == 0 {
		return
	}
	w, total := 0.0, 0.0
	for _, p := range list {
		w = max(w, p.w)
		total += p.h + panelGap
	}
	columns := int((b.w - 2*pad + panelGap) / (w + panelGap))
	if l.beside {
		columns = int((total + b.zonesH) / (b.zonesH + 1))
	}
	columns = max(1, min(columns, len(list)))
	heights := make([]float64, columns)
	b.rules = make([][]*panel, columns)
	for _, p := range list {
		at := 0
		for i := range heights {
			if heights[i] < heights[at] {
				at = i
			}
		}
		b.rules[at] = append(b.rules[at], p)
		heights[at] += p.h + panelGap
	}
	tallest := 0.0
	for _, h := range heights {
		tallest = max(tallest, h-panelGap)
	}
	width := float64(columns)*(w+panelGap) - panelGap
	if l.beside {
		b.rulesW = width + panelGap
		b.w += b.rulesW
		b.h += max(0, tallest+8-b.zonesH)
		return
	}
	b.rulesW = width
	b.h += tallest + panelGap
	b.w = max(b.w, width+2*pad)
}

// drawRules writes the panels.
func (l *layout) drawRules(b *netBox) {
	if len(b.rules) == 0 {
		return
	}
	x, top := b.x+pad+6, b.body+b.zonesH+panelGap-4
	step := (b.w - 2*pad) / float64(len(b.rules))
	if l.beside {
		x, top = b.right()-pad-b.rulesW+panelGap, b.body+4
		step = b.rulesW / float64(len(b.rules))
	} else if b.n.folded != "" {
		top += 20
	}
	for _, column := range b.rules {
		y := top
		for _, p := range column {
			l.drawPanel(p, x, y, b.rect)
			y += p.h + panelGap
		}
		x += step
	}
}

func (l *layout) drawPanel(p *panel, x, y float64, in rect) {
	l.drawLines([]line{p.head}, x, y, in)
	y += p.head.h
	for _, row := range p.cells {
		for j, r := range row {
			l.write(r, x+p.at[j], y+ruleH-5, in)
		}
		y += ruleH
	}
	l.write(plain(fontSmall, "", p.more), x, y+ruleH-5, in)
}
