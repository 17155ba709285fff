# shellcheck shell=bash
# As root of a namespace with one user, networkd can become nobody else: its user is root here. A
# read-only /sys tells it that there is no udev to wait for.
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/netif/{links,leases,lldp}
sed -i '/^systemd-network:/d' /etc/passwd
echo 'systemd-network:x:0:0::/:/usr/sbin/nologin' >>/etc/passwd
rm -rf /etc/systemd/network
mkdir -p /etc/systemd/network/10-lan.network.d
printf '[Match]\nName=br-lan\n[Network]\nAddress=2001:db8:1:202::1/64\nIPv6AcceptRA=no\n' >/etc/systemd/network/10-lan.network
$V6KIT router render --as systemd-networkd --host fe80::9 --prefix 2001:db8:1:202:abcd::/80 --lan br-lan --wan wan >/etc/systemd/network/10-lan.network.d/v6kit.conf
ip link add br-lan type veth peer name peer
ip link set peer up
exec {routes}< <(ip -6 monitor route)
SYSTEMD_LOG_TARGET=console /lib/systemd/systemd-networkd 2>$T/log &
while read -r -t 60 -u $routes line; do
    [[ $line != '2001:db8:1:202:abcd::/80 via fe80::9 dev br-lan '* ]] || exit 0
done
cat $T/log
exit 1
