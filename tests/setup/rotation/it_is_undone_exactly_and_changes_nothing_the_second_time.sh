# shellcheck shell=bash
snapshot >"$T/log/before"
$EVERYTHING --dry-run --json >"$T/log/plan"
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
jq -e '.steps[] | select(.id == "rotation") | .state == "changed" and (.reason | contains("65536 addresses"))' "$T/log/plan"
$EVERYTHING --json >"$T/log/report"
$V6KIT status --json >"$T/log/status"
jq -e '.in_order and any(.steps[]; .id == "rotation")' "$T/log/status"
nft -j list map ip6 "$(nft list tables ip6 | sed -n 's/^table ip6 \(v6kit_.*\)$/\1/p')" sources | sha256sum >"$T/log/map"
same "$($EVERYTHING --json | jq .changed)" 0
# Other wishes change the rules and keep the map.
same "$($EVERYTHING --from fd00:a::/64 --json | jq -r '[.steps[] | select(.state == "changed").id] | join(" ")')" rotation
nft -j list map ip6 "$(nft list tables ip6 | sed -n 's/^table ip6 \(v6kit_.*\)$/\1/p')" sources | sha256sum | diff "$T/log/map" -
# Another prefix beside it, and gone again.
$V6KIT setup --prefix $P2 --dev up0 --for everything --from fd00:b::/64
same "$(nft list tables ip6 | grep -c v6kit_)" 2
$V6KIT teardown --prefix $P2
$V6KIT status
seen 3 --interface $ULA "http://[$FAR]/" >"$T/log/seen"
same "$(outside $P <"$T/log/seen")" 0
# A setup for something else lets it go.
$SETUP
same "$(nft list tables ip6 | grep -c v6kit_)" 0
$EVERYTHING
$V6KIT teardown
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
