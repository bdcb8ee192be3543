#!/usr/bin/env python3
"""The book's VPC, from an empty account and back, by boto3: resources, waiters, paginators.

  sudo vpcemu up
  eval "$(sudo vpcemu api --env)"
  sudo -E docs/boto3/walkthrough.py [PACKAGES]

A web server that ssh and HTTP reach, a database that only the web server reaches, a NAT
gateway for its downloads; each step tries with real packets what has changed. With PACKAGES,
a folder that apt can use as a repository with mariadb-server and mariadb-client, the database
is MariaDB. Any boto3 from 1.26 on will do.
"""

import os
import subprocess
import sys
import tempfile
import time

import boto3
from botocore.exceptions import ClientError

PATIENCE = {"Delay": 1, "MaxAttempts": 120}  # AWS's waiters ask every 15 seconds, which is long for a lab

# Before 1.28 boto3 does not know AWS_ENDPOINT_URL.
endpoint = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"]}
ec2 = boto3.resource("ec2", **endpoint)
client = ec2.meta.client
ssm = boto3.client("ssm", **endpoint)
sts = boto3.client("sts", **endpoint)


def step(title):
    print(f"\n== {title}", flush=True)


def check(what, want, got):
    if got != want:
        sys.exit(f"walkthrough: {what} is {got!r}, want {want!r}")
    print(f"ok: {what} is {want!r}", flush=True)


