#!/usr/bin/env bash
# Build vpcemu and install it: install.sh [PREFIX], /usr/local without one.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

prefix=${1:-/usr/local}
tmp=$(mktemp -d)
ended() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP
	stop_child
	allow_services
	rm -rf "$tmp"
	exit $status
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

install -d "$prefix/bin" 2>/dev/null || die "cannot write to $prefix: run with sudo, or name another prefix"
need_go
run build "$tmp"
install -D -m 755 "$tmp/vpcemu" "$prefix/bin/vpcemu"
install -D -m 755 "$tmp/vpcemu-guest" "$prefix/libexec/vpcemu/vpcemu-guest"
for shell in bash:share/bash-completion/completions/vpcemu zsh:share/zsh/site-functions/_vpcemu fish:share/fish/vendor_completions.d/vpcemu.fish; do
	"$tmp/vpcemu" completion "${shell%%:*}" >"$tmp/completion"
	install -D -m 644 "$tmp/completion" "$prefix/${shell#*:}"
done
echo "installed $prefix/bin/vpcemu; try: sudo vpcemu up book"
