# shellcheck shell=bash
P=2001:db8:1::/64
ip link add up0 type veth peer name down0
sysctl -qw net.ipv6.conf.up0.accept_dad=0 net.ipv6.conf.down0.accept_dad=0
ip link set up0 up
ip link set down0 up
ip addr add 2001:db8:ffff::2/64 dev up0 nodad
ip -6 route add default via 2001:db8:ffff::1
mkdir "$T/bin"
ln -s "$V6KIT" "$T/bin/v6kit"
printf '#!/bin/sh\nexec "$@"\n' >"$T/bin/sudo"
chmod 755 "$T/bin/sudo"
export PATH="$T/bin:$PATH" V6KIT T
export -f eventually
printf '[[setup]]\nprefix = "%s"\ndev = "up0"\n' $P >"$T/host.toml"
"$V6KIT" crawl 'http://[::1]:9/{1..3}' -o "$T/a crawl" -r max --retries 0 --keep-free 1M -q >/dev/null 2>&1 || true
cp -a "$T/a crawl" "$T/kept crawl"
execute() {
    # Each meets the same host: a prefix that is set up, and nothing else.
    if ! "$V6KIT" setup --prefix $P --dev up0 -q >"$T/said" 2>&1; then
        { echo "no host for: $3"; cat "$T/said"; } >>"$T/failed"
    fi
    bash -c "$2" >/dev/null 2>&1 || true
    local code=0
    timeout 5 bash -c "$3" >"$T/said" 2>&1 </dev/null || code=$?
    case "|$1|" in
        *"|$code|"*) ;;
        *) { echo "$code instead of $1: $3"; sed 's/^/    /' "$T/said"; } >>"$T/failed" ;;
    esac
    ip link set up0 up
    "$V6KIT" teardown -q >/dev/null 2>&1 || true
    ip -6 rule del pref 32765 2>/dev/null || true
    ip -6 route del blackhole $P table local 2>/dev/null || true
    while ip -6 route del $P table main 2>/dev/null; do :; done
    ip -6 route replace default via 2001:db8:ffff::1
    sysctl -qw net.ipv6.conf.all.forwarding=0
    rm -f /etc/security/limits.d/90-v6kit.conf
    nft 'add table inet v6kit; delete table inet v6kit'
}
