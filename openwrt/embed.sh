#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Puts the files of the package into provision.sh, behind its marker line, so that the script stands alone.
# `sh embed.sh --check` says whether it holds them as they are, and changes nothing.
set -eu
cd "$(dirname "$0")"

files='usr/lib/v6kit-router/values.sh usr/lib/v6kit-router/settings.sh usr/lib/v6kit-router/network.sh
usr/lib/v6kit-router/wanted.sh usr/lib/v6kit-router/route.sh usr/lib/v6kit-router/firewall.sh
usr/lib/v6kit-router/conntrack.sh usr/lib/v6kit-router/differences.sh usr/lib/v6kit-router/report.sh usr/sbin/v6kit-router etc/config/v6kit-router etc/init.d/v6kit-router
etc/hotplug.d/iface/90-v6kit-router usr/share/nftables.d/table-pre/v6kit-router.nft
usr/share/nftables.d/chain-post/raw_prerouting/v6kit-router.nft
usr/share/nftables.d/chain-pre/forward/v6kit-router.nft
usr/share/nftables.d/ruleset-post/v6kit-router.nft'

embedded() {
	sed '/^# --- files of the package/q' provision.sh
	echo
	echo "FILES='"
	# shellcheck disable=SC2086 # names without spaces
	printf '%s\n' $files
	echo "'"
	echo
	echo '# content FILE: its text.'
	echo 'content() {'
	printf '\tcase "%s1" in\n' '$'
	for file in $files; do
		printf '\t%s)\n\t\tcat <<%s\n' "$file" "'V6KIT_FILE'"
		cat "v6kit-router/files/$file"
		printf 'V6KIT_FILE\n\t\t;;\n'
	done
	printf '\tesac\n}\n\nmain "$@"\n'
}

if [ "${1-}" = --check ]; then
	embedded | cmp -s - provision.sh && exit 0
	echo 'provision.sh holds other files than the package: run sh openwrt/embed.sh' >&2
	exit 1
fi
embedded >provision.sh.new
chmod 755 provision.sh.new
mv provision.sh.new provision.sh
