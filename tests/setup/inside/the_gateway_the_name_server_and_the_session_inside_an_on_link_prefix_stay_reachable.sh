# shellcheck shell=bash
# The host's own address and its gateway lie in what is set up.
LAN=2001:db8:ffff::/64
in_peer ip addr add 2001:db8:ffff::53/64 dev down0 nodad
in_peer ip addr add 2001:db8:ffff::22/64 dev down0 nodad
in_peer ip -6 route add 2001:db8:ffff::7777/128 via $OWN
echo 'nameserver 2001:db8:ffff::53' >/etc/resolv.conf
snapshot >"$T/log/before"
SSH_CONNECTION="2001:db8:ffff::22 50000 $OWN 22" $V6KIT setup --prefix $LAN --dev up0 --json >"$T/log/report"
jq -r '.steps[] | select(.id == "neighbour") | .state + " " + .after' "$T/log/report" >"$T/log/neighbours"
diff "$T/log/neighbours" - <<'TEXT'
changed 2001:db8:ffff::1 dev up0 proto 86
changed 2001:db8:ffff::22 dev up0 proto 86
changed 2001:db8:ffff::53 dev up0 proto 86
TEXT
for address in $PEER 2001:db8:ffff::53 2001:db8:ffff::22; do ping -q -c 1 -W 5 $address; done
in_peer ping -q -c 1 -W 5 $OWN
same "$(fetch 2001:db8:ffff::7777)" 2001:db8:ffff::7777
$V6KIT status
# Again, without the session: its route stays.
same "$($V6KIT setup --prefix $LAN --dev up0 --json | jq -c '[.changed, ([.steps[] | select(.id == "neighbour")] | length)]')" '[0,3]'
# One that is gone is missing.
ip -6 route del 2001:db8:ffff::53
ends 1 $V6KIT status --json | jq -e '.steps[] | select(.found == null and .id == "neighbour").state == "missing"'
$V6KIT setup --prefix $LAN --dev up0
$V6KIT status
$V6KIT teardown
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
