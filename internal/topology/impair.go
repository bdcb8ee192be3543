package topology

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/internal/impair"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// texts are the conditions as the file has them.
func (o *Conditions) texts() impair.Texts {
	t := impair.Texts{Delay: o.Delay.V, Jitter: o.Jitter.V, Distribution: o.Distribution.V, Loss: o.Loss.V, LossBurst: o.LossBurst.V,
		Duplicate: o.Duplicate.V, Reorder: o.Reorder.V, Rate: o.Rate.V, Queue: o.Queue.V}
	if o.Gap.Set {
		t.Gap = strconv.Itoa(o.Gap.V)
	}
	return t
}

// both are the conditions of the directions.
func (o *Impair) both() (egress, ingress impair.Texts) {
	egress, ingress = o.texts(), o.texts()
	if o.Egress.Set {
		egress = o.Egress.V.texts()
	}
	if o.Ingress.Set {
		ingress = o.Ingress.V.texts()
	}
	return egress, ingress
}

// conditions checks those of one mapping. The error goes to the line of its key.
func (c *checker) conditions(o *Conditions, line int, object, path string) {
	_, err := o.texts().Parse()
	if err == nil {
		return
	}
	why := strings.ReplaceAll(err.Error(), "\n", "; ")
	key, _, _ := strings.Cut(why, ":")
	if k := findKey(keysOf(reflect.TypeFor[Conditions]()), key); k != nil {
		if at := reflect.ValueOf(o).Elem().FieldByIndex(k.field).Field(2).Int(); at > 0 {
			line = int(at)
		}
	}
	c.add(line, object, "%s.%s", path, why)
}

func (c *checker) impair(o *Value[Impair], object, path string) {
	c.conditions(&o.V.Conditions, o.Line, object, path)
	c.conditions(&o.V.Egress.V, o.V.Egress.Line, object, path+".egress")
	c.conditions(&o.V.Ingress.V, o.V.Ingress.Line, object, path+".ingress")
}

// impairs checks all links.
func (c *checker) impairs() {
	for _, o := range c.f.Subnets.List {
		c.impair(&o.Impair, o.String(), "impair")
	}
	for _, o := range c.f.Instances.List {
		c.impair(&o.Impair, o.String(), "impair")
	}
	for _, o := range c.f.InternetHosts.List {
		c.impair(&o.Impair, o.String(), "impair")
	}
	c.impair(&c.f.Internet.V.Impair, "", "internet.impair")
	said := map[[2]string]int{}
	for i := range c.f.Impair.V {
		c.zoneImpair(&c.f.Impair.V[i], fmt.Sprintf("impair[%d]", i), said)
	}
}

func (c *checker) zoneImpair(v *Value[ZoneImpair], path string, said map[[2]string]int) {
	o := &v.V
	pairs := o.pairs()
	if pairs == nil || o.Zones.Set && (o.From.Set || o.To.Set) {
		c.add(v.Line, "", "%s: either zones, of which there are two, or from and to say between which availability zones it is", path)
		return
	}
	c.conditions(&o.Conditions, v.Line, "", path)
	for _, p := range pairs {
		for _, z := range p {
			if len(c.zones) > 0 && !slices.Contains(c.zones, z) { // none: the region was refused
				c.add(v.Line, "", "%s: %q is no availability zone of the region: %s", path, shorten(z), strings.Join(c.zones, ", "))
				return
			}
		}
		if regionOfZone(p[0]) != regionOfZone(p[1]) {
			c.add(v.Line, "", "%s: %s and %s are in two regions, between which packets cross the Internet: internet.impair is about that", path, p[0], p[1])
			return
		}
		if line, twice := said[p]; twice {
			c.add(v.Line, "", "%s: line %d says what is from %s to %s already", path, line, p[0], p[1])
			return
		}
		said[p] = v.Line
	}
}

// pairs are from where to where the conditions are; nil: the file does not say so.
func (o *ZoneImpair) pairs() [][2]string {
	switch z := o.Zones.V; {
	case o.Zones.Set && len(z) == 2 && z[0].V == z[1].V:
		return [][2]string{{z[0].V, z[0].V}}
	case o.Zones.Set && len(z) == 2:
		return [][2]string{{z[0].V, z[1].V}, {z[1].V, z[0].V}}
	case o.From.Set && o.To.Set:
		return [][2]string{{o.From.V, o.To.V}}
	}
	return nil
}

