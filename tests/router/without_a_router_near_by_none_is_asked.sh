# shellcheck shell=bash
mkdir $T/bin
printf '#!/bin/sh
echo "$*" >>%s
exit 255
' $T/asked >$T/bin/ssh
chmod 755 $T/bin/ssh
export PATH=$T/bin:$PATH
ip link add eth0 type veth peer name eth1
ip link set eth0 up
ip link set eth1 up
ip addr add 192.168.178.20/24 dev eth0
ip route add default via 192.168.178.1
for command in check remove 'push --prefix 2001:db8::/64'; do
    code=0
    $V6KIT router $command 2>$T/err || code=$?
    [ $code = 2 ]
    grep -qx 'why: --ssh is not given, and 192.168.1.1 is on no link of this host' $T/err
done
[ ! -e $T/asked ]
# The one that is named is asked, and OpenWrt's own address where it is on a link.
$V6KIT router check --ssh root@192.168.178.1 2>/dev/null || true
grep -q root@192.168.178.1 $T/asked
ip addr add 192.168.1.2/24 dev eth0
$V6KIT router check 2>/dev/null || true
grep -q root@192.168.1.1 $T/asked
