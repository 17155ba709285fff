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
ip -6 route add local 2001:db8:7::/64 dev lo

for run in $(seq "$runs"); do
    used=$(cpu h2load -t1 -c8 -m10 -n"$requests" "$url/items/1")
    per_request "$used" "$requests" >> "$work/h2load"

    rm -rf "$work/job"
    used=$(cpu "$v6kit" crawl "$url/items/{1..$requests}" -o "$work/job" --prefix 2001:db8:7::/64 -r 1000000/s \
        -c 80 --streams 10 --threads 1 --http 2 --requests-per-address 100000 --cacert "$work/cert.pem" --json)
    [[ $(jq .ok "$work/out") == "$requests" ]]
    per_request "$used" "$requests" >> "$work/v6kit"
    jq -c '{rate, connections, addresses, bytes_stored}' "$work/out" >> "$work/notes"
done

peer=$(median < "$work/h2load")
ours=$(median < "$work/v6kit")
row "HTTPS HTTP/2, 8 connections x 10 streams, $runs runs" "us/request" "ratio"
row "h2load" "$peer" "1.00"
row "v6kit crawl" "$ours" "$(ratio "$ours" "$peer")"
tail -1 "$work/notes"
