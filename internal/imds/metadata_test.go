package imds

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// everything walks the tree as scripts do and returns what is at each path.
func (l *lab) everything(from, path string) map[string]string {
	l.Helper()
	found := map[string]string{}
	for _, name := range strings.Split(l.get(from, path), "\n") {
		if number, key, ok := strings.Cut(name, "="); ok && key != "" {
			name = number + "/"
		}
		if !strings.HasSuffix(name, "/") {
			found[path+name] = l.get(from, path+name)
			continue
		}
		for p, text := range l.everything(from, path+name) {
			found[p] = text
		}
	}
	return found
}

func TestIM05_TheWholeTree(t *testing.T) {
	l := newLab(t, site)
	i := l.instance("web")
	nics := l.InstanceInterfaces(i.ID)
	main, public := l.Vpcs.Get(i.VpcID), nics[0].PublicIp.String()
	domain := ".ap-northeast-1.compute.internal"
	group := func(n int) string { return string(nics[0].Groups[n]) }
	groups := l.SecurityGroups.Get(nics[0].Groups[0]).GroupName + "\n" + l.SecurityGroups.Get(nics[0].Groups[1]).GroupName
	publicName := "ec2-" + strings.ReplaceAll(public, ".", "-") + ".ap-northeast-1.compute.amazonaws.com"
	zone := nics[0].AvailabilityZone
	want := map[string]string{
		"ami-id": vpc.ImageID, "ami-launch-index": "0", "ami-manifest-path": "(unknown)",
		"block-device-mapping/ami": "/dev/xvda", "block-device-mapping/root": "/dev/xvda",
		"events/maintenance/history": "[]", "events/maintenance/scheduled": "[]",
		"hibernation/configured": "false", "hostname": "ip-10-0-0-10" + domain,
		"identity-credentials/ec2/info": "{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2026-04-01T12:00:00Z\",\n  \"AccountId\" : \"123456789012\"\n}",
		"instance-action":               "none", "instance-id": string(i.ID), "instance-life-cycle": "on-demand", "instance-type": "t3.micro",
		"local-hostname": "ip-10-0-0-10" + domain, "local-ipv4": web, "mac": nics[0].MacAddress,
		"metrics/vhostmd":             `<?xml version="1.0" encoding="UTF-8"?>`,
		"placement/availability-zone": zone, "placement/availability-zone-id": l.ZoneID(zone), "placement/region": "ap-northeast-1",
		"profile": "default-hvm", "public-hostname": publicName, "public-ipv4": public,
		"public-keys/0/openssh-key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGI9TMYy8nQ5oZ8yZuJeuiB4PPKBzHC1B4A1GZqmO8zB me",
		"reservation-id":            string(i.ReservationID), "security-groups": groups,
		"services/domain": "amazonaws.com", "services/partition": "aws", "system": "nitro",
	}
	for n, more := range []map[string]string{{
		"device-number": "0", "ipv4-associations/" + public: web, "local-hostname": "ip-10-0-0-10" + domain, "local-ipv4s": web + "\n10.0.0.11",
		"public-hostname": publicName, "public-ipv4s": public, "security-group-ids": group(0) + "\n" + group(1), "security-groups": groups,
		"subnet-ipv4-cidr-block": "10.0.0.0/24",
	}, {
		"device-number": "1", "local-hostname": "ip-10-1-0-20" + domain, "local-ipv4s": "10.1.0.20",
		"security-group-ids": string(l.DefaultSecurityGroup(main.ID).ID), "security-groups": "default", "subnet-ipv4-cidr-block": "10.1.0.0/24",
	}} {
		at := "network/interfaces/macs/" + nics[n].MacAddress + "/"
		for name, text := range more {
			want[at+name] = text
		}
		for name, text := range map[string]string{
			"interface-id": string(nics[n].ID), "mac": nics[n].MacAddress, "network-card-index": "0", "owner-id": "123456789012",
			"subnet-id": string(nics[n].SubnetID), "vpc-id": string(main.ID), "vpc-ipv4-cidr-block": "10.0.0.0/16", "vpc-ipv4-cidr-blocks": "10.0.0.0/16\n10.1.0.0/16",
		} {
			want[at+name] = text
		}
	}
	got := map[string]string{}
	for path, text := range l.everything(web, "/latest/meta-data/") {
		got[strings.TrimPrefix(path, "/latest/meta-data/")] = text
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestIM05_Listings(t *testing.T) {
	l := newLab(t, site)
	for path, want := range map[string]string{
		"/latest":                                     "dynamic\nmeta-data\nuser-data",
		"/latest/dynamic/":                            "fws/\ninstance-identity/",
		"/latest/dynamic/instance-identity/":          "document\npkcs7\nrsa2048\nsignature",
		"/latest/dynamic/fws/instance-monitoring":     "disabled",
		"/latest/meta-data/network/":                  "interfaces/",
		"/latest/meta-data/network/interfaces":        "macs/",
		"/latest/meta-data/public-keys/":              "0=me",
		"/latest/meta-data/public-keys/0":             "openssh-key",
		"/latest/meta-data/placement/":                "availability-zone\navailability-zone-id\nregion",
		"/latest/meta-data/events/":                   "maintenance/",
		"/latest/meta-data/identity-credentials/":     "ec2/",
		"/latest/meta-data/iam/":                      "404",
		"/latest/meta-data/iam/info":                  "404",
		"/latest/meta-data/iam/security-credentials/": "404",
		"/latest/meta-data/spot/instance-action":      "404",
		"/latest/meta-data/autoscaling/":              "404",
		"/latest/meta-data/tags/":                     "404",
		"/latest/meta-data/kernel-id":                 "404",
		"/1.0":                                        "meta-data\nuser-data",
		"/1.0/meta-data/":                             "ami-id\nami-launch-index\nami-manifest-path\nhostname\ninstance-id\nlocal-ipv4\npublic-keys/\nreservation-id\nsecurity-groups",
		"/1.0/meta-data/mac":                          "404",
		"/2009-04-04/meta-data/placement/":            "availability-zone",
		"/2009-04-04/dynamic/":                        "fws/\ninstance-identity/",
	} {
		if got := l.get(web, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if got := strings.Split(l.get(web, "/"), "\n"); got[0] != "1.0" || got[len(got)-1] != "latest" || !strings.Contains(strings.Join(got, " "), " 2021-03-23 ") {
		t.Errorf("versions %v", got)
	}
}

// What an instance without a public address, key, user data and Nitro has not.
func TestIM05_APrivateInstance(t *testing.T) {
	l := newLab(t, site)
	l.wants(db, map[string]string{"public-ipv4": "404", "public-hostname": "404", "public-keys/": "404", "public-keys/0/openssh-key": "404", "system": "xen",
		"security-groups": "default", "local-ipv4": db})
	if got := l.get(db, "/latest/user-data"); got != "404" {
		t.Errorf("user data %q", got)
	}
	if got := l.get(db, "/latest/"); got != "dynamic\nmeta-data" {
		t.Errorf("latest/ %q", got)
	}
	list := l.get(db, "/latest/meta-data/network/interfaces/macs/"+l.InstanceInterfaces(l.instance("db").ID)[0].MacAddress+"/")
	if strings.Contains(list, "public") || strings.Contains(list, "ipv4-associations") {
		t.Errorf("the interface tells\n%s", list)
	}
}

func TestIM05_UserDataIsBytes(t *testing.T) {
	l := newLab(t, site)
	r := l.ask("GET", web, "/latest/user-data")
	if got := body(r); got != "#!/bin/sh\necho hello\n" || r.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%q as %s", got, r.Header.Get("Content-Type"))
	}
}

func TestIM05_TagsWhereEnabled(t *testing.T) {
	l := newLab(t, site)
	l.wants(web, map[string]string{"tags/instance": "404", "tags/instance/Name": "404"})
	l.options("web", vpc.ModifyInstanceMetadataOptionsInput{InstanceMetadataTags: "enabled"})
	l.wants(web, map[string]string{"tags/": "instance/", "tags/instance": "Empty\nName\nStage", "tags/instance/Name": "web", "tags/instance/Stage": "test", "tags/instance/Empty": "", "tags/instance/None": "404"})
	if got := l.get(web, "/2021-01-03/meta-data/tags/instance/Name"); got != "404" {
		t.Errorf("in a version before tags: %q", got)
	}
	// At once, as on Nitro.
	l.do(&vpc.CreateTagsInput{Resources: []vpc.ResourceID{vpc.ResourceID(l.instance("web").ID)}, Tags: []vpc.Tag{{Key: "a:b@c", Value: "1 2"}}})
	l.wants(web, map[string]string{"tags/instance/": "Empty\nName\nStage\na:b@c", "tags/instance/a:b@c": "1 2"})
	l.options("web", vpc.ModifyInstanceMetadataOptionsInput{InstanceMetadataTags: "disabled"})
	l.wants(web, map[string]string{"tags/": "404"})
}

func TestIM05_HostNameInTheDomainOfTheDHCPOptions(t *testing.T) {
	l := newLab(t, site+"dhcp_options: {own: {domain_name: example.com}}\n")
	l.do(&vpc.AssociateDhcpOptionsInput{DhcpOptionsId: "own", VpcId: "main"})
	l.wants(web, map[string]string{"hostname": "ip-10-0-0-10.example.com", "local-hostname": "ip-10-0-0-10.example.com"})
	l.do(&vpc.AssociateDhcpOptionsInput{DhcpOptionsId: "default", VpcId: "main"})
	l.wants(web, map[string]string{"hostname": "ip-10-0-0-10.ap-northeast-1.compute.internal"})
}

func TestIM05_PublicNameNeedsHostnames(t *testing.T) {
	l := newLab(t, site)
	l.do(&vpc.ModifyVpcAttributeInput{VpcId: "main", EnableDnsHostnames: vpc.AttributeBooleanValue{Value: new(false)}})
	l.wants(web, map[string]string{"public-hostname": "404", "public-ipv4": l.InstanceInterfaces(l.instance("web").ID)[0].PublicIp.String()})
}

func TestIM07_ChangesShowAtOnce(t *testing.T) {
	l := newLab(t, site)
	l.wants(db, map[string]string{"public-ipv4": "404", "security-groups": "default"})
	eip := ""
	for _, a := range l.Addresses.All() {
		if a.Name() == "free" {
			eip = a.PublicIp.String()
		}
	}
	l.do(&vpc.AssociateAddressInput{AllocationId: "free", InstanceId: "db"})
	l.wants(db, map[string]string{"public-ipv4": eip})
	l.do(&vpc.DisassociateAddressInput{PublicIp: eip})
	l.wants(db, map[string]string{"public-ipv4": "404"})
	l.do(&vpc.ModifyInstanceAttributeInput{InstanceId: "db", Groups: []vpc.SecurityGroupID{"web"}})
	l.wants(db, map[string]string{"security-groups": "web"})

	eth0 := l.InstanceInterfaces(l.instance("db").ID)[0]
	at := "network/interfaces/macs/" + eth0.MacAddress + "/local-ipv4s"
	l.do(&vpc.AssignPrivateIpAddressesInput{NetworkInterfaceId: eth0.ID, PrivateIpAddresses: []string{"10.1.0.77"}})
	l.wants(db, map[string]string{at: db + "\n10.1.0.77"})
	l.wants("10.1.0.77", map[string]string{"local-ipv4": db})
	l.do(&vpc.UnassignPrivateIpAddressesInput{NetworkInterfaceId: eth0.ID, PrivateIpAddresses: []string{"10.1.0.77"}})
	if got := l.get("10.1.0.77", "/"); got != "404" {
		t.Errorf("an address given back: %q", got)
	}
	second := ""
	for _, n := range l.NetworkInterfaces.All() {
		if n.Name() == "second" {
			second = string(n.Attachment.ID)
		}
	}
	l.do(&vpc.DetachNetworkInterfaceInput{AttachmentId: vpc.AttachmentID(second)})
	if got := l.get("10.1.0.20", "/"); got != "404" {
		t.Errorf("a detached interface: %q", got)
	}
}
