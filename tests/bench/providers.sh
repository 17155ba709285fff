#!/usr/bin/env bash
# What TLS 1.3 costs a client with ring, which v6kit links, and with aws-lc-rs: CPU over memory for a handshake, the first one
# of a process among them, and for a megabyte; and what a program of each weighs.
#
#   tests/bench/providers.sh    RUNS=5 HANDSHAKES=2000 MEGABYTES=200
#
# It builds both, which takes some minutes once. Their place is target/providers.
set -euo pipefail
source "$(dirname "$0")/common.sh"

runs=${RUNS:-5}
export CARGO_TARGET_DIR=$repository/target/providers
nice -n 19 cargo build --release --locked --quiet --manifest-path "$repository/tests/bench/providers/Cargo.toml"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

measure() { # TITLE WORK COUNT UNIT
    local provider
    for _ in $(seq "$runs"); do
        for provider in ring aws-lc-rs; do
            taskset -c "${CLIENT_CORE:-0}" "$CARGO_TARGET_DIR/release/providers" "$provider" "$2" "$3" >> "$work/$2.$provider"
        done
    done
    row "$1, $runs runs" "$4" ratio
    local ring
    ring=$(median < "$work/$2.ring")
    for provider in ring aws-lc-rs; do
        row "  $provider" "$(median < "$work/$2.$provider")" "$(ratio "$(median < "$work/$2.$provider")" "$ring")"
    done
}

measure "the first handshake of a process" first 1 us
measure "full handshakes" full "${HANDSHAKES:-2000}" us
measure "resumed handshakes" resumed "${HANDSHAKES:-2000}" us
measure "a megabyte received" bytes "${MEGABYTES:-200}" us
