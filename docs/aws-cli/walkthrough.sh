#!/usr/bin/env bash
# The book's VPC, from an empty account and back, by the AWS CLI: a web server that ssh
# and HTTP reach, a database that only the web server reaches, a NAT gateway for its
# downloads. Each step tries with real packets what has changed.
#
#   sudo vpcemu up
#   eval "$(sudo vpcemu api --env)"
#   sudo -E docs/aws-cli/walkthrough.sh [PACKAGES]
#
# PACKAGES is a folder that apt can use as a repository, with mariadb-server and
# mariadb-client; without it the script fetches them. Any AWS CLI from 2.9 on will do.
set -euo pipefail

# What AWS has no action for: the Internet, of which a lab has only what is put there.
internet() { vpcemu ec2 create-internet-host --wait --host-name "$@" >/dev/null; }
laptop() { vpcemu exec laptop -- "$@"; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
: "${AWS_ENDPOINT_URL:?is not set: eval \"\$(sudo vpcemu api --env)\"}"
export AWS_PAGER=''

# aws ARGUMENTS: shown, then run. The CLIs that do not know AWS_ENDPOINT_URL know the option.
aws() {
	printf '$ aws %s\n' "$(printf '%.150s' "${*//$'\n'/ }")" >&3
	command aws --endpoint-url "$AWS_ENDPOINT_URL" --output text "$@"
}
exec 3>&1
step() { printf '\n== %s\n' "$*"; }
fail() {
	echo "walkthrough: $*" >&2
	exit 1
}
# is WHAT WANT GOT
is() {
	[ "$3" = "$2" ] || fail "$1 is $3, want $2"
	echo "ok: $1 is $2"
}
tags() { echo "ResourceType=$1,Tags=[{Key=Name,Value=$2}]"; }

# refused ADDRESS PORT REASON: the laptop gets no connection, and the lab says why.
refused() {
	if laptop nc -z -w 1 "$1" "$2"; then fail "the laptop reaches $1:$2"; fi
	vpcemu drops | grep -F "$1:$2 " | grep -qF "$3" || fail "nothing says that $3 kept the laptop from $1:$2: $(vpcemu drops)"
	echo "ok: the laptop does not reach $1:$2: $3"
}
# login ADDRESS COMMAND: ssh from the laptop, over bastion if that is set.
bastion=''
login() {
	local options=(-q -i /root/mine.pem -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=10 -o ConnectionAttempts=20)
	[ -z "$bastion" ] || options+=(-o "ProxyCommand=ssh ${options[*]} -W %h:%p ec2-user@$bastion")
	laptop ssh "${options[@]}" "ec2-user@$1" "$2"
}
# by_ssm INSTANCE SCRIPT: run it there as root by Systems Manager, and give what it wrote.
by_ssm() {
	local id script=$2
	script=${script//\\/\\\\} script=${script//\"/\\\"} script=${script//$'\n'/\\n} script=${script//$'\t'/ }
	id=$(aws ssm send-command --instance-ids "$1" --document-name AWS-RunShellScript --parameters "{\"commands\": [\"$script\"]}" --query Command.CommandId)
	aws ssm wait command-executed --command-id "$id" --instance-id "$1" ||
		fail "$(aws ssm get-command-invocation --command-id "$id" --instance-id "$1" --query '[StandardOutputContent, StandardErrorContent]')"
	aws ssm get-command-invocation --command-id "$id" --instance-id "$1" --query StandardOutputContent
}

packages=${1-}
if [ -z "$packages" ]; then
	step 'The packages of MariaDB, for a repository on the lab’s Internet'
	# shellcheck source=scripts/lib.sh
	(. "$(dirname "$0")/../../scripts/lib.sh" && local_repository "$tmp/packages" mariadb-server mariadb-client)
	packages=$tmp/packages
fi

step 'Somebody at home, and a server that notes who asks it'
internet laptop
internet server --user-data '#!/bin/sh
mkdir -p /srv/www && cd /srv/www && echo "hello from the Internet" >index.html
nohup python3 -u -m http.server 80 >/root/seen.log 2>&1 &'
vpcemu exec server -- mkdir -p /srv/www
vpcemu cp "$packages" server:/srv/www/packages

# ---- An instance that ssh can reach ----

step 'A VPC with a subnet'
account=$(aws sts get-caller-identity --query Account)
zone=$(aws ec2 describe-availability-zones --query 'AvailabilityZones[0].ZoneName')
vpc=$(aws ec2 create-vpc --cidr-block 172.30.0.0/16 --tag-specifications "$(tags vpc book)" --query Vpc.VpcId)
aws ec2 wait vpc-available --vpc-ids "$vpc"
aws ec2 modify-vpc-attribute --vpc-id "$vpc" --enable-dns-hostnames
is 'enableDnsHostnames' True "$(aws ec2 describe-vpc-attribute --vpc-id "$vpc" --attribute enableDnsHostnames --query EnableDnsHostnames.Value)"
is 'the owner of the VPC' "$account" "$(aws ec2 describe-vpcs --vpc-ids "$vpc" --query 'Vpcs[].OwnerId')"
public=$(aws ec2 create-subnet --vpc-id "$vpc" --cidr-block 172.30.0.0/24 --availability-zone "$zone" --tag-specifications "$(tags subnet public)" --query Subnet.SubnetId)
aws ec2 wait subnet-available --subnet-ids "$public"
is 'the number of free addresses' 251 "$(aws ec2 describe-subnets --filters Name=vpc-id,Values="$vpc" Name=tag:Name,Values=public --query 'Subnets[].AvailableIpAddressCount')"

step 'A web server, with an address that nobody has yet'
group=$(aws ec2 create-security-group --group-name web --description 'ssh and HTTP from everywhere' --vpc-id "$vpc" --query GroupId)
aws ec2 create-key-pair --key-name mine --key-type ed25519 --query KeyMaterial >"$tmp/mine.pem"
vpcemu cp "$tmp/mine.pem" laptop:/root/mine.pem
laptop chmod 600 /root/mine.pem
image=$(aws ec2 describe-images --owners amazon --filters 'Name=name,Values=al2023-ami-*' Name=architecture,Values=x86_64,arm64 --query 'sort_by(Images, &CreationDate)[-1].ImageId')
web=$(aws ec2 run-instances --image-id "$image" --instance-type t3.micro --subnet-id "$public" --private-ip-address 172.30.0.10 --security-group-ids "$group" --key-name mine \
	--tag-specifications "$(tags instance web)" --query 'Instances[0].InstanceId' --user-data '#!/bin/sh
mkdir -p /srv/www && cd /srv/www && echo "web, at $(hostname)" >index.html
nohup python3 -u -m http.server 80 >/root/seen.log 2>&1 &')
aws ec2 wait instance-running --instance-ids "$web"
elastic=$(aws ec2 allocate-address --domain vpc --tag-specifications "$(tags elastic-ip web)" --query AllocationId)
address=$(aws ec2 describe-addresses --allocation-ids "$elastic" --query 'Addresses[0].PublicIp')
refused "$address" 22 INTERNET_UNREACHABLE

step 'An Internet gateway, attached; now the address can be the web server’s'
gateway=$(aws ec2 create-internet-gateway --tag-specifications "$(tags internet-gateway igw)" --query InternetGateway.InternetGatewayId)
aws ec2 attach-internet-gateway --internet-gateway-id "$gateway" --vpc-id "$vpc"
aws ec2 associate-address --allocation-id "$elastic" --instance-id "$web" --query AssociationId
refused "$address" 22 SG_HAS_NO_RULES

step 'A rule that lets ssh in; but the answer finds no route'
aws ec2 authorize-security-group-ingress --group-id "$group" --protocol tcp --port 22 --cidr 0.0.0.0/0 >/dev/null
if laptop nc -z -w 1 "$address" 22; then fail "ssh works without a route"; fi
echo "ok: the laptop does not reach $address:22"

step 'A route to the gateway, in a table of the subnet: ssh works'
table=$(aws ec2 create-route-table --vpc-id "$vpc" --tag-specifications "$(tags route-table public)" --query RouteTable.RouteTableId)
aws ec2 create-route --route-table-id "$table" --destination-cidr-block 0.0.0.0/0 --gateway-id "$gateway" >/dev/null
aws ec2 associate-route-table --route-table-id "$table" --subnet-id "$public" --query AssociationId
is 'who ssh reaches' ip-172-30-0-10 "$(login "$address" hostname)"

step 'HTTP is refused until a rule allows it'
refused "$address" 80 ENI_SG_RULES_MISMATCH
rule=$(aws ec2 authorize-security-group-ingress --group-id "$group" --query 'SecurityGroupRules[0].SecurityGroupRuleId' \
	--ip-permissions 'IpProtocol=tcp,FromPort=80,ToPort=80,IpRanges=[{CidrIp=0.0.0.0/0,Description=web}]')
is 'the page' 'web, at ip-172-30-0-10' "$(laptop curl -sS --retry 20 --retry-delay 1 --retry-connrefused "http://$address/")"
is 'the rule' $'tcp\t80\tweb' "$(aws ec2 describe-security-group-rules --filters Name=group-id,Values="$group" --query "SecurityGroupRules[?SecurityGroupRuleId=='$rule'].[IpProtocol, FromPort, Description]")"

# ---- A database with only a private address ----

step 'A second subnet, and a NAT gateway in the first'
private=$(aws ec2 create-subnet --vpc-id "$vpc" --cidr-block 172.30.1.0/24 --availability-zone "$zone" --tag-specifications "$(tags subnet private)" --query Subnet.SubnetId)
nat_elastic=$(aws ec2 allocate-address --domain vpc --tag-specifications "$(tags elastic-ip nat)" --query AllocationId)
nat_address=$(aws ec2 describe-addresses --filters Name=tag:Name,Values=nat --query 'Addresses[].PublicIp')
nat=$(aws ec2 create-nat-gateway --subnet-id "$public" --allocation-id "$nat_elastic" --tag-specifications "$(tags natgateway nat)" --query NatGateway.NatGatewayId)
aws ec2 wait nat-gateway-available --nat-gateway-ids "$nat"
nat_table=$(aws ec2 create-route-table --vpc-id "$vpc" --tag-specifications "$(tags route-table private)" --query RouteTable.RouteTableId)
aws ec2 create-route --route-table-id "$nat_table" --destination-cidr-block 0.0.0.0/0 --nat-gateway-id "$nat" >/dev/null
aws ec2 associate-route-table --route-table-id "$nat_table" --subnet-id "$private" --query AssociationId

step 'A database server in the default group, whose members reach each other; the web server becomes one'
default=$(aws ec2 describe-security-groups --filters Name=vpc-id,Values="$vpc" Name=group-name,Values=default --query 'SecurityGroups[0].GroupId')
db=$(aws ec2 run-instances --image-id resolve:ssm:/aws/service/debian/release/12/latest/amd64 --instance-type t3.micro --subnet-id "$private" --key-name mine --tag-specifications "$(tags instance db)" --query 'Instances[0].InstanceId')
aws ec2 wait instance-running --instance-ids "$db"
aws ec2 modify-instance-attribute --instance-id "$web" --groups "$group" "$default"
db_address=$(aws ec2 describe-instances --instance-ids "$db" --query 'Reservations[0].Instances[0].PrivateIpAddress')
is 'the public address of db' None "$(aws ec2 describe-instances --instance-ids "$db" --query 'Reservations[0].Instances[0].PublicIpAddress')"
is 'the group of db' default "$(aws ec2 describe-instances --filters Name=tag:Name,Values=db --query 'Reservations[].Instances[].SecurityGroups[].GroupName')"
bastion=$address
is 'where ssh over the web server gets' "ip-${db_address//./-}" "$(login "$db_address" hostname)"

step 'MariaDB, installed with apt through the NAT gateway'
by_ssm "$db" "rm -f /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] http://server.internet/packages ./' >/etc/apt/sources.list
echo 'Acquire::http::Proxy \"DIRECT\"; APT { Get::Assume-Yes 1; Install-Recommends 0; Update::Error-Mode any; }' >/etc/apt/apt.conf.d/99lab
export DEBIAN_FRONTEND=noninteractive
apt-get -q update && apt-get -q install --reinstall mariadb-server" | tail -n 3
by_ssm "$db" "set -e
printf '[mariadbd]\nbind-address = 0.0.0.0\n' >/etc/mysql/mariadb.conf.d/99-lab.cnf
systemctl restart mariadb
mariadb -e \"CREATE DATABASE shop; CREATE TABLE shop.book (title TEXT); INSERT INTO shop.book VALUES ('Networking on AWS');
	CREATE USER web@'172.30.0.%' IDENTIFIED BY 'secret'; GRANT ALL ON shop.* TO web@'172.30.0.%'\""
vpcemu exec server -- grep -m 1 'mariadb-server_' /root/seen.log | grep "^$nat_address " || fail 'the server saw no download from the NAT gateway'

step 'The web server asks it, with the client of MariaDB'
by_ssm "$web" "rm -f /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] http://server.internet/packages ./' >/etc/apt/sources.list
echo 'Acquire::http::Proxy \"DIRECT\"; APT { Get::Assume-Yes 1; Install-Recommends 0; Update::Error-Mode any; }' >/etc/apt/apt.conf.d/99lab
export DEBIAN_FRONTEND=noninteractive
apt-get -q update && apt-get -q install --reinstall mariadb-client" | tail -n 1
is 'what the database answers' 'Networking on AWS' "$(login "$address" "mariadb -N -h $db_address -u web -psecret -e 'SELECT title FROM shop.book'")"

step 'Nobody else reaches it'
refused "$db_address" 3306 INTERNET_UNREACHABLE
refused "$nat_address" 3306 NGW_NO_CONNECTION
refused "$address" 3306 ENI_SG_RULES_MISMATCH

step 'What is in use cannot be deleted'
for delete in "delete-vpc --vpc-id $vpc" "delete-subnet --subnet-id $private" "delete-security-group --group-id $group" "detach-internet-gateway --internet-gateway-id $gateway --vpc-id $vpc"; do
	# shellcheck disable=SC2086 # three words
	if aws ec2 $delete 2>"$tmp/error"; then fail "$delete works"; fi
	grep -F '(DependencyViolation)' "$tmp/error" || fail "$delete: $(<"$tmp/error")"
done

# ---- And nothing is left ----

step 'Everything is deleted'
aws ec2 terminate-instances --instance-ids "$web" "$db" --query 'TerminatingInstances[].CurrentState.Name'
aws ec2 delete-nat-gateway --nat-gateway-id "$nat"
aws ec2 wait instance-terminated --instance-ids "$web" "$db"
aws ec2 wait nat-gateway-deleted --nat-gateway-ids "$nat"
is 'the number of associated addresses' 0 "$(aws ec2 describe-addresses --query 'length(Addresses[?AssociationId])')"
for address in "$elastic" "$nat_elastic"; do aws ec2 release-address --allocation-id "$address"; done
for subnet in "$public" "$private"; do aws ec2 delete-subnet --subnet-id "$subnet"; done
for table in "$table" "$nat_table"; do aws ec2 delete-route-table --route-table-id "$table"; done
aws ec2 detach-internet-gateway --internet-gateway-id "$gateway" --vpc-id "$vpc"
aws ec2 delete-internet-gateway --internet-gateway-id "$gateway"
aws ec2 delete-security-group --group-id "$group"
aws ec2 delete-key-pair --key-name mine
aws ec2 delete-vpc --vpc-id "$vpc"
for what in subnets route-tables security-groups network-acls network-interfaces; do
	is "the number of $what of the VPC" 0 "$(aws ec2 describe-$what --filters Name=vpc-id,Values="$vpc" --query 'length(*[0])')"
done
is 'the number of addresses' 0 "$(aws ec2 describe-addresses --query 'length(Addresses)')"
for host in laptop server; do vpcemu terminate "$host" >/dev/null; done
echo
echo 'Done: the account is as it was.'
