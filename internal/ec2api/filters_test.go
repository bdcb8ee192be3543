package ec2api_test

import (
	_ "embed"
	"net/http"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/ec2api/apitest"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

//go:embed testdata/filters.txt
var documentedFilters string

// Every filter that AWS documents is valid: what a lab has nothing of, it finds nothing by.
func TestFilters_AsDocumented(t *testing.T) {
	at := apitest.New(t).Serve(t)
	tried := 0
	for line := range strings.Lines(documentedFilters) {
		word := strings.Fields(line)
		if len(word) != 2 {
			continue
		}
		action, name := word[0], word[1]
		if _, ok := vpc.LookupAction(action); !ok || !strings.HasPrefix(action, "Describe") { // those that get something need to be told of what
			continue
		}
		value := "x"
		if action == "DescribeSecurityGroupRules" && name == "group-id" { // AWS refuses there what is no ID
			value = "sg-01234567890abcdef"
		}
		body := "Action=" + action + version + "&Filter.1.Name=" + name + "&Filter.1.Value.1=" + value
		tried++
		if status, answer := post(t, at, "ec2", body, func(*http.Request) {}); status != 200 {
			t.Errorf("%s %s: %d %s", action, name, status, answer)
		}
	}
	if tried < 400 {
		t.Errorf("only %d were tried", tried)
	}
}
