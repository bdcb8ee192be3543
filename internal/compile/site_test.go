package compile

import (
	"fmt"
	"testing"

	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// site is one VPC with a public, a private and a purely internal subnet. Its
// groups, ACLs and machines are for tests to combine.
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

func newSite(t testing.TB) *lab { t.Helper(); return newLab(t, site) }

// setACL gives the subnet another network ACL.
func (l *lab) setACL(subnet, acl string) {
	l.Helper()
	for _, s := range l.Subnets.All() {
		if s.Name() == subnet {
			l.do(&vpc.ReplaceNetworkAclAssociationInput{AssociationId: s.AclAssociationID, NetworkAclId: vpc.NetworkAclID(acl)})
			return
		}
	}
	l.Fatalf("no subnet is called %q", subnet)
}

// setGroups gives the interface other security groups.
func (l *lab) setGroups(eni string, groups ...vpc.SecurityGroupID) {
	l.Helper()
	l.do(&vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: l.eni(eni).ID, Groups: groups})
}

// setCheck turns the interface's source/destination check on or off.
func (l *lab) setCheck(eni string, on bool) {
	l.Helper()
	l.do(&vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: l.eni(eni).ID, SourceDestCheck: vpc.AttributeBooleanValue{Value: &on}})
}

// route adds a route whose target is an interface.
func (l *lab) route(table, dest, eni string) {
	l.Helper()
	l.do(&vpc.CreateRouteInput{RouteTableId: vpc.RouteTableID(table), DestinationCidrBlock: dest, NetworkInterfaceId: l.eni(eni).ID})
}

func (l *lab) allocation(name string) *vpc.Address {
	l.Helper()
	for _, a := range l.Addresses.All() {
		if a.Name() == name {
			return a
		}
	}
	l.Fatalf("no Elastic IP is called %q", name)
	return nil
}

// conn is a TCP connection whose handshake has been made. Each side sees its own
// end of the translations between them.
type conn struct {
	*lab
	client, server       string
	clientSees, serverIs packet.Tuple // from the client; as the server sees it
}

// connect opens a connection and wants it to work.
func (l *lab) connect(from, to, at string) *conn {
	l.Helper()
	there, back := l.works(from, to, at)
	if l.Failed() {
		l.FailNow()
	}
	c := &conn{l, from, at, there.Event.Sent, there.Header().Tuple}
	l.answer(back).Want(pt.At(at))
	return c
}

func segment(t packet.Tuple) []byte {
	return pt.TCP(fmt.Sprintf("%s:%d", t.Src, t.SrcPort), fmt.Sprintf("%s:%d", t.Dst, t.DstPort), packet.FlagACK|packet.FlagPSH, 10)
}

// says sends data from the client, hears from the server.
func (c *conn) says() *pt.Result  { c.Helper(); return c.send(c.client, segment(c.clientSees)) }
func (c *conn) hears() *pt.Result { c.Helper(); return c.send(c.server, segment(c.serverIs.Reverse())) }

// goesOn wants the connection to carry data both ways.
func (c *conn) goesOn() {
	c.Helper()
	c.says().Want(pt.At(c.server))
	c.hears().Want(pt.At(c.client))
}
