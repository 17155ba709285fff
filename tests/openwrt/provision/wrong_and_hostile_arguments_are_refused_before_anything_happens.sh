# shellcheck shell=bash
before=$(state)
refused() {
    code=0
    provision "$@" 2>$T/err || code=$?
    is $code 2 "exit code of $*"
    is $(wc -l <$T/err) 1 'lines of the message'
}
refused --host
refused --host 'fe80::9;touch /tmp/owned' --prefix 2001:db8::/64
refused --host $'fe80::9\ntouch /tmp/owned' --prefix 2001:db8::/64
refused --host fe80::9
refused --host fe80::9 --prefix 2001:db8::1/64
refused --host fe80::9 --prefix 2001:db8::/64 --base lan
refused --host fe80::9 --prefix 2001:db8::/64 --lan 'lan$(touch /tmp/owned)'
refused --host fe80::9 --prefix 2001:db8::/64 --udp-port 65536
refused --host fe80::9 --prefix 2001:db8::/64 --name a.b
refused --host fe80::9 --prefix 2001:db8::/64 --name main
refused --host fe80::9 --prefix 2001:db8::/64 '-oProxyCommand=touch /tmp/owned'
refused --host fe80::9 --prefix 2001:db8::/64 'root@router;touch /tmp/owned'
refused --bogus
[ ! -e $R/tmp/owned ]
is "$(state)" "$before" 'the router'
