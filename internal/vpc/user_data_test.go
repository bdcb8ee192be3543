package vpc

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// User data may be compressed: the store must give back the bytes that it was given.
func TestUserDataSurvivesJSON(t *testing.T) {
	for _, data := range []string{"", "#!/bin/sh\n", "\x1f\x8b\x08\x00\xff", `{"Base64":"x"}`} {
		i := Instance{ID: "i-1", InstanceType: "t3.micro", UserData: data, Meta: Meta{Tags: map[string]string{"Name": "web"}}}
		h := InternetHost{ID: "host-1", HostName: "laptop", UserData: data}
		var gotI Instance
		var gotH InternetHost
		for _, pair := range [][2]any{{i, &gotI}, {&h, &gotH}} {
			text, err := json.Marshal(pair[0])
			if err == nil {
				err = json.Unmarshal(text, pair[1])
			}
			if err != nil || strings.Count(string(text), "UserData") != 1 {
				t.Fatalf("%q: %v: %s", data, err, text)
			}
		}
		if diff := cmp.Diff(i, gotI); diff != "" {
			t.Errorf("%q: %s", data, diff)
		}
		if diff := cmp.Diff(h, gotH, cmp.Comparer(func(a, b InternetHost) bool {
			return a.UserData == b.UserData && a.HostName == b.HostName && a.ID == b.ID
		})); diff != "" {
			t.Errorf("%q: %s", data, diff)
		}
	}
	// As versions before this one have written it.
	var i Instance
	if err := json.Unmarshal([]byte(`{"ID":"i-1","State":"running","UserData":"#!/bin/sh"}`), &i); err != nil || i.UserData != "#!/bin/sh" || i.State != "running" {
		t.Errorf("%+v, %v", i, err)
	}
}
