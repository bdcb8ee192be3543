package graph_test

import (
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// ids finds what hand-written traces refer to.
type ids struct {
	testing.TB
	m *vpc.Model
}

func (x ids) instance(name string) (vpc.InstanceID, *vpc.NetworkInterface) {
	for id, i := range x.m.Instances.All() {
		if i.Name() == name {
			return id, x.m.InstanceInterfaces(id)[0]
		}
	}
	x.Fatalf("no instance %s", name)
	return "", nil
}

func (x ids) object(name string) control.Object {
	id, _ := x.instance(name)
	return control.Object{Kind: "instance", ID: string(id), Name: name}
}

func (x ids) eni(name string) *control.Object {
	_, e := x.instance(name)
	return &control.Object{Kind: "interface", ID: string(e.ID), Name: name}
}

func (x ids) host(name string) control.Object {
	for id, h := range x.m.InternetHosts.All() {
		if h.HostName == name {
			return control.Object{Kind: "internet host", ID: string(id), Name: name}
		}
	}
	x.Fatalf("no host %s", name)
	return control.Object{}
}

func (x ids) igw() control.Object {
	for id, g := range x.m.InternetGateways.All() {
		if g.Name() == "" {
			continue
		}
		return control.Object{Kind: "internet gateway", ID: string(id), Name: g.Name()}
	}
	x.Fatal("no gateway")
	return control.Object{}
}

func (x ids) nat() (control.Object, *control.Object) {
	for id, g := range x.m.NatGateways.All() {
		return control.Object{Kind: "nat gateway", ID: string(id), Name: g.Name()}, &control.Object{Kind: "interface", ID: string(g.NetworkInterfaceID), Name: g.Name()}
	}
	x.Fatal("no NAT gateway")
	return control.Object{}, nil
}

func hop(stage string, o control.Object, at *control.Object, rule string) control.Hop {
	return control.Hop{Stage: stage, Object: o, At: at, Rule: rule, Verdict: "pass"}
}

func dropped(stage string, o control.Object, at *control.Object, rule, reason string) control.Hop {
	return control.Hop{Stage: stage, Object: o, At: at, Rule: rule, Verdict: "drop", Reason: reason}
}

var (
	aclPublic = control.Object{Kind: "network acl", ID: "acl-1", Name: "public"}
	rtbPublic = control.Object{Kind: "route table", ID: "rtb-1", Name: "public"}
	inet      = control.Object{Kind: "internet", Name: "internet"}
)

// aclEphemeral is the lesson's trace: the reply ends at the ACL.
func aclEphemeral(x ids) *control.Trace {
	web := x.eni("web")
	in := hop("igw-ingress", x.igw(), nil, "")
	in.Before = control.Header{Source: "198.51.100.1:40000", Destination: "203.0.113.1:22", Protocol: "tcp"}
	in.After = control.Header{Source: "198.51.100.1:40000", Destination: "10.0.0.4:22", Protocol: "tcp"}
	return &control.Trace{
		From: x.host("laptop"), To: x.object("web"), Protocol: "tcp", Port: 22, Source: "198.51.100.1:40000", Destination: "203.0.113.1:22",
		Reason: "SUBNET_ACL_RESTRICTION", Text: "denied by the subnet's network ACL",
		Forward: &control.Path{Delivered: true, Reason: "DELIVERED", Hops: []control.Hop{
			hop("internet", inet, nil, ""), in, hop("acl-ingress", aclPublic, web, "rule 100 allows tcp 22 from 0.0.0.0/0"),
			hop("sg-ingress", *web, web, "sgr-1 of ssh allows tcp 22 from 0.0.0.0/0"), {Stage: "deliver", Object: *web, At: web, Verdict: "deliver"}}},
		Return: &control.Path{Reason: "SUBNET_ACL_RESTRICTION", Text: "denied by the subnet's network ACL", Hops: []control.Hop{
			hop("sg-egress", *web, web, "reply of a tracked connection"), dropped("acl-egress", aclPublic, web, "rule * denies all", "SUBNET_ACL_RESTRICTION")}},
	}
}

// throughNAT is the way from db to server through the NAT gateway, and back.
func throughNAT(x ids) *control.Trace {
	db, server := x.eni("db"), x.host("server")
	nat, natEni := x.nat()
	return &control.Trace{
		From: x.object("db"), To: server, Protocol: "tcp", Port: 80, Source: "172.30.1.4:40000", Destination: "198.51.100.2:80", Reachable: true, Reason: "DELIVERED", Text: "delivered to the destination's port, and the reply to the sender",
		Forward: &control.Path{Delivered: true, Hops: []control.Hop{
			hop("sg-egress", *db, db, "default allows all to 0.0.0.0/0"), hop("acl-egress", aclPublic, db, "rule 100"), hop("route", rtbPublic, db, "0.0.0.0/0 -> nat"),
			hop("acl-ingress", aclPublic, natEni, "rule 100"), hop("nat-gateway", nat, natEni, ""), hop("acl-egress", aclPublic, natEni, "rule 100"), hop("route", rtbPublic, natEni, "0.0.0.0/0 -> igw"),
			hop("igw-egress", x.igw(), nil, ""), hop("internet", inet, nil, ""), {Stage: "deliver", Object: server, Verdict: "deliver"}}},
		Return: &control.Path{Delivered: true, Hops: []control.Hop{
			hop("internet", inet, nil, ""), hop("igw-ingress", x.igw(), nil, ""), hop("acl-ingress", aclPublic, natEni, "rule 100"), hop("nat-gateway", nat, natEni, ""),
			hop("acl-egress", aclPublic, natEni, "rule 100"), hop("acl-ingress", aclPublic, db, "rule 100"), hop("sg-ingress", *db, db, "reply"), {Stage: "deliver", Object: *db, At: db, Verdict: "deliver"}}},
	}
}

// noWayIn is a packet to a private address, and tierDrop one that a security group drops.
func noWayIn(x ids) *control.Trace {
	return &control.Trace{
		From: x.host("laptop"), To: x.object("db"), Protocol: "tcp", Port: 22, Source: "198.51.100.1:40000", Destination: "172.30.1.4:22",
		Reason: "INTERNET_UNREACHABLE", Text: "nothing on the Internet has the destination address",
		Forward: &control.Path{Reason: "INTERNET_UNREACHABLE", Text: "nothing on the Internet has the destination address",
			Hops: []control.Hop{dropped("internet", inet, nil, "", "INTERNET_UNREACHABLE")}},
	}
}

func tierDrop(x ids) *control.Trace {
	web, db := x.eni("web-c"), x.eni("db-a")
	return &control.Trace{
		From: x.object("web-c"), To: x.object("db-a"), Protocol: "tcp", Port: 3306, Source: "10.0.1.5:40000", Destination: "10.0.20.10:3306",
		Reason: "ENI_SG_RULES_MISMATCH", Text: "no rule of the security groups allows the packet",
		Forward: &control.Path{Reason: "ENI_SG_RULES_MISMATCH", Text: "no rule of the security groups allows the packet", Hops: []control.Hop{
			hop("sg-egress", *web, web, "web allows all to 0.0.0.0/0"), hop("acl-egress", aclPublic, web, "rule 100"), hop("route", rtbPublic, web, "10.0.0.0/16 -> local"),
			hop("acl-ingress", aclPublic, db, "rule 100"), dropped("sg-ingress", *db, db, "", "ENI_SG_RULES_MISMATCH")}},
	}
}
