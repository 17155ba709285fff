# Sourced by the tests of the proxy, on the host side of the lab: delivers the prefix here, and starts proxies.

ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo
net=${V6KIT_LAB_PREFIX%::*}
target=${V6KIT_LAB_TARGET#http://}
PIDS=()

# Starts a proxy and waits until it listens. $at is where (HOST:PORT), $pid its process.
start() {
    local fifo ready
    fifo=$(mktemp -u "$T/ready.XXXX")
    mkfifo "$fifo"
    "$V6KIT" proxy --json --prefix "$V6KIT_LAB_PREFIX" "$@" >"$fifo" 2>>"$T/proxy.err" &
    pid=$!
    PIDS+=("$pid")
    read -r ready <"$fifo" || { cat "$T/proxy.err" >&2; return 1; }
    at=$(jq -r '.listening[0] | sub("^tls://"; "")' <<<"$ready")
    all=$(jq -r '.listening[]' <<<"$ready")
    metrics=$(jq -r '.metrics // empty' <<<"$ready")
}

# [start] on a free port of loopback.
proxy() { start --listen 127.0.0.1:0 "$@"; }

# Ends the proxy and waits for it.
stop() { kill -TERM "$pid" && wait "$pid"; }

get() { curl -sS -g -m 60 --noproxy '' "$@"; }

# Fails the test, saying what was expected.
is() { # what, wanted
    [ "$1" = "$2" ] || { echo "expected: $2"; echo "found:    $1"; exit 1; } >&2
}

# Whether lines are that many different addresses of the prefix.
rotates() { # count, lines
    is "$(grep -c "^$net:" <<<"$2")" "$1"
    is "$(sort -u <<<"$2" | wc -l)" "$1"
}
