#!/usr/bin/env bash
# CPU per request over kept-alive HTTP/1.1 connections: v6kit with everything on (pace, source addresses,
# judging, records, compression, ledger) beside wrk, which does none of it.
#
#   tests/bench/keepalive.sh [http|https]    RUNS=5 SECONDS_EACH=5 CONNECTIONS=64 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need wrk
start_nginx

scheme=${1:-http}
runs=${RUNS:-5}
seconds=${SECONDS_EACH:-5}
connections=${CONNECTIONS:-64}
if [[ $scheme == https ]]; then url=https://[::1]:8443; else url=http://[::1]:8080; fi
# Replies to any address of the prefix come back.
ip -6 route add local 2001:db8:7::/64 dev lo

for run in $(seq "$runs"); do
    used=$(cpu wrk -t1 -c"$connections" -d"${seconds}s" "$url/items/1")
    requests=$(awk '/requests in/ { print $1 }' "$work/out")
    per_request "$used" "$requests" >> "$work/wrk"

    rm -rf "$work/job"
    used=$(cpu "$v6kit" crawl "$url/items/{1..$requests}" -o "$work/job" --prefix 2001:db8:7::/64 -r 1000000/s \
        -c "$connections" --threads 1 --http 1 --requests-per-address 1000 --cacert "$work/cert.pem" --json)
    [[ $(jq .ok "$work/out") == "$requests" ]]
    per_request "$used" "$requests" >> "$work/v6kit"
    jq -c '{rate, connections, addresses, bytes_stored}' "$work/out" >> "$work/notes"
done

wrk=$(median < "$work/wrk")
ours=$(median < "$work/v6kit")
row "$scheme keep-alive, $connections connections, $runs runs" "us/request" "ratio"
row "wrk 4.1" "$wrk" "1.00"
row "v6kit crawl" "$ours" "$(ratio "$ours" "$wrk")"
tail -1 "$work/notes"
