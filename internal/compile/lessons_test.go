package compile

import (
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/topologies"
)

// Each topology that comes with vpcemu shows its lesson: what "Try" says in its
// head happens here in memory.
func TestTopologiesShowTheirLessons(t *testing.T) {
	lessons := map[string]func(l *lab){
		"acl-and-groups": lessonACLAndGroups, "acl-ephemeral": lessonACLEphemeral, "bastion": lessonBastion, "book": lessonBook,
		"default-vpc": lessonDefaultVPC, "eip-moves": lessonEIPMoves, "nat-wrong-subnet": lessonNATWrongSubnet,
		"self-group": lessonSelfGroup, "three-tier": lessonThreeTier,
	}
	for _, name := range topologies.Names() {
		t.Run(name, func(t *testing.T) {
			if lessons[name] == nil {
				t.Fatal("no test of its lesson")
			}
			lessons[name](embedded(t, name))
		})
	}
}

// B19.
func lessonACLAndGroups(l *lab) {
	l.works("friend", "web*:80", "web")
	l.fails("stranger", "web*:80", dropped(dataplane.ACLDenied, "public", "rule 50 deny"))
	l.fails("friend", "web*:8080", dropped(dataplane.SGRulesMismatch, "web", ""))
}

func lessonACLEphemeral(l *lab) {
	syn := l.open("laptop", "web*:22").Want(pt.At("web"), pt.To(l.at("web:22")))
	l.answer(syn).Want(dropped(dataplane.ACLDenied, "public", "rule * deny"))
	l.edit("acl-ephemeral", "egress: []  # delete the [] together with the # of the next line\n    #  - {rule_no", "egress:\n      - {rule_no")
	l.works("laptop", "web*:22", "web")
}

// B07.
func lessonBastion(l *lab) {
	l.works("laptop", "bastion*:22", "bastion")
	l.works("bastion", "app:22", "app")
	l.fails("laptop", "app:22", pt.Dropped(dataplane.InternetUnreachable))
	l.fails("bastion", "app:80", dropped(dataplane.SGRulesMismatch, "app", ""))
	l.do(&vpc.RevokeSecurityGroupIngressInput{GroupId: "app", IpPermissions: []vpc.IpPermission{
		{IpProtocol: "tcp", FromPort: new(22), ToPort: new(22), UserIdGroupPairs: []vpc.UserIdGroupPair{{GroupId: "bastion"}}}}})
	l.fails("bastion", "app:22", dropped(dataplane.SGHasNoRules, "app", ""))
}

func lessonBook(l *lab) {
	l.works("laptop", "web*:22", "web")
	l.works("laptop", "web*:80", "web")
	l.works("web", "db:22", "db") // both are in the default group
	l.works("web", "db:3306", "db")
	there, _ := l.works("db", "server:80", "server")
	there.Want(pt.From(l.at("nat*"))) // the Elastic IP is what the server sees
	l.fails("laptop", "172.30.1.4:22", pt.Dropped(dataplane.InternetUnreachable))
	l.fails("laptop", "nat*:22", dropped(dataplane.NATNoMapping, "nat", ""))
	l.fails("server", "web*:3306", dropped(dataplane.SGRulesMismatch, "web", ""))
}

// B05.
func lessonDefaultVPC(l *lab) {
	l.works("laptop", "web*:22", "web")
	l.works("web", "laptop:443", "laptop")
}

func lessonEIPMoves(l *lab) {
	l.works("laptop", "203.0.113.80:80", "blue")
	l.edit("eip-moves", "instance: blue", "instance: green")
	there, _ := l.works("laptop", "203.0.113.80:80", "green")
	there.Want(pt.To(l.at("green:80")))
	l.works("laptop", "blue*:80", "blue") // again by an automatic one
}

func lessonNATWrongSubnet(l *lab) {
	l.fails("app", "server:80", dropped(dataplane.ForwardingLoop, "nat", ""))
	l.edit("nat-wrong-subnet", "subnet: private # the mistake", "subnet: public")
	there, _ := l.works("app", "server:80", "server")
	there.Want(pt.From(l.at("nat*")))
}

func lessonSelfGroup(l *lab) {
	l.answer(l.send("one", pt.Ping(l.at("one"), l.at("two"), 7, 56)).Want(pt.At("two"))).Want(pt.At("one"))
	l.send("other", pt.Ping(l.at("other"), l.at("two"), 7, 56)).Want(dropped(dataplane.SGRulesMismatch, "two", ""))
	l.edit("self-group", "security_groups: [outsider]", "security_groups: [outsider, cluster]")
	l.answer(l.send("other", pt.Ping(l.at("other"), l.at("two"), 7, 56)).Want(pt.At("two"))).Want(pt.At("other"))
}

func lessonThreeTier(l *lab) {
	for _, web := range []string{"web-a", "web-c"} {
		l.works("laptop", web+"*:80", web)
		l.works("laptop", web+"*:443", web)
		for _, app := range []string{"app-a", "app-c"} {
			l.works(web, app+":8080", app)
			l.fails(web, app+":22", dropped(dataplane.SGRulesMismatch, app, ""))
		}
		for _, db := range []string{"db-a", "db-c"} {
			l.fails(web, db+":3306", dropped(dataplane.SGRulesMismatch, db, ""))
		}
	}
	for _, zone := range []string{"a", "c"} {
		l.works("app-"+zone, "db-a:3306", "db-a")
		l.works("app-"+zone, "db-c:3306", "db-c")
		there, _ := l.works("app-"+zone, "laptop:80", "laptop")
		there.Want(pt.From(l.at("nat-" + zone + "*"))) // the zone's own gateway
		l.fails("db-"+zone, "laptop:80", dropped(dataplane.SGHasNoRules, "db-"+zone, ""))
	}
	// One zone's NAT gateway fails alone.
	l.do(&vpc.DeleteNatGatewayInput{NatGatewayId: "nat-a"})
	l.fails("app-a", "laptop:80", dropped(dataplane.BlackholeRoute, "app-a", ""))
	l.works("app-c", "laptop:80", "laptop")
}
