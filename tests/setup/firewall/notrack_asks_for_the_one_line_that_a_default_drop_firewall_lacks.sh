# shellcheck shell=bash
snapshot >"$T/log/before"
fetch() { curl --silent --show-error --fail --connect-timeout 2 --output /dev/null --interface $(random_address $P) "http://[$PEER]/"; }
ends 1 $SETUP --conntrack notrack --json >"$T/log/report"
same "$(jq -r '.steps[] | select(.id == "notrack").state' "$T/log/report")" conflict
# Nothing is broken by it: connections still work, tracked.
fetch
jq -r '.steps[] | select(.id == "notrack").hint' "$T/log/report" >"$T/log/hint"
# What the hint says to type is enough.
line=$(grep -oE '`nft [^`]*`' "$T/log/hint" | tr -d '`')
$line
conntrack --flush 2>/dev/null
$SETUP --conntrack notrack --json | jq -e '.steps[] | select(.id == "notrack").state == "changed"'
# It was tried with tracking first.
conntrack --flush 2>/dev/null
for i in 1 2 3 4 5; do fetch; done
same "$(tracked)" 0
$V6KIT status
$V6KIT teardown
for i in 1 2 3; do curl --silent --show-error --fail --output /dev/null "http://[$PEER]/"; done
test "$(tracked)" -ge 3
# Only that line is left of it all.
handle=$(nft -a list chain inet filter input | sed -n 's/.*untracked accept # handle //p')
nft delete rule inet filter input handle $handle
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
