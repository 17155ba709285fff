# shellcheck shell=bash disable=SC2034,SC2086,SC2154
ends 125 $V6KIT setup --no-verify -- true </dev/null 2>"$T/log/err"
has "where all of 2001:db8:ffff::/64 is yours: .* setup --prefix 2001:db8:ffff::/64 --dev up0 -- true" <"$T/log/err"
ip -6 route add unreachable $P2 dev lo
snapshot >"$T/log/before"
$V6KIT setup --no-verify --plain -- sh -c 'ip -6 route show table all proto 86' >"$T/log/out" 2>"$T/log/err"
has "$P2" <"$T/log/out"
gone 'what is routed'
ip -6 route add unreachable $P dev lo
ends 125 $V6KIT setup --no-verify -- true >"$T/log/out" 2>"$T/log/err"
same "$(cat "$T/log/out")" ''
has "$P " <"$T/log/err"
has "$P2 " <"$T/log/err"
ends 2 $V6KIT setup >"$T/log/out" 2>"$T/log/err"
has "^up0 .*$P2 .*routed to this host" <"$T/log/out"
(ends 2 $V6KIT setup --json 2>/dev/null) | jq -e '[.prefixes[].looks] == ["routed", "routed", "on-link"]'
