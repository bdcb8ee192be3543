package awscli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const answer = `{"Vpcs":[{"OwnerId":"1","CidrBlock":"10.0.0.0/16","IsDefault":false,"Gone":null,
"Tags":[{"Key":"Name","Value":"book \u0026 \u003cco\u003e"}],
"CidrBlockAssociationSet":[{"AssociationId":"vpc-cidr-assoc-1","CidrBlock":"10.0.0.0/16","CidrBlockState":{"State":"associated"}}]},
{"OwnerId":"1","CidrBlock":"172.31.0.0/16","IsDefault":true,"Extra":5,"Tags":[],"CidrBlockAssociationSet":[]}],
"Names":["a","b"],"Return":true,"Empty":[],"Nothing":{}}`

func printed(t *testing.T, answer, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Print(&b, json.RawMessage(answer), format, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPrintJSON: what the AWS CLI prints of the same answer.
func TestPrintJSON(t *testing.T) {
	want := `{
    "Vpcs": [
        {
            "OwnerId": "1",
            "CidrBlock": "10.0.0.0/16",
            "IsDefault": false,
            "Tags": [
                {
                    "Key": "Name",
                    "Value": "book & <co>"
                }
            ],
            "CidrBlockAssociationSet": [
                {
                    "AssociationId": "vpc-cidr-assoc-1",
                    "CidrBlock": "10.0.0.0/16",
                    "CidrBlockState": {
                        "State": "associated"
                    }
                }
            ]
        },
        {
            "OwnerId": "1",
            "CidrBlock": "172.31.0.0/16",
            "IsDefault": true,
            "Extra": 5,
            "Tags": [],
            "CidrBlockAssociationSet": []
        }
    ],
    "Names": [
        "a",
        "b"
    ],
    "Return": true,
    "Empty": [],
    "Nothing": {}
}
`
	if d := cmp.Diff(want, printed(t, answer, "json")); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestPrintText: what awscli/text.py writes of the same answer.
func TestPrintText(t *testing.T) {
	want := "True\nNAMES\ta\nNAMES\tb\nVPCS\t10.0.0.0/16\t\tFalse\t1\n" +
		"CIDRBLOCKASSOCIATIONSET\tvpc-cidr-assoc-1\t10.0.0.0/16\nCIDRBLOCKSTATE\tassociated\n" +
		"TAGS\tName\tbook & <co>\nVPCS\t172.31.0.0/16\t5\tTrue\t1\n"
	if d := cmp.Diff(want, printed(t, answer, "text")); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestPrintYAML: YAML holds the same as JSON, in the same order.
func TestPrintYAML(t *testing.T) {
	text := printed(t, answer, "yaml")
	var fromYAML, fromJSON any
	if err := yaml.Unmarshal([]byte(text), &fromYAML); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if err := yaml.Unmarshal([]byte(printed(t, answer, "json")), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(fromJSON, fromYAML); d != "" {
		t.Errorf("-json +yaml:\n%s", d)
	}
	if !strings.HasPrefix(text, "Vpcs:\n") || strings.Index(text, "OwnerId: \"1\"") > strings.Index(text, "CidrBlock:") {
		t.Errorf("order and quotes:\n%s", text)
	}
}

func TestPrintTable(t *testing.T) {
	rows := `{"Tags":[{"Key":"Name","Value":"web"},{"Key":"é","Value":""}]}`
	got := printed(t, rows, "table")
	want := `----------------
|     Tags     |
+------+-------+
| Key  | Value |
+------+-------+
| Name | web   |
| é    |       |
+------+-------+
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	got = printed(t, answer, "table")
	for _, part := range []string{"| CidrBlock ", "| 10.0.0.0/16 ", "Key=Name,Value=book & <co>", "CidrBlockState={State=associated}", "| Return | true |", "| Names  | a    |\n|        | b    |"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
	for line := range strings.Lines(got) {
		if n := len([]rune(line)); n > defaultWidth+1 {
			t.Errorf("%d characters wide: %s", n, line)
		}
	}
}

func TestPrintNothing(t *testing.T) {
	for _, format := range Formats {
		for _, empty := range []string{"", "{}", "null", `{"Gone":null}`} {
			if got := printed(t, empty, format); got != "" {
				t.Errorf("%s of %q: %q", format, empty, got)
			}
		}
		if got := printed(t, `"text"`, format); !strings.Contains(got, "text") {
			t.Errorf("%s of a text: %q", format, got)
		}
	}
	for _, bad := range []string{"{", "[1,", `{"a":1}x`} {
		if err := Print(&bytes.Buffer{}, json.RawMessage(bad), "json", nil); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	if err := Print(&bytes.Buffer{}, nil, "xml", nil); err == nil {
		t.Error("xml: no error")
	}
}
