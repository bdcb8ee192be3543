#!/usr/bin/env bash
# Run every test, on this machine as it is: test.sh [--full].
# Needs root and nothing else: what is missing is installed from Debian's packages
# and the Go module proxy. Leaves the machine as it was, packages apart.
#   --full   longer fuzzing, and end-to-end tests several times over, with all of Terraform's configurations and Ansible's playbooks
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

fuzz_seconds=120 fuzz_workers=1 # in all; at once
e2e_count=1
case ${1:-} in
'') ;;
--full)
	test_packages+=(ansible python3-boto3) # Debian's Ansible uses no other Python's boto3
	fuzz_seconds=1200 fuzz_workers=2 e2e_count=3
	export VPCEMU_TEST_FULL=yes
	;;
*) die "usage: test.sh [--full]" ;;
esac

# step TITLE: with the time that the run has taken until then.
step() { say "$* ($((SECONDS / 60)):$(printf %02d $((SECONDS % 60))))"; }

# Not where instances and tests mount something else, as on /tmp and /var/lib.
home=/var/cache/vpcemu-test
ended() {
	local status=$? left
	trap - EXIT
	trap '' INT TERM HUP
	stop_child
	allow_services
	left=$(left_in "$tmp/tmp")
	sweep "$tmp"
	rmdir $home
	if [ $status = 0 ] && [ -n "$left" ]; then
		echo "vpcemu: the tests passed, and left on the machine (it is removed now):"$'\n'"$left" >&2
		status=1
	fi
	exit $status
}

need_root
exec </dev/null
only_one $home
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkdir "$tmp/tmp"

step "What the tests need"
need_packages ca-certificates gcc libc6-dev kmod "${lab_packages[@]}" "${test_packages[@]}"
need_clients
need_go
cd "$repo"
export TMPDIR=$tmp/tmp GOTMPDIR=$tmp/tmp CI=true

step "Format, vet, staticcheck"
unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || die "gofmt differs: $unformatted"
run go vet ./...
run go tool staticcheck ./...

step "Unit and pipeline tests, with the race detector"
# The tests of these do millions of things one after another: whole without the race
# detector, and in short with it.
long=(./nat ./internal/conntrack ./internal/importer ./internal/vpc)
mapfile -t quick < <(go list ./... | grep -v /internal/e2e | grep -vxF "$(go list "${long[@]}")")
[ ${#quick[@]} -gt 0 ] || die "no packages to test"
circle='^TestTerraform_Circle$'
# Terraform's provider waits more than it works: beside the others.
start go test -race -timeout 15m -run "$circle" ./internal/hcl >"$tmp/circle" 2>&1
terraform=$started
run go test -race -timeout 15m -skip "$circle" "${quick[@]}"
run go test -race -short -timeout 15m "${long[@]}"
run go test -timeout 15m "${long[@]}"
finish "$terraform" || die "$(<"$tmp/circle")"
cat "$tmp/circle"

# Fuzzing takes what the others leave: the end-to-end tests wait more than they compute.
mapfile -t targets < <(tests_named Fuzz)
seconds=$((fuzz_seconds / ${#targets[@]}))
touch "$tmp/fuzzing"
fuzz() { go test -run '^$' -fuzz "^${1#* }\$" -fuzztime "${seconds}s" -fuzzminimizetime 1s -parallel $fuzz_workers "${1% *}" >"$tmp/fuzz.out" 2>&1; }
# The go command keeps the input that failed as a test case.
kept() { find . -path '*/testdata/fuzz/*' -type f -newer "$tmp/fuzzing" -printf 'the input that failed, to be kept as a test: %p\n'; }
# deadline_race: fuzzing that ends at its time can say so as an error, before Go 1.27
# (golang/go#75804). What fails has its input kept, or panics.
deadline_race() { [ -z "$(kept)" ] && grep -qx ' *context deadline exceeded' "$tmp/fuzz.out" && ! grep -qE 'Failing input|panic:|fatal error:' "$tmp/fuzz.out"; }
fuzz_all() {
	local target tries
	renice -n 19 "$BASHPID" >/dev/null
	mkdir "$tmp/fuzz"
	export TMPDIR=$tmp/fuzz GOTMPDIR=$tmp/fuzz # the end-to-end tests look at what is left in theirs
	for target in "${targets[@]}"; do
		tries=1
		until fuzz "$target"; do
			if [ $((tries++)) = 3 ] || ! deadline_race; then
				cat "$tmp/fuzz.out"
				kept
				die "fuzzing failed: ${target#* } in ${target% *}"
			fi
		done
		echo "ok ${target#* } in ${target% *}: $(grep -oE 'execs: [0-9]+' "$tmp/fuzz.out" | tail -n 1)"
	done
}

echo "beside what follows: ${#targets[@]} fuzz targets for $seconds seconds each"
start fuzz_all >"$tmp/fuzzed" 2>&1
fuzzing=$started

step "Every benchmark, once"
mapfile -t benchmarks < <(tests_named Benchmark | cut -d' ' -f1 | sort -u)
run go test -run '^$' -bench . -benchtime 1x "${benchmarks[@]}"

step "The benchmark against a kernel router, in short"
run "$repo/scripts/bench.sh" --short --rounds 1 --json "$tmp/bench.json"

step "End-to-end tests"
# Those that install packages and wait for programs of others go on beside all others, which
# begin with those that are alone.
waiting='^(TestB14_.*|TestTerraform|TestAnsible|TestIM05_CloudInit|TestCT05_RulesRevokedByTheAWSCLI.*)$'
end_to_end() { go test -timeout 60m -count "$e2e_count" -parallel 4 "$@"; }
start end_to_end -run "$waiting" ./internal/e2e >"$tmp/waited" 2>&1
patient=$started
run end_to_end -skip "$waiting" ./internal/e2e/...
step "Those that wait for programs of others"
finish "$patient" || die "$(<"$tmp/waited")"
cat "$tmp/waited"
step "Fuzzing"
finish "$fuzzing" || die "$(<"$tmp/fuzzed")"
cat "$tmp/fuzzed"

say "All passed in $((SECONDS / 60)) minutes and $((SECONDS % 60)) seconds"
