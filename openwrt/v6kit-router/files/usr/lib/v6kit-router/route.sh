# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# The routes: each prefix via the host's link-local address. Only routes in $RUN/routes are ours to delete.
#
# A link-local gateway is always on-link: a global one inside the LAN's own prefix is refused by the kernel
# while the LAN has no prefix, as at boot.

ROUTES="$RUN/routes"

# kernel_route PREFIX: what the kernel has for exactly this prefix, as `HOST DEVICE` lines.
kernel_route() {
	local shown="${1%/128}"
	ip -6 route show "$1" 2>/dev/null | while read -r prefix via host dev device _; do
		if [ "$prefix" = "$shown" ] && [ "$via" = via ] && [ "$dev" = dev ]; then
			printf '%s %s\n' "$host" "$device"
		elif [ "$prefix" = "$shown" ]; then
			printf 'on-link %s\n' "$host"
		fi
	done
}

# routes_wanted: lines of PREFIX HOST DEVICE.
routes_wanted() {
	printf '%s' "$wanted" | while read -r _ prefix host; do
		printf '%s %s %s\n' "$prefix" "$host" "$lan_device"
	done
}

# route_state PREFIX HOST: ok, missing, or conflict where somebody else's route is in the way.
route_state() {
	local there
	there="$(kernel_route "$1")"
	if printf '%s\n' "$there" | grep -qxF "$2 $lan_device"; then
		echo ok
	elif [ -z "$there" ] || grep -qs "^$1 " "$ROUTES"; then
		echo missing
	else
		echo conflict
	fi
}

# routes_obsolete: our lines that are not wanted any more.
routes_obsolete() {
	local now line
	[ -f "$ROUTES" ] || return 0
	now="$(routes_wanted)"
	while read -r line; do
		printf '%s\n' "$now" | grep -qxF "$line" || printf '%s\n' "$line"
	done <"$ROUTES"
}

route_differences() {
	routes_obsolete | while read -r prefix host device; do
		echo "route: delete $prefix via $host dev $device"
	done
	routes_wanted | while read -r prefix host device; do
		case "$(route_state "$prefix" "$host")" in
		missing) echo "route: add $prefix via $host dev $device" ;;
		conflict) echo "route: $prefix is routed elsewhere ($(kernel_route "$prefix" | head -n 1)), not by v6kit-router" ;;
		esac
	done
}

route_apply() {
	local result=0
	routes_obsolete >"$RUN/obsolete.$$"
	while read -r prefix host device; do
		# Gone already is as good: the link may have taken it along.
		ip -6 route del "$prefix" via "$host" dev "$device" 2>/dev/null
		grep -vxF "$prefix $host $device" "$ROUTES" >"$ROUTES.new"
		mv "$ROUTES.new" "$ROUTES"
	done <"$RUN/obsolete.$$"
	rm -f "$RUN/obsolete.$$"

	routes_wanted >"$RUN/wanted.$$"
	while read -r prefix host device; do
		case "$(route_state "$prefix" "$host")" in
		missing)
			# Noted before it is added: an interruption leaves a note too many, never a route too many.
			grep -qsxF "$prefix $host $device" "$ROUTES" || printf '%s %s %s\n' "$prefix" "$host" "$device" >>"$ROUTES"
			ip -6 route add "$prefix" via "$host" dev "$device" || result=1
			;;
		conflict) result=1 ;;
		esac
	done <"$RUN/wanted.$$"
	rm -f "$RUN/wanted.$$"
	[ -s "$ROUTES" ] || rm -f "$ROUTES"
	return "$result"
}
