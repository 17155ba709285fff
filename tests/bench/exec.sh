#!/usr/bin/env bash
# Microseconds of wall time for a connection and for a sendmsg(2), beside the plain call, and for a connection through
# `v6kit proxy` as proxychains-ng makes it.
#
#   tests/bench/exec.sh    N=2000 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
need gcc proxychains4 jq
enter_namespace "$@"
ip -6 addr add 2001:db8:8::1/128 dev lo nodad
gcc -O2 -o "$work/calls" "$repository/tests/bench/exec.c"
coproc SERVER { exec "$work/calls" serve; }
read -r _ <&"${SERVER[0]}"
n=${N:-2000}

# The best of five.
best() { # command...
    local _
    for _ in 1 2 3 4 5; do "$@" 2>/dev/null; done | sort -n | head -n 1
}

row "microseconds each" "" "ratio"
for what in connect unix udp; do
    plain=$(best "$work/calls" "$what" "$n")
    row "$what, plain" "$plain" 1.00
    through=$(best "$v6kit" exec -q --prefix 2001:db8:7::/64 -- "$work/calls" "$what" "$n")
    row "$what, v6kit exec" "$through" "$(ratio "$through" "$plain")"
    [[ $what != connect ]] || of_connect=$plain
done

mkfifo "$work/ready"
"$v6kit" proxy --json --prefix 2001:db8:7::/64 --listen 127.0.0.1:0 --allow-destination 2001:db8:8::/64 >"$work/ready" 2>"$work/err" &
read -r ready <"$work/ready"
at=$(jq -r '.listening[0]' <<<"$ready")
printf 'strict_chain\n[ProxyList]\nsocks5 %s\n' "${at/:/ }" >"$work/chains"
chained=$(best proxychains4 -q -f "$work/chains" "$work/calls" connect "$n")
row "connect, proxychains-ng and v6kit proxy" "$chained" "$(ratio "$chained" "$of_connect")"
