# shellcheck shell=bash
proxy --auth a:p --access-log "$T/log" --metrics 127.0.0.1:0
get -o /dev/null -x "http://a-session-7:p@$at" "$V6KIT_LAB_TARGET"
get -o /dev/null -p -x "http://a:p@$at" "$V6KIT_LAB_TARGET"
get -o /dev/null -x "socks5h://a:p@$at" "$V6KIT_LAB_TARGET"
get -o /dev/null -x "http://a:p@$at" "$V6KIT_LAB_TARGET:99" || true
get -o /dev/null -x "http://a:wrong@$at" "$V6KIT_LAB_TARGET"
logged() { [ "$(wc -l < "$T/log")" -ge 5 ]; }
eventually logged
page=$(curl -sS "http://$metrics/metrics")
count() { grep -F "v6kit_proxy_requests_total{user=\"$1\",protocol=\"$2\",outcome=\"$3\"}" <<<"$page" | cut -d' ' -f2; }
is "$(count a forward ok) $(count a connect ok) $(count a socks5 ok) $(count a forward refused) $(count '' forward auth_failed)" "1 1 1 1 1"
grep -q "^v6kit_proxy_source_connections_total{net64=\"$net::/64\"} 3" <<<"$page"
grep -q '^v6kit_proxy_bytes_total{user="a",direction="down"} [1-9]' <<<"$page"
stop
jq -e -s --arg net "$net:" 'length == 5 and
    (map(select(.outcome == "ok")) | length == 3 and all(.[]; .user == "a" and .status < 300
        and (.from | startswith($net)) and .bytes_down > 0 and .ms >= 0 and .client == "127.0.0.1"))
    and (.[0].session == "7") and (map(.outcome) | sort == ["auth_failed","ok","ok","ok","refused"])' "$T/log" \
    || { cat "$T/log"; exit 1; }
