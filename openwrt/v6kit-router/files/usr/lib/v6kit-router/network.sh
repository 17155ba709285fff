# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# What the network is, as netifd tells over ubus, and the prefixes that follow from it.

# json_value JSON EXPRESSION: the first match, nothing when there is none.
json_value() {
	jsonfilter -s "$1" -e "$2" 2>/dev/null | head -n 1
}

interface_status() {
	ubus call "network.interface.$1" status 2>/dev/null
}

# best_prefix JSON LIST: the prefix of a list of {address, mask, preferred} that is global and still
# preferred. While a prefix is being replaced the old one stays in the list with preferred=0.
best_prefix() {
	local index=0 address mask preferred
	while [ "$index" -lt 16 ]; do
		address="$(json_value "$1" "@['$2'][$index].address")"
		[ -n "$address" ] || return 1
		mask="$(json_value "$1" "@['$2'][$index].mask")"
		preferred="$(json_value "$1" "@['$2'][$index].preferred")"
		if [ "$preferred" != 0 ] && is_prefix "$address/$mask" && is_global "$address"; then
			canonical_prefix "$address/$mask"
			return 0
		fi
		index=$((index + 1))
	done
	return 1
}

# wan_interface: the interface that was given, or the first with a delegated prefix, or with an IPv6
# default route.
wan_interface() {
	local object name status routed=''
	if [ "$cfg_wan" != auto ]; then
		printf '%s\n' "$cfg_wan"
		return 0
	fi
	for object in $(ubus list 'network.interface.*' 2>/dev/null); do
		name="${object#network.interface.}"
		if ! is_name "$name" || [ "$name" = "$cfg_lan" ]; then
			continue
		fi
		status="$(interface_status "$name")"
		if best_prefix "$status" ipv6-prefix >/dev/null; then
			printf '%s\n' "$name"
			return 0
		fi
		if [ -z "$routed" ] && jsonfilter -s "$status" -e '@.route[*].target' 2>/dev/null | grep -qx '::'; then
			routed="$name"
		fi
	done
	[ -n "$routed" ] && printf '%s\n' "$routed"
}

# Fills lan_device, lan_prefix, lan_addresses, wan_name, wan_device and wan_prefix; empty is not there (yet).
network_read() {
	local status
	status="$(interface_status "$cfg_lan")"
	lan_device="$(json_value "$status" '@.l3_device')"
	is_device "$lan_device" || lan_device=''
	lan_prefix="$(best_prefix "$status" ipv6-prefix-assignment)"
	lan_addresses="$(jsonfilter -s "$status" -e "@['ipv6-prefix-assignment'][*]['local-address'].address" 2>/dev/null)"

	wan_name="$(wan_interface)"
	wan_device=''
	wan_prefix=''
	if [ -n "$wan_name" ]; then
		status="$(interface_status "$wan_name")"
		wan_device="$(json_value "$status" '@.l3_device')"
		is_device "$wan_device" || wan_device=''
		wan_prefix="$(best_prefix "$status" ipv6-prefix)"
	fi
}

waiting=''

wait_for() {
	waiting="$waiting$1
"
}

# Fills `wanted`, lines of NAME PREFIX HOST for every section whose prefix is known now, and `waiting`,
# what the others are waiting for.
wanted_read() {
	local section prefix base own
	wanted=''
	waiting=''
	[ "$cfg_enabled" = 1 ] || return 0
	[ -n "$lan_device" ] || wait_for "interface $cfg_lan is not up"
	[ -n "$wan_device" ] || wait_for "no interface with a delegated prefix or an IPv6 default route is up"
	for section in $cfg_sections; do
		if ! section_read "$section" || [ "$section_enabled" = 0 ]; then
			continue
		fi
		prefix="$section_part"
		if [ "$section_base" != none ]; then
			base="$wan_prefix"
			[ "$section_base" != lan ] || base="$lan_prefix"
			if [ -z "$base" ]; then
				wait_for "$section: $section_base has no global prefix yet"
				continue
			fi
			if ! prefix="$(place_prefix "$base" "$section_part")"; then
				refuse "$section.part: /${section_part#*/} is not inside the $section_base prefix $base"
				continue
			fi
		fi
		if [ -n "$lan_prefix" ] && prefix_contains "$prefix" "$lan_prefix"; then
			refuse "$section: $prefix would take the addresses of $cfg_lan itself ($lan_prefix)"
		elif own="$(own_address_in "$prefix")"; then
			refuse "$section: $prefix holds this router's own address $own"
		elif [ -n "$lan_device" ]; then
			wanted="$wanted$section $prefix $section_host
"
		fi
	done
}

# own_address_in PREFIX: an address of this router on the LAN that lies in the prefix.
own_address_in() {
	local address
	for address in $lan_addresses; do
		if is_address "$address" && prefix_contains "$1" "$address/128"; then
			printf '%s\n' "$address"
			return 0
		fi
	done
	return 1
}

# outside_delegation PREFIX: whether the prefix is not part of what the WAN was given, so that netifd's
# source-specific default route does not carry it.
outside_delegation() {
	[ -n "$wan_prefix" ] && ! prefix_contains "$wan_prefix" "$1"
}
