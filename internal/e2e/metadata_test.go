package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const metadataLab = `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  main: {cidr_block: 10.0.0.0/16, enable_dns_hostnames: true}
  twin: {cidr_block: 10.0.0.0/16}
subnets:
  a: {vpc: main, cidr_block: 10.0.0.0/24}
  twin: {vpc: twin, cidr_block: 10.0.0.0/24}
internet_gateways: {igw: {vpc: main}}
elastic_ips: {free: {}}
security_groups: {shut: {vpc: main, egress: []}}
network_acls: {none: {vpc: main, subnets: [a]}}
instances:
  web: {subnet: a, private_ip: 10.0.0.10, security_groups: [shut], user_data: "#!/bin/sh\ntrue\n", tags: {Stage: test}}
  there: {subnet: twin, private_ip: 10.0.0.10}
`

// metadata is the address of the service; a curl that is not answered ends, and one that
// gets an error tells its status.
const (
	metadata   = "http://169.254.169.254/latest/"
	curl       = "curl -s -m 20 -w '%{stderr}%{http_code}' "
	tokenShell = `TOKEN=$(curl -s -m 20 -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 600" ` + metadata + `api/token); `
)

// fetch asks in an instance for something below latest/ with version 1; the answer to an
// error is its status.
func (l *lab) fetch(instance, path string) string {
	l.t.Helper()
	return l.curl(instance, curl+metadata+path)
}

// fetch2 does so with a token.
func (l *lab) fetch2(instance, path string) string {
	l.t.Helper()
	return l.curl(instance, tokenShell+curl+`-H "X-aws-ec2-metadata-token: $TOKEN" `+metadata+path)
}

func (l *lab) curl(instance, script string) string {
	l.t.Helper()
	out, code, status := l.tryIn(instance, script)
	if status != 0 {
		l.t.Fatalf("%s: %s: exit status %d, %s", instance, script, status, code)
	}
	if code != "200" {
		return code
	}
	return out
}

// Past a group that allows nothing out and an ACL that allows nothing (EX-01), by both
// versions; a change through the API is in the next answer (IM-07).
func TestIM01_IM02_IM03_IM07_MetadataByCurl(t *testing.T) {
	t.Parallel()
	l := up(t, metadataLab)
	id := l.machine("web").ID
	equal(t, "instance-id by version 1", l.fetch("web", "meta-data/instance-id"), id)
	equal(t, "instance-id by version 2", l.fetch2("web", "meta-data/instance-id"), id)
	equal(t, "the twin's", l.fetch2("there", "meta-data/instance-id"), l.machine("there").ID)
	equal(t, "user data", l.fetch("web", "user-data"), "#!/bin/sh\ntrue\n")
	equal(t, "the twin's user data", l.fetch("there", "user-data"), "404")
	equal(t, "mac", l.fetch("web", "meta-data/mac"), strings.TrimSpace(l.in("web", "cat /sys/class/net/eth0/address 2>/dev/null | grep : || echo "+l.macOf("web"))))
	equal(t, "host name", l.fetch("web", "meta-data/local-hostname"), "ip-10-0-0-10.ap-northeast-1.compute.internal")

	equal(t, "public address before", l.fetch("web", "meta-data/public-ipv4"), "404")
	l.ec2("associate-address --instance-id web --allocation-id free")
	public := l.publicOf("web")
	equal(t, "public address", l.fetch("web", "meta-data/public-ipv4"), public)
	equal(t, "public name", l.fetch("web", "meta-data/public-hostname"), "ec2-"+strings.ReplaceAll(public, ".", "-")+".ap-northeast-1.compute.amazonaws.com")
	l.ec2("disassociate-address --public-ip " + public)
	equal(t, "public address after", l.fetch("web", "meta-data/public-ipv4"), "404")

	equal(t, "tags before", l.fetch("web", "meta-data/tags/instance"), "404")
	l.ec2("modify-instance-metadata-options --instance-id web --instance-metadata-tags enabled --http-tokens required")
	equal(t, "version 1 where tokens are required", l.fetch("web", "meta-data/instance-id"), "401")
	equal(t, "tags", l.fetch2("web", "meta-data/tags/instance"), "Name\nStage")
	l.ec2Fails("InvalidParameterValue", "create-tags --resources "+id+" --tags Key=a/b,Value=c")
	l.ec2("create-tags --resources " + id + " --tags Key=Later,Value=yes")
	equal(t, "a tag put on later", l.fetch2("web", "meta-data/tags/instance/Later"), "yes")
	l.ec2("modify-instance-metadata-options --instance-id web --http-endpoint disabled")
	equal(t, "where disabled", l.fetch("web", "meta-data/instance-id"), "403")
	equal(t, "the twin's then", l.fetch("there", "meta-data/instance-id"), l.machine("there").ID)

	// The file says nothing of options: up brings the defaults back, and keeps the instance.
	l.cli("up", l.file)
	equal(t, "after up", l.fetch("web", "meta-data/instance-id"), id)
}

