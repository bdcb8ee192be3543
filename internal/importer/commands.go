package importer

import (
	"fmt"
	"strings"
)

// describeCalls are the calls whose answers Import reads, after `aws ec2 describe-`. The last ones it only notes.
var describeCalls = []string{"vpcs", "subnets", "route-tables", "internet-gateways", "nat-gateways", "addresses", "security-groups",
	"security-group-rules", "network-acls", "network-interfaces", "instances", "dhcp-options", "flow-logs", "managed-prefix-lists",
	"vpc-peering-connections", "vpc-endpoints", "egress-only-internet-gateways", "transit-gateway-vpc-attachments", "vpn-gateways", "vpn-connections", "carrier-gateways"}

// Commands is a shell script that dumps what Import reads of a Region into the folder dump/REGION. region may be "",
// for that of the AWS CLI's configuration.
func Commands(region string) string {
	where := "${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region)}}"
	if region != "" {
		where = region
	}
	return fmt.Sprintf(script, where, strings.Join(describeCalls, " "))
}

// User data may hold secrets, hence the umask. A call that is not allowed is told of and passed over.
const script = `#!/bin/sh
# Dumps the VPCs of a Region for vpcemu import. Every call only reads; ec2:Describe*,
# ec2:GetManagedPrefixListEntries and ec2:GetSubnetCidrReservations are the permissions it needs.
#
#   vpcemu import --print-commands | sh && vpcemu import dump -o lab.yaml
set -u
umask 077
region=%s
[ -n "$region" ] || { echo "no Region: set AWS_REGION" >&2; exit 1; }
dir=dump/$region
rm -rf "$dir" && mkdir -p "$dir" || exit 1
export AWS_PAGER=

# get FILE ARGUMENTS: the answer of a call, appended to a file.
get() {
    file=$1
    shift
    aws ec2 "$@" --region "$region" --output json >"$dir/.answer" && cat "$dir/.answer" >>"$dir/$file" || echo "not read: aws ec2 $*" >&2
    rm -f "$dir/.answer"
}
# ids QUERY ARGUMENTS: IDs, one a word.
ids() {
    query=$1
    shift
    aws ec2 "$@" --region "$region" --query "$query" --output text | grep -v '^None$'
}

for call in %s; do
    get "$call.json" "describe-$call"
done
get key-pairs.json describe-key-pairs --include-public-key
for vpc in $(ids 'Vpcs[].VpcId' describe-vpcs); do
    for attribute in enableDnsSupport enableDnsHostnames; do
        get vpc-attributes.json describe-vpc-attribute --vpc-id "$vpc" --attribute "$attribute"
    done
done
for subnet in $(ids 'Subnets[].SubnetId' describe-subnets); do
    get subnet-cidr-reservations.json get-subnet-cidr-reservations --subnet-id "$subnet"
done
for instance in $(ids 'Reservations[].Instances[].InstanceId' describe-instances --filters Name=instance-state-name,Values=pending,running,stopping,stopped); do
    for attribute in userData disableApiTermination disableApiStop instanceInitiatedShutdownBehavior; do
        get instance-attributes.json describe-instance-attribute --instance-id "$instance" --attribute "$attribute"
    done
done
for list in $(ids 'PrefixLists[].PrefixListId' describe-managed-prefix-lists); do
    get "$list.json" get-managed-prefix-list-entries --prefix-list-id "$list"
done
echo "read into $dir" >&2
`
