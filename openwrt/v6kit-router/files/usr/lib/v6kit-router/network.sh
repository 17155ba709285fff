# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# What the network is, as netifd tells over ubus: the LAN, and the ways to the internet.

# The most prefixes of an interface that are looked at.
PREFIXES_LOOKED_AT=8

# interface_read NAME LIST: fills `device`, and `found`: a line PREFIX PREFERRED for each global prefix in LIST
# (`ipv6-prefix` or `ipv6-prefix-assignment`) that is still preferred, in seconds. A prefix that is being
# replaced stays in the list, in front of the new one, with a shorter time or none.
interface_read() {
	local path="@.interface[@.interface='$1']" list="$2" index=0
	local address_0 address_1 address_2 address_3 address_4 address_5 address_6 address_7
	local mask_0 mask_1 mask_2 mask_3 mask_4 mask_5 mask_6 mask_7
	local preferred_0 preferred_1 preferred_2 preferred_3 preferred_4 preferred_5 preferred_6 preferred_7
	local listed length preferred text prefix own_static=''
	device='' found='' own_addresses=''
	set -- -e "device=$path.l3_device" -e "own_addresses=${path}['$list'][*]['local-address'].address" \
		-e "own_static=${path}['ipv6-address'][*].address"
	while [ "$index" -lt "$PREFIXES_LOOKED_AT" ]; do
		eval "address_$index='' mask_$index='' preferred_$index=''"
		set -- "$@" -e "address_$index=${path}['$list'][$index].address" -e "mask_$index=${path}['$list'][$index].mask" \
			-e "preferred_$index=${path}['$list'][$index].preferred"
		index=$((index + 1))
	done
	# jsonfilter quotes for a shell what it puts behind a name.
	text="$(jsonfilter -s "$interfaces" "$@" 2>/dev/null)"
	eval "$text"
	own_addresses="$own_addresses $own_static"
	is_device "$device" || device=''
	index=0
	while [ "$index" -lt "$PREFIXES_LOOKED_AT" ]; do
		eval "listed=\$address_$index length=\$mask_$index preferred=\$preferred_$index"
		index=$((index + 1))
		# Without a time it is preferred for ever.
		is_number "${preferred:=999999999}" 0 999999999 || preferred=999999999
		if [ "$preferred" -gt 0 ] && is_prefix "$listed/$length" && is_global "$listed"; then
			canonical_prefix "$listed/$length"
			found="$found$prefix $preferred$NEWLINE"
		fi
	done
}

# Fills `uplinks`, lines of NAME DEVICE ROUTED for each interface that may lead to the internet, where ROUTED
# is 1 with an IPv6 default route, and `delegations`, lines of PREFIX PREFERRED ROUTED NAME.
uplinks_read() {
	local routed='' delegated='' name text
	uplinks='' delegations=''
	if [ "$cfg_wan" = auto ]; then
		text="$(jsonfilter -s "$interfaces" \
			-e "routed=@.interface[@.route[@.target='::' && !@.table]].interface" \
			-e "delegated=@.interface[@['ipv6-prefix'][0]].interface" 2>/dev/null)"
		eval "$text"
	else
		routed="$cfg_wan"
	fi
	for name in $routed; do
		uplink_read "$name" 1
	done
	for name in $delegated; do
		# shellcheck disable=SC2086 # each name is an argument
		is_one_of "$name" $routed || uplink_read "$name" 0
	done
}

# uplink_read NAME ROUTED
uplink_read() {
	local device found prefix preferred
	is_name "$1" && [ "$1" != "$cfg_lan" ] || return 0
	interface_read "$1" ipv6-prefix
	[ -z "$device$found" ] || uplinks="$uplinks$1 ${device:--} $2$NEWLINE"
	while read -r prefix preferred; do
		[ -z "$prefix" ] || delegations="$delegations$prefix $preferred $2 $1$NEWLINE"
	done <<-END
		$found
	END
}

# Fills lan_device, lan_prefix, lan_addresses, wan_name, wan_device and wan_prefix; empty is not there (yet).
# lan_prefixes are all of the LAN.
network_read() {
	interfaces="$(ubus call network.interface dump 2>/dev/null)"
	uplinks_read
	wan_choose
	interface_read "$cfg_lan" ipv6-prefix-assignment
	lan_device="$device" lan_addresses="$own_addresses" lan_found="$found"
	lan_choose
}

# The way to the internet that `base wan` follows: with an IPv6 default route before without, and of those the
# delegation that is preferred for longest. Of equals the last: netifd lists the oldest first.
wan_choose() {
	local prefix preferred routed name device best=-1 best_routed=0
	wan_name='' wan_device='' wan_prefix=''
	while read -r prefix preferred routed name; do
		if [ -n "$prefix" ] && [ "$routed" -ge "$best_routed" ] &&
			{ [ "$routed" -gt "$best_routed" ] || [ "$preferred" -ge "$best" ]; }; then
			wan_prefix="$prefix" wan_name="$name" best="$preferred" best_routed="$routed"
		fi
	done <<-END
		$delegations
	END
	while read -r name device routed; do
		if [ -z "$wan_name" ] || { [ "$best_routed" = 0 ] && [ "$routed" = 1 ]; }; then
			wan_name="$name" wan_prefix='' best_routed=1
		fi
		[ "$name" != "$wan_name" ] || wan_device="$device"
	done <<-END
		$uplinks
	END
	[ "$wan_device" != - ] || wan_device=''
}

# The LAN's prefix: one out of a delegation with an IPv6 default route before others, and of those the one
# that is preferred for longest.
lan_choose() {
	local prefix preferred rank best=-1 best_rank=-1
	lan_prefix='' lan_prefixes=''
	while read -r prefix preferred; do
		[ -n "$prefix" ] || continue
		lan_prefixes="$lan_prefixes$prefix "
		delegation_of "$prefix"
		rank="${delegation_routed:-0}"
		if [ "$rank" -gt "$best_rank" ] || { [ "$rank" -eq "$best_rank" ] && [ "$preferred" -ge "$best" ]; }; then
			lan_prefix="$prefix" best="$preferred" best_rank="$rank"
		fi
	done <<-END
		$lan_found
	END
}

# delegation_of PREFIX: fills `delegation_name` and `delegation_routed` with the way to the internet whose
# delegation holds the prefix; empty where none does.
delegation_of() {
	local wanted_prefix="$1" prefix preferred routed name
	delegation_name='' delegation_routed=''
	while read -r prefix preferred routed name; do
		if [ -n "$prefix" ] && prefix_contains "$prefix" "$wanted_prefix" && [ "${delegation_routed:-0}" -le "$routed" ]; then
			delegation_name="$name" delegation_routed="$routed"
		fi
	done <<-END
		$delegations
	END
}

# devices_for PREFIX: adds to `wan_devices` those through which the internet reaches the prefix: of the interface
# whose delegation holds it, otherwise all with an IPv6 default route.
devices_for() {
	local name device routed
	delegation_of "$1"
	while read -r name device routed; do
		case "${delegation_name:-*}:$routed" in
		"$name":* | \*:1)
			# shellcheck disable=SC2086 # each device is an argument
			[ "$device" = - ] || is_one_of "$device" $wan_devices || wan_devices="$wan_devices$device "
			;;
		esac
	done <<-END
		$uplinks
	END
}
