# shellcheck shell=bash
three() { from "$@" -- sh -c 'for i in 1 2 3; do curl -sS -g "$V6KIT_LAB_TARGET"; done' 2>/dev/null; }
distinct() { sort -u <<<"$1" | wc -l; }
rotates 3 "$(three)"
is "$(distinct "$(three --per host)")" 1
is "$(distinct "$(three --per process)")" 3
is "$(distinct "$(three --per 2)")" 2
is "$(distinct "$(three --per 1h)")" 1
# A process of several connections.
one=$(from --per process -- curl -sS -g "$V6KIT_LAB_TARGET" "http://[2001:db8:80::80]:80/?2" -H 'Connection: close')
is "$(distinct "$one")" 1
# The same in another run, and another for another name.
export HOME=$T XDG_STATE_HOME=$T/kept
first=$(three --session a); second=$(three --session a); other=$(three --session b)
is "$second" "$first"; is "$(distinct "$first")" 1
[ "$other" != "$first" ]
is "$(stat -c %a "$T/kept/v6kit/session-key")" 600
host=$(three --session a --per host)
is "$(three --session a --per host)" "$host"
# Both prefixes, in turn.
ip -6 route add local 2001:db8:7::/64 dev lo
from --prefix 2001:db8:7::/64 --log "$T/log" -- sh -c 'for i in 1 2 3 4; do curl -sS -m 1 -g "$V6KIT_LAB_TARGET"; done' \
    >/dev/null 2>&1 || true
is "$(jq -r .from "$T/log" | cut -d: -f1-3 | sort | uniq -c | tr -s ' ' | tr '\n' ',')" \
    " 2 2001:db8:6, 2 2001:db8:7,"
