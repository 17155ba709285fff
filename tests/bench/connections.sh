#!/usr/bin/env bash
# CPU per request where each has a connection and a source address of its own: v6kit with everything on beside
# the same loop in bare tokio (bare_connect.rs).
#
#   tests/bench/connections.sh    RUNS=5 REQUESTS=40000 CONNECTIONS=64 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
build_example v6kit-crawl bare-connect
enter_namespace "$@"
need jq
start_nginx

runs=${RUNS:-5}
requests=${REQUESTS:-40000}
connections=${CONNECTIONS:-64}
# Every connection leaves its address in TIME_WAIT for a minute.
echo 400000 > /proc/sys/net/ipv4/tcp_max_tw_buckets

bare() {
    local used
    used=$(cpu "$repository/target/release/examples/bare-connect" '[::1]:8080' 2001:db8:7:: "$requests" "$connections")
    per_request "$used" "$requests" >> "$work/bare"
}

ours() { crawl_all http://[::1]:8080 "$requests" -c "$connections" --http 1 --requests-per-address 1; }

for run in $(seq "$runs"); do
    # Whoever comes second finds the connections of the first in the kernel's tables.
    if ((run % 2)); then bare; ours; else ours; bare; fi
done

compare "a connection and an address per request, $connections at a time, $runs runs" "bare tokio" "$work/bare"
