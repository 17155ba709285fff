# shellcheck shell=bash disable=SC2154
# A site of the files in $T on 8080, and on 8443 with a certificate of its own; what else it has is on standard input.
start_lists() {
    self_signed localhost -addext subjectAltName=DNS:localhost,IP:::1 -addext basicConstraints=critical,CA:FALSE
    nginx_with 8443 <<CONF
        server {
            listen [::1]:8080;
            listen [::1]:8443 ssl;
            ssl_certificate $T/localhost.pem;
            ssl_certificate_key $T/localhost.key;
            root $T;
            $(cat)
        }
CONF
}
