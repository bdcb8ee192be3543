package explain

import (
	"slices"
	"strings"
	"testing"
)

// What has failed is named, with the command that heals it, which does.
func TestAdviceHeals(t *testing.T) {
	for _, c := range []struct{ fail, trace, reason, heal string }{
		{"--place svc", "app svc tcp/80", "INSTANCE_FAILED", "vpcemu heal instance svc"},
		{"--place host:laptop", "laptop web tcp/80", "INSTANCE_FAILED", "vpcemu heal host laptop"},
		{"--place subnet:inner", "app svc tcp/80", "SUBNET_FAILED", "vpcemu heal subnet inner"},
		{"--place zone:a", "app svc tcp/80", "ZONE_FAILED", "vpcemu heal zone ap-northeast-1a"},
		{"--place nat:nat", "app server tcp/80", "NAT_GATEWAY_FAILED", "vpcemu heal nat nat"},
		{"--place app --to internet", "app server tcp/80", "LINK_FAILED", "vpcemu heal link app internet"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			l := newLab(t, site)
			l.EC2("create-failure " + c.fail)
			tr := l.trace(c.trace)
			if tr.Reason != c.reason || !slices.Contains(tr.Advice, c.heal) {
				t.Errorf("%s: %s, %q", c.trace, tr.Reason, tr.Advice)
			}
			l.EC2("delete-failure " + c.fail)
			if tr := l.trace(c.trace); !tr.Reachable {
				t.Errorf("after it was healed:\n%s", Text(tr))
			}
		})
	}
}

// A trace shows the links on the way; only one that loses everything drops it.
func TestTracesShowLinks(t *testing.T) {
	l := newLab(t, site)
	l.EC2("modify-impairment --place svc --delay 20ms --loss 99%")
	tr := l.trace("app svc tcp/80")
	if text := Text(tr); !tr.Reachable || !strings.Contains(text, "svc inward") || !strings.Contains(text, "delay 20ms, loss 99%") {
		t.Errorf("%s", text)
	}
	Mermaid(tr)
	l.EC2("modify-impairment --place svc --direction ingress --loss 100%")
	tr = l.trace("app svc tcp/80")
	if tr.Reason != "LINK_LOSS" || !slices.Contains(tr.Advice, "vpcemu impair svc --clear") {
		t.Errorf("%s, %q", tr.Reason, tr.Advice)
	}
	if text := Mermaid(tr); !strings.Contains(text, "svc inward") {
		t.Error(text)
	}
}
