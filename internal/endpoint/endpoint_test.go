package endpoint

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func meta(name string) vpc.Meta { return vpc.Meta{Tags: map[string]string{"Name": name}} }

// cloud is a VPC with web (a public address, two interfaces), db, a NAT gateway, two
// instances named twin, one that is gone, a host outside; a second VPC uses the same range.
func cloud() *vpc.Model {
	m := &vpc.Model{}
	for _, v := range []string{"vpc-1", "vpc-2"} {
		m.Vpcs.Put(vpc.VpcID(v), &vpc.Vpc{ID: vpc.VpcID(v), Meta: meta("net" + v[4:])})
		m.Subnets.Put(vpc.SubnetID("subnet-"+v), &vpc.Subnet{ID: vpc.SubnetID("subnet-" + v), VpcID: vpc.VpcID(v), Meta: meta("sub" + v[4:])})
	}
	m.SecurityGroups.Put("sg-1", &vpc.SecurityGroup{ID: "sg-1", GroupName: "servers"})
	handle := uint32(0)
	add := func(id, v, private, public, instance string, index int, groups ...vpc.SecurityGroupID) {
		handle++
		n := &vpc.NetworkInterface{ID: vpc.NetworkInterfaceID(id), Handle: handle, VpcID: vpc.VpcID(v), SubnetID: vpc.SubnetID("subnet-" + v),
			PrivateIps: []vpc.PrivateAddress{{PrivateIp: ip(private), Primary: true}}, Groups: groups}
		if public != "" {
			n.PublicIp = ip(public)
		}
		if instance != "" {
			n.Attachment = &vpc.Attachment{InstanceID: vpc.InstanceID(instance), DeviceIndex: index}
		}
		m.NetworkInterfaces.Put(n.ID, n)
	}
	for id, name := range map[string]string{"i-web": "web", "i-db": "db", "i-t1": "twin", "i-t2": "twin", "i-gone": "web"} {
		i := &vpc.Instance{ID: vpc.InstanceID(id), Meta: meta(name), State: vpc.StateRunning}
		if id == "i-gone" {
			i.State = vpc.StateTerminated
		}
		m.Instances.Put(i.ID, i)
	}
	add("eni-web", "vpc-1", "10.0.0.10", "203.0.113.10", "i-web", 0, "sg-1")
	add("eni-web1", "vpc-1", "10.0.0.11", "", "i-web", 1)
	add("eni-db", "vpc-1", "10.0.0.20", "", "i-db", 0, "sg-1")
	add("eni-nat", "vpc-1", "10.0.0.99", "203.0.113.99", "", 0)
	add("eni-t1", "vpc-2", "10.0.0.10", "", "i-t1", 0)
	add("eni-t2", "vpc-2", "10.0.0.12", "", "i-t2", 0)
	m.NatGateways.Put("nat-1", &vpc.NatGateway{ID: "nat-1", Meta: meta("nat"), State: "available", NetworkInterfaceID: "eni-nat"})
	m.InternetGateways.Put("igw-1", &vpc.InternetGateway{ID: "igw-1", Meta: meta("igw"), VpcID: "vpc-1"})
	m.InternetHosts.Put("host-1", &vpc.InternetHost{ID: "host-1", Handle: 100, HostName: "laptop", PublicIp: ip("198.51.100.1"), State: vpc.StateRunning})
	return m
}

func TestFind(t *testing.T) {
	m := cloud()
	for text, want := range map[string]struct {
		kind, name, id string
		handle         uint32
	}{
		"web":          {KindInstance, "web", "i-web", 1},
		"i-web":        {KindInstance, "web", "i-web", 1},
		"eni-web1":     {KindInterface, "eni-web1", "eni-web1", 2},
		"nat":          {KindGateway, "nat", "nat-1", 4},
		"laptop":       {KindHost, "laptop", "host-1", 100},
		"198.51.100.1": {KindHost, "laptop", "host-1", 100},
		"203.0.113.10": {KindInterface, "web", "eni-web", 1},
		"10.0.0.11":    {KindInterface, "web eth1", "eni-web1", 2},
		"10.0.0.99":    {KindInterface, "nat", "eni-nat", 4},
		"8.8.8.8":      {KindAddress, "8.8.8.8", "", 0},
		"Internet":     {KindInternet, "internet", "", 0},
	} {
		e, err := Find(m, text)
		if err != nil || e.Kind != want.kind || e.Name != want.name || e.ID != want.id || e.Handle() != want.handle {
			t.Errorf("%s: %+v, %v", text, e, err)
		}
	}
	for text, want := range map[string]string{
		"nobody":    "there are: db, laptop, nat, twin, web, internet",
		"twin":      "i-t1, i-t2",
		"10.0.0.10": "eni-t1, eni-web",
		"igw":       "igw: an Internet gateway itself sends and gets no packets; there are: db",
		"sub2":      "sub2: a subnet itself",
		"net1":      "net1: a VPC itself",
		"servers":   "servers: a security group itself",
		"":          `"": nothing in the lab`,
		" web":      `" web": nothing`,
		"a\x1b[31m": `"a\x1b[31m": nothing`,
	} {
		if e, err := Find(m, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", text, e, err)
		}
	}
}

