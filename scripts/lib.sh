# Shared by the scripts of this folder: source it. It defines functions only.
# shellcheck shell=bash

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
die() { echo "vpcemu: $*" >&2; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "this script needs root: run it with sudo"; }

# need_packages PACKAGE...: install what is missing, through apt only, without
# letting a service start: instances start their own.
need_packages() {
	local missing=() p
	for p in "$@"; do
		dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
	done
	[ ${#missing[@]} = 0 ] && return
	echo "installing Debian packages: ${missing[*]}"
	without_services apt_quietly update || die "the Debian package registry is out of reach: connect this machine, or install by hand: ${missing[*]}"
	without_services apt_quietly install -y --no-install-recommends "${missing[@]}" ||
		die "apt could not install: ${missing[*]}"
}

apt_quietly() {
	local log
	log=$(mktemp)
	if DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null >"$log" 2>&1; then
		rm -f "$log"
	else
		tail -n 20 "$log" >&2
		rm -f "$log"
		return 1
	fi
}

# without_services COMMAND...: run it while a policy forbids packages to start
# services on this machine; an own policy of the machine is put back.
without_services() {
	local policy=/usr/sbin/policy-rc.d kept='' status=0
	if [ -e "$policy" ]; then
		kept=$(mktemp)
		cp -p "$policy" "$kept"
	fi
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	"$@" || status=$?
	if [ -n "$kept" ]; then mv "$kept" "$policy"; else rm -f "$policy"; fi
	return $status
}

# need_go: put a Go that can build this module first in PATH. Where the machine's
# is too old to fetch a newer one by itself, the toolchain comes as a module.
need_go() {
	local want have
	want=$(sed -n 's/^go //p' "$repo/go.mod")
	PATH=$PATH:/usr/local/go/bin
	command -v go >/dev/null || need_packages golang-go
	# From 1.21 on, the go command fetches the toolchain that go.mod asks for.
	have=$(GOTOOLCHAIN=local go version | sed 's/.*go1\.\([0-9]*\).*/\1/')
	if [ "$have" -lt 21 ]; then
		local name="v0.0.1-go${want}.linux-$(dpkg --print-architecture)" dir
		echo "fetching Go $want as a module (Debian's is 1.$have)"
		dir=$(cd / && go env GOPATH)/pkg/mod/golang.org/toolchain@$name
		(cd / && go mod download "golang.org/toolchain@$name") ||
			die "the Go module registry is out of reach: connect this machine, or install Go $want by hand"
		# Modules carry no executable bits.
		chmod +x "$dir"/bin/* "$dir"/pkg/tool/*/*
		PATH=$dir/bin:$PATH
		unset GOROOT
	fi
	export PATH
	(cd "$repo" && go mod download) >/dev/null 2>&1 ||
		die "the Go module registry is out of reach: connect this machine and run the script again"
}

# build DIR: build vpcemu and its guest program there.
build() {
	(cd "$repo" && CGO_ENABLED=0 go build -trimpath -o "$1/vpcemu" ./cmd/vpcemu &&
		CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$1/vpcemu-guest" ./cmd/vpcemu/guest)
}

# local_repository DIR PACKAGE...: fetch packages with all that they need and this
# machine lacks, and make DIR a repository that apt can use.
local_repository() {
	local dir=$1 deb
	shift
	mkdir -p "$dir/partial"
	apt_quietly update || die "the Debian package registry is out of reach"
	apt_quietly install -y --no-install-recommends --reinstall --download-only -o Dir::Cache::archives="$dir" "$@" ||
		die "apt could not fetch: $*"
	rm -rf "$dir/partial" "$dir/lock"
	(
		cd "$dir" || exit
		for deb in *.deb; do
			dpkg-deb -f "$deb"
			printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
		done >Packages
	)
}

# Debian packages that the demo and the tests use inside instances.
lab_packages=(openssh-server openssh-client curl iproute2 iputils-ping netcat-openbsd python3-minimal)
test_packages=(udhcpc isc-dhcp-client dhcpcd-base tcpdump traceroute dnsutils socat)
