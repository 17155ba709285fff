#!/usr/bin/env bash
# A flamegraph of where a crawl spends its time outside the kernel. Make one before and one after a change.
#
#   tests/bench/flamegraph.sh keepalive|connections FILE.svg    REQUESTS=300000 CONNECTIONS=64 V6KIT=target/release/v6kit
#
# perf comes from Debian's linux-perf; inferno is built once, into target/tools.
set -euo pipefail
source "$(dirname "$0")/common.sh"
install_tool inferno 0.12.8 inferno-flamegraph
enter_namespace "$@"
need perf
start_nginx

case ${1-} in
    keepalive) requests=${REQUESTS:-300000} term=1000 ;;
    connections) requests=${REQUESTS:-40000} term=1 ;;
    *) fail "say what to look at: keepalive or connections" ;;
esac
graph=${2:?the file to write}
tools=$repository/target/tools/bin

taskset -c "$client_core" perf record --quiet --event cpu-clock --freq 999 --call-graph dwarf,16384 --output "$work/perf" -- \
    "$v6kit" crawl "http://[::1]:8080/items/{1..$requests}" -o "$work/job" --prefix 2001:db8:7::/64 -r 1000000/s \
    --threads 1 -c "${CONNECTIONS:-64}" --http 1 --requests-per-address "$term" --json >/dev/null 2>"$work/err" \
    || fail "$(cat "$work/err")"
perf script --input "$work/perf" 2>/dev/null | "$tools/inferno-collapse-perf" 2>/dev/null >"$work/folded"
"$tools/inferno-flamegraph" --title "v6kit crawl, $1, $requests requests" "$work/folded" >"$graph"
echo "$graph"
