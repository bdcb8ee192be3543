#!/usr/bin/env bash
# Run every test, on this machine as it is: test.sh [--full].
# Needs root and nothing else: what is missing is installed from Debian's packages
# and the Go module proxy. Leaves the machine as it was, packages apart.
#   --full   longer fuzzing, and end-to-end tests several times over
set -euo pipefail
. "$(dirname "$0")/lib.sh"

fuzz_seconds=120 # in all
e2e_count=1
case ${1:-} in
'') ;;
--full) fuzz_seconds=1200 e2e_count=3 ;;
*) die "usage: test.sh [--full]" ;;
esac

need_root
exec </dev/null

# What a killed run may have left: its labs, and the folders of its tests.
clean_up() {
	local dir lab bin
	for dir in "${TMPDIR:-/tmp}"/vpcemu-e2e-*; do
		[ -d "$dir" ] || continue
		bin=$dir/vpcemu
		for lab in $(ls "$dir/run" "$dir/state" 2>/dev/null | grep -v : | sed 's/\.lock$//' | sort -u); do
			[ -x "$bin" ] || continue
			VPCEMU_STATE_DIR=$dir/state VPCEMU_RUN_DIR=$dir/run timeout 60 "$bin" --lab "$lab" down || true
		done
		rm -rf "$dir"
	done
}
tests=''
ended() {
	local status=$?
	trap - EXIT
	if [ -n "$tests" ]; then kill "$tests" 2>/dev/null || true; wait "$tests" 2>/dev/null || true; fi
	clean_up
	exit $status
}
trap ended EXIT
trap 'exit 130' INT TERM HUP

# run COMMAND...: in the background, so that a signal is seen at once.
run() {
	"$@" &
	tests=$!
	local status=0
	wait "$tests" || status=$?
	tests=''
	return $status
}

say "What the tests need"
need_packages gcc libc6-dev git tar iproute2 kmod "${lab_packages[@]}" "${test_packages[@]}"
need_go
cd "$repo"
clean_up

say "Format, vet, staticcheck"
unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || die "gofmt differs: $unformatted"
go vet ./...
go tool staticcheck ./...

say "Unit and pipeline tests, with the race detector"
mapfile -t quick < <(go list ./... | grep -v /internal/e2e)
run go test -race -timeout 15m "${quick[@]}"

say "Fuzzing, $fuzz_seconds seconds in all"
mapfile -t targets < <(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func /:/')
for target in "${targets[@]}"; do
	run go test -run '^$' -fuzz "^${target#*:}\$" -fuzztime "$((fuzz_seconds / ${#targets[@]}))s" "$(dirname "${target%%:*}")"
done

say "Benchmarks still run"
run go test -run '^$' -bench . -benchtime 1x ./dataplane/... ./filter/... ./nat/... ./internal/conntrack/... ./internal/packet/...

say "End-to-end tests"
run go test -timeout 60m -count "$e2e_count" ./internal/e2e/...
