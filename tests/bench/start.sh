#!/usr/bin/env bash
# The time that one URL takes from start to exit, http and https: v6kit beside curl, once with its job on the disk of /tmp
# and once in memory, where fsync(2) costs nothing; how many files it opens, and how often it waits for the disk.
#
#   tests/bench/start.sh    RUNS=21 V6KIT=target/release/v6kit
set -euo pipefail
source "$(dirname "$0")/common.sh"
enter_namespace "$@"
need curl strace
start_nginx
runs=${RUNS:-21}

wall() { # COMMAND...: milliseconds
    local before=$EPOCHREALTIME after
    "$@" > "$work/out" 2> "$work/err" || fail "$(cat "$work/err")"
    after=$EPOCHREALTIME
    echo $(((${after/./} - ${before/./}) / 10)) | awk '{ print $1 / 100 }'
}

# crawl_one DIRECTORY URL [COMMAND...]: one URL into a new job, under COMMAND.
crawl_one() {
    local directory=$1 url=$2
    shift 2
    rm -rf "$directory/job"
    "$@" "$v6kit" crawl "$url" -o "$directory/job" --prefix 2001:db8:7::/64 --robots ignore --quiet \
        --cacert "$work/cert.pem" --keep-free 0
}

memory=$work/memory
mkdir "$memory"
mount -t tmpfs tmpfs "$memory"

for url in http://[::1]:8080/items/1 https://[::1]:8443/items/1; do
    rm -f "$work"/took.*
    for _ in $(seq "$runs"); do
        wall curl --silent --show-error --fail --cacert "$work/cert.pem" --output /dev/null "$url" >> "$work/took.curl"
        wall crawl_one "$work" "$url" >> "$work/took.disk"
        wall crawl_one "$memory" "$url" >> "$work/took.memory"
    done
    row "one URL: ${url%%:*}, $runs runs" "ms" "ratio"
    curl=$(median < "$work/took.curl")
    row "  curl" "$curl" 1.00
    for job in disk memory; do
        ours=$(median < "$work/took.$job")
        row "  v6kit crawl, job on $job" "$ours" "$(ratio "$ours" "$curl")"
    done
    crawl_one "$work" "$url" strace -f -e trace=openat,fsync,fdatasync -o "$work/calls" > "$work/out" 2> "$work/err" ||
        fail "$(cat "$work/err")"
    echo "v6kit opens $(grep -c openat "$work/calls") files, $(grep -c '/certs/' "$work/calls" || true) of them certificates;" \
        "it waits for the disk $(grep -cE 'f(data)?sync\(' "$work/calls") times"
done
umount "$memory"
