package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// addressLab has an instance with a private address drawn by the subnet, one with
// an Elastic IP, one with an automatic public address, and a host outside.
const addressLab = `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16}
subnets:
  public: {vpc: book, cidr_block: 172.30.0.0/24, map_public_ip_on_launch: true}
  private: {vpc: book, cidr_block: 172.30.1.0/24}
internet_gateways:
  igw: {vpc: book}
route_tables:
  public: {vpc: book, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
elastic_ips:
  site: {instance: fixed}
security_groups:
  all: {vpc: book, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}
instances:
  auto: {subnet: public, security_groups: [all], link_type: tap}
  fixed: {subnet: public, security_groups: [all]}
  db: {subnet: private, security_groups: [all]}
internet_hosts:
  laptop: {}
`

// standing is all that has to stay as it is about an instance.
type standing struct{ id, private, public, eni, mac, lease, guest string }

func (l *lab) standing(name string) standing {
	l.t.Helper()
	m, i := l.machine(name), l.instance(name)
	s := standing{id: m.ID, private: m.PrivateIp, public: m.PublicIp,
		eni: get(l.t, i, "NetworkInterfaces", 0, "NetworkInterfaceId"), mac: get(l.t, i, "NetworkInterfaces", 0, "MacAddress")}
	for _, lease := range m.Leases {
		s.lease += lease.NetworkInterface + " " + lease.Address + " " + lease.State
	}
	// "dynamic": the guest has the address from DHCP, for a time.
	for _, word := range strings.Fields(l.in(name, "ip -4 -o addr show dev eth0 dynamic; cat /sys/class/net/eth0/address")) {
		if strings.Contains(word, "/") || strings.Count(word, ":") == 5 {
			s.guest += word + " "
		}
	}
	if s.lease != s.eni+" "+s.private+" bound" || !strings.HasPrefix(s.guest, s.private+"/24 ") {
		l.t.Fatalf("%s: lease %q and guest's address %q, want %s", name, s.lease, s.guest, s.private)
	}
	return s
}

// DHCP gives each instance its private address, which stays through stop and
// start and through a restart of everything.
func TestB09_PrivateAddressesStay(t *testing.T) {
	t.Parallel()
	l := up(t, addressLab)
	names := []string{"auto", "fixed", "db"}
	first, boots := map[string]standing{}, map[string]string{}
	for _, n := range names {
		first[n], boots[n] = l.standing(n), l.booted(n)
		l.in(n, "echo "+n+" >/root/kept")
	}
	same := func(when string, publicChanges bool) {
		t.Helper()
		for _, n := range names {
			got, want := l.standing(n), first[n]
			if publicChanges && n == "auto" {
				want.public = got.public
			}
			equal(t, n+" after "+when, got, want)
			equal(t, "disk of "+n+" after "+when, l.in(n, "cat /root/kept"), n+"\n")
		}
		l.opens("auto", first["db"].private, 22)
		l.opens("laptop", first["fixed"].public, 22)
		l.opens("laptop", l.publicOf("auto"), 22)
	}
	same("nothing", false)

	l.cli(append([]string{"stop"}, names...)...)
	for _, n := range names {
		equal(t, "state of "+n, l.machine(n).State, "stopped")
		equal(t, "address of stopped "+n, l.privateOf(n), first[n].private)
	}
	// Nobody else gets an address in the meantime, though it could be the lowest free one.
	l.ec2("run-instances --wait --subnet-id private" + named("instance", "later"))
	if later := l.privateOf("later"); later == first["db"].private {
		t.Errorf("a new instance got the address %s of a stopped one", later)
	}
	l.cli(append([]string{"start"}, names...)...)
	same("stop and start", true)
	first["auto"] = l.standing("auto")
	for _, n := range names {
		if got := l.booted(n); got == boots[n] {
			t.Errorf("%s was not started anew", n)
		}
		boots[n] = l.booted(n)
	}

	// The daemon is killed: instances do not notice, nor does who is connected.
	l.serve("fixed", "TCP-LISTEN:8000,fork", "PIPE")
	talk := l.open("laptop", "socat - TCP:"+first["fixed"].public+":8000")
	if !talk.echoes() {
		t.Fatal("no connection from the Internet")
	}
	daemons, _ := l.processes()
	equal(t, "daemons", len(daemons), 1)
	l.kill(daemons...)
	l.in("db", "ip -4 -o addr show dev eth0 | grep -F 'inet "+first["db"].private+"/24 '")
	l.cli("up", l.file)
	if !talk.echoes() {
		t.Error("the connection did not outlive the daemon")
	}
	same("kill -9 of the daemon", false)
	for _, n := range names {
		equal(t, "boot of "+n, l.booted(n), boots[n])
	}

	// Everything of the lab is killed at once: instances that were killed are stopped,
	// and a start brings another automatic address (PI-02). Then what a reboot of the
	// host clears is cleared too: after that the lab comes back as it was.
	for _, when := range []string{"kill -9 of everything", "a reboot of the host"} {
		daemons, inits := l.processes()
		if len(daemons) != 1 || len(inits) != len(names)+2 {
			t.Fatalf("daemons %v, inits %v", daemons, inits)
		}
		l.kill(append(daemons, inits...)...)
		if when == "a reboot of the host" {
			l.forgetRunning()
		}
		l.cli("up", l.file)
		if when == "kill -9 of everything" {
			equal(t, "state of what no file starts", l.machine("later").State, "stopped")
			l.cli("start", "later")
			same(when, true)
			first["auto"] = l.standing("auto")
		} else {
			same(when, false)
		}
		for _, n := range names {
			if got := l.booted(n); got == boots[n] {
				t.Errorf("%s is said to run since before %s", n, when)
			}
			boots[n] = l.booted(n)
		}
	}
}

