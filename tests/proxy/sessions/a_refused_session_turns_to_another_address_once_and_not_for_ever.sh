# shellcheck shell=bash
# As it was asked for by nobody.
proxy --session-key "$T/key"
first=$(ask a-session-1 "$url/")
is "$(ask a-session-1 "$url/never" "$url/never" "$url/" | sort -u)" "$first"
stop
# Fifty refusals at once are one turn.
proxy --session-key "$T/key" --on-refusal rotate
is "$(ask a-session-1 "$url/")" "$first"
many=()
for n in {1..50}; do many+=("$url/once?$n"); done
ask a-session-1 --parallel --parallel-immediate --parallel-max 50 -o /dev/null -w '%{http_code}\n' "${many[@]}" 2>/dev/null >"$T/codes" || true
is "$(grep -cx 429 "$T/codes")" 50
second=$(ask a-session-1 "$url/once?again")
[ "$second" != "$first" ]
is "$(ask a-session-1 "$url/" "$url/" | sort -u)" "$second"
# Another session never noticed.
other=$(ask a-session-2 "$url/")
stop
proxy --session-key "$T/key" --on-refusal rotate
is "$(ask a-session-2 "$url/")" "$other"
# One refusal is the same turn.
is "$(ask a-session-1 "$url/never")" "$first"
is "$(ask a-session-1 "$url/")" "$second"
stop
# What is refused to everybody is not asked for from ever more addresses; the connection of a refused address serves no more.
proxy --on-refusal rotate --threads 2
seen=$(for _ in {1..40}; do ask a-session-9 "$url/never"; done | sort -u | wc -l)
is "$seen" 11
