#!/usr/bin/env bash
# A million URLs on 100,000 hosts with 1024 file descriptors: none lost, none twice, and the memory is that of what is
# in flight.
#
#   tests/scale/hosts.sh    URLS=1000000 HOSTS=100000 FILES=1024 MOST_MIB=150 V6KIT=target/release/v6kit
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../bench/common.sh
source "$(dirname "$0")/../bench/common.sh"
enter_namespace "$@"
need jq /usr/bin/time
start_nginx

urls=${URLS:-1000000}
hosts=${HOSTS:-100000}
most=${MOST_MIB:-150}
ip -6 route add local 2001:db8:9::/64 dev lo
echo "$urls URLs on $hosts hosts"
awk -v urls="$urls" -v hosts="$hosts" 'BEGIN {
    for (n = 0; n < urls; n++) {
        host = 1 + n % hosts
        printf "http://[2001:db8:9::%x:%x]:8080/items/%d\n", int(host / 65536), host % 65536, n
    }
}' >"$work/list"

code=0
(
    ulimit -n "${FILES:-1024}"
    exec /usr/bin/time -o "$work/time" -f '%M %e %U %S' "$v6kit" crawl -i "$work/list" -o "$work/job" \
        --prefix 2001:db8:7::/64 -r max --keep-free 0 --stats-interval 15s --json \
        >"$work/out" 2> >(exec tee "$work/err" >&2)
) || code=$?
[[ $code == 0 ]] || fail "the crawl ended with $code: $(tail -n 5 "$work/err")"

echo "reading back"
read -r kib seconds user system <"$work/time"
found=$("$v6kit" crawl cat "$work/job" | jq .pos | sort -n | uniq | wc -l)
records=$("$v6kit" crawl cat "$work/job" | wc -l)
jq -c '{requests, ok, rate, connections, addresses, bytes_stored}' "$work/out"
echo "$urls URLs on $hosts hosts with ${FILES:-1024} files: $seconds s, $user s + $system s of processor time," \
    "largest memory $((kib / 1024)) MiB, $records records of $found items"
[[ $records == "$urls" && $found == "$urls" ]] || fail "not every item has its one record"
((kib / 1024 < most)) || fail "more memory than $most MiB"
