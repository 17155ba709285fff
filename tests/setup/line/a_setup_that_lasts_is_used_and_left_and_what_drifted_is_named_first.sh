# shellcheck shell=bash disable=SC2034,SC2086,SC2154
$SETUP >/dev/null
snapshot >"$T/log/set-up"
$LINE -- true 2>"$T/log/err"
has 'is set up already: it is used and left' <"$T/log/err"
fails has '^warning' <"$T/log/err"
eventually are_watching 0
diff "$T/log/set-up" <(snapshot | cat) || fail 'changed'
sysctl -qw net.ipv6.ip_nonlocal_bind=0
# The one that is set up is the one that is meant.
$V6KIT setup --no-verify --plain -- sysctl net.ipv6.ip_nonlocal_bind 2>"$T/log/err" >"$T/log/out"
has 'ip_nonlocal_bind is 0 -> 1, and is left so' <"$T/log/err"
has '= 0' <"$T/log/out"
eventually are_watching 0
sysctl -qw net.ipv6.ip_nonlocal_bind=1
$V6KIT teardown >/dev/null
gone 'a lasting setup'
