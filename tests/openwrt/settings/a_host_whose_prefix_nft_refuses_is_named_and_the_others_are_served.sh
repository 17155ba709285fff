# shellcheck shell=bash
mv $R/usr/sbin/nft $R/usr/sbin/nft.real
cat >$R/usr/sbin/nft <<'END'
#!/bin/sh
case "$1" in -f) text=$(cat "$2") ;; *) text="$*" ;; esac
case "$text" in *'element inet fw4 v6kit_prefix'*2001:db8:9::*) echo 'Error: no room for 2001:db8:9::' >&2; exit 1 ;; esac
exec nft.real "$@"
END
chmod 755 $R/usr/sbin/nft
refused 'c: nft refuses 2001:db8:9::/48, which stays tracked (Error: no room for 2001:db8:9::)'
says "$(nft list set inet fw4 v6kit_prefix)" $PREFIX
says "$(nft list set inet fw4 v6kit_prefix)" 2001:db8:1:230::/64
routed 2001:db8:9::/48 c
router fw4 check
# It is not tried again at every event, nor forgotten.
count=$(forks ACTION=ifupdate INTERFACE=wan6 ash -c '. /etc/hotplug.d/iface/90-v6kit-router')
[ $count -lt 30 ] || { echo "$count processes"; exit 1; }
says "$(router v6kit-router check || true)" 'problem: c: nft refuses'
# A manual apply tries again.
mv $R/usr/sbin/nft.real $R/usr/sbin/nft
router v6kit-router apply
says "$(nft list set inet fw4 v6kit_prefix)" 2001:db8:9::/48
router v6kit-router check
