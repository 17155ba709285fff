# shellcheck shell=bash
self_signed server -addext subjectAltName=IP:::1
nginx_with 8443 <<CONF
            server { listen [::1]:8443 ssl http2; ssl_certificate $T/server.pem; ssl_certificate_key $T/server.key;
                     http2_max_concurrent_streams 4; keepalive_requests 50; return 200 "\$server_protocol"; }
            server { listen [::1]:8444 ssl; ssl_certificate $T/server.pem; ssl_certificate_key $T/server.key;
                     return 200 "\$server_protocol"; }
CONF
mkdir "$T/www"; echo '{"from":"nghttpd"}' >"$T/www/item"
nghttpd --address=::1 -d "$T/www" 8445 "$T/server.key" "$T/server.pem" >/dev/null 2>&1 &
nghttpd --address=::1 -d "$T/www" --no-tls 8446 >/dev/null 2>&1 &
listening 8445; listening 8446
for port in 8443 8444; do
    crawl $port "https://[::1]:$port/{1..300}" --cacert "$T/server.pem" --robots ignore
done
crawl 8445 'https://[::1]:8445/item?{1..300}' --cacert "$T/server.pem" --robots ignore --http 2
crawl 8446 'http://[::1]:8446/item?{1..300}' --robots ignore --http 2
crawl one 'https://[::1]:8443/{1..300}' --cacert "$T/server.pem" --robots ignore --http 1
crawl two 'https://[::1]:8444/' --cacert "$T/server.pem" --robots ignore --http 2 --retries 0
