# shellcheck shell=bash
sysctl -qw net.ipv6.conf.all.forwarding=0
# A default route as a router advertisement brings it.
ip -6 route replace default via $PEER proto ra
ends 1 $EVERYTHING --json >"$T/log/report"
same "$(sysctl -n net.ipv6.conf.all.forwarding)" 0
jq -e '.steps[] | select(.id == "forwarding") | .state == "conflict" and (.reason | contains("accept_ra=1") and contains("goes at once"))' "$T/log/report"
jq -e '.steps[] | select(.id == "rotation").state == "changed"' "$T/log/report"
hint=$(jq -r '.steps[] | select(.id == "forwarding").hint' "$T/log/report")
# As it is printed; here is root already.
sudo() { "$@"; }
command=${hint#*\`}
eval "${command%%\`*}"
same "$(sysctl -n net.ipv6.conf.up0.accept_ra) $(sysctl -n net.ipv6.conf.all.forwarding)" '2 1' "$hint"
$EVERYTHING --json >"$T/log/report"
same "$(jq -r '[.steps[] | select(.id == "forwarding" or .id == "accept_ra").state] | join(" ")' "$T/log/report")" 'unchanged unchanged'
seen 3 --interface $ULA "http://[$FAR]/" >"$T/log/seen"
same "$(outside $P <"$T/log/seen")" 0
# What was right, and is not any more, is drift.
sysctl -qw net.ipv6.conf.up0.accept_ra=1
ends 1 $V6KIT status --json >"$T/log/status"
jq -e '.steps[] | select(.id == "accept_ra").state == "drifted"' "$T/log/status"
ends 1 $EVERYTHING --json >"$T/log/report"
jq -e '.steps[] | select(.id == "accept_ra") | .state == "conflict" and (.reason | contains("ends with its lifetime"))' "$T/log/report"
# With a route of somebody's own nothing hangs on it.
ip -6 route replace default via $PEER proto static
ip -6 route del default proto ra 2>/dev/null || true
$EVERYTHING >/dev/null
