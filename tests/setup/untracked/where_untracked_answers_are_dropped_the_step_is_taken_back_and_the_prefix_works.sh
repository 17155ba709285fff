# shellcheck shell=bash
nft -f - <<NFT
table inet guard {
$CHAINS
}
NFT
fetch2() { fetch && fetch; }
ends 1 $SETUP --conntrack notrack --json >"$T/log/report"
same "$(state)" conflict
reason | has 'taken back'
fetch2
nft list table inet v6kit | fails has notrack
$V6KIT status
# A later setup finds it still so; one without it is in order.
ends 1 $SETUP --conntrack notrack
$SETUP
fetch2
$V6KIT teardown
