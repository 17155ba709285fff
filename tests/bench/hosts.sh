#!/usr/bin/env bash
# Requests per second over many hosts, interleaved and sorted, each with its robots.txt, beside one host: with the same
# options, and at most 20,000 descriptors.
#
#   tests/bench/hosts.sh    HOSTS=10000 EACH=10 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need jq
ulimit -n 20000
hosts=${HOSTS:-10000}
each=${EACH:-10}
start_nginx

for host in $(seq "$hosts"); do echo "::1 h$host.bench.test"; done > "$work/hosts"
mount --bind "$work/hosts" /etc/hosts
lines() { # HOSTS EACH: host by host
    awk -v hosts="$1" -v each="$2" 'BEGIN { for (h = 1; h <= hosts; h++) for (i = 1; i <= each; i++)
        printf "http://h%d.bench.test:8080/items/%d\n", h, i }'
}
lines 1 $((hosts * each)) > "$work/one"
lines "$hosts" "$each" > "$work/sorted"
# Round by round.
sort -t/ -k5,5n -s "$work/sorted" > "$work/interleaved"

row "$hosts hosts, $each URLs each" "requests/s" "ratio"
for list in one sorted interleaved; do
    taskset -c "$client_core" "$v6kit" crawl -i "$work/$list" -o "$work/job.$list" --prefix 2001:db8:7::/64 -r max -c 1000 \
        --threads 1 --robots obey --keep-free 0 --json > "$work/out" 2> "$work/err"
    [[ $(jq .ok "$work/out") == $((hosts * each)) ]] || fail "items were lost: $(cat "$work/out" "$work/err")"
    rate=$(jq .rate "$work/out")
    [[ $list != one ]] || of_one=$rate
    row "  $list" "$rate" "$(ratio "$rate" "$of_one")"
done
