# The worked example: a web server in a public subnet, a database server in a private one
# behind a NAT gateway.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

provider "aws" {
  region = "ap-northeast-1"
}

variable "changed" {
  description = "Whether the web server also answers over TLS, and the database lets ping in"
  type        = bool
  default     = false
}

variable "public_key" {
  description = "Public half of the key that logs in to the servers"
  type        = string
  default     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5tAt4pWqCyIMVnGHf8pgyrE4ayRM7k6I1mBWJWrBZp book"
}

data "aws_ami" "al2023" {
  most_recent = true
  owners      = ["amazon"]

  filter {
    name   = "name"
    values = ["al2023-ami-2023.*-x86_64"]
  }
}

resource "aws_vpc" "book" {
  cidr_block           = "172.30.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "book" }
}

resource "aws_subnet" "public" {
  vpc_id                  = aws_vpc.book.id
  cidr_block              = "172.30.0.0/24"
  availability_zone       = "ap-northeast-1a"
  map_public_ip_on_launch = true
  tags                    = { Name = "public" }
}

resource "aws_subnet" "private" {
  vpc_id            = aws_vpc.book.id
  cidr_block        = "172.30.1.0/24"
  availability_zone = "ap-northeast-1a"
  tags              = { Name = "private" }
}

resource "aws_internet_gateway" "igw" {
  vpc_id = aws_vpc.book.id
  tags   = { Name = "igw" }
}

resource "aws_eip" "nat" {
  domain = "vpc"
  tags   = { Name = "nat" }
}

resource "aws_nat_gateway" "nat" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public.id
  tags          = { Name = "nat" }
  depends_on    = [aws_internet_gateway.igw]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.book.id
  tags   = { Name = "public" }

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.igw.id
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.book.id
  tags   = { Name = "private" }

  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.nat.id
  }
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  subnet_id      = aws_subnet.private.id
  route_table_id = aws_route_table.private.id
}

resource "aws_security_group" "web" {
  name        = "web"
  description = "ssh and HTTP from everywhere"
  vpc_id      = aws_vpc.book.id
  tags        = { Name = "web" }

  dynamic "ingress" {
    for_each = var.changed ? [22, 80, 443] : [22, 80]
    content {
      from_port   = ingress.value
      to_port     = ingress.value
      protocol    = "tcp"
      cidr_blocks = ["0.0.0.0/0"]
    }
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "db" {
  name        = "db"
  description = "ssh and MySQL from the web server"
  vpc_id      = aws_vpc.book.id
  tags        = { Name = "db" }
}

resource "aws_vpc_security_group_ingress_rule" "db" {
  for_each = { ssh = 22, mysql = 3306 }

  security_group_id            = aws_security_group.db.id
  referenced_security_group_id = aws_security_group.web.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_ingress_rule" "ping" {
  count = var.changed ? 1 : 0

  security_group_id = aws_security_group.db.id
  cidr_ipv4         = aws_vpc.book.cidr_block
  ip_protocol       = "icmp"
  from_port         = -1
  to_port           = -1
}

resource "aws_vpc_security_group_egress_rule" "db" {
  security_group_id = aws_security_group.db.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_key_pair" "book" {
  key_name   = "book"
  public_key = var.public_key
}

resource "aws_instance" "web" {
  ami                    = data.aws_ami.al2023.id
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.public.id
  private_ip             = "172.30.0.10"
  vpc_security_group_ids = [aws_security_group.web.id]
  key_name               = aws_key_pair.book.key_name
  tags                   = { Name = "web" }

  user_data = <<-EOT
    #!/bin/sh
    mkdir -p /srv/www && cd /srv/www && hostname >index.html
    nohup python3 -m http.server 80 >/var/log/www.log 2>&1 &
  EOT
}

resource "aws_instance" "db" {
  ami                    = data.aws_ami.al2023.id
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.private.id
  private_ip             = "172.30.1.10"
  vpc_security_group_ids = [aws_security_group.db.id]
  key_name               = aws_key_pair.book.key_name
  tags                   = { Name = "db", Changed = var.changed }

  # With its way out, as a database server fetches packages when it starts.
  depends_on = [aws_route_table_association.private]
}

output "web_public_ip" {
  value = aws_instance.web.public_ip
}
