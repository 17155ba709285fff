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
