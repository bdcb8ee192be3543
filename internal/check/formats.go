package check

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/internal/control"
)

// Report is all results of a run, as -o json writes them.
type Report struct {
	Lab     string
	Passed  int
	Failed  int
	Bugs    int           // of those that failed
	Took    time.Duration // in nanoseconds
	Results []control.CheckResult
}

// NewReport sums results up.
func NewReport(lab string, results []control.CheckResult, took time.Duration) Report {
	report := Report{Lab: lab, Took: took, Results: results}
	for _, r := range results {
		switch {
		case r.Pass:
			report.Passed++
			continue
		case r.Bug:
			report.Bugs++
		}
		report.Failed++
	}
	return report
}

// Line sums the report up for people.
func (r Report) Line() string {
	all := len(r.Results)
	s := fmt.Sprintf("%d checks", all)
	if all == 1 {
		s = "1 check"
	}
	switch {
	case r.Failed == 0 && all == 1:
		s += " passes"
	case r.Failed == 0:
		s += ", all pass"
	default:
		s += fmt.Sprintf(": %d pass, %d fail", r.Passed, r.Failed)
	}
	if r.Bugs > 0 {
		s += fmt.Sprintf(" (%d by a contradiction between trace and packets, a bug in vpcemu)", r.Bugs)
	}
	return fmt.Sprintf("%s (%.1f s)", s, r.Took.Seconds())
}

// JSON writes the report.
func (r Report) JSON(w io.Writer) error {
	b, err := json.MarshalIndent(r, "", "    ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, string(b))
	return err
}

// TAP writes the report in version 14 of the Test Anything Protocol: a point a check,
// and what is wrong in a YAML block below it.
func (r Report) TAP(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "TAP version 14\n1..%d\n", len(r.Results))
	for i, c := range r.Results {
		verdict := "ok"
		if !c.Pass {
			verdict = "not ok"
		}
		fmt.Fprintf(&b, "%s %d - %s\n", verdict, i+1, tapText(c.Title))
		if err := tapBlock(&b, c); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// tapText escapes what TAP would take for a directive or the end of a description.
func tapText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `#`, `\#`).Replace(oneLine(text))
}

func tapBlock(b *strings.Builder, c control.CheckResult) error {
	block := struct {
		Check    string   `yaml:"check,omitempty"`
		Problems []string `yaml:"problems,omitempty"`
		Notes    []string `yaml:"notes,omitempty"`
		Reason   string   `yaml:"reason,omitempty"`
		Bug      bool     `yaml:"bug,omitempty"`
	}{c.Check, c.Problems, c.Notes, Reason(c), c.Bug}
	if c.Title == c.Check {
		block.Check = ""
	}
	if c.Pass && block.Notes == nil && block.Check == "" {
		return nil
	}
	text, err := yaml.Marshal(block)
	if err != nil {
		return err
	}
	b.WriteString("  ---\n")
	for line := range strings.Lines(string(text)) {
		b.WriteString("  " + line)
	}
	b.WriteString("  ...\n")
	return nil
}

// JUnit's elements, as those who read it agree on them: there is no standard. A check
// that fails is a failure, a contradiction between trace and packets an error.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string      `xml:"classname,attr"`
		Name    string      `xml:"name,attr"`
		Time    string      `xml:"time,attr"`
		Failure *junitFault `xml:"failure,omitempty"`
		Error   *junitFault `xml:"error,omitempty"`
		Out     string      `xml:"system-out,omitempty"`
	}
	junitFault struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report as XML that build servers read. trace writes a trace as a
// person reads it.
func (r Report) JUnit(w io.Writer, trace func(*control.Trace) string) error {
	suite := junitSuite{Name: "vpcemu check " + r.Lab, Tests: len(r.Results), Failures: r.Failed - r.Bugs, Errors: r.Bugs, Time: seconds(r.Took)}
	for _, c := range r.Results {
		one := junitCase{Class: r.Lab, Name: c.Title, Time: seconds(c.Took), Out: strings.Join(c.Notes, "\n")}
		if !c.Pass {
			fault := &junitFault{Message: strings.Join(c.Problems, "; "), Type: "check", Text: c.Check + "\n" + strings.Join(c.Problems, "\n") + "\n"}
			if reason := Reason(c); reason != "" {
				fault.Type = reason
			}
			if c.Trace != nil && trace != nil {
				fault.Text += "\n" + trace(c.Trace)
			}
			if c.Bug {
				one.Error = fault
			} else {
				one.Failure = fault
			}
		}
		suite.Cases = append(suite.Cases, one)
	}
	out, err := xml.MarshalIndent(junitSuites{Suites: []junitSuite{suite}}, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, out)
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
