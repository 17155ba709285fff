# shellcheck shell=bash
ip -6 addr add 2001:db8::1/128 dev lo nodad
# What only users of this host and of its network should reach.
echo "::1 inside.test" >>/etc/hosts
nginx_with 8080 <<'CONF'
            log_format whole '$server_port $request_uri';
            server {
                listen [2001:db8::1]:8080;
                access_log @T@/nginx/asked whole;
                location /literal { return 302 http://[::1]:8081/secret; }
                location /name { return 302 http://inside.test:8081/secret; }
                location /private { return 307 http://[fd00::1]:8081/secret; }
                location /mapped { return 302 http://[::ffff:127.0.0.1]:8081/secret; }
                location /metadata { return 302 http://[fe80::a9fe:a9fe]/latest/; }
                location /twice { return 302 /literal; }
                location /public { return 302 http://[2001:db8::1]:8082/page; }
                location / { return 404; }
            }
            server {
                listen [::1]:8081; listen [fd00::1]:8081;
                access_log @T@/nginx/asked whole;
                location / { return 200 secret; }
            }
            server {
                listen [2001:db8::1]:8082;
                access_log @T@/nginx/asked whole;
                location = /robots.txt { return 302 http://[::1]:8081/robots.txt; }
                location / { return 200 page; }
            }
CONF
asked() { grep -c ^8081 "$T/nginx/asked" || true; }
all='http://[2001:db8::1]:8080'
crawl led "$all/{literal,name,private,mapped,metadata,twice}" --redirects 5
crawl obeying "$all/public" --redirects 5 --retries 0
crawl ignoring "$all/public" --redirects 5 --robots ignore
asked
# The job names the address, the host with its address, or the site itself.
crawl pinned "$all/{literal,name}" --redirects 5 --resolve 'inside.test:8081:::1'
crawl named "http://inside.test:8081/x" "$all/name" --redirects 5 --threads 1 -c 1 --robots ignore
crawl within 'http://[::1]:8081/x'
