package main

import (
	"time"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// topologyFile is a lab of the benchmark.
type topologyFile struct{ name, text string }

// model is the VPC that the file describes.
func (t topologyFile) model() (*vpc.Model, error) {
	f, err := topology.Parse(t.name+".yaml", []byte(t.text))
	if err != nil {
		return nil, err
	}
	m, _, _, err := f.Converge(nil, time.Now(), topology.Options{})
	return &m, err
}

// pair is the lab of most work: two instances in two subnets, tracked by a rule each way, and the Internet behind a NAT gateway.
func pair() topologyFile {
	return topologyFile{"bench", `version: 1
name: bench
default_vpc: false
vpcs:
  main: {cidr_block: 10.0.0.0/16}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24}
  a: {vpc: main, cidr_block: 10.0.1.0/24}
  b: {vpc: main, cidr_block: 10.0.2.0/24}
internet_gateways:
  igw: {vpc: main}
elastic_ips:
  nat: {}
nat_gateways:
  nat: {subnet: public, elastic_ip: nat}
route_tables:
  public:
    vpc: main
    subnets: [public]
    routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]
  private:
    vpc: main
    subnets: [a, b]
    routes: [{cidr_block: 0.0.0.0/0, nat_gateway: nat}]
security_groups:
  client:
    vpc: main
    egress:
      - {protocol: tcp, ports: 5001-5999, cidr_blocks: [10.0.2.0/24, 198.51.100.0/24]}
      - {protocol: udp, ports: 5001-5999, cidr_blocks: [10.0.2.0/24, 198.51.100.0/24]}
  server:
    vpc: main
    egress: []
    ingress:
      - {protocol: tcp, ports: 5001-5999, cidr_blocks: [10.0.1.0/24]}
      - {protocol: udp, ports: 5001-5999, cidr_blocks: [10.0.1.0/24]}
instances:
  a: {subnet: a, private_ip: 10.0.1.10, security_groups: [client]}
  b: {subnet: b, private_ip: 10.0.2.10, security_groups: [server]}
internet_hosts:
  server: {address: 198.51.100.10}
`}
}