// forgetRunning removes what lies in memory only, as a restart of the host does:
// the names of the network namespaces, and the run directory.
func (l *lab) forgetRunning() {
	l.t.Helper()
	run := filepath.Join(os.Getenv("VPCEMU_RUN_DIR"), l.name)
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		l.t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if at := strings.Fields(line)[1]; strings.HasPrefix(at, run+"/") || strings.HasPrefix(at, "/run/netns/"+l.name+".") {
			if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
				l.t.Fatalf("umount %s: %v: %s", at, err, out)
			}
			if strings.HasPrefix(at, "/run/netns/") {
				_ = os.Remove(at)
			}
		}
	}
	if err := os.RemoveAll(run); err != nil {
		l.t.Fatal(err)
	}
}

// An address chosen by hand comes by DHCP like any other: the reservation is the
// network interface's, whatever the guest asks for.
func TestB10_AddressChosenByHandComesByDHCP(t *testing.T) {
	t.Parallel()
	l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16}
subnets:
  public: {vpc: book, cidr_block: 172.30.0.0/24}
instances:
  web: {subnet: public, private_ip: 172.30.0.123}
  peer: {subnet: public, link_type: tap, private_ip: 172.30.0.200}
`)
	equal(t, "address of web", l.standing("web").private, "172.30.0.123")
	equal(t, "address of peer", l.standing("peer").private, "172.30.0.200")
	// Stock clients, set to automatic, and one that asks for another address.
	const hook = `printf '#!/bin/sh\n[ "$1" = deconfig ] || echo $1 $ip/$mask router $router lease $lease\n' >/root/hook; chmod +x /root/hook; `
	ask := func(instance, flags string) string {
		t.Helper()
		return strings.TrimSpace(l.in(instance, hook+"timeout 20 udhcpc -i eth0 -f -n -q -s /root/hook "+flags+" 2>/dev/null"))
	}
	equal(t, "lease", ask("web", ""), "bound 172.30.0.123/24 router 172.30.0.1 lease 3600")
	equal(t, "lease for who asks for another address", ask("web", "-r 172.30.0.99"), "bound 172.30.0.123/24 router 172.30.0.1 lease 3600")
	equal(t, "lease over Ethernet", ask("peer", "-r 172.30.0.123"), "bound 172.30.0.200/24 router 172.30.0.1 lease 3600")
	// The guest may configure what it likes: only the interface's address works.
	l.in("web", "ping -c 1 -W 20 172.30.0.200")
	since := l.lastDrop()
	l.in("web", "ip addr add 172.30.0.99/32 dev eth0")
	if _, _, status := l.tryIn("web", "ping -c 1 -W 1 -I 172.30.0.99 172.30.0.200"); status == 0 {
		t.Error("an address that is not the interface's works")
	}
	l.droppedSince(since, "ENI_SOURCE_DEST_CHECK_RESTRICTION", "172.30.0.99 > 172.30.0.200")

	l.ec2Fails("InvalidIPAddress.InUse", "run-instances --subnet-id public --private-ip-address 172.30.0.123")
	l.ec2Fails("InvalidParameterValue", "run-instances --subnet-id public --private-ip-address 172.30.0.1")
	l.ec2Fails("InvalidParameterValue", "run-instances --subnet-id public --private-ip-address 172.30.7.7")

	// The reservation outlives an instance together with its interface.
	l.ec2("create-network-interface --subnet-id public --private-ip-address 172.30.0.77" + named("network-interface", "seat"))
	mac := get(t, l.eni("seat"), "MacAddress")
	for _, name := range []string{"one", "two"} {
		l.ec2("run-instances --wait --network-interfaces DeviceIndex=0,NetworkInterfaceId=seat,DeleteOnTermination=false" + named("instance", name))
		s := l.standing(name)
		equal(t, "address of "+name, s.private, "172.30.0.77")
		equal(t, "MAC of "+name, s.mac, mac)
		l.in("peer", "ping -c 1 -W 20 172.30.0.77")
		l.cli("terminate", name)
		equal(t, "status of the interface alone", get(t, l.eni("seat"), "Status"), "available")
	}
}

// Public addresses: the subnet's setting, the instance's own, automatic ones that
// change, and Elastic IPs that stay and move.
func TestB11_PublicAddresses(t *testing.T) {
	t.Parallel()
	l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16}
subnets:
  public: {vpc: book, cidr_block: 172.30.0.0/24, map_public_ip_on_launch: true}
  plain: {vpc: book, cidr_block: 172.30.1.0/24}
internet_gateways:
  igw: {vpc: book}
route_tables:
  public: {vpc: book, subnets: [public, plain], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
security_groups:
  all: {vpc: book, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}
elastic_ips:
  site: {}
key_pairs:
  me: {}
instances:
  takes: {subnet: public, security_groups: [all], key_name: me}
  refuses: {subnet: public, security_groups: [all], associate_public_ip_address: false}
  asks: {subnet: plain, security_groups: [all], associate_public_ip_address: true}
  plain: {subnet: plain, security_groups: [all], key_name: me}
internet_hosts:
  laptop:
    key_names: [me]
    user_data: `+echoServer)
	laptop := l.publicOf("laptop")
	hostname := func(name string) string { t.Helper(); return "ip-" + strings.ReplaceAll(l.privateOf(name), ".", "-") }
	seen := func(name, want string) {
		t.Helper()
		_, saw := l.echo(name, laptop)
		equal(t, "address that the laptop saw of "+name, saw, want)
	}
	reached := func(addr, name string) {
		t.Helper()
		// Another machine may have had the address, and known_hosts remember its key.
		got := l.login("laptop", "-o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null ec2-user@"+addr+" hostname")
		equal(t, "host that ssh to "+addr+" reached", got, hostname(name))
	}

	t.Log("the subnet decides, the instance overrides")
	for name, wants := range map[string]bool{"takes": true, "refuses": false, "asks": true, "plain": false} {
		public := l.publicOf(name)
		if (public != "") != wants {
			t.Errorf("%s has the public address %q", name, public)
		} else if wants {
			l.opens("laptop", public, 22)
			seen(name, public)
		} else {
			l.blocked(name, laptop, 80, "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
		}
	}
	// The setting is asked at the launch, and changes nothing for those there.
	l.ec2("modify-subnet-attribute --subnet-id plain --map-public-ip-on-launch")
	equal(t, "public address of plain", l.publicOf("plain"), "")
	l.ec2("run-instances --wait --subnet-id plain --security-group-ids all" + named("instance", "newer"))
	l.opens("laptop", l.publicOf("newer"), 22)

	t.Log("an automatic address changes at stop and start, not at reboot")
	first := l.publicOf("takes")
	l.cli("reboot", "takes")
	equal(t, "address after a reboot", l.publicOf("takes"), first)
	reached(first, "takes")
	l.cli("stop", "takes")
	equal(t, "public address while stopped", l.publicOf("takes"), "")
	l.blocked("laptop", first, 22, "INTERNET_UNREACHABLE")
	l.cli("start", "takes")
	second := l.publicOf("takes")
	if second == first || second == "" {
		t.Errorf("address %q after stop and start, %q before", second, first)
	}
	l.blocked("laptop", first, 22, "INTERNET_UNREACHABLE")
	reached(second, "takes")
	seen("takes", second)
	for _, name := range []string{"refuses", "asks"} {
		had := l.publicOf(name)
		l.cli("stop", name)
		l.cli("start", name)
		if now := l.publicOf(name); (now == "") != (had == "") || had != "" && now == had {
			t.Errorf("%s: public address %q after stop and start, %q before", name, now, had)
		}
	}

	t.Log("an Elastic IP stays")
	site := get(t, l.ec2("describe-addresses --allocation-ids site"), "Addresses", 0, "PublicIp")
	l.blocked("laptop", site, 22, "INTERNET_UNREACHABLE")
	l.ec2("associate-address --allocation-id site --instance-id plain")
	equal(t, "public address of plain", l.publicOf("plain"), site)
	reached(site, "plain")
	seen("plain", site)
	l.cli("stop", "plain")
	equal(t, "public address of stopped plain", l.publicOf("plain"), site)
	l.cli("start", "plain")
	equal(t, "public address of plain", l.publicOf("plain"), site)
	reached(site, "plain")
	seen("plain", site)

	t.Log("and moves, with no restart; the new owner's automatic address goes")
	boots := l.booted("plain") + " " + l.booted("takes")
	l.ec2Fails("Resource.AlreadyAssociated", "associate-address --allocation-id site --instance-id takes --no-allow-reassociation")
	l.ec2("associate-address --allocation-id site --instance-id takes")
	equal(t, "public address of takes", l.publicOf("takes"), site)
	reached(site, "takes")
	seen("takes", site)
	l.blocked("laptop", second, 22, "INTERNET_UNREACHABLE")
	l.blocked("plain", laptop, 80, "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
	equal(t, "boots", l.booted("plain")+" "+l.booted("takes"), boots)
	if addrs := l.in("takes", "ip -4 addr"); strings.Contains(addrs, site) {
		t.Errorf("the guest sees the Elastic IP:\n%s", addrs)
	}
	// Taken away, an automatic one comes in its place (PI-03).
	association := get(t, l.ec2("describe-addresses --allocation-ids site"), "Addresses", 0, "AssociationId")
	l.ec2("disassociate-address --association-id " + association)
	if third := l.publicOf("takes"); third == "" || third == site {
		t.Errorf("public address %q without the Elastic IP %s", third, site)
	} else {
		seen("takes", third)
	}
	l.ec2("release-address --allocation-id site")
}

// An instance's network card is an ENI: made with it; further ones are made
// alone, attached to running instances and detached, with their MAC.
func TestB12_NetworkInterfaces(t *testing.T) {
	t.Parallel()
	l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16}
subnets:
  public: {vpc: book, cidr_block: 172.30.0.0/24}
instances:
  web: {subnet: public, link_type: tap}
  peer: {subnet: public}
`)
	// Made with the instance, with its own address and MAC, which the guest sees.
	web, peer := l.standing("web"), l.standing("peer")
	if web.eni == peer.eni || web.mac == peer.mac || web.private == peer.private {
		t.Errorf("%+v and %+v share something", web, peer)
	}
	if !strings.Contains(web.guest, web.mac) {
		t.Errorf("the guest of web has %s, want the MAC %s", web.guest, web.mac)
	}
	l.ec2Fails("OperationNotPermitted", "detach-network-interface --attachment-id "+get(t, l.eni(web.eni), "Attachment", "AttachmentId"))

	// Made alone: it has an address and a MAC, and nobody answers there.
	l.ec2("create-network-interface --subnet-id public --link-type tap --private-ip-address 172.30.0.50" + named("network-interface", "card"))
	alone := l.eni("card")
	mac := get(t, alone, "MacAddress")
	equal(t, "status", get(t, alone, "Status"), "available")
	l.blocked("peer", "172.30.0.50", 22, "BAD_STATE_ATTACHMENT")

	ticks := map[string]string{"web": l.booted("web"), "peer": l.booted("peer")}
	attach := func(instance string) (attachment string) {
		t.Helper()
		out := l.ec2("attach-network-interface --wait --network-interface-id card --device-index 1 --instance-id " + instance)
		equal(t, "status", get(t, l.eni("card"), "Status"), "in-use")
		link := l.in(instance, "cat /sys/class/net/eth1/address; ip -4 -o addr show dev eth1 dynamic")
		if !strings.Contains(link, mac+"\n") || !strings.Contains(link, "inet 172.30.0.50/24 ") {
			t.Fatalf("eth1 of %s, want MAC %s and address 172.30.0.50 by DHCP:\n%s", instance, mac, link)
		}
		return get(t, out, "AttachmentId")
	}
	host := func(from, addr string) string {
		t.Helper()
		return strings.Fields(l.in(from, fmt.Sprintf("socat -u TCP:%s:7,connect-timeout=20 -", addr)))[0]
	}
	for _, i := range []string{"web", "peer"} {
		l.start(i, "exec socat TCP-LISTEN:7,fork,reuseaddr 'SYSTEM:hostname; echo $SOCAT_SOCKADDR'")
		l.waitPort(i, "tcp", 7)
	}
	hostname := func(s standing) string { return "ip-" + strings.ReplaceAll(s.private, ".", "-") }

	t.Log("attached to web, which runs")
	attachment := attach("web")
	equal(t, "who answers", host("peer", "172.30.0.50"), hostname(web))
	equal(t, "who answers at the first interface", host("peer", web.private), hostname(web))
	equal(t, "who answers over the second interface", host("web", peer.private), hostname(peer))
	l.in("web", "ping -c 1 -W 20 -I 172.30.0.50 "+peer.private)
	l.ec2Fails("InvalidNetworkInterface.InUse", "attach-network-interface --network-interface-id card --instance-id peer --device-index 1")
	l.ec2Fails("InvalidNetworkInterface.InUse", "delete-network-interface --network-interface-id card")

	t.Log("a secondary address: the guest has to configure it")
	l.ec2("assign-private-ip-addresses --network-interface-id card --private-ip-addresses 172.30.0.60")
	if addrs := l.in("web", "ip -4 addr"); strings.Contains(addrs, "172.30.0.60") {
		t.Errorf("the guest was given the secondary address:\n%s", addrs)
	}
	if l.reaches("peer", "172.30.0.60", 7, 1) {
		t.Error("the secondary address answers before the guest has it")
	}
	l.in("web", "ip addr add 172.30.0.60/24 dev eth1 && ip rule add from 172.30.0.60 lookup 10001")
	equal(t, "who answers at the secondary address", host("peer", "172.30.0.60"), hostname(web))
	l.ec2("unassign-private-ip-addresses --network-interface-id card --private-ip-addresses 172.30.0.60")
	l.blocked("peer", "172.30.0.60", 7, "NO_POSSIBLE_DESTINATION")

	t.Log("detached, and plugged into peer")
	l.ec2("detach-network-interface --wait --attachment-id " + attachment)
	eventually(t, "status available", func() error {
		if got := get(t, l.eni("card"), "Status"); got != "available" {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	if out, _, status := l.tryIn("web", "ip link show eth1"); status == 0 {
		t.Errorf("web still has it:\n%s", out)
	}
	l.blocked("peer", "172.30.0.50", 7, "BAD_STATE_ATTACHMENT")
	equal(t, "who answers at the first interface", host("peer", web.private), hostname(web))
	attach("peer")
	equal(t, "who answers", host("web", "172.30.0.50"), hostname(peer))
	for i, want := range ticks {
		equal(t, "boot of "+i, l.booted(i), want)
	}
	// It stays with the instance through stop and start, and survives its end.
	l.cli("stop", "peer")
	l.cli("start", "peer")
	if got := l.in("peer", "cat /sys/class/net/eth1/address"); strings.TrimSpace(got) != mac {
		t.Errorf("MAC %s after stop and start, want %s", got, mac)
	}
	l.cli("terminate", "peer")
	equal(t, "status", get(t, l.eni("card"), "Status"), "available")
	equal(t, "MAC", get(t, l.eni("card"), "MacAddress"), mac)
	l.ec2("delete-network-interface --network-interface-id card")
	l.ec2Fails("InvalidNetworkInterfaceID.NotFound", "describe-network-interfaces --network-interface-ids "+get(t, alone, "NetworkInterfaceId"))
}
