#!/usr/bin/env bash
# CPU of the proxy process per unit of work, beside vproxy and tinyproxy, on one machine and in one lab.
#
#   cargo build --release -p v6kit && cargo build --release -p v6kit-proxy --example proxy-load
#   cargo install vproxy; apt-get install tinyproxy-bin wrk jq
#   target/release/v6kit lab run -- tests/bench/proxy.bash [tunnels|forward|bulk|idle]...
#
# VPROXY names vproxy's binary when it is not on the PATH; PROXIES says which ones carry tunnels and bytes.
# ROUNDS (default 3) repeats each measurement; the proxies take turns, and the median counts.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
source "$top/tests/harness/wait.bash"
load=$top/target/release/examples/proxy-load
v6kit=$top/target/release/v6kit
vproxy=${VPROXY:-vproxy}
rounds=${ROUNDS:-3}
T=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$T"' EXIT

ulimit -n "$(ulimit -Hn)"
[ "$(ulimit -n)" -ge 18000 ] || { echo "error: $(ulimit -n) open files are too few: ulimit -Hn 18000" >&2; exit 1; }
ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo 2>/dev/null || true
echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind
echo "10240 65535" > /proc/sys/net/ipv4/ip_local_port_range
target=${V6KIT_LAB_TARGET#http://}:80
in_target() { nsenter --net="$V6KIT_LAB_TARGET_NS" "$@"; }
listens_in_target() { [ -n "$(in_target ss -Hltn "sport = :$1")" ]; } # port

# CPU time of a process, user and system, in microseconds.
cpu_us() { awk '{ print ($14 + $15) * 10000 }' "/proc/$1/stat"; }
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
until_open() { until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do kill -0 "$pid" || exit 1; pause 0.05; done; }

start_v6kit() {
    "$v6kit" proxy --prefix "$V6KIT_LAB_PREFIX" --listen 127.0.0.1:4001 --max-connections 8500 >/dev/null 2>&1 & pid=$!
    port=4001
}
start_vproxy() {
    "$vproxy" run -L error -c 100000 -b 127.0.0.1:4002 -i "$V6KIT_LAB_PREFIX" auto >/dev/null 2>&1 & pid=$!
    port=4002
}
start_tinyproxy() {
    cat > "$T/tinyproxy.conf" <<CONF
Port 4003
Listen 127.0.0.1
MaxClients 1000
LogLevel Critical
LogFile "$T/tinyproxy.log"
CONF
    tinyproxy -d -c "$T/tinyproxy.conf" >/dev/null & pid=$!
    port=4003
}
end() { kill "$pid"; wait "$pid" 2>/dev/null || true; }

# Runs COMMAND against each PROXY in turn; $port is the proxy's. It prints how many units were done.
# Prints a line: proxy, median CPU per unit in microseconds, median units per second.
measure() { # proxies, command
    local proxies=$1 round proxy before units began
    shift
    rm -f "$T"/us.* "$T"/rate.*
    for round in $(seq "$rounds"); do
        for proxy in $proxies; do
            "start_$proxy"
            until_open "$port"
            before=$(cpu_us "$pid")
            began=$(date +%s.%N)
            units=$("$@")
            awk -v b="$began" -v e="$(date +%s.%N)" -v u="$units" 'BEGIN { print u / (e - b) }' >> "$T/rate.$proxy"
            awk -v c="$(($(cpu_us "$pid") - before))" -v u="$units" 'BEGIN { print c / u }' >> "$T/us.$proxy"
            end
        done
    done
    for proxy in $proxies; do
        printf '  %-16s %10.2f us   %12.1f /s\n' "$proxy" "$(median < "$T/us.$proxy")" "$(median < "$T/rate.$proxy")"
    done
}

tunnels_of() { # concurrency
    local result
    result=$("$load" tunnels "127.0.0.1:$port" "$target" 20000 "$1")
    [ "$(jq .failed <<<"$result")" = 0 ] || echo "  lost: $result" >&2
    jq '.count - .failed' <<<"$result"
}

forward_of() { # user
    cat > "$T/forward.lua" <<LUA
local auth = "$1"
request = function()
    local headers = { ["Host"] = "$target" }
    if auth ~= "" then headers["Proxy-Authorization"] = "Basic " .. auth end
    return wrk.format("GET", "http://$target/items/7", headers)
end
done = function(summary)
    local e = summary.errors
    io.stderr:write(e.connect + e.read + e.write + e.status + e.timeout == 0 and "" or "  errors\n")
    io.stdout:write("UNITS " .. summary.requests .. "\n")
end
LUA
    wrk -t1 -c80 -d5s -s "$T/forward.lua" "http://127.0.0.1:$port" | sed -n 's/^UNITS //p'
}

bulk_of() { # streams
    local result
    result=$("$load" bulk "127.0.0.1:$port" "[2001:db8:80::80]:5001" "${GIGABYTES:-8}" "$1")
    [ "$(jq '.bytes == .expected' <<<"$result")" = true ] || echo "  lost: $result" >&2
    jq '.bytes / 1e9' <<<"$result"
}

bench_tunnels() {
    for concurrency in 50 1000; do
        echo "CONNECT + one small request + close, $concurrency at a time: CPU per tunnel"
        measure "${PROXIES:-v6kit vproxy}" tunnels_of "$concurrency"
    done
}

bench_forward() {
    echo "HTTP forward, keep-alive client, 80 connections, another address each: CPU per request"
    measure "v6kit vproxy" forward_of ""
    echo "HTTP forward, keep-alive client, 80 connections, one session: CPU per request"
    measure "v6kit" forward_of "$(printf 'bench-session-1:x' | base64)"
}

bench_bulk() {
    in_target "$load" source '[::]:5001' >/dev/null &
    eventually listens_in_target 5001
    for streams in 1 8; do
        echo "bytes through CONNECT, $streams streams: CPU per GB, GB/s"
        measure "${PROXIES:-v6kit vproxy tinyproxy}" bulk_of "$streams"
    done
}

bench_idle() {
    local count=8000 before after
    in_target "$load" silent '[::]:5002' >/dev/null &
    eventually listens_in_target 5002
    start_v6kit
    until_open "$port"
    before=$(awk '/RssAnon/ { print $2 }' "/proc/$pid/status")
    mkfifo "$T/hold"
    "$load" idle "127.0.0.1:$port" "[2001:db8:80::80]:5002" $count < "$T/hold" > "$T/idle" &
    exec 9> "$T/hold"
    until [ -s "$T/idle" ]; do pause 0.1; kill -0 $!; done
    after=$(awk '/RssAnon/ { print $2 }' "/proc/$pid/status")
    echo "idle tunnels: $count open"
    awk -v b="$before" -v a="$after" -v n=$count \
        'BEGIN { printf "  %.2f KB each (%d KB before, %d KB after)\n", (a - b) / n, b, a }'
    exec 9>&-
    end
}

for bench in "${@:-tunnels forward bulk idle}"; do
    for name in $bench; do "bench_$name"; done
done
