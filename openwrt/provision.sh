#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs v6kit-router on an OpenWrt router without a package manager: the same files, settings included.
# Runs on the router, or anywhere else with a destination for ssh as its last word.
#
# Nothing is written that is there already; run it again to change a setting.
#
# Exit codes: 0 done, 1 something failed, 2 usage, 3 the router's disk is full.

# What the functions of the package leave their answers in.
shown='' address='' prefix='' changes=''

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
		  --udp-port PORT    the same for UDP with this remote port; may be repeated; `none`: with none
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
	if ! "$@" "$value"; then
		printable "$value"
		fail 2 "$option: \`$shown\` is not allowed"
	fi
	arguments="$arguments $option $value"
}

is_base() {
	is_one_of "$1" lan wan
}

is_ping() {
	is_one_of "$1" keep drop
}

is_port() {
	[ "$1" = none ] || is_number "$1" 1 65535
}

is_table_size() {
	is_one_of "$1" auto keep || is_number "$1" 1024 16777216
}

# Ports as they were given; `none` takes back those before it.
udp_port() {
	if [ "$1" = none ]; then
		opt_udp_ports=' '
	else
		opt_udp_ports="${opt_udp_ports# } $1"
	fi
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
		--host) taken "$1" "$2" is_link_local && canonical_address "$2" && opt_host="$address" ;;
		--prefix) taken "$1" "$2" is_global_prefix && canonical_prefix "$2" && opt_prefix="$prefix" ;;
		--part) taken "$1" "$2" is_prefix && canonical_prefix "$2" && opt_part="$prefix" ;;
		--base) taken "$1" "$2" is_base && opt_base="$2" ;;
		--name) taken "$1" "$2" is_section_name && opt_name="$2" ;;
		--lan) taken "$1" "$2" is_name && opt_lan="$2" ;;
		--wan) taken "$1" "$2" is_name && opt_wan="$2" ;;
		--notrack) taken "$1" "$2" is_switch && opt_notrack="$2" ;;
		--udp-port) taken "$1" "$2" is_port && udp_port "$2" ;;
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
		-*)
			printable "$1"
			fail 2 "unknown option \`$shown\` (--help shows all)"
			;;
		*)
			[ -z "$destination" ] || fail 2 'more than one destination'
			printable "$1"
			is_destination "$1" || fail 2 "\`$shown\` is not a destination for ssh"
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
		# shellcheck disable=SC2086 # each port is a word
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

# What is there must be readable before anything is added to it.
settings_readable() {
	local type
	[ -f "/etc/config/v6kit-router" ] || return 0
	uci -q show v6kit-router >/dev/null ||
		fail 2 "/etc/config/v6kit-router cannot be read: see \`uci show v6kit-router\`"
	type="$(uci -q get "v6kit-router.$opt_name")"
	[ "${type:-prefix}" = prefix ] || fail 2 "--name: section $opt_name is not one for a host"
}

# Whether the firewall runs without our rules and would load them, as after an installation that was cut off.
rules_left_out() {
	case "$(nft list chain inet fw4 raw_prerouting 2>/dev/null)" in
	'' | *@v6kit_prefix*) return 1 ;;
	esac
	case "$(fw4 -q print 2>/dev/null)" in
	*/raw_prerouting/v6kit-router.nft*) ;;
	*) return 1 ;;
	esac
}

