# shellcheck shell=bash
uplink avpn avpn 0 $(delegated 2001:db8:77:: 48)
uplink lte wwan0 1 $(delegated 2001:db8:66:: 56 60) $(delegated 2001:db8:67:: 56 600)
settings 'set v6kit-router.main.conntrack=auto' 'set v6kit-router.b=prefix' 'set v6kit-router.b.host=fe80::b' 'set v6kit-router.b.base=wan' 'set v6kit-router.b.part=0:0:0:f0::/64' 'set v6kit-router.c=prefix' 'set v6kit-router.c.host=fe80::c' 'set v6kit-router.c.prefix=2001:db8:9::/48'
# What the kernel has is for the first network namespace to set.
echo 500000 >$T/max
for name in nf_conntrack_max nf_conntrack_buckets; do mount --bind $T/max $R/proc/sys/net/netfilter/$name; done
router v6kit-router apply
router v6kit-router check
event='for script in /etc/hotplug.d/iface/*; do . "$script"; done'
count=$(forks ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1 ash -c "$event")
[ $count -gt 5 ] && [ $count -lt 30 ] || { echo "$count processes"; cat $T/strace; exit 1; }
# The same count does see work.
delegate 2001:db8:2:300:: 56 2001:db8:2:302::
count=$(forks ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1 ash -c "$event")
[ $count -ge 30 ] || { echo "$count processes for a new prefix"; exit 1; }
has_route 2001:db8:2:302:abcd::/80
