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
