package vpc

import (
	"strings"

	"github.com/vpcemu/vpcemu/internal/impair"
)

// Impairment is what a link is like that is not perfect: an instance's or Internet host's,
// the edge of a subnet, the one between two availability zones, or the Internet's (vpcemu's
// own). There is at most one of a place, or pair of zones.
type Impairment struct {
	Meta
	ID    ImpairmentID
	Place Place
	// To is the other one of two zones, the same one for what stays within a zone, else
	// zero. Place is the one whose name is less.
	To Place
	// Egress are the conditions of packets that leave the place, or go from Place to To;
	// Ingress the others. Of the Internet, Egress is the way there from a VPC, and Ingress
	// the way from it into one.
	Egress, Ingress impair.Conditions
}

// Directions of conditions, for ModifyImpairment.
const (
	DirectionBoth    = "both"
	DirectionEgress  = "egress"
	DirectionIngress = "ingress"
)

// ModifyImpairmentInput and the other inputs and outputs below are vpcemu's own.
type ModifyImpairmentInput struct {
	// Place is a place as FindPlace takes it; To the other zone, where it is a zone.
	Place, To string
	// Direction is egress, ingress or both (also ""): of zones, egress is from Place to To.
	Direction string
	// Conditions of that direction, all of them: what is "" is perfect.
	Delay, Jitter, Distribution string // 20ms; uniform, normal, pareto
	Loss, Duplicate, Reorder    string // 0.5%
	LossBurst, Gap              string // mean number of packets lost in a row: 3; 5
	Rate                        string // 10mbit
	Queue                       string // 100 packets, 64kb
	DryRun                      bool
}

// ModifyImpairmentOutput tells what the link is like now, nothing if it is perfect.
type ModifyImpairmentOutput struct {
	Impairment *ImpairmentInfo `json:"Impairment,omitempty"`
}

// ModifyImpairment gives a link conditions, in one direction or both. One that is perfect
// in both directions is no longer told of.
func (tx *Tx) ModifyImpairment(in *ModifyImpairmentInput) (*ModifyImpairmentOutput, error) {
	c, err := in.conditions()
	if err != nil {
		return nil, err
	}
	i, forward, err := tx.linkBetween(in.Place, in.To)
	if err != nil {
		return nil, err
	}
	switch in.Direction {
	case "", DirectionBoth:
		i.Egress, i.Ingress = c, c
	case DirectionEgress, DirectionIngress:
		if (in.Direction == DirectionEgress) == forward {
			i.Egress = c
		} else {
			i.Ingress = c
		}
		if i.To == i.Place {
			i.Egress, i.Ingress = c, c // there is one direction within a zone
		}
	default:
		return nil, errValue(in.Direction, "direction", "It must be egress, ingress or both.")
	}
	if i.Egress.IsZero() && i.Ingress.IsZero() {
		tx.Impairments.Delete(i.ID)
		return &ModifyImpairmentOutput{}, nil
	}
	if i.ID == "" {
		if i.Meta, err = tx.newMeta("impairment", nil); err != nil {
			return nil, err
		}
		i.ID = newID[ImpairmentID](tx)
	}
	tx.Impairments.Put(i.ID, i)
	info := i.info(&tx.Model)
	return &ModifyImpairmentOutput{&info}, nil
}

