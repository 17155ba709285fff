# shellcheck shell=bash
proxy --auth alice:secret --auth bob:b:2
seen=$(
    for who in alice:secret bob:b%3A2 alice-session-x:secret; do
        get -x "http://$who@$at" "$V6KIT_LAB_TARGET"
        get -p -x "http://$who@$at" "$V6KIT_LAB_TARGET"
        get -x "socks5h://$who@$at" "$V6KIT_LAB_TARGET"
    done
)
is "$(grep -c "^$net:" <<<"$seen")" 9
for who in alice:wrong nobody:secret alice: alice:secre alice:secrets; do
    is "$(get -o /dev/null -w '%{http_code}' -x "http://$who@$at" "$V6KIT_LAB_TARGET")" 407
    is "$(get -o /dev/null -w '%{http_connect}' -p -x "http://$who@$at" "$V6KIT_LAB_TARGET" 2>/dev/null || true)" 407
    get -x "socks5h://$who@$at" "$V6KIT_LAB_TARGET" 2>"$T/err" && exit 1
    grep -qi 'rejected\|auth' "$T/err"
done
is "$(get -o /dev/null -w '%{http_code}' -x "http://$at" "$V6KIT_LAB_TARGET")" 407
get -D "$T/head" -o /dev/null -x "http://$at" "$V6KIT_LAB_TARGET"
grep -qi '^proxy-authenticate: Basic realm="v6kit"' "$T/head"
get -x "socks5h://$at" "$V6KIT_LAB_TARGET" 2>"$T/err" && exit 1
grep -qi 'auth' "$T/err"
# A client that is asked answers on the same connection.
is "$(get --proxy-anyauth -p -x "http://alice:secret@$at" -o /dev/null -w '%{http_code}' "$V6KIT_LAB_TARGET")" 200
