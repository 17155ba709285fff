# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# What there is, for people and as JSON. Every text in it has passed a check or `printable`, so that it
# needs no escaping.

release() {
	local line
	line="$(sed -n "s/^DISTRIB_RELEASE=['\"]\{0,1\}\([^'\"]*\).*/\1/p" /etc/openwrt_release 2>/dev/null)"
	printable "${line:-unknown}"
	printf '%s\n' "$shown"
}

# log_count PATTERN: how often it stands in the system log, which is a ring in memory.
log_count() {
	logread 2>/dev/null | grep -c "$1"
}

neighbour_count() {
	ip -6 neigh show 2>/dev/null | grep -c .
}

# number_in FILE: the number in it, nothing when there is none.
number_in() {
	local number
	number="$(cat "$1" 2>/dev/null)"
	! is_number "$number" 0 999999999 || printf '%s' "$number"
}

# report_read: fills what the lines below say, once for all of them.
report_read() {
	memory_read
	table_read
	table_count="$(number_in "$PROC_CONNTRACK/nf_conntrack_count")"
	neighbours="$(neighbour_count)"
	neighbour_limit="$(number_in /proc/sys/net/ipv6/neigh/default/gc_thresh3)"
	full_in_log="$(log_count 'nf_conntrack: table full')"
	overflows_in_log="$(log_count 'neighbor table overflow')"
	rules_loaded=0
	! rules_in_place || rules_loaded=1
	live_elements prefix
	untracked="$live"
	warnings_read
	problems_read
}

# section_firewall PREFIX: fills `state`: off (not asked for), ok, or missing.
section_firewall() {
	state=missing
	if [ "$cfg_notrack" = 0 ]; then
		state=off
	elif [ "$rules_loaded" = 1 ]; then
		case " $untracked " in *" ${1%/128} "*) state=ok ;; esac
	fi
}

# each_section COMMAND: calls it for every section with something to serve, its name, prefix and host in `name`,
# `prefix` and `host`.
each_section() {
	local name prefix host
	while read -r name prefix host; do
		[ -z "$name" ] || "$1"
	done <<-END
		$wanted
	END
}

warn() {
	warnings="$warnings$1$NEWLINE"
}

# warnings_read: fills `warnings`: what is not a difference and deserves a look, one a line.
warnings_read() {
	warnings=''
	[ "$full_in_log" -eq 0 ] ||
		warn "the log says \`nf_conntrack: table full\` $full_in_log times: new connections were refused"
	[ "$overflows_in_log" -eq 0 ] ||
		warn "the log says \`neighbor table overflow\` $overflows_in_log times: the prefix is on-link, not routed, for somebody"
	each_section section_warnings
	[ "$cfg_enabled" = 1 ] && [ "$cfg_notrack" = 1 ] || return 0
	if ! firewall_present; then
		warn "there is no fw4 here: notrack needs OpenWrt 22.03 or newer"
	elif [ "$rules_loaded" = 0 ]; then
		warn "the firewall has not loaded the rules of v6kit-router: try \`fw4 reload\`"
	fi
}

section_warnings() {
	! outside_delegation "$prefix" ||
		warn "$name: $prefix is not part of what $wan_name was given${wan_prefix:+ ($wan_prefix)}: it needs \`uci set network.$wan_name.sourcefilter=0\`"
}

problem() {
	problems="$problems$1$NEWLINE"
}

# problems_read: fills `problems`: what makes `check` fail besides differences, one a line.
problems_read() {
	problems="$refused$left_out$waiting"
	if [ -n "$table_count" ] && [ -n "$table_max" ] && [ $((table_count * 10)) -ge $((table_max * 9)) ]; then
		problem "the connection table is nearly full: $table_count of $table_max"
	fi
	if [ "$cfg_enabled" = 1 ] && [ "$cfg_notrack" = 1 ] && [ "$rules_loaded" = 0 ]; then
		problem "connections of the prefix are tracked: the rules of v6kit-router are not loaded"
	fi
	if [ "$cfg_enabled" = 1 ] && [ -e "$STOPPED" ]; then
		problem "v6kit-router is stopped: \`service v6kit-router start\` starts it"
	fi
	[ "$cfg_enabled" = 1 ] || [ -n "$refused" ] || problem "v6kit-router is not enabled"
}

status_text() {
	report_read
	echo "OpenWrt $(release), ${memory_kib:-?} KiB of RAM, $([ "$cfg_enabled" = 1 ] && echo enabled || echo disabled)"
	echo "lan: $cfg_lan, device ${lan_device:-none}, prefix ${lan_prefix:-none}"
	echo "wan: ${wan_name:-none}, device ${wan_device:-none}, prefix ${wan_prefix:-none}"
	each_section section_text
	echo "connections: ${table_count:-?} of ${table_max:-?}"
	echo "neighbours: $neighbours of ${neighbour_limit:-?}"
	prefixed 'problem: ' "$problems"
	prefixed 'warning: ' "$warnings"
}

section_text() {
	local route
	route_state "$prefix" "$host"
	route="$state"
	section_firewall "$prefix"
	echo "$name: $prefix via $host: route $route, notrack $state"
}

# json_lines TEXT: its lines as an array of strings. Backslash and quote cannot be in them; were they, they
# would be replaced.
json_lines() {
	printf '%s' "$1" | tr '\\"' "/'" | awk 'BEGIN { printf "[" } NF { printf "%s\"%s\"", comma, $0; comma = "," } END { printf "]" }'
}

json_text() {
	if [ -n "$1" ]; then
		printf '"%s"' "$1"
	else
		printf null
	fi
}

section_json() {
	local route
	route_state "$prefix" "$host"
	route="$state"
	section_firewall "$prefix"
	printf '%s{"name":"%s","prefix":"%s","host":"%s","route":"%s","notrack":"%s"}' \
		"$comma" "$name" "$prefix" "$host" "$route" "$state"
	comma=,
}

# status_json DIFFERENCES
status_json() {
	local comma=''
	report_read
	printf '{"version":"%s","release":"%s","memory_kib":%s,"enabled":%s,' \
		"$VERSION" "$(release)" "${memory_kib:-null}" "$([ "$cfg_enabled" = 1 ] && echo true || echo false)"
	printf '"lan":{"interface":"%s","device":%s,"prefix":%s},' \
		"$cfg_lan" "$(json_text "$lan_device")" "$(json_text "$lan_prefix")"
	printf '"wan":{"interface":%s,"device":%s,"prefix":%s},' \
		"$(json_text "$wan_name")" "$(json_text "$wan_device")" "$(json_text "$wan_prefix")"
	printf '"prefixes":['
	each_section section_json
	printf '],"conntrack":{"count":%s,"max":%s,"buckets":%s,"full_in_log":%s},' \
		"${table_count:-null}" "${table_max:-null}" "${table_buckets:-null}" "$full_in_log"
	printf '"neighbours":{"count":%s,"limit":%s,"overflows_in_log":%s},' \
		"$neighbours" "${neighbour_limit:-null}" "$overflows_in_log"
	printf '"differences":%s,"problems":%s,"warnings":%s}\n' \
		"$(json_lines "$1")" "$(json_lines "$problems")" "$(json_lines "$warnings")"
}
