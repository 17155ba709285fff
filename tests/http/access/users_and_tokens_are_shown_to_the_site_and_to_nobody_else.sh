# shellcheck shell=bash
nginx_with 8080 <<CONF
            server {
                listen [::1]:8080;
                location /basic { auth_basic x; auth_basic_user_file $T/users; return 200 "\$remote_user \$http_authorization"; }
                location /bearer { if (\$http_authorization != "Bearer t0ken.of-us") { return 401; } return 200 ok; }
                location / { return 200 "\$http_authorization"; }
            }
CONF
printf 'alice:%s\n' "$(openssl passwd -apr1 's3cret:x')" >"$T/users"
printf 't0ken.of-us\n' >"$T/token"
echo 'no token at all' >"$T/bad"
crawl user 'http://[::1]:8080/echo/{1..3}' -u 'alice:s3cret:x'
V6KIT_PASSWORD='s3cret:x' crawl environment 'http://[::1]:8080/echo/' -u alice
crawl none 'http://[::1]:8080/echo/' -u alice
crawl bearer 'http://[::1]:8080/bearer' --bearer-file "$T/token" -v
crawl bad 'http://[::1]:8080/bearer' --bearer-file "$T/bad"
crawl header 'http://[::1]:8080/bearer' -H 'Authorization: Digest s3cret-too' --format warc
crawl user 'http://[::1]:8080/echo/{1..3}' -u 'alice:another'
crawl user 'http://[::1]:8080/echo/{1..3}' -u 'bob:s3cret:x'
code=0; "$V6KIT" crawl retry "$T/user" --outcome ok >/dev/null 2>"$T/retry.err" || code=$?; echo "retry $code"
code=0; "$V6KIT" crawl retry "$T/user" --outcome ok -- -u 'alice:s3cret:x' >/dev/null 2>"$T/again.err" || code=$?; echo "again $code"
mkdir "$T/left"; cp -r "$T"/{user,environment,bearer,header} "$T/left/"; cp "$T"/*.err "$T/left/"
zcat "$T"/header/*.warc.gz >"$T/left/header.warc"
