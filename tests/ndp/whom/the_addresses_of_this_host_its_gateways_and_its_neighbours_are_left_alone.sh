# shellcheck shell=bash
usable_prefix
ip -6 address add "${P}5/128" dev "$DEV" nodad
start_verbose --all --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
# All but the first come while it runs.
ip -6 address add "${P}15/128" dev "$DEV" nodad
ip -6 neighbour add "${P}6" lladdr 02:00:00:00:00:66 dev "$DEV" nud permanent
ip -6 route add 2001:db8:ffff::/48 via "${P}9" dev "$DEV" onlink
router ping -c 1 -W 30 "${P}5" >/dev/null
router ping -c 1 -W 30 "${P}15" >/dev/null
for host in 6 9; do
    if router ping -c 1 -W 1 "${P}$host"; then exit 9; fi
done
if router ping -c 1 -W 1 "$P"; then exit 9; fi
await logged "\"target\":\"${P}6\""
await logged "\"target\":\"${P}9\""
# They are nobody's any more.
ip -6 neighbour del "${P}6" dev "$DEV"
ip -6 route del 2001:db8:ffff::/48
router ip -6 neighbour flush dev lan
router ping -c 1 -W 30 "${P}6" >/dev/null
stop
