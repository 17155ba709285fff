#!/usr/bin/env bash
# CPU per request over kept-alive HTTP/1.1 connections: v6kit with everything on (pace, source addresses,
# judging, records, compression, ledger) beside wrk, which does none of it.
#
#   tests/bench/keepalive.sh [http|https]    RUNS=5 SECONDS_EACH=5 CONNECTIONS=64 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need wrk jq
start_nginx

scheme=${1:-http}
runs=${RUNS:-5}
seconds=${SECONDS_EACH:-5}
connections=${CONNECTIONS:-64}
if [[ $scheme == https ]]; then url=https://[::1]:8443; else url=http://[::1]:8080; fi

for _ in $(seq "$runs"); do
    used=$(cpu wrk -t1 -c"$connections" -d"${seconds}s" "$url/items/1")
    requests=$(awk '/requests in/ { print $1 }' "$work/out")
    per_request "$used" "$requests" >> "$work/wrk"
    crawl_all "$url" "$requests" -c "$connections" --http 1 --requests-per-address 1000
done

compare "$scheme keep-alive, $connections connections, $runs runs" "wrk 4.1" "$work/wrk"
