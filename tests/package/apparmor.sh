# shellcheck shell=bash
# The shell does not stop at a negated command that fails (bash(1), set -e).
not() { if "$@"; then return 1; fi; }
# An AppArmor that loads nothing and says what it was asked.
mkdir -p /usr/local/sbin /usr/local/bin
for name in /usr/local/sbin/apparmor_parser /usr/local/bin/aa-enabled; do
    printf '#!/bin/sh\necho "%s $*" >>/tmp/parsed\n' "${name##*/}" >$name
    chmod 755 $name
done
: >/tmp/parsed
mkdir -p /etc/apparmor.d/local
# One that does not know `userns` would fail to load it at every boot.
rm -rf /etc/apparmor.d/abi
dpkg --install /tmp/v6kit_${OLD}_*.deb >/dev/null
test ! -e /etc/apparmor.d/v6kit
test ! -s /tmp/parsed
dpkg --remove v6kit >/dev/null

mkdir /etc/apparmor.d/abi
touch /etc/apparmor.d/abi/4.0
dpkg --install /tmp/v6kit_${OLD}_*.deb >/dev/null
grep -q '^  userns,' /etc/apparmor.d/v6kit
grep -q '^profile v6kit /usr/bin/v6kit flags=(unconfined)' /etc/apparmor.d/v6kit
# Loaded where the kernel has AppArmor, and not asked for where it has none.
if [ -d /sys/module/apparmor ]; then
    grep -q 'apparmor_parser --replace .*/etc/apparmor.d/v6kit' /tmp/parsed
else
    test ! -s /tmp/parsed
fi
# Changes belong into local/v6kit, and outlive an upgrade; a profile that somebody else wrote is theirs.
echo '# mine' >/etc/apparmor.d/local/v6kit
echo '# changed' >>/etc/apparmor.d/v6kit
dpkg --install /tmp/v6kit_${NEW}_*.deb >/dev/null
not grep -q changed /etc/apparmor.d/v6kit
grep -q mine /etc/apparmor.d/local/v6kit
dpkg --remove v6kit >/dev/null
test ! -e /etc/apparmor.d/v6kit
echo '# of somebody else' >/etc/apparmor.d/v6kit
dpkg --install /tmp/v6kit_${NEW}_*.deb >/dev/null
test "$(cat /etc/apparmor.d/v6kit)" = '# of somebody else'
dpkg --purge v6kit >/dev/null
test -e /etc/apparmor.d/v6kit
test ! -e /etc/apparmor.d/local/v6kit
