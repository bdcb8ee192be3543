# What terraform-aws-modules/vpc makes for its example "simple": private subnets in three
# zones, and the VPC's default security group, network ACL and route table taken over.

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
  name = "ex-simple"
  cidr = "10.0.0.0/16"
  azs  = slice(data.aws_availability_zones.available.names, 0, 3)
  tags = {
    Example    = local.name
    GithubRepo = "terraform-aws-vpc"
    Changed    = var.changed
  }
}

resource "aws_vpc" "this" {
  cidr_block           = local.cidr
  instance_tenancy     = "default"
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = merge({ Name = local.name }, local.tags)
}

resource "aws_subnet" "private" {
  count = length(local.azs)

  vpc_id                                         = aws_vpc.this.id
  cidr_block                                     = cidrsubnet(local.cidr, 4, count.index)
  availability_zone                              = local.azs[count.index]
  enable_resource_name_dns_a_record_on_launch    = false
  enable_resource_name_dns_aaaa_record_on_launch = false
  private_dns_hostname_type_on_launch            = var.changed ? "resource-name" : "ip-name"
  tags                                           = merge({ Name = "${local.name}-private-${local.azs[count.index]}" }, local.tags)
}

resource "aws_route_table" "private" {
  count = length(local.azs)

  vpc_id = aws_vpc.this.id
  tags   = merge({ Name = "${local.name}-private-${local.azs[count.index]}" }, local.tags)
}

resource "aws_route_table_association" "private" {
  count = length(local.azs)

  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private[count.index].id
}

resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge({ Name = "${local.name}-default" }, local.tags)
}

resource "aws_default_network_acl" "this" {
  default_network_acl_id = aws_vpc.this.default_network_acl_id
  subnet_ids             = null

  dynamic "ingress" {
    for_each = var.changed ? [100, 200] : [100]
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

  tags = merge({ Name = "${local.name}-default" }, local.tags)

  lifecycle {
    ignore_changes = [subnet_ids]
  }
}

resource "aws_default_route_table" "default" {
  default_route_table_id = aws_vpc.this.default_route_table_id

  timeouts {
    create = "5m"
    update = "5m"
  }

  tags = merge({ Name = "${local.name}-default" }, local.tags)
}
