package importer

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Whatever calls made a lab, the file that export makes of it makes the same lab, but for what its notes name;
// the copy is exported to the same text; and a lab that has adopted the file is not changed by it.
func TestProperty_ExportLosesNothingUnsaid(t *testing.T) {
	labs := 100
	switch {
	case testing.Short():
		labs = 20
	case os.Getenv("VPCEMU_TEST_FULL") != "":
		labs = 1000
	}
	done := map[string]int{}
	for seed := range labs {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m, calls := randomLab(t, uint64(seed), 40+seed%4*60)
			for a, n := range calls {
				done[a] += n
			}
			was := dump(t, m)
			r, f := exported(t, &m)
			copy := modelOf(t, f)
			d := slices.DeleteFunc(difference(append(facts(t, was), settings(&m)...), append(facts(t, dump(t, copy)), settings(&copy)...)), func(fact string) bool { return noted(r.Notes, fact) })
			if len(d) > 0 {
				t.Errorf("the lab, and the one that is made of the file (-was +is):\n%s\n%s", strings.Join(d, "\n"), r.Text)
			}
			adopt(t, m)
			if m.Vpcs.Len() > 0 { // and what the CLI would print of it, as of an account, makes a file that a lab takes
				if r, err := Import(was, Options{}); err != nil || r.Invalid != nil {
					t.Errorf("import: %v %v", err, r.Invalid)
				}
			}
			again, err := Lab(&copy, "")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(withoutNotes(r.Text), withoutNotes(again.Text)); d != "" {
				t.Errorf("the second export differs (-first +second):\n%s", d)
			}
		})
	}
	if len(done) < 60 {
		t.Errorf("only %d actions ever succeeded: %v", len(done), done)
	}
}

// adopt has a lab adopt its file, and brings it up: that changes nothing but what the notes tell of.
func adopt(t *testing.T, m vpc.Model) {
	t.Helper()
	tx := vpc.Begin(&m, vpc.Call{Now: time.Now(), NewID: vpc.RandomID})
	r, err := Adopt(tx)
	if err != nil {
		t.Errorf("adopt: %v", err)
		return
	}
	f, err := topology.Parse("lab.yaml", r.Text)
	if err != nil {
		t.Fatal(err)
	}
	_, changes, _, err := f.Converge(&tx.Model, time.Now(), topology.Options{})
	if err != nil {
		t.Fatalf("up with the file that the lab has adopted: %v", err)
	}
	for _, change := range changes {
		for _, detail := range strings.Split(change.Detail, "; ") {
			if !notedChange(r.Notes, change, detail) {
				t.Errorf("up with the file that the lab has adopted: %s\n%s", change, r.Text)
			}
		}
	}
}

// settings are what the facts leave out: what AWS does not tell of an account, and what a lab hands out itself.
func settings(m *vpc.Model) (list []string) {
	say := func(format string, a ...any) { list = append(list, fmt.Sprintf(format, a...)) }
	for _, a := range m.Addresses.All() {
		say("Elastic IP %s for %v", a.PublicIp, a.PrivateIp)
	}
	for _, n := range m.NetworkInterfaces.All() {
		if !n.Deleted.IsZero() || n.RequesterManaged {
			continue
		}
		is := "interface " + n.Primary().String()
		say("%s is called %q, link %s", is, n.Description, n.LinkType)
		say("%s has the timeouts %d %d %d", is, n.TcpEstablishedTimeout, n.UdpTimeout, n.UdpStreamTimeout)
		if n.Attachment != nil {
			if n.Attachment.DeviceIndex == 0 {
				say("%s wishes for a public address: %v", is, n.MapPublic)
			}
			say("%s goes with its instance: %v", is, n.Attachment.DeleteOnTermination)
		}
	}
	for id, i := range m.Instances.All() {
		if nics := m.InstanceInterfaces(id); i.State != vpc.StateTerminated && len(nics) > 0 {
			name, _, _ := strings.Cut(i.PrivateDnsName, ".")
			say("instance %s is called by its address: %v, answers to its ID: %v", nics[0].Primary(), strings.HasPrefix(name, "ip-"), i.EnableResourceNameDnsARecord)
		}
	}
	for _, n := range m.NatGateways.All() {
		for _, a := range n.Addresses {
			if n.State == "available" && !a.Draining() {
				say("NAT gateway in %s has %s by %s, primary: %v", m.Subnets.Get(n.SubnetID).CidrBlock, a.PublicIp, a.PrivateIp, a.IsPrimary)
			}
		}
	}
	for _, g := range m.SecurityGroups.All() {
		say("group %q of %s", g.GroupName, m.Vpcs.Get(g.VpcID).CidrBlock)
	}
	for _, v := range m.Vpcs.All() {
		say("vpc %s is the default one: %v", v.CidrBlock, v.IsDefault)
	}
	return list
}

