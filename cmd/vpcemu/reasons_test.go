package main

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/awscli"
	"github.com/vpcemu/vpcemu/internal/reasons"
)

func TestReasons(t *testing.T) {
	out, _, err := vpcemu("reasons")
	if err != nil || !strings.Contains(out, "SUBNET_ACL_RESTRICTION") || !strings.Contains(out, "ARP_ANSWERED") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = vpcemu("reasons", "subnet_acl_restriction")
	if err != nil || !strings.HasPrefix(out, "SUBNET_ACL_RESTRICTION: denied") || !strings.Contains(out, "create-network-acl-entry") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = vpcemu("reasons", "SUBNET_ACL_RESTRICTION", "-o", "json")
	if err != nil || !strings.Contains(out, `"aws": true`) {
		t.Errorf("%v\n%s", err, out)
	}
	var usage usageError
	if _, _, err = vpcemu("reasons", "ACL"); !errors.As(err, &usage) {
		t.Errorf("%v", err)
	}
}

var commandInText = regexp.MustCompile("`vpcemu ([^`]+)`")

// What the texts tell people to run exists, with its flags.
func TestReasonsNameCommandsThatThereAre(t *testing.T) {
	found := 0
	for _, e := range reasons.All() {
		for _, m := range commandInText.FindAllStringSubmatch(e.Happened+e.Look+e.Change, -1) {
			found++
			args := strings.Fields(m[1])
			cmd, rest, err := newRoot().Find(args)
			if err != nil || cmd.Name() != args[0] {
				t.Errorf("%s: there is no `vpcemu %s`", e.Name, m[1])
				continue
			}
			if args[0] == "ec2" {
				checkEC2(t, e.Name, rest)
			}
		}
	}
	if found < 30 {
		t.Errorf("%d commands", found)
	}
}

// checkEC2 parses a command that has values for its flags; of others it looks up the flags.
func checkEC2(t *testing.T, reason string, args []string) {
	t.Helper()
	a, err := awscli.ActionName(args[0])
	if err != nil {
		t.Errorf("%s: %v", reason, err)
		return
	}
	if len(args) > 2 {
		if _, _, err := awscli.Parse(a, args[1:]); err != nil {
			t.Errorf("%s: %s: %v", reason, strings.Join(args, " "), err)
		}
		return
	}
	known := strings.Join(awscli.Flags(a), " ") + " "
	for _, flag := range args[1:] {
		if !strings.Contains(known, flag+" ") {
			t.Errorf("%s: %s has no flag %s; there are %s", reason, args[0], flag, known)
		}
	}
}
