#!/usr/bin/env bash
# CPU per request at the default rate, 150/s: v6kit beside curl, which keeps one connection.
#
#   tests/bench/rate.sh    REQUESTS=1500 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need curl jq
start_nginx
requests=${REQUESTS:-1500}

used=$(cpu curl --silent --show-error --fail --rate 150/s --output /dev/null "http://[::1]:8080/items/[1-$requests]")
per_request "$used" "$requests" > "$work/curl"
used=$(cpu "$v6kit" crawl "http://[::1]:8080/items/{1..$requests}" -o "$work/job" --prefix 2001:db8:7::/64 --threads 1 --keep-free 0 --json)
[[ $(jq .ok "$work/out") == "$requests" ]] || fail "items were lost: $(cat "$work/out")"
per_request "$used" "$requests" > "$work/v6kit"
jq -c '{requests, rate, connections, addresses, bytes_stored}' "$work/out" > "$work/notes"
compare "150 requests per second, $requests of them" curl "$work/curl"
