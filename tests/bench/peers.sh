#!/usr/bin/env bash
# CPU per request over kept-alive HTTP/1.1 connections beside other clients: aiohttp with one session, rnet
# (both from asyncio), `curl -Z` with a glob, and oha.
#
#   tests/bench/peers.sh [aiohttp|rnet|curl|oha]...    RUNS=3 REQUESTS=200000 CONNECTIONS=64 V6KIT=target/release/v6kit
#
# The Python packages come from tests/install; oha is built once, into target/tools, which takes some minutes.
set -euo pipefail
source "$(dirname "$0")/common.sh"
peers=("$@")
[[ $# -gt 0 ]] || peers=(aiohttp rnet curl oha)
[[ " ${peers[*]} " != *" oha "* ]] || install_tool oha 1.16.0
enter_namespace "$@"
need jq curl
start_nginx

runs=${RUNS:-3}
requests=${REQUESTS:-200000}
connections=${CONNECTIONS:-64}
url=http://[::1]:8080
python=$repository/target/python/bin/python
export PYTHONDONTWRITEBYTECODE=1

run_peer() { # name: prints the CPU seconds that it took
    case $1 in
        aiohttp | rnet)
            [[ -x $python ]] || { echo "install the packages first: tests/install" >&2; exit 2; }
            cpu "$python" "$repository/tests/bench/peers.py" "$1" "$url" "$requests" "$connections"
            ;;
        curl)
            # A transfer per item is set up when its turn comes; the output has to go somewhere.
            cpu curl --silent --show-error --fail --parallel --parallel-max "$connections" \
                --output /dev/null "$url/items/[1-$requests]"
            ;;
        oha)
            cpu "$repository/target/tools/bin/oha" --no-tui --output-format json -n "$requests" -c "$connections" "$url/items/1"
            [[ $(jq '.statusCodeDistribution["200"]' "$work/out") == "$requests" ]]
            ;;
        *)
            echo "no such peer: $1" >&2
            exit 2
            ;;
    esac
}

for _ in $(seq "$runs"); do
    for peer in "${peers[@]}"; do
        used=$(run_peer "$peer")
        per_request "$used" "$requests" >> "$work/$peer"
    done
    crawl_all "$url" "$requests" -c "$connections" --http 1 --requests-per-address 1000
done

for peer in "${peers[@]}"; do
    compare "keep-alive HTTP/1.1, $connections connections, $runs runs" "$peer" "$work/$peer"
done
