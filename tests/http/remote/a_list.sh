# shellcheck shell=bash
for n in 1 2 3; do echo "http://[::1]:8080/items/$n"; done | gzip >"$T/list.gz"
start_lists <<CONF
    location /moved { return 302 /list.gz?x=y; }
    location /items/ { return 200 \$uri; }
CONF
# Nobody's proxy is asked.
export http_proxy=http://[::1]:9 https_proxy=http://[::1]:9 ALL_PROXY=http://[::1]:9
crawl packed -i http://[::1]:8080/moved --robots ignore
SSL_CERT_FILE=$T/localhost.pem crawl tls -i https://[::1]:8443/list.gz --robots ignore
# What was read is read again, also where the list is gone.
rm "$T/list.gz"
code=0
"$V6KIT" crawl retry "$T/packed" --outcome ok >"$T/retried.json" 2>"$T/retried.err" || code=$?
echo "retried $code"
echo "items of the copy $(zstdcat "$T/packed/list.zst" | wc -l)"
