# shellcheck shell=bash
set -o errtrace
trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR
mkdir "$T/bin"
SECURE=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
printf '#!/bin/sh\nexec env -i PATH=%s "$@"\n' $SECURE >"$T/bin/sudo"
chmod 755 "$T/bin/sudo"
ln -s "$V6KIT" "$T/bin/v6kit"
PATH="$T/bin:$PATH"
# sudo hands no environment on: the journal lies where it lies by default.
unset V6KIT_STATE_DIR
mount -t tmpfs tmpfs /var/lib
ip link add up0 type veth peer name down0
ip link set up0 up
ip link set down0 up
ip addr add 2001:db8:ffff::2/64 dev up0 nodad
ip -6 route add default via 2001:db8:ffff::1 dev up0
P=2001:db8:1::/64
fail() { echo "$*" >&2; exit 1; }
# Runs the commands in the hints of a file, each of which must be one that there is.
follow() {
    local command code
    grep -hE '^(hint|note): |Next: |Undo: ' "$1" >"$T/hints" || fail "no hint: $(cat "$1")"
    { { grep -oE '`[^`]+`' "$T/hints" || true; } | tr -d '`'; sed -nE 's/.*(Next|Undo): (.*)/\2/p' "$T/hints" | sed 's/\. Undo: /\n/'; } | awk '!seen[$0]++' >"$T/commands"
    while read -r command; do
        code=0
        bash -c "$command" >"$T/said" 2>&1 </dev/null || code=$?
        case $code in 0 | 1) ;; *) fail "\`$command\` ends with $code: $(cat "$T/said")" ;; esac
        followed=$((followed + 1))
    done <"$T/commands"
}
followed=0
