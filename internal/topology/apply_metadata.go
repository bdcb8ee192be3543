package topology

import "github.com/vpcemu/vpcemu/internal/vpc"

// metadataRequest is the block as a launch takes it.
func metadataRequest(o MetadataOptions) *vpc.InstanceMetadataOptionsRequest {
	r := &vpc.InstanceMetadataOptionsRequest{HttpTokens: o.HttpTokens.V, HttpEndpoint: o.HttpEndpoint.V,
		HttpProtocolIpv6: o.HttpProtocolIpv6.V, InstanceMetadataTags: o.InstanceMetadataTags.V}
	if o.HttpPutResponseHopLimit.Set {
		r.HttpPutResponseHopLimit = &o.HttpPutResponseHopLimit.V
	}
	return r
}

// wantedMetadata are the options that an instance is to have: a key that is not in
// the file, or no more, brings the account's or the image's default.
func (c *converger) wantedMetadata(region, image string, o MetadataOptions) vpc.MetadataOptions {
	want := c.tx.DefaultMetadata(region, image)
	set := func(to *string, v Value[string]) {
		if v.Set {
			*to = v.V
		}
	}
	set(&want.HttpTokens, o.HttpTokens)
	set(&want.HttpEndpoint, o.HttpEndpoint)
	set(&want.HttpProtocolIpv6, o.HttpProtocolIpv6)
	set(&want.InstanceMetadataTags, o.InstanceMetadataTags)
	if o.HttpPutResponseHopLimit.Set {
		want.HttpPutResponseHopLimit = o.HttpPutResponseHopLimit.V
	}
	return want
}

// tagsAndMetadata takes tags off before metadata shows them, and puts those on that
// metadata cannot show when it shows none any more.
func (c *converger) tagsAndMetadata(o *Instance, is *vpc.Instance) {
	want := c.wantedMetadata(is.Region, is.ImageID, o.MetadataOptions.V)
	if want.InstanceMetadataTags == "enabled" {
		c.retag(string(is.ID), is.Tags)
	}
	if is.Metadata() != want {
		c.line = max(o.MetadataOptions.Line, c.head.Line)
		call[vpc.ModifyInstanceMetadataOptionsOutput](c, &vpc.ModifyInstanceMetadataOptionsInput{InstanceId: is.ID, HttpTokens: want.HttpTokens,
			HttpPutResponseHopLimit: &want.HttpPutResponseHopLimit, HttpEndpoint: want.HttpEndpoint, HttpProtocolIpv6: want.HttpProtocolIpv6,
			InstanceMetadataTags: want.InstanceMetadataTags})
		c.did("metadata_options")
	}
	if want.InstanceMetadataTags != "enabled" {
		c.retag(string(is.ID), is.Tags)
	}
}
