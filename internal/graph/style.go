package graph

import (
	"fmt"
	"strings"
)

// looks are the colours of a class on a light and on a dark background: fill and stroke.
type look struct {
	class       string
	light, dark [2]string
}

var looks = []look{
	{".bg", [2]string{"#fbfcfe", ""}, [2]string{"#0d1117", ""}},
	{".inet", [2]string{"#fff", "#8a94a3"}, [2]string{"#161b22", "#6e7884"}},
	{".vpc", [2]string{"#fff", "#6a4fb3"}, [2]string{"#11151c", "#9a80e0"}},
	{".zone", [2]string{"none", "#b3bcc8"}, [2]string{"none", "#4b5563"}},
	{".sub.public", [2]string{"#f3faf6", "#2f8f5b"}, [2]string{"#10211a", "#3fae73"}},
	{".sub.private", [2]string{"#f0f7fb", "#2f6f8f"}, [2]string{"#0f202a", "#4a9cc0"}},
	{".sub.isolated", [2]string{"#f6f7f9", "#6b7686"}, [2]string{"#1a1f27", "#7d8896"}},
	{".inst,.host", [2]string{"#e4efff", "#3b6fb6"}, [2]string{"#172a4a", "#5a8fdc"}},
	{".gw", [2]string{"#fff4e0", "#c27c0e"}, [2]string{"#3a2b0c", "#d8962b"}},
	{".eni", [2]string{"#f4f0fd", "#6a4fb3"}, [2]string{"#241d3a", "#9a80e0"}},
	{".off", [2]string{"#eceef1", "#9aa5b4"}, [2]string{"#22272e", "#6e7884"}},
	{".acl", [2]string{"#fdeee6", "#b9501f"}, [2]string{"#3a2015", "#e0804f"}},
	{".acl.open", [2]string{"#f6f7f9", "#b3bcc8"}, [2]string{"#1a1f27", "#4b5563"}},
	{".line", [2]string{"none", "#5a6472"}, [2]string{"none", "#8b949e"}},
	{".via", [2]string{"none", "#c27c0e"}, [2]string{"none", "#d8962b"}},
	{".out", [2]string{"none", "#1257d6"}, [2]string{"none", "#4d9bff"}},
	{".back", [2]string{"none", "#8a2ec4"}, [2]string{"none", "#c988f5"}},
	{".dropped", [2]string{"#c0392b", "#fff"}, [2]string{"#e5534b", "#0d1117"}},
	{".yes", [2]string{"#dff3e6", "#23774b"}, [2]string{"#12301f", "#3fae73"}},
	{".no", [2]string{"#fbe3e0", "#c0392b"}, [2]string{"#3c1714", "#e5534b"}},
	{".gd", [2]string{"#eceef1", "#8a94a3"}, [2]string{"#2a3038", "#8b949e"}},
}

// hues are those of security groups: fill and stroke on light, fill and stroke on dark.
// Neighbours are far apart.
var hues = [palette][4]string{
	{"#dbedfa", "#2b76ab", "#1c374a", "#5ca3d6"},
	{"#faebdb", "#ab6b2b", "#4a331c", "#d6995c"},
	{"#dbfaeb", "#2bab6b", "#1c4a33", "#5cd699"},
	{"#fadbeb", "#ab2b6b", "#4a1c33", "#d65c99"},
	{"#e8dbfa", "#602bab", "#2f1c4a", "#8f5cd6"},
	{"#faf7db", "#aba12b", "#4a461c", "#d6cc5c"},
	{"#dbfafa", "#2babab", "#1c4a4a", "#5cd6d6"},
	{"#fadbdb", "#ab2b2b", "#4a1c1c", "#d65c5c"},
	{"#dbdefa", "#2b36ab", "#1c204a", "#5c66d6"},
	{"#e8fadb", "#60ab2b", "#2f4a1c", "#8fd65c"},
}

// inks are the colours of text.
var inks = []struct{ class, light, dark string }{
	{"text,tspan", "#26303d", "#c9d1d9"},
	{".h,.t", "#1d2733", "#e6edf3"},
	{".s", "#4a5260", "#a3adb8"},
	{".ink", "#26303d", "#c9d1d9"},
	{".faint", "#6b7686", "#8b949e"},
	{".s.public", "#23774b", "#56c98b"},
	{".s.private", "#2a6583", "#68b5d8"},
	{".s.allow", "#23774b", "#56c98b"},
	{".s.deny,.bad", "#b5301f", "#ff7b72"},
	{".warn", "#96600a", "#e3b341"},
	{".outInk", "#1257d6", "#79b4ff"},
	{".backInk", "#8a2ec4", "#d2a8ff"},
}

// style is the style sheet: the light colours, then the dark ones for those who like them.
func style() string {
	var light, dark strings.Builder
	paint := func(b *strings.Builder, class string, c [2]string) {
		b.WriteString(class + "{fill:" + c[0])
		if c[1] != "" {
			b.WriteString(";stroke:" + c[1])
		}
		b.WriteString("}")
	}
	for _, k := range looks {
		paint(&light, k.class, k.light)
		paint(&dark, k.class, k.dark)
	}
	for i, hue := range hues {
		class := fmt.Sprintf(".g%d", i)
		paint(&light, class, [2]string{hue[0], hue[1]})
		paint(&dark, class, [2]string{hue[2], hue[3]})
	}
	for _, ink := range inks {
		light.WriteString(ink.class + "{fill:" + ink.light + "}")
		dark.WriteString(ink.class + "{fill:" + ink.dark + "}")
	}
	for _, tip := range [][3]string{{".line-tip", "#5a6472", "#8b949e"}, {".via-tip", "#c27c0e", "#d8962b"}, {".out-tip", "#1257d6", "#4d9bff"}, {".back-tip", "#8a2ec4", "#c988f5"}} {
		light.WriteString(tip[0] + "{fill:" + tip[1] + "}")
		dark.WriteString(tip[0] + "{fill:" + tip[2] + "}")
	}
	return shapes + light.String() + "@media (prefers-color-scheme:dark){" + dark.String() + "}"
}

// shapes is what has no colour. The families are those whose widths font.go bounds.
const shapes = `text{font-family:"Helvetica Neue",Helvetica,Arial,"DejaVu Sans",Verdana,sans-serif}` +
	`.t{font-size:18px;font-weight:bold}.h{font-size:14px;font-weight:bold}.k{font-size:11.5px;font-weight:bold}.s{font-size:12px}` +
	`.m{font-size:12px;font-family:"DejaVu Sans Mono",Menlo,Consolas,"Liberation Mono",monospace}` +
	`rect{stroke-width:1.5}.zone{stroke-dasharray:5 4;stroke-width:1.2}.eni{stroke-dasharray:5 3}.tag{stroke-width:1.2}` +
	`.line,.via{stroke-width:1.5}.out,.back{stroke-width:2.4}.back{stroke-dasharray:7 4}.dropped{stroke-width:2}.x{stroke:#fff;stroke-width:2.4;fill:none}.mid{text-anchor:middle}.dim{opacity:.4}`
