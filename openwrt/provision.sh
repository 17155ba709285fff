#!/bin/sh
# Installs v6kit-router on an OpenWrt router without a package manager: the same files, settings included.
# Runs on the router, or anywhere else with a destination for ssh as its last word.
#
# Nothing is written that is there already; run it again to change a setting.
#
# Exit codes: 0 done, 1 something failed, 2 usage, 3 the router's disk is full.

set -u

usage() {
	cat <<-'END'
		usage: provision.sh [OPTION...] [DESTINATION]

		  --host ADDRESS     link-local address of the host that gets the prefix (fe80::...)
		  --prefix PREFIX    the prefix that is routed to it, in full
		  --part PREFIX      or: its inner part, such as ::abcd:0:0:0/80, in front of which
		  --base lan|wan     the LAN's or the WAN's delegated prefix is put whenever it changes
		  --name NAME        name of the section in /etc/config/v6kit-router  (crawler)
		  --lan NAME         interface towards the host                       (lan)
		  --wan NAME         interface towards the internet                   (auto)
		  --notrack 0|1      keep its TCP connections out of the table        (1)
		  --udp-port PORT    the same for UDP with this remote port; may be repeated
		  --ping keep|drop   pings from outside to the prefix                 (keep)
		  --conntrack auto|keep|N   size of the connection table              (auto)
		  --dry-run          say what would be changed, and change nothing
		  --remove           undo everything
		  --status           say as JSON what this router is and what of all this is there

		  DESTINATION        such as root@192.168.1.1: do it there, over ssh
	END
}

fail() {
	printf 'provision.sh: %s\n' "$2" >&2
	exit "$1"
}

# taken OPTION VALUE CHECK...: notes an option whose value passes the check.
taken() {
	local option="$1" value="$2"
	shift 2
	"$@" "$value" || fail 2 "$option: \`$(printable "$value")\` is not allowed"
	arguments="$arguments $option $value"
}

is_part() {
	is_prefix "$1"
}

is_global_prefix() {
	is_prefix "$1" && is_global "${1%/*}" && [ "${1#*/}" -ge 16 ]
}

is_base() {
	is_one_of "$1" lan wan
}

is_ping() {
	is_one_of "$1" keep drop
}

is_port() {
	is_number "$1" 1 65535
}

is_table_size() {
	is_one_of "$1" auto keep || is_number "$1" 1024 16777216
}

# What ssh takes for a destination, and never an option.
is_destination() {
	case "$1" in
	'' | -* | *[!A-Za-z0-9._:@%/\[\]-]*) return 1 ;;
	esac
}

# Fills opt_* and `arguments`, the checked options as they are passed on to ssh.
read_arguments() {
	arguments='' destination='' mode=install
	opt_host='' opt_prefix='' opt_part='' opt_base='' opt_name=crawler opt_lan='' opt_wan='' opt_notrack=''
	opt_ping='' opt_conntrack='' opt_udp_ports=''
	while [ $# -gt 0 ]; do
		case "$1" in
		--host | --prefix | --part | --base | --name | --lan | --wan | --notrack | --udp-port | --ping | --conntrack)
			[ $# -ge 2 ] || fail 2 "$1 needs a value"
			;;
		esac
		case "$1" in
		--host) taken "$1" "$2" is_link_local && opt_host="$(canonical_address "$2")" ;;
		--prefix) taken "$1" "$2" is_global_prefix && opt_prefix="$(canonical_prefix "$2")" ;;
		--part) taken "$1" "$2" is_part && opt_part="$(canonical_prefix "$2")" ;;
		--base) taken "$1" "$2" is_base && opt_base="$2" ;;
		--name) taken "$1" "$2" is_name && opt_name="$2" ;;
		--lan) taken "$1" "$2" is_name && opt_lan="$2" ;;
		--wan) taken "$1" "$2" is_name && opt_wan="$2" ;;
		--notrack) taken "$1" "$2" is_switch && opt_notrack="$2" ;;
		--udp-port) taken "$1" "$2" is_port && opt_udp_ports="$opt_udp_ports $2" ;;
		--ping) taken "$1" "$2" is_ping && opt_ping="$2" ;;
		--conntrack) taken "$1" "$2" is_table_size && opt_conntrack="$2" ;;
		--dry-run)
			dry=1
			arguments="$arguments $1"
			shift
			continue
			;;
		--remove)
			mode=remove
			arguments="$arguments $1"
			shift
			continue
			;;
		--status)
			mode=status
			arguments="$arguments $1"
			shift
			continue
			;;
		-h | --help)
			usage
			exit 0
			;;
		-*) fail 2 "unknown option \`$(printable "$1")\` (--help shows all)" ;;
		*)
			[ -z "$destination" ] || fail 2 'more than one destination'
			is_destination "$1" || fail 2 "\`$(printable "$1")\` is not a destination for ssh"
			destination="$1"
			shift
			continue
			;;
		esac
		shift 2
	done
	[ "$mode" = install ] || return 0
	[ -n "$opt_host" ] || fail 2 '--host is missing: the link-local address (fe80::...) of the host'
	if [ -n "$opt_prefix" ]; then
		[ -z "$opt_part$opt_base" ] || fail 2 '--prefix goes without --part and --base'
	elif [ -z "$opt_part" ] || [ -z "$opt_base" ]; then
		fail 2 'either --prefix, or --part with --base'
	fi
}

