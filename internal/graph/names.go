package graph

import (
	"fmt"
	"strings"
)

// names gives the things of a scene the identifiers that they have in DOT and Mermaid:
// plain words that neither language reserves.
type names struct {
	node   map[*node]string
	subnet map[*subnet]string
	gate   map[*network]string
}

func (s *scene) identifiers() names {
	ids := names{map[*node]string{}, map[*subnet]string{}, map[*network]string{}}
	for _, h := range s.hosts {
		ids.node[h] = fmt.Sprintf("n%d", len(ids.node)+1)
	}
	for i, v := range s.vpcs {
		ids.gate[v] = fmt.Sprintf("igw%d", i+1)
		for _, sub := range v.all() {
			ids.subnet[sub] = fmt.Sprintf("t%d", len(ids.subnet)+1)
			for _, n := range sub.nodes {
				ids.node[n] = fmt.Sprintf("n%d", len(ids.node)+1)
			}
		}
	}
	return ids
}

// all are the VPC's subnets, zone by zone.
func (n *network) all() (list []*subnet) {
	for _, z := range n.zones {
		for _, s := range z.rows {
			if s != nil {
				list = append(list, s)
			}
		}
	}
	return list
}

// of is the identifier of a stop; both languages have one for the Internet itself.
func (ids names) of(at stop) string {
	if at == (stop{}) {
		return "internet"
	}
	if at.gate != nil {
		return ids.gate[at.gate]
	}
	return ids.node[at.node]
}

// edge is a line between two identifiers.
type edge struct {
	from, to string
	label    string
	class    string // grid (invisible), gateway, route, out, back, drop
}

// routeEdges are those of route tables: a gateway to the tables that name it, and from a
// table to its other targets.
func (s *scene) routeEdges(ids names) (list []edge) {
	for _, v := range s.vpcs {
		for _, sub := range v.all() {
			if sub.table == nil {
				continue
			}
			for _, h := range sub.table.routes {
				n := s.nodes[h.id]
				switch {
				case h.blackhole:
				case h.toInternet:
					list = append(list, edge{ids.gate[v], ids.subnet[sub], h.dest, "gateway"})
				case n != nil && ids.node[n] != "":
					list = append(list, edge{ids.subnet[sub], ids.node[n], h.dest, "route"})
				}
			}
		}
	}
	return list
}

// gridWidth is how many nodes of a subnet stand side by side where a program lays them out.
const gridWidth = 6

// gridEdges hold the picture together: subnets of a zone below one another, public ones
// first, and the nodes of one in rows.
func (s *scene) gridEdges(ids names) (list []edge) {
	for _, v := range s.vpcs {
		for _, z := range v.zones {
			var above []string
			for _, sub := range z.rows {
				if sub == nil {
					continue
				}
				row := []string{ids.subnet[sub]}
				for _, n := range sub.nodes {
					row = append(row, ids.node[n])
				}
				for _, id := range above {
					list = append(list, edge{id, row[0], "", "grid"})
				}
				for i := gridWidth; i < len(row); i++ {
					list = append(list, edge{row[i-gridWidth], row[i], "", "grid"})
				}
				above = row[max(0, len(row)-gridWidth):]
			}
		}
	}
	return list
}

// where a drop is: in a subnet, in a VPC, or on the Internet.
type ending struct {
	id, text string
	subnet   *subnet
	vpc      *network
}

// traceEdges are the legs of a trace, numbered, and the places of drops.
func (s *scene) traceEdges(ids names) (list []edge, ends []ending) {
	if s.trace == nil {
		return nil, nil
	}
	for _, w := range s.trace.ways() {
		class := "out"
		if w == s.trace.back {
			class = "back"
		}
		stops := w.stops
		if d := w.drop; d != nil {
			e := ending{id: fmt.Sprintf("drop%d", len(ends)+1), text: d.text}
			last := stops[len(stops)-1]
			switch {
			case last.gate != nil:
				e.vpc = last.gate
			case last.node != nil:
				e.subnet = last.node.subnet
			}
			ends = append(ends, e)
			// What the packet does not reach has no line to it; the mark takes its place.
			if d.inbound || last == (stop{}) {
				stops = stops[:len(stops)-1]
			}
		}
		for i := 1; i < len(stops); i++ {
			list = append(list, edge{ids.of(stops[i-1]), ids.of(stops[i]), fmt.Sprintf("%s %d", arrowWord(class), i), class})
		}
		if w.drop != nil && len(stops) > 0 {
			list = append(list, edge{ids.of(stops[len(stops)-1]), ends[len(ends)-1].id, fmt.Sprintf("%s %d", arrowWord(class), len(stops)), "drop"})
		}
	}
	return list, ends
}

func arrowWord(class string) string {
	if class == "back" {
		return "reply"
	}
	return "packet"
}

// textOf are a node's lines as plain text, the name first.
func (n *node) textOf() []string {
	list := []string{n.name}
	if n.what != "" {
		list = append(list, n.what)
	}
	list = append(list, n.addrs...)
	return append(list, n.states...)
}

// textOf are the lines of the subnet's route table.
func (s *subnet) textOf() []string {
	if s.table == nil {
		return []string{"no route table"}
	}
	list := []string{"route table " + s.table.name}
	for _, h := range s.table.routes {
		list = append(list, h.run().text)
	}
	if len(s.table.routes) == 0 {
		list = append(list, "no route but local")
	}
	return list
}

// captions are the lines at the top of a subnet.
func (s *subnet) captions() []string {
	list := []string{s.name + " " + s.block, tierNames[s.tier] + " subnet"}
	if s.acl != nil {
		list[1] += ", ACL " + s.acl.name
	}
	return list
}

func (n *network) caption() string {
	return strings.Join(append([]string{"VPC " + n.name}, n.blocks...), " ")
}

func (g *gateway) textOf() []string {
	list := []string{"Internet gateway", g.name}
	for _, h := range g.edge {
		list = append(list, "edge "+h.run().text)
	}
	return list
}
