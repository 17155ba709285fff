#!/usr/bin/env bash
# CPU per request where each has a TLS 1.3 connection of its own, full or resumed: v6kit with everything on beside
# `openssl s_time`. Both verify the certificate and read the same answer.
#
#   tests/bench/handshakes.sh [full|resumed]    RUNS=5 SECONDS_EACH=3 CONNECTIONS=8 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need openssl jq
echo 400000 > /proc/sys/net/ipv4/tcp_max_tw_buckets

kind=${1:-full}
runs=${RUNS:-5}
case $kind in
    full) tls='ssl_session_tickets off; ssl_session_cache off;' how=-new ;;
    resumed) tls='ssl_session_timeout 1h;' how=-reuse ;;
    *) fail "full or resumed?" ;;
esac
log=$work/resumed
start_nginx

# resumed_of: how many of the connections since the last call were resumed, of how many.
resumed_of() {
    # nginx writes what it holds when it is told to open its files again.
    nginx -p "$work" -c "$work/nginx.conf" -s reopen 2> "$work/nginx.out"
    pause 0.3
    awk '{ all++ } $1 == "r" { resumed++ } END { print resumed + 0 " of " all + 0 }' "$log"
    : > "$log"
}

for _ in $(seq "$runs"); do
    used=$(cpu openssl s_time -connect '[::1]:8443' -tls1_3 "$how" -www /items/1 -time "${SECONDS_EACH:-3}" -verify 4 \
        -CAfile "$work/cert.pem")
    requests=$(awk '/connections in .* real seconds/ { print $1 }' "$work/out")
    # The first of a row with -reuse is full, and one more is begun than is counted.
    per_request "$used" "$requests" >> "$work/s_time"
    of_openssl=$(resumed_of)
    crawl_all https://[::1]:8443 "$requests" -c "${CONNECTIONS:-8}" --http 1 --requests-per-address 1 --robots ignore
    of_v6kit=$(resumed_of)
done

compare "TLS 1.3, $kind, a connection per request, $runs runs" "openssl s_time $how" "$work/s_time"
echo "resumed: s_time $of_openssl, v6kit $of_v6kit"
paste "$work/v6kit" "$work/s_time" | awk '{ printf "%.2f\n", $1 / $2 }' > "$work/ratios"
echo "ratios of the runs: $(range "$work/ratios")"
