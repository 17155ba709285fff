# shellcheck shell=bash
same "$(state gateway.service)" active
same "$(state v6kit-setup.service) $(result v6kit-setup.service)" 'active success'
# In its sandbox the unit was answered by the gateway, and not kept from asking.
journalctl -b -o cat -u v6kit-setup.service >/root/log
has 'tried with the default gateway' /root/log || fail "$(cat /root/log)"
nft list table inet v6kit | has notrack
v6kit status
# A service on every address: shut at those of the prefix, open at those of this machine.
systemd-run -q --unit web v6kit echo --listen '[::]:8080'
web() { ip netns exec gateway curl -sgf --max-time 2 -o /dev/null "http://[$1]:8080/healthz"; }
eventually web 2001:db8:fffe::2
if web 2001:db8:1::1234; then fail 'the prefix is open'; fi
# An address event: on another device, so that the rule of the incoming one does not know it.
same "$(state v6kit-addresses.service)" active
ip link add inner type veth peer name inner-end
ip link set inner up
ip addr add 2001:db8:1::77/128 dev inner nodad
eventually web 2001:db8:1::77
v6kit status >/dev/null
ip addr del 2001:db8:1::77/128 dev inner
shut() { ! web 2001:db8:1::77; }
eventually shut
if web 2001:db8:1::1234; then fail 'the prefix is open'; fi
same "$(state v6kit-addresses.service)" active
v6kit status >/dev/null
v6kit teardown --persist -q
