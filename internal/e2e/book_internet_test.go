package e2e

import (
	"strings"
	"testing"
)

// An instance is on the Internet exactly while it has a gateway, a public
// address, a route, and the leave of its group and of its subnet's ACL.
func TestB03_FourConditions(t *testing.T) {
	t.Parallel()
	l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16}
subnets:
  public: {vpc: book, cidr_block: 172.30.0.0/24}
internet_gateways:
  igw: {vpc: book}
route_tables:
  public: {vpc: book, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
elastic_ips:
  web: {instance: web}
security_groups:
  web: {vpc: book, ingress: [{port: ssh, cidr_blocks: [0.0.0.0/0]}]}
network_acls:
  nothing: {vpc: book}
key_pairs:
  me: {}
instances:
  web: {subnet: public, private_ip: 172.30.0.10, security_groups: [web], key_name: me}
internet_hosts:
  laptop: {key_names: [me]}
  server:
    user_data: `+echoServer)
	server, public, boot := l.publicOf("server"), l.publicOf("web"), l.booted("web")
	const anywhere = " --destination-cidr-block 0.0.0.0/0"
	const toWeb = " --group-id web --protocol tcp --port 22 --cidr 0.0.0.0/0"
	const fromWeb = " --group-id web --protocol -1 --cidr 0.0.0.0/0"
	out := func() {
		t.Helper()
		if _, saw := l.echo("web", server); saw != public {
			t.Fatalf("the server saw %s, want the Elastic IP %s", saw, public)
		}
	}
	in := func() {
		t.Helper()
		equal(t, "host that ssh reached", l.login("laptop", "ec2-user@"+public+" hostname"), "ip-172-30-0-10")
	}
	noOut := func(reason string) { t.Helper(); l.blocked("web", server, 80, reason) }
	noIn := func(reason string) { t.Helper(); l.blocked("laptop", public, 22, reason) }
	works := func() { t.Helper(); out(); in() }

	t.Log("everything is there")
	works()
	if addrs := l.in("web", "ip -4 addr"); strings.Contains(addrs, public) {
		t.Errorf("the guest knows its public address, which only the gateway does:\n%s", addrs)
	}

	t.Log("the public address")
	associate := "associate-address --allocation-id web --instance-id web"
	association := func() string {
		t.Helper()
		return get(t, l.ec2("describe-addresses --allocation-ids web"), "Addresses", 0, "AssociationId")
	}
	l.ec2("disassociate-address --association-id " + association())
	equal(t, "public address without the Elastic IP", l.publicOf("web"), "")
	noOut("IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
	noIn("INTERNET_UNREACHABLE") // nobody has the address
	l.ec2(associate)
	works()

	t.Log("the gateway")
	l.ec2Fails("DependencyViolation", "detach-internet-gateway --internet-gateway-id igw --vpc-id book")
	works()
	l.ec2("disassociate-address --association-id " + association())
	l.ec2("detach-internet-gateway --internet-gateway-id igw --vpc-id book")
	noOut("BAD_STATE_ROUTE")
	noIn("INTERNET_UNREACHABLE") // nobody has the address
	l.ec2Fails("Gateway.NotAttached", associate)
	l.ec2("attach-internet-gateway --internet-gateway-id igw --vpc-id book")
	noOut("IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS") // the route is whole again
	l.ec2(associate)
	works()

	t.Log("the route")
	l.ec2("delete-route --route-table-id public" + anywhere)
	noOut("NO_ROUTE_TO_DESTINATION")
	noIn("NO_ROUTE_TO_DESTINATION") // the answer
	l.ec2("create-route --route-table-id public" + anywhere + " --gateway-id igw")
	works()

	t.Log("the security group: each direction by its own rule")
	l.ec2("revoke-security-group-ingress" + toWeb)
	noIn("SG_HAS_NO_RULES")
	out()
	l.ec2("authorize-security-group-ingress" + toWeb)
	works()
	l.ec2("revoke-security-group-egress" + fromWeb)
	noOut("SG_HAS_NO_RULES")
	in()
	l.ec2("authorize-security-group-egress" + fromWeb)
	works()

	t.Log("the network ACL: one without rules")
	acls := l.ec2("describe-network-acls --filters Name=default,Values=true")
	old := get(t, acls, "NetworkAcls", 0, "Associations", 0, "NetworkAclAssociationId")
	swapped := l.ec2("replace-network-acl-association --association-id " + old + " --network-acl-id nothing")
	noOut("SUBNET_ACL_RESTRICTION")
	noIn("SUBNET_ACL_RESTRICTION")
	l.ec2("replace-network-acl-association --association-id " + get(t, swapped, "NewAssociationId") +
		" --network-acl-id " + get(t, acls, "NetworkAcls", 0, "NetworkAclId"))
	works()
	equal(t, "boot of web", l.booted("web"), boot)
}

// The default VPC puts an instance on the Internet at once; it can be deleted and
// made again.
func TestB05_DefaultVpc(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "default-vpc"))
	l.serve("laptop", "TCP-LISTEN:80,fork,reuseaddr", "'SYSTEM:echo $SOCAT_PEERADDR'")
	laptop := l.publicOf("laptop")
	onTheInternet := func(name string) {
		t.Helper()
		m := l.machine(name)
		if !strings.HasPrefix(m.PrivateIp, "172.31.") || m.PublicIp == "" {
			t.Fatalf("%s has the addresses %q and %q, want a private and a public one", name, m.PrivateIp, m.PublicIp)
		}
		equal(t, "address that the laptop saw", strings.TrimSpace(l.in(name, "socat -u TCP:"+laptop+":80,connect-timeout=20 -")), m.PublicIp)
		hostname := "ip-" + strings.ReplaceAll(m.PrivateIp, ".", "-")
		equal(t, "host that ssh reached", l.login("laptop", "ec2-user@"+m.PublicIp+" hostname"), hostname)
	}
	onTheInternet("web")

	vpcs := l.ec2("describe-vpcs")
	v := get(t, vpcs, "Vpcs", 0, "VpcId")
	equal(t, "IsDefault", get(t, vpcs, "Vpcs", 0, "IsDefault"), "true")
	equal(t, "range", get(t, vpcs, "Vpcs", 0, "CidrBlock"), "172.31.0.0/16")
	zones := map[string]bool{}
	subnets := l.ec2("describe-subnets")["Subnets"].([]any)
	for _, s := range subnets {
		zones[get(t, s, "AvailabilityZone")] = true
		if get(t, s, "MapPublicIpOnLaunch") != "true" || get(t, s, "DefaultForAz") != "true" || !strings.HasSuffix(get(t, s, "CidrBlock"), "/20") {
			t.Errorf("default subnet %v", s)
		}
	}
	if n := len(l.ec2("describe-availability-zones")["AvailabilityZones"].([]any)); len(zones) != n || len(subnets) != n {
		t.Errorf("%d default subnets in the zones %v of %d", len(subnets), zones, n)
	}
	in := " --filters Name=vpc-id,Values=" + v
	gateway := get(t, l.ec2("describe-internet-gateways --filters Name=attachment.vpc-id,Values="+v), "InternetGateways", 0, "InternetGatewayId")
	equal(t, "default route", get(t, l.ec2("describe-route-tables"+in), "RouteTables", 0, "Routes", 1, "GatewayId"), gateway)
	equal(t, "group", get(t, l.ec2("describe-security-groups"+in+" Name=group-name,Values=default"), "SecurityGroups", 0, "GroupName"), "default")
	equal(t, "ACL", get(t, l.ec2("describe-network-acls"+in), "NetworkAcls", 0, "IsDefault"), "true")

	// It goes when nothing is in it any more.
	l.ec2Fails("DependencyViolation", "delete-vpc --vpc-id "+v)
	l.cli("terminate", "web")
	l.ec2("delete-security-group --group-id ssh")
	l.ec2("detach-internet-gateway --internet-gateway-id " + gateway + " --vpc-id " + v)
	l.ec2("delete-internet-gateway --internet-gateway-id " + gateway)
	for _, s := range subnets {
		l.ec2("delete-subnet --subnet-id " + get(t, s, "SubnetId"))
	}
	l.ec2("delete-vpc --vpc-id " + v)
	l.ec2Fails("VPCIdNotSpecified", "run-instances")

	// And comes back whole.
	again := get(t, l.ec2("create-default-vpc"), "Vpc", "VpcId")
	if again == v {
		t.Error("the new default VPC has the old one's ID")
	}
	l.ec2Fails("DefaultVpcAlreadyExists", "create-default-vpc")
	group := get(t, l.ec2("create-security-group --group-name in --description ssh"), "GroupId")
	l.ec2("authorize-security-group-ingress --group-id " + group + " --protocol tcp --port 22 --cidr 0.0.0.0/0")
	l.ec2("run-instances --wait --key-name me --security-group-ids " + group + named("instance", "new"))
	equal(t, "VPC of new", get(t, l.instance("new"), "VpcId"), again)
	onTheInternet("new")
}

// A database without a public address cannot be reached from the Internet, nor
// reach it, while its neighbours reach it.
func TestB06_PrivateSubnet(t *testing.T) {
	t.Parallel()
	l := up(t, `
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
security_groups:
  all: {vpc: book, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}
instances:
  web: {subnet: public, security_groups: [all]}
  db: {subnet: private, private_ip: 172.30.1.10, security_groups: [all]}
  # In the public subnet, and private all the same.
  hidden: {subnet: public, private_ip: 172.30.0.10, security_groups: [all], associate_public_ip_address: false}
internet_hosts:
  laptop: {}
`)
	laptop := l.publicOf("laptop")
	for name, addr := range map[string]string{"db": "172.30.1.10", "hidden": "172.30.0.10"} {
		equal(t, "public address of "+name, l.publicOf(name), "")
		// Inward there is no address to send to: private ones mean nothing outside.
		l.blocked("laptop", addr, 22, "INTERNET_UNREACHABLE")
		l.opens("web", addr, 22)
		l.opens(name, l.privateOf("web"), 22)
	}
	// The same groups let the laptop reach web, which has a public address.
	l.opens("laptop", l.publicOf("web"), 22)
	l.opens("web", laptop, 22)
	l.blocked("db", laptop, 22, "NO_ROUTE_TO_DESTINATION")
	l.blocked("hidden", laptop, 22, "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
	// The route to the gateway alone makes no subnet's instances public.
	l.ec2("create-route-table --vpc-id book" + named("route-table", "too"))
	l.ec2("create-route --route-table-id too --destination-cidr-block 0.0.0.0/0 --gateway-id igw")
	l.ec2("associate-route-table --route-table-id too --subnet-id private")
	l.blocked("db", laptop, 22, "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
	l.blocked("laptop", "172.30.1.10", 22, "INTERNET_UNREACHABLE")
}

// ssh from the Internet to the web server, and from there to the database.
func TestB07_Bastion(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "book"))
	web, db := l.publicOf("web"), l.privateOf("db")
	dbName := "ip-" + strings.ReplaceAll(db, ".", "-")
	const who = ` 'hostname; echo $SSH_CONNECTION'`
	logged := func(how, got, host, client, server string) {
		t.Helper()
		lines := strings.Fields(got)
		if len(lines) != 5 || lines[0] != host || lines[1] != client || lines[3] != server || lines[4] != "22" {
			t.Errorf("%s: %q, want a login to %s at %s from %s", how, got, host, server, client)
		}
	}
	// A jump host's key is asked for by a second ssh, which knows this file only.
	l.in("laptop", "echo 'StrictHostKeyChecking accept-new' >/etc/ssh/ssh_config.d/accept.conf")

	logged("ssh", l.login("laptop", "ec2-user@"+web+who), "ip-172-30-0-10", l.publicOf("laptop"), "172.30.0.10")
	l.blocked("laptop", db, 22, "INTERNET_UNREACHABLE")
	l.loginFails("laptop", "ec2-user@"+db)
	logged("ssh -J", l.login("laptop", "-J ec2-user@"+web+" ec2-user@"+db+who), dbName, "172.30.0.10", db)
	logged("vpcemu ssh --via", l.cli("ssh", "--via", "web", "db", "--", "hostname; echo $SSH_CONNECTION"), dbName, "172.30.0.10", db)

	// Two steps. Without a key there, web is no way to db.
	second := "'" + sshOptions + "ec2-user@" + db + ` "hostname; echo \$SSH_CONNECTION"'`
	if out, errs, status := l.tryIn("laptop", sshOptions+"ec2-user@"+web+" "+second); status == 0 || !strings.Contains(errs, "Permission denied (publickey).") {
		t.Errorf("without a key: exit status %d: %s%s", status, out, errs)
	}
	agent := l.in("laptop", "eval $(ssh-agent) >/dev/null && ssh-add -q ~/.ssh/book.pem && "+sshOptions+"-A ec2-user@"+web+" "+second+"; kill $SSH_AGENT_PID")
	logged("two steps, with an agent", agent, dbName, "172.30.0.10", db)
	// The book's way: the key is copied to the web server.
	l.in("laptop", "scp -q -o BatchMode=yes ~/.ssh/book.pem ec2-user@"+web+":my-key.pem")
	copied := l.login("laptop", "ec2-user@"+web+` '`+sshOptions+`-i my-key.pem ec2-user@`+db+` "hostname; echo \$SSH_CONNECTION"'`)
	logged("two steps, with a copied key", copied, dbName, "172.30.0.10", db)
	// Passwords let nobody in, nor does another key.
	l.in("laptop", "ssh-keygen -q -t ed25519 -N '' -f /root/other")
	if _, errs, status := l.tryIn("laptop", sshOptions+"-F none -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -i /root/other ec2-user@"+web+" true"); status == 0 || !strings.Contains(errs, "Permission denied (publickey).") {
		t.Errorf("with another key: exit status %d: %s", status, errs)
	}
}
