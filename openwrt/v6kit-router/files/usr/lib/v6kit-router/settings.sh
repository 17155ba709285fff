# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# What the user wants: /etc/config/v6kit-router, every value checked. A value that is not what it should be
# becomes a line of `refused`, and then nothing at all is changed.

refused=''

refuse() {
	case "$refused" in
	*"$1"*) ;;
	*) refused="$refused$1
" ;;
	esac
}

# setting NAME DEFAULT CHECK...: the option of section `main`, put into the variable cfg_NAME. CHECK is
# called with the value behind its first word.
setting() {
	local name="$1" default="$2" check="$3" value
	shift 3
	value="$(uci -q get "v6kit-router.main.$name")" || value="$default"
	if ! "$check" "$value" "$@"; then
		refuse "main.$name: \`$(printable "$value")\` is not allowed"
		value="$default"
	fi
	eval "cfg_$name=\$value"
}


is_table_size() {
	is_one_of "$1" auto keep || is_number "$1" 1024 16777216
}

# Fills cfg_enabled, cfg_lan, cfg_wan, cfg_notrack, cfg_ping, cfg_conntrack, cfg_udp_ports and
# cfg_sections (the names of the prefix sections).
settings_read() {
	local section port
	refused=''
	setting enabled 0 is_switch
	setting lan lan is_name
	setting wan auto is_name
	setting notrack 1 is_switch
	setting ping keep is_one_of keep drop
	setting conntrack auto is_table_size

	cfg_udp_ports=''
	set -f
	for port in $(uci -q get v6kit-router.main.udp_port); do
		if is_number "$port" 1 65535; then
			cfg_udp_ports="$cfg_udp_ports $port"
		else
			refuse "main.udp_port: \`$(printable "$port")\` is not a port"
		fi
	done
	set +f

	cfg_sections=''
	for section in $(uci -q show v6kit-router | sed -n 's/^v6kit-router\.\([A-Za-z0-9_]*\)=prefix$/\1/p'); do
		# A value may hold a line that looks like a section: ask for each by name.
		if is_name "$section" && [ "$(uci -q get "v6kit-router.$section")" = prefix ]; then
			cfg_sections="$cfg_sections $section"
		fi
	done
	for section in $cfg_sections; do
		section_read "$section"
	done
}

refuse_section() {
	section_ok=0
	refuse "$1"
}

# section_read NAME: fills section_enabled, section_host, and section_base with section_part, where base
# is `none` for a prefix that is given in full. False when a value was refused.
section_read() {
	local name="$1" prefix part
	section_ok=1
	section_part=''
	section_enabled="$(uci -q get "v6kit-router.$name.enabled")" || section_enabled=1
	is_switch "$section_enabled" || refuse_section "$name.enabled: \`$(printable "$section_enabled")\` is not 0 or 1"

	section_host="$(uci -q get "v6kit-router.$name.host")"
	if is_link_local "$section_host"; then
		section_host="$(canonical_address "$section_host")"
	else
		refuse_section "$name.host: \`$(printable "$section_host")\` is not a link-local address (fe80::/10)"
	fi

	section_base="$(uci -q get "v6kit-router.$name.base")" || section_base=none
	prefix="$(uci -q get "v6kit-router.$name.prefix")"
	part="$(uci -q get "v6kit-router.$name.part")"
	case "$section_base" in
	none)
		if is_prefix "$prefix" && is_global "${prefix%/*}" && [ "${prefix#*/}" -ge 16 ]; then
			section_part="$(canonical_prefix "$prefix")"
		else
			refuse_section "$name.prefix: \`$(printable "$prefix")\` is not a global IPv6 prefix"
		fi
		;;
	lan | wan)
		if is_prefix "$part"; then
			section_part="$(canonical_prefix "$part")"
		else
			refuse_section "$name.part: \`$(printable "$part")\` is not the inner part of a prefix, such as ::abcd:0:0:0/80"
		fi
		;;
	*) refuse_section "$name.base: \`$(printable "$section_base")\` is not lan, wan or none" ;;
	esac
	[ "$section_ok" = 1 ]
}
