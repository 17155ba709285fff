# shellcheck shell=bash
proxy
first=$(ask a-session-1 "$url/")
# In a tunnel, whose answers the proxy does not see, too; twice is once.
away() { get "${@:2}" -x "http://a-session-1:x@$at" "$1"; }
is "$(away "$url/" -p --proxy-header "X-V6kit-Rotate: $first" >"$T/tunnel"; cat "$T/tunnel")" "$(away "$url/" -p --proxy-header "X-V6kit-Rotate: $first")"
second=$(ask a-session-1 "$url/")
is "$(cat "$T/tunnel")" "$second"
[ "$second" != "$first" ]
is "$(away "$url/" -H "X-V6kit-Rotate: $first")" "$second"
third=$(away "$url/" -H "X-V6kit-Rotate: $second")
rotates 3 "$first
$second
$third"
# The origin is not told, and who has no session has nothing to turn.
away "$url/fields" -H "X-V6kit-Rotate: $first" >"$T/fields"
if grep -q v6kit "$T/fields"; then cat "$T/fields"; exit 1; fi
code() { get -o /dev/null -w '%{http_code}' "$@" "$url/"; }
is "$(code -x "http://a:x@$at" -H "X-V6kit-Rotate: $first") $(code -x "http://a-session-1:x@$at" -H 'X-V6kit-Rotate: now')" "400 400"
# Counted by the client, it needs no memory of the proxy's.
rotates 3 "$(for n in 0 1 2; do ask "b-session-1-rotate-$n" "$url/"; done)"
is "$(ask b-session-1-rotate-2 "$url/")" "$(ask b-rotate-2-session-1 "$url/")"
is "$(code -x "http://b-session-1-rotate-x:x@$at") $(code -x "http://b-rotate-1:x@$at")" "400 400"