// The same private address in two VPCs means the sender's own.
func TestFindFor(t *testing.T) {
	m := cloud()
	m.NetworkInterfaces.Put("eni-other", &vpc.NetworkInterface{ID: "eni-other", VpcID: "vpc-3"})
	for _, c := range []struct{ from, to, want string }{
		{"db", "10.0.0.10", "eni-web"}, {"i-t1", "10.0.0.12", "eni-t2"}, {"i-t2", "10.0.0.10", "eni-t1"},
		{"i-t1", "10.0.0.11", "eni-web1"}, {"eni-other", "10.0.0.10", ""}, {"i-t1", "203.0.113.10", "eni-web"}, {"i-t1", "198.51.100.1", "host-1"}, {"i-t1", "web", "i-web"},
		{"laptop", "10.0.0.11", "eni-web1"}, {"internet", "203.0.113.10", "eni-web"},
	} {
		from, err := Find(m, c.from)
		if err != nil {
			t.Fatal(err)
		}
		if to, err := FindFor(m, from, c.to); err != nil || to.ID != c.want || c.want == "" && to.Kind != KindAddress {
			t.Errorf("from %s to %s: %+v, %v", c.from, c.to, to, err)
		}
	}
	if to, err := FindFor(m, End{}, "10.0.0.10"); err == nil {
		t.Errorf("to anybody of two: %+v", to)
	}
}

func TestAddress(t *testing.T) {
	m := cloud()
	for _, c := range []struct{ from, to, want string }{
		{"db", "web", "10.0.0.10"}, {"laptop", "web", "203.0.113.10"}, {"web", "laptop", "198.51.100.1"},
		{"db", "203.0.113.10", "203.0.113.10"}, {"i-t1", "web", "203.0.113.10"}, {"laptop", "db", "10.0.0.20"},
		{"web", "internet", "192.0.2.1"}, {"web", "10.9.9.9", "10.9.9.9"},
	} {
		from, err := Find(m, c.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := Find(m, c.to)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := Address(m, from, to); err != nil || a.String() != c.want {
			t.Errorf("from %s to %s: %s, %v", c.from, c.to, a, err)
		}
	}
	// web without its public address shares 10.0.0.10 with i-t1 in the other VPC.
	web, _ := Find(m, "web")
	web.Public = netip.Addr{}
	for from, want := range map[string]string{"i-t2": "eni-t1", "i-t1": "eni-t1"} {
		e, _ := Find(m, from)
		if a, err := Address(m, e, web); !errors.Is(err, ErrAmbiguous) {
			t.Errorf("from %s to web, whose address is %s there: %s, %v", from, want, a, err)
		}
	}
	m.NetworkInterfaces.Delete("eni-db")
	to, _ := Find(m, "db")
	if a, err := Address(m, End{}, to); err == nil {
		t.Errorf("an instance without an interface has the address %s", a)
	}
}

func TestInterfaces(t *testing.T) {
	m := cloud()
	for text, want := range map[string]string{
		"web": "eni-web eni-web1", "eni-db": "eni-db", "net1": "eni-db eni-nat eni-web eni-web1", "sub2": "eni-t1 eni-t2",
		"servers": "eni-db eni-web", "nat": "eni-nat | nat-1", "igw-1": "| igw-1", "laptop": "laptop", "10.0.0.11": "eni-web1",
	} {
		s, err := Interfaces(m, text)
		var got []string
		for _, n := range s.Interfaces {
			got = append(got, string(n.ID))
		}
		for _, h := range s.Hosts {
			got = append(got, h.HostName)
		}
		if len(s.Gateways) > 0 {
			got = append(append(got, "|"), s.Gateways...)
		}
		if err != nil || strings.Join(got, " ") != want || s.Name != text {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"twin", "nobody", "8.8.8.8"} {
		if s, err := Interfaces(m, text); err == nil {
			t.Errorf("%s: %+v", text, s)
		}
	}
	if s := Everything(m); len(s.Interfaces) != 6 || len(s.Hosts) != 1 || len(s.Gateways) != 2 || len(s.Handles()) != 7 {
		t.Errorf("everything: %+v", s)
	}
}