# change WHAT COMMAND...: says WHAT; with --dry-run that is all.
change() {
	printf '%s\n' "$1"
	changed=1
	shift
	[ "$dry" = 1 ] || "$@"
}

# Whether opkg or apk has the package installed: then the files are theirs.
package_installed() {
	[ -f /usr/lib/opkg/info/v6kit-router.list ] || grep -qsx 'P:v6kit-router' /lib/apk/db/installed
}

file_mode() {
	case "$1" in
	usr/sbin/* | etc/init.d/*) echo 755 ;;
	*) echo 644 ;;
	esac
}

# Written beside its place and moved, so that a full disk or a cut connection leaves the old file.
write_file() {
	local path="/$1"
	mkdir -p "${path%/*}" && content "$1" >"$path.new" && chmod "$(file_mode "$1")" "$path.new" &&
		mv "$path.new" "$path" && return 0
	rm -f "$path.new"
	fail 3 "cannot write $path"
}

write_keep() {
	if ! mkdir -p "${KEEP%/*}" || ! kept >"$KEEP"; then
		fail 3 "cannot write $KEEP"
	fi
}

# The files that a firmware upgrade is to keep, because no package brings them back.
kept() {
	local file
	for file in $FILES; do
		echo "/$file"
	done
	echo /etc/rc.d/S95v6kit-router
	echo "$KEEP"
}

install_files() {
	local file
	for file in $FILES; do
		case "$file" in
		etc/config/*) [ -f "/$file" ] && continue ;;
		esac
		if [ ! -f "/$file" ] || ! content "$file" | cmp -s - "/$file"; then
			case "$file" in *.nft) rules_changed=1 ;; esac
			change "write /$file" write_file "$file"
		fi
	done
	kept | cmp -s - "$KEEP" 2>/dev/null || change "write $KEEP" write_keep
}

# setting KEY VALUE: in v6kit-router, an empty value deletes. Every value has been checked.
setting() {
	[ "$(uci -q get "v6kit-router.$1")" = "$2" ] && return 0
	settings_changed=1
	if [ -n "$2" ]; then
		change "set v6kit-router.$1=$2" uci set "v6kit-router.$1=$2"
	else
		change "delete v6kit-router.$1" uci delete "v6kit-router.$1"
	fi
}

install_settings() {
	local port
	settings_changed=0
	setting main settings
	setting main.enabled 1
	[ -z "$opt_lan" ] || setting main.lan "$opt_lan"
	[ -z "$opt_wan" ] || setting main.wan "$opt_wan"
	[ -z "$opt_notrack" ] || setting main.notrack "$opt_notrack"
	[ -z "$opt_ping" ] || setting main.ping "$opt_ping"
	[ -z "$opt_conntrack" ] || setting main.conntrack "$opt_conntrack"
	if [ -n "$opt_udp_ports" ] && [ "$(uci -q get v6kit-router.main.udp_port)" != "${opt_udp_ports# }" ]; then
		setting main.udp_port ''
		for port in $opt_udp_ports; do
			settings_changed=1
			change "add v6kit-router.main.udp_port=$port" uci add_list "v6kit-router.main.udp_port=$port"
		done
	fi
	setting "$opt_name" prefix
	setting "$opt_name.host" "$opt_host"
	setting "$opt_name.prefix" "$opt_prefix"
	setting "$opt_name.base" "$opt_base"
	setting "$opt_name.part" "$opt_part"
	[ "$settings_changed" = 0 ] || [ "$dry" = 1 ] || uci commit v6kit-router || fail 3 'cannot write /etc/config/v6kit-router'
}

install_all() {
	local rules_changed=0 result=0
	package_installed || install_files
	install_settings
	[ "$rules_changed" = 0 ] || change 'load the rules into the firewall' /usr/sbin/v6kit-router load-rules || return 1
	/etc/init.d/v6kit-router enabled 2>/dev/null || change 'enable the service' /etc/init.d/v6kit-router enable
	if [ "$dry" = 0 ]; then
		/usr/sbin/v6kit-router apply >"$LOG" || result=1
		grep -vx 'nothing to change' "$LOG" && changed=1
		rm -f "$LOG"
	elif [ -x /usr/sbin/v6kit-router ] && [ "$changed" = 0 ]; then
		/usr/sbin/v6kit-router plan | grep -vx 'nothing to change' && changed=1
	fi
	[ "$changed" = 1 ] || echo 'nothing to change'
	return "$result"
}

remove_file() {
	rm -f "/$1"
}

# Chains and sets outlive a reload that does not name them any more.
unload_rules() {
	local set
	fw4 -q reload
	nft delete chain inet fw4 v6kit_inbound 2>/dev/null
	for set in prefix quiet near lan wan udp; do
		nft delete set inet fw4 "v6kit_$set" 2>/dev/null
	done
	return 0
}

# Whether the running firewall still knows our rules.
rules_loaded() {
	nft list chain inet fw4 v6kit_inbound >/dev/null 2>&1
}

remove_all() {
	local file reversed=''
	if [ -x /usr/sbin/v6kit-router ] && [ -f /usr/lib/v6kit-router/values.sh ]; then
		if [ "$dry" = 1 ]; then
			echo 'undo what v6kit-router did' && changed=1
		else
			/usr/sbin/v6kit-router remove >"$LOG"
			grep -vx 'nothing to change' "$LOG" && changed=1
			rm -f "$LOG"
		fi
	fi
	if package_installed; then
		echo 'the package itself stays: remove it with apk del or opkg remove'
		return 0
	fi
	# What other files need goes last: a loader without its rules does no harm, rules without sets do.
	for file in $FILES; do
		reversed="$file $reversed"
	done
	if [ -x /etc/init.d/v6kit-router ] && /etc/init.d/v6kit-router enabled 2>/dev/null; then
		change 'disable the service' /etc/init.d/v6kit-router disable
	fi
	for file in $reversed; do
		[ ! -f "/$file" ] || change "delete /$file" remove_file "$file"
	done
	[ ! -f "$KEEP" ] || change "delete $KEEP" rm -f "$KEEP"
	rm -rf /var/lock/v6kit-router.lock
	[ "$dry" = 1 ] || rmdir /usr/lib/v6kit-router 2>/dev/null
	! rules_loaded || change 'take the rules out of the firewall' unload_rules
	[ "$changed" = 1 ] || echo 'nothing to remove'
}

# files_differing: the files of ours that are not there or hold something else, one a line.
files_differing() {
	local file
	for file in $FILES; do
		case "$file" in
		etc/config/*) [ -f "/$file" ] || echo "/$file is missing" ;;
		*)
			if [ ! -f "/$file" ]; then
				echo "/$file is missing"
			elif ! content "$file" | cmp -s - "/$file"; then
				echo "/$file is not ours or of another version"
			fi
			;;
		esac
	done
}

json_bool() {
	if "$@" >/dev/null 2>&1; then
		printf true
	else
		printf false
	fi
}

all_differences() {
	route_differences
	firewall_differences
	conntrack_differences
}

# Reads with the functions of the package, which need not be installed for that.
# shellcheck disable=SC2034 # the variables are theirs
report_status() {
	local part
	VERSION="$(content usr/sbin/v6kit-router | sed -n 's/^VERSION=//p')"
	RUN=/var/run/v6kit-router
	for part in settings network route firewall conntrack report; do
		eval "$(content "usr/lib/v6kit-router/$part.sh")"
	done
	settings_read
	[ -z "$opt_lan" ] || cfg_lan="$opt_lan"
	[ -z "$opt_wan" ] || cfg_wan="$opt_wan"
	network_read
	wanted_read
	printf '{"fw4":%s,"package":%s,"installed":%s,"service":%s,"files":%s,"status":' \
		"$(json_bool command -v fw4)" "$(json_bool package_installed)" \
		"$(json_bool test -x /usr/sbin/v6kit-router)" "$(json_bool /etc/init.d/v6kit-router enabled)" \
		"$(json_lines "$(files_differing)")"
	status_json "$(all_differences)"
	echo '}'
}

# Over ssh this very file is the remote shell's input.
run_there() {
	grep -qs '^# Installs v6kit-router' "$0" || fail 1 'save this script to a file to run it over ssh'
	# shellcheck disable=SC2029,SC2086 # every word has been checked and holds nothing special
	exec ssh "$destination" sh -s -- $arguments <"$0"
}

main() {
	local dry=0 changed=0
	KEEP=/lib/upgrade/keep.d/v6kit-router
	LOG=/tmp/v6kit-router.provision.$$
	eval "$(content usr/lib/v6kit-router/values.sh)"
	read_arguments "$@"
	[ -z "$destination" ] || run_there
	if ! command -v uci >/dev/null || ! command -v ubus >/dev/null; then
		fail 1 'this is not OpenWrt: uci or ubus is missing'
	fi
	[ -w /etc/config ] || fail 1 'this needs root: /etc/config cannot be written'
	case "$mode" in
	remove)
		remove_all
		return
		;;
	status)
		report_status
		return
		;;
	esac
	[ "$opt_notrack" = 0 ] || command -v fw4 >/dev/null ||
		fail 1 'there is no fw4 here (OpenWrt 22.03 or newer): only --notrack 0 is possible'
	install_all
}

# --- files of the package: written by embed.sh, do not edit below ---

FILES='
usr/lib/v6kit-router/values.sh
usr/lib/v6kit-router/settings.sh
usr/lib/v6kit-router/network.sh
usr/lib/v6kit-router/route.sh
usr/lib/v6kit-router/firewall.sh
usr/lib/v6kit-router/conntrack.sh
usr/lib/v6kit-router/report.sh
usr/sbin/v6kit-router
etc/config/v6kit-router
etc/init.d/v6kit-router
etc/hotplug.d/iface/90-v6kit-router
usr/share/nftables.d/table-pre/v6kit-router.nft
usr/share/nftables.d/chain-post/raw_prerouting/v6kit-router.nft
usr/share/nftables.d/chain-pre/forward/v6kit-router.nft
usr/share/nftables.d/ruleset-post/v6kit-router.nft
'

# content FILE: its text.
content() {
	case "$1" in
	usr/lib/v6kit-router/values.sh)
		cat <<'V6KIT_FILE'
# shellcheck shell=dash
# What a value may look like, and arithmetic on IPv6 addresses. Nothing here reads or changes the system.
#
# A value from UCI, ubus or the command line passes one of the `is_*` functions before it is used. An
# address in the middle of a computation is eight decimal numbers between spaces ("groups").

# One line, short, without anything that means something to a shell, to nft or to JSON.
printable() {
	printf '%s' "$1" | tr -c 'A-Za-z0-9 ._:/@=,+-' '?' | cut -c 1-60
}

# The name of a UCI section or of a network interface in UCI.
is_name() {
	case "$1" in
	'' | *[!A-Za-z0-9_]*) return 1 ;;
	esac
	[ ${#1} -le 32 ]
}

# The name of a network device: at most 15 bytes (IFNAMSIZ).
is_device() {
	case "$1" in
	'' | . | .. | -* | *[!A-Za-z0-9._@-]*) return 1 ;;
	esac
	[ ${#1} -le 15 ]
}

# is_number TEXT MINIMUM MAXIMUM
is_number() {
	case "$1" in
	'' | *[!0-9]* | 0?*) return 1 ;;
	esac
	[ ${#1} -le 9 ] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

is_switch() {
	case "$1" in
	0 | 1) return 0 ;;
	esac
	return 1
}

# is_one_of TEXT WORD...
is_one_of() {
	local text="$1" word
	shift
	for word in "$@"; do
		[ "$text" = "$word" ] && return 0
	done
	return 1
}

# colon_groups TEXT: the 16-bit groups between colons as decimal numbers, none for an empty text.
colon_groups() {
	local rest="$1" group
	while [ -n "$rest" ]; do
		group="${rest%%:*}"
		case "$group" in
		'' | *[!0-9a-fA-F]* | ?????*) return 1 ;;
		esac
		printf '%d ' "0x$group"
		case "$rest" in
		*:) return 1 ;;
		*:*) rest="${rest#*:}" ;;
		*) rest= ;;
		esac
	done
}

# groups_of ADDRESS: its eight groups. Dotted IPv4 tails and zones are not accepted (RFC 4291, 2.2).
groups_of() {
	local left right missing
	case "$1" in
	'' | *[!0-9a-fA-F:]* | *:::* | *::*::*) return 1 ;;
	*::*)
		left="$(colon_groups "${1%%::*}")" && right="$(colon_groups "${1#*::}")" || return 1
		# shellcheck disable=SC2086 # groups are counted as words
		missing=$((8 - $(word_count $left $right)))
		[ "$missing" -ge 1 ] || return 1
		while [ "$missing" -gt 0 ]; do
			left="${left}0 "
			missing=$((missing - 1))
		done
		left="$left$right"
		;;
	*) left="$(colon_groups "$1")" || return 1 ;;
	esac
	# shellcheck disable=SC2086 # groups are counted as words
	[ "$(word_count $left)" -eq 8 ] || return 1
	printf '%s\n' "${left% }"
}

word_count() {
	printf '%d' "$#"
}

is_address() {
	groups_of "$1" >/dev/null
}

# fe80::/10 (RFC 4291, 2.5.6)
is_link_local() {
	local groups
	groups="$(groups_of "$1")" || return 1
	[ $((${groups%% *} & 0xffc0)) -eq $((0xfe80)) ]
}

# 2000::/3, what the internet routes
is_global() {
	local groups
	groups="$(groups_of "$1")" || return 1
	[ $((${groups%% *} & 0xe000)) -eq $((0x2000)) ]
}

# ADDRESS/LENGTH with nothing set behind the length.
is_prefix() {
	local groups
	case "$1" in
	*/*/* | /* | */) return 1 ;;
	*/*) ;;
	*) return 1 ;;
	esac
	is_number "${1#*/}" 1 128 || return 1
	groups="$(groups_of "${1%/*}")" || return 1
	# shellcheck disable=SC2086 # eight groups are eight arguments
	[ "$(network_groups "${1#*/}" $groups)" = "$groups" ]
}

