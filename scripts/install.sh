#!/usr/bin/env bash
# Build vpcemu and install it: install.sh [PREFIX], /usr/local without one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

prefix=${1:-/usr/local}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

need_go
build "$tmp"
install -D -m 755 "$tmp/vpcemu" "$prefix/bin/vpcemu" || die "cannot write to $prefix: run with sudo, or name another prefix"
install -D -m 755 "$tmp/vpcemu-guest" "$prefix/libexec/vpcemu/vpcemu-guest"
for shell in bash:share/bash-completion/completions/vpcemu zsh:share/zsh/site-functions/_vpcemu fish:share/fish/vendor_completions.d/vpcemu.fish; do
	mkdir -p "$prefix/$(dirname "${shell#*:}")"
	"$tmp/vpcemu" completion "${shell%%:*}" >"$prefix/${shell#*:}"
done
echo "installed $prefix/bin/vpcemu; try: sudo vpcemu up book"
