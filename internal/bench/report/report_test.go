package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The oracle takes the least and the greatest away until one or two are left.
func TestMedianIsInTheMiddle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 30).Draw(t, "values")
		left := slices.Clone(values)
		for len(left) > 2 {
			left = slices.Delete(left, slices.Index(left, slices.Min(left)), slices.Index(left, slices.Min(left))+1)
			left = slices.Delete(left, slices.Index(left, slices.Max(left)), slices.Index(left, slices.Max(left))+1)
		}
		want := left[0]
		if len(left) == 2 {
			want = (left[0] + left[1]) / 2
		}
		if got := Median(values); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
	if !math.IsNaN(Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

// example is a run of three rounds in which the machine was slower each time.
func example() *Results {
	r := New("kernel")
	tcp := Figure{Work: "tcp1", Unit: "Gbit/s", Label: "TCP <1> stream", Plot: true}
	p50 := Figure{Work: "rr p50", Unit: "µs", Less: true, Plot: true}
	for round, speed := range []float64{1, 0.5, 0.1} {
		r.Add(tcp, "kernel", round, 20*speed)
		r.Add(tcp, "bare", round, 10*speed)
		r.Add(tcp, "vpcemu", round, 8*speed)
		r.Add(p50, "kernel", round, 10/speed)
		r.Add(p50, "vpcemu", round, 15/speed)
	}
	r.Add(Figure{Work: "book up", Unit: "s", Less: true}, "vpcemu", 0, 0.78125)
	r.Relate("tcp1 to bare", Value{"tcp1", "vpcemu"}, Value{"tcp1", "bare"})
	r.Relate("tcp1 to nobody", Value{"tcp1", "vpcemu"}, Value{"tcp1", "nobody"})
	return r
}

func TestRatiosAreThoseOfTheRounds(t *testing.T) {
	r := New("kernel")
	f := Figure{Work: "w", Unit: "u"}
	// Medians alone would say 5/2; the third round has no counterpart.
	for round, v := range []float64{1, 2, 3} {
		r.Add(f, "kernel", round, v)
	}
	for round, v := range []float64{5, 2} {
		r.Add(f, "vpcemu", round, v)
	}
	for _, of := range r.Results() {
		if of.Contestant == "vpcemu" && (of.Value != 3.5 || *of.RatioToKernel != 3) {
			t.Errorf("got %v, ratio %v; want 3.5, ratio 3", of.Value, *of.RatioToKernel)
		}
	}
}

func TestJSONHasTheFieldsThatOthersRead(t *testing.T) {
	text, err := example().JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, of := range got {
		keys := slices.Sorted(maps.Keys(of))
		if want := []string{"contestant", "ratio_to_kernel", "unit", "value", "work"}; !slices.Equal(keys, want) {
			t.Errorf("keys %v, want %v", keys, want)
		}
	}
	want := map[string]any{"work": "tcp1", "contestant": "vpcemu", "value": 4.0, "unit": "Gbit/s", "ratio_to_kernel": 0.4}
	if diff := cmp.Diff(want, got[2]); diff != "" {
		t.Error(diff)
	}
	if last := got[len(got)-1]; last["work"] != "tcp1 to bare" || last["value"] != 0.8 || last["ratio_to_kernel"] != nil {
		t.Errorf("vpcemu to bare: %v", last)
	}
}

func TestJSONRefusesWhatIsNoNumber(t *testing.T) {
	r := New("kernel")
	r.Add(Figure{Work: "w"}, "kernel", 0, math.NaN())
	if _, err := r.JSON(); err == nil {
		t.Error("no error")
	}
}

func TestSignificantIsFourDigits(t *testing.T) {
	for in, want := range map[float64]float64{0: 0, 123456: 123500, 0.000123456: 0.0001235, -9.99999: -10, 1: 1} {
		if got := significant(in); math.Abs(got-want) > math.Abs(want)*1e-12 {
			t.Errorf("%v: got %v, want %v", in, got, want)
		}
	}
}

func TestSVGIsWellFormedAndHasABarForEachRatio(t *testing.T) {
	plot := example().SVG()
	var bars, words []string
	for d := xml.NewDecoder(bytes.NewReader(plot)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, plot)
		}
		switch x := token.(type) {
		case xml.StartElement:
			if x.Name.Local == "title" {
				bars = append(bars, "")
			}
		case xml.CharData:
			words = append(words, string(x))
		}
	}
	if len(bars) != 3 { // tcp1 of bare and vpcemu, rr p50 of vpcemu; none of the kernel router itself
		t.Errorf("%d bars, want 3", len(bars))
	}
	for _, want := range []string{"TCP <1> stream", "rr p50 ↓", "0.40", "1.50", "bare"} {
		if !slices.Contains(words, want) {
			t.Errorf("%q is not in the plot:\n%s", want, plot)
		}
	}
	if empty := New("kernel").SVG(); xml.Unmarshal(empty, new(struct{})) != nil {
		t.Errorf("a plot of nothing is not well-formed:\n%s", empty)
	}
}

func TestTableShowsEachFigureOnce(t *testing.T) {
	var out strings.Builder
	r := New("kernel")
	table := NewTable(&out, []string{"kernel", "vpcemu"})
	r.Add(Figure{Work: "tcp1", Unit: "Gbit/s"}, "kernel", 0, 20)
	r.Add(Figure{Work: "tcp1", Unit: "Gbit/s"}, "vpcemu", 0, 0.125)
	table.Print(r)
	r.Add(Figure{Work: "udp64", Unit: "datagrams/s"}, "vpcemu", 0, 123456)
	table.Print(r)
	want := "" +
		"WORK                           UNIT                       kernel             vpcemu\n" +
		"tcp1                           Gbit/s               20.00 (1.00)       0.125 (0.01)\n" +
		"udp64                          datagrams/s                     -             123456\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