# group_mask LENGTH INDEX: the part of a netmask that falls on group INDEX (0 to 7).
group_mask() {
	local bits=$(($1 - 16 * $2))
	if [ "$bits" -le 0 ]; then
		bits=0
	elif [ "$bits" -gt 16 ]; then
		bits=16
	fi
	printf '%d' $(((0xffff << (16 - bits)) & 0xffff))
}

# network_groups LENGTH GROUP...: the groups with everything behind LENGTH cleared.
network_groups() {
	local length="$1" index=0 out=''
	shift
	while [ $# -gt 0 ]; do
		out="$out$(($1 & $(group_mask "$length" "$index"))) "
		index=$((index + 1))
		shift
	done
	printf '%s\n' "${out% }"
}

# address_of GROUP x 8: as the kernel and nft write it (RFC 5952).
address_of() {
	local index=0 run=0 start=0 best=1 best_start=-1 out='' group
	for group in "$@"; do
		if [ "$group" -eq 0 ]; then
			[ "$run" -gt 0 ] || start=$index
			run=$((run + 1))
			if [ "$run" -gt "$best" ]; then
				best=$run
				best_start=$start
			fi
		else
			run=0
		fi
		index=$((index + 1))
	done
	index=0
	for group in "$@"; do
		if [ "$index" -eq "$best_start" ]; then
			out="$out::"
		elif [ "$best_start" -lt 0 ] || [ "$index" -lt "$best_start" ] || [ "$index" -ge $((best_start + best)) ]; then
			case "$out" in
			'' | *:) ;;
			*) out="$out:" ;;
			esac
			out="$out$(printf '%x' "$group")"
		fi
		index=$((index + 1))
	done
	printf '%s\n' "$out"
}

