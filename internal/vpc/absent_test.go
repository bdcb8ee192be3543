package vpc

import (
	"reflect"
	"testing"
)

// What a lab never has is listed as by an account without any.
func TestAbsent(t *testing.T) {
	for name, a := range absentActions {
		tx := emptyLab(t)
		action, _ := LookupAction(name)
		in := reflect.New(action.Input)
		out, err := tx.Run(name, in.Interface())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i := range action.Output.NumField() {
			if f := reflect.ValueOf(out).Elem().Field(i); f.IsNil() || f.Len() != 0 {
				t.Errorf("%s: %v", name, f)
			}
		}
		in.Elem().FieldByName("Filters").Set(reflect.ValueOf([]Filter{{"colour", []string{"red"}}}))
		if _, err := tx.Run(name, in.Interface()); errorCode(err) != "InvalidParameterValue" {
			t.Errorf("%s with a filter that is none: %v", name, err)
		}
		in.Elem().FieldByName("Filters").Set(reflect.ValueOf([]Filter{{"tag:Name", []string{"*"}}}))
		if n, ok := absentNames[name]; ok {
			names := in.Elem().FieldByName(n.member)
			names.Set(reflect.ValueOf([]string{"db"}))
			if _, err := tx.Run(name, in.Interface()); errorCode(err) != n.code {
				t.Errorf("%s with a name: %v", name, err)
			}
			names.SetZero()
		}
		if a.ids == "" {
			continue
		}
		ids := in.Elem().FieldByName(a.ids)
		ids.Set(reflect.ValueOf([]string{a.kind.prefix + "01234567890abcdef"}))
		if _, err := tx.Run(name, in.Interface()); errorCode(err) != a.kind.notFound {
			t.Errorf("%s with an ID: %v", name, err)
		}
		if a.kind.malformed != "" {
			ids.Set(reflect.ValueOf([]string{"nothing"}))
			if _, err := tx.Run(name, in.Interface()); errorCode(err) != a.kind.malformed {
				t.Errorf("%s with a text for an ID: %v", name, err)
			}
		}
	}
}

// AWS takes some filters by older names, too, and Terraform uses them.
func TestFilters_OtherNames(t *testing.T) {
	tx := fullLab(t)
	out := must(tx.DescribeSubnets(&DescribeSubnetsInput{Filters: []Filter{{"availabilityZone", []string{"ap-northeast-1a"}}, {"defaultForAz", []string{"true"}}, {"cidr", []string{"172.31.*"}}}}))
	if len(out.Subnets) != 1 {
		t.Errorf("%+v", out.Subnets)
	}
	if out := must(tx.DescribeVpcs(&DescribeVpcsInput{Filters: namedFilter("isDefault", "false")})); len(out.Vpcs) != 0 {
		t.Errorf("%+v", out.Vpcs)
	}
	wantCode(t, code(tx.DescribeInternetGateways(&DescribeInternetGatewaysInput{Filters: namedFilter("isDefault", "true")})), "InvalidParameterValue")
}
