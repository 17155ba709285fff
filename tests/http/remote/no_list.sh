# shellcheck shell=bash
truncate -s 2G "$T/huge"
start_lists <<CONF
    location /round { return 302 /round?again; }
    location /plain { return 302 http://[::1]:8080/huge; }
CONF
crawl gone -i 'http://[::1]:8080/none?token=s3cret'
crawl closed -i 'http://[::1]:9/list?token=s3cret'
crawl endless -i 'http://[::1]:8080/round'
crawl large -i 'http://[::1]:8080/huge'
crawl untrusted -i 'https://[::1]:8443/huge'
SSL_CERT_FILE=$T/localhost.pem crawl plain -i 'https://[::1]:8443/plain'
crawl password -i 'http://user:s3cret@[::1]:8080/list'
