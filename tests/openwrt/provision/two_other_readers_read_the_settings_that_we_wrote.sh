# shellcheck shell=bash
provision $ARGS --udp-port 443 --udp-port 8443 --ping drop >/dev/null
is "$(router uci show v6kit-router | sort)" "$(sort <<'END'
v6kit-router.main=settings
v6kit-router.main.enabled='1'
v6kit-router.main.lan='lan'
v6kit-router.main.wan='auto'
v6kit-router.main.notrack='1'
v6kit-router.main.ping='drop'
v6kit-router.main.conntrack='keep'
v6kit-router.main.udp_port='443' '8443'
v6kit-router.crawler=prefix
v6kit-router.crawler.host='fe80::9'
v6kit-router.crawler.base='lan'
v6kit-router.crawler.part='::abcd:0:0:0/80'
END
)" 'as uci shows it'
"$PYTHON" - $R/etc/config/v6kit-router <<'END'
import sys
from netjsonconfig import OpenWrt
text = 'package v6kit-router\n\n' + open(sys.argv[1]).read()
sections = {s['config_value']: s for s in OpenWrt(native=text).config['v6kit-router']}
assert sections['main']['config_name'] == 'settings', sections
assert sections['main']['udp_port'] == ['443', '8443'], sections
assert sections['main']['ping'] == 'drop', sections
assert sections['crawler'] == {
    'config_name': 'prefix', 'config_value': 'crawler',
    'host': 'fe80::9', 'base': 'lan', 'part': '::abcd:0:0:0/80',
}, sections
END
