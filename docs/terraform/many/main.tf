# A hundred resources, for Terraform's parallelism.

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

resource "aws_vpc" "many" {
  cidr_block = "10.6.0.0/16"
}

resource "aws_subnet" "many" {
  count      = 20
  vpc_id     = aws_vpc.many.id
  cidr_block = cidrsubnet(aws_vpc.many.cidr_block, 8, count.index)
  tags       = { Number = count.index, Changed = var.changed }
}

resource "aws_route_table" "many" {
  count  = 20
  vpc_id = aws_vpc.many.id
}

resource "aws_route_table_association" "many" {
  count          = 20
  subnet_id      = aws_subnet.many[count.index].id
  route_table_id = aws_route_table.many[count.index].id
}

resource "aws_security_group" "many" {
  count  = 20
  name   = "many-${count.index}"
  vpc_id = aws_vpc.many.id
}

resource "aws_vpc_security_group_ingress_rule" "many" {
  count                        = 20
  security_group_id            = aws_security_group.many[count.index].id
  referenced_security_group_id = aws_security_group.many[(count.index + 1) % 20].id
  ip_protocol                  = "tcp"
  from_port                    = 1000 + count.index
  to_port                      = var.changed ? 2000 : 1000 + count.index
}

resource "aws_network_interface" "many" {
  count           = 20
  subnet_id       = aws_subnet.many[count.index].id
  security_groups = [aws_security_group.many[count.index].id]
}
