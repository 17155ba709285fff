# shellcheck shell=bash
systemctl enable -q --now nftables.service
v6kit setup --prefix $P --dev up0 --persist -q
nft list ruleset | has 'table inet v6kit'
for how in restart reload; do
    systemctl $how nftables.service
    eventually v6kit status -q
    same "$(state v6kit-setup.service)" active
    nft list ruleset | has 'table inet filter'
    nft list ruleset | has 'table inet v6kit'
done
systemctl stop v6kit-setup.service
if nft list ruleset | has 'table inet v6kit'; then fail 'not torn down'; fi
if ip -6 route show table all | has "local $P"; then fail 'not torn down'; fi
same "$(state v6kit-check.timer)" inactive
systemctl start v6kit-setup.service
v6kit status -q
same "$(state v6kit-check.timer)" active
