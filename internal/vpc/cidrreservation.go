package vpc

// CreateSubnetCidrReservationInput and the other inputs and outputs below have the members of the EC2 API.
type CreateSubnetCidrReservationInput struct {
	SubnetId          SubnetID
	Cidr              string
	ReservationType   string
	Description       string
	TagSpecifications []TagSpecification
	DryRun            bool
}

type CreateSubnetCidrReservationOutput struct {
	SubnetCidrReservation SubnetCidrReservationInfo `json:"SubnetCidrReservation"`
}

// SubnetCidrReservationInfo is a reservation as the API answers it.
type SubnetCidrReservationInfo struct {
	SubnetCidrReservationId SubnetCidrReservationID `json:"SubnetCidrReservationId"`
	SubnetId                SubnetID                `json:"SubnetId"`
	Cidr                    string                  `json:"Cidr"`
	ReservationType         string                  `json:"ReservationType"`
	OwnerId                 string                  `json:"OwnerId"`
	Description             string                  `json:"Description,omitempty"`
	Tags                    []Tag                   `json:"Tags,omitempty"`
}

func (r *SubnetCidrReservation) info() SubnetCidrReservationInfo {
	return SubnetCidrReservationInfo{r.ID, r.SubnetID, r.Cidr.String(), r.ReservationType, r.Account, r.Description, tagList(r.Tags)}
}

// CreateSubnetCidrReservation keeps a part of a subnet from being assigned
// automatically (AD-14). Addresses in use stay so.
func (tx *Tx) CreateSubnetCidrReservation(in *CreateSubnetCidrReservationInput) (*CreateSubnetCidrReservationOutput, error) {
	s, err := find(&tx.Subnets, in.SubnetId)
	if err != nil {
		return nil, err
	}
	if in.Cidr == "" {
		return nil, errMissing("cidr")
	}
	cidr, err := parseCidr(in.Cidr, "cidr")
	if err != nil {
		return nil, err
	}
	switch in.ReservationType {
	case "prefix", "explicit":
	case "":
		return nil, errMissing("reservationType")
	default:
		return nil, errValue(in.ReservationType, "reservationType", "It must be prefix or explicit.")
	}
	if !contains(s.CidrBlock, cidr) {
		return nil, errInvalid("The CIDR '%s' is not within the subnet CIDR '%s'.", cidr, s.CidrBlock)
	}
	for _, r := range tx.SubnetCidrReservations.All() {
		if r.SubnetID == s.ID && r.Cidr.Overlaps(cidr) {
			return nil, errorf("InvalidCidr.InUse", "The CIDR '%s' conflicts with the subnet CIDR reservation '%s'.", cidr, r.ID)
		}
	}
	meta, err := tx.newMeta("subnet-cidr-reservation", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	r := &SubnetCidrReservation{
		Meta: meta, ID: newID[SubnetCidrReservationID](tx), SubnetID: s.ID, Cidr: cidr,
		ReservationType: in.ReservationType, Description: in.Description,
	}
	tx.SubnetCidrReservations.Put(r.ID, r)
	return &CreateSubnetCidrReservationOutput{r.info()}, nil
}

type DeleteSubnetCidrReservationInput struct {
	SubnetCidrReservationId SubnetCidrReservationID
	DryRun                  bool
}

type DeleteSubnetCidrReservationOutput struct {
	DeletedSubnetCidrReservation SubnetCidrReservationInfo `json:"DeletedSubnetCidrReservation"`
}

// DeleteSubnetCidrReservation gives the part of the subnet back.
func (tx *Tx) DeleteSubnetCidrReservation(in *DeleteSubnetCidrReservationInput) (*DeleteSubnetCidrReservationOutput, error) {
	r, err := find(&tx.SubnetCidrReservations, in.SubnetCidrReservationId)
	if err != nil {
		return nil, err
	}
	tx.SubnetCidrReservations.Delete(r.ID)
	return &DeleteSubnetCidrReservationOutput{r.info()}, nil
}

type GetSubnetCidrReservationsInput struct {
	SubnetId   SubnetID
	Filters    []Filter
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type GetSubnetCidrReservationsOutput struct {
	SubnetIpv4CidrReservations []SubnetCidrReservationInfo `json:"SubnetIpv4CidrReservations"`
	SubnetIpv6CidrReservations []SubnetCidrReservationInfo `json:"SubnetIpv6CidrReservations"`
	NextToken                  string                      `json:"NextToken,omitempty"`
}

var reservationFilters = filterSet[SubnetCidrReservation]{
	"reservationType": func(_ *Model, r *SubnetCidrReservation) []string { return one(r.ReservationType) },
	"subnet-id":       func(_ *Model, r *SubnetCidrReservation) []string { return one(r.SubnetID) },
}

// GetSubnetCidrReservations lists the reservations of one subnet.
func (tx *Tx) GetSubnetCidrReservations(in *GetSubnetCidrReservationsInput) (*GetSubnetCidrReservationsOutput, error) {
	s, err := find(&tx.Subnets, in.SubnetId)
	if err != nil {
		return nil, err
	}
	filters := append([]Filter{{"subnet-id", []string{string(s.ID)}}}, in.Filters...)
	found, next, err := describe(tx, &tx.SubnetCidrReservations, nil, reservationFilters, filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &GetSubnetCidrReservationsOutput{
		views(found, (*SubnetCidrReservation).info), []SubnetCidrReservationInfo{}, next,
	}, nil
}
