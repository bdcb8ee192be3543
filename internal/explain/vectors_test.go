package explain

import "testing"

// site is one VPC with a public, a private and a purely internal subnet, as in
// internal/compile, whose tests of the vectors check verdicts; here it is what users see.
const site = `
default_vpc: false
vpcs:
  main: {cidr_block: 10.0.0.0/16}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24}
  private: {vpc: main, cidr_block: 10.0.1.0/24}
  inner: {vpc: main, cidr_block: 10.0.2.0/24}
internet_gateways:
  igw: {vpc: main}
elastic_ips:
  nat: {}
  web: {instance: web}
  spare: {}
nat_gateways:
  nat: {subnet: public, elastic_ip: nat, private_ip: 10.0.0.200}
route_tables:
  public: {vpc: main, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
  private: {vpc: main, subnets: [private], routes: [{cidr_block: 0.0.0.0/0, nat_gateway: nat}]}
security_groups:
  open: {vpc: main, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}
  shut: {vpc: main}
  ssh: {vpc: main, ingress: [{port: 22, cidr_blocks: [198.51.100.10/32]}]}
  b: {vpc: main}
  from-b: {vpc: main, ingress: [{port: 80, security_groups: [b]}]}
network_acls:
  deny: {vpc: main}
  http: {vpc: main, ingress: [{rule_no: 100, action: allow, port: 80, cidr_block: 0.0.0.0/0}]}
network_interfaces:
  spare: {subnet: inner, private_ips: [10.0.2.50], security_groups: [open]}
instances:
  web: {subnet: public, private_ip: 10.0.0.10, security_groups: [open]}
  web2: {subnet: public, private_ip: 10.0.0.11, security_groups: [open]}
  router: {subnet: public, private_ip: 10.0.0.20, security_groups: [open], source_dest_check: false}
  app: {subnet: private, private_ip: 10.0.1.10, security_groups: [open]}
  svc: {subnet: inner, private_ip: 10.0.2.10, security_groups: [open]}
internet_hosts:
  laptop: {address: 198.51.100.10}
  server: {address: 198.51.100.20}
`

// What users see of the test vectors of section 22 of the semantics.
func TestTraceTextsOfTheVectors(t *testing.T) {
	for _, v := range []struct{ name, script string }{
		{"01-same-subnet-AC06", "$ acl public deny\nweb web2 tcp/80"},
		{"02-different-subnets-AC07", "$ acl public deny\nweb app tcp/80\napp web tcp/80"},
		{"03-tracked-CT05", "$ modify-network-interface-attribute --network-interface-id %web! --groups ssh\nlaptop web tcp/22\n$ revoke-security-group-ingress --group-id ssh --protocol tcp --port 22 --cidr 198.51.100.10/32\nlaptop web tcp/22"},
		{"04-untracked-CT05", "$ modify-network-interface-attribute --network-interface-id %web! --groups shut\n$ authorize-security-group-ingress --group-id shut --protocol tcp --port 22 --cidr 0.0.0.0/0\n" +
			"laptop web tcp/22\n$ revoke-security-group-ingress --group-id shut --protocol tcp --port 22 --cidr 0.0.0.0/0\nlaptop web tcp/22 established"},
		{"05-behind-nat-CT06", "app server tcp/22"},
		{"06-udp-reply-CT02", "$ modify-network-interface-attribute --network-interface-id %web! --groups shut\nweb server udp/53"},
		{"07-mid-stream-NA07", "app server tcp/80 established"},
		{"08-large-through-nat-NA08", "app server icmp size=10000"},
		{"10-no-public-address-IG03", "web2 server tcp/80"},
		{"11-private-destination-IG03", "web 10.99.0.1 tcp/80\nweb 100.64.0.1 tcp/80"},
		{"12-deleted-nat-RT10", "$ delete-nat-gateway --nat-gateway-id nat\napp server tcp/80"},
		{"13-more-specific-RT05", "$ create-route --route-table-id private --destination-cidr-block 10.0.2.0/24 --instance-id router\napp svc tcp/80"},
		{"14-resolver-DNS01", "svc 10.0.0.2 udp/53\nsvc 10.0.2.2 udp/53\nsvc 169.254.169.253 udp/53"},
		{"15-no-dns-support-DNS04", "$ modify-vpc-attribute --vpc-id main --no-enable-dns-support\nsvc 10.0.0.2 udp/53\nsvc 169.254.169.253 udp/53"},
		{"14-metadata-and-time-IM01", "svc 169.254.169.254 tcp/80\nsvc 169.254.169.123 udp/123\nsvc 169.254.169.254 tcp/443"},
		{"17-group-by-public-address-SG08", "$ modify-network-interface-attribute --network-interface-id %web! --groups from-b\n$ modify-network-interface-attribute --network-interface-id %web2! --groups b\n$ associate-address --allocation-id spare --instance-id web2\nweb2 %web* tcp/80\nweb2 web tcp/80"},
		{"18-group-through-middlebox-SG09", "$ modify-network-interface-attribute --network-interface-id %svc! --groups from-b\n$ modify-network-interface-attribute --network-interface-id %app! --groups b\n$ create-route --route-table-id private --destination-cidr-block 10.0.2.0/24 --instance-id router\napp svc tcp/80"},
		{"19-check-on-PL02", "$ replace-route --route-table-id private --destination-cidr-block 0.0.0.0/0 --instance-id web\napp server tcp/80\n$ modify-network-interface-attribute --network-interface-id %web! --no-source-dest-check\napp server tcp/80"},
		{"20-too-big-MT11", "web server icmp size=9001 df\nweb server icmp size=9001"},
		{"24-stopped-IN02", "$ stop-instances --instance-ids web\nlaptop web tcp/80"},
		{"26-traceroute-NA13", "app svc udp/33434 ttl=1\napp server udp/33434 ttl=1"},
		{"27-ephemeral-ports-AC05", "$ acl public http\nlaptop web tcp/80\nlaptop web tcp/81"},
	} {
		t.Run(v.name, func(t *testing.T) {
			golden(t, "vector-"+v.name+".golden", texts(t, newLab(t, site), v.script))
		})
	}
}
