#!/usr/bin/env bash
# A crawl that is killed 50 times, each time some milliseconds after it has stored a random amount more: none lost, none
# twice, nothing damaged, in each format.
#
#   tests/scale/kills.sh    KILLS=50 ITEMS=1000000 SEED=1 V6KIT=target/release/v6kit
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../bench/common.sh
source "$(dirname "$0")/../bench/common.sh"
enter_namespace "$@"
need jq
start_nginx
mkfifo "$work/never"

kills=${KILLS:-50}
items=${ITEMS:-1000000}
RANDOM=${SEED:=$RANDOM}
echo "SEED=$SEED"

crawl() { # format, options
    local format=$1
    shift
    exec "$v6kit" crawl "http://[::1]:8080/items/{1..$items}" -o "$work/$format" --prefix 2001:db8:7::/64 \
        --format "$format" --commit-every 50ms --keep-free 0 --json "$@"
}

size() { # format
    du -sb "$work/$1" 2>/dev/null | cut -f 1
}

for format in ndjson warc parquet; do
    began=$SECONDS
    for ((kill = 1; kill <= kills; kill++)); do
        before=$(size "$format" || true)
        wanted=$((${before:-0} + RANDOM * 8))
        crawl "$format" -r 20000/s -q >"$work/out" 2>"$work/err" &
        crawl=$!
        while [[ -e /proc/$crawl ]] && (($(size "$format" || echo 0) < wanted)); do
            read -r -t 0.01 <>"$work/never" || true
        done
        kill -KILL $crawl 2>/dev/null || fail "$format: it ended before kill $kill: give it more ITEMS"
        # The shell would tell of each.
        { wait $crawl || true; } 2>/dev/null
        if ((kill % 10 == 0 || kill == kills)); then
            echo "$format: $kill kills, $(size "$format") bytes, $((SECONDS - began)) s"
        fi
    done
    (crawl "$format" -r max --stats-interval 15s) >"$work/out" 2> >(exec tee "$work/err" >&2) ||
        fail "$format: $(cat "$work/err")"
    "$v6kit" crawl check "$work/$format" --json >"$work/checked" || fail "$format: $(cat "$work/checked")"
    records=$("$v6kit" crawl cat "$work/$format" | wc -l)
    found=$("$v6kit" crawl cat "$work/$format" | jq .pos | sort -n | uniq | wc -l)
    echo "$format: $kills kills, $records records of $found items, $(jq .resumed "$work/out") from before the last start," \
        "$((SECONDS - began)) s"
    [[ $records == "$items" && $found == "$items" ]] || fail "$format: not every item has its one record"
done
