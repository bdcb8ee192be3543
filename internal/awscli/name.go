package awscli

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

var (
	pluralAcronym = regexp.MustCompile(`[A-Z]{2,}s$`)
	firstCapital  = regexp.MustCompile(`(.)([A-Z][a-z]+)`)
	endCapital    = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

// kebab writes a name of the API as the AWS CLI does: botocore's xform_name.
// CreateVpc is create-vpc, Ipv6CidrBlock is ipv6-cidr-block.
func kebab(name string) string {
	if s := pluralAcronym.FindString(name); s != "" {
		name = strings.TrimPrefix(strings.TrimSuffix(name, s)+"-"+strings.ToLower(s), "-")
	}
	name = firstCapital.ReplaceAllString(name, "${1}-${2}")
	return strings.ToLower(endCapital.ReplaceAllString(name, "${1}-${2}"))
}

// Actions lists the actions as they are written on the command line, in order.
func Actions() []string {
	var names []string
	for _, a := range vpc.Actions() {
		names = append(names, kebab(a.Name))
	}
	slices.Sort(names)
	return names
}

// ActionName finds an action by its name on the command line (create-vpc) or in
// the API (CreateVpc).
func ActionName(name string) (vpc.Action, error) {
	for _, a := range vpc.Actions() {
		if name == a.Name || name == kebab(a.Name) {
			return a, nil
		}
	}
	switch {
	case name == "wait":
		return vpc.Action{}, fmt.Errorf("wait: vpcemu has no waiters: add --wait to the action, which then returns once the instances concerned have reached their state")
	case awsActions()[name] != nil:
		return vpc.Action{}, fmt.Errorf("%s: this action of EC2 is not part of vpcemu; `vpcemu ec2` lists those that are", name)
	}
	return vpc.Action{}, fmt.Errorf("%s: no such action%s; `vpcemu ec2` lists the actions", name, didYouMean(name, Actions()))
}

// didYouMean is a hint for a misspelt word, "" if nothing is like it.
func didYouMean(word string, known []string) string {
	near := nearest(word, known)
	if len(near) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(near, " or ") + "?)"
}

// nearest returns at most three of the known words that word may have been meant
// to be, the likeliest first.
func nearest(word string, known []string) []string {
	type candidate struct {
		word     string
		distance int
	}
	var found []candidate
	for _, k := range known {
		d := distance(strings.ToLower(word), strings.ToLower(k))
		if d <= max(1, len(word)/4) || len(word) >= 4 && strings.HasPrefix(k, word) {
			found = append(found, candidate{k, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var words []string
	for _, c := range found[:min(3, len(found))] {
		words = append(words, c.word)
	}
	return words
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substituted := diagonal
			if a[i] != b[j] {
				substituted++
			}
			diagonal = row[j+1]
			row[j+1] = min(substituted, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
