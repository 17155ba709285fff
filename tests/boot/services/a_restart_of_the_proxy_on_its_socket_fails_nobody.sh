# shellcheck shell=bash
mkdir -p /etc/default
echo 'V6KIT_PROXY_OPTIONS=--allow-destination 2001:db8:ffff::1/128' >/etc/default/v6kit-proxy
unit=v6kit-proxy.service
systemctl start v6kit-proxy.socket
same "$(state $unit)" inactive
ask() { curl -sSgf -m 90 "$@" -x http://127.0.0.1:1234 "$target"; }
case $(ask) in 2001:db8:1:*) ;; *) fail "not from the prefix" ;; esac
# It may answer before all of it is there.
is_active() { [ "$(state $unit)" = active ]; }
eventually is_active
same "$(may $unit)" "$(printf '0000000000000000 %.0s' 1 2 3 4)1 "
[ "$(uid $unit)" -ge 61184 ] || fail "no dynamic user: $(uid $unit)"
for asker in 1 2 3; do
    (until [ -e /root/stop ]; do
        if ask >>/root/asked 2>>/root/errors; then echo >>/root/asked; else echo >>/root/failed; fi
    done) &
done
lines() { wc -l </root/asked; }
for _ in 1 2 3 4; do
    before=$(lines)
    more() { [ "$(lines)" -gt $((before + 20)) ]; }
    eventually more
    systemctl restart $unit
done
systemctl reload $unit
touch /root/stop
wait
test ! -e /root/failed || fail "$(wc -l </root/failed) failed: $(cat /root/errors)"
same "$(systemctl show -P NRestarts $unit) $(result $unit)" '0 success'
# Killed, it is back.
kill -9 "$(main $unit)"
back() { ask >/dev/null 2>&1; }
eventually back
