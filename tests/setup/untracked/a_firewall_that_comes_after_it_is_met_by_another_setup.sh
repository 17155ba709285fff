# shellcheck shell=bash
$SETUP --conntrack notrack --json >"$T/log/report"
same "$(state)" changed
reason | has 'tried with the default gateway'
fetch
nft -f - <<'NFT'
table inet late {
chain a { type filter hook input priority 0; iifname up0 tcp sport 1-65535 ct state != { established, related } drop; }
}
NFT
fails fetch
ends 1 $SETUP --conntrack notrack --json >"$T/log/report"
same "$(state)" conflict
reason | has 'inet late a'
fetch
nft delete table inet late
$SETUP --conntrack notrack --json >"$T/log/report"
same "$(state)" changed
fetch
$V6KIT teardown
