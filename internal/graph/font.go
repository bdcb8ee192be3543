package graph

import (
	"strings"
	"unicode"
)

// font is one of the three faces that the picture uses.
type font struct {
	size float64
	face int
}

const (
	faceRegular = iota
	faceBold
	faceMono
)

// The fonts of the picture, sizes in pixels.
var (
	fontTitle = font{18, faceBold}
	fontHead  = font{14, faceBold}
	fontTag   = font{11.5, faceBold}
	fontSmall = font{12, faceRegular}
	fontMono  = font{12, faceMono}
)

// Which font a viewer has is not known here. The widths, in thousandths of the size from
// U+0020 on, are for each character the greater of DejaVu Sans (Verdana is as wide) and
// Liberation Sans (Arial and Helvetica are as wide), so text is never wider than measured.
var regularWidths = [...]uint16{
	318, 401, 460, 838, 637, 951, 780, 275, 391, 391, 500, 838, 318, 361, 318, 337,
	637, 637, 637, 637, 637, 637, 637, 637, 637, 637, 337, 337, 838, 838, 838, 557,
	1016, 685, 687, 723, 771, 667, 611, 778, 752, 295, 500, 667, 558, 863, 749, 788,
	667, 788, 723, 667, 611, 732, 685, 989, 686, 667, 686, 391, 337, 391, 838, 557,
	500, 613, 635, 550, 635, 616, 353, 635, 634, 278, 278, 580, 278, 975, 634, 612,
	635, 635, 412, 521, 393, 634, 592, 818, 592, 592, 525, 637, 337, 637, 838,
}

var boldWidths = [...]uint16{
	349, 457, 521, 838, 696, 1002, 873, 307, 458, 458, 523, 838, 380, 416, 380, 366,
	696, 696, 696, 696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 611,
	1000, 774, 763, 734, 831, 684, 684, 821, 837, 373, 557, 775, 638, 996, 837, 851,
	733, 851, 771, 721, 683, 813, 774, 1104, 771, 725, 726, 458, 366, 458, 838, 557,
	500, 675, 716, 593, 716, 679, 436, 716, 712, 343, 343, 666, 343, 1042, 712, 688,
	716, 716, 494, 596, 479, 712, 652, 924, 646, 652, 583, 712, 366, 712, 838,
}

// Bounds for what the tables do not have, the widest letters of the Latin, Greek,
// Cyrillic, and East Asian scripts and pictographs among them.
const (
	monoWidth    = 603
	otherLetter  = 1200
	otherPicture = 1450
)

// width is at least that of s in pixels.
func (f font) width(s string) float64 {
	total := 0
	for _, r := range s {
		total += f.advance(r)
	}
	return float64(total) * f.size / 1000
}

func (f font) advance(r rune) int {
	ascii := r >= ' ' && r <= '~'
	switch {
	case r == '…' || r == '→':
		return 1020
	case r == '·':
		return 605
	case ascii && f.face == faceRegular:
		return int(regularWidths[r-' '])
	case ascii && f.face == faceBold:
		return int(boldWidths[r-' '])
	case ascii:
		return monoWidth
	case unicode.IsLetter(r):
		return otherLetter
	}
	return otherPicture
}

// fit shortens s at its end to what room holds.
func (f font) fit(s string, room float64) string {
	if f.width(s) <= room {
		return s
	}
	room -= f.width("…")
	var b strings.Builder
	for _, r := range s {
		if room -= f.width(string(r)); room < 0 {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimRight(b.String(), " ") + "…"
}

// fitName shortens a name in its middle: names differ at their ends.
func (f font) fitName(s string, room float64) string {
	if f.width(s) <= room {
		return s
	}
	room -= f.width("…")
	runes := []rune(s)
	head, tail := 0, len(runes)
	for head < tail {
		front := head <= len(runes)-tail
		r := runes[tail-1]
		if front {
			r = runes[head]
		}
		if room -= f.width(string(r)); room < 0 {
			break
		}
		if front {
			head++
		} else {
			tail--
		}
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}
