# Every way of writing a rule: in the group, as a rule of the older kind, as one of the newer
# kind, and in a network ACL.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "us-east-1"
}

variable "changed" {
  type    = bool
  default = false
}

resource "aws_vpc" "rules" {
  cidr_block = "10.1.0.0/16"
  tags       = { Name = "rules" }
}

resource "aws_security_group" "inline" {
  name_prefix = "inline-"
  description = "Rules in the group"
  vpc_id      = aws_vpc.rules.id

  ingress {
    description = "a range of ports"
    from_port   = 8000
    to_port     = var.changed ? 8200 : 8100
    protocol    = "tcp"
    cidr_blocks = ["10.1.0.0/16", "192.168.0.0/24"]
  }
  ingress {
    from_port = 53
    to_port   = 53
    protocol  = "udp"
    self      = true
  }
  ingress {
    from_port       = 8
    to_port         = 0
    protocol        = "icmp"
    security_groups = [aws_security_group.peer.id]
    cidr_blocks     = ["0.0.0.0/0"]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "peer" {
  name                   = "peer"
  vpc_id                 = aws_vpc.rules.id
  revoke_rules_on_delete = true
}

resource "aws_security_group_rule" "all_of_group" {
  type                     = "ingress"
  security_group_id        = aws_security_group.peer.id
  source_security_group_id = aws_security_group.older.id
  protocol                 = "-1"
  from_port                = 0
  to_port                  = 0
}

resource "aws_security_group" "older" {
  name   = "older"
  vpc_id = aws_vpc.rules.id
}

resource "aws_security_group_rule" "ranges" {
  type              = "ingress"
  security_group_id = aws_security_group.older.id
  protocol          = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_blocks       = var.changed ? ["10.0.0.0/8"] : ["10.0.0.0/8", "172.16.0.0/12"]
  description       = "from private ranges"
}

resource "aws_security_group_rule" "self" {
  type              = "egress"
  security_group_id = aws_security_group.older.id
  protocol          = "udp"
  from_port         = 1000
  to_port           = 2000
  self              = true
}

resource "aws_security_group_rule" "esp" {
  type              = "egress"
  security_group_id = aws_security_group.older.id
  protocol          = "50"
  from_port         = 0
  to_port           = 0
  cidr_blocks       = ["10.2.0.0/16"]
}

resource "aws_security_group" "newer" {
  name   = "newer"
  vpc_id = aws_vpc.rules.id
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  security_group_id = aws_security_group.newer.id
  description       = var.changed ? "ssh, from one host" : "ssh"
  cidr_ipv4         = var.changed ? "10.1.0.9/32" : "10.1.0.0/16"
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  tags              = { Name = "ssh" }
}

resource "aws_vpc_security_group_egress_rule" "group" {
  security_group_id            = aws_security_group.newer.id
  referenced_security_group_id = aws_security_group.older.id
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_egress_rule" "ping" {
  security_group_id = aws_security_group.newer.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "icmp"
  from_port         = 8
  to_port           = -1
}

resource "aws_subnet" "rules" {
  vpc_id     = aws_vpc.rules.id
  cidr_block = "10.1.1.0/24"
}

resource "aws_network_acl" "inline" {
  vpc_id = aws_vpc.rules.id
  tags   = { Name = "inline" }

  ingress {
    rule_no    = 100
    action     = "deny"
    protocol   = "tcp"
    cidr_block = "203.0.113.0/24"
    from_port  = 22
    to_port    = 22
  }
  ingress {
    rule_no    = var.changed ? 210 : 200
    action     = "allow"
    protocol   = "-1"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    to_port    = 0
  }
  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "icmp"
    cidr_block = "0.0.0.0/0"
    icmp_type  = -1
    icmp_code  = -1
    from_port  = 0
    to_port    = 0
  }
}

resource "aws_network_acl_association" "rules" {
  network_acl_id = aws_network_acl.inline.id
  subnet_id      = aws_subnet.rules.id
}

data "aws_security_group" "default" {
  vpc_id = aws_vpc.rules.id
  name   = "default"
}

data "aws_security_groups" "of_vpc" {
  filter {
    name   = "vpc-id"
    values = [aws_vpc.rules.id]
  }
  depends_on = [aws_security_group.older]
}

data "aws_vpc_security_group_rule" "ssh" {
  security_group_rule_id = aws_vpc_security_group_ingress_rule.ssh.id
}
