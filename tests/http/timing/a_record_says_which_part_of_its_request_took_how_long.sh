# shellcheck shell=bash
printf 'fd00::2 timed.test\nfd00::3 silent.test\n' >>/etc/hosts
: >/etc/resolv.conf
self_signed server -addext subjectAltName=DNS:timed.test
nginx_with 8443 <<CONF
            server { listen [fd00::2]:8443 ssl http2; ssl_certificate $T/server.pem; ssl_certificate_key $T/server.key;
                     return 200 "\$server_protocol"; }
            server { listen [fd00::2]:8080; return 200 "\$server_protocol"; }
CONF
# It takes the connection and says nothing.
python3 -c 'import socket; s = socket.create_server(("fd00::3", 8081), family=socket.AF_INET6); input()' < <(sleep inf) &
listening 8081
cat >"$T/list" <<LIST
https://timed.test:8443/1
https://timed.test:8443/2
http://timed.test:8080/3
http://[fd00::2]:8080/4
http://silent.test:8081/5
LIST
for format in ndjson parquet warc; do
    for http in 1 auto; do
        crawl $format.$http -i "$T/list" --format $format --http $http --timing --cacert "$T/server.pem" -c 1 \
            --retries 0 --timeout 300ms --robots ignore
        "$V6KIT" crawl cat "$T/$format.$http" >"$T/$format.$http.lines"
    done
done
crawl plain -i "$T/list" --cacert "$T/server.pem" --retries 0 --timeout 300ms --robots ignore
crawl plain -i "$T/list" --cacert "$T/server.pem" --retries 0 --timeout 300ms --robots ignore --timing
