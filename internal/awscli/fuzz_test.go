package awscli

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// FuzzShorthand: any text gives a structure or an error that points into the
// text; what was read, written out in full and read again, is the same.
func FuzzShorthand(f *testing.F) {
	for _, s := range []string{
		"Name=vpc-id,Values=a,b", `ResourceType=vpc,Tags=[{Key=Name,Value="a, b"}]`, `a='it\'s'`, "a=b=c", `a=b\,c`,
		`00000000=000,=\`, "a=[[b],{c=d}]", "a={b={c=[d,e]}}", "a=b,c=d,e", "a=\"b", "a=b,\nc==d", "a=[,b]", "=", "a=", "é=ü",
	} {
		f.Add(s)
	}
	plain := func(v string) (any, error) { return v, nil }
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseShorthand(text, plain)
		if err != nil {
			var syntax *syntaxError
			if !errors.As(err, &syntax) || syntax.at < 0 || syntax.at > len(text) || syntax.Error() == "" {
				t.Fatalf("%q: error %#v", text, err)
			}
			return
		}
		if !utf8.ValidString(text) || endsInBackslash(m) {
			return
		}
		full := shorthandText(m)
		again, err := parseShorthand(full[1:len(full)-1], plain)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%q: %#v, written as %s and read again %#v: %v", text, m, full, again, err)
		}
	})
}

// endsInBackslash: the AWS CLI's grammar takes \" for a quote within the value
// wherever a further quote follows, so that it cannot write such a value down.
func endsInBackslash(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.HasSuffix(v, `\`)
	case []any:
		return slices.ContainsFunc(v, endsInBackslash)
	case map[string]any:
		for _, item := range v {
			if endsInBackslash(item) {
				return true
			}
		}
	}
	return false
}

// FuzzParse: no command line makes the parser fail other than by an error.
func FuzzParse(f *testing.F) {
	f.Add(uint8(0), "--ip-permissions", "IpProtocol=tcp,IpRanges=[{CidrIp=0.0.0.0/0}]")
	f.Add(uint8(1), "--port=-", "--source-group=")
	f.Add(uint8(2), "--network-interfaces", `[{"DeviceIndex":0,"AssociatePublicIpAddress":true},1]`)
	f.Add(uint8(2), "--cli-input-json", `{"NetworkInterfaces":[1],"UserData":{}}`)
	f.Add(uint8(3), "--cli-input-json", "[]")
	actions := []string{"AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RunInstances", "ModifyInstanceAttribute", "CreateNetworkAclEntry"}
	f.Fuzz(func(t *testing.T, n uint8, flag, value string) {
		if strings.Contains(flag+value, "://") {
			return // would read any file of this machine
		}
		a, ok := vpc.LookupAction(actions[int(n)%len(actions)])
		if !ok {
			t.Fatal("no such action")
		}
		if in, opts, err := Parse(a, []string{flag, value}); err == nil && in == nil && !opts.Help {
			t.Fatalf("%q %q: neither an input nor an error", flag, value)
		}
	})
}