// A token is good for its instance alone, and after the daemon was killed as before.
func TestIM02_TokenAfterKill9(t *testing.T) {
	t.Parallel()
	l := up(t, metadataLab)
	l.in("web", tokenShell+`echo "$TOKEN" >/root/token`)
	token := strings.TrimSpace(l.in("web", "cat /root/token"))
	l.crash()
	l.cli("ls") // starts a daemon
	with := curl + `-H "X-aws-ec2-metadata-token: ` + token + `" ` + metadata + "meta-data/instance-id"
	equal(t, "with the token of before", l.curl("web", with), l.machine("web").ID)
	equal(t, "with another instance's", l.curl("there", with), "401")
}

// The answer with a token comes no further than the hop limit: not to a client behind a
// router inside the instance, as a container is, until the limit is 2.
func TestIM04_HopLimit(t *testing.T) {
	t.Parallel()
	l := up(t, metadataLab)
	l.in("web", `set -e
		echo 1 >/proc/sys/net/ipv4/ip_forward
		unshare --net sleep 3600 >/dev/null 2>&1 & pid=$!
		until [ "$(readlink /proc/$pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
		echo $pid >/run/container
		ip link add outer type veth peer name inner
		ip link set inner netns $pid
		ip addr add 192.168.99.1/24 dev outer
		ip link set outer up
		nsenter -t $pid -n sh -c 'ip addr add 192.168.99.2/24 dev inner; ip link set inner up; ip route add default via 192.168.99.1'
		nft 'add table ip own; add chain ip own out { type nat hook postrouting priority 100; }; add rule ip own out oifname eth0 masquerade'`)
	const inside = "nsenter -t $(cat /run/container) -n "
	put := inside + `curl -s -m %d -o /run/token -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 600" ` + metadata + "api/token"
	equal(t, "version 1, which has no limit", l.in("web", inside+"curl -s -m 20 "+metadata+"meta-data/local-ipv4"), "10.0.0.10")
	const timedOut = 28
	if _, errs, status := l.tryIn("web", fmt.Sprintf(put, 3)); status != timedOut {
		t.Errorf("with the hop limit 1 curl ends with status %d, not %d\n%s", status, timedOut, errs)
	}
	equal(t, "from the instance itself", l.fetch2("web", "meta-data/local-ipv4"), "10.0.0.10")
	l.ec2("modify-instance-metadata-options --instance-id web --http-put-response-hop-limit 2 --http-tokens required")
	l.in("web", fmt.Sprintf(put, 20))
	equal(t, "with the token", l.in("web", inside+`curl -s -m 20 -H "X-aws-ec2-metadata-token: $(cat /run/token)" `+metadata+"meta-data/local-ipv4"), "10.0.0.10")
}

// The whole of the Go SDK's client, without its fallback to version 1.
func TestIM05_IM06_GoSDK(t *testing.T) {
	t.Parallel()
	l := up(t, metadataLab)
	l.ec2("modify-instance-metadata-options --instance-id web --http-tokens required")
	dir := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "imdsclient"), "./imdsclient")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	l.copyIn("web", dir, "/root/bin")
	var got struct {
		InstanceID, Missing, Region, UserData, Monitoring, IAM string
		Document                                               map[string]any
	}
	if err := json.Unmarshal([]byte(l.in("web", "/root/bin/imdsclient")), &got); err != nil {
		t.Fatal(err)
	}
	id := l.machine("web").ID
	equal(t, "GetMetadata", got.InstanceID, id)
	equal(t, "GetRegion", got.Region, "ap-northeast-1")
	equal(t, "GetUserData", got.UserData, "#!/bin/sh\ntrue\n")
	equal(t, "GetDynamicData", got.Monitoring, "disabled")
	for what, text := range map[string]string{"GetMetadata of a missing path": got.Missing, "GetIAMInfo": got.IAM} {
		if !strings.Contains(text, "404") {
			t.Errorf("%s: %q is no 404", what, text)
		}
	}
	delete(got.Document, "pendingTime")
	if d := cmp.Diff(map[string]any{
		"accountId": "123456789012", "architecture": "x86_64", "availabilityZone": "ap-northeast-1a", "billingProducts": nil, "devpayProductCodes": nil,
		"marketplaceProductCodes": nil, "imageId": get(t, l.instance("web"), "ImageId"), "instanceId": id, "instanceType": "t3.micro", "kernelId": "",
		"privateIp": "10.0.0.10", "ramdiskId": "", "region": "ap-northeast-1", "version": "2017-09-30",
	}, got.Document); d != "" {
		t.Error(d)
	}
}

