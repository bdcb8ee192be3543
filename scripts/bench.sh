#!/usr/bin/env bash
# Benchmark the packet path: bench.sh [--short]. Needs no root where Go is installed.
#   --short   one quick measurement each instead of the median of five
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

count=5 time=500ms
case ${1:-} in
'') ;;
--short) count=1 time=200ms ;;
*) die "usage: bench.sh [--short]" ;;
esac

tmp=$(mktemp -d)
ended() {
	local status=$?
	trap - EXIT
	stop_child
	rm -rf "$tmp"
	exit $status
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
need_go
cd "$repo"

# One package after the other: side by side they would measure each other.
packet_path() { go test -p 1 -run '^$' -bench . -benchmem -benchtime "$time" -count "$count" ./dataplane ./filter ./nat ./internal/conntrack ./internal/packet ./internal/slab; }
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