// conditions reads those of the input.
func (in *ModifyImpairmentInput) conditions() (c impair.Conditions, err error) {
	c, err = impair.Texts{
		Delay: in.Delay, Jitter: in.Jitter, Distribution: in.Distribution, Loss: in.Loss, LossBurst: in.LossBurst,
		Duplicate: in.Duplicate, Reorder: in.Reorder, Gap: in.Gap, Rate: in.Rate, Queue: in.Queue,
	}.Parse()
	if err != nil {
		return c, errInvalid("%v.", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return c, nil
}

// linkBetween is a copy of the impairment of a place or pair of zones, or a new one without
// an ID. forward tells whether egress of the pair as asked is Egress of the impairment.
func (tx *Tx) linkBetween(place, to string) (i *Impairment, forward bool, err error) {
	p, err := tx.FindPlace(place)
	if err != nil {
		return nil, false, err
	}
	var other Place
	switch {
	case p.Type == PlaceNatGateway:
		return nil, false, errValue(place, "place", "A NAT gateway has no link of its own: name its subnet.")
	case p.Type == PlaceZone:
		if to == "" {
			return nil, false, errValue(place, "place", "Links are between two availability zones: name the other one, too, or this one once more for what stays within it.")
		}
		if other, err = tx.FindPlace(to); err == nil && other.Type != PlaceZone {
			err = errValue(to, "to", "It must be an availability zone.")
		}
	case to != "":
		err = errValue(to, "to", "Only two availability zones have a link between one another.")
	}
	if err != nil {
		return nil, false, err
	}
	forward = p.ID <= other.ID || other.ID == ""
	if !forward {
		p, other = other, p
	}
	if is := tx.ImpairmentOf(p, other); is != nil {
		c := *is
		return &c, forward, nil
	}
	return &Impairment{Place: p, To: other}, forward, nil
}

// ImpairmentOf is that of a place, or between two zones in the order of their names; nil
// for none.
func (m *Model) ImpairmentOf(p, to Place) *Impairment {
	for _, i := range m.Impairments.All() {
		if i.Place == p && i.To == to {
			return i
		}
	}
	return nil
}

// LinkNames are what people call the directions of the link: web outward, web inward;
// ap-northeast-1a → ap-northeast-1c and back.
func (i *Impairment) LinkNames(m *Model) (egress, ingress string) {
	a := m.PlaceName(i.Place)
	switch i.Place.Type {
	case PlaceZone:
		return a + " → " + i.To.ID, i.To.ID + " → " + a
	case PlaceInternet:
		return "to the Internet", "from the Internet"
	}
	return a + " outward", a + " inward"
}

// DescribeImpairmentsInput selects impairments.
type DescribeImpairmentsInput struct {
	ImpairmentIds []ImpairmentID
	Filters       []Filter
	MaxResults    *int
	NextToken     string
	DryRun        bool
}

type DescribeImpairmentsOutput struct {
	Impairments []ImpairmentInfo `json:"Impairments"`
	NextToken   string           `json:"NextToken,omitempty"`
}

// ImpairmentInfo is an impairment as DescribeImpairments tells it. A direction that is
// perfect is "".
type ImpairmentInfo struct {
	ImpairmentId ImpairmentID `json:"ImpairmentId"`
	Place        string       `json:"Place"` // its name
	ResourceType string       `json:"ResourceType"`
	ResourceId   string       `json:"ResourceId,omitempty"`
	To           string       `json:"To,omitempty"`
	Egress       string       `json:"Egress,omitempty"` // delay 20ms, loss 1%
	Ingress      string       `json:"Ingress,omitempty"`
	Tags         []Tag        `json:"Tags"`
}

func (i *Impairment) info(m *Model) ImpairmentInfo {
	text := func(c impair.Conditions) string {
		if c.IsZero() {
			return ""
		}
		return c.String()
	}
	return ImpairmentInfo{ImpairmentId: i.ID, Place: m.PlaceName(i.Place), ResourceType: i.Place.Type, ResourceId: i.Place.ID, To: i.To.ID,
		Egress: text(i.Egress), Ingress: text(i.Ingress), Tags: tagList(i.Tags)}
}

var impairmentFilters = filterSet[Impairment]{
	"impairment-id": func(_ *Model, i *Impairment) []string { return one(i.ID) },
	"resource-id":   func(_ *Model, i *Impairment) []string { return one(i.Place.ID) },
	"resource-type": func(_ *Model, i *Impairment) []string { return one(i.Place.Type) },
}

// DescribeImpairments lists impairments.
func (tx *Tx) DescribeImpairments(in *DescribeImpairmentsInput) (*DescribeImpairmentsOutput, error) {
	found, next, err := describe(tx, &tx.Impairments, in.ImpairmentIds, impairmentFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeImpairmentsOutput{views(found, func(i *Impairment) ImpairmentInfo { return i.info(&tx.Model) }), next}, nil
}
