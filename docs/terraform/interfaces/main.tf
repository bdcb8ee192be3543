# Network interfaces, addresses and NAT gateways in all their forms.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "us-west-2"
}

variable "changed" {
  type    = bool
  default = false
}

resource "aws_vpc" "main" {
  cidr_block = "10.2.0.0/16"
}

resource "aws_vpc_ipv4_cidr_block_association" "second" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.3.0.0/16"
}

resource "aws_internet_gateway" "main" {}

resource "aws_internet_gateway_attachment" "main" {
  vpc_id              = aws_vpc.main.id
  internet_gateway_id = aws_internet_gateway.main.id
}

resource "aws_subnet" "a" {
  vpc_id            = aws_vpc.main.id
  cidr_block        = "10.2.0.0/24"
  availability_zone = "us-west-2a"
}

resource "aws_subnet" "second" {
  vpc_id               = aws_vpc_ipv4_cidr_block_association.second.vpc_id
  cidr_block           = "10.3.0.0/24"
  availability_zone_id = "usw2-az2"
}

resource "aws_ec2_subnet_cidr_reservation" "kept" {
  subnet_id        = aws_subnet.a.id
  cidr_block       = "10.2.0.128/28"
  reservation_type = "explicit"
  description      = "for what is made by hand"
}

resource "aws_security_group" "one" {
  name   = "one"
  vpc_id = aws_vpc.main.id
}

resource "aws_security_group" "two" {
  name   = "two"
  vpc_id = aws_vpc.main.id
}

resource "aws_network_interface" "nic" {
  subnet_id         = aws_subnet.a.id
  description       = var.changed ? "changed" : "first"
  private_ips       = var.changed ? ["10.2.0.20", "10.2.0.21"] : ["10.2.0.20"]
  security_groups   = [aws_security_group.one.id]
  source_dest_check = var.changed
  tags              = { Name = "nic" }
}

resource "aws_network_interface" "spare" {
  subnet_id = aws_subnet.a.id

  lifecycle {
    ignore_changes = [security_groups]
  }
}

resource "aws_network_interface_sg_attachment" "two" {
  security_group_id    = aws_security_group.two.id
  network_interface_id = aws_network_interface.spare.id
}

resource "aws_instance" "host" {
  ami           = "ami-0123456789abcdef0"
  instance_type = "t3.small"
  subnet_id     = aws_subnet.a.id
}

resource "aws_network_interface_attachment" "nic" {
  instance_id          = aws_instance.host.id
  network_interface_id = aws_network_interface.nic.id
  device_index         = 1
}

resource "aws_eip" "nic" {
  domain                    = "vpc"
  network_interface         = aws_network_interface.nic.id
  associate_with_private_ip = "10.2.0.20"
  depends_on                = [aws_internet_gateway_attachment.main]
}

resource "aws_eip" "moving" {
  domain = "vpc"
}

resource "aws_eip_association" "moving" {
  allocation_id        = aws_eip.moving.id
  network_interface_id = var.changed ? aws_network_interface.spare.id : aws_instance.host.primary_network_interface_id
  depends_on           = [aws_internet_gateway_attachment.main]
}

resource "aws_eip" "nat" {
  count  = 2
  domain = "vpc"
}

resource "aws_nat_gateway" "public" {
  subnet_id                = aws_subnet.a.id
  allocation_id            = aws_eip.nat[0].id
  private_ip               = "10.2.0.50"
  secondary_allocation_ids = var.changed ? [aws_eip.nat[1].id] : []
  depends_on               = [aws_internet_gateway_attachment.main]
}

resource "aws_nat_gateway" "private" {
  connectivity_type                  = "private"
  subnet_id                          = aws_subnet.second.id
  secondary_private_ip_address_count = 2
}

resource "aws_route_table" "a" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route" "to_interface" {
  route_table_id         = aws_route_table.a.id
  destination_cidr_block = "192.168.0.0/16"
  network_interface_id   = aws_network_interface.nic.id
}

resource "aws_route" "out" {
  route_table_id         = aws_route_table.a.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = var.changed ? aws_nat_gateway.private.id : aws_nat_gateway.public.id
}

resource "aws_main_route_table_association" "a" {
  vpc_id         = aws_vpc.main.id
  route_table_id = aws_route_table.a.id
}

resource "aws_route_table" "edge" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route_table_association" "edge" {
  gateway_id     = aws_internet_gateway.main.id
  route_table_id = aws_route_table.edge.id
  depends_on     = [aws_internet_gateway_attachment.main]
}

data "aws_network_interface" "nic" {
  id = aws_network_interface.nic.id
}

data "aws_network_interfaces" "of_subnet" {
  filter {
    name   = "subnet-id"
    values = [aws_subnet.a.id]
  }
  depends_on = [aws_network_interface.spare]
}

data "aws_route_table" "edge" {
  route_table_id = aws_route_table.edge.id
}

data "aws_nat_gateway" "public" {
  id = aws_nat_gateway.public.id
}

data "aws_eip" "moving" {
  id = aws_eip.moving.id
}
