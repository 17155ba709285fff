# shellcheck shell=bash
echo "2001:db8:80::80 localhost" > "$T/hosts"; mount --bind "$T/hosts" /etc/hosts
# What is sent to the proxy, and what of it arrives at the target.
proxy
coproc FAR { exec nsenter --net="$V6KIT_LAB_TARGET_NS" python3 "$TESTS/proxy/programs/recorder.py" "$T/far" 2001:db8:80::80 8443 2001:db8:80::80 443; }
read -r _ <&"${FAR[0]}"
mkfifo "$T/near.port"
python3 "$TESTS/proxy/programs/recorder.py" "$T/near" 127.0.0.1 0 127.0.0.1 "${at#*:}" > "$T/near.port" &
read -r near < "$T/near.port"
cp "$TESTS/proxy/programs/clients.py" "$T/clients.py"
"$PYTHON" "$T/clients.py" "$near"
for scheme in http socks5h; do
    get -x "$scheme://127.0.0.1:$near" --cacert "$V6KIT_LAB_TARGET_CA" https://localhost:8443/
done
key=$(openssl x509 -in "$V6KIT_LAB_TARGET_CA" -pubkey -noout | openssl pkey -pubin -outform der             | openssl dgst -sha256 -binary | base64)
for scheme in http socks5; do
    HOME=$T chromium-headless-shell --no-sandbox --disable-gpu --disable-quic --no-first-run                 --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage                 --user-data-dir="$(mktemp -d -p "$T")" --proxy-server="$scheme://127.0.0.1:$near"                 --ignore-certificate-errors-spki-list="$key" --dump-dom "https://$target:8443/" 2>>"$T/chromium.err"                 || { cat "$T/chromium.err" >&2; exit 1; }
done
stop
# A line for each connection, once both of its sides have ended.
recorded() { [ "$(wc -l <"$1")" = "$(wc -l <"$1.begun")" ]; }
eventually recorded "$T/near"
eventually recorded "$T/far"
python3 "$TESTS/proxy/programs/compare.py" "$T/near" "$T/far" "$net:"
