# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# The elements of the sets in table inet fw4. The rules are files of the package that never change; the
# elements lie in memory (/var/run) and the firewall takes them in again whenever it loads.

ELEMENTS="$RUN/elements.nft"
NFT_DIR=/usr/share/nftables.d
NFT_FILES='table-pre chain-post/raw_prerouting chain-pre/forward ruleset-post'

# set_elements NAME: what belongs into the set, one a line, in nft's spelling.
set_elements() {
	[ "$cfg_enabled" = 1 ] || return 0
	case "$1" in
	prefix) [ "$cfg_notrack" = 0 ] || printf '%s' "$wanted" | while read -r _ prefix _; do element "$prefix"; done ;;
	quiet) [ "$cfg_ping" = keep ] || printf '%s' "$wanted" | while read -r _ prefix _; do element "$prefix"; done ;;
	near) printf '%s\n' fc00::/7 ${wan_prefix:+"$wan_prefix"} ${lan_prefix:+"$lan_prefix"} ;;
	lan) [ -z "$lan_device" ] || printf '"%s"\n' "$lan_device" ;;
	wan) [ -z "$wan_device" ] || printf '"%s"\n' "$wan_device" ;;
	udp) printf '%s' "$cfg_udp_ports" | tr ' ' '\n' | grep . ;;
	esac
}

# nft shows a /128 as an address.
element() {
	printf '%s\n' "${1%/128}"
}

# elements_file: the whole file. Sets are flushed first, so that loading replaces and never accumulates.
elements_file() {
	local set elements
	for set in prefix quiet near lan wan udp; do
		echo "flush set inet fw4 v6kit_$set"
		elements="$(set_elements "$set" | sort -u | tr '\n' ',')"
		[ -z "$elements" ] || echo "add element inet fw4 v6kit_$set { ${elements%,} }"
	done
}

firewall_present() {
	command -v fw4 >/dev/null
}

# firewall_loaded: whether the running ruleset has our rules.
firewall_loaded() {
	nft list chain inet fw4 v6kit_inbound >/dev/null 2>&1
}

# live_elements NAME: what the kernel has in the set, one a line.
live_elements() {
	nft list set inet fw4 "v6kit_$1" 2>/dev/null | tr -s ' \t\n' ' ' | sed -n 's/.*elements = {\([^}]*\)}.*/\1/p' |
		tr -d ' ' | tr ',' '\n' | sort -u
}

firewall_differences() {
	local set
	if [ "$cfg_enabled" = 0 ]; then
		[ ! -f "$ELEMENTS" ] || echo "firewall: delete $ELEMENTS"
	elif ! elements_file | cmp -s - "$ELEMENTS"; then
		echo "firewall: write the elements of the sets to $ELEMENTS"
	fi
	firewall_loaded || return 0
	# `near` is not compared: nft merges overlapping elements.
	for set in prefix quiet lan wan udp; do
		if [ "$(live_elements "$set")" != "$(set_elements "$set" | sort -u)" ]; then
			echo "firewall: set v6kit_$set to { $(set_elements "$set" | sort -u | tr '\n' ' ')}"
		fi
	done
}

firewall_apply() {
	elements_file >"$ELEMENTS.new" || return 1
	if firewall_loaded && ! nft -f "$ELEMENTS.new"; then
		rm -f "$ELEMENTS.new"
		return 1
	fi
	if [ "$cfg_enabled" = 1 ]; then
		mv "$ELEMENTS.new" "$ELEMENTS"
	else
		rm -f "$ELEMENTS.new" "$ELEMENTS"
	fi
}

# Makes the firewall take in the rules. They are checked together with the rest first, because a ruleset
# that does not load would leave the router without any; ours go where they are at fault.
rules_load() {
	local directory
	firewall_present || return 0
	if ! fw4 -q check >/dev/null 2>&1; then
		for directory in $NFT_FILES; do
			mv "$NFT_DIR/$directory/v6kit-router.nft" "$RUN/$(echo "$directory" | tr / _).off" 2>/dev/null
		done
		if fw4 -q check >/dev/null 2>&1; then
			complain "the firewall does not load with the rules of v6kit-router: they were taken out again"
			return 1
		fi
		for directory in $NFT_FILES; do
			mv "$RUN/$(echo "$directory" | tr / _).off" "$NFT_DIR/$directory/v6kit-router.nft" 2>/dev/null
		done
		complain "the firewall's own configuration does not load: see \`fw4 check\`"
		return 1
	fi
	fw4 -q reload
}
