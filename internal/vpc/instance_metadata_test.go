package vpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIM03_OptionsOfALaunch(t *testing.T) {
	s := newSite(t)
	response := func(state, tokens string, hops int, endpoint, ipv6, tags string) *InstanceMetadataOptionsResponse {
		return &InstanceMetadataOptionsResponse{state, tokens, hops, endpoint, ipv6, tags}
	}
	defaults := response("applied", "optional", 1, "enabled", "disabled", "disabled")
	plain := s.inPublic()
	chosen := s.launched(RunInstancesInput{SubnetId: s.public, MetadataOptions: &InstanceMetadataOptionsRequest{
		HttpTokens: "required", HttpPutResponseHopLimit: new(2), HttpEndpoint: "disabled", HttpProtocolIpv6: "enabled", InstanceMetadataTags: "enabled"}})
	old := s.inPublic() // as a lab of an earlier version has it
	i := *s.Instances.Get(old)
	i.MetadataOptions = MetadataOptions{}
	s.Instances.Put(old, &i)
	for id, want := range map[InstanceID]*InstanceMetadataOptionsResponse{
		plain: defaults, chosen: response("applied", "required", 2, "disabled", "enabled", "enabled"), old: defaults,
	} {
		if d := cmp.Diff(want, s.info(id).MetadataOptions); d != "" {
			t.Error(d)
		}
	}
	out := must(s.RunInstances(&RunInstancesInput{SubnetId: s.public}))
	if got := out.Instances[0].MetadataOptions.State; got != "pending" {
		t.Errorf("state at launch %s", got)
	}
	found := must(s.DescribeInstances(&DescribeInstancesInput{Filters: []Filter{{"metadata-options.http-tokens", []string{"required"}}, {"metadata-options.http-put-response-hop-limit", []string{"2"}}}}))
	if len(found.Reservations) != 1 || found.Reservations[0].Instances[0].InstanceId != chosen {
		t.Errorf("found %+v", found.Reservations)
	}
}

func TestIM03_Errors(t *testing.T) {
	s := newSite(t)
	id, gone := s.inPublic(), s.inPublic()
	s.terminate(gone)
	named := s.launched(RunInstancesInput{SubnetId: s.public, TagSpecifications: []TagSpecification{{"instance", []Tag{{"a b", "c"}}}}})
	for name, c := range map[string]struct {
		in   ModifyInstanceMetadataOptionsInput
		want string
	}{
		"nothing given":      {ModifyInstanceMetadataOptionsInput{InstanceId: id}, "InvalidParameterCombination"},
		"no instance":        {ModifyInstanceMetadataOptionsInput{HttpTokens: "required"}, "MissingParameter"},
		"malformed":          {ModifyInstanceMetadataOptionsInput{InstanceId: "web", HttpTokens: "required"}, "InvalidInstanceID.Malformed"},
		"unknown":            {ModifyInstanceMetadataOptionsInput{InstanceId: "i-0ffffffffffffffff", HttpTokens: "required"}, "InvalidInstanceID.NotFound"},
		"terminated":         {ModifyInstanceMetadataOptionsInput{InstanceId: gone, HttpTokens: "required"}, "IncorrectInstanceState"},
		"tokens":             {ModifyInstanceMetadataOptionsInput{InstanceId: id, HttpTokens: "maybe"}, "InvalidParameterValue"},
		"endpoint":           {ModifyInstanceMetadataOptionsInput{InstanceId: id, HttpEndpoint: "on"}, "InvalidParameterValue"},
		"ipv6":               {ModifyInstanceMetadataOptionsInput{InstanceId: id, HttpProtocolIpv6: "on"}, "InvalidParameterValue"},
		"tags":               {ModifyInstanceMetadataOptionsInput{InstanceId: id, InstanceMetadataTags: "on"}, "InvalidParameterValue"},
		"no hop":             {ModifyInstanceMetadataOptionsInput{InstanceId: id, HttpPutResponseHopLimit: new(0)}, "InvalidParameterValue"},
		"hops":               {ModifyInstanceMetadataOptionsInput{InstanceId: id, HttpPutResponseHopLimit: new(65)}, "InvalidParameterValue"},
		"tags with a space":  {ModifyInstanceMetadataOptionsInput{InstanceId: named, InstanceMetadataTags: "enabled"}, "InvalidParameterValue"},
		"as far as it goes":  {ModifyInstanceMetadataOptionsInput{InstanceId: id, HttpPutResponseHopLimit: new(64)}, ""},
		"other option, tags": {ModifyInstanceMetadataOptionsInput{InstanceId: named, HttpTokens: "required"}, ""},
	} {
		before := dump(t, &s.Model)
		got := code(s.Run("ModifyInstanceMetadataOptions", &c.in))
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if got != "" && before != dump(t, &s.Model) {
			t.Errorf("%s: the model has changed", name)
		}
	}
	wantCode(t, code(s.RunInstances(&RunInstancesInput{SubnetId: s.public, MetadataOptions: &InstanceMetadataOptionsRequest{HttpPutResponseHopLimit: new(100)}})), "InvalidParameterValue")
}

