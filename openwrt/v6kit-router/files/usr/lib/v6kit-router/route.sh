# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# The routes: each prefix via the host's link-local address.
#
# A link-local gateway is always on-link: a global one inside the LAN's own prefix is refused by the kernel
# while the LAN has no prefix, as at boot.
#
# Ours have a metric that nobody else uses, which busybox's ip can show, and a protocol number of our own.
# Whoever else routes the prefix (odhcpd does with 1024 where it delegated it) is served first and is never
# deleted by us.

ROUTE_METRIC=1086
ROUTE_PROTOCOL=86

# routes_read: fills `routes`, lines of PREFIX GATEWAY DEVICE METRIC of the main table, `on-link` for a gateway
# that is none; only of prefixes that are wanted, and ours.
routes_read() {
	local prefix rest gateway device metric name host
	local shown="$NEWLINE"
	routes=''
	set -- -e " metric $ROUTE_METRIC"
	while read -r name prefix host; do
		[ -n "$name" ] || continue
		shown="$shown${prefix%/128}$NEWLINE"
		set -- "$@" -e "${prefix%/128} "
	done <<-END
		$wanted
	END
	while read -r prefix rest; do
		[ -n "$prefix" ] || continue
		gateway=on-link device='' metric=''
		# shellcheck disable=SC2086 # words
		set -- $rest
		while [ $# -gt 1 ]; do
			case "$1" in
			via) gateway="$2" ;;
			dev) device="$2" ;;
			metric) metric="$2" ;;
			esac
			shift
		done
		case "$metric:$shown" in
		"$ROUTE_METRIC":* | *"$NEWLINE$prefix$NEWLINE"*)
			case "$prefix" in
			*/*) ;;
			*:*) prefix="$prefix/128" ;;
			esac
			routes="$routes$prefix $gateway $device $metric$NEWLINE"
			;;
		esac
	done <<-END
		$(ip -6 route show 2>/dev/null | grep -F "$@")
	END
}

# route_state PREFIX HOST: fills `state`: ok, missing, or conflict where somebody else's route is in the way,
# which is then `in_the_way`.
route_state() {
	local prefix gateway device metric
	state=missing in_the_way=''
	while read -r prefix gateway device metric; do
		[ "$prefix" = "$1" ] || continue
		if [ "$gateway $device" = "$2 $lan_device" ]; then
			[ "$state" = conflict ] || state=ok
		elif [ "$metric" != "$ROUTE_METRIC" ]; then
			state=conflict in_the_way="$gateway $device"
		fi
	done <<-END
		$routes
	END
}

# routes_obsolete: fills `obsolete` with the lines of `routes` that are ours and not wanted any more.
routes_obsolete() {
	local prefix gateway device metric
	obsolete=''
	while read -r prefix gateway device metric; do
		[ "$metric" = "$ROUTE_METRIC" ] || continue
		case "$NEWLINE$wanted" in
		*" $prefix $gateway$NEWLINE"*) [ "$device" != "$lan_device" ] || continue ;;
		esac
		obsolete="$obsolete$prefix $gateway $device$NEWLINE"
	done <<-END
		$routes
	END
}

route_differences() {
	local name prefix host device
	routes_read
	routes_obsolete
	while read -r prefix host device; do
		[ -z "$prefix" ] || differ "route: delete $prefix via $host dev $device"
	done <<-END
		$obsolete
	END
	while read -r name prefix host; do
		[ -n "$name" ] || continue
		route_state "$prefix" "$host"
		case "$state" in
		missing) differ "route: add $prefix via $host dev $lan_device" ;;
		conflict) differ "route: $prefix is routed elsewhere ($in_the_way), not by v6kit-router" ;;
		esac
	done <<-END
		$wanted
	END
	text_of "$SERVED"
	[ "$text" = "$wanted" ] || served_changed=1
}

# Each route by itself: one that is refused leaves the others.
route_apply() {
	local name prefix host device result=0
	while read -r prefix host device; do
		# Gone already is as good: the link may have taken it along.
		[ -z "$prefix" ] ||
			ip -6 route del "$prefix" via "$host" dev "$device" metric "$ROUTE_METRIC" proto "$ROUTE_PROTOCOL" 2>/dev/null
	done <<-END
		$obsolete
	END
	while read -r name prefix host; do
		[ -n "$name" ] || continue
		route_state "$prefix" "$host"
		case "$state" in
		missing)
			ip -6 route add "$prefix" via "$host" dev "$lan_device" metric "$ROUTE_METRIC" proto "$ROUTE_PROTOCOL" </dev/null ||
				result=1
			;;
		conflict) result=1 ;;
		esac
	done <<-END
		$wanted
	END
	return "$result"
}

# Notes who has what, for section_keep.
served_write() {
	if [ -n "$wanted" ]; then
		printf '%s' "$wanted" >"$SERVED"
	else
		rm -f "$SERVED"
	fi
	served_changed=0
}

# Versions before had no metric of their own, and a note of PREFIX HOST DEVICE instead.
former_routes_undo() {
	local prefix host device
	[ -f "$RUN/routes" ] || return 0
	while read -r prefix host device; do
		ip -6 route del "$prefix" via "$host" dev "$device" 2>/dev/null </dev/null
	done <"$RUN/routes"
	rm -f "$RUN/routes"
}
