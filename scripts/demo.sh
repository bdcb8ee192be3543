#!/usr/bin/env bash
# The main job, from nothing: install what is missing, build, bring up the book's
# VPC, and show ssh, MariaDB, NAT and a dropped packet explained.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Apart from the labs that this machine's user may have.
home=/var/lib/vpcemu-demo
ended() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP
	stop_child
	allow_services
	if [ -d "$tmp/state" ]; then vpcemu down || status=1; fi
	sweep "$tmp"
	rmdir $home
	exit $status
}

vpcemu() { "$tmp/vpcemu" "$@" 3>&- 9>&-; }
show() {
	local word line='$'
	for word in "$@"; do
		if [[ $word == *[!-+=:.,/@%A-Za-z0-9_]* ]]; then word="'$word'"; fi
		line+=" $word"
	done
	printf '%s%s%s\n' "$cyan" "$line" "$plain" >&3
	run "$@" 3>&-
}
quietly() { # unless it fails
	if [ "$1" != show ]; then set -- run "$@"; fi
	"$@" >"$tmp/output" 2>&1 && return
	tail -n 20 "$tmp/output" >&2
	return 1
}
# address FIELD NAME: PublicIp or PrivateIp of an instance or Internet host.
address() { vpcemu ls -o json | sed -n "/\"Name\": \"$2\"/,/}/s/.*\"$1\": \"\(.*\)\".*/\1/p"; }

need_root
exec </dev/null 3>&1
only_one $home
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "Set-up: packages from apt where they are missing, then the build"
need_packages ca-certificates kmod "${lab_packages[@]}"
need_go
echo "building vpcemu"
run build "$tmp"
echo "fetching MariaDB's packages for the lab's own repository"
local_repository "$tmp/packages" mariadb-server mariadb-client

export VPCEMU_STATE_DIR=$tmp/state VPCEMU_RUN_DIR=$tmp/run VPCEMU_LAB=demo
ready=$SECONDS

say "The VPC of the book: subnets public and private, a NAT gateway, the Internet with a laptop and a server"
show vpcemu up book
db=$(address PrivateIp db) web=$(address PublicIp web) server=$(address PublicIp server)

say "ssh from the laptop on the Internet, through the bastion web, to db's private address"
# shellcheck disable=SC2016 # for the shell on db
show vpcemu ssh --via web db -- 'hostname; echo "came from: $SSH_CLIENT"'

say "db has no public address; it installs MariaDB with apt, through the NAT gateway"
give_packages() { tar -C "$tmp/packages" -c . | vpcemu exec server -- sh -c 'mkdir -p /srv/www/packages && tar -C /srv/www/packages -x'; }
run give_packages
run vpcemu exec db -- curl -sSf -o /dev/null --retry 20 --retry-delay 1 --retry-connrefused "http://$server/" # the server is up
# The packages' only source is the server in the lab; a proxy of this machine is out of the lab's reach.
for i in db web; do
	quietly vpcemu exec $i -- sh -c "rm -f /etc/apt/sources.list.d/*
		echo 'deb [trusted=yes] http://$server/packages ./' >/etc/apt/sources.list
		echo 'Acquire::http::Proxy::$server DIRECT; APT { Get::Assume-Yes 1; Install-Recommends 0; Update::Error-Mode any; }' >/etc/apt/apt.conf.d/99lab
		apt-get update"
done
quietly show vpcemu exec db -- env DEBIAN_FRONTEND=noninteractive apt-get install --reinstall mariadb-server
show vpcemu exec db -- systemctl start mariadb
show vpcemu exec db -- systemctl is-active mariadb
run vpcemu exec db -- mariadb -e "CREATE DATABASE shop; CREATE TABLE shop.book (title TEXT); INSERT INTO shop.book VALUES ('Networking on AWS');
	CREATE USER web@'172.30.0.%' IDENTIFIED BY 'secret'; GRANT ALL ON shop.* TO web@'172.30.0.%'"
run vpcemu exec db -- sh -c "printf '[mariadbd]\nbind-address = 0.0.0.0\n' >/etc/mysql/mariadb.conf.d/99-lab.cnf; systemctl restart mariadb"

say "web, in the public subnet, asks db"
quietly vpcemu exec web -- env DEBIAN_FRONTEND=noninteractive apt-get install --reinstall mariadb-client
show vpcemu exec web -- mariadb -h "$db" -u web -psecret -t -e 'SELECT title FROM shop.book'

say "A download through the NAT gateway: the server saw the gateway's Elastic IP, not db"
show vpcemu exec db -- curl -sS -o /dev/null -w '%{http_code} from %{remote_ip}\n' "http://$server/"
show vpcemu exec server -- tail -n 1 /root/seen.log

say "The laptop tries port 3306 of web: dropped, and vpcemu says by what"
show vpcemu exec laptop -- nc -z -v -w 2 "$web" 3306 || true
show vpcemu drops >"$tmp/drops"
tail -n 1 "$tmp/drops"

say "The way of such a packet, and what would have to change"
show vpcemu trace laptop web tcp/3306 || true

say "web asks about itself, as on EC2"
show vpcemu exec web -- curl -sS -w '\n' http://169.254.169.254/latest/meta-data/public-ipv4

say "The zone has a bad day, and is healed"
show vpcemu fail zone ap-northeast-1a
show vpcemu trace web db tcp/3306 || true
show vpcemu heal --all

say "What the book says of this VPC: each line tried by a trace and by real packets"
show vpcemu check

say "Done in $((SECONDS - ready)) seconds after set-up; removing the lab"
