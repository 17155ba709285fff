# shellcheck shell=bash
TABLE=v6kit_2001_db8_1___64
$EVERYTHING >/dev/null
drift() { ends 1 $V6KIT status --json >"$T/log/status"; jq -e --arg id "$1" --arg said "$2" '.steps[] | select(.id == $id and .state != "in-order") | (.found // "missing") | contains($said)' "$T/log/status" >/dev/null || fail "$(cat "$T/log/status")"; }
mended() {
    $EVERYTHING >/dev/null
    $V6KIT status >/dev/null
    seen 3 --interface $ULA "http://[$FAR]/" >"$T/log/seen"
    same "$(outside $P <"$T/log/seen")" 0
}
nft flush ruleset
drift rotation missing
mended
# The rules are there, and nothing is found in the map.
nft flush map ip6 $TABLE sources
drift rotation 'not those of setup'
mended
nft flush chain ip6 $TABLE out
drift rotation 'not those of setup'
mended
# Somebody who is faster.
nft -f - <<'RULES'
table ip6 early {
    chain post { type nat hook postrouting priority srcnat - 20; oifname "up0" jump each; }
    chain each { masquerade; }
}
RULES
seen 1 --interface $ULA "http://[$FAR]/" >"$T/log/seen"
same "$(cat "$T/log/seen")" $OWN
drift rotation 'ip6 early post (priority 80) translates sources before'
ends 1 $EVERYTHING --json >"$T/log/report"
jq -e '.steps[] | select(.id == "rotation") | .state == "conflict" and (.hint | contains("nft list chain ip6 early post"))' "$T/log/report"
nft delete table ip6 early
mended
# Forwarding was switched off.
sysctl -qw net.ipv6.conf.all.forwarding=0
drift forwarding 0
sysctl -qw net.ipv6.conf.all.forwarding=1
# A chain that lets nothing pass by itself is told, and nothing is claimed of it.
nft -f - <<'RULES'
table ip6 filter {
    chain FORWARD { type filter hook forward priority filter; policy drop; iifname "vm0" accept; oifname "vm0" accept; }
}
RULES
$V6KIT status --json | jq -e '.in_order and (.remarks | any(contains("ip6 filter FORWARD drops what passes this host unless")))'
mended
# Another subnet on the link of the uplink.
ip addr add 2001:db8:cccc::2/64 dev up0 nodad
drift rotation '2001:db8:cccc::/64 is on the link of up0 now'
mended