// The lab's certificate, given to a verifier on the host, vouches for the instance.
func TestIM06_CertificateOfTheLab(t *testing.T) {
	t.Parallel()
	l := up(t, metadataLab)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"document": l.fetch("web", "dynamic/instance-identity/document"),
		"p7":       "-----BEGIN PKCS7-----\n" + l.fetch("web", "dynamic/instance-identity/rsa2048") + "\n-----END PKCS7-----\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := base64.StdEncoding.DecodeString(l.fetch("web", "dynamic/instance-identity/signature")); err != nil {
		t.Error(err)
	}
	verify := exec.Command("openssl", "smime", "-verify", "-in", "p7", "-inform", "PEM", "-content", "document", "-purpose", "any",
		"-certfile", filepath.Join(l.stateDir(), "instance-identity.pem"), "-CAfile", filepath.Join(l.stateDir(), "instance-identity.pem"))
	verify.Dir = dir
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

// cloud-init as Debian has it finds its data. It is told which source to use: it knows EC2
// by the machine's DMI data, which are this machine's. Its local stage, which is for
// machines so known, leaves the search to the network stage.
func TestIM05_CloudInit(t *testing.T) {
	t.Parallel()
	packages := localRepository(t, "cloud-init")
	l := up(t, `
version: 1
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets: {a: {vpc: main, cidr_block: 10.0.0.0/24}}
key_pairs: {me: {}}
instances:
  box: {subnet: a, link_type: tap, key_name: me, metadata_options: {instance_metadata_tags: enabled}, tags: {Stage: test}}
`)
	l.copyIn("box", packages, "/root/packages")
	l.in("box", `mkdir -p /etc/cloud/cloud.cfg.d
		printf 'datasource_list: [Ec2]\ndatasource: {Ec2: {strict_id: false}}\n' >/etc/cloud/cloud.cfg.d/99-lab.cfg
		DEBIAN_FRONTEND=noninteractive dpkg -i /root/packages/*.deb >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; exit 1; }
		cloud-init clean --logs
		cloud-init init --local && cloud-init init`)
	if id := strings.TrimSpace(l.in("box", "cloud-id")); id != "ec2" {
		t.Errorf("cloud-id says %q", id)
	}
	var found struct {
		MetaData struct {
			InstanceID string `json:"instance-id"`
			Placement  map[string]string
			Tags       struct{ Instance map[string]string }
			Network    struct {
				Interfaces struct{ Macs map[string]map[string]any }
			}
			PublicKeys map[string]string `json:"public-keys"`
		} `json:"meta-data"`
		Version string `json:"_metadata_api_version"`
	}
	l.decode(l.in("box", "cloud-init query ds"), &found)
	box, m := l.machine("box"), found.MetaData
	equal(t, "instance ID", m.InstanceID, box.ID)
	equal(t, "address of the interface with its MAC", m.Network.Interfaces.Macs[l.macOf("box")]["local-ipv4s"], any(box.PrivateIp))
	equal(t, "zone", m.Placement["availability-zone"], "us-east-1a")
	equal(t, "tag", m.Tags.Instance["Stage"], "test")
	equal(t, "version of the metadata", found.Version, "2021-03-23")
	// What it is for: the key pair lets the image's user in.
	if keys := l.in("box", "cat /home/debian/.ssh/authorized_keys"); m.PublicKeys["me"] == "" || !strings.Contains(keys, m.PublicKeys["me"]) {
		t.Errorf("the key %q is not among the user's:\n%s", m.PublicKeys["me"], keys)
	}
}
