#!/usr/bin/env bash
# Ten million requests in one go at a concurrency of 1000: none lost, and the memory stays flat.
#
#   tests/bench/flat.sh [http|https]    REQUESTS=10000000 CONCURRENCY=1000 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need jq
start_nginx

requests=${REQUESTS:-10000000}
if [[ ${1:-http} == https ]]; then url=https://[::1]:8443; else url=http://[::1]:8080; fi
ulimit -n "$(ulimit -Hn)"
taskset -c "$client_core" /usr/bin/time -o "$work/time" -f '%M' "$v6kit" crawl \
    "$url/items/{1..$requests}" -o "$work/job" --prefix 2001:db8:7::/64 -r max \
    -c "${CONCURRENCY:-1000}" --threads 2 --requests-per-address 1000 --http 1 --cacert "$work/cert.pem" --json --stats-interval 10s > "$work/out" \
    2> "$work/progress"
jq -c '{requests, ok, left, complete, rate, cpu_seconds, bytes_stored}' "$work/out"
echo "largest memory: $(($(cat "$work/time") / 1024)) MiB"
[[ $(jq .ok "$work/out") == "$requests" && $(zstdcat "$work"/job/*.zst | wc -l) == "$requests" ]]
