# shellcheck shell=bash
$SETUP
$V6KIT status --follow >"$T/log/follow" 2>&1 &
follow=$!
ip addr add 2001:db8:1::b/128 dev br0 nodad
eventually reaches 2001:db8:1::b
# A restarted firewall and another setup: it goes on.
nft flush ruleset
$SETUP
ip addr del 2001:db8:1::b/128 dev br0
shut() { ! reaches 2001:db8:1::b; }
eventually shut
eventually has '2001:db8:1::b is no address' "$T/log/follow"
kill $follow
wait $follow || true
$V6KIT teardown
