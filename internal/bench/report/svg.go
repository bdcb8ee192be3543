package report

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

// Measures of the plot in its own units, which a viewer scales.
const (
	barWidth, barGap = 22, 2
	groupGap         = 28
	plotHeight       = 240
	top, left        = 64, 48
	labelHeight      = 90
	// tallest is the ratio at the top: a higher bar is cut there, its number still says how high.
	tallest = 1.6
)

// colours of the contestants, in the order in which they come; told apart also by who sees no red or green.
var colours = []string{"#0072b2", "#e69f00", "#999999", "#cc79a7", "#56b4e9", "#000000"}

// group is the bars of one figure.
type group struct {
	label string
	bars  []Result
}

// SVG draws the ratios to the base, a group of bars for each figure that is to be plotted, and a line at 1, the base itself.
func (r *Results) SVG() []byte {
	groups, contestants := r.groups()
	width := left + groupGap
	for _, g := range groups {
		width += len(g.bars)*(barWidth+barGap) + groupGap
	}
	width = max(width, left+120*len(contestants)+groupGap)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n",
		width, top+plotHeight+labelHeight)
	fmt.Fprintf(&b, "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n<text x=\"%d\" y=\"20\" font-size=\"14\">%s</text>\n",
		left, text("Ratio to the "+r.base+" router (the line at 1); ↓: less is better"))
	legend(&b, contestants)
	axis(&b, width)
	x := left + groupGap
	for _, g := range groups {
		x = bars(&b, g, contestants, x)
	}
	fmt.Fprintf(&b, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#d55e00\" stroke-width=\"1.5\"/>\n</svg>\n", left, width, height(1), height(1))
	return []byte(b.String())
}

// groups are the figures of the plot, and who has bars there.
func (r *Results) groups() (groups []group, contestants []string) {
	for _, of := range r.Results() {
		if !of.figure.Plot || of.RatioToKernel == nil || of.Contestant == r.base {
			continue
		}
		if !slices.Contains(contestants, of.Contestant) {
			contestants = append(contestants, of.Contestant)
		}
		label := of.figure.Label
		if label == "" {
			label = of.Work
		}
		if of.figure.Less {
			label += " ↓"
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.label == label })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{label: label})
		}
		groups[i].bars = append(groups[i].bars, of)
	}
	return groups, contestants
}

// height is the y of a ratio.
func height(ratio float64) float64 {
	return top + plotHeight*(1-min(max(ratio, 0), tallest)/tallest)
}

func legend(b *strings.Builder, contestants []string) {
	for i, c := range contestants {
		x := left + 120*i
		fmt.Fprintf(b, "<rect x=\"%d\" y=\"32\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%d\" y=\"42\">%s</text>\n",
			x, colours[i%len(colours)], x+18, text(c))
	}
}

func axis(b *strings.Builder, width int) {
	for ratio := 0.0; ratio < tallest+0.01; ratio += 0.2 {
		y := height(ratio)
		fmt.Fprintf(b, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#dddddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.1f</text>\n",
			left, width, y, y, left-6, y+4, ratio)
	}
}

// bars draws a group and returns where the next one begins.
func bars(b *strings.Builder, g group, contestants []string, x int) int {
	start := x
	for _, r := range g.bars {
		y := height(*r.RatioToKernel)
		fmt.Fprintf(b, "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\"><title>%s</title></rect>\n",
			x, y, barWidth, height(0)-y, colours[slices.Index(contestants, r.Contestant)%len(colours)],
			text(fmt.Sprintf("%s, %s: %s %s", g.label, r.Contestant, number(r.Value), r.Unit)))
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%.1f\" font-size=\"9\" text-anchor=\"middle\">%s</text>\n", x+barWidth/2, y-3, short(*r.RatioToKernel))
		x += barWidth + barGap
	}
	middle, y := (start+x-barGap)/2, top+plotHeight+14
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" transform=\"rotate(-40 %d %d)\">%s</text>\n", middle, y, middle, y, text(g.label))
	return x + groupGap
}

// short fits above a bar.
func short(ratio float64) string {
	if ratio >= 9.995 {
		return fmt.Sprintf("%.0f", ratio)
	}
	return fmt.Sprintf("%.2f", ratio)
}

// text is s as it has to be written in XML.
func text(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