# canonical_prefix PREFIX: the same in the kernel's spelling.
canonical_prefix() {
	# shellcheck disable=SC2046 # eight groups are eight arguments
	printf '%s/%s\n' "$(address_of $(groups_of "${1%/*}"))" "${1#*/}"
}

# canonical_address ADDRESS: the same in the kernel's spelling.
canonical_address() {
	# shellcheck disable=SC2046 # eight groups are eight arguments
	address_of $(groups_of "$1")
}

# prefix_contains OUTER INNER: whether the prefix INNER lies in the prefix OUTER.
prefix_contains() {
	local outer inner
	[ "${2#*/}" -ge "${1#*/}" ] || return 1
	outer="$(groups_of "${1%/*}")" && inner="$(groups_of "${2%/*}")" || return 1
	# shellcheck disable=SC2086 # eight groups are eight arguments
	[ "$(network_groups "${1#*/}" $inner)" = "$outer" ]
}

# place_prefix BASE PART: PART with its leading bits, as many as BASE is long, taken from BASE.
# 2001:db8:1:2::/64 and ::abcd:0:0:0/80 make 2001:db8:1:2:abcd::/80. PART must be longer than BASE.
place_prefix() {
	local length="${1#*/}" base part mask index=0 out=''
	[ "${2#*/}" -gt "$length" ] || return 1
	base="$(groups_of "${1%/*}")" && part="$(groups_of "${2%/*}")" || return 1
	while [ "$index" -lt 8 ]; do
		mask="$(group_mask "$length" "$index")"
		out="$out$(((${base%% *} & mask) | (${part%% *} & ~mask & 0xffff))) "
		base="${base#* }"
		part="${part#* }"
		index=$((index + 1))
	done
	# shellcheck disable=SC2086 # eight groups are eight arguments
	printf '%s/%s\n' "$(address_of $out)" "${2#*/}"
}
V6KIT_FILE
		;;
	usr/lib/v6kit-router/settings.sh)
		cat <<'V6KIT_FILE'
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
V6KIT_FILE
		;;
	usr/lib/v6kit-router/network.sh)
		cat <<'V6KIT_FILE'
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
V6KIT_FILE
		;;
	usr/lib/v6kit-router/route.sh)
		cat <<'V6KIT_FILE'
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
V6KIT_FILE
		;;
	usr/lib/v6kit-router/firewall.sh)
		cat <<'V6KIT_FILE'
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
V6KIT_FILE
		;;
	usr/lib/v6kit-router/conntrack.sh)
		cat <<'V6KIT_FILE'
# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# The size of the connection table, by RAM, only ever raised. What is not in the prefixes is still tracked.

SYSCTL_FILE=/etc/sysctl.d/12-v6kit-router.conf
CONNTRACK_BEFORE="$RUN/conntrack.before"
PROC_CONNTRACK=/proc/sys/net/netfilter

# read_number FILE: `read` would take a byte at a time, and files of sysctl give one read only.
read_number() {
	local number
	number="$(cat "$1" 2>/dev/null)"
	is_number "$number" 0 999999999 && printf '%s\n' "$number"
}

memory_kib() {
	sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo
}

# An eighth of RAM at 512 bytes an entry (256 bytes, 384 with accounting, and the buckets), rounded up to
# 4096: 32768 on 128 MiB, 65536 on 256 MiB. From 1 GiB on it stays at 262144, as in the kernel.
conntrack_for_memory() {
	local entries=$(($1 / 4))
	[ "$entries" -le 262144 ] || entries=262144
	printf '%d\n' $(((entries + 4095) / 4096 * 4096))
}

# conntrack_wanted: the table size that the settings ask for, nothing where it is to be left alone.
conntrack_wanted() {
	[ "$cfg_enabled" = 1 ] || return 0
	case "$cfg_conntrack" in
	keep) ;;
	auto) conntrack_for_memory "$(memory_kib)" ;;
	*) printf '%s\n' "$cfg_conntrack" ;;
	esac
}

