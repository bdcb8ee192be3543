package vpc

// Failure is something that does not carry packets, though it should: a place, or the link
// between two (vpcemu's own). Instances that are cut off by it run on.
type Failure struct {
	Meta
	ID    FailureID
	Place Place
	To    Place // the other end of a link; zero for a place
}

// CreateFailureInput and the types below are vpcemu's own.
type CreateFailureInput struct {
	// Place is a place as FindPlace takes it; To, if it is given, the other end of the link
	// that fails instead of the place.
	Place, To string
	DryRun    bool
}

type CreateFailureOutput struct {
	Failure FailureInfo `json:"Failure"`
}

type DeleteFailureInput struct {
	FailureId FailureID
	// Place and To say which, where FailureId is "".
	Place, To string
	DryRun    bool
}

type DeleteFailureOutput struct {
	Failure FailureInfo `json:"Failure"`
}

type DescribeFailuresInput struct {
	FailureIds []FailureID
	Filters    []Filter
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type DescribeFailuresOutput struct {
	Failures  []FailureInfo `json:"Failures"`
	NextToken string        `json:"NextToken,omitempty"`
}

// FailureInfo is a failure as DescribeFailures tells it.
type FailureInfo struct {
	FailureId FailureID `json:"FailureId"`
	// What has failed: availability-zone, subnet, instance, internet-host, nat-gateway, link.
	ResourceType string `json:"ResourceType"`
	Place        string `json:"Place"`        // its name
	To           string `json:"To,omitempty"` // the other end of a link
	ResourceId   string `json:"ResourceId,omitempty"`
	Tags         []Tag  `json:"Tags"`
}

// FailureLink is the ResourceType of a link that has failed.
const FailureLink = "link"

// CreateFailure lets something fail, until DeleteFailure. What has failed already stays so.
func (tx *Tx) CreateFailure(in *CreateFailureInput) (*CreateFailureOutput, error) {
	p, to, err := tx.failing(in.Place, in.To)
	if err != nil {
		return nil, err
	}
	if f := tx.FailureOf(p, to); f != nil {
		return &CreateFailureOutput{f.info(&tx.Model)}, nil
	}
	meta, err := tx.newMeta("failure", nil)
	if err != nil {
		return nil, err
	}
	f := &Failure{Meta: meta, ID: newID[FailureID](tx), Place: p, To: to}
	tx.Failures.Put(f.ID, f)
	return &CreateFailureOutput{f.info(&tx.Model)}, nil
}

// failing finds what is to fail, or to be healed.
func (tx *Tx) failing(place, to string) (p, other Place, err error) {
	if p, err = tx.FindPlace(place); err != nil {
		return p, other, err
	}
	if to == "" {
		if p.Type == PlaceInternet {
			return p, other, errValue(place, "place", "The Internet itself does not fail: name the link from it to an instance, subnet or zone.")
		}
		return p, other, nil
	}
	if other, err = tx.FindPlace(to); err != nil {
		return p, other, err
	}
	for _, end := range []Place{p, other} {
		if end.Type == PlaceNatGateway || end.Type == PlaceInternetHost {
			return p, other, errInvalid("%s: a link is between two of instances, subnets, availability zones and the Internet.", tx.PlaceName(end))
		}
	}
	if p == other && p.Type != PlaceZone && p.Type != PlaceSubnet {
		return p, other, errInvalid("%s: a link has two ends.", tx.PlaceName(p))
	}
	return p, other, nil
}

// FailureOf is that of a place, or of a link whichever way it is named; nil for none.
func (m *Model) FailureOf(p, to Place) *Failure {
	for _, f := range m.Failures.All() {
		if f.Place == p && f.To == to || f.To == p && f.Place == to {
			return f
		}
	}
	return nil
}

// DeleteFailure heals what had failed.
func (tx *Tx) DeleteFailure(in *DeleteFailureInput) (*DeleteFailureOutput, error) {
	var f *Failure
	if in.FailureId != "" {
		var err error
		if f, err = find(&tx.Failures, in.FailureId); err != nil {
			return nil, err
		}
	} else {
		p, to, err := tx.failing(in.Place, in.To)
		if err != nil {
			return nil, err
		}
		if f = tx.FailureOf(p, to); f == nil {
			what := (&Failure{Place: p, To: to}).Name(&tx.Model)
			return nil, errorf("InvalidFailure.NotFound", "%s has not failed.", what)
		}
	}
	tx.Failures.Delete(f.ID)
	return &DeleteFailureOutput{f.info(&tx.Model)}, nil
}

// Name is what people call what has failed: zone ap-northeast-1a, link web – internet.
func (f *Failure) Name(m *Model) string {
	if f.To != (Place{}) {
		return "link " + m.PlaceName(f.Place) + " – " + m.PlaceName(f.To)
	}
	return f.word() + " " + m.PlaceName(f.Place)
}

// word is the command line's for the type of place.
func (f *Failure) word() string {
	for _, w := range []string{"zone", "subnet", "instance", "nat", "host"} {
		if placeWords[w] == f.Place.Type {
			return w
		}
	}
	return f.Place.Type
}

// Words are the arguments of `vpcemu fail` that make this failure, and of `vpcemu heal`
// that heal it.
func (f *Failure) Words(m *Model) []string {
	if f.To != (Place{}) {
		return []string{FailureLink, m.PlaceWord(f.Place), m.PlaceWord(f.To)}
	}
	name := m.PlaceName(f.Place)
	if found, err := m.FindPlace(f.word() + ":" + name); err != nil || found != f.Place {
		name = f.Place.ID
	}
	return []string{f.word(), name}
}

func (f *Failure) info(m *Model) FailureInfo {
	out := FailureInfo{FailureId: f.ID, ResourceType: f.Place.Type, ResourceId: f.Place.ID, Place: m.PlaceName(f.Place), Tags: tagList(f.Tags)}
	if f.To != (Place{}) {
		out.ResourceType, out.ResourceId, out.To = FailureLink, "", m.PlaceName(f.To)
	}
	return out
}

var failureFilters = filterSet[Failure]{
	"failure-id":    func(_ *Model, f *Failure) []string { return one(f.ID) },
	"resource-type": func(m *Model, f *Failure) []string { return one(f.info(m).ResourceType) },
}

// DescribeFailures lists what has failed.
func (tx *Tx) DescribeFailures(in *DescribeFailuresInput) (*DescribeFailuresOutput, error) {
	found, next, err := describe(tx, &tx.Failures, in.FailureIds, failureFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeFailuresOutput{views(found, func(f *Failure) FailureInfo { return f.info(&tx.Model) }), next}, nil
}