install_all() {
	local rules_changed=0 result=0
	settings_readable
	package_installed || install_files
	install_settings
	if [ "$rules_changed" = 1 ] || rules_left_out; then
		change 'load the rules into the firewall' /usr/sbin/v6kit-router load-rules || return 1
	fi
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

# Reads with the functions of the package, which need not be installed for that.
# shellcheck disable=SC2034 # the variables are theirs
report_status() {
	local part
	VERSION="$(content usr/sbin/v6kit-router | sed -n 's/^VERSION=//p')"
	RUN=/var/run/v6kit-router
	for part in settings network wanted route firewall conntrack differences report; do
		eval "$(content "usr/lib/v6kit-router/$part.sh")"
	done
	settings_read
	[ -x /usr/sbin/v6kit-router ] || refused=''
	[ -z "$opt_lan" ] || cfg_lan="$opt_lan"
	[ -z "$opt_wan" ] || cfg_wan="$opt_wan"
	network_read
	wanted_read
	differences_read
	printf '{"fw4":%s,"package":%s,"installed":%s,"service":%s,"files":%s,"status":' \
		"$(json_bool command -v fw4)" "$(json_bool package_installed)" \
		"$(json_bool test -x /usr/sbin/v6kit-router)" "$(json_bool /etc/init.d/v6kit-router enabled)" \
		"$(json_lines "$(files_differing)")"
	status_json "$changes"
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
usr/lib/v6kit-router/wanted.sh
usr/lib/v6kit-router/route.sh
usr/lib/v6kit-router/firewall.sh
usr/lib/v6kit-router/conntrack.sh
usr/lib/v6kit-router/differences.sh
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
# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034 # answers are left in variables
# What a value may look like, and arithmetic on IPv6 addresses. Nothing here reads or changes the system.
#
# A value from UCI, ubus or the command line passes one of the `is_*` functions before it is used. An
# address in the middle of a computation is eight decimal numbers between spaces ("groups").
#
# A command substitution is a process, and an event of the network comes at every renewal of a lease: what
# computes leaves its answer in the variable that its comment names.

NEWLINE='
'

# printable TEXT: fills `shown`: one line, short, without anything that means something to a shell, to nft or
# to JSON.
printable() {
	local rest="$1" character
	shown=''
	while [ -n "$rest" ] && [ ${#shown} -lt 60 ]; do
		character="${rest%"${rest#?}"}"
		rest="${rest#?}"
		case "$character" in
		[A-Za-z0-9\ ._:/@=,+-]) ;;
		*) character='?' ;;
		esac
		shown="$shown$character"
	done
}

# The name of a UCI section or of a network interface in UCI.
is_name() {
	case "$1" in
	'' | *[!A-Za-z0-9_]*) return 1 ;;
	esac
	[ ${#1} -le 32 ]
}

# The name of a section for a host; `main` holds what is common to all.
is_section_name() {
	[ "$1" != main ] && is_name "$1"
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

# same_words LEFT RIGHT: whether both have the same words between spaces, in whatever order.
same_words() {
	local word
	for word in $1; do
		case " $2 " in *" $word "*) ;; *) return 1 ;; esac
	done
	for word in $2; do
		case " $1 " in *" $word "*) ;; *) return 1 ;; esac
	done
}

# colon_groups TEXT: fills `colons` with the 16-bit groups between colons as decimal numbers, a space behind
# each, and `colon_count`; none for an empty text.
colon_groups() {
	local rest="$1" group
	colons='' colon_count=0
	while [ -n "$rest" ]; do
		group="${rest%%:*}"
		case "$group" in
		'' | *[!0-9a-fA-F]* | ?????*) return 1 ;;
		esac
		colons="$colons$((0x$group)) "
		colon_count=$((colon_count + 1))
		case "$rest" in
		*:) return 1 ;;
		*:*) rest="${rest#*:}" ;;
		*) rest= ;;
		esac
	done
}

# groups_of ADDRESS: fills `groups`. Dotted IPv4 tails and zones are not accepted (RFC 4291, 2.2).
groups_of() {
	local left count
	groups=''
	case "$1" in
	'' | *[!0-9a-fA-F:]* | *:::* | *::*::*) return 1 ;;
	*::*)
		colon_groups "${1%%::*}" || return 1
		left="$colons" count="$colon_count"
		colon_groups "${1#*::}" || return 1
		count=$((count + colon_count))
		[ "$count" -lt 8 ] || return 1
		while [ "$count" -lt 8 ]; do
			left="${left}0 "
			count=$((count + 1))
		done
		left="$left$colons"
		;;
	*)
		colon_groups "$1" || return 1
		[ "$colon_count" -eq 8 ] || return 1
		left="$colons"
		;;
	esac
	groups="${left% }"
}

is_address() {
	groups_of "$1"
}

# fe80::/10 (RFC 4291, 2.5.6)
is_link_local() {
	groups_of "$1" || return 1
	[ $((${groups%% *} & 0xffc0)) -eq $((0xfe80)) ]
}

# 2000::/3, what the internet routes
is_global() {
	groups_of "$1" || return 1
	[ $((${groups%% *} & 0xe000)) -eq $((0x2000)) ]
}

# ADDRESS/LENGTH with nothing set behind the length.
is_prefix() {
	case "$1" in
	*/*/* | /* | */) return 1 ;;
	*/*) ;;
	*) return 1 ;;
	esac
	is_number "${1#*/}" 1 128 || return 1
	groups_of "${1%/*}" || return 1
	# shellcheck disable=SC2086 # eight groups are eight arguments
	network_groups "${1#*/}" $groups
	[ "$network" = "$groups" ]
}

# A prefix that the internet routes. Shorter than /16 is nobody's.
is_global_prefix() {
	is_prefix "$1" && is_global "${1%/*}" && [ "${1#*/}" -ge 16 ]
}

# group_mask LENGTH INDEX: fills `netmask`, the part of a netmask that falls on group INDEX (0 to 7).
group_mask() {
	local bits=$(($1 - 16 * $2))
	if [ "$bits" -le 0 ]; then
		bits=0
	elif [ "$bits" -gt 16 ]; then
		bits=16
	fi
	netmask=$(((0xffff << (16 - bits)) & 0xffff))
}

