package daemon

import (
	"fmt"
	"strings"

	"github.com/vpcemu/vpcemu/internal/compile"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/impair"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// linkCounters tells what impaired links have done, each direction by itself.
func (d *Daemon) linkCounters(m *vpc.Model) []control.LinkCounter {
	stats := d.engine.Links()
	list := []control.LinkCounter{} // an empty list is one in JSON too
	for id, i := range m.Impairments.All() {
		egressKey, ingressKey := compile.LinkKeys(id)
		egress, ingress := i.LinkNames(m)
		add := func(name, key, direction string, c impair.Conditions) {
			if c.IsZero() {
				return
			}
			s := stats[key]
			list = append(list, control.LinkCounter{
				ID: string(id), Name: name, Place: m.PlaceWord(i.Place), To: i.To.ID, Direction: direction, Conditions: c.String(),
				Traffic: control.Traffic{Packets: s.Packets, Bytes: s.Bytes}, Held: s.Held, Delayed: s.Delayed,
				Lost: s.Lost, Overflowed: s.Overflowed, Reordered: s.Reordered, Duplicated: s.Duplicated,
			})
		}
		add(egress, egressKey, vpc.DirectionEgress, i.Egress)
		if i.To != i.Place || i.Place.Type != vpc.PlaceZone {
			add(ingress, ingressKey, vpc.DirectionIngress, i.Ingress)
		}
	}
	return list
}

// linkNotes say what does not work as it should, and on purpose.
func linkNotes(m *vpc.Model) (notes []string) {
	for _, f := range m.Failures.All() {
		notes = append(notes, fmt.Sprintf("%s is failed: vpcemu heal %s", f.Name(m), strings.Join(f.Words(m), " ")))
	}
	var impaired []string
	for _, i := range m.Impairments.All() {
		name := m.PlaceName(i.Place)
		if i.To != (vpc.Place{}) {
			name += " – " + i.To.ID
		}
		impaired = append(impaired, name)
	}
	if len(impaired) > 0 {
		notes = append(notes, "impaired links: "+strings.Join(impaired, ", ")+" (vpcemu impair lists them)")
	}
	return notes
}
