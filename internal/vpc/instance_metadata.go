package vpc

import (
	"regexp"
	"slices"
)

// MetadataOptions say how an instance reaches its metadata (IM-03). Empty members
// mean the defaults, see Instance.Metadata.
type MetadataOptions struct {
	HttpTokens              string // optional, required
	HttpPutResponseHopLimit int    // 1 to 64: the IP TTL of the answer with a token (IM-04)
	HttpEndpoint            string // enabled, disabled
	HttpProtocolIpv6        string // disabled, enabled
	InstanceMetadataTags    string // disabled, enabled
}

// MetadataDefaults are what the account's new instances get where their launch
// does not say: "" and 0 are no preference.
type MetadataDefaults struct {
	HttpTokens              string
	HttpPutResponseHopLimit int
	HttpEndpoint            string
	InstanceMetadataTags    string
}

// defaultMetadata are EC2's own defaults, for an image that does not ask for
// version 2 (IM-03).
var defaultMetadata = MetadataOptions{
	HttpTokens: "optional", HttpPutResponseHopLimit: 1, HttpEndpoint: "enabled", HttpProtocolIpv6: "disabled", InstanceMetadataTags: "disabled",
}

// maxHopLimit is EC2's; a packet of its own subnet reaches an instance with 1.
const maxHopLimit = 64

// Metadata is the instance's options, complete: what no launch and no call has
// set, as in a lab of an earlier vpcemu, has EC2's default.
func (i *Instance) Metadata() MetadataOptions { return i.MetadataOptions.over(defaultMetadata) }

// over returns o with the members that it leaves empty taken from base.
func (o MetadataOptions) over(base MetadataOptions) MetadataOptions {
	for _, m := range []struct{ is, or *string }{
		{&o.HttpTokens, &base.HttpTokens}, {&o.HttpEndpoint, &base.HttpEndpoint},
		{&o.HttpProtocolIpv6, &base.HttpProtocolIpv6}, {&o.InstanceMetadataTags, &base.InstanceMetadataTags},
	} {
		if *m.is == "" {
			*m.is = *m.or
		}
	}
	if o.HttpPutResponseHopLimit == 0 {
		o.HttpPutResponseHopLimit = base.HttpPutResponseHopLimit
	}
	return o
}

// DefaultMetadata is what an instance launched in a Region now from an image gets where its launch does
// not say: the account's defaults, then the image's, then EC2's (EC2 User Guide, Order of precedence for instance metadata
// options).
func (m *Model) DefaultMetadata(region, image string) MetadataOptions {
	d := m.SettingsOf(region).MetadataDefaults
	o := MetadataOptions{HttpTokens: d.HttpTokens, HttpPutResponseHopLimit: d.HttpPutResponseHopLimit,
		HttpEndpoint: d.HttpEndpoint, InstanceMetadataTags: d.InstanceMetadataTags}
	if m.imageNamed(image).ImdsSupport == "v2.0" {
		o = o.over(MetadataOptions{HttpTokens: "required", HttpPutResponseHopLimit: 2})
	}
	return o.over(defaultMetadata)
}

// InstanceMetadataOptionsRequest and the other types below have the members of the EC2 API.
type InstanceMetadataOptionsRequest struct {
	HttpTokens              string
	HttpPutResponseHopLimit *int
	HttpEndpoint            string
	HttpProtocolIpv6        string
	InstanceMetadataTags    string
}

// InstanceMetadataOptionsResponse is how the API tells an instance's options.
type InstanceMetadataOptionsResponse struct {
	State                   string `json:"State"` // pending, applied
	HttpTokens              string `json:"HttpTokens"`
	HttpPutResponseHopLimit int    `json:"HttpPutResponseHopLimit"`
	HttpEndpoint            string `json:"HttpEndpoint"`
	HttpProtocolIpv6        string `json:"HttpProtocolIpv6"`
	InstanceMetadataTags    string `json:"InstanceMetadataTags"`
}

type ModifyInstanceMetadataOptionsInput struct {
	InstanceId              InstanceID
	HttpTokens              string
	HttpPutResponseHopLimit *int
	HttpEndpoint            string
	DryRun                  bool
	HttpProtocolIpv6        string
	InstanceMetadataTags    string
}

type ModifyInstanceMetadataOptionsOutput struct {
	InstanceId              InstanceID                       `json:"InstanceId"`
	InstanceMetadataOptions *InstanceMetadataOptionsResponse `json:"InstanceMetadataOptions"`
}

// ModifyInstanceMetadataOptions changes the options that are given, of a running
// or stopped instance; the next request for metadata meets them.
func (tx *Tx) ModifyInstanceMetadataOptions(in *ModifyInstanceMetadataOptionsInput) (*ModifyInstanceMetadataOptionsOutput, error) {
	i, err := tx.liveInstance(in.InstanceId)
	if err != nil {
		return nil, err
	}
	asked, err := metadataOptions(&InstanceMetadataOptionsRequest{in.HttpTokens, in.HttpPutResponseHopLimit, in.HttpEndpoint, in.HttpProtocolIpv6, in.InstanceMetadataTags})
	if err != nil {
		return nil, err
	}
	if asked == (MetadataOptions{}) {
		return nil, errorf("InvalidParameterCombination", "At least one metadata option must be given.")
	}
	c := *i
	c.MetadataOptions = asked.over(i.Metadata())
	if err := c.tagsFitMetadata(); err != nil {
		return nil, err
	}
	tx.Instances.Put(c.ID, &c)
	return &ModifyInstanceMetadataOptionsOutput{c.ID, c.metadataInfo()}, nil
}

