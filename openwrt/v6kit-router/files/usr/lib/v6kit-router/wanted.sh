# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# Which prefix each host is to have now: the settings, put into the network as it is.

# A line NAME PREFIX HOST for each host that has something in place, kept in memory: what a host keeps whose
# settings are wrong for the moment.
SERVED="$RUN/served"

# Between `stop` and `start` the events of the network are left alone.
STOPPED="$RUN/stopped"

waiting=''

wait_for() {
	waiting="$waiting$1$NEWLINE"
}

# Fills `wanted`, lines of NAME PREFIX HOST for every section whose prefix is known now, `wan_devices`, and
# `waiting`, what the others are waiting for. What does not fit is left out, one section at a time.
wanted_read() {
	local name host base prefix
	wanted='' waiting='' wan_devices=''
	[ "$cfg_enabled" = 1 ] || return 0
	[ -n "$lan_device" ] || wait_for "interface $cfg_lan is not up"
	while read -r name host base prefix; do
		[ -n "$name" ] && section_place
	done <<-END
		$sections
	END
	if [ -z "$wan_devices" ] && { [ -n "$wanted" ] || [ -z "$uplinks" ]; }; then
		if [ "$cfg_wan" = auto ]; then
			wait_for "no interface with a delegated prefix or an IPv6 default route is up"
		else
			wait_for "interface $cfg_wan is not up"
		fi
	fi
	refusals_read
}

# Adds the section in `name`, `host`, `base` and `prefix` to `wanted`, or says why not.
section_place() {
	local base_prefix="$lan_prefix"
	if [ "$host" = '?' ]; then
		section_keep
		return
	fi
	if [ "$base" != none ]; then
		[ "$base" = lan ] || base_prefix="$wan_prefix"
		if [ -z "$base_prefix" ]; then
			wait_for "$name: $base has no global prefix yet"
			return
		fi
		if ! place_prefix "$base_prefix" "$prefix"; then
			leave_out "$name.part: /${prefix#*/} is not inside the $base prefix $base_prefix"
			return
		fi
	fi
	if section_fits && [ -n "$lan_device" ]; then
		section_want
	fi
}

section_want() {
	wanted="$wanted$name $prefix $host$NEWLINE"
	devices_for "$prefix"
}

# A section whose settings are wrong keeps what it has.
section_keep() {
	local served_name
	[ -f "$SERVED" ] || return 0
	while read -r served_name prefix host; do
		if [ "$served_name" = "$name" ] && [ -n "$lan_device" ] && section_fits; then
			section_want
		fi
	done <"$SERVED"
}

# Whether `prefix` takes nothing from the LAN, from this router, or from a section before it.
section_fits() {
	local other_name other own
	for other in $lan_prefixes; do
		if prefix_contains "$prefix" "$other"; then
			leave_out "$name: $prefix would take the addresses of $cfg_lan itself ($other)"
			return 1
		fi
	done
	for own in $lan_addresses; do
		if is_address "$own" && prefix_contains "$prefix" "$own/128"; then
			leave_out "$name: $prefix holds this router's own address $own"
			return 1
		fi
	done
	while read -r other_name other own; do
		if [ -n "$other" ] && prefixes_overlap "$other" "$prefix"; then
			leave_out "$name: $prefix is $other_name's already ($other)"
			return 1
		fi
	done <<-END
		$wanted
	END
}

# outside_delegation PREFIX: whether the prefix is not part of what a way to the internet was given, so that
# netifd's source-specific default route does not carry it.
outside_delegation() {
	delegation_of "$1"
	[ -n "$delegations" ] && [ -z "$delegation_name" ]
}