# network_groups LENGTH GROUP...: fills `network`, the groups with everything behind LENGTH cleared.
network_groups() {
	local length="$1" index=0
	network=''
	shift
	while [ $# -gt 0 ]; do
		group_mask "$length" "$index"
		network="$network$(($1 & netmask)) "
		index=$((index + 1))
		shift
	done
	network="${network% }"
}

# hexadecimal NUMBER: fills `hex`.
hexadecimal() {
	local rest="$1" digit
	hex=''
	while :; do
		digit=$((rest & 15))
		case "$digit" in
		10) digit=a ;;
		11) digit=b ;;
		12) digit=c ;;
		13) digit=d ;;
		14) digit=e ;;
		15) digit=f ;;
		esac
		hex="$digit$hex"
		rest=$((rest >> 4))
		[ "$rest" -gt 0 ] || return 0
	done
}

# address_of GROUP x 8: fills `address`, written as the kernel and nft write it (RFC 5952).
address_of() {
	local index=0 run=0 start=0 best=1 best_start=-1 group
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
	address=''
	for group in "$@"; do
		if [ "$index" -eq "$best_start" ]; then
			address="$address::"
		elif [ "$best_start" -lt 0 ] || [ "$index" -lt "$best_start" ] || [ "$index" -ge $((best_start + best)) ]; then
			case "$address" in
			'' | *:) ;;
			*) address="$address:" ;;
			esac
			hexadecimal "$group"
			address="$address$hex"
		fi
		index=$((index + 1))
	done
}

# canonical_address ADDRESS: fills `address`, the same in the kernel's spelling.
canonical_address() {
	groups_of "$1" || return 1
	# shellcheck disable=SC2086 # eight groups are eight arguments
	address_of $groups
}

# canonical_prefix PREFIX: fills `prefix`, the same in the kernel's spelling.
canonical_prefix() {
	canonical_address "${1%/*}" || return 1
	prefix="$address/${1#*/}"
}

# prefix_contains OUTER INNER: whether the prefix INNER lies in the prefix OUTER.
prefix_contains() {
	local outer
	[ "${2#*/}" -ge "${1#*/}" ] || return 1
	groups_of "${1%/*}" || return 1
	outer="$groups"
	groups_of "${2%/*}" || return 1
	# shellcheck disable=SC2086 # eight groups are eight arguments
	network_groups "${1#*/}" $groups
	[ "$network" = "$outer" ]
}

# prefixes_overlap PREFIX PREFIX
prefixes_overlap() {
	prefix_contains "$1" "$2" || prefix_contains "$2" "$1"
}

# place_prefix BASE PART: fills `prefix` with PART, its leading bits, as many as BASE is long, taken from BASE.
# 2001:db8:1:2::/64 and ::abcd:0:0:0/80 make 2001:db8:1:2:abcd::/80. PART must be longer than BASE.
place_prefix() {
	local length="${1#*/}" base part index=0 out=''
	[ "${2#*/}" -gt "$length" ] || return 1
	groups_of "${1%/*}" || return 1
	base="$groups"
	groups_of "${2%/*}" || return 1
	part="$groups"
	while [ "$index" -lt 8 ]; do
		group_mask "$length" "$index"
		out="$out$(((${base%% *} & netmask) | (${part%% *} & ~netmask & 0xffff))) "
		base="${base#* }"
		part="${part#* }"
		index=$((index + 1))
	done
	# shellcheck disable=SC2086 # eight groups are eight arguments
	address_of $out
	prefix="$address/${2#*/}"
}
V6KIT_FILE
		;;
	usr/lib/v6kit-router/settings.sh)
		cat <<'V6KIT_FILE'
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
V6KIT_FILE
		;;
	usr/lib/v6kit-router/network.sh)
		cat <<'V6KIT_FILE'
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
V6KIT_FILE
		;;
	usr/lib/v6kit-router/wanted.sh)
		cat <<'V6KIT_FILE'
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
V6KIT_FILE
		;;
	usr/lib/v6kit-router/route.sh)
		cat <<'V6KIT_FILE'
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
V6KIT_FILE
		;;
	usr/lib/v6kit-router/firewall.sh)
		cat <<'V6KIT_FILE'
# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# The elements of the sets in table inet fw4. The rules are files of the package that never change; the
# elements lie in memory (/var/run) and the firewall takes them in again whenever it loads.

ELEMENTS="$RUN/elements.nft"
NFT_DIR=/usr/share/nftables.d
NFT_FILES='table-pre chain-post/raw_prerouting chain-pre/forward ruleset-post'
SETS='prefix quiet near lan wan udp'

# Lines of NAME PREFIX REASON: what nft refused since the last apply, so that an event does not try it again.
NFT_REFUSED="$RUN/refused"
# The sections of them, between spaces.
refused_by_nft=' '

