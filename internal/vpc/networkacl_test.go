package vpc

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestAC01_ReplacingAnAssociation(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	s := newSubnet(tx, v, "10.0.0.0/24")
	if tx.Subnets.Get(s).NetworkAclID != tx.DefaultNetworkAcl(v).ID {
		t.Fatal("a new subnet has the default ACL")
	}
	acl := must(tx.CreateNetworkAcl(&CreateNetworkAclInput{VpcId: v})).NetworkAcl.NetworkAclId
	old := tx.Subnets.Get(s).AclAssociationID
	out := must(tx.ReplaceNetworkAclAssociation(&ReplaceNetworkAclAssociationInput{AssociationId: old, NetworkAclId: acl}))
	if got := tx.Subnets.Get(s); got.NetworkAclID != acl || got.AclAssociationID != out.NewAssociationId || out.NewAssociationId == old {
		t.Errorf("subnet %+v", got)
	}
	replace := func(a AclAssociationID, acl NetworkAclID) string {
		return code(tx.ReplaceNetworkAclAssociation(&ReplaceNetworkAclAssociationInput{AssociationId: a, NetworkAclId: acl}))
	}
	wantCode(t, replace(old, acl), "InvalidAssociationID.NotFound")
	far := tx.DefaultNetworkAcl(newVpc(tx, "10.1.0.0/16")).ID
	wantCode(t, replace(out.NewAssociationId, far), "InvalidParameterValue")
	listed := must(tx.DescribeNetworkAcls(&DescribeNetworkAclsInput{Filters: namedFilter("association.subnet-id", string(s))})).NetworkAcls
	if len(listed) != 1 || listed[0].NetworkAclId != acl || listed[0].Associations[0].SubnetId != s {
		t.Errorf("by subnet: %+v", listed)
	}
	wantConsistent(t, &tx.Model)
}

func TestAC02_AC03_DefaultAllowsAndCustomDenies(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	entries := func(a *NetworkAcl) string {
		var list []NetworkAclEntryInfo
		for _, e := range a.Entries {
			list = append(list, e.info())
		}
		b, _ := json.Marshal(list)
		return string(b)
	}
	const in100 = `{"CidrBlock":"0.0.0.0/0","Egress":false,"Protocol":"-1","RuleAction":"allow","RuleNumber":100}`
	const inLast = `{"CidrBlock":"0.0.0.0/0","Egress":false,"Protocol":"-1","RuleAction":"deny","RuleNumber":32767}`
	const out100 = `{"CidrBlock":"0.0.0.0/0","Egress":true,"Protocol":"-1","RuleAction":"allow","RuleNumber":100}`
	const outLast = `{"CidrBlock":"0.0.0.0/0","Egress":true,"Protocol":"-1","RuleAction":"deny","RuleNumber":32767}`
	d := tx.DefaultNetworkAcl(v)
	if got, want := entries(d), "["+in100+","+inLast+","+out100+","+outLast+"]"; got != want {
		t.Errorf("default: %s", got)
	}
	wantCode(t, code(tx.DeleteNetworkAcl(&DeleteNetworkAclInput{NetworkAclId: d.ID})), "InvalidParameterValue")
	custom := must(tx.CreateNetworkAcl(&CreateNetworkAclInput{VpcId: v})).NetworkAcl.NetworkAclId
	if got, want := entries(tx.NetworkAcls.Get(custom)), "["+inLast+","+outLast+"]"; got != want {
		t.Errorf("custom: %s", got)
	}
}

