# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# The target on a port of its own, with TLS, and the scripts of the examples with what they import.
cp "$TESTS"/../examples/scripts/*.py .
PATH=$TESTS/../target/python/bin:$PATH
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=target \
    -addext 'subjectAltName=IP:2001:db8:80::80' -keyout key.pem -out cert.pem 2>/dev/null
TARGET='https://[2001:db8:80::80]:8443' CA=$PWD/cert.pem
export TARGET CA SSL_CERT_FILE=$CA CURL_CA_BUNDLE=$CA
nsenter --net="$V6KIT_LAB_TARGET_NS" "$V6KIT" echo --listen '[2001:db8:80::80]:8443' --cert cert.pem --key key.pem \
    $LIMIT -q &
eventually command curl --silent --fail --output healthy "$TARGET/healthz"
