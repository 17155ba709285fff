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