refusals_read() {
	local name prefix reason
	refused_by_nft=' '
	[ -f "$NFT_REFUSED" ] || return 0
	while read -r name prefix reason; do
		case "$NEWLINE$wanted" in
		*"$NEWLINE$name $prefix "*)
			refused_by_nft="$refused_by_nft$name "
			leave_out "$name: nft refuses $prefix, which stays tracked ($reason)"
			;;
		esac
	done <"$NFT_REFUSED"
}

# elements_of SET: fills `elements` with what belongs into the set, in nft's spelling, a space between.
elements_of() {
	local name prefix host device
	elements=''
	[ -n "$wanted" ] || return 0
	case "$1" in
	prefix | quiet)
		[ "$1" = prefix ] && [ "$cfg_notrack" = 0 ] && return 0
		[ "$1" = quiet ] && [ "$cfg_ping" = keep ] && return 0
		while read -r name prefix host; do
			[ -n "$name" ] || continue
			# nft shows a /128 as an address.
			case "$refused_by_nft" in *" $name "*) ;; *) elements="$elements${prefix%/128} " ;; esac
		done <<-END
			$wanted
		END
		;;
	near)
		elements="fc00::/7 $lan_prefixes"
		while read -r prefix name; do
			[ -z "$prefix" ] || elements="$elements$prefix "
		done <<-END
			$delegations
		END
		;;
	lan) [ -z "$lan_device" ] || elements="\"$lan_device\"" ;;
	wan)
		for device in $wan_devices; do
			elements="$elements\"$device\" "
		done
		;;
	udp) elements="$cfg_udp_ports" ;;
	esac
	elements="${elements% }"
}

# elements_text: fills `text` with the whole file. Sets are flushed first, so that loading replaces and never
# accumulates.
elements_text() {
	local set element list
	text=''
	for set in $SETS; do
		elements_of "$set"
		list=''
		for element in $elements; do
			list="$list${list:+, }$element"
		done
		text="${text}flush set inet fw4 v6kit_$set$NEWLINE"
		[ -z "$list" ] || text="${text}add element inet fw4 v6kit_$set { $list }$NEWLINE"
	done
}

firewall_present() {
	command -v fw4 >/dev/null
}

# live_elements SET: fills `live` with what the kernel has in the set, a space between. False where the running
# ruleset does not have the set.
live_elements() {
	local listing
	live=''
	listing="$(nft list set inet fw4 "v6kit_$1" 2>/dev/null)" || return 1
	case "$listing" in
	*'elements = {'*)
		listing="${listing#*elements = \{}"
		words_of "${listing%%\}*}"
		live="$words"
		;;
	esac
}

# words_of TEXT: fills `words` with what stands between commas and white space, a space between.
words_of() {
	local IFS=", 	$NEWLINE" word
	words=''
	for word in $1; do
		words="$words${words:+ }$word"
	done
}

# Fills `loaded` besides: whether the running ruleset has our sets.
firewall_differences() {
	local set text wanted_text
	elements_text
	wanted_text="$text"
	text_of "$ELEMENTS"
	if [ -z "$wanted" ]; then
		[ -z "$text" ] || differ "firewall: delete $ELEMENTS"
	elif [ "$text" != "$wanted_text" ]; then
		differ "firewall: write the elements of the sets to $ELEMENTS"
	fi
	loaded=1
	# `near` is not compared: nft merges overlapping elements.
	for set in prefix quiet lan wan udp; do
		if ! live_elements "$set"; then
			loaded=0
			return 0
		fi
		elements_of "$set"
		same_words "$live" "$elements" || differ "firewall: set v6kit_$set to { $elements${elements:+ }}"
	done
}

# Loads the elements and keeps them for the next load of the firewall. Where nft refuses them, each host is
# tried by itself, and those that it refuses are left out by name.
firewall_apply() {
	local text name prefix host
	elements_text
	printf '%s' "$text" >"$ELEMENTS.new" || return 1
	if [ "$loaded" = 1 ] && ! nft -f "$ELEMENTS.new" 2>/dev/null; then
		while read -r name prefix host; do
			[ -z "$name" ] || section_try
		done <<-END
			$wanted
		END
		refusals_read
		elements_text
		printf '%s' "$text" >"$ELEMENTS.new" || return 1
		if ! nft -f "$ELEMENTS.new"; then
			rm -f "$ELEMENTS.new"
			return 1
		fi
	fi
	if [ -n "$wanted" ]; then
		mv "$ELEMENTS.new" "$ELEMENTS"
	else
		rm -f "$ELEMENTS.new" "$ELEMENTS"
	fi
}

# Notes the section in `name` and `prefix` where nft does not take it, with nothing else in the set.
section_try() {
	local reason
	reason="$(nft -c "flush set inet fw4 v6kit_prefix; add element inet fw4 v6kit_prefix { ${prefix%/128} }" 2>&1 </dev/null)" &&
		return 0
	printable "${reason%%"$NEWLINE"*}"
	echo "$name $prefix $shown" >>"$NFT_REFUSED"
}

