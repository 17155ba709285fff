# shellcheck shell=bash
$EVERYTHING >/dev/null
check() {
    seen 5 --interface $ULA "http://[$FAR]/" >"$T/log/seen"
    same "$(outside $P <"$T/log/seen")" 0 "$1: $(cat "$T/log/seen")"
    same "$(sort -u "$T/log/seen" | wc -l)" 5
    $V6KIT status >/dev/null || fail "$1: $($V6KIT status)"
}
# As docker and libvirt have it, made anew as at their start.
for _ in 1 2; do
    nft -f - <<'RULES'
add table ip6 nat
delete table ip6 nat
table ip6 nat {
    chain POSTROUTING {
        type nat hook postrouting priority srcnat; policy accept;
        ip6 saddr fd00:a::/64 oifname != "vm0" masquerade
    }
}
RULES
    check docker
done
# As firewalld has it: all of its table goes and comes.
for _ in 1 2; do
    nft -f - <<'RULES'
add table inet firewalld
delete table inet firewalld
table inet firewalld {
    chain nat_POSTROUTING {
        type nat hook postrouting priority srcnat + 10; policy accept;
        jump nat_POST_public
    }
    chain nat_POST_public {
        oifname "up0" masquerade
    }
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        iifname "vm0" accept
        reject with icmpx admin-prohibited
    }
}
RULES
    check firewalld
done
