# What terraform-aws-modules/vpc makes for its example "network-acls": public subnets with a
# network ACL of their own, rules as resources, and private and cache subnets.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "eu-west-1"
}

variable "changed" {
  type    = bool
  default = false
}

data "aws_availability_zones" "available" {
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  name = "ex-network-acls"
  cidr = "10.0.0.0/16"
  azs  = slice(data.aws_availability_zones.available.names, 0, 3)

  inbound = [
    { rule_number = 900, from_port = 1024, to_port = 65535, protocol = "tcp", cidr_block = "0.0.0.0/0" },
    { rule_number = 100, from_port = 80, to_port = 80, protocol = "tcp", cidr_block = "0.0.0.0/0" },
    { rule_number = 110, from_port = 443, to_port = 443, protocol = "tcp", cidr_block = "0.0.0.0/0" },
    { rule_number = 120, from_port = 22, to_port = 22, protocol = "tcp", cidr_block = var.changed ? "10.0.0.0/8" : "0.0.0.0/0" },
    { rule_number = 130, from_port = 3389, to_port = 3389, protocol = "tcp", cidr_block = "0.0.0.0/0" },
  ]
  outbound = [
    { rule_number = 900, from_port = 32768, to_port = 65535, protocol = "tcp", cidr_block = "0.0.0.0/0" },
    { rule_number = 100, from_port = 80, to_port = 80, protocol = "tcp", cidr_block = "0.0.0.0/0" },
    { rule_number = 110, from_port = 443, to_port = 443, protocol = "tcp", cidr_block = "0.0.0.0/0" },
    { rule_number = 120, from_port = 1433, to_port = 1433, protocol = "tcp", cidr_block = "10.0.100.0/22" },
    { rule_number = 130, from_port = 22, to_port = 22, protocol = "tcp", cidr_block = "10.0.100.0/22" },
  ]
}

resource "aws_vpc" "this" {
  cidr_block           = local.cidr
  enable_dns_hostnames = true
  tags                 = { Name = local.name }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = local.name }
}

resource "aws_subnet" "public" {
  count = length(local.azs)

  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(local.cidr, 8, count.index + 4)
  availability_zone = local.azs[count.index]
  tags              = { Name = "${local.name}-public-${local.azs[count.index]}" }
}

resource "aws_subnet" "private" {
  count = length(local.azs)

  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(local.cidr, 8, count.index)
  availability_zone = local.azs[count.index]
  tags              = { Name = "${local.name}-private-${local.azs[count.index]}" }
}

resource "aws_subnet" "elasticache" {
  count = length(local.azs)

  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(local.cidr, 8, count.index + 8)
  availability_zone = local.azs[count.index]
  tags              = { Name = "${local.name}-elasticache-${local.azs[count.index]}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${local.name}-public" }
}

resource "aws_route" "public_internet_gateway" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id

  timeouts {
    create = "5m"
  }
}

resource "aws_route_table_association" "public" {
  count = length(local.azs)

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_network_acl" "public" {
  vpc_id     = aws_vpc.this.id
  subnet_ids = aws_subnet.public[*].id
  tags       = { Name = "${local.name}-public" }
}

resource "aws_network_acl_rule" "public_inbound" {
  count = length(local.inbound)

  network_acl_id = aws_network_acl.public.id
  egress         = false
  rule_number    = local.inbound[count.index].rule_number
  rule_action    = "allow"
  from_port      = local.inbound[count.index].from_port
  to_port        = local.inbound[count.index].to_port
  protocol       = local.inbound[count.index].protocol
  cidr_block     = local.inbound[count.index].cidr_block
}

resource "aws_network_acl_rule" "public_outbound" {
  count = length(local.outbound)

  network_acl_id = aws_network_acl.public.id
  egress         = true
  rule_number    = local.outbound[count.index].rule_number
  rule_action    = "allow"
  from_port      = local.outbound[count.index].from_port
  to_port        = local.outbound[count.index].to_port
  protocol       = local.outbound[count.index].protocol
  cidr_block     = local.outbound[count.index].cidr_block
}

resource "aws_network_acl_rule" "public_icmp" {
  network_acl_id = aws_network_acl.public.id
  egress         = true
  rule_number    = 140
  rule_action    = "allow"
  protocol       = "icmp"
  icmp_type      = -1
  icmp_code      = -1
  cidr_block     = "10.0.0.0/22"
}

resource "aws_eip" "nat" {
  count  = var.changed ? 2 : 1
  domain = "vpc"
  tags   = { Name = "${local.name}-${local.azs[count.index]}" }
}

resource "aws_nat_gateway" "this" {
  count = var.changed ? 2 : 1

  allocation_id = aws_eip.nat[count.index].id
  subnet_id     = aws_subnet.public[count.index].id
  tags          = { Name = "${local.name}-${local.azs[count.index]}" }
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "private" {
  count = length(local.azs)

  vpc_id = aws_vpc.this.id
  tags   = { Name = "${local.name}-private-${local.azs[count.index]}" }
}

resource "aws_route" "private_nat_gateway" {
  count = length(local.azs)

  route_table_id         = aws_route_table.private[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[count.index % length(aws_nat_gateway.this)].id
}

resource "aws_route_table_association" "private" {
  count = length(local.azs)

  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private[count.index].id
}

resource "aws_route_table_association" "elasticache" {
  count = length(local.azs)

  subnet_id      = aws_subnet.elasticache[count.index].id
  route_table_id = aws_route_table.private[count.index].id
}
