# shellcheck shell=bash disable=SC2034 # what is defined here is used where it is sourced
# Shared by the scripts of this folder. To source it changes nothing. A script sets
# tmp, a folder that it removes when it ends.

tmp=${tmp-}
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Debian packages that the demo and the tests use inside instances.
lab_packages=(openssh-server openssh-client curl iproute2 iputils-ping netcat-openbsd python3)
test_packages=(nftables udhcpc isc-dhcp-client dhcpcd-base tcpdump traceroute bind9-dnsutils socat iputils-tracepath procps tshark busybox-static bzip2 xz-utils zstd chrony ntpsec-ntpdig dnsmasq-base)

bold='' cyan='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' cyan=$'\033[36m' plain=$'\033[0m'; fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
die() {
	echo "vpcemu: $*" >&2
	exit 1
}
need_root() { [ "$(id -u)" = 0 ] || die "this script needs root: run it with sudo"; }

# ---- Commands that a signal ends, and what a killed run leaves ----

children=() # process groups of the commands under way

# run COMMAND...: in a process group of its own, and waited for so that a signal
# to this script is answered at once (bash lets a foreground command end first).
run() {
	start "$@"
	finish "$started"
}

# start COMMAND...: beside what follows. Its process group is left in started.
# Without the lock of only_one, which would outlive this script in a daemon.
start() {
	set -m
	"$@" 9>&- &
	started=$!
	set +m
	children+=("$started")
}

# finish GROUP: wait for what start started, and return how it ended.
finish() {
	local status=0 other left=()
	wait "$1" || status=$?
	for other in "${children[@]}"; do
		[ "$other" = "$1" ] || left+=("$other")
	done
	children=("${left[@]+"${left[@]}"}")
	return $status
}

# stop_child: end the commands under way with all that they started.
stop_child() {
	local i child
	for child in "${children[@]+"${children[@]}"}"; do
		kill -TERM -- "-$child" 2>/dev/null || true
	done
	for child in "${children[@]+"${children[@]}"}"; do
		for ((i = 0; i < 50; i++)); do
			kill -0 -- "-$child" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL -- "-$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
	done
	children=()
}

# only_one DIR: make tmp, a folder in DIR that everything of this run goes into, and
# remove what killed runs left. DIR is locked (descriptor 9) as long as this script
# lives; another run waits for it to end. Others may pass through the folders, as a
# test runs the program as a user who is not root.
only_one() {
	local told='' left
	until [ "$1" -ef /proc/self/fd/9 ]; do # the run before us removed what we opened
		install -d -m 711 "$1" || die "cannot make $1"
		exec 9<"$1"
		until flock -n 9; do
			[ -n "$told" ] || echo "another run is under way; waiting for it to end"
			told=yes
			sleep 1
		done
	done
	for left in "$1"/*/; do sweep "${left%/}"; done
	tmp=$(mktemp -d "$1/XXXXXX") # a name that no run in a container has either
	chmod 711 "$tmp"
}

# processes_of DIR: those that name the folder in their environment or command line.
processes_of() (
	unset TMPDIR GOTMPDIR VPCEMU_STATE_DIR VPCEMU_RUN_DIR # for the programs here
	found=$(grep -lsaF "$1" /proc/[0-9]*/environ /proc/[0-9]*/cmdline || true) # whole, so that grep has ended
	while read -r file; do
		pid=${file#/proc/} pid=${pid%/*}
		# The grep found itself too, and has ended.
		if [ "$pid" != $$ ] && [ -e "/proc/$pid/exe" ]; then echo "$pid"; fi
	done <<<"$found" | sort -un
)

# namespaces_of DIR: names in `ip netns` of labs that run in the folder. The text
# that says so is in the file below the mounted namespace.
namespaces_of() {
	[ -d /run/netns ] || return 0
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount sh -c 'mount --bind /run/netns "$1" && cd "$1" && grep -lsF "\"RunDir\":\"$1/" -- *' sh "$1" || true
}

# mounts_of DIR: mount points in the folder or of something in it, the innermost first.
mounts_of() { { grep -F "$1/" /proc/self/mountinfo || true; } | cut -d' ' -f5 | grep -vx / | tac || true; }

# left_in DIR: what of a run is still on the machine, a line each. What is about to
# end, such as a process that was killed a moment ago, gets five seconds.
left_in() {
	local i left=''
	for ((i = 0; i < 50; i++)); do
		left=$(found_in "$1")
		[ -n "$left" ] || return 0
		sleep 0.1
	done
	echo "$left"
}

