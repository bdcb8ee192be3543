# Changes that make a resource anew, and move what depends on it: before the old one goes
# where that is asked for.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "ca-central-1"
}

variable "changed" {
  type    = bool
  default = false
}

resource "aws_vpc" "main" {
  cidr_block = "10.11.0.0/16"
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

# Another zone: the subnet goes with all that is in it.
resource "aws_subnet" "moved" {
  vpc_id            = aws_vpc.main.id
  cidr_block        = "10.11.0.0/24"
  availability_zone = var.changed ? "ca-central-1b" : "ca-central-1a"
}

resource "aws_subnet" "stays" {
  vpc_id            = aws_vpc.main.id
  cidr_block        = "10.11.1.0/24"
  availability_zone = "ca-central-1a"
  depends_on        = [aws_internet_gateway.main]
}

resource "aws_route_table" "moved" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route_table_association" "moved" {
  subnet_id      = aws_subnet.moved.id
  route_table_id = aws_route_table.moved.id
}

resource "aws_network_acl" "moved" {
  vpc_id = aws_vpc.main.id
}

resource "aws_network_acl_association" "moved" {
  subnet_id      = aws_subnet.moved.id
  network_acl_id = aws_network_acl.moved.id
}

# From public to private: another gateway, and the route follows.
resource "aws_nat_gateway" "main" {
  subnet_id                      = aws_subnet.stays.id
  connectivity_type              = var.changed ? "private" : "public"
  allocation_id                  = var.changed ? null : aws_eip.nat.id
  secondary_private_ip_addresses = var.changed ? ["10.11.1.200", "10.11.1.201"] : null
}

resource "aws_eip" "nat" {
  domain = "vpc"
}

resource "aws_route" "out" {
  route_table_id         = aws_route_table.moved.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.main.id
}

resource "aws_security_group" "main" {
  name   = var.changed ? "after" : "before"
  vpc_id = aws_vpc.main.id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "follows" {
  name   = "follows"
  vpc_id = aws_vpc.main.id

  ingress {
    from_port       = 443
    to_port         = 443
    protocol        = "tcp"
    security_groups = [aws_security_group.main.id]
  }
}

resource "aws_key_pair" "main" {
  key_name_prefix = var.changed ? "after-" : "before-"
  public_key      = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5tAt4pWqCyIMVnGHf8pgyrE4ayRM7k6I1mBWJWrBZp replacements"

  lifecycle {
    create_before_destroy = true
  }
}

# The new instances run before the old ones end, and the addresses move to them.
resource "aws_instance" "stays" {
  count                       = 2
  ami                         = var.changed ? "ami-00000000000000002" : "ami-00000000000000001"
  instance_type               = "t3.micro"
  subnet_id                   = aws_subnet.stays.id
  key_name                    = aws_key_pair.main.key_name
  vpc_security_group_ids      = [aws_security_group.main.id, aws_security_group.follows.id]
  user_data                   = "#!/bin/sh\necho ${var.changed}\n"
  user_data_replace_on_change = true

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_eip" "stays" {
  count    = 2
  domain   = "vpc"
  instance = aws_instance.stays[count.index].id
}

resource "aws_instance" "moved" {
  ami                    = "ami-00000000000000001"
  instance_type          = "t3.small"
  subnet_id              = aws_subnet.moved.id
  private_ip             = "10.11.0.10"
  vpc_security_group_ids = [aws_security_group.follows.id]
}

resource "aws_network_interface" "listed" {
  subnet_id               = aws_subnet.moved.id
  private_ip_list_enabled = true
  private_ip_list         = var.changed ? ["10.11.0.22", "10.11.0.20", "10.11.0.21"] : ["10.11.0.20", "10.11.0.21"]
  security_groups         = var.changed ? [aws_security_group.follows.id] : [aws_security_group.main.id]

  attachment {
    instance     = aws_instance.moved.id
    device_index = 1
  }
}

resource "aws_vpc_dhcp_options" "main" {
  domain_name = var.changed ? "after.internal" : "before.internal"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_dhcp_options_association" "main" {
  vpc_id          = aws_vpc.main.id
  dhcp_options_id = aws_vpc_dhcp_options.main.id
}

resource "aws_flow_log" "main" {
  vpc_id                   = aws_vpc.main.id
  traffic_type             = var.changed ? "REJECT" : "ALL"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::logs"
  max_aggregation_interval = 60
}
