# shellcheck shell=bash disable=SC2086,SC2154
snapshot >"$T/log/before"
$SETUP
nft list ruleset >"$T/log/saved"
$V6KIT teardown
nft -f "$T/log/saved"
ends 1 $V6KIT status >"$T/log/said"
has 'table inet v6kit with 10 rules is left of a setup: undone since' <"$T/log/said"
has 'v6kit teardown .*` removes it' <"$T/log/said"
ends 1 $V6KIT status --json >"$T/log/json"
jq -e '.remarks | map(contains("is left of a setup")) | any' "$T/log/json"
# The plan says so and changes nothing.
$SETUP --dry-run | has 'note: table inet v6kit .* it is removed first'
nft list table inet v6kit >/dev/null
$SETUP --json >"$T/log/report"
same "$(jq -r '.steps[] | select(.id == "inbound").state' "$T/log/report")" changed
$V6KIT status
$V6KIT teardown
# Where nothing of the new one lies in the table, it must not stay either.
nft -f "$T/log/saved"
$SETUP --inbound allow --conntrack keep
same "$(nft list ruleset)" ''
$V6KIT teardown
nft -f "$T/log/saved"
$V6KIT teardown --json >"$T/log/report"
same "$(jq -r '.leftovers[].what' "$T/log/report")" 'table inet v6kit with 10 rules'
nft -f "$T/log/saved"
# Nobody but root removes anything.
ends 0 setpriv --bounding-set -all --inh-caps -all --no-new-privs $V6KIT teardown
nft list table inet v6kit >/dev/null
$V6KIT teardown | has 'Removed: table inet v6kit with 10 rules is left of a setup'
$V6KIT teardown | has 'nothing to do'
# A journal of a boot that is over holds nothing in this one.
$SETUP
nft list ruleset >"$T/log/saved"
sed -i 's/"boot":"[^"]*"/"boot":"another"/' "$V6KIT_STATE_DIR/journal.jsonl"
ip -6 route flush table all proto 86
$SETUP
$V6KIT status
$V6KIT teardown
sysctl -qw net.ipv6.ip_nonlocal_bind=0 net.ipv4.tcp_tw_reuse=2 net.ipv4.tcp_max_tw_buckets=131072 \
    net.ipv4.ip_local_port_range='32768 60999'
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