// links makes links what the file says, and perfect where it says nothing.
func (c *converger) links() {
	for _, o := range c.f.Subnets.List {
		c.linkOf(&o.Head, vpc.PlaceSubnet, &o.Impair)
	}
	for _, o := range c.f.Instances.List {
		c.linkOf(&o.Head, vpc.PlaceInstance, &o.Impair)
	}
	for _, o := range c.f.InternetHosts.List {
		c.linkOf(&o.Head, vpc.PlaceInternetHost, &o.Impair)
	}
	c.labLinks()
}

func (c *converger) linkOf(h *Head, kind string, o *Value[Impair]) {
	id := c.ids[h.Source()]
	if c.err != nil || id == "" {
		return
	}
	c.at(h)
	c.line = max(h.Line, o.Line)
	egress, ingress := o.V.both()
	if c.link(vpc.Place{Type: kind, ID: id}, vpc.Place{}, egress, ingress) {
		c.did("impair")
	}
	c.done()
}

// labLinks are those that are no object's: of the Internet and between zones.
func (c *converger) labLinks() {
	if c.err != nil {
		return
	}
	c.head, c.line = nil, c.f.Internet.Line
	var changed []string
	c.tx.Call.Source = "internet"
	egress, ingress := c.f.Internet.V.Impair.V.both()
	if c.link(vpc.Place{Type: vpc.PlaceInternet}, vpc.Place{}, egress, ingress) {
		changed = append(changed, "internet.impair")
	}
	want := map[[2]string]impair.Texts{}
	for _, o := range c.f.Impair.V {
		for _, p := range o.V.pairs() {
			want[p] = o.V.texts()
		}
	}
	c.line = c.f.Impair.Line
	for _, zones := range c.zonesByRegion() {
		c.zoneLinks(zones, want, &changed)
	}
	if len(changed) > 0 && c.err == nil {
		c.changes = append(c.changes, Change{Update, "lab", c.tx.Lab, strings.Join(changed, "; ")})
	}
}

// zonesByRegion are the zones of the file's Regions. Between Regions packets cross the
// Internet and no link of zones.
func (c *converger) zonesByRegion() (list [][]string) {
	for _, region := range c.f.regions() {
		list = append(list, c.tx.ZonesOf(region))
	}
	return list
}

func (c *converger) zoneLinks(zones []string, want map[[2]string]impair.Texts, changed *[]string) {
	for i, a := range zones {
		for _, b := range zones[i:] {
			c.tx.Call.Source = "impair." + a + "." + b
			if c.link(vpc.Place{Type: vpc.PlaceZone, ID: a}, vpc.Place{Type: vpc.PlaceZone, ID: b}, want[[2]string{a, b}], want[[2]string{b, a}]) {
				*changed = append(*changed, "impair "+a+" "+b)
			}
		}
	}
}

// link gives a link the conditions, and tells whether it had others.
func (c *converger) link(p, to vpc.Place, egress, ingress impair.Texts) (changed bool) {
	var is vpc.Impairment
	if i := c.tx.ImpairmentOf(p, to); i != nil {
		is = *i
	}
	for _, d := range []struct {
		direction string
		is        impair.Conditions
		want      impair.Texts
	}{{vpc.DirectionEgress, is.Egress, egress}, {vpc.DirectionIngress, is.Ingress, ingress}} {
		want, err := d.want.Parse()
		if err != nil {
			c.fail(c.line, c.head, err) // the checks have refused it
			return false
		}
		if want == d.is || c.err != nil || d.direction == vpc.DirectionIngress && p == to {
			continue
		}
		changed = true
		t, place := d.want, p.ID
		if p.Type == vpc.PlaceInternet {
			place = vpc.PlaceInternet
		}
		call[vpc.ModifyImpairmentOutput](c, &vpc.ModifyImpairmentInput{Place: place, To: to.ID, Direction: d.direction,
			Delay: t.Delay, Jitter: t.Jitter, Distribution: t.Distribution, Loss: t.Loss, LossBurst: t.LossBurst,
			Duplicate: t.Duplicate, Reorder: t.Reorder, Gap: t.Gap, Rate: t.Rate, Queue: t.Queue})
	}
	return changed
}
