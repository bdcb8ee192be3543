#!/usr/bin/env bash
# Benchmark vpcemu against the kernel router that people would build instead, and
# against other ways to forward in user space: bench.sh [FLAG...]. Needs root.
#   --short              about a minute: TCP, UDP and latency against the kernel
#                        router, what looking on costs, and calls of the API; writes nothing
#   --only WORK          tcp1, tcp*, nat, udp1400, rr, crr, rules, flows, instances,
#                        book, observe, api and more, separated by commas
#   --contestants LIST   of kernel, bare, vpcemu, naive
#   --rounds N, --seconds S   how often, and how long each measurement takes
#   --json FILE, --svg FILE   write the results, draw the ratios
#   --pin                keep the two ends of the traffic on a CPU each
#   --parts [--short]    instead: the packet path's functions, by go test -bench; needs
#                        no root where Go is installed
# A full run takes about 10 minutes and writes docs/bench.json and docs/bench.svg.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

home=/var/cache/vpcemu-bench
parts='' short=''
for word in "$@"; do
	case $word in
	--parts) parts=yes ;;
	--short) short=yes ;;
	-h | --help)
		sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"
		exit
		;;
	esac
done
if [ "$parts" ] && [ "$*" != --parts ] && [ "$*" != '--parts --short' ] && [ "$*" != '--short --parts' ]; then
	die "with --parts only --short goes"
fi

ended() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP
	stop_child
	if [ "$parts" ]; then
		rm -rf "$tmp"
	else
		allow_services
		sweep "$tmp"
		rmdir $home
	fi
	exit $status
}

# One package after the other: side by side they would measure each other.
packet_path() {
	local count=5 time=500ms
	if [ "$short" ]; then count=1 time=200ms; fi
	go test -p 1 -run '^$' -bench . -benchmem -benchtime "$time" -count "$count" ./dataplane ./filter ./nat ./internal/conntrack ./internal/packet ./internal/slab
}

show_parts() {
	run packet_path >"$tmp/out" || { cat "$tmp/out" >&2; exit 1; }
	# The median of each, a line a benchmark.
	sed -n 's/^cpu: //p' "$tmp/out" | head -n 1
	awk '
		/^pkg: / { pkg = $2; sub(/.*vpcemu\//, "", pkg) }
		/^Benchmark/ {
			name = $1; sub(/^Benchmark/, "", name); sub(/-[0-9]+$/, "", name)
			bytes = allocs = "-"
			for (i = 3; i < NF; i += 2) {
				if ($(i+1) == "ns/op") ns = $i
				if ($(i+1) == "B/op") bytes = $(i)
				if ($(i+1) == "allocs/op") allocs = $(i)
			}
			printf "%s\t%s\t%s\t%s\t%s\n", pkg, name, ns, bytes, allocs
		}' "$tmp/out" | sort -s -t "$(printf '\t')" -k1,2 -k3,3g | awk -F '\t' '
		function show() { if (n) { m = rows[int((n + 1) / 2)]; split(m, f, "\t"); printf "%-20s %-34s %12s %14s %10s %10s\n", f[1], f[2], f[3], rate(f[3]), f[4], f[5] } n = 0 }
		function rate(ns) { return ns > 0 ? sprintf("%.2f", 1000 / ns) : "-" }
		BEGIN { printf "%-20s %-34s %12s %14s %10s %10s\n", "PACKAGE", "BENCHMARK", "NS/OP", "MILLION OP/S", "B/OP", "ALLOCS/OP" }
		{ if ($1 FS $2 != key) { show(); key = $1 FS $2 } rows[++n] = $0 }
		END { show() }'
}

exec </dev/null
if [ "$parts" ]; then tmp=$(mktemp -d); else need_root; only_one $home; fi
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ "$parts" ]; then
	need_go
	cd "$repo"
	show_parts
	exit
fi
need_packages ca-certificates kmod nftables
need_go
build_all() { build "$tmp" && (cd "$repo" && CGO_ENABLED=0 go build -trimpath -o "$tmp/bench" ./internal/bench); }
run build_all
run "$tmp/bench" --vpcemu "$tmp/vpcemu" --dir "$tmp" --docs "$repo/docs" "$@"
for file in "$repo"/docs/bench.{json,svg}; do # the repository may be somebody else's than root's
	if [ -e "$file" ]; then chown --reference="$repo/docs" "$file"; fi
done