# conntrack_elsewhere: the largest size that another file of the administrator sets at boot, or 0.
conntrack_elsewhere() {
	local file
	for file in /etc/sysctl.conf /etc/sysctl.d/*.conf; do
		[ "$file" = "$SYSCTL_FILE" ] || [ ! -f "$file" ] ||
			sed -n 's/^[[:space:]]*net[./]\(netfilter[./]\)\{0,1\}nf_conntrack_max[[:space:]]*=[[:space:]]*\([0-9]\{1,9\}\)[[:space:]]*$/\2/p' "$file"
	done | sort -n | tail -n 1 | grep . || echo 0
}

# sysctl_file_wanted: what the file should hold; nothing where it should not be there: the table is to be
# left alone, or is as large already without our doing.
sysctl_file_wanted() {
	local size now
	size="$(conntrack_wanted)"
	now="$(read_number "$PROC_CONNTRACK/nf_conntrack_max")"
	if [ -z "$size" ] || [ -z "$now" ] || [ "$(conntrack_elsewhere)" -ge "$size" ]; then
		return 0
	fi
	if [ "$now" -ge "$size" ] && [ ! -f "$SYSCTL_FILE" ] && [ ! -f "$CONNTRACK_BEFORE" ]; then
		return 0
	fi
	echo "# Written by v6kit-router: see 'conntrack' in /etc/config/v6kit-router."
	echo "net.netfilter.nf_conntrack_max=$size"
	echo "net.netfilter.nf_conntrack_buckets=$size"
}

# raise_wanted NAME: the size to write into the kernel now, nothing where it is large enough.
raise_wanted() {
	local size now
	size="$(conntrack_wanted)"
	now="$(read_number "$PROC_CONNTRACK/$1")"
	[ -n "$size" ] && [ -n "$now" ] && [ "$now" -lt "$size" ] && printf '%s\n' "$size"
}

conntrack_differences() {
	local name size
	if [ "$(sysctl_file_wanted)" != "$(cat "$SYSCTL_FILE" 2>/dev/null)" ]; then
		if [ -n "$(sysctl_file_wanted)" ]; then
			echo "conntrack: write $SYSCTL_FILE"
		else
			echo "conntrack: delete $SYSCTL_FILE"
		fi
	fi
	for name in nf_conntrack_max nf_conntrack_buckets; do
		size="$(raise_wanted "$name")" && echo "conntrack: raise $name from $(read_number "$PROC_CONNTRACK/$name") to $size"
	done
	[ -n "$(conntrack_wanted)" ] || [ ! -f "$CONNTRACK_BEFORE" ] || echo "conntrack: put the former sizes back"
}

conntrack_apply() {
	local file name size result=0
	file="$(sysctl_file_wanted)"
	if [ -z "$file" ]; then
		rm -f "$SYSCTL_FILE"
	elif [ "$file" != "$(cat "$SYSCTL_FILE" 2>/dev/null)" ]; then
		mkdir -p "${SYSCTL_FILE%/*}"
		printf '%s\n' "$file" >"$SYSCTL_FILE" || result=1
	fi
	for name in nf_conntrack_max nf_conntrack_buckets; do
		if size="$(raise_wanted "$name")"; then
			grep -qs "^$name " "$CONNTRACK_BEFORE" ||
				echo "$name $(read_number "$PROC_CONNTRACK/$name") $size" >>"$CONNTRACK_BEFORE"
			{ echo "$size" >"$PROC_CONNTRACK/$name"; } 2>/dev/null || result=1
		fi
	done
	[ -n "$(conntrack_wanted)" ] || conntrack_restore
	return "$result"
}

# Puts back what was there before, where nobody has changed it since.
conntrack_restore() {
	[ -f "$CONNTRACK_BEFORE" ] || return 0
	while read -r name before raised; do
		if [ "$(read_number "$PROC_CONNTRACK/$name")" = "$raised" ]; then
			{ echo "$before" >"$PROC_CONNTRACK/$name"; } 2>/dev/null
		fi
	done <"$CONNTRACK_BEFORE"
	rm -f "$CONNTRACK_BEFORE"
}
V6KIT_FILE
		;;
	usr/lib/v6kit-router/report.sh)
		cat <<'V6KIT_FILE'
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
V6KIT_FILE
		;;
	usr/sbin/v6kit-router)
		cat <<'V6KIT_FILE'
#!/bin/sh
# Keeps a prefix routed to a host behind this router, and its connections out of the connection table.
#
# Exit codes: 0 in order or done, 1 differences, problems or something that failed, 2 usage or settings.

set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

VERSION=0.1.0
RUN=/var/run/v6kit-router
LOCK=/var/lock/v6kit-router.lock
LIB=/usr/lib/v6kit-router

# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/values.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/settings.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/network.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/route.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/firewall.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/conntrack.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/report.sh"

usage() {
	cat <<-END
		usage: v6kit-router COMMAND
		  plan       say what apply would change, and change nothing
		  apply      make the route, the firewall and the table sizes what /etc/config/v6kit-router asks for
		  status     say what there is         (--json: as JSON)
		  check      like status; exit 1 when something differs from the settings
		  remove     undo everything and switch the service off
	END
}

log_to=stdout

say() {
	[ -n "$1" ] || return 0
	if [ "$log_to" = log ]; then
		printf '%s\n' "$1" | logger -t v6kit-router -p daemon.notice
	else
		printf '%s\n' "$1"
	fi
}

complain() {
	if [ "$log_to" = log ]; then
		printf '%s\n' "$1" | logger -t v6kit-router -p daemon.err
	fi
	prefixed 'v6kit-router: ' "$1" >&2
}

differences() {
	route_differences
	firewall_differences
	conntrack_differences
}

# Reads settings and network. False when a value was refused.
look() {
	settings_read
	network_read
	wanted_read
	[ -z "$refused" ]
}

stop_if_refused() {
	[ -z "$refused" ] && return 0
	complain "${refused%?}"
	complain "nothing was changed: correct /etc/config/v6kit-router"
	exit 2
}

one_at_a_time() {
	mkdir -p "$RUN" "${LOCK%/*}" && exec 9>"$LOCK" && flock 9 || exit 1
}

# Changes what differs and says so; with nothing to change nothing is written anywhere.
bring_about() {
	local changes result=0
	changes="$(differences)"
	if [ -z "$changes" ]; then
		[ "$log_to" = log ] || say 'nothing to change'
		return 0
	fi
	case "$changes" in *route:*) route_apply || result=1 ;; esac
	case "$changes" in *firewall:*) firewall_apply || result=1 ;; esac
	case "$changes" in *conntrack:*) conntrack_apply || result=1 ;; esac
	say "$changes"
	changes="$(differences)"
	[ -z "$changes" ] || complain "$(prefixed 'still to do: ' "$changes")"
	[ -z "$changes" ] && return "$result"
	return 1
}

run_plan() {
	local changes
	look || stop_if_refused
	changes="$(differences)"
	say "${changes:-nothing to change}"
	prefixed 'waiting: ' "${waiting%?}"
	prefixed 'warning: ' "$(warnings_read)"
}

run_apply() {
	one_at_a_time
	look || stop_if_refused
	[ -z "$waiting" ] || say "$(prefixed 'waiting: ' "${waiting%?}")"
	bring_about
}

# An event of netifd: only the interfaces that matter, and not a word where nothing is new.
run_event() {
	settings_read
	[ "$cfg_enabled" = 1 ] || return 0
	is_one_of "$1" "$cfg_lan" "$cfg_wan" || [ "$cfg_wan" = auto ] || return 0
	log_to=log
	run_apply >/dev/null
}

# Takes routes and elements out of service and keeps every setting and file.
run_withdraw() {
	one_at_a_time
	look || true
	wanted=''
	cfg_enabled=0
	route_apply
	firewall_apply
	rmdir "$RUN" 2>/dev/null
	return 0
}

run_status() {
	look || true
	if [ "$1" = json ]; then
		status_json "$(differences)"
	else
		status_text
	fi
}

run_check() {
	local changes
	look || true
	changes="$(differences)"
	if [ "$1" = json ]; then
		status_json "$changes"
	else
		status_text
		prefixed 'differs: ' "$changes"
	fi
	[ -z "$changes" ] && [ -z "$(problems_read)" ]
}

run_remove() {
	one_at_a_time
	look || true
	wanted=''
	cfg_enabled=0
	bring_about
	if [ "$(uci -q get v6kit-router.main.enabled)" = 1 ]; then
		uci set v6kit-router.main.enabled=0 && uci commit v6kit-router
	fi
	rm -rf "$RUN"
}

command="${1-}"
[ $# -eq 0 ] || shift
form=text
event=''
case "$command" in
event)
	is_name "${1-}" || exit 0
	event="$1"
	shift
	;;
esac
for option in "$@"; do
	case "$option" in
	--json) form=json ;;
	--log) log_to=log ;;
	*)
		usage >&2
		exit 2
		;;
	esac
done

case "$command" in
plan) run_plan ;;
apply) run_apply ;;
event) run_event "$event" ;;
withdraw) run_withdraw ;;
status) run_status "$form" ;;
check) run_check "$form" ;;
remove) run_remove ;;
load-rules)
	mkdir -p "$RUN"
	rules_load
	;;
help | --help | -h) usage ;;
--version) echo "v6kit-router $VERSION" ;;
*)
	usage >&2
	exit 2
	;;
esac
V6KIT_FILE
		;;
	etc/config/v6kit-router)
		cat <<'V6KIT_FILE'

config settings 'main'
	option enabled '0'
	option lan 'lan'
	option wan 'auto'
	option notrack '1'
	option ping 'keep'
	option conntrack 'auto'
V6KIT_FILE
		;;
	etc/init.d/v6kit-router)
		cat <<'V6KIT_FILE'
#!/bin/sh /etc/rc.common
# shellcheck shell=dash disable=SC2034 # rc.common reads the variables
# Puts the route, the firewall's elements and the table sizes in place, and takes them out of service.

# After firewall (19) and network (20).
START=95
USE_PROCD=1

start_service() {
	/usr/sbin/v6kit-router apply --log
}

reload_service() {
	/usr/sbin/v6kit-router apply --log
}

# Runs on upgrades as well: nothing that is configured may be lost here.
stop_service() {
	/usr/sbin/v6kit-router withdraw --log
}

service_triggers() {
	procd_add_reload_trigger v6kit-router
}
V6KIT_FILE
		;;
	etc/hotplug.d/iface/90-v6kit-router)
		cat <<'V6KIT_FILE'
# shellcheck shell=dash disable=SC2154 # hotplug sets ACTION and INTERFACE
# Sourced by hotplug: no exit here, and every variable is everybody's.
# A delegated prefix that changes is announced by ACTION=ifupdate of the WAN alone. The same event comes
# with every renewal, so that what it starts must do nothing when nothing is new.
case "$ACTION" in
ifup | ifupdate)
	if [ "$INTERFACE" != loopback ] && /etc/init.d/v6kit-router enabled; then
		/usr/sbin/v6kit-router event "$INTERFACE"
	fi
	;;
esac
V6KIT_FILE
		;;
	usr/share/nftables.d/table-pre/v6kit-router.nft)
		cat <<'V6KIT_FILE'
# What v6kit-router fills in while it runs. Empty sets match nothing: without elements the rules of this
# package do nothing.

set v6kit_prefix {
	type ipv6_addr
	flags interval
	comment "prefixes routed to hosts"
}

set v6kit_quiet {
	type ipv6_addr
	flags interval
	comment "prefixes that answer no ping from outside"
}

set v6kit_near {
	type ipv6_addr
	flags interval
	auto-merge
	comment "destinations on this side of the WAN, tracked as ever"
}

set v6kit_lan {
	type ifname
	comment "devices towards the hosts"
}

set v6kit_wan {
	type ifname
	comment "devices towards the internet"
}

set v6kit_udp {
	type inet_service
	comment "remote UDP ports that are not tracked"
}

# From the WAN to a prefix. What is not accepted here goes on through the firewall's own rules, which refuse
# what nobody asked for.
chain v6kit_inbound {
	ip6 daddr @v6kit_quiet icmpv6 type echo-request drop comment "v6kit: no ping from outside"
	icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } limit rate 1000/second accept comment "v6kit: errors about untracked connections"
	ct state untracked tcp flags & (ack | rst) != 0 accept comment "v6kit: replies, never a bare SYN"
	ct state untracked udp sport @v6kit_udp accept comment "v6kit: replies from the chosen UDP ports"
}
V6KIT_FILE
		;;
	usr/share/nftables.d/chain-post/raw_prerouting/v6kit-router.nft)
		cat <<'V6KIT_FILE'
iifname @v6kit_lan ip6 saddr @v6kit_prefix ip6 daddr != @v6kit_near meta l4proto tcp notrack comment "v6kit: out"
iifname @v6kit_lan ip6 saddr @v6kit_prefix ip6 daddr != @v6kit_near udp dport @v6kit_udp notrack comment "v6kit: out"
iifname @v6kit_wan ip6 daddr @v6kit_prefix ip6 saddr != @v6kit_near meta l4proto tcp notrack comment "v6kit: in"
iifname @v6kit_wan ip6 daddr @v6kit_prefix ip6 saddr != @v6kit_near udp sport @v6kit_udp notrack comment "v6kit: in"
V6KIT_FILE
		;;
	usr/share/nftables.d/chain-pre/forward/v6kit-router.nft)
		cat <<'V6KIT_FILE'
iifname @v6kit_wan oifname @v6kit_lan ip6 daddr @v6kit_prefix jump v6kit_inbound comment "v6kit: in"
V6KIT_FILE
		;;
	usr/share/nftables.d/ruleset-post/v6kit-router.nft)
		cat <<'V6KIT_FILE'
# The wildcard makes a missing file no error.
include "/var/run/v6kit-router/*.nft"
V6KIT_FILE
		;;
	esac
}

main "$@"