func TestAC04_AC05_Entries(t *testing.T) {
	type in = CreateNetworkAclEntryInput
	ports := PortRange{new(80), new(81)}
	ping := IcmpTypeCode{Code: new(-1), Type: new(8)}
	rows := []struct {
		name string
		in   in
		want string // the entry's JSON, or a code
	}{
		{"tcp", in{RuleNumber: 1, Protocol: "6", RuleAction: "allow", CidrBlock: "10.0.0.0/8", PortRange: ports}, `{"CidrBlock":"10.0.0.0/8","Egress":false,"PortRange":{"From":80,"To":81},"Protocol":"6","RuleAction":"allow","RuleNumber":1}`},
		{"tcp by name", in{RuleNumber: 1, Protocol: "tcp", RuleAction: "deny", CidrBlock: "10.0.0.0/8", PortRange: ports, IcmpTypeCode: ping}, `{"CidrBlock":"10.0.0.0/8","Egress":false,"PortRange":{"From":80,"To":81},"Protocol":"6","RuleAction":"deny","RuleNumber":1}`},
		{"ping", in{RuleNumber: 1, Protocol: "1", RuleAction: "allow", CidrBlock: "10.0.0.0/8", IcmpTypeCode: ping}, `{"CidrBlock":"10.0.0.0/8","Egress":false,"IcmpTypeCode":{"Code":-1,"Type":8},"Protocol":"1","RuleAction":"allow","RuleNumber":1}`},
		{"action in capitals", in{RuleNumber: 1, Protocol: "-1", RuleAction: "ALLOW", CidrBlock: "10.0.0.0/8"}, `{"CidrBlock":"10.0.0.0/8","Egress":false,"Protocol":"-1","RuleAction":"allow","RuleNumber":1}`},
		{"all ignores ports", in{RuleNumber: 1, Protocol: "-1", RuleAction: "allow", CidrBlock: "10.0.0.0/8", PortRange: ports}, `{"CidrBlock":"10.0.0.0/8","Egress":false,"Protocol":"-1","RuleAction":"allow","RuleNumber":1}`},
		{"icmpv6 with an IPv4 block ignores types", in{RuleNumber: 1, Protocol: "58", RuleAction: "allow", CidrBlock: "10.0.0.0/8"}, `{"CidrBlock":"10.0.0.0/8","Egress":false,"Protocol":"58","RuleAction":"allow","RuleNumber":1}`},
		{"icmpv6", in{RuleNumber: 1, Protocol: "58", RuleAction: "allow", Ipv6CidrBlock: "fd00::1/8", IcmpTypeCode: ping}, `{"Egress":false,"IcmpTypeCode":{"Code":-1,"Type":8},"Ipv6CidrBlock":"fd00::/8","Protocol":"58","RuleAction":"allow","RuleNumber":1}`},
		{"icmpv6 without types", in{RuleNumber: 1, Protocol: "58", RuleAction: "allow", Ipv6CidrBlock: "fd00::/8"}, "MissingParameter"},
		{"tcp without ports", in{RuleNumber: 1, Protocol: "6", RuleAction: "allow", CidrBlock: "10.0.0.0/8"}, "MissingParameter"},
		{"icmp without types", in{RuleNumber: 1, Protocol: "1", RuleAction: "allow", CidrBlock: "10.0.0.0/8"}, "MissingParameter"},
		{"descending", in{RuleNumber: 1, Protocol: "17", RuleAction: "allow", CidrBlock: "10.0.0.0/8", PortRange: PortRange{new(2), new(1)}}, "InvalidParameterValue"},
		{"no block", in{RuleNumber: 1, Protocol: "-1", RuleAction: "allow"}, "MissingParameter"},
		{"two blocks", in{RuleNumber: 1, Protocol: "-1", RuleAction: "allow", CidrBlock: "10.0.0.0/8", Ipv6CidrBlock: "::/0"}, "InvalidParameterCombination"},
		{"no protocol", in{RuleNumber: 1, RuleAction: "allow", CidrBlock: "10.0.0.0/8"}, "MissingParameter"},
		{"unknown protocol", in{RuleNumber: 1, Protocol: "smtp", RuleAction: "allow", CidrBlock: "10.0.0.0/8"}, "InvalidParameterValue"},
		{"no action", in{RuleNumber: 1, Protocol: "-1", CidrBlock: "10.0.0.0/8"}, "MissingParameter"},
		{"unknown action", in{RuleNumber: 1, Protocol: "-1", RuleAction: "drop", CidrBlock: "10.0.0.0/8"}, "InvalidParameterValue"},
		{"no number", in{Protocol: "-1", RuleAction: "allow", CidrBlock: "10.0.0.0/8"}, "MissingParameter"},
		{"number of the last rule", in{RuleNumber: 32767, Protocol: "-1", RuleAction: "allow", CidrBlock: "10.0.0.0/8"}, "InvalidParameterValue"},
		{"number taken", in{RuleNumber: 100, Protocol: "-1", RuleAction: "allow", CidrBlock: "10.0.0.0/8"}, "NetworkAclEntryAlreadyExists"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			tx := emptyLab(t)
			r.in.NetworkAclId = tx.DefaultNetworkAcl(newVpc(tx, "10.0.0.0/16")).ID
			out, err := tx.CreateNetworkAclEntry(&r.in)
			if err != nil {
				wantCode(t, code(out, err), r.want)
				return
			}
			if b, _ := json.Marshal(tx.NetworkAcls.Get(r.in.NetworkAclId).Entries[0].info()); string(b) != r.want {
				t.Errorf("got %s", b)
			}
			wantConsistent(t, &tx.Model)
		})
	}
}

