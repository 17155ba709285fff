# shellcheck shell=bash
P=${V6KIT_LAB_PREFIX%/*} DEV=$V6KIT_LAB_DEV
router() { nsenter --net="$V6KIT_LAB_ROUTER_NS" "$@"; }
# Waits for a command to succeed.
await() { eventually quietly "$@" || { cat "$T"/ndp.* >&2; return 1; }; }
logged() { grep -q -- "$1" "$T/ndp.log"; }
# Starts the responder and waits until it says that it is ready.
start() {
    "$V6KIT" ndp --json "$@" >"$T/ndp.log" 2>"$T/ndp.err" &
    NDP=$!
    await logged '"event":"ready"'
}
start_verbose() { start --log-solicitations "$@"; }
# Ends it as a service manager would, and shows what it said.
stop() {
    kill -TERM "$NDP"
    wait "$NDP"
    cat "$T/ndp.log"
}
# Lets programs of the host send from the prefix.
usable_prefix() {
    ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo
    sysctl -qw net.ipv6.ip_nonlocal_bind=1
}
fetch_from() { curl -sS --max-time 30 --interface "$1" "$V6KIT_LAB_TARGET/"; }
