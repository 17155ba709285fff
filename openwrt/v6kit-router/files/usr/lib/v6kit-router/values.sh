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
