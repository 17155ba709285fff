#!/usr/bin/env bash
# Requests per second with two threads and with one, where the server leaves each thread the same room.
#
#   sudo tests/bench/threads.sh    RUNS=3 REQUESTS=150000 PART=40 V6KIT=target/release/v6kit
#
# On two cores the server would take from two threads what it leaves to one. So a cgroup gives every thread PART
# per cent of a core, and nginx, with a worker for each core, has the rest. Besides, CPU per request shows
# what two threads cost each other wherever they run.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# The controller of CPU time: version 2 of cgroups, or version 1.
if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then group=/sys/fs/cgroup/v6kit-bench; else group=/sys/fs/cgroup/cpu/v6kit-bench; fi
if [[ -z ${V6KIT_BENCH_INSIDE:-} ]]; then
    mkdir -p "$group" || fail "only root may limit the CPU time of a cgroup"
fi
client_core=${CLIENT_CORE:-0,1}
server_core=${SERVER_CORE:-0,1}
server_workers=2
enter_namespace "$@"
need jq
trap 'rmdir "$group"; rm -rf "$work"' EXIT
start_nginx

runs=${RUNS:-3}
requests=${REQUESTS:-150000}
part=${PART:-40}

# limit THREADS: what joins the group gets so much of this many cores, in periods of 100 ms.
limit() {
    local quota=$((part * 1000 * $1))
    if [[ -e $group/cpu.max ]]; then
        echo "$quota 100000" > "$group/cpu.max"
    else
        echo 100000 > "$group/cpu.cfs_period_us"
        echo "$quota" > "$group/cpu.cfs_quota_us"
    fi
}

crawl_with() { # threads
    local requests=$((requests * $1))
    limit "$1"
    rm -rf "$work/job"
    used=$(cpu bash -c 'echo 0 > "$0/cgroup.procs"; exec "$@"' "$group" "$v6kit" crawl "http://[::1]:8080/items/{1..$requests}" \
        -o "$work/job" --prefix 2001:db8:7::/64 -r 1000000/s --threads "$1" -c $((64 * $1)) --http 1 \
        --requests-per-address 1000 --json)
    [[ $(jq .ok "$work/out") == "$requests" ]] || fail "items were lost: $(cat "$work/out")"
    per_request "$used" "$requests" >> "$work/cpu.$1"
    jq .rate "$work/out" >> "$work/rate.$1"
}

for _ in $(seq "$runs"); do
    crawl_with 1
    crawl_with 2
done

row "threads, each with $part % of a core, $runs runs" "requests/s" "us/request"
for threads in 1 2; do
    row "  $threads" "$(median < "$work/rate.$threads")" "$(median < "$work/cpu.$threads")"
done
row "  two against one" "$(ratio "$(median < "$work/rate.2")" "$(median < "$work/rate.1")")" \
    "$(ratio "$(median < "$work/cpu.2")" "$(median < "$work/cpu.1")")"
