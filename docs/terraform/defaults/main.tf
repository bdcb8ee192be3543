# What every account and VPC comes with, taken over.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "eu-central-1"
}

variable "changed" {
  type    = bool
  default = false
}

resource "aws_default_vpc" "default" {
  tags = { Name = "Default VPC", Changed = var.changed }
}

resource "aws_default_subnet" "a" {
  availability_zone       = "eu-central-1a"
  map_public_ip_on_launch = !var.changed
  tags                    = { Name = "Default subnet" }
}

# The provider tags these only by a change, not when it takes them over.
resource "aws_default_vpc_dhcp_options" "default" {
  tags = var.changed ? { Name = "Default options" } : {}
}

resource "aws_vpc" "own" {
  cidr_block = "10.4.0.0/16"
}

resource "aws_internet_gateway" "own" {
  vpc_id = aws_vpc.own.id
}

resource "aws_default_route_table" "own" {
  default_route_table_id = aws_vpc.own.default_route_table_id

  dynamic "route" {
    for_each = var.changed ? [] : ["0.0.0.0/0"]
    content {
      cidr_block = route.value
      gateway_id = aws_internet_gateway.own.id
    }
  }
}

resource "aws_default_security_group" "own" {
  vpc_id = aws_vpc.own.id

  ingress {
    protocol  = -1
    self      = true
    from_port = 0
    to_port   = 0
  }
}

resource "aws_default_network_acl" "own" {
  default_network_acl_id = aws_vpc.own.default_network_acl_id

  ingress {
    protocol   = "tcp"
    rule_no    = 100
    action     = "allow"
    cidr_block = "10.4.0.0/16"
    from_port  = 0
    to_port    = 65535
  }
}
