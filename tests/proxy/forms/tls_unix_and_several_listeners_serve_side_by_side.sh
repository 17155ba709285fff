# shellcheck shell=bash
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=proxy \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null
start --listen tls://127.0.0.1:0 --listen 127.0.0.1:0 --listen '[::1]:0' --listen "unix:$T/proxy.sock" \
    --cert "$T/cert.pem" --key "$T/key.pem"
mapfile -t listening <<<"$all"
seen=$(
    get --proxy-cacert "$T/cert.pem" -x "https://$at" "$V6KIT_LAB_TARGET"
    get --proxy-cacert "$T/cert.pem" -p -x "https://$at" "$V6KIT_LAB_TARGET"
    get -x "http://${listening[1]}" "$V6KIT_LAB_TARGET"
    get -x "http://${listening[2]}" "$V6KIT_LAB_TARGET"
    get -x "socks5h://localhost$T/proxy.sock" "$V6KIT_LAB_TARGET"
    get --proxy-cacert "$T/cert.pem" -x "https://$at" --cacert "$V6KIT_LAB_TARGET_CA" "$V6KIT_LAB_TARGET_TLS"
)
rotates 6 "$seen"
# Neither half answers the other's language with silence.
is "$(get -x "http://$at" "$V6KIT_LAB_TARGET")" "error: this listener wants TLS"
get -x "https://${listening[1]}" --proxy-insecure "$V6KIT_LAB_TARGET" 2>/dev/null && exit 1
stop
[ ! -e "$T/proxy.sock" ]
