# Data sources: what a configuration asks about what is there already.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "sa-east-1"
}

variable "changed" {
  type    = bool
  default = false
}

# ---- What every account has ----

data "aws_caller_identity" "me" {}
data "aws_default_tags" "here" {}
data "aws_region" "here" {}
data "aws_regions" "all" {}

data "aws_regions" "ap" {
  all_regions = true

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_availability_zones" "some" {
  exclude_names = ["sa-east-1b"]
  state         = "available"
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnet" "default" {
  vpc_id            = data.aws_vpc.default.id
  availability_zone = data.aws_availability_zones.some.names[0]
  default_for_az    = true
}

data "aws_internet_gateway" "default" {
  filter {
    name   = "attachment.vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_security_group" "default" {
  vpc_id = data.aws_vpc.default.id
  name   = "default"
}

data "aws_network_acls" "default" {
  vpc_id = data.aws_vpc.default.id
}

data "aws_vpc_dhcp_options" "default" {
  dhcp_options_id = data.aws_vpc.default.dhcp_options_id
}

data "aws_route_table" "default" {
  vpc_id = data.aws_vpc.default.id

  filter {
    name   = "association.main"
    values = ["true"]
  }
}

data "aws_route" "default" {
  route_table_id         = data.aws_route_table.default.id
  destination_cidr_block = "0.0.0.0/0"
}

data "aws_ec2_instance_types" "small" {
  filter {
    name   = "instance-type"
    values = ["t3.*"]
  }
}

data "aws_ec2_instance_type_offering" "preferred" {
  preferred_instance_types = ["t9.micro", "t3.micro"]

  filter {
    name   = "instance-type"
    values = ["t3.micro", "t2.micro"]
  }
}

data "aws_ec2_instance_type_offerings" "zone" {
  location_type = "availability-zone"

  filter {
    name   = "location"
    values = [data.aws_availability_zones.some.names[0]]
  }
}

data "aws_ami_ids" "debian" {
  owners = ["136693071363"]

  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}

# ---- What this configuration makes ----

resource "aws_vpc" "main" {
  cidr_block = "10.9.0.0/16"
  tags       = { Name = "questions", Stage = var.changed ? "after" : "before" }
}

resource "aws_subnet" "main" {
  count      = 2
  vpc_id     = aws_vpc.main.id
  cidr_block = cidrsubnet(aws_vpc.main.cidr_block, 8, count.index)
  tags       = { Name = "questions-${count.index}", Stage = var.changed ? "after" : "before" }
}

resource "aws_security_group" "main" {
  name   = "questions"
  vpc_id = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "main" {
  security_group_id = aws_security_group.main.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = aws_vpc.main.cidr_block
}

resource "aws_instance" "main" {
  ami                    = "ami-00000000000000009"
  instance_type          = data.aws_ec2_instance_type_offering.preferred.instance_type
  subnet_id              = aws_subnet.main[0].id
  vpc_security_group_ids = [aws_security_group.main.id]
  user_data              = "#!/bin/sh\ntrue\n"
  tags                   = { Name = "questions" }
}

resource "aws_eip" "main" {
  domain = "vpc"
  tags   = { Name = "questions" }
}

# ---- And what it asks about that ----

data "aws_vpcs" "tagged" {
  tags       = { Name = aws_vpc.main.tags.Name }
  depends_on = [aws_vpc.main]
}

data "aws_subnet" "by_cidr" {
  vpc_id     = aws_vpc.main.id
  cidr_block = aws_subnet.main[1].cidr_block
}

data "aws_subnets" "tagged" {
  filter {
    name   = "vpc-id"
    values = [aws_vpc.main.id]
  }
  filter {
    name   = "tag:Name"
    values = ["questions-*"]
  }
  depends_on = [aws_subnet.main]
}

data "aws_route_tables" "of_vpc" {
  vpc_id = aws_vpc.main.id
}

data "aws_vpc_security_group_rules" "main" {
  filter {
    name   = "group-id"
    values = [aws_vpc_security_group_ingress_rule.main.security_group_id]
  }
}

data "aws_network_interface" "main" {
  filter {
    name   = "attachment.instance-id"
    values = [aws_instance.main.id]
  }
}

data "aws_instance" "main" {
  instance_id   = aws_instance.main.id
  get_user_data = true
}

data "aws_instances" "of_subnet" {
  instance_state_names = ["running", "stopped"]

  filter {
    name   = "subnet-id"
    values = [aws_instance.main.subnet_id]
  }
}

data "aws_ebs_volumes" "main" {
  filter {
    name   = "attachment.instance-id"
    values = [aws_instance.main.id]
  }
}

data "aws_ebs_volume" "root" {
  filter {
    name   = "attachment.instance-id"
    values = [aws_instance.main.id]
  }
}

data "aws_eips" "tagged" {
  tags       = { Name = "questions" }
  depends_on = [aws_eip.main]
}

data "aws_eip" "main" {
  public_ip = aws_eip.main.public_ip
}

data "aws_nat_gateways" "none" {
  vpc_id = aws_vpc.main.id
}

data "aws_vpc_peering_connections" "none" {}

data "aws_ssm_parameter" "ubuntu" {
  name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
}

data "aws_ami" "ubuntu" {
  owners = ["099720109477"]

  filter {
    name   = "image-id"
    values = [data.aws_ssm_parameter.ubuntu.insecure_value]
  }
}

output "answers" {
  value = {
    account   = data.aws_caller_identity.me.account_id
    regions   = length(data.aws_regions.all.names) > 10
    zones     = data.aws_availability_zones.some.names
    default   = data.aws_subnet.default.id
    gateway   = data.aws_internet_gateway.default.internet_gateway_id == data.aws_route.default.gateway_id
    types     = contains(data.aws_ec2_instance_types.small.instance_types, "t3.micro")
    images    = length(data.aws_ami_ids.debian.ids) > 0
    subnet    = data.aws_subnet.by_cidr.id == aws_subnet.main[1].id
    subnets   = length(data.aws_subnets.tagged.ids)
    interface = data.aws_network_interface.main.private_ip == aws_instance.main.private_ip
    user_data = base64decode(data.aws_instance.main.user_data_base64)
    volume    = data.aws_ebs_volume.root.volume_id == aws_instance.main.root_block_device[0].volume_id
    address   = data.aws_eip.main.id == aws_eip.main.id
    ubuntu    = data.aws_ami.ubuntu.name
  }
}
