# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# What there is, for people and as JSON. Every text in it has passed a check or `printable`, so that it
# needs no escaping.

release() {
	local line
	line="$(sed -n "s/^DISTRIB_RELEASE=['\"]\{0,1\}\([^'\"]*\).*/\1/p" /etc/openwrt_release 2>/dev/null)"
	printable "${line:-unknown}"
}

# log_count PATTERN: how often it stands in the system log, which is a ring in memory.
log_count() {
	logread 2>/dev/null | grep -c "$1"
}

neighbour_count() {
	ip -6 neigh show 2>/dev/null | grep -c .
}

# section_firewall PREFIX: off (not asked for), ok, or missing.
section_firewall() {
	if [ "$cfg_notrack" = 0 ]; then
		echo off
	elif live_elements prefix | grep -qxF "$(element "$1")"; then
		echo ok
	else
		echo missing
	fi
}

# warnings_read: what is not a difference and deserves a look, one a line.
warnings_read() {
	local section prefix full overflows
	full="$(log_count 'nf_conntrack: table full')"
	[ "$full" -eq 0 ] || echo "the log says \`nf_conntrack: table full\` $full times: new connections were refused"
	overflows="$(log_count 'neighbor table overflow')"
	[ "$overflows" -eq 0 ] ||
		echo "the log says \`neighbor table overflow\` $overflows times: the prefix is on-link, not routed, for somebody"
	printf '%s' "$wanted" | while read -r section prefix _; do
		if outside_delegation "$prefix"; then
			echo "$section: $prefix is not part of what $wan_name was given ($wan_prefix): it needs \`uci set network.$wan_name.sourcefilter=0\`"
		fi
	done
	if [ "$cfg_enabled" = 1 ] && [ "$cfg_notrack" = 1 ] && ! firewall_present; then
		echo "there is no fw4 here: notrack needs OpenWrt 22.03 or newer"
	elif [ "$cfg_enabled" = 1 ] && [ "$cfg_notrack" = 1 ] && ! firewall_loaded; then
		echo "the firewall has not loaded the rules of v6kit-router: try \`fw4 reload\`"
	fi
}

# problems_read: what makes `check` fail besides differences, one a line.
problems_read() {
	local count max
	printf '%s%s' "$refused" "$waiting"
	count="$(read_number "$PROC_CONNTRACK/nf_conntrack_count")"
	max="$(read_number "$PROC_CONNTRACK/nf_conntrack_max")"
	if [ -n "$count" ] && [ -n "$max" ] && [ $((count * 10)) -ge $((max * 9)) ]; then
		echo "the connection table is nearly full: $count of $max"
	fi
	if [ "$cfg_enabled" = 1 ] && [ "$cfg_notrack" = 1 ] && ! firewall_loaded; then
		echo "connections of the prefix are tracked: the rules of v6kit-router are not loaded"
	fi
	[ "$cfg_enabled" = 1 ] || echo "v6kit-router is not enabled"
}

status_text() {
	local section prefix host
	echo "OpenWrt $(release), $(memory_kib) KiB of RAM, $([ "$cfg_enabled" = 1 ] && echo enabled || echo disabled)"
	echo "lan: $cfg_lan, device ${lan_device:-none}, prefix ${lan_prefix:-none}"
	echo "wan: ${wan_name:-none}, device ${wan_device:-none}, prefix ${wan_prefix:-none}"
	printf '%s' "$wanted" | while read -r section prefix host; do
		echo "$section: $prefix via $host: route $(route_state "$prefix" "$host"), notrack $(section_firewall "$prefix")"
	done
	echo "connections: $(read_number "$PROC_CONNTRACK/nf_conntrack_count" || echo '?') of $(read_number "$PROC_CONNTRACK/nf_conntrack_max" || echo '?')"
	echo "neighbours: $(neighbour_count) of $(read_number /proc/sys/net/ipv6/neigh/default/gc_thresh3 || echo '?')"
	prefixed 'problem: ' "$(problems_read)"
	prefixed 'warning: ' "$(warnings_read)"
}

# prefixed LABEL LINES
prefixed() {
	[ -z "$2" ] || printf '%s\n' "$2" | sed "s/^/$1/"
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

json_sections() {
	printf '%s' "$wanted" | while read -r section prefix host; do
		printf '{"name":"%s","prefix":"%s","host":"%s","route":"%s","notrack":"%s"}\n' \
			"$section" "$prefix" "$host" "$(route_state "$prefix" "$host")" "$(section_firewall "$prefix")"
	done | awk 'BEGIN { printf "[" } { printf "%s%s", comma, $0; comma = "," } END { printf "]" }'
}

json_number() {
	printf '%s' "${1:-null}"
}

# status_json DIFFERENCES
status_json() {
	printf '{"version":"%s","release":"%s","memory_kib":%s,"enabled":%s,' \
		"$VERSION" "$(release)" "$(json_number "$(memory_kib)")" "$([ "$cfg_enabled" = 1 ] && echo true || echo false)"
	printf '"lan":{"interface":"%s","device":%s,"prefix":%s},' \
		"$cfg_lan" "$(json_text "$lan_device")" "$(json_text "$lan_prefix")"
	printf '"wan":{"interface":%s,"device":%s,"prefix":%s},' \
		"$(json_text "$wan_name")" "$(json_text "$wan_device")" "$(json_text "$wan_prefix")"
	printf '"prefixes":%s,' "$(json_sections)"
	printf '"conntrack":{"count":%s,"max":%s,"buckets":%s,"full_in_log":%s},' \
		"$(json_number "$(read_number "$PROC_CONNTRACK/nf_conntrack_count")")" \
		"$(json_number "$(read_number "$PROC_CONNTRACK/nf_conntrack_max")")" \
		"$(json_number "$(read_number "$PROC_CONNTRACK/nf_conntrack_buckets")")" \
		"$(log_count 'nf_conntrack: table full')"
	printf '"neighbours":{"count":%s,"limit":%s,"overflows_in_log":%s},' \
		"$(neighbour_count)" \
		"$(json_number "$(read_number /proc/sys/net/ipv6/neigh/default/gc_thresh3)")" \
		"$(log_count 'neighbor table overflow')"
	printf '"differences":%s,"problems":%s,"warnings":%s}\n' \
		"$(json_lines "$1")" "$(json_lines "$(problems_read)")" "$(json_lines "$(warnings_read)")"
}
