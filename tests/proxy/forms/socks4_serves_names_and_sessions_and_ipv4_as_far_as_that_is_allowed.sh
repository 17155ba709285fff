# shellcheck shell=bash
echo "2001:db8:80::80 new.test" > "$T/hosts"; mount --bind "$T/hosts" /etc/hosts
proxy --access-log "$T/log"
rotates 2 "$(for _ in 1 2; do get -x "socks4a://$at" http://new.test/; done)"
same=$(for _ in 1 2; do get -x "socks4a://job-session-7@$at" http://new.test/; done)
rotates 1 "$(sort -u <<<"$same")"
for how in "socks4://$at http://192.0.2.1" "socks4a://$at http://nowhere.invalid"; do
    # shellcheck disable=SC2086
    get -x $how 2>"$T/err" && exit 1
    grep -q 'rejected' "$T/err" || { cat "$T/err"; exit 1; }
done
# BIND, and a command that does not exist.
for command in 2 3; do
    exec 7<>"/dev/tcp/${at%:*}/${at##*:}"
    printf "\\4\\$command\\0\\0\\0\\0\\0\\0\\0" >&7
    is "$(od -An -tx1 -N8 <&7 | tr -d ' ')" "005b000000000000"
    exec 7>&-
done
stop
is "$(jq -r '"\(.protocol) \(.outcome) \(.status)"' "$T/log" | sort | uniq -c | tr -s ' \n' ' ')" \
    " 1 socks4 ipv4_only 91 1 socks4 name_servers 91 4 socks4 ok 90 2 socks4 unsupported 91 "
# There is no password in it.
proxy --auth a:p
get -x "socks4a://a@$at" http://new.test/ 2>"$T/err" && exit 1
grep -q 'rejected' "$T/err"
