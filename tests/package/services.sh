# shellcheck shell=bash
# The shell does not stop at a negated command that fails (bash(1), set -e).
not() { if "$@"; then return 1; fi; }
# A source of packages like those of nginx and sshd: each starts its service and enables it, with an alias, for users, and
# by an init script.
mkdir -p /tmp/source /run/systemd/system
mv /usr/bin/systemctl /usr/bin/systemctl-itself
cat >/usr/bin/systemctl <<'RECORD'
#!/bin/sh
case " $* " in
*' is-enabled '*) echo enabled ;;
*' preset '*) exec systemctl-itself "$@" ;;
*) echo "systemctl $*" >>/tmp/asked ;;
esac
RECORD
chmod 755 /usr/bin/systemctl
cat >/tmp/init <<'INIT'
#!/bin/sh
### BEGIN INIT INFO
# Provides:          NAME
# Required-Start:    $remote_fs
# Required-Stop:     $remote_fs
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
### END INIT INFO
echo "init NAME $*" >>/tmp/asked
INIT
package() { # name, depends
    local root=/tmp/build/$1
    mkdir -p $root/DEBIAN $root/usr/lib/systemd/system $root/usr/lib/systemd/user $root/etc/init.d
    printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: %s\n%s' \
        $1 $1 "${2:+Depends: $2
}" >$root/DEBIAN/control
    printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\nAlias=alias-of-%s.service\n' $1 \
        >$root/usr/lib/systemd/system/$1.service
    printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=default.target\n' >$root/usr/lib/systemd/user/$1-user.service
    sed "s/NAME/$1/" /tmp/init >$root/etc/init.d/$1
    chmod 755 $root/etc/init.d/$1
    cat >$root/DEBIAN/postinst <<POSTINST
#!/bin/sh
set -e
deb-systemd-helper enable $1.service
deb-systemd-helper --user enable $1-user.service
update-rc.d $1 defaults >/dev/null
[ ! -e /tmp/cut ] || kill -KILL \$(cat /tmp/cut)
invoke-rc.d $1 start || true
deb-systemd-invoke start $1.service || true
POSTINST
    chmod 755 $root/DEBIAN/postinst
    dpkg-deb --root-owner-group --build $root /tmp/source/$1.deb >/dev/null
}
package sham-web sham-library
package sham-library
package sham-other
package sham-control
(cd /tmp/source && dpkg-scanpackages --multiversion . 2>/dev/null >Packages)
rm -rf /etc/apt/sources.list.d/* /etc/apt/sources.list
echo 'deb [trusted=yes] file:/tmp/source ./' >/etc/apt/sources.list

enabled() {
    find /etc/systemd -type l | sort
    find /etc/rc[0-9S].d -name 'S*' | sort
}
enabled >/tmp/before
theirs='#!/bin/sh
exit 0'
echo "$theirs" >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
: >/tmp/asked
in_order() {
    diff /tmp/before <(enabled)
    not grep -E 'start|^init' /tmp/asked
    test "$(cat /usr/sbin/policy-rc.d)" = "$theirs"
    test -z "$(ls -d /usr/sbin/policy-rc.d?* /var/lib/v6kit-tests* 2>/dev/null)"
}

# What a package does where nothing stands against it.
apt-get update -qq
apt-get install -y -qq sham-control >/tmp/said 2>&1
grep -q start /tmp/asked || { cat /tmp/said /tmp/asked; exit 1; }
test -e /etc/systemd/system/multi-user.target.wants/sham-control.service
enabled >/tmp/before
: >/tmp/asked

# What cannot be had is told before anything is changed.
$TESTS/debs sham-web no-such-package >/tmp/said 2>&1 && exit 1
grep -q '^why: .*no-such-package$' /tmp/said
grep -q '^hint: ' /tmp/said
$TESTS/debs 'sham-web>=2' >/tmp/said 2>&1 && exit 1
grep -q '^why: .*sham-web>=2 (there is 1)' /tmp/said
not dpkg-query -W sham-web 2>/dev/null
in_order

$TESTS/debs sham-web 2>/tmp/said
dpkg-query -W sham-web sham-library >/dev/null
in_order
grep -q 'not left enabled: /etc/systemd/system/multi-user.target.wants/sham-library.service' /tmp/said

# A service of this machine that was enabled before stays so.
ln -s /usr/lib/systemd/system/sham-web.service /etc/systemd/system/multi-user.target.wants/sham-web.service
enabled >/tmp/before

# Killed in the middle of it, and called again.
( echo $BASHPID >/tmp/cut && exec $TESTS/debs sham-other ) >/tmp/said 2>&1 && exit 1
rm /tmp/cut
test -e /etc/systemd/system/multi-user.target.wants/sham-other.service
$TESTS/debs sham-other 2>/tmp/said
grep -q 'was cut off' /tmp/said
in_order
