package vpc

import (
	"net/netip"
	"slices"
	"time"
)

// CreateInternetHostInput and the types below are vpcemu's own: hosts on the
// lab's Internet, outside every VPC.
type CreateInternetHostInput struct {
	HostName          string   // the guest's host name; "" makes one from the address
	PublicIp          string   // "" draws one from the pools
	DnsNames          []string // besides NAME and NAME.internet
	KeyNames          []string
	UserData          string // base64
	LinkType          string // tun (default), tap
	Rootfs            string // as in RunInstancesInput
	Limits            *LimitsSpecification
	TagSpecifications []TagSpecification
	ClientToken       string
	DryRun            bool
}

type CreateInternetHostOutput struct {
	InternetHost InternetHostInfo `json:"InternetHost"`
}

type DeleteInternetHostInput struct {
	InternetHostId InternetHostID
	DryRun         bool
}

type DeleteInternetHostOutput struct {
	InternetHost InternetHostInfo `json:"InternetHost"`
}

type StartInternetHostInput struct {
	InternetHostId InternetHostID
	DryRun         bool
}

type StartInternetHostOutput struct {
	InternetHost InternetHostInfo `json:"InternetHost"`
}

type StopInternetHostInput struct {
	InternetHostId InternetHostID
	DryRun         bool
}

type StopInternetHostOutput struct {
	InternetHost InternetHostInfo `json:"InternetHost"`
}

type DescribeInternetHostsInput struct {
	InternetHostIds []InternetHostID
	Filters         []Filter
	MaxResults      *int
	NextToken       string
	DryRun          bool
}

type DescribeInternetHostsOutput struct {
	InternetHosts []InternetHostInfo `json:"InternetHosts"`
	NextToken     string             `json:"NextToken,omitempty"`
}

// InternetHostInfo is an Internet host as DescribeInternetHosts tells it.
type InternetHostInfo struct {
	InternetHostId InternetHostID `json:"InternetHostId"`
	HostName       string         `json:"HostName"`
	PublicIp       string         `json:"PublicIp,omitempty"`
	DnsNames       []string       `json:"DnsNames"`
	KeyNames       []string       `json:"KeyNames"`
	State          string         `json:"State"`
	StateReason    string         `json:"StateReason,omitempty"`
	Rootfs         string         `json:"Rootfs,omitempty"`

	Limits     *LimitsSpecification `json:"Limits,omitempty"`
	LinkType   string               `json:"LinkType"`
	MacAddress string               `json:"MacAddress"`
	CreateTime time.Time            `json:"CreateTime"`
	Tags       []Tag                `json:"Tags"`
}

// CreateInternetHost makes a host with a public address and leaves it pending for
// the host machine to start. It logs in by the named key pairs.
func (tx *Tx) CreateInternetHost(in *CreateInternetHostInput) (*CreateInternetHostOutput, error) {
	meta, err := tx.newMeta("internet-host", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	link, err := linkType(in.LinkType)
	if err != nil {
		return nil, err
	}
	for _, name := range in.KeyNames {
		if tx.KeyPair(tx.Region, name) == nil {
			return nil, errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
		}
	}
	data, err := decodeUserData(in.UserData)
	if err != nil {
		return nil, err
	}
	root, err := rootfs(in.Rootfs)
	if err != nil {
		return nil, err
	}
	limits, err := in.Limits.limits()
	if err != nil {
		return nil, err
	}
	if !validHostName(in.HostName) {
		return nil, errValue(in.HostName, "hostName", "It has letters, digits, hyphens and dots (RFC 1123).")
	}
	names, err := dnsNames(in.DnsNames)
	if err != nil {
		return nil, err
	}
	var public netip.Addr
	if in.PublicIp != "" {
		public, err = tx.outsidePublic(in.PublicIp)
	} else {
		public, err = tx.drawHostPublic()
	}
	if err != nil {
		return nil, err
	}
	h := &InternetHost{
		Meta: meta, ID: newID[InternetHostID](tx), Handle: tx.newHandle(), HostName: in.HostName, DnsNames: names, PublicIp: public,
		KeyNames: slices.Clone(in.KeyNames), UserData: data, State: StatePending, BootID: 1, LinkType: link, Rootfs: root, Limits: limits,
	}
	h.Mac = tx.newMac(string(h.ID))
	if h.HostName == "" {
		h.HostName = "host-" + dashed(public)
		if name := h.Name(); name != "" && validHostName(name) {
			h.HostName = name
		}
	}
	tx.InternetHosts.Put(h.ID, h)
	return &CreateInternetHostOutput{h.info()}, nil
}

// validHostName accepts "", which stands for a made name, and what RFC 1123 does.
func validHostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	label := 0
	for i, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			label++
		case c == '-' && label > 0 && i+1 < len(s) && s[i+1] != '.':
			label++
		case c == '.' && label > 0 && i+1 < len(s):
			label = 0
		default:
			return false
		}
		if label > 63 {
			return false
		}
	}
	return true
}

// notPublic are ranges that no host on the Internet has an address in: the
// Internet gateway drops some of them (IG-03, IG-04), and none is routed.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}

