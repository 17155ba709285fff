#!/usr/bin/env bash
# The share of TLS connections that are resumed, of those begun after the first: at one host with 1 and 64 slots, a
# connection per request; and over many hosts that are visited twice.
#
#   tests/bench/resumed.sh    REQUESTS=2000 HOSTS=10000 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need jq
ulimit -n "$(ulimit -Hn)"
echo 400000 > /proc/sys/net/ipv4/tcp_max_tw_buckets
requests=${REQUESTS:-2000}
hosts=${HOSTS:-10000}
log=$work/resumed
start_nginx

share() { # FULL: how many cannot be resumed
    nginx -p "$work" -c "$work/nginx.conf" -s reopen 2> "$work/nginx.out"
    pause 0.3
    awk -v full="$1" '{ all++ } $1 == "r" { resumed++ }
        END { printf "%d of %d resumed: %.1f %% of those that can be\n", resumed, all, 100 * resumed / (all - full) }' "$log"
    : > "$log"
}

for slots in 1 64; do
    crawl_all https://[::1]:8443 "$requests" -c $slots --http 1 --requests-per-address 1 --robots ignore
    echo -n "one host, $slots at a time: "
    # Those begun before the first handshake is done have nothing to resume.
    share $slots
done
for host in $(seq "$hosts"); do echo "::1 h$host.bench.test"; done > "$work/hosts"
mount --bind "$work/hosts" /etc/hosts
for _ in 1 2; do seq -f 'https://h%.0f.bench.test:8443/items/1' "$hosts"; done > "$work/list"
"$v6kit" crawl -i "$work/list" -o "$work/twice" --prefix 2001:db8:7::/64 -r max -c 64 --threads 1 --http 1 \
    --requests-per-address 1 --robots ignore --cacert "$work/cert.pem" --keep-free 0 --json > "$work/out" 2> "$work/err"
[[ $(jq .ok "$work/out") == $((2 * hosts)) ]] || fail "items were lost: $(cat "$work/out" "$work/err")"
echo -n "$hosts hosts, twice: "
share "$hosts"
