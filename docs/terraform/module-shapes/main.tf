# What terraform-aws-modules/vpc makes for its examples "secondary-cidr-blocks",
# "separate-route-tables" and "manage-default-vpc", in one.

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

data "aws_availability_zones" "available" {}

locals {
  azs       = slice(data.aws_availability_zones.available.names, 0, 3)
  secondary = var.changed ? ["10.1.0.0/16"] : ["10.1.0.0/16", "10.2.0.0/16"]
  subnets = merge([
    for kind, number in { private = 0, public = 4, database = 8, elasticache = 12, redshift = 16 } : {
      for i, az in local.azs : "${kind}-${az}" => {
        kind  = kind
        az    = az
        first = i == 0
        cidr  = cidrsubnet(kind == "database" ? "10.1.0.0/16" : "10.0.0.0/16", 8, number + i)
      }
    }
  ]...)
  kinds = toset([for s in local.subnets : s.kind])
}

resource "aws_vpc" "this" {
  cidr_block           = "10.0.0.0/16"
  instance_tenancy     = "default"
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = { Name = "ex-shapes" }
}

resource "aws_vpc_ipv4_cidr_block_association" "this" {
  for_each   = toset(local.secondary)
  vpc_id     = aws_vpc.this.id
  cidr_block = each.value
}

resource "aws_subnet" "this" {
  for_each = local.subnets

  # The ranges of the VPC first.
  vpc_id                                         = aws_vpc_ipv4_cidr_block_association.this["10.1.0.0/16"].vpc_id
  availability_zone                              = each.value.az
  cidr_block                                     = each.value.cidr
  map_public_ip_on_launch                        = each.value.kind == "public"
  private_dns_hostname_type_on_launch            = each.value.kind == "redshift" ? "resource-name" : "ip-name"
  enable_resource_name_dns_a_record_on_launch    = each.value.kind == "redshift"
  enable_resource_name_dns_aaaa_record_on_launch = false
  tags                                           = { Name = "ex-shapes-${each.key}" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route_table" "this" {
  for_each = local.kinds
  vpc_id   = aws_vpc.this.id
  tags     = { Name = "ex-shapes-${each.key}" }
}

resource "aws_route_table_association" "this" {
  for_each       = aws_subnet.this
  subnet_id      = each.value.id
  route_table_id = aws_route_table.this[local.subnets[each.key].kind].id
}

resource "aws_route" "public_internet_gateway" {
  for_each               = toset(var.changed ? ["public"] : ["public", "database"])
  route_table_id         = aws_route_table.this[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id

  timeouts {
    create = "5m"
  }
}

resource "aws_eip" "nat" {
  domain     = "vpc"
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.this["public-${local.azs[0]}"].id
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route" "private_nat_gateway" {
  route_table_id         = aws_route_table.this["private"].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this.id
}

resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_default_network_acl" "this" {
  default_network_acl_id = aws_vpc.this.default_network_acl_id

  dynamic "ingress" {
    for_each = var.changed ? [100, 110] : [100]
    content {
      rule_no    = ingress.value
      action     = "allow"
      protocol   = "-1"
      from_port  = 0
      to_port    = 0
      cidr_block = "0.0.0.0/0"
    }
  }
  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    from_port  = 0
    to_port    = 0
    cidr_block = "0.0.0.0/0"
  }

  # Subnets come and go by the associations of others.
  lifecycle {
    ignore_changes = [subnet_ids]
  }
}

resource "aws_default_route_table" "default" {
  default_route_table_id = aws_vpc.this.default_route_table_id
  route                  = []
}

resource "aws_vpc_dhcp_options" "this" {
  domain_name         = var.changed ? "service.consul" : "eu-west-1.compute.internal"
  domain_name_servers = ["127.0.0.1", "10.0.0.2"]
}

resource "aws_vpc_dhcp_options_association" "this" {
  vpc_id          = aws_vpc.this.id
  dhcp_options_id = aws_vpc_dhcp_options.this.id
}

resource "aws_default_vpc" "this" {
  enable_dns_support   = true
  enable_dns_hostnames = !var.changed
}
