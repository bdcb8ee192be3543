package awscli

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// awsFlags are the flags that the AWS CLI has for one action.
type awsFlags struct {
	known    map[string]bool
	required []string
}

//go:embed aws.txt
var awsText string

// awsActions are the actions of EC2's networking and instances, by their names on
// the command line. What the API calls required is only there: the Go types do
// not tell.
var awsActions = sync.OnceValue(func() map[string]*awsFlags {
	actions := map[string]*awsFlags{}
	for line := range strings.Lines(awsText) {
		action, flags, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || strings.HasPrefix(action, "#") {
			continue
		}
		f := &awsFlags{known: map[string]bool{}}
		for _, name := range strings.Fields(flags) {
			plain := strings.TrimSuffix(name, "!")
			if plain != name {
				f.required = append(f.required, plain)
			}
			f.known[plain] = true
		}
		actions[action] = f
	}
	return actions
})

// ownRequired are the required flags of vpcemu's own actions.
var ownRequired = map[string][]string{
	"DeleteInternetHost": {"internet-host-id"},
	"ModifyInternetHost": {"internet-host-id"},
	"StartInternetHost":  {"internet-host-id"},
	"StopInternetHost":   {"internet-host-id"},
	"ModifyImpairment":   {"place"},
	"CreateFailure":      {"place"},
}

// required returns the flags without which the action cannot run.
func required(a vpc.Action) []string {
	if f := awsActions()[kebab(a.Name)]; f != nil {
		return f.required
	}
	return ownRequired[a.Name]
}

// knownToAWS reports whether `aws ec2` has the flag for the action.
func knownToAWS(a vpc.Action, flag string) bool {
	f := awsActions()[kebab(a.Name)]
	return f != nil && f.known[flag]
}

func isRequired(a vpc.Action, flag string) bool { return slices.Contains(required(a), flag) }
