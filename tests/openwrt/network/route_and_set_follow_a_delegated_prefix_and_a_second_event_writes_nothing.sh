# shellcheck shell=bash
router v6kit-router apply
delegate 2001:db8:2:300:: 56 2001:db8:2:302::
before=$(disk)
hotplug ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1
has_route 2001:db8:2:302:abcd::/80
has_element 2001:db8:2:302:abcd::/80
not has_route $PREFIX
is "$(disk)" "$before" 'the disk after a new prefix'

# From here on every command that could change something is noted.
mv $R/usr/sbin/nft $R/usr/sbin/nft.real
printf '#!/bin/sh\ncase "$1" in list) ;; *) echo "nft $*" >>/etc/stub/changes ;; esac\nexec nft.real "$@"\n' >$R/usr/sbin/nft
printf '#!/bin/sh\ncase "$*" in *show*) ;; *) echo "ip $*" >>/etc/stub/changes ;; esac\nexec busybox ip "$@"\n' >$R/usr/sbin/ip
chmod 755 $R/usr/sbin/nft $R/usr/sbin/ip
before=$(disk; memory)
hotplug ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1
is "$(disk; memory)" "$before" 'files after the same event'
[ ! -e $R/etc/stub/changes ] || { cat $R/etc/stub/changes; exit 1; }

# The same watch does see a change.
delegate 2001:db8:3:300:: 56 2001:db8:3:302::
hotplug ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1
grep -q 'ip -6 route add 2001:db8:3:302:abcd::/80' $R/etc/stub/changes