// metadataInfo: an instance that is starting has not met its options yet.
func (i *Instance) metadataInfo() *InstanceMetadataOptionsResponse {
	o, state := i.Metadata(), "applied"
	if i.State == StatePending {
		state = StatePending
	}
	return &InstanceMetadataOptionsResponse{state, o.HttpTokens, o.HttpPutResponseHopLimit, o.HttpEndpoint, o.HttpProtocolIpv6, o.InstanceMetadataTags}
}

// metadataOptions checks a request; what it does not say stays empty.
func metadataOptions(r *InstanceMetadataOptionsRequest) (o MetadataOptions, err error) {
	if r == nil {
		return o, nil
	}
	for _, m := range []struct {
		param, value string
		words        []string
	}{
		{"httpTokens", r.HttpTokens, []string{"optional", "required"}},
		{"httpEndpoint", r.HttpEndpoint, []string{"enabled", "disabled"}},
		{"httpProtocolIpv6", r.HttpProtocolIpv6, []string{"enabled", "disabled"}},
		{"instanceMetadataTags", r.InstanceMetadataTags, []string{"enabled", "disabled"}},
	} {
		if m.value != "" && !slices.Contains(m.words, m.value) {
			return o, errValue(m.value, m.param, "It is "+m.words[0]+" or "+m.words[1]+".")
		}
	}
	o = MetadataOptions{HttpTokens: r.HttpTokens, HttpEndpoint: r.HttpEndpoint, HttpProtocolIpv6: r.HttpProtocolIpv6, InstanceMetadataTags: r.InstanceMetadataTags}
	if n := r.HttpPutResponseHopLimit; n != nil {
		if *n < 1 || *n > maxHopLimit {
			return o, errValue(*n, "httpPutResponseHopLimit", "It is between 1 and 64.")
		}
		o.HttpPutResponseHopLimit = *n
	}
	return o, nil
}

// metadataTagKey is what a tag's key may look like to be a path of the metadata
// (EC2 User Guide, View tags for your EC2 instances using instance metadata).
var metadataTagKey = regexp.MustCompile(`^[0-9a-zA-Z\-_+=,.@:]{1,255}$`)

// tagsFitMetadata refuses tags that cannot be shown where they shall be.
func (i *Instance) tagsFitMetadata() error {
	if i.Metadata().InstanceMetadataTags != "enabled" {
		return nil
	}
	for _, t := range tagList(i.Tags) {
		if !metadataTagKey.MatchString(t.Key) || slices.Contains([]string{".", "..", "_index"}, t.Key) {
			return errInvalid("'%s' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{1,255}), and must not be a reserved name ('.', '..', '_index')", t.Key)
		}
	}
	return nil
}

type GetInstanceMetadataDefaultsInput struct {
	DryRun bool
}

type GetInstanceMetadataDefaultsOutput struct {
	AccountLevel *InstanceMetadataDefaultsResponse `json:"AccountLevel,omitempty"`
}

// InstanceMetadataDefaultsResponse leaves out what has no preference.
type InstanceMetadataDefaultsResponse struct {
	HttpTokens              string `json:"HttpTokens,omitempty"`
	HttpPutResponseHopLimit int    `json:"HttpPutResponseHopLimit,omitempty"`
	HttpEndpoint            string `json:"HttpEndpoint,omitempty"`
	InstanceMetadataTags    string `json:"InstanceMetadataTags,omitempty"`
	ManagedBy               string `json:"ManagedBy"` // account
}

type ModifyInstanceMetadataDefaultsInput struct {
	HttpTokens              string // optional, required, no-preference
	HttpPutResponseHopLimit *int   // 1 to 64, -1 for no preference
	HttpEndpoint            string // enabled, disabled, no-preference
	InstanceMetadataTags    string // enabled, disabled, no-preference
	DryRun                  bool
}

type ModifyInstanceMetadataDefaultsOutput struct {
	Return bool `json:"Return"`
}

// GetInstanceMetadataDefaults tells the account's defaults for new instances.
func (tx *Tx) GetInstanceMetadataDefaults(*GetInstanceMetadataDefaultsInput) (*GetInstanceMetadataDefaultsOutput, error) {
	d := tx.settings().MetadataDefaults
	return &GetInstanceMetadataDefaultsOutput{&InstanceMetadataDefaultsResponse{d.HttpTokens, d.HttpPutResponseHopLimit, d.HttpEndpoint, d.InstanceMetadataTags, "account"}}, nil
}

// ModifyInstanceMetadataDefaults changes the defaults that are given. Instances
// that exist stay as they are.
func (tx *Tx) ModifyInstanceMetadataDefaults(in *ModifyInstanceMetadataDefaultsInput) (*ModifyInstanceMetadataDefaultsOutput, error) {
	word := func(s string) string {
		if s == "no-preference" {
			return ""
		}
		return s
	}
	hops := in.HttpPutResponseHopLimit
	if hops != nil && *hops == -1 {
		hops = nil
	}
	o, err := metadataOptions(&InstanceMetadataOptionsRequest{HttpTokens: word(in.HttpTokens), HttpPutResponseHopLimit: hops,
		HttpEndpoint: word(in.HttpEndpoint), InstanceMetadataTags: word(in.InstanceMetadataTags)})
	if err != nil {
		return nil, err
	}
	s := tx.settings()
	d := &s.MetadataDefaults
	if in.HttpTokens != "" {
		d.HttpTokens = o.HttpTokens
	}
	if in.HttpPutResponseHopLimit != nil {
		d.HttpPutResponseHopLimit = o.HttpPutResponseHopLimit
	}
	if in.HttpEndpoint != "" {
		d.HttpEndpoint = o.HttpEndpoint
	}
	if in.InstanceMetadataTags != "" {
		d.InstanceMetadataTags = o.InstanceMetadataTags
	}
	tx.setSettings(s)
	return &ModifyInstanceMetadataDefaultsOutput{true}, nil
}