// told are the notes that take something of the facts away, and the facts that each may.
var told = []struct{ kind, says, fact string }{
	{"security group", `IPv6 ranges in its (in|e)gress rules`, `^- group .* allows .* (::/0|fd00::/8) `},
	{"security group", `rules for ICMPv6`, `^- group .* allows icmpv6 `},
	{"security group", `^its tags`, `^- group default of vpc 172.31.0.0/16 has the tag`},
	{"Internet gateway", `^its tags`, `^- Internet gateway of vpc 172.31.0.0/16 has the tag`},
	{"subnet", `^its tags`, `^- subnet .* of vpc 172.31.0.0/16 has the tag`},
	{"VPC", `^its tags`, `^- vpc 172.31.0.0/16 has the tag`},
	{"network ACL", `IPv6 ranges in its (in|e)gress rules`, `^- subnet .* acl .* (::/0|fd00::/8) `},
	{"flow log", `^watches eni-.*, which was not brought over`, `^- flow log of interface`},
	{"key pair", `^it was deleted there`, `^\+ key pair`},
	{"VPC", `brought over as an ordinary one`, `is the default one`},
	{"network interface", `^its description and tags`, `^[-+] interface .* is called`},
	{"network interface", `^its timeouts`, `^[-+] interface .* has the timeouts`},
	{"network interface", `^whether it goes`, `^[-+] interface .* goes with`},
	{"subnet", `^its CIDR reservations`, `^- subnet .* of vpc 172.31.0.0/16 keeps`},
	{"NAT gateway", `^its address .* is (disassociating|unassigning)`, `^[-+] Elastic IP`},
	{"Elastic IP", `whose VPC has no Internet gateway`, `^[-+] Elastic IP`},
	{"instance", `^lost its automatic public address`, `^\+ .* has a public address for .*, Elastic false`},
	{"Elastic IP", `whose VPC has no Internet gateway`, `^- .* has a public address for .*, Elastic true`},
	{"VPC", `with nothing in it: the lab has its own`, `vpc 172.31.0.0/16`},
}

var lostRoute = regexp.MustCompile(`^its route (\S+) to `)

// noted tells whether one of the notes says that the fact is not as it was. Where a route goes, one of the same destination may
// come back that it stood for: the VPC's own local one.
func noted(notes []Note, fact string) bool {
	for _, n := range notes {
		if route := lostRoute.FindStringSubmatch(n.Reason); route != nil && strings.Contains(fact, " routes "+route[1]+" to ") {
			return true
		}
	}
	if fact == "+ dhcp options domain-name-servers=AmazonProvidedDNS domain-name=eu-west-1.compute.internal" {
		return true // the account's own set, which was deleted
	}
	return slices.ContainsFunc(told, func(is struct{ kind, says, fact string }) bool {
		return regexp.MustCompile(is.fact).MatchString(fact) &&
			slices.ContainsFunc(notes, func(n Note) bool { return n.Kind == is.kind && regexp.MustCompile(is.says).MatchString(n.Reason) })
	})
}

// toldChanges are the notes that make up change a lab which has adopted its file, and what each may change.
var toldChanges = []struct{ kind, says, change string }{
	{"security group", `IPv6 ranges in its (in|e)gress rules`, `gress: without .* (::/0|fd00::/8)$`},
	{"security group", `rules for ICMPv6`, `gress: without icmpv6`},
	{"network ACL", `IPv6 ranges in its (in|e)gress rules`, `gress: without rule`},
	{"key pair", `^it was deleted there`, `^create key pair`},
	{"Elastic IP", `whose VPC has no Internet gateway`, `^update elastic ip .*: disassociated$`},
}

// notedChange tells whether a change is only what is not in the file, as a note says, or the name that the file gives.
func notedChange(notes []Note, c topology.Change, detail string) bool {
	if c.Verb == topology.Update && detail == "tags" {
		return true // a file's key is its object's name
	}
	for _, n := range notes {
		if route := lostRoute.FindStringSubmatch(n.Reason); route != nil && (detail == "without route "+route[1] || detail == "route "+route[1]+" to local") {
			return true
		}
	}
	c.Detail = detail
	return slices.ContainsFunc(toldChanges, func(is struct{ kind, says, change string }) bool {
		return regexp.MustCompile(is.change).MatchString(c.String()) &&
			slices.ContainsFunc(notes, func(n Note) bool { return n.Kind == is.kind && regexp.MustCompile(is.says).MatchString(n.Reason) })
	})
}

// withoutNotes is a file without the comments at its top.
func withoutNotes(text []byte) string {
	_, rest, _ := strings.Cut(string(text), "\n\n")
	return rest
}
