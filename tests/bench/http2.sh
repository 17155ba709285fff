#!/usr/bin/env bash
# CPU per request over HTTPS with HTTP/2, 8 connections of 10 streams: v6kit with everything on beside h2load.
#
#   tests/bench/http2.sh    RUNS=5 REQUESTS=200000 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need h2load jq
start_nginx

runs=${RUNS:-5}
requests=${REQUESTS:-200000}
url=https://[::1]:8443

for _ in $(seq "$runs"); do
    used=$(cpu h2load -t1 -c8 -m10 -n"$requests" "$url/items/1")
    per_request "$used" "$requests" >> "$work/h2load"
    crawl_all "$url" "$requests" -c 80 --streams 10 --http 2 --requests-per-address 100000
done

compare "HTTPS HTTP/2, 8 connections x 10 streams, $runs runs" h2load "$work/h2load"
