# shellcheck shell=bash
proxy
# The target's own server reads no bodies: a second one, on an address of this host.
python3 "$TESTS/proxy/forms/upload_origin.py" "$T/port" &
server=$!
eventually test -s "$T/port"
stop
proxy --allow-destination ::1
head -c 50000000 /dev/urandom > "$T/upload"
sum=$(sha256sum < "$T/upload" | cut -d' ' -f1)
url="http://[::1]:$(cat "$T/port")/"
for how in "" "-p"; do
    for body in "-H Transfer-Encoding:chunked" ""; do
        answer=$(get -v -x "http://$at" $how $body -H "Expect: 100-continue" -T "$T/upload" "$url" 2>"$T/err")
        is "${answer% *}" "$sum"
        [[ ${answer#* } == $net:* ]]
        grep -q '100 Continue' "$T/err"
    done
done
kill $server
