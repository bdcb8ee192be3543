# What TestTerraform reads: show.json is `terraform show -json` after apply, plan.json of the plan before it, with the
# AWS provider 5.100.0 against an empty lab. It has what states of real configurations have: a module, count and
# for_each, inline and separate rules and routes, default objects.
terraform {
  required_providers {
    aws    = { source = "hashicorp/aws", version = "5.100.0" }
  }
}

provider "aws" {
  region = "us-east-1"
  default_tags { tags = { project = "shop" } }
}

module "net" {
  source = "./net"
  name   = "shop"
  cidr   = "10.20.0.0/16"
  zones  = ["us-east-1a", "us-east-1b"]
}

resource "aws_security_group" "web" {
  name        = "web"
  description = "HTTP from everywhere"
  vpc_id      = module.net.vpc_id
  ingress {
    from_port   = 80
    to_port     = 80
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
  ingress {
    from_port   = 8
    to_port     = -1
    protocol    = "icmp"
    cidr_blocks = ["10.20.0.0/16", "192.168.0.0/24"]
    description = "ping"
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "db" {
  name_prefix = "db-"
  vpc_id      = module.net.vpc_id
}

resource "aws_security_group_rule" "db_from_web" {
  security_group_id        = aws_security_group.db.id
  type                     = "ingress"
  protocol                 = "tcp"
  from_port                = 3306
  to_port                  = 3306
  source_security_group_id = aws_security_group.web.id
}

resource "aws_vpc_security_group_egress_rule" "db_out" {
  security_group_id = aws_security_group.db.id
  ip_protocol       = "-1"
  cidr_ipv4         = "10.20.0.0/16"
}

resource "aws_vpc_security_group_ingress_rule" "db_members" {
  security_group_id            = aws_security_group.db.id
  ip_protocol                  = "udp"
  from_port                    = 8000
  to_port                      = 8100
  referenced_security_group_id = aws_security_group.db.id
  description                  = "members"
}

resource "aws_default_security_group" "none" {
  vpc_id = module.net.vpc_id
}

resource "aws_network_acl" "public" {
  vpc_id     = module.net.vpc_id
  subnet_ids = module.net.public_subnets
  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    from_port  = 0
    to_port    = 0
    cidr_block = "0.0.0.0/0"
  }
  ingress {
    rule_no    = 50
    action     = "deny"
    protocol   = "udp"
    from_port  = 53
    to_port    = 53
    cidr_block = "192.0.2.0/24"
  }
  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    from_port  = 0
    to_port    = 0
    cidr_block = "0.0.0.0/0"
  }
  tags = { Name = "public" }
}

resource "aws_network_acl" "private" {
  vpc_id     = module.net.vpc_id
  subnet_ids = module.net.private_subnets
}

resource "aws_network_acl_rule" "mysql" {
  network_acl_id = aws_network_acl.private.id
  rule_number    = 100
  rule_action    = "allow"
  protocol       = "tcp"
  from_port      = 3306
  to_port        = 3306
  cidr_block     = "10.20.0.0/16"
}

resource "aws_network_acl_rule" "ping" {
  network_acl_id = aws_network_acl.private.id
  rule_number    = 200
  rule_action    = "allow"
  protocol       = "icmp"
  icmp_type      = 8
  icmp_code      = -1
  cidr_block     = "10.20.0.0/16"
}

resource "aws_network_acl_rule" "out" {
  network_acl_id = aws_network_acl.private.id
  rule_number    = 100
  egress         = true
  rule_action    = "allow"
  protocol       = "-1"
  cidr_block     = "0.0.0.0/0"
}

resource "aws_key_pair" "ops" {
  key_name   = "ops"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOzrnJmhQH7WTLuQ3w4rUYl2CWyBzDZ4Ip3VYa0kQ2Qp ops"
}

resource "aws_instance" "web" {
  count                  = 2
  ami                    = "ami-0766563656d750001"
  instance_type          = "t3.small"
  subnet_id              = module.net.public_subnets[count.index]
  vpc_security_group_ids = [aws_security_group.web.id]
  key_name               = aws_key_pair.ops.key_name
  private_ip             = cidrhost(["10.20.0.0/24", "10.20.1.0/24"][count.index], 10)
  user_data_base64       = base64encode("#!/bin/sh\necho hello\n")
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
  }
  tags = { Name = "Web ${count.index + 1}" }
}

resource "aws_network_interface" "db" {
  subnet_id       = module.net.private_subnets[0]
  private_ips     = ["10.20.10.20", "10.20.10.21"]
  security_groups = [aws_security_group.db.id]
  tags            = { Name = "db-primary" }
}

resource "aws_instance" "db" {
  ami           = "ami-0766563656d750001"
  instance_type = "t3.small"
  network_interface {
    network_interface_id = aws_network_interface.db.id
    device_index         = 0
  }
  tags = { Name = "db" }
}

resource "aws_network_interface" "db_admin" {
  subnet_id       = module.net.private_subnets[0]
  private_ips     = ["10.20.10.30"]
  security_groups = [aws_security_group.db.id]
  attachment {
    instance     = aws_instance.db.id
    device_index = 1
  }
}

resource "aws_eip" "web" {
  instance = aws_instance.web[0].id
  domain   = "vpc"
  tags     = { Name = "web" }
}

resource "aws_eip" "spare" {
  domain = "vpc"
}

resource "aws_flow_log" "rejects" {
  vpc_id                   = module.net.vpc_id
  traffic_type             = "REJECT"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::shop-flow-logs"
  max_aggregation_interval = 60
}