# Whether the running ruleset has our rules: sets and chains outlive a reload that does not name them any more.
rules_in_place() {
	local chain
	for chain in raw_prerouting forward; do
		case "$(nft list chain inet fw4 "$chain" 2>/dev/null)" in
		*@v6kit_prefix*) ;;
		*) return 1 ;;
		esac
	done
}

# Makes the firewall take in the rules. They are checked together with the rest first, because a ruleset
# that does not load would leave the router without any; ours go where they are at fault.
rules_load() {
	firewall_present || return 0
	if fw4 -q check >/dev/null 2>&1; then
		fw4 -q reload
		return
	fi
	rules_move "$NFT_DIR" "$RUN/off"
	if fw4 -q check >/dev/null 2>&1; then
		complain "the firewall does not load with the rules of v6kit-router: they were taken out again"
		rm -rf "$RUN/off"
		return 1
	fi
	rules_move "$RUN/off" "$NFT_DIR"
	complain "the firewall's own configuration does not load: see \`fw4 check\`"
	return 1
}

# rules_move FROM TO
rules_move() {
	local directory
	for directory in $NFT_FILES; do
		mkdir -p "$2/$directory"
		mv "$1/$directory/v6kit-router.nft" "$2/$directory/v6kit-router.nft" 2>/dev/null
	done
}
V6KIT_FILE
		;;
	usr/lib/v6kit-router/conntrack.sh)
		cat <<'V6KIT_FILE'
# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# The size of the connection table, by RAM, only ever raised. What is not in the prefixes is still tracked.

SYSCTL_FILE=/etc/sysctl.d/12-v6kit-router.conf
CONNTRACK_BEFORE="$RUN/conntrack.before"
PROC_CONNTRACK=/proc/sys/net/netfilter

# memory_read: fills `memory_kib`, nothing when it is not known.
memory_read() {
	local name number
	memory_kib=''
	read -r name number _ 2>/dev/null </proc/meminfo
	[ "$name" != MemTotal: ] || ! is_number "$number" 1 999999999 || memory_kib="$number"
}

# table_read: fills `table_max` and `table_buckets`, nothing for what is not known. `read` would take a byte at a
# time, and files of sysctl give one read only.
table_read() {
	table_max="$(cat "$PROC_CONNTRACK/nf_conntrack_max" 2>/dev/null)"
	is_number "$table_max" 0 999999999 || table_max=''
	table_buckets="$(cat "$PROC_CONNTRACK/nf_conntrack_buckets" 2>/dev/null)"
	is_number "$table_buckets" 0 999999999 || table_buckets=''
}

# An eighth of RAM at 512 bytes an entry (256 bytes, 384 with accounting, and the buckets), rounded up to
# 4096: 32768 on 128 MiB, 65536 on 256 MiB. From 1 GiB on it stays at 262144, as in the kernel.
conntrack_for_memory() {
	memory_read
	table_wanted=''
	[ -n "$memory_kib" ] || return 0
	table_wanted=$((memory_kib / 4))
	[ "$table_wanted" -le 262144 ] || table_wanted=262144
	table_wanted=$(((table_wanted + 4095) / 4096 * 4096))
}

# conntrack_wanted: fills `table_wanted`, the size that the settings ask for, nothing where it is to be left alone.
conntrack_wanted() {
	table_wanted=''
	[ "$cfg_enabled" = 1 ] || return 0
	case "$cfg_conntrack" in
	keep) ;;
	auto) conntrack_for_memory ;;
	*) table_wanted="$cfg_conntrack" ;;
	esac
}

