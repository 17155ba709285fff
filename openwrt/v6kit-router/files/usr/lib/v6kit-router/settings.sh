# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# What the user wants: /etc/config/v6kit-router, read once, every value checked.
#
# What cannot be read, or is wrong for all hosts, becomes a line of `refused`: then nothing at all is changed.
# What is wrong with one host becomes a line of `left_out`: it stays as it is, and the others go on.

CONFIG=/etc/config/v6kit-router

refused=''
left_out=''

refuse() {
	case "$NEWLINE$refused" in
	*"$NEWLINE$1$NEWLINE"*) ;;
	*) refused="$refused$1$NEWLINE" ;;
	esac
}

leave_out() {
	case "$NEWLINE$left_out" in
	*"$NEWLINE$1$NEWLINE"*) ;;
	*) left_out="$left_out$1$NEWLINE" ;;
	esac
}

is_table_size() {
	is_one_of "$1" auto keep || is_number "$1" 1024 16777216
}

# setting NAME VALUE DEFAULT CHECK...: puts the option of section `main` into the variable cfg_NAME. CHECK is
# called with the value behind its first word.
setting() {
	local name="$1" value="${2:-$3}" default="$3" check="$4"
	shift 4
	if ! "$check" "$value" "$@"; then
		printable "$value"
		refuse "main.$name: \`$shown\` is not allowed"
		value="$default"
	fi
	eval "cfg_$name=\$value"
}

# Fills cfg_enabled, cfg_lan, cfg_wan, cfg_notrack, cfg_ping, cfg_conntrack, cfg_udp_ports, and `sections`: a
# line NAME HOST BASE PREFIX for each host that is enabled, where BASE is `none` for a prefix that is given in
# full, and HOST and PREFIX are `?` where a value was left out.
settings_read() {
	local text
	refused='' left_out='' sections=''
	options_clear
	main_read
	if [ ! -f "$CONFIG" ]; then
		refuse "$CONFIG is missing"
	elif ! text="$(uci -q show v6kit-router)"; then
		refuse "$CONFIG cannot be read: see \`uci show v6kit-router\`"
	else
		main_found=0
		settings_parse "$text"
		[ "$main_found" = 1 ] || refuse "$CONFIG has no section \`main\` of type \`settings\`"
	fi
}

# settings_parse TEXT: `uci show`: a line NAME.SECTION=TYPE before the lines NAME.SECTION.OPTION='VALUE' of each
# section. A value is quoted as for a shell and may hold newlines; a list has several, a space between.
# (config_load would have the shell run what `uci export` prints, where the type of a section is not quoted.)
settings_parse() {
	local rest="$1$NEWLINE" key value
	section='' section_type=''
	while [ -n "$rest" ]; do
		key="${rest%%=*}"
		key="${key#v6kit-router.}"
		rest="${rest#*=}"
		case "$rest" in
		\'*)
			value=''
			while :; do
				rest="${rest#?}"
				value="$value${rest%%\'*}"
				rest="${rest#*\'}"
				case "$rest" in
				"\\''"*) value="$value'" rest="${rest#??}" ;;
				" '"*) value="$value " rest="${rest#?}" ;;
				*) break ;;
				esac
			done
			option_read "${key#*.}" "$value"
			;;
		*)
			section_end
			section="$key" section_type="${rest%%"$NEWLINE"*}"
			options_clear
			;;
		esac
		rest="${rest#*"$NEWLINE"}"
	done
	section_end
}

options_clear() {
	option_host='' option_base='' option_prefix='' option_part='' option_enabled='' option_lan=''
	option_wan='' option_notrack='' option_ping='' option_conntrack='' option_udp_port=''
}

# option_read NAME VALUE: of the section that is being read. Names of others are left alone.
option_read() {
	case "$1" in
	host | base | prefix | part | enabled | lan | wan | notrack | ping | conntrack | udp_port)
		eval "option_$1=\$2"
		;;
	esac
}

# What was read of a section, checked.
section_end() {
	case "$section_type:$section" in
	*:) ;;
	settings:main)
		main_found=1
		main_read
		;;
	prefix:main) ;;
	prefix:*) section_read ;;
	esac
}

main_read() {
	local port
	setting enabled "$option_enabled" 0 is_switch
	setting lan "$option_lan" lan is_name
	setting wan "$option_wan" auto is_name
	setting notrack "$option_notrack" 1 is_switch
	setting ping "$option_ping" keep is_one_of keep drop
	setting conntrack "$option_conntrack" auto is_table_size
	cfg_udp_ports=''
	set -f
	for port in $option_udp_port; do
		if is_number "$port" 1 65535; then
			# shellcheck disable=SC2086 # each port is an argument
			is_one_of "$port" $cfg_udp_ports || cfg_udp_ports="$cfg_udp_ports $port"
		else
			printable "$port"
			refuse "main.udp_port: \`$shown\` is not a port"
		fi
	done
	set +f
	cfg_udp_ports="${cfg_udp_ports# }"
}

# wrong OPTION VALUE WHAT: leaves the section out that is being read.
wrong() {
	printable "$2"
	leave_out "$section.$1: \`$shown\` is not $3"
	host='?' base=none prefix='?'
}

# A section without a name has the one that uci gives it, @prefix[0].
section_read() {
	local host prefix base="${option_base:-none}" enabled="${option_enabled:-1}"
	host="$option_host" prefix="$option_prefix"
	[ "$base" = none ] || prefix="$option_part"
	case "$section" in
	@prefix\[*\]) ;;
	*) is_name "$section" || return 0 ;;
	esac
	if canonical_address "$host" && is_link_local "$host"; then
		host="$address"
	else
		wrong host "$host" 'a link-local address (fe80::/10)'
	fi
	if [ "$host" != '?' ]; then
		case "$base" in
		none)
			if is_global_prefix "$prefix"; then
				canonical_prefix "$prefix"
			else
				wrong prefix "$prefix" 'a global IPv6 prefix'
			fi
			;;
		lan | wan)
			if is_prefix "$prefix"; then
				canonical_prefix "$prefix"
			else
				wrong part "$prefix" 'the inner part of a prefix, such as ::abcd:0:0:0/80'
			fi
			;;
		*)
			wrong base "$base" 'lan, wan or none'
			;;
		esac
	fi
	is_switch "$enabled" || wrong enabled "$enabled" '0 or 1'
	[ "$enabled" = 0 ] || sections="$sections$section $host $base $prefix$NEWLINE"
}