func TestAC04_EntriesAreOrderedReplacedAndDeleted(t *testing.T) {
	tx := emptyLab(t)
	acl := must(tx.CreateNetworkAcl(&CreateNetworkAclInput{VpcId: newVpc(tx, "10.0.0.0/16")})).NetworkAcl.NetworkAclId
	entry := func(n int, egress bool, action string) *CreateNetworkAclEntryInput {
		return &CreateNetworkAclEntryInput{NetworkAclId: acl, RuleNumber: n, Egress: egress, Protocol: "-1", RuleAction: action, CidrBlock: "0.0.0.0/0"}
	}
	for _, n := range []int{300, 100, 200} {
		must(tx.CreateNetworkAclEntry(entry(n, false, "allow")))
	}
	must(tx.CreateNetworkAclEntry(entry(100, true, "allow"))) // its own numbers in each direction
	numbers := func() (list []int) {
		for _, e := range tx.NetworkAcls.Get(acl).Entries {
			list = append(list, e.RuleNumber)
		}
		return list
	}
	if got := numbers(); !slices.Equal(got, []int{100, 200, 300, 32767, 100, 32767}) {
		t.Errorf("numbers %v", got)
	}
	wantCode(t, code(tx.ReplaceNetworkAclEntry((*ReplaceNetworkAclEntryInput)(entry(150, false, "deny")))), "InvalidNetworkAclEntry.NotFound")
	must(tx.ReplaceNetworkAclEntry((*ReplaceNetworkAclEntryInput)(entry(200, false, "deny"))))
	if e := tx.NetworkAcls.Get(acl).Entries[1]; e.RuleAction != "deny" {
		t.Errorf("entry %+v", e)
	}
	remove := func(n int, egress bool) string {
		return code(tx.DeleteNetworkAclEntry(&DeleteNetworkAclEntryInput{NetworkAclId: acl, RuleNumber: n, Egress: egress}))
	}
	wantCode(t, remove(32767, false), "InvalidParameterValue")
	wantCode(t, remove(200, true), "InvalidNetworkAclEntry.NotFound")
	wantCode(t, remove(200, false), "")
	if got := numbers(); !slices.Equal(got, []int{100, 300, 32767, 100, 32767}) {
		t.Errorf("numbers %v", got)
	}
}

func TestAC11_AclInUseAndQuota(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	s := newSubnet(tx, v, "10.0.0.0/24")
	acl := must(tx.CreateNetworkAcl(&CreateNetworkAclInput{VpcId: v})).NetworkAcl.NetworkAclId
	must(tx.ReplaceNetworkAclAssociation(&ReplaceNetworkAclAssociationInput{AssociationId: tx.Subnets.Get(s).AclAssociationID, NetworkAclId: acl}))
	remove := func() string { return code(tx.DeleteNetworkAcl(&DeleteNetworkAclInput{NetworkAclId: acl})) }
	wantCode(t, remove(), "DependencyViolation")
	for n := 1; n <= 21; n++ {
		want := ""
		if n == 21 {
			want = "NetworkAclEntryLimitExceeded"
		}
		wantCode(t, code(tx.CreateNetworkAclEntry(&CreateNetworkAclEntryInput{NetworkAclId: acl, RuleNumber: n, Protocol: "-1", RuleAction: "allow", CidrBlock: "0.0.0.0/0"})), want)
	}
	must(tx.ReplaceNetworkAclAssociation(&ReplaceNetworkAclAssociationInput{AssociationId: tx.Subnets.Get(s).AclAssociationID, NetworkAclId: tx.DefaultNetworkAcl(v).ID}))
	wantCode(t, remove(), "")
	wantCode(t, remove(), "InvalidNetworkAclID.NotFound")
}