// What is changed stays for the options that a later call does not give.
func TestIM03_ModifyChangesOnlyWhatIsGiven(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	must(s.ModifyInstanceMetadataOptions(&ModifyInstanceMetadataOptionsInput{InstanceId: id, HttpTokens: "required"}))
	s.stop(id)
	out := must(s.ModifyInstanceMetadataOptions(&ModifyInstanceMetadataOptionsInput{InstanceId: id, HttpPutResponseHopLimit: new(3)}))
	s.start(id)
	want := &InstanceMetadataOptionsResponse{"applied", "required", 3, "enabled", "disabled", "disabled"}
	if d := cmp.Diff(want, out.InstanceMetadataOptions); d != "" || out.InstanceId != id {
		t.Error(out.InstanceId, d)
	}
	if d := cmp.Diff(want, s.info(id).MetadataOptions); d != "" {
		t.Error(d)
	}
}

func TestIM05_TagKeysThatMetadataCanShow(t *testing.T) {
	s := newSite(t)
	shown := &InstanceMetadataOptionsRequest{InstanceMetadataTags: "enabled"}
	id := s.launched(RunInstancesInput{SubnetId: s.public, MetadataOptions: shown})
	tag := func(key string) string {
		return code(s.CreateTags(&CreateTagsInput{Resources: []ResourceID{ResourceID(id)}, Tags: []Tag{{key, ""}}}))
	}
	for _, key := range []string{"a/b", "a b", ".", "..", "_index", "ä"} {
		wantCode(t, tag(key), "InvalidParameterValue")
		launch := RunInstancesInput{SubnetId: s.public, MetadataOptions: shown, TagSpecifications: []TagSpecification{{"instance", []Tag{{key, ""}}}}}
		wantCode(t, code(s.RunInstances(&launch)), "InvalidParameterValue")
	}
	for _, key := range []string{"Name", "a-b_c+d=e,f.g@h:i", "...", "index"} {
		wantCode(t, tag(key), "")
	}
	must(s.ModifyInstanceMetadataOptions(&ModifyInstanceMetadataOptionsInput{InstanceId: id, InstanceMetadataTags: "disabled"}))
	wantCode(t, tag("a/b"), "")
}

func TestIM03_DefaultsOfTheAccount(t *testing.T) {
	s := newSite(t)
	before := s.inPublic()
	must(s.ModifyInstanceMetadataDefaults(&ModifyInstanceMetadataDefaultsInput{HttpTokens: "required", HttpPutResponseHopLimit: new(2)}))
	after := s.inPublic()
	explicit := s.launched(RunInstancesInput{SubnetId: s.public, MetadataOptions: &InstanceMetadataOptionsRequest{HttpTokens: "optional"}})
	must(s.ModifyInstanceMetadataDefaults(&ModifyInstanceMetadataDefaultsInput{HttpTokens: "no-preference", InstanceMetadataTags: "enabled"}))
	last := s.inPublic()
	for id, want := range map[InstanceID]MetadataOptions{
		before:   defaultMetadata,
		after:    {"required", 2, "enabled", "disabled", "disabled"},
		explicit: {"optional", 2, "enabled", "disabled", "disabled"},
		last:     {"optional", 2, "enabled", "disabled", "enabled"},
	} {
		if got := s.Instances.Get(id).Metadata(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	got := must(s.GetInstanceMetadataDefaults(&GetInstanceMetadataDefaultsInput{})).AccountLevel
	if d := cmp.Diff(&InstanceMetadataDefaultsResponse{HttpPutResponseHopLimit: 2, InstanceMetadataTags: "enabled", ManagedBy: "account"}, got); d != "" {
		t.Error(d)
	}
	must(s.ModifyInstanceMetadataDefaults(&ModifyInstanceMetadataDefaultsInput{HttpPutResponseHopLimit: new(-1), InstanceMetadataTags: "no-preference"}))
	if s.MetadataDefaults != (MetadataDefaults{}) {
		t.Errorf("left %+v", s.MetadataDefaults)
	}
	for _, in := range []ModifyInstanceMetadataDefaultsInput{{HttpTokens: "never"}, {HttpPutResponseHopLimit: new(0)}, {HttpPutResponseHopLimit: new(65)}, {HttpEndpoint: "off"}} {
		wantCode(t, code(s.ModifyInstanceMetadataDefaults(&in)), "InvalidParameterValue")
	}
}
