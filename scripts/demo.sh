#!/usr/bin/env bash
# The main job, from nothing: install what is missing, build, bring up the book's
# VPC, and show ssh, MariaDB, NAT and a dropped packet explained.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_root
exec </dev/null
tmp=$(mktemp -d)
export VPCEMU_STATE_DIR=${VPCEMU_STATE_DIR:-/var/lib/vpcemu} VPCEMU_RUN_DIR=${VPCEMU_RUN_DIR:-/run/vpcemu} VPCEMU_LAB=demo
ended() {
	local status=$?
	trap - EXIT
	[ -x "$tmp/vpcemu" ] && { "$tmp/vpcemu" down || true; }
	rm -rf "$tmp"
	exit $status
}
trap ended EXIT
trap 'exit 130' INT TERM HUP
show() { printf '\033[36m$ %s\033[0m\n' "$*"; "$@"; }
vpcemu() { "$tmp/vpcemu" "$@"; }

say "Set-up: packages from apt where they are missing, then the build"
need_packages git iproute2 kmod "${lab_packages[@]}"
need_go
build "$tmp"
echo "fetching MariaDB's packages for the lab's own repository"
local_repository "$tmp/packages" mariadb-server mariadb-client

say "The VPC of the book: subnets public and private, a NAT gateway, the Internet with a laptop and a server"
started=$SECONDS
show vpcemu up book
db=$(vpcemu ls -o json | sed -n '/"Name": "db"/,/"PublicIp"/s/.*"PrivateIp": "\(.*\)".*/\1/p')
server=$(vpcemu ls -o json | sed -n '/"Name": "server"/,/"Subnet"/s/.*"PublicIp": "\(.*\)".*/\1/p')

say "ssh from the laptop on the Internet, through the bastion web, to db's private address"
show vpcemu ssh --via web db -- 'hostname; echo "came from: $SSH_CLIENT"'

say "db has no public address; it installs MariaDB with apt, through the NAT gateway"
tar -C "$tmp/packages" -c . | vpcemu exec server -- sh -c 'mkdir -p /srv/www/packages && tar -C /srv/www/packages -x'
for i in db web; do
	vpcemu exec $i -- sh -c "echo 'deb [trusted=yes] http://$server/packages ./' >/root/lab.list && apt-get -q -o Dir::Etc::sourcelist=/root/lab.list -o Dir::Etc::sourceparts=- update" >/dev/null
done
install='DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends --reinstall install'
show vpcemu exec db -- sh -c "$install mariadb-server >/dev/null 2>&1 && systemctl start mariadb && systemctl is-active mariadb"
vpcemu exec db -- mariadb -e "CREATE DATABASE shop; CREATE TABLE shop.book (title TEXT); INSERT INTO shop.book VALUES ('Networking on AWS');
	CREATE USER web@'172.30.0.%' IDENTIFIED BY 'secret'; GRANT ALL ON shop.* TO web@'172.30.0.%'"
vpcemu exec db -- sh -c "printf '[mariadbd]\nbind-address = 0.0.0.0\n' >/etc/mysql/mariadb.conf.d/99-lab.cnf; systemctl restart mariadb"
vpcemu exec web -- sh -c "$install mariadb-client >/dev/null 2>&1"
show vpcemu exec web -- mariadb -h "$db" -u web -psecret -t -e 'SELECT title FROM shop.book'

say "A download through the NAT gateway: the server saw the gateway's Elastic IP, not db"
show vpcemu exec db -- curl -sS -o /dev/null -w '%{http_code} from %{remote_ip}\n' "http://$server/"
show vpcemu exec server -- tail -n 1 /root/seen.log

say "The laptop tries port 3306 of web: dropped, and vpcemu says by what"
web=$(vpcemu ls -o json | sed -n '/"Name": "web"/,/"Subnet"/s/.*"PublicIp": "\(.*\)".*/\1/p')
show vpcemu exec laptop -- nc -z -v -w 2 "$web" 3306 || true
vpcemu drops | tail -n 1

say "Done, $((SECONDS - started)) seconds after set-up; the lab is removed"
