# shellcheck shell=bash
snapshot >"$T/log/before"
$V6KIT setup --for server --dry-run --json | jq -c '[.steps[] | {id, state}]' >"$T/log/plan"
$V6KIT setup --for server --json >"$T/log/report"
diff "$T/log/plan" <(jq -c '[.steps[] | {id, state}]' "$T/log/report")
same "$(jq -r '.prefix + " " + .device' "$T/log/report")" "$OWN/128 up0"
same "$(jq -r '.steps[] | select(.id == "net.core.somaxconn") | .state + " " + .after' "$T/log/report")" 'changed 65535'
same "$(nft list tables)" ''
same "$(ip -6 route show table local proto 86)" ''
same "$($V6KIT setup --for server --json | jq .changed)" 0
$V6KIT status
# Who calls this host reaches it as before.
started "$V6KIT" echo --listen '[::]:8080'
in_peer curl --silent --show-error --fail --output /dev/null "http://[$OWN]:8080/"
$V6KIT teardown
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