// outsidePublic checks a public address for a host on the Internet: any one that
// is free, inside the lab's pools or not.
func (m *Model) outsidePublic(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil || !a.Is4():
		return a, errValue(text, "publicIp", "Invalid IPv4 address.")
	case slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) }):
		return a, errValue(text, "publicIp", "It is no public address.")
	case m.publicInUse()[a]:
		return a, errorf("InvalidIPAddress.InUse", "Address %s is in use.", a)
	case !m.inPools(a) && slices.ContainsFunc(m.PublicPools, func(p netip.Prefix) bool { return p.Contains(a) }):
		return a, errValue(text, "publicIp", "It is the network or the broadcast address of a pool.")
	}
	return a, nil
}

// DeleteInternetHost ends a host; it is shutting down until the host machine
// tells that it is gone (InternetHostTerminated).
func (tx *Tx) DeleteInternetHost(in *DeleteInternetHostInput) (*DeleteInternetHostOutput, error) {
	h, err := find(&tx.InternetHosts, in.InternetHostId)
	if err != nil {
		return nil, err
	}
	return &DeleteInternetHostOutput{tx.setHostState(h, StateShuttingDown).info()}, nil
}

// StartInternetHost starts a stopped host. It keeps its address and disk.
func (tx *Tx) StartInternetHost(in *StartInternetHostInput) (*StartInternetHostOutput, error) {
	h, err := tx.hostIn(in.InternetHostId, "started", StateStopped, StatePending, StateRunning)
	if err != nil {
		return nil, err
	}
	if h.State == StateStopped {
		h = tx.setHostState(h, StatePending)
	}
	return &StartInternetHostOutput{h.info()}, nil
}

// StopInternetHost stops a running host.
func (tx *Tx) StopInternetHost(in *StopInternetHostInput) (*StopInternetHostOutput, error) {
	h, err := tx.hostIn(in.InternetHostId, "stopped", StateRunning, StateStopping, StateStopped)
	if err != nil {
		return nil, err
	}
	if h.State == StateRunning {
		h = tx.setHostState(h, StateStopping)
	}
	return &StopInternetHostOutput{h.info()}, nil
}

func (tx *Tx) hostIn(id InternetHostID, verb string, states ...string) (*InternetHost, error) {
	h, err := find(&tx.InternetHosts, id)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(states, h.State) {
		return nil, errorf("IncorrectState", "The Internet host '%s' is not in a state from which it can be %s. (%s)", id, verb, h.State)
	}
	return h, nil
}

// setHostState stores the host in the new state; a start is a new boot.
func (tx *Tx) setHostState(h *InternetHost, state string) *InternetHost {
	c := *h
	c.State, c.StateNote = state, ""
	if state == StatePending {
		c.BootID++
	}
	tx.InternetHosts.Put(c.ID, &c)
	return &c
}

var internetHostFilters = filterSet[InternetHost]{
	"host-name":           func(_ *Model, h *InternetHost) []string { return one(h.HostName) },
	"internet-host-id":    func(_ *Model, h *InternetHost) []string { return one(h.ID) },
	"instance-state-name": func(_ *Model, h *InternetHost) []string { return one(h.State) },
	"public-ip":           func(_ *Model, h *InternetHost) []string { return one(h.PublicIp.String()) },
}

// DescribeInternetHosts lists the hosts on the lab's Internet.
func (tx *Tx) DescribeInternetHosts(in *DescribeInternetHostsInput) (*DescribeInternetHostsOutput, error) {
	found, next, err := describe(tx, &tx.InternetHosts, in.InternetHostIds, internetHostFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeInternetHostsOutput{views(found, (*InternetHost).info), next}, nil
}

func (h *InternetHost) info() InternetHostInfo {
	return InternetHostInfo{
		InternetHostId: h.ID, HostName: h.HostName, PublicIp: addressText(h.PublicIp), DnsNames: append([]string{}, h.DnsNames...), KeyNames: append([]string{}, h.KeyNames...), State: h.State,
		StateReason: h.StateNote, LinkType: h.LinkType, MacAddress: h.Mac, CreateTime: h.Created, Tags: tagList(h.Tags), Rootfs: h.Rootfs, Limits: h.Limits.Specification(),
	}
}

// ModifyInternetHostInput is vpcemu's own, as Internet hosts are.
type ModifyInternetHostInput struct {
	InternetHostId InternetHostID
	DnsNames       []string // all that it is to have
	Limits         *LimitsSpecification
	DryRun         bool
}

type ModifyInternetHostOutput struct {
	InternetHost InternetHostInfo `json:"InternetHost"`
}

// ModifyInternetHost changes what a host may use of the machine, also while it runs, and
// the names that it has in the DNS instead of those before. With neither given it has no
// such name any more.
func (tx *Tx) ModifyInternetHost(in *ModifyInternetHostInput) (*ModifyInternetHostOutput, error) {
	h, err := tx.hostIn(in.InternetHostId, "modified", StatePending, StateRunning, StateStopping, StateStopped)
	if err != nil {
		return nil, err
	}
	c := *h
	if in.Limits != nil {
		if c.Limits, err = in.Limits.limits(); err != nil {
			return nil, err
		}
	}
	if in.Limits == nil || len(in.DnsNames) > 0 {
		if c.DnsNames, err = dnsNames(in.DnsNames); err != nil {
			return nil, err
		}
	}
	tx.InternetHosts.Put(c.ID, &c)
	return &ModifyInternetHostOutput{c.info()}, nil
}
