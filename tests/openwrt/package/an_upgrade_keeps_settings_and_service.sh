# shellcheck shell=bash
router v6kit-router apply
before=$(router uci show v6kit-router)
# opkg runs the scripts of the old package with PKG_UPGRADE=1, and stops the service.
cp $T/package/prerm $T/package/postrm $R/tmp/
router env PKG_UPGRADE=1 ash /tmp/prerm
router /etc/init.d/v6kit-router stop
cp $R/etc/config/v6kit-router $T/kept
router env PKG_UPGRADE=1 ash /tmp/postrm
cp -R $T/package/data/. $R/
cp $T/kept $R/etc/config/v6kit-router
router env PKG_UPGRADE=1 ash -e /tmp/postinst
router ash -c 'cd /etc/uci-defaults && ash ./90-v6kit-router && rm 90-v6kit-router'
router /etc/init.d/v6kit-router start
is "$(router uci show v6kit-router)" "$before" 'settings'
has_route $PREFIX
has_element $PREFIX
router v6kit-router check