found_in() {
	local pid
	for pid in $(processes_of "$1"); do
		echo "process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
	done 2>/dev/null
	namespaces_of "$1" | sed 's/^/network namespace /'
	mounts_of "$1" | sed 's/^/mount /'
	find "$1" -xdev -type f -printf 'file %p\n' 2>/dev/null | head -n 10 || true
}

# sweep DIR: remove all that a run left and its folder, going by what the kernel knows, so that
# it works whatever state the run's own programs were killed in.
sweep() {
	local pids name point i
	[ -d "$1" ] || return 0
	for ((i = 0; i < 20; i++)); do # what is killed may just have started something
		mapfile -t pids < <(processes_of "$1")
		[ ${#pids[@]} -gt 0 ] || break
		kill -KILL "${pids[@]}" 2>/dev/null || true
		sleep 0.1
	done
	for name in $(namespaces_of "$1"); do
		umount -l "/run/netns/$name" 2>/dev/null || true
		rm -f "/run/netns/$name"
	done
	# `ip netns` makes the folder a mount; so do labs, and take it back with the last name.
	if [ -d /run/netns ] && [ -z "$(ls -A /run/netns)" ]; then umount /run/netns 2>/dev/null || true; fi
	rmdir /run/netns 2>/dev/null || true
	for point in $(mounts_of "$1"); do
		umount -l "$point"
		[[ $point == "$1"/* ]] || rmdir "$point" 2>/dev/null || true
	done
	rm -rf --one-file-system "$1"
}

# ---- Debian packages ----

pauses='3 10 0' # after each try of a registry, in seconds

# need_packages PACKAGE...: install what is missing, through apt only, and let no
# service start: instances start their own.
need_packages() {
	local missing=() p
	for p in "$@"; do
		dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
	done
	allow_services # if a run was killed
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || die "this machine has no apt: install by hand what Debian has in the packages ${missing[*]}"
	[ "$(id -u)" = 0 ] || die "Debian packages are missing; as root: apt-get install ${missing[*]}"
	echo "installing Debian packages: ${missing[*]}"
	fetch_packages "${missing[@]}"
	forbid_services
	# In a session of its own and not by run: better a wait than packages half installed.
	apt_quietly setsid -w apt-get install "${missing[@]}" || die "apt could not install ${missing[*]}: $(apt_error)"
	allow_services
}

# need_clients: what drives the API in the end-to-end tests, the AWS CLI and boto3, from Debian where
# the machine has none (200 MB, Debian's are older than AWS_ENDPOINT_URL); and what is here, told.
need_clients() {
	local missing=() python=python3
	command -v aws >/dev/null || missing+=(awscli)
	python3 -c 'import boto3' 2>/dev/null || python=/usr/bin/python3
	$python -c 'import boto3' 2>/dev/null || missing+=(python3-boto3)
	[ ${#missing[@]} = 0 ] || need_packages "${missing[@]}"
	echo "clients of the API: $(aws --version 2>&1 | cut -d' ' -f1), boto3 $($python -c 'import boto3; print(boto3.__version__)')," \
		"$(terraform version 2>/dev/null | head -n 1 | grep . || echo 'no terraform: its configurations are not applied')"
}

# fetch_packages [APT OPTION...] PACKAGE...: with all that they need. A registry that falters
# is asked again: what a try brought, the next one keeps.
fetch_packages() {
	local pause
	for pause in $pauses; do
		# One source of several may be out of order while the others have everything.
		run apt_quietly apt-get update || true
		run apt_quietly apt-get install --download-only "$@" && return
		case $(apt_error) in
		*locate* | *candidate* | *etch* | *download*) run sleep "$pause" ;;
		*) die "apt: $(apt_error)" ;;
		esac
	done
	die "the Debian package registry is out of reach: connect this machine and run the script again ($(apt_error))"
}

# apt_quietly COMMAND...: apt-get without its talk, waiting for another apt, after repair of one that was killed.
apt_quietly() {
	local options=(-q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Acquire::http::Timeout=20) i
	for ((i = 0; i < 300; i++)); do
		DEBIAN_FRONTEND=noninteractive "$@" "${options[@]}" </dev/null >"$tmp/apt.log" 2>&1 && return
		case $(<"$tmp/apt.log") in
		*'dpkg --configure -a'*) DEBIAN_FRONTEND=noninteractive dpkg --configure -a </dev/null >"$tmp/dpkg.log" 2>&1 || return ;;
		*'Could not get lock'*) sleep 1 ;;
		*) return 1 ;;
		esac
	done
	return 1
}

# apt_error: the errors that apt told, the last ones, in a line and without addresses.
apt_error() { sed -n 's/^E: //p' "$tmp/apt.log" | without_addresses | tail -n 2 | tr -s '\n' ' ' | sed 's/ $//'; }
without_addresses() { sed -E 's,[a-z]+://[^ ]*/([^ /]*),\1,g; s/ *\[IP: [^]]*\]//g; s/ (resolving|lookup) [^ ]+( on [^ ]+:)?//g; s/  +/ /g'; }

# forbid_services, allow_services: a policy that lets packages start no service on
# this machine, and its end. The machine's own policy is put back.
policy=/usr/sbin/policy-rc.d
forbid_services() {
	allow_services
	[ ! -e "$policy" ] || mv "$policy" "$policy.kept-by-vpcemu"
	printf '#!/bin/sh\n# by vpcemu, while it installs packages\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}
allow_services() {
	if [ -e "$policy.kept-by-vpcemu" ]; then
		mv -f "$policy.kept-by-vpcemu" "$policy"
	elif grep -qs 'by vpcemu' "$policy"; then
		rm -f "$policy"
	fi
}

# local_repository DIR PACKAGE...: fetch packages with all that they need and this
# machine lacks, and make DIR a repository that apt can use.
local_repository() {
	local dir=$1 deb
	shift
	mkdir -p "$dir/partial"
	fetch_packages --reinstall -o Dir::Cache::archives="$dir" "$@"
	rm -rf "$dir/partial" "$dir/lock"
	(
		cd "$dir" || exit
		for deb in *.deb; do
			dpkg-deb -f "$deb"
			printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
		done >Packages
	)
}

# ---- Go ----

# need_go: put a Go that can build this module first in PATH. Where the machine's
# is older, the toolchain comes as a module.
need_go() {
	local want have toolchain dir
	export HOME=${HOME:-/root} # CI may have none, and Go wants a cache
	# A repository that belongs to somebody else than root would fail the build.
	export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
	export GOTMPDIR=$tmp # go leaves files when it is killed
	want=$(sed -n 's/^go //p' "$repo/go.mod")
	PATH=$PATH:/usr/local/go/bin
	command -v go >/dev/null || need_packages golang-go ca-certificates
	have=$(GOTOOLCHAIN=local go env GOVERSION) have=${have#go}
	if [ "$(printf '%s\n' "$want" "$have" | sort -V | head -n 1)" != "$want" ]; then
		echo "fetching Go $want as a module (this machine's is $have)"
		# From 1.21 on, the go command does that itself, where it is not told otherwise.
		export GOTOOLCHAIN=go$want+auto
		if [ "$(printf '%s\n' 1.21 "$have" | sort -V | head -n 1)" != 1.21 ]; then
			toolchain=v0.0.1-go$want.linux-$(dpkg --print-architecture)
			dir=$(cd / && go env GOMODCACHE)/golang.org/toolchain@$toolchain
			run fetch_module / "golang.org/toolchain@$toolchain"
			chmod +x "$dir"/bin/* "$dir"/pkg/tool/*/* # modules carry no executable bits
			PATH=$dir/bin:$PATH
			unset GOROOT
		fi
	fi
	export PATH
	run fetch_module "$repo"
}

# fetch_module DIR [MODULE]: a module, or what the module in DIR needs.
fetch_module() {
	local pause
	for pause in $pauses; do
		(cd "$1" && go mod download ${2+"$2"}) >"$tmp/go.log" 2>&1 && return
		grep -q :// "$tmp/go.log" || die "go: $(tail -n 1 "$tmp/go.log")"
		sleep "$pause"
	done
	die "the Go module registry is out of reach: connect this machine and run the script again ($(tail -n 1 "$tmp/go.log" | without_addresses))"
}

# build DIR: build vpcemu and its guest program there.
build() {
	(cd "$repo" && CGO_ENABLED=0 go build -trimpath -o "$1/vpcemu" ./cmd/vpcemu &&
		CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$1/vpcemu-guest" ./cmd/vpcemu/guest)
}

# tests_named PREFIX: PACKAGE NAME, a line for each function of the tests whose name
# begins so: Fuzz, Benchmark.
tests_named() {
	(cd "$repo" && grep -rHoE "^func $1[A-Za-z0-9_]+" --include='*_test.go' . | sed -E 's|/[^/]*:func | |' | sort -u)
}
