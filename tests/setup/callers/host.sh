# shellcheck shell=bash disable=SC2034,SC2086,SC2154
set -euo pipefail
mount --make-rprivate /
mount -t tmpfs tmpfs "$T"
chmod 755 "$T"
mkdir "$T/etc" "$T/bin" "$T/state" "$T/home"
cp -a /etc/. "$T/etc/"
mount --bind "$T/etc" /etc
cp "$V6KIT_UNDER_TEST" "$T/bin/v6kit"
chmod 755 "$T/bin" "$T/bin/v6kit"
ip link set lo up
ip link add up0 type veth peer name down0
ip link set up0 up
ip link set down0 up
ip addr add 2001:db8:ffff::2/64 dev up0 nodad
ip -6 route add default via 2001:db8:ffff::1
echo "alice:x:2001:2001::$T/home:/bin/bash" >>/etc/passwd
echo 'alice:*:20000:0:99999:7:::' >>/etc/shadow
printf 'alice:x:2001:\nfriends:x:2002:alice\n' >>/etc/group
mkdir -p /etc/sudoers.d
printf 'Defaults use_pty\nalice ALL=(ALL) NOPASSWD:SETENV: ALL\nroot ALL=(ALL) NOPASSWD: ALL\n' >/etc/sudoers
printf 'permit nopass alice\n' >/etc/doas.conf
chmod 440 /etc/sudoers
LINE="$T/bin/v6kit setup --state-dir $T/state/s --prefix 2001:db8:1::/64 --dev up0 --no-verify"
# A shell of alice's.
alice() { setpriv --reuid 2001 --regid 2001 --init-groups bash -c "$1; exit \$?"; }
gone() {
    eventually test ! -e "$T/state/s" ||
        { echo "still set up after $*: $(cat "$T/state/s/journal.jsonl")" >&2; exit 1; }
}
same() { [ "$1" = "$2" ] || { echo "expected: $2
found:    $1" >&2; exit 1; }; }
WHO='id -un; id -Gn; echo $HOME $USER $LOGNAME; env | grep -E "^(SUDO|DOAS|PKEXEC)" || true; grep CapPrm /proc/self/status'
HERS="alice
alice friends
$T/home alice alice
CapPrm:	0000000000000000"
