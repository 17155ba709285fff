#!/usr/bin/env bash
# Ten million requests in one go at a concurrency of 1000: none lost, and the memory stays flat.
#
#   tests/bench/flat.sh    REQUESTS=10000000 CONCURRENCY=1000 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need jq
start_nginx

requests=${REQUESTS:-10000000}
ulimit -n "$(ulimit -Hn)"
taskset -c "$client_core" /usr/bin/time -o "$work/time" -f '%M' "$v6kit" crawl \
    "http://[::1]:8080/items/{1..$requests}" -o "$work/job" --prefix 2001:db8:7::/64 -r max \
    -c "${CONCURRENCY:-1000}" --threads 2 --requests-per-address 1000 --json --stats-interval 10s > "$work/out" \
    2> "$work/progress"
jq -c '{requests, ok, left, complete, rate, cpu_seconds, bytes_stored}' "$work/out"
echo "largest memory: $(($(cat "$work/time") / 1024)) MiB"
[[ $(jq .ok "$work/out") == "$requests" && $(zstdcat "$work"/job/*.zst | wc -l) == "$requests" ]]
