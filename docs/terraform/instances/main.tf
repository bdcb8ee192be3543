# Instances: how they start, what they have, and what can be changed of them.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "us-east-2"

  default_tags {
    tags = { Project = "instances" }
  }
}

variable "changed" {
  type    = bool
  default = false
}

data "aws_ami" "ubuntu" {
  most_recent = true
  owners      = ["099720109477"]

  filter {
    name   = "name"
    values = ["ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*"]
  }
  filter {
    name   = "virtualization-type"
    values = ["hvm"]
  }
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_ec2_instance_type" "small" {
  instance_type = "t3.small"
}

resource "aws_key_pair" "key" {
  key_name_prefix = "instances-"
  public_key      = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5tAt4pWqCyIMVnGHf8pgyrE4ayRM7k6I1mBWJWrBZp instances"
}

resource "aws_security_group" "open" {
  name = "open"

  ingress {
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_instance" "full" {
  ami                                  = data.aws_ami.ubuntu.id
  instance_type                        = data.aws_ec2_instance_type.small.instance_type
  subnet_id                            = sort(data.aws_subnets.default.ids)[0]
  associate_public_ip_address          = true
  vpc_security_group_ids               = [aws_security_group.open.id]
  key_name                             = aws_key_pair.key.key_name
  user_data                            = "#!/bin/sh\necho started > /var/tmp/started\n"
  source_dest_check                    = !var.changed
  disable_api_termination              = false
  instance_initiated_shutdown_behavior = var.changed ? "stop" : "terminate"
  monitoring                           = var.changed
  ebs_optimized                        = true

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = var.changed ? 2 : 1
    instance_metadata_tags      = "enabled"
  }

  credit_specification {
    cpu_credits = var.changed ? "unlimited" : "standard"
  }

  root_block_device {
    volume_size = var.changed ? 30 : 20
    volume_type = "gp3"
    tags        = { Name = "root" }
  }

  ebs_block_device {
    device_name           = "/dev/sdf"
    volume_size           = 5
    delete_on_termination = true
  }

  tags = { Name = "full", Changed = var.changed }
}

resource "aws_instance" "plain" {
  ami           = "ami-00000000000000001"
  instance_type = "t2.micro"
}

resource "aws_ec2_instance_state" "plain" {
  instance_id = aws_instance.plain.id
  state       = var.changed ? "stopped" : "running"
}

resource "aws_ec2_tag" "plain" {
  resource_id = aws_instance.plain.primary_network_interface_id
  key         = "Use"
  value       = var.changed ? "other" : "test"
}

data "aws_instance" "full" {
  instance_id = aws_instance.full.id
}

data "aws_instances" "running" {
  instance_tags = { Name = "full" }
  depends_on    = [aws_instance.full]
}

data "aws_key_pair" "key" {
  key_name = aws_key_pair.key.key_name
}
