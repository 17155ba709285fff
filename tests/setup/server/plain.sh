# shellcheck shell=bash
plain_server() {
    snapshot >"$T/log/before"
    $V6KIT setup --for server --dry-run --json | jq -c '[.steps[] | {id, state}]' >"$T/log/plan"
    $V6KIT setup --for server --json >"$T/log/report"
    diff "$T/log/plan" <(jq -c '[.steps[] | {id, state}]' "$T/log/report")
    same "$(jq -r '.steps[] | select(.id == "net.core.somaxconn") | .state + " " + .after' "$T/log/report")" 'changed 65535'
    same "$(jq -r '.steps[] | select(.id == "net.ipv4.ip_local_port_range").state' "$T/log/report")" changed
    jq -e --arg words "$1" '.remarks | any(contains($words))' "$T/log/report" >/dev/null || fail "$(cat "$T/log/report")"
    same "$(nft list tables)" ''
    same "$($V6KIT setup --for server --json | jq .changed)" 0
    $V6KIT status
    $V6KIT doctor >/dev/null || true
    sysctl -qw net.core.somaxconn=4096
    ends 1 $V6KIT status >/dev/null
    $V6KIT setup --for server
    $V6KIT status
    $V6KIT teardown
    snapshot >"$T/log/after"
    diff "$T/log/before" "$T/log/after"
}
NOTHING='nothing is done for IPv6'
