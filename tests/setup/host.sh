# shellcheck shell=bash
set -o errtrace
trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR
P=2001:db8:1::/64
P2=2001:db8:2::/64
PEER=2001:db8:ffff::1
OWN=2001:db8:ffff::2
SETUP="$V6KIT setup --prefix $P --dev up0"

fail() { echo "$*" >&2; exit 1; }
same() { [ "$1" = "$2" ] || fail "expected: $2
found:    $1${3:+
($3)}"; }
# Runs a command that must end with this code.
ends() { local code=$1 got=0; shift; "$@" || got=$?; same $got $code "$*"; }
# Runs a command that must fail; `! command` does not end a script.
fails() { if "$@"; then fail "succeeded: $*"; fi; }
# grep -q would close the pipe on who writes into it.
has() { grep "$@" >/dev/null; }
# Everything that setup may touch, and what it must not.
snapshot() {
    ip -6 route show table all
    ip -6 rule
    nft list ruleset
    sysctl -a 2>/dev/null | grep -vE '^(fs\.(dentry-state|inode-nr|inode-state|file-nr|aio-nr|quota)|kernel\.(ns_last_pid|random|pty)|net\.netfilter\.nf_conntrack_count|vm\.)'
    find /etc -type f -print0 | sort -z | xargs -0 sha256sum
    find /etc -printf '%p %M %u %g\n' | sort
    find "$T" -mindepth 1 -path "$T/etc" -prune -o -print | sed "\\|^$T/log|d" | sort
}
in_peer() { nsenter --target $PEER_PID --net -- "$@"; }
# Starts a program and waits for its first line.
started() {
    local fifo
    fifo=$(mktemp --dry-run "$T/log/XXXXXX")
    mkfifo "$fifo"
    exec {STARTED}<>"$fifo"
    "$@" >"$fifo" 2>&1 &
    read -r _ <&$STARTED
}
# A random address of a prefix.
random_address() { printf '%s:0:%x:%x:%x:%x\n' "${1%::/*}" $((RANDOM * 2 + 1)) $((RANDOM * 2 + 1)) $((RANDOM * 2 + 1)) $((RANDOM * 2 + 1)); }

mkdir "$T/log"
coproc PEER_NS { exec unshare --net bash -c 'echo up; exec sleep infinity'; }
read -r _ <&"${PEER_NS[0]}"
PEER_PID=$PEER_NS_PID
ip link add up0 type veth peer name down0 netns $PEER_PID
# Addresses are usable at once, without being probed for duplicates.
sysctl -qw net.ipv6.conf.up0.accept_dad=0
in_peer sysctl -qw net.ipv6.conf.down0.accept_dad=0
in_peer ip link set lo up
in_peer ip link set down0 up
in_peer ip addr add $PEER/64 dev down0 nodad
in_peer ip -6 route add $P via $OWN
in_peer ip -6 route add $P2 via $OWN
ip link set up0 up
ip addr add $OWN/64 dev up0 nodad
ip -6 route add default via $PEER
# The kernel makes an address usable a little later than it says so.
is_usable() { ip -6 route show table local | has "local $1.* dev $2 "; }
until is_usable $OWN up0 && is_usable fe80: up0; do :; done
export -f is_usable has
until in_peer bash -c "is_usable $PEER down0 && is_usable fe80: down0"; do :; done
