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
