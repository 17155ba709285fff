# shellcheck shell=bash
echo "192.0.2.7 old.test" > "$T/hosts"; echo "::1 inside.test" >> "$T/hosts"
mount --bind "$T/hosts" /etc/hosts
# Nobody answers questions about names there.
echo "nameserver ::1" > "$T/resolv.conf"
mount --bind "$T/resolv.conf" /etc/resolv.conf
proxy --connect-timeout 2s
expect() { # status, kind, url
    for how in "" -p; do
        found=$(get -x "http://$at" $how -D "$T/head" -o "$T/body" -w '%{http_code} %{http_connect}' "$3" 2>/dev/null) || true
        case $how in -p) is "$found" "000 $1" ;; *) is "$found" "$1 000" ;; esac
        is "$(tr -d '\r' < "$T/head" | sed -n 's/^x-v6kit-error: //p')" "$2"
        [ -n "$how" ] || grep -q '^error: ' "$T/body"
    done
}
expect 502 refused "http://$target:99/"
expect 504 timeout "http://[2001:db8:99::1]/"
expect 502 unreachable "http://[2001:db8:98::1]/"
expect 502 prohibited "http://[2001:db8:97::1]/"
expect 502 name_servers "http://nowhere.invalid/"
grep -q 'no name server gives an answer' "$T/body"
# Without name servers to ask, what the files do not have does not exist (nsswitch.conf(5)).
echo "hosts: files" > "$T/nsswitch.conf"
mount --bind "$T/nsswitch.conf" /etc/nsswitch.conf
expect 502 name_not_found "http://nobody.invalid/"
expect 403 ipv4_only "http://192.0.2.7/"
expect 403 ipv4_only "http://old.test/"
expect 403 denied "http://[::1]/"
expect 403 denied "http://inside.test/"
expect 403 denied "http://[fe80::1]/"
expect 403 ipv4_only "http://[::ffff:127.0.0.1]/"
expect 403 denied "http://[fd00:ec2::254]/latest/meta-data"
expect 403 denied "http://[${net}::77]/"
expect 403 denied "http://[2001:db8:1::2]/"
get -x "http://$at" "ftp://$target/" | grep -q 'use CONNECT'
get "http://$at/" | grep -q 'this is a proxy'
