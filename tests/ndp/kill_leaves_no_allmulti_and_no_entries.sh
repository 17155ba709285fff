# shellcheck shell=bash
state() {
    ip -details link show "$DEV" | grep -o 'promiscuity [0-9]* *allmulti [0-9]*'
    ip -6 neighbour show proxy
    ip -6 route show table all
    ip -6 address show dev "$DEV"
    ip -6 maddress show dev "$DEV"
    sysctl net.ipv6.conf.all.forwarding "net.ipv6.conf.$DEV.proxy_ndp"
}
usable_prefix
state >"$T/before"
start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
ip -details link show "$DEV" | grep -o 'allmulti [0-9]*'
fetch_from "${P}1" >/dev/null
kill -9 "$NDP"
wait "$NDP" || true
state >"$T/after"
diff "$T/before" "$T/after"
