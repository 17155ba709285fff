#!/usr/bin/env bash
# Neighbour solicitations answered per second, and what that costs: v6kit ndp beside ndppd, one after the
# other on the same link.
#
#   tests/bench/ndp.sh [V6KIT]       default: target/release/v6kit
#
# Needs ndppd, python3 and iproute2 (Debian packages). Everything happens in the lab's namespaces. The
# answers are counted by the host's device; CPU time is user + system time of the responder.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/harness/wait.bash

if [ -z "${V6KIT_LAB_PREFIX:-}" ]; then
    binary=$(realpath "${1:-target/release/v6kit}")
    command -v ndppd >/dev/null || PATH=$PATH:/usr/sbin
    for program in ndppd python3 ip; do
        command -v "$program" >/dev/null || { echo "error: $program is not installed" >&2; exit 2; }
    done
    exec "$binary" lab run --topology on-link -- env BINARY="$binary" PATH="$PATH:/usr/sbin" bash "$0"
fi

seconds=${SECONDS_PER_RUN:-5}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
router() { nsenter --net="$V6KIT_LAB_ROUTER_NS" "$@"; }
sent_by_host() { awk -v device="$V6KIT_LAB_DEV:" '$1 == device { print $11 }' /proc/net/dev; }
# Jiffies of a process, all threads.
cpu() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

start_v6kit() {
    "$BINARY" ndp --all --max-rate 4000000000 --prefix "$V6KIT_LAB_PREFIX" --dev "$V6KIT_LAB_DEV" \
        >"$scratch/ready" 2>/dev/null &
    pid=$!
    eventually grep -q answering "$scratch/ready"
}

start_ndppd() {
    printf 'proxy %s {\n router no\n timeout 500\n ttl 30000\n rule %s {\n static\n }\n}\n' \
        "$V6KIT_LAB_DEV" "$V6KIT_LAB_PREFIX" >"$scratch/ndppd.conf"
    ndppd -c "$scratch/ndppd.conf" >/dev/null 2>&1 &
    pid=$!
    # It says nothing when it is ready: until an answer to a first solicitation leaves the host.
    local before
    before=$(sent_by_host)
    until [ "$(sent_by_host)" -gt "$((before + 2))" ]; do
        router python3 tests/bench/ndp-solicit.py lan "$V6KIT_LAB_PREFIX" 0.2 50 >/dev/null
    done
}

measure() { # name, rate
    "start_$1"
    local answers_before cpu_before sent took answers cpu_ticks
    answers_before=$(sent_by_host) cpu_before=$(cpu "$pid")
    read -r sent took < <(router python3 tests/bench/ndp-solicit.py lan "$V6KIT_LAB_PREFIX" "$seconds" "$2")
    # What is still queued gets its answer.
    local last=-1
    while [ "$last" != "$(sent_by_host)" ]; do last=$(sent_by_host); pause 0.3; done
    answers=$(($(sent_by_host) - answers_before)) cpu_ticks=$(($(cpu "$pid") - cpu_before))
    kill "$pid"
    wait "$pid" 2>/dev/null || true
    awk -v name="$1" -v rate="$2" -v sent="$sent" -v took="$took" -v answers="$answers" -v ticks="$cpu_ticks" \
        -v hertz="$(getconf CLK_TCK)" 'BEGIN {
        printf "%-8s %8s %10.0f %10.0f %8.1f %% %8.1f %% %10.1f\n", name, rate, sent / took, answers / took,
            100 * answers / sent, 100 * ticks / hertz / took, answers ? 1e6 * ticks / hertz / answers : 0 }'
}

printf '%-8s %8s %10s %10s %10s %10s %10s\n' "" offered "asked/s" "answered/s" answered CPU "us/answer"
for rate in 1000 10000 max; do
    for responder in v6kit ndppd v6kit ndppd; do measure "$responder" "$rate"; done
done
