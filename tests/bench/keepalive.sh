#!/usr/bin/env bash
# CPU per request over kept-alive HTTP/1.1 connections: v6kit with everything on (pace, source addresses,
# judging, records, compression, ledger) beside wrk, which does none of it.
#
#   tests/bench/keepalive.sh [http|https] [OPTION...]    RUNS=5 SECONDS_EACH=5 CONNECTIONS=80 BODY=320 V6KIT=target/release/v6kit
#
# OPTIONs are those of crawl. With REPEAT=1 it asks for one URL, as wrk does.
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need wrk jq
ulimit -n "$(ulimit -Hn)"
start_nginx

scheme=${1:-http}
shift || true
runs=${RUNS:-5}
seconds=${SECONDS_EACH:-5}
connections=${CONNECTIONS:-80}
repeat=${REPEAT:-}
if [[ $scheme == https ]]; then url=https://[::1]:8443; else url=http://[::1]:8080; fi

for _ in $(seq "$runs"); do
    wrk_all "$url" "$seconds" "$connections"
    crawl_all "$url" "$requests" -c "$connections" --http 1 --requests-per-address 1000 "$@"
    same_bytes
done

compare "$scheme keep-alive, $connections connections, bodies of ${BODY:-320}, $* $runs runs" "wrk 4.1" "$work/wrk"
paste "$work/v6kit" "$work/wrk" | awk '{ printf "%.2f\n", $1 / $2 }' > "$work/ratios"
echo "ratios of the runs: $(range "$work/ratios")"
