# shellcheck shell=bash
self_signed server -addext subjectAltName=IP:::1
self_signed client
cat "$T/client.key" "$T/client.pem" >"$T/both.pem"
nginx_with 8443 <<CONF
            server {
                listen [::1]:8443 ssl; ssl_certificate $T/server.pem; ssl_certificate_key $T/server.key;
                ssl_client_certificate $T/client.pem; ssl_verify_client on; return 200 "\$ssl_client_s_dn";
            }
CONF
crawl two 'https://[::1]:8443/' --cacert "$T/server.pem" --cert "$T/client.pem" --key "$T/client.key"
crawl one 'https://[::1]:8443/' --cacert "$T/server.pem" --cert "$T/both.pem"
crawl none 'https://[::1]:8443/' --cacert "$T/server.pem"
crawl foreign 'https://[::1]:8443/' --cacert "$T/server.pem" --cert "$T/client.pem" --key "$T/server.key"
# This one refuses during the handshake, which TLS 1.3 tells only afterwards.
openssl s_server -quiet -accept '[::1]:8445' -cert "$T/server.pem" -key "$T/server.key" -Verify 1 \
    -CAfile "$T/client.pem" -verify_return_error >/dev/null 2>&1 &
listening 8445
crawl refused 'https://[::1]:8445/' --cacert "$T/server.pem" --retries 0
