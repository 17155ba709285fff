# shellcheck shell=bash
nsenter --net="$V6KIT_LAB_TARGET_NS" ip addr add 2001:db8:80::81/64 dev "$(nsenter --net="$V6KIT_LAB_TARGET_NS" ip -6 -o addr show to 2001:db8:80::80 | cut -d' ' -f2)" nodad
proxy --per host
is "$(for form in http socks5h socks4a; do get -x "$form://$at" "$url/"; get -p -x "http://$at" "$url/"; done | sort -u | wc -l)" 1
[ "$(get -x "http://a-session-1:x@$at" "$url/")" != "$(get -x "http://$at" "$url/")" ]
stop
proxy --per 3 --threads 1
rotates 3 "$(for _ in {1..9}; do get -x "http://$at" "$url/"; done | uniq)"
stop
proxy --per 1h --threads 1
rotates 1 "$(for _ in {1..5}; do get -x "http://$at" "$url/"; done | uniq)"
stop
proxy --per connection
rotates 5 "$(for _ in {1..5}; do get -x "http://$at" "$url/"; done)"
stop
code=0
"$V6KIT" proxy --prefix "$V6KIT_LAB_PREFIX" --per process 2>"$T/said" || code=$?
is "$code" 2
grep -q 'hint: .*host' "$T/said"
