# DHCP options, flow logs, and what a configuration asks about the account.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "ap-southeast-2"
}

provider "aws" {
  alias  = "other"
  region = "eu-north-1"
}

variable "changed" {
  type    = bool
  default = false
}

data "aws_caller_identity" "me" {}
data "aws_region" "here" {}
data "aws_partition" "here" {}

data "aws_availability_zones" "here" {
  state = "available"
}

data "aws_availability_zone" "first" {
  name = data.aws_availability_zones.here.names[0]
}

resource "aws_vpc" "main" {
  cidr_block                           = "10.5.0.0/16"
  enable_dns_support                   = true
  enable_dns_hostnames                 = var.changed
  enable_network_address_usage_metrics = var.changed
  tags                                 = { Owner = data.aws_caller_identity.me.account_id }
}

# The same range, in another Region.
resource "aws_vpc" "other" {
  provider   = aws.other
  cidr_block = "10.5.0.0/16"
}

resource "aws_subnet" "other" {
  provider          = aws.other
  vpc_id            = aws_vpc.other.id
  cidr_block        = "10.5.0.0/24"
  availability_zone = "eu-north-1b"
}

resource "aws_vpc_dhcp_options" "corp" {
  domain_name          = "corp.internal"
  domain_name_servers  = ["10.5.0.53", "AmazonProvidedDNS"]
  ntp_servers          = ["169.254.169.123"]
  netbios_name_servers = ["10.5.0.53"]
  netbios_node_type    = 2
  tags                 = { Name = "corp" }
}

resource "aws_vpc_dhcp_options_association" "corp" {
  vpc_id          = aws_vpc.main.id
  dhcp_options_id = aws_vpc_dhcp_options.corp.id
}

resource "aws_flow_log" "main" {
  vpc_id                   = aws_vpc.main.id
  traffic_type             = "ALL"
  log_destination_type     = "s3"
  log_destination          = "arn:aws:s3:::flow-logs"
  max_aggregation_interval = 60
  tags                     = { Name = "main", Changed = var.changed }
}

data "aws_vpcs" "here" {
  depends_on = [aws_vpc.main]
}

data "aws_vpc_dhcp_options" "corp" {
  dhcp_options_id = aws_vpc_dhcp_options.corp.id
}

output "zones" {
  value = data.aws_availability_zones.here.names
}