def vpcemu(*args, ok=True):
    """What AWS has no action for: the Internet, of which a lab has only what is put there."""
    run = subprocess.run(["vpcemu", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if ok and run.returncode != 0:
        sys.exit(f"walkthrough: vpcemu {' '.join(args)}: {run.stdout}{run.stderr}")
    return run.stdout.strip() if ok else run.returncode


def tagged(kind, name):
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def refused(address, port, reason):
    """The laptop gets no connection, and the lab says why."""
    if vpcemu("exec", "laptop", "--", "nc", "-z", "-w", "1", address, str(port), ok=False) == 0:
        sys.exit(f"walkthrough: the laptop reaches {address}:{port}")
    drops = vpcemu("drops")
    if not any(f"{address}:{port} " in line and reason in line for line in drops.splitlines()):
        sys.exit(f"walkthrough: nothing says that {reason} kept the laptop from {address}:{port}:\n{drops}")
    print(f"ok: the laptop does not reach {address}:{port}: {reason}", flush=True)


def login(address, command, bastion=None):
    """ssh from the laptop, over a bastion if there is one."""
    options = ["-q", "-i", "/root/mine.pem", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    options += ["-o", "ConnectTimeout=10", "-o", "ConnectionAttempts=20"]
    if bastion:
        options += ["-o", f"ProxyCommand=ssh {' '.join(options)} -W %h:%p ec2-user@{bastion}"]
    return vpcemu("exec", "laptop", "--", "ssh", *options, f"ec2-user@{address}", command)


def by_ssm(instance, *commands):
    """Run commands in an instance as root by Systems Manager, and give what they wrote."""
    sent = ssm.send_command(InstanceIds=[instance.id], DocumentName="AWS-RunShellScript", Parameters={"commands": ["set -e", *commands]})
    invocation = {"CommandId": sent["Command"]["CommandId"], "InstanceId": instance.id}
    for _ in range(300):  # botocore's own waiter command_executed is younger than Debian's
        got = ssm.get_command_invocation(**invocation)
        if got["Status"] not in ("Pending", "InProgress", "Delayed"):
            break
        time.sleep(1)
    if got["Status"] != "Success":
        sys.exit(f"walkthrough: {got['Status']}: {got['StandardOutputContent']}{got['StandardErrorContent']}")
    return got["StandardOutputContent"].strip()


def apt_install(instance, package):
    by_ssm(
        instance,
        "rm -f /etc/apt/sources.list.d/*",
        "echo 'deb [trusted=yes] http://server.internet/packages ./' >/etc/apt/sources.list",
        "echo 'Acquire::http::Proxy \"DIRECT\"; APT { Get::Assume-Yes 1; Install-Recommends 0; Update::Error-Mode any; }' >/etc/apt/apt.conf.d/99lab",
        "export DEBIAN_FRONTEND=noninteractive",
        f"apt-get -q update && apt-get -q install --reinstall {package}",
    )


def fails(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as e:
        check(f"the answer to {e.operation_name}", code, e.response["Error"]["Code"])
    else:
        sys.exit(f"walkthrough: no {code}")


def pages(operation, what, **filters):
    """A listing, five items at a time."""
    filters = [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
    return [page[what] for page in client.get_paginator(operation).paginate(Filters=filters, PaginationConfig={"PageSize": 5})]


WEB_PAGE = """#!/bin/sh
mkdir -p /srv/www && cd /srv/www && echo "web, at $(hostname)" >index.html
nohup python3 -u -m http.server 80 >/root/seen.log 2>&1 &
"""
SERVER = """#!/bin/sh
mkdir -p /srv/www && cd /srv/www && echo "hello from the Internet" >index.html
nohup python3 -u -m http.server 80 >/root/seen.log 2>&1 &
"""


def internet(packages):
    step("Somebody at home, and a server that notes who asks it")
    vpcemu("ec2", "create-internet-host", "--wait", "--host-name", "laptop")
    vpcemu("ec2", "create-internet-host", "--wait", "--host-name", "server", "--user-data", SERVER)
    vpcemu("exec", "server", "--", "mkdir", "-p", "/srv/www")
    if packages:
        vpcemu("cp", packages, "server:/srv/www/packages")


def a_web_server():
    """The book's first example: an instance that ssh can reach."""
    step("A VPC with a subnet")
    zone = client.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    vpc = ec2.create_vpc(CidrBlock="172.30.0.0/16", TagSpecifications=tagged("vpc", "book"))
    vpc.wait_until_available()
    vpc.modify_attribute(EnableDnsHostnames={"Value": True})
    check("enableDnsHostnames", True, vpc.describe_attribute(Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"])
    check("the owner of the VPC", sts.get_caller_identity()["Account"], vpc.owner_id)
    public = vpc.create_subnet(CidrBlock="172.30.0.0/24", AvailabilityZone=zone, TagSpecifications=tagged("subnet", "public"))
    client.get_waiter("subnet_available").wait(SubnetIds=[public.id])
    check("the number of free addresses", 251, public.available_ip_address_count)
    check("the subnets of the VPC", [public.id], [s.id for s in vpc.subnets.all()])

    step("A web server, an Internet gateway, an Elastic IP, a route")
    group = vpc.create_security_group(GroupName="web", Description="ssh and HTTP from everywhere", TagSpecifications=tagged("security-group", "web"))
    key = ec2.create_key_pair(KeyName="mine", KeyType="ed25519")
    with tempfile.NamedTemporaryFile("w") as pem:
        pem.write(key.key_material)
        pem.flush()
        vpcemu("cp", pem.name, "laptop:/root/mine.pem")
    images = ec2.images.filter(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["al2023-ami-*"]}])
    image = max(images, key=lambda image: image.creation_date)
    (web,) = ec2.create_instances(
        ImageId=image.id, InstanceType="t3.micro", MinCount=1, MaxCount=1, KeyName="mine", UserData=WEB_PAGE, TagSpecifications=tagged("instance", "web"),
        NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": public.id, "Groups": [group.id], "PrivateIpAddress": "172.30.0.10"}],
    )
    web.wait_until_running(WaiterConfig=PATIENCE)
    gateway = ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway", "igw"))
    gateway.attach_to_vpc(VpcId=vpc.id)
    elastic = ec2.VpcAddress(client.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip", "web"))["AllocationId"])
    refused(elastic.public_ip, 22, "INTERNET_UNREACHABLE")
    elastic.associate(InstanceId=web.id)
    refused(elastic.public_ip, 22, "SG_HAS_NO_RULES")
    group.authorize_ingress(IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
    table = vpc.create_route_table(TagSpecifications=tagged("route-table", "public"))
    table.create_route(DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway.id)
    table.associate_with_subnet(SubnetId=public.id)
    web.load()
    check("the public address of web", elastic.public_ip, web.public_ip_address)
    check("who ssh reaches", "ip-172-30-0-10", login(elastic.public_ip, "hostname"))

    step("HTTP is refused until a rule allows it")
    refused(elastic.public_ip, 80, "ENI_SG_RULES_MISMATCH")
    group.authorize_ingress(IpPermissions=[{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "web"}]}])
    page = vpcemu("exec", "laptop", "--", "curl", "-sS", "--retry", "20", "--retry-delay", "1", "--retry-connrefused", f"http://{elastic.public_ip}/")
    check("the page", "web, at ip-172-30-0-10", page)
    (rules,) = pages("describe_security_group_rules", "SecurityGroupRules", group_id=[group.id])
    check("the ports of the rules", [-1, 22, 80], sorted(r["FromPort"] for r in rules))
    return vpc, public, web, group, gateway, elastic


def a_database(vpc, public, web, group):
    """The book's second example: a database with only a private address."""
    step("A second subnet, and a NAT gateway in the first")
    private = vpc.create_subnet(CidrBlock="172.30.1.0/24", AvailabilityZone=public.availability_zone, TagSpecifications=tagged("subnet", "private"))
    elastic = ec2.VpcAddress(client.allocate_address(Domain="vpc")["AllocationId"])
    client.create_tags(Resources=[elastic.allocation_id], Tags=[{"Key": "Name", "Value": "nat"}])
    nat = client.create_nat_gateway(SubnetId=public.id, AllocationId=elastic.allocation_id, ClientToken=vpc.id)["NatGateway"]["NatGatewayId"]
    again = client.create_nat_gateway(SubnetId=public.id, AllocationId=elastic.allocation_id, ClientToken=vpc.id)["NatGateway"]["NatGatewayId"]
    check("the NAT gateway of the same token", nat, again)
    client.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig=PATIENCE)
    table = vpc.create_route_table()
    table.create_route(DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    table.associate_with_subnet(SubnetId=private.id)
    check("the ranges of the subnets", ["172.30.0.0/24", "172.30.1.0/24"], sorted(s.cidr_block for s in vpc.subnets.all()))
    first, second = pages("describe_tags", "Tags", key=["Name"])
    names = ["book", "igw", "nat", "private", "public", "public", "web", "web", "web"]
    check("the names in the account, five a page", (5, names), (len(first), sorted(t["Value"] for t in first + second)))

    step("A database server in the default group, whose members reach each other; the web server becomes one")
    (default,) = vpc.security_groups.filter(Filters=[{"Name": "group-name", "Values": ["default"]}])
    (db,) = private.create_instances(ImageId=web.image_id, InstanceType="t3.micro", MinCount=1, MaxCount=1, KeyName="mine", TagSpecifications=tagged("instance", "db"))
    db.wait_until_running(WaiterConfig=PATIENCE)
    client.get_waiter("instance_status_ok").wait(InstanceIds=[db.id, web.id], WaiterConfig=PATIENCE)
    web.modify_attribute(Groups=[group.id, default.id])
    db.load()
    check("the public address of db", None, db.public_ip_address)
    check("the groups of db", ["default"], [g["GroupName"] for g in db.security_groups])
    web.load()
    name = "ip-" + db.private_ip_address.replace(".", "-")
    check("where ssh over the web server gets", name, login(db.private_ip_address, "hostname", bastion=web.public_ip_address))
    managed = ssm.get_paginator("describe_instance_information").paginate().search("InstanceInformationList[].InstanceId")
    check("the machines of Systems Manager", {db.id, web.id}, set(managed))

    step("A download through the NAT gateway")
    check("the page", "hello from the Internet", by_ssm(db, "curl -sS --retry 20 --retry-delay 1 --retry-connrefused http://server.internet/"))
    check("who downloaded it", elastic.public_ip, vpcemu("exec", "server", "--", "tail", "-n", "1", "/root/seen.log").split()[0])

    step("Nobody else reaches it")
    refused(db.private_ip_address, 3306, "INTERNET_UNREACHABLE")
    refused(elastic.public_ip, 3306, "NGW_NO_CONNECTION")
    refused(web.public_ip_address, 3306, "ENI_SG_RULES_MISMATCH")
    return db, nat, elastic


def mariadb(web, db):
    step("MariaDB, installed with apt through the NAT gateway, and asked by the web server")
    apt_install(db, "mariadb-server")
    by_ssm(
        db,
        r"printf '[mariadbd]\nbind-address = 0.0.0.0\n' >/etc/mysql/mariadb.conf.d/99-lab.cnf",
        "systemctl restart mariadb",
        "mariadb -e \"CREATE DATABASE shop; CREATE TABLE shop.book (title TEXT); INSERT INTO shop.book VALUES ('Networking on AWS');"
        " CREATE USER web@'172.30.0.%' IDENTIFIED BY 'secret'; GRANT ALL ON shop.* TO web@'172.30.0.%'\"",
    )
    apt_install(web, "mariadb-client")
    ask = f"mariadb -N -h {db.private_ip_address} -u web -psecret -e 'SELECT title FROM shop.book'"
    check("what the database answers", "Networking on AWS", by_ssm(web, ask))


def a_restart(web, elastic):
    step("The web server is stopped and started: its addresses stay")
    web.stop()
    web.wait_until_stopped(WaiterConfig=PATIENCE)
    web.start()
    web.wait_until_running(WaiterConfig=PATIENCE)
    web.load()
    check("the addresses of web", (elastic.public_ip, "172.30.0.10"), (web.public_ip_address, web.private_ip_address))
    check("who ssh reaches", "ip-172-30-0-10", login(elastic.public_ip, "hostname"))


def everything_deleted(vpc, gateway, instances, nat, elastics):
    step("What is in use cannot be deleted")
    fails("DependencyViolation", vpc.delete)
    for subnet in vpc.subnets.all():
        fails("DependencyViolation", subnet.delete)
    fails("DependencyViolation", gateway.detach_from_vpc, VpcId=vpc.id)
    fails("DryRunOperation", instances[0].terminate, DryRun=True)

    step("Everything is deleted")
    client.delete_nat_gateway(NatGatewayId=nat)
    for instance in instances:
        instance.terminate()
    for instance in instances:
        instance.wait_until_terminated(WaiterConfig=PATIENCE)
    client.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[nat], WaiterConfig=PATIENCE)
    for elastic in elastics:
        elastic.release()
    gateway.detach_from_vpc(VpcId=vpc.id)
    gateway.delete()
    for table in vpc.route_tables.all():
        if not any(a.main for a in table.associations):
            for association in table.associations:
                association.delete()
            table.delete()
    for group in vpc.security_groups.all():
        if group.group_name != "default":
            group.delete()
    for subnet in vpc.subnets.all():
        subnet.delete()
    ec2.KeyPair("mine").delete()
    vpc.delete()
    fails("InvalidVpcID.NotFound", client.describe_vpcs, VpcIds=[vpc.id])
    check("what is left", [], [*ec2.vpc_addresses.all(), *ec2.key_pairs.all(), *vpc.subnets.all(), *vpc.network_interfaces.all()])
    for host in "laptop", "server":
        vpcemu("terminate", host)


def main():
    if len(sys.argv) > 2:
        sys.exit("usage: walkthrough.py [PACKAGES]")
    packages = sys.argv[1] if len(sys.argv) == 2 else None
    internet(packages)
    vpc, public, web, group, gateway, elastic = a_web_server()
    db, nat, nat_elastic = a_database(vpc, public, web, group)
    if packages:
        mariadb(web, db)
    a_restart(web, elastic)
    everything_deleted(vpc, gateway, [web, db], nat, [elastic, nat_elastic])
    print("\nDone: the account is as it was.")


if __name__ == "__main__":
    main()
