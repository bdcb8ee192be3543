package vpc

import "testing"

// Every VPC has a group named default. The one that is meant follows from what
// else the input names, and an unused default VPC is in nobody's way (B14).
func TestResolveNames_DefaultGroup(t *testing.T) {
	tx := fullLab(t)
	book := must(tx.CreateVpc(&CreateVpcInput{CidrBlock: "172.30.0.0/16", TagSpecifications: NamedTag("vpc", "book")})).Vpc.VpcId
	want := tx.DefaultSecurityGroup(book).ID
	web := newGroup(tx, book, "web")

	in := &AuthorizeSecurityGroupIngressInput{GroupId: "web", IpPermissions: []IpPermission{{IpProtocol: "-1", UserIdGroupPairs: []UserIdGroupPair{{GroupId: "default"}}}}}
	if err := ResolveNames(&tx.Model, "", in); err != nil || in.GroupId != web || in.IpPermissions[0].UserIdGroupPairs[0].GroupId != want {
		t.Errorf("peer of a group of the VPC: %+v, %v", in, err)
	}
	alone := &DeleteSecurityGroupInput{GroupId: "default"}
	if err := ResolveNames(&tx.Model, "", alone); err != nil || alone.GroupId != want {
		t.Errorf("default VPC unused: %+v, %v", alone, err)
	}
	must(tx.RunInstances(&RunInstancesInput{})) // in the default VPC
	if err := ResolveNames(&tx.Model, "", &DeleteSecurityGroupInput{GroupId: "default"}); err == nil {
		t.Error("default VPC in use: not ambiguous")
	}
}
