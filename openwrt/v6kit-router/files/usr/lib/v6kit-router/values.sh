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
