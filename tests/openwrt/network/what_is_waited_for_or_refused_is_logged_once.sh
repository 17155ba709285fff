# shellcheck shell=bash
settings 'set v6kit-router.b=prefix' 'set v6kit-router.b.host=nobody' 'set v6kit-router.b.prefix=2001:db8:9::/48'
delegate none
for time in 1 2 3; do hotplug ACTION=ifupdate INTERFACE=wan6 || true; done
is $(grep -c 'waiting: crawler: lan has no global prefix yet' $R/tmp/log) 1 'lines about what is waited for'
is $(grep -c 'refused: b.host: `nobody` is not a link-local address' $R/tmp/log) 1 'lines about what is refused'
# Somebody else has the route: no news either after the first time.
ip -6 route add 2001:db8:8::/48 via fe80::77 dev br-lan
settings 'set v6kit-router.b.host=fe80::b' 'set v6kit-router.b.prefix=2001:db8:8::/48'
for time in 1 2 3; do hotplug ACTION=ifupdate INTERFACE=wan6 || true; done
is $(grep -c 'still to do: route: 2001:db8:8::/48 is routed elsewhere' $R/tmp/log) 1 'lines about the conflict'
# It is told again when it happens again.
delegate 2001:db8:1:200:: 56 2001:db8:1:202::
hotplug ACTION=ifupdate INTERFACE=wan6 || true
delegate none
hotplug ACTION=ifupdate INTERFACE=wan6 || true
is $(grep -c 'waiting: crawler: lan has no global prefix yet' $R/tmp/log) 2 'lines in all'