# conntrack_elsewhere: fills `table_elsewhere`, the largest size that another file of the administrator sets at
# boot, or 0.
conntrack_elsewhere() {
	local file name number
	table_elsewhere=0
	for file in /etc/sysctl.conf /etc/sysctl.d/*.conf; do
		if [ "$file" = "$SYSCTL_FILE" ] || [ ! -f "$file" ]; then
			continue
		fi
		while IFS=' 	=' read -r name number || [ -n "$name" ]; do
			case "$name" in
			net[./]netfilter[./]nf_conntrack_max | net[./]nf_conntrack_max) ;;
			*) continue ;;
			esac
			number="${number%"${number##*[0-9]}"}"
			if is_number "$number" 0 999999999 && [ "$number" -gt "$table_elsewhere" ]; then
				table_elsewhere="$number"
			fi
		done <"$file"
	done
}

# sysctl_file_wanted: fills `sysctl_text` with what the file should hold; nothing where it should not be there:
# the table is to be left alone, or is as large already without our doing.
sysctl_file_wanted() {
	sysctl_text=''
	if [ -z "$table_wanted" ] || [ -z "$table_max" ]; then
		return 0
	fi
	conntrack_elsewhere
	[ "$table_elsewhere" -lt "$table_wanted" ] || return 0
	if [ "$table_max" -ge "$table_wanted" ] && [ ! -f "$SYSCTL_FILE" ] && [ ! -f "$CONNTRACK_BEFORE" ]; then
		return 0
	fi
	sysctl_text="# Written by v6kit-router: see 'conntrack' in $CONFIG.
net.netfilter.nf_conntrack_max=$table_wanted
net.netfilter.nf_conntrack_buckets=$table_wanted
"
}

conntrack_differences() {
	local text
	conntrack_wanted
	table_max='' table_buckets=''
	[ -z "$table_wanted" ] || table_read
	sysctl_file_wanted
	text_of "$SYSCTL_FILE"
	if [ "$text" != "$sysctl_text" ]; then
		if [ -n "$sysctl_text" ]; then
			differ "conntrack: write $SYSCTL_FILE"
		else
			differ "conntrack: delete $SYSCTL_FILE"
		fi
	fi
	if [ -z "$table_wanted" ]; then
		[ ! -f "$CONNTRACK_BEFORE" ] || differ "conntrack: put the former sizes back"
		return 0
	fi
	is_larger "$table_max" || differ "conntrack: raise nf_conntrack_max from $table_max to $table_wanted"
	is_larger "$table_buckets" || differ "conntrack: raise nf_conntrack_buckets from $table_buckets to $table_wanted"
}

# is_larger NOW: whether the size is large enough, or not known.
is_larger() {
	[ -z "$1" ] || [ "$1" -ge "$table_wanted" ]
}

conntrack_apply() {
	local text result=0
	text_of "$SYSCTL_FILE"
	if [ -z "$sysctl_text" ]; then
		rm -f "$SYSCTL_FILE"
	elif [ "$text" != "$sysctl_text" ]; then
		mkdir -p "${SYSCTL_FILE%/*}"
		printf '%s' "$sysctl_text" >"$SYSCTL_FILE" || result=1
	fi
	if [ -z "$table_wanted" ]; then
		conntrack_restore
	else
		conntrack_raise nf_conntrack_max "$table_max" || result=1
		conntrack_raise nf_conntrack_buckets "$table_buckets" || result=1
	fi
	return "$result"
}

# conntrack_raise NAME NOW: notes what was there before it is raised for the first time.
conntrack_raise() {
	! is_larger "$2" || return 0
	grep -qs "^$1 " "$CONNTRACK_BEFORE" || echo "$1 $2 $table_wanted" >>"$CONNTRACK_BEFORE"
	{ echo "$table_wanted" >"$PROC_CONNTRACK/$1"; } 2>/dev/null
}

# Puts back what was there before, where nobody has changed it since.
conntrack_restore() {
	local name before raised
	[ -f "$CONNTRACK_BEFORE" ] || return 0
	while read -r name before raised; do
		if [ "$(cat "$PROC_CONNTRACK/$name" 2>/dev/null)" = "$raised" ]; then
			{ echo "$before" >"$PROC_CONNTRACK/$name"; } 2>/dev/null
		fi
	done <"$CONNTRACK_BEFORE"
	rm -f "$CONNTRACK_BEFORE"
}
V6KIT_FILE
		;;
	usr/lib/v6kit-router/differences.sh)
		cat <<'V6KIT_FILE'
# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2154,SC2034 # variables are shared with the other files
# What differs from what is wanted.

# differences_read: fills `changes`, one sentence a line, and `served_changed`.
differences_read() {
	changes='' served_changed=0
	route_differences
	firewall_differences
	conntrack_differences
	changes="${changes%?}"
}

differ() {
	changes="$changes$1$NEWLINE"
}

# text_of FILE: fills `text` with its lines, nothing when it is not there.
text_of() {
	local line
	text=''
	[ -f "$1" ] || return 0
	while IFS= read -r line || [ -n "$line" ]; do
		text="$text$line$NEWLINE"
	done <"$1"
}

# lines_without LINES KNOWN: fills `lines` with those of LINES that are not among KNOWN.
lines_without() {
	local line
	lines=''
	while IFS= read -r line; do
		case "$NEWLINE$2$NEWLINE" in
		*"$NEWLINE$line$NEWLINE"*) ;;
		*) [ -z "$line" ] || lines="$lines${lines:+$NEWLINE}$line" ;;
		esac
	done <<-END
		$1
	END
}

# label_lines LABEL LINES: fills `lines` with LINES, the label in front of each.
label_lines() {
	local line
	lines=''
	while IFS= read -r line; do
		[ -z "$line" ] || lines="$lines${lines:+$NEWLINE}$1$line"
	done <<-END
		$2
	END
}

# prefixed LABEL LINES
prefixed() {
	local lines
	label_lines "$1" "$2"
	[ -z "$lines" ] || printf '%s\n' "$lines"
}
V6KIT_FILE
		;;
	usr/lib/v6kit-router/report.sh)
		cat <<'V6KIT_FILE'
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
V6KIT_FILE
		;;
	usr/sbin/v6kit-router)
		cat <<'V6KIT_FILE'
#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
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
# What the last event left to be said, so that it is logged once.
SAID="$RUN/said"

# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/values.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/settings.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/network.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/wanted.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/route.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/firewall.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/conntrack.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/differences.sh"
# shellcheck source-path=SCRIPTDIR/../lib/v6kit-router
. "$LIB/report.sh"

usage() {
	cat <<-END
		usage: v6kit-router COMMAND
		  plan       say what apply would change, and change nothing
		  apply      make the route, the firewall and the table sizes what /etc/config/v6kit-router asks for
		  status     say what there is         (--json: as JSON)
		  check      like status; exit 1 when something differs from the settings
		  remove     undo everything and switch the service off (--keep-settings: but for the settings)
	END
}

# Where it is told what happens: `terminal`, `log`, or `both` (errors to both).
told=terminal
# Lines that have been told already.
said=''

# logged PRIORITY LINES
logged() {
	printf '%s\n' "$2" | logger -t v6kit-router -p "daemon.$1"
}

say() {
	lines_without "$1" "$said"
	[ -n "$lines" ] || return 0
	if [ "$told" = terminal ]; then
		printf '%s\n' "$lines"
	else
		logged notice "$lines"
	fi
}

complain() {
	lines_without "$1" "$said"
	[ -n "$lines" ] || return 0
	[ "$told" = terminal ] || logged err "$lines"
	[ "$told" = log ] || prefixed 'v6kit-router: ' "$lines" >&2
}

# Reads settings and network.
look() {
	settings_read
	network_read
	wanted_read
}

stop_if_refused() {
	[ -z "$refused" ] && return 0
	complain "${refused%?}"
	complain "nothing was changed: correct $CONFIG"
	exit 2
}

one_at_a_time() {
	[ -d "$RUN" ] || mkdir -p "$RUN" || exit 1
	[ -d "${LOCK%/*}" ] || mkdir -p "${LOCK%/*}" || exit 1
	exec 9>"$LOCK" && flock 9 || exit 1
}

# Changes what differs and says so; with nothing to change nothing is written anywhere.
bring_about() {
	local wished result=0
	differences_read
	[ "$served_changed" = 0 ] || served_write || result=1
	if [ -z "$changes" ]; then
		[ "$told" != terminal ] || say 'nothing to change'
		return "$result"
	fi
	wished="$changes"
	case "$changes" in *route:*) route_apply || result=1 ;; esac
	case "$changes" in *firewall:*) firewall_apply || result=1 ;; esac
	case "$changes" in *conntrack:*) conntrack_apply || result=1 ;; esac
	say "$wished"
	differences_read
	[ -z "$changes" ] && return "$result"
	label_lines 'still to do: ' "$changes"
	complain "$lines"
	return 1
}

# What is not done, and why.
tell_rest() {
	label_lines 'waiting: ' "$waiting"
	say "$lines"
	label_lines 'refused: ' "$left_out"
	complain "$lines"
}

run_plan() {
	look
	stop_if_refused
	differences_read
	say "${changes:-nothing to change}"
	tell_rest
	[ -z "$left_out" ] || exit 2
}

run_apply() {
	local result=0
	one_at_a_time
	rm -f "$NFT_REFUSED"
	look
	stop_if_refused
	rm -f "$STOPPED"
	former_routes_undo
	bring_about || result=1
	tell_rest
	[ -z "$left_out" ] || return 2
	return "$result"
}

# An event of netifd: not a word and not a write where nothing is new.
run_event() {
	local text now
	[ ! -e "$STOPPED" ] || return 0
	told=log
	settings_read
	if [ -z "$refused" ]; then
		[ "$cfg_enabled" = 1 ] || return 0
		is_one_of "$1" "$cfg_lan" "$cfg_wan" || [ "$cfg_wan" = auto ] || return 0
	fi
	one_at_a_time
	text_of "$SAID"
	said="$text" changes=''
	if [ -z "$refused" ]; then
		network_read
		wanted_read
		bring_about
		tell_rest
	else
		complain "${refused%?}"
		waiting='' left_out="$refused"
	fi
	label_lines 'waiting: ' "$waiting"
	now="$lines$NEWLINE$refused"
	label_lines 'refused: ' "$left_out"
	now="$now$lines$NEWLINE$changes$NEWLINE"
	label_lines 'still to do: ' "$changes"
	now="$now$lines$NEWLINE"
	[ "$said" = "$now" ] || printf '%s' "$now" >"$SAID"
	[ -z "$refused$left_out" ] || exit 2
}

# Nothing is wanted any more, whatever the settings say: they may be what cannot be read.
want_nothing() {
	refused='' left_out='' sections='' wanted='' wan_devices='' lan_device=''
	cfg_enabled=0
}

# Takes routes and elements out of service and keeps every setting and file.
run_withdraw() {
	one_at_a_time
	: >"$STOPPED"
	former_routes_undo
	want_nothing
	differences_read
	served_write
	route_apply
	firewall_apply
	return 0
}

# run_status FORM
run_status() {
	look
	differences_read
	if [ "$1" = json ]; then
		status_json "$changes"
	else
		status_text
	fi
}

# run_check FORM
run_check() {
	run_status "$1"
	[ "$1" = json ] || prefixed 'differs: ' "$changes"
	[ -z "$changes$problems" ]
}

# run_remove KEEP-SETTINGS
run_remove() {
	local result=0
	one_at_a_time
	former_routes_undo
	want_nothing
	bring_about || result=1
	if [ "$1" = 0 ] && [ "$(uci -q get v6kit-router.main.enabled)" = 1 ]; then
		uci set v6kit-router.main.enabled=0 && uci commit v6kit-router || result=1
	fi
	rm -rf "$RUN"
	return "$result"
}

command="${1-}"
[ $# -eq 0 ] || shift
form=text
event=''
keep_settings=0
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
	--log) told=both ;;
	--keep-settings) keep_settings=1 ;;
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
remove) run_remove "$keep_settings" ;;
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
# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2034 # rc.common reads the variables
# Puts the route, the firewall's elements and the table sizes in place, and takes them out of service.

# After firewall (19) and network (20).
START=95
USE_PROCD=1

result=0

start_service() {
	/usr/sbin/v6kit-router apply --log
	result=$?
}

# What `start` ends with: rc.common leaves out what start_service returns.
service_started() {
	return "$result"
}

# A reload that fails is followed by a restart.
reload_service() {
	/usr/sbin/v6kit-router apply --log
}

# What differs is changed in place: nothing is taken out of service on the way, least of all for settings that
# are then refused.
restart() {
	start "$@"
}

# Runs on upgrades as well: nothing that is configured may be lost here.
stop_service() {
	/usr/sbin/v6kit-router withdraw --log
}

status_service() {
	/usr/sbin/v6kit-router check
}

# Of the settings. Interfaces are followed by hotplug.d/iface: procd tells of `up` and `down`, netifd of a
# delegated prefix that changes.
service_triggers() {
	procd_add_reload_trigger v6kit-router
}
V6KIT_FILE
		;;
	etc/hotplug.d/iface/90-v6kit-router)
		cat <<'V6KIT_FILE'
# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash disable=SC2154 # hotplug sets ACTION and INTERFACE
# Sourced by hotplug: no exit here, and every variable is everybody's.
# A delegated prefix that changes is announced by ACTION=ifupdate of the WAN alone. The same event comes
# with every renewal, so that what it starts must do nothing when nothing is new.
case "$ACTION" in
ifup | ifupdate)
	# What `service v6kit-router enabled` looks at, without its processes.
	if [ "$INTERFACE" != loopback ] && [ -e /etc/rc.d/S95v6kit-router ]; then
		/usr/sbin/v6kit-router event "$INTERFACE"
	fi
	;;
esac
V6KIT_FILE
		;;
	usr/share/nftables.d/table-pre/v6kit-router.nft)
		cat <<'V6KIT_FILE'
# SPDX-License-Identifier: MIT OR Apache-2.0
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
# SPDX-License-Identifier: MIT OR Apache-2.0
iifname @v6kit_lan ip6 saddr @v6kit_prefix ip6 daddr != @v6kit_near meta l4proto tcp fib daddr type != local notrack comment "v6kit: out"
iifname @v6kit_lan ip6 saddr @v6kit_prefix ip6 daddr != @v6kit_near udp dport @v6kit_udp fib daddr type != local notrack comment "v6kit: out"
iifname @v6kit_wan ip6 daddr @v6kit_prefix ip6 saddr != @v6kit_near meta l4proto tcp notrack comment "v6kit: in"
iifname @v6kit_wan ip6 daddr @v6kit_prefix ip6 saddr != @v6kit_near udp sport @v6kit_udp notrack comment "v6kit: in"
V6KIT_FILE
		;;
	usr/share/nftables.d/chain-pre/forward/v6kit-router.nft)
		cat <<'V6KIT_FILE'
# SPDX-License-Identifier: MIT OR Apache-2.0
iifname @v6kit_wan oifname @v6kit_lan ip6 daddr @v6kit_prefix jump v6kit_inbound comment "v6kit: in"
V6KIT_FILE
		;;
	usr/share/nftables.d/ruleset-post/v6kit-router.nft)
		cat <<'V6KIT_FILE'
# SPDX-License-Identifier: MIT OR Apache-2.0
# The wildcard makes a missing file no error.
include "/var/run/v6kit-router/*.nft"
V6KIT_FILE
		;;
	esac
}

main "$@"
