# shellcheck shell=bash
# Cold boot: the LAN is up long before the provider has given a prefix.
delegate none
router /etc/init.d/v6kit-router start
hotplug ACTION=ifup INTERFACE=lan
says "$(router v6kit-router status)" 'crawler: lan has no global prefix yet'
delegate 2001:db8:1:200:: 56 2001:db8:1:202::
hotplug ACTION=ifup INTERFACE=wan6
has_route $PREFIX
has_element $PREFIX

# WAN down and up.
delegate none
hotplug ACTION=ifdown INTERFACE=wan6
delegate 2001:db8:1:200:: 56 2001:db8:1:202::
hotplug ACTION=ifup INTERFACE=wan6
has_route $PREFIX

# LAN down and up: the kernel takes the route along.
ip link set br-lan down
ip link set br-lan up
not has_route $PREFIX
ip addr add fe80::1/64 dev br-lan nodad 2>/dev/null || true
hotplug ACTION=ifup INTERFACE=lan
has_route $PREFIX

# The firewall reloads and restarts without us.
router fw4 reload
has_element $PREFIX
router fw4 restart
has_element $PREFIX
router /etc/init.d/v6kit-router reload
router v6kit-router check
