package explain

import "github.com/vpcemu/vpcemu/internal/control"

// Line is a stage that decided something, in the words of Text.
type Line struct {
	Stage  string // security group out, network ACL in, delivered
	Object string
	Detail string // rule, translation, note; "" for nothing to add
	// Dropped: the packet ended here. Reason is its drop's name then.
	Dropped bool
	Reason  string
}

// Lines are what Text tells of a path, for renderings other than text.
func Lines(p *control.Path) []Line {
	var list []Line
	for _, r := range rows(p) {
		l := Line{Stage: r.stage, Object: r.object, Detail: r.detail}
		if r.mark == "✗" {
			l.Dropped, l.Reason = true, p.Reason
		}
		list = append(list, l)
	}
	return list
}

// Title is a trace's heading: "laptop → web, tcp/22", its names shortened.
func Title(t *control.Trace) string { return title(t.From) + " → " + title(t.To) + ", " + asked(t) }

// Verdict is a trace's outcome in a few words.
func Verdict(t *control.Trace) string { return verdict(t) }
