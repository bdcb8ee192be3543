# What is less common: a setting of each kind that has a form of its own, or that is
# changed by an action of its own, some by a stop and start.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "us-east-1"

  default_tags {
    tags = { Project = "settings" }
  }
}

variable "changed" {
  type    = bool
  default = false
}

resource "aws_vpc" "main" {
  cidr_block         = "10.8.0.0/16"
  enable_dns_support = !var.changed
  tags               = { Project = "overridden" }
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_subnet" "main" {
  vpc_id                              = aws_vpc.main.id
  cidr_block                          = "10.8.0.0/24"
  availability_zone                   = "us-east-1b"
  map_public_ip_on_launch             = var.changed
  private_dns_hostname_type_on_launch = var.changed ? "resource-name" : "ip-name"

  depends_on = [aws_internet_gateway.main]
}

resource "aws_subnet" "other" {
  vpc_id            = aws_vpc.main.id
  cidr_block        = "10.8.1.0/24"
  availability_zone = "us-east-1b"
}

resource "aws_route_table" "inline" {
  vpc_id = aws_vpc.main.id

  # The interface first, then the gateway in its place.
  route {
    cidr_block           = "192.0.2.0/24"
    network_interface_id = var.changed ? null : aws_network_interface.pair[0].id
    gateway_id           = var.changed ? aws_internet_gateway.main.id : null
  }
  route {
    cidr_block = var.changed ? "198.51.100.0/25" : "198.51.100.0/24"
    gateway_id = aws_internet_gateway.main.id
  }
  route {
    cidr_block = aws_vpc.main.cidr_block
    gateway_id = "local"
  }
}

resource "aws_route_table_association" "main" {
  subnet_id      = var.changed ? aws_subnet.other.id : aws_subnet.main.id
  route_table_id = aws_route_table.inline.id
}

# Made anew before the old one goes, as its name changes.
resource "aws_security_group" "main" {
  name_prefix            = var.changed ? "after-" : "before-"
  description            = "Ping, & what it needs (for all)"
  vpc_id                 = aws_vpc.main.id
  revoke_rules_on_delete = true

  ingress {
    description = "ICMP: fragmentation needed"
    protocol    = "icmp"
    from_port   = 3
    to_port     = 4
    cidr_blocks = ["10.0.0.0/8", "192.168.0.0/16"]
  }
  ingress {
    protocol  = "tcp"
    from_port = 0
    to_port   = 65535
    self      = true
  }
  egress {
    protocol    = "udp"
    from_port   = 53
    to_port     = 53
    cidr_blocks = ["0.0.0.0/0"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_network_acl" "main" {
  vpc_id     = aws_vpc.main.id
  subnet_ids = var.changed ? [aws_subnet.other.id] : [aws_subnet.main.id, aws_subnet.other.id]
}

resource "aws_network_acl_rule" "ping" {
  network_acl_id = aws_network_acl.main.id
  rule_number    = 100
  egress         = false
  protocol       = "icmp"
  rule_action    = "allow"
  cidr_block     = "0.0.0.0/0"
  icmp_type      = 8
  icmp_code      = -1
}

resource "aws_network_acl_rule" "all" {
  count          = 2
  network_acl_id = aws_network_acl.main.id
  rule_number    = 200 + count.index
  egress         = count.index == 0
  protocol       = "-1"
  rule_action    = var.changed ? "deny" : "allow"
  cidr_block     = "0.0.0.0/0"
}

resource "aws_key_pair" "rsa" {
  key_name   = "settings"
  public_key = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDRfJymvw1Nya+p0k1lvD2EWggmcNMKQi5OYoZZjn+vWL5KkDau2WKvoPgOrD9pZS4Xqk4H0vcdh1Tri/NmXlcy0hbtRv0hz4NmgUbJWgZtUFkRVxplISbFZzNyQu/zfbAH+digIR/lcI4ZBeRTrc8/XNTWvrShPpFR0HHmQYfz0yC4zarj+nDCwQXGSnVQTtMCJFuwWITQw4DlKwKCOMFR10jODrySzByKCpsrnrIhUwL0u85k0nw4+DSJGZCH6/+7ccJGcqMiiqO9Gr7d0DjB9SFo4I5//hzfE/NjbGvM22Niclu9fGhty6abDXKm23a4FU+igP3qIX9pg9ewLiSN settings"
  tags       = { Changed = var.changed }
}

resource "aws_network_interface" "pair" {
  count             = 2
  subnet_id         = aws_subnet.main.id
  security_groups   = [aws_security_group.main.id]
  source_dest_check = false
  private_ips_count = var.changed ? 2 : 1
}

# Of interfaces that were there before it.
resource "aws_instance" "router" {
  ami           = "ami-0123456789abcdef0"
  instance_type = "t3.medium"
  key_name      = aws_key_pair.rsa.key_name

  dynamic "network_interface" {
    for_each = aws_network_interface.pair
    content {
      device_index         = network_interface.key
      network_interface_id = network_interface.value.id
    }
  }
}

# What is changed here takes a stop and a start: type and user data.
resource "aws_instance" "stopped" {
  ami                         = "ami-0123456789abcdef0"
  instance_type               = var.changed ? "m5.large" : "t3.small"
  subnet_id                   = aws_subnet.other.id
  private_ip                  = "10.8.1.50"
  secondary_private_ips       = ["10.8.1.51", "10.8.1.52"]
  vpc_security_group_ids      = [var.changed ? aws_vpc.main.default_security_group_id : aws_security_group.main.id]
  user_data_base64            = base64encode(var.changed ? "#!/bin/sh\necho second\n" : "#!/bin/sh\necho first\n")
  user_data_replace_on_change = false
  disable_api_stop            = false
  hibernation                 = false
  tenancy                     = "default"

  metadata_options {
    http_endpoint = var.changed ? "disabled" : "enabled"
    http_tokens   = "optional"
  }
  maintenance_options {
    auto_recovery = var.changed ? "disabled" : "default"
  }
  private_dns_name_options {
    hostname_type                     = "ip-name"
    enable_resource_name_dns_a_record = var.changed
  }
  enclave_options {
    enabled = false
  }
  capacity_reservation_specification {
    capacity_reservation_preference = "open"
  }

  volume_tags = { Name = "stopped", Changed = var.changed }
}

# By name, in the default VPC.
resource "aws_security_group" "named" {
  name = "named"
}

resource "aws_instance" "default" {
  ami                     = "ami-0123456789abcdef0"
  instance_type           = "t2.nano"
  availability_zone       = "us-east-1c"
  security_groups         = [aws_security_group.named.name]
  disable_api_termination = !var.changed
  get_password_data       = false
}

resource "aws_eip" "default" {
  instance         = var.changed ? aws_instance.default.id : null
  domain           = "vpc"
  public_ipv4_pool = "amazon"
  tags             = { Name = "default" }
}

resource "aws_eip" "private_ip" {
  network_interface         = aws_network_interface.pair[0].id
  associate_with_private_ip = aws_network_interface.pair[0].private_ip
}

resource "aws_ec2_instance_metadata_defaults" "region" {
  http_tokens                 = "required"
  http_put_response_hop_limit = var.changed ? 3 : 2
}
