package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/internal/control"
)

// outputFlag adds -o: json or yaml instead of a table.
func outputFlag(cmd *cobra.Command, out *string) {
	cmd.Flags().StringVarP(out, "output", "o", "", "json or yaml instead of text")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// validOutput refuses a format before anything is done.
func validOutput(format string) error {
	if format != "" && format != "json" && format != "yaml" {
		return usageError{fmt.Errorf("--output %s: use json or yaml, or leave it out for text", format)}
	}
	return nil
}

// printAs prints v as JSON or YAML. Both have the same keys.
func printAs(w io.Writer, format string, v any) error {
	if err := validOutput(format); err != nil {
		return err
	}
	b, err := json.MarshalIndent(v, "", "    ")
	if err != nil {
		return err
	}
	if format == "json" {
		_, err = fmt.Fprintln(w, string(b))
		return err
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return err
	}
	return yaml.NewEncoder(w).Encode(plain)
}

// table prints rows in columns; the first row is the heading.
func table(w io.Writer, rows [][]string) error {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		for i, cell := range r {
			r[i] = printable(cell)
			if cell == "" {
				r[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// printable shows control characters by their escapes: a name may hold any, and
// would break the table or play on the terminal.
func printable(cell string) string {
	if strings.IndexFunc(cell, unicode.IsControl) < 0 {
		return cell
	}
	q := strconv.QuoteToGraphic(cell)
	return q[1 : len(q)-1]
}

// printableLines is printable for a text of several lines.
func printableLines(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// outsideRow is this machine among a lab's instances; its device stands for an ID.
func outsideRow(o *control.Outside) []string {
	var ties []string
	if o.Join {
		ties = append(ties, "joined")
	}
	if o.Uplink != "" {
		ties = append(ties, "uplink")
	}
	row := []string{"host", "this machine", strings.Join(ties, ", "), "", "", "", "", o.Device}
	if o.Join {
		row[4] = o.Address.String()
	}
	return row
}

func printLab(w io.Writer, lab *control.Lab) error {
	rows := [][]string{{"NAME", "KIND", "STATE", "PRIVATE", "PUBLIC", "SUBNET", "ZONE", "ID"}}
	for _, i := range lab.Instances {
		row := []string{i.Name, i.Kind, i.State, "", "", i.Subnet, i.Zone, i.ID}
		if i.PrivateIp.IsValid() {
			row[3] = i.PrivateIp.String()
		}
		if i.PublicIp.IsValid() {
			row[4] = i.PublicIp.String()
		}
		rows = append(rows, row)
	}
	if o := lab.Outside; o != nil {
		rows = append(rows, outsideRow(o))
	}
	if err := table(w, rows); err != nil {
		return err
	}
	for _, i := range lab.Instances {
		if (i.State == "stopped" || i.State == "terminated") && strings.HasPrefix(i.Reason, "Server.") {
			fmt.Fprintf(w, "%s was %s: %s\n", i.Name, i.State, i.Reason)
		}
	}
	if a := lab.API; a != nil && a.Problem == "" {
		fmt.Fprintf(w, "EC2 API at http://%s\n", a.Listen)
	}
	for _, n := range lab.Notes {
		fmt.Fprintln(w, printable(n))
	}
	return nil
}
