package compile

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// What is remembered of the last snapshot makes no difference to the next one, whatever has
// changed: rules, references to groups, groups that come and go (which renumbers the others).
func TestMemory_MakesNoDifference(t *testing.T) {
	base := largeModel(t, 60)
	remembered := 0
	rapid.Check(t, func(t *rapid.T) {
		var mem Memory
		m := base
		n := 0
		for range rapid.IntRange(2, 12).Draw(t, "changes") {
			tx := vpc.Begin(m, vpc.Call{Now: start, NewID: func(prefix string) string { n++; return fmt.Sprintf("%s%017x", prefix, 1<<40-n*7919%1000003) }})
			change(t, tx)
			m = &tx.Model
			was := mem.rules
			got, err := mem.Snapshot(m, noPorts{}, 1)
			if err != nil {
				t.Fatal(err)
			}
			want := must(Snapshot(m, noPorts{}, 1))
			for handle, e := range want.ENIs {
				if d := cmp.Diff(e.Groups.Rules(), got.ENIs[handle].Groups.Rules(), cmpopts.EquateComparable(netip.Prefix{})); d != "" {
					t.Fatalf("%s has other rules (-fresh +remembered):\n%s", e.ID, d)
				}
			}
			for key, r := range mem.rules {
				if was[key].rules == r.rules {
					remembered++
				}
			}
		}
	})
	if remembered == 0 {
		t.Error("nothing was remembered")
	}
}

// change does something to groups. What the model refuses is no change.
func change(t *rapid.T, tx *vpc.Tx) {
	var groups []vpc.SecurityGroupID
	var of []vpc.VpcID
	for id, g := range tx.SecurityGroups.All() {
		groups, of = append(groups, id), append(of, g.VpcID)
	}
	pick := func(label string) int { return rapid.IntRange(0, len(groups)-1).Draw(t, label) }
	a, b := pick("group"), pick("other")
	port := rapid.IntRange(1, 4).Draw(t, "port")
	refers := []vpc.IpPermission{{IpProtocol: "tcp", FromPort: &port, ToPort: &port, UserIdGroupPairs: []vpc.UserIdGroupPair{{GroupId: groups[b]}}}}
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0:
		_, _ = tx.AuthorizeSecurityGroupIngress(&vpc.AuthorizeSecurityGroupIngressInput{GroupId: groups[a], IpPermissions: refers})
	case 1:
		_, _ = tx.RevokeSecurityGroupIngress(&vpc.RevokeSecurityGroupIngressInput{GroupId: groups[a], IpPermissions: refers})
	case 2:
		_, _ = tx.AuthorizeSecurityGroupEgress(&vpc.AuthorizeSecurityGroupEgressInput{GroupId: groups[a], IpPermissions: permission("udp", port, port, "10.0.0.0/8")})
	case 3:
		_, _ = tx.CreateSecurityGroup(&vpc.CreateSecurityGroupInput{GroupName: fmt.Sprint("new", port), Description: "x", VpcId: of[a]})
	case 4:
		_, _ = tx.DeleteSecurityGroup(&vpc.DeleteSecurityGroupInput{GroupId: groups[a]})
	case 5:
		for id, e := range tx.NetworkInterfaces.All() {
			if e.VpcID == of[a] && e.InterfaceType != "natGateway" {
				_, _ = tx.ModifyNetworkInterfaceAttribute(&vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: id, Groups: []vpc.SecurityGroupID{groups[a]}})
				return
			}
		}
	}
}
