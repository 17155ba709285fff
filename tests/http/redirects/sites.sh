# shellcheck shell=bash
nginx_with 8080 <<'CONF'
        server {
            listen [::1]:8080; absolute_redirect off;
            location /chain/1 { return 301 ../chain/2; }
            location /chain/2 { return 302 /chain/3?x=y; }
            location /chain/3 { return 308 "http://[::1]:8080/end"; }
            location /end { return 200 "$request_method $request_uri $http_authorization"; }
            location /loop { return 302 /loop; }
            location /post { return 302 /end; }
            location /keep { return 307 /end; }
            location /away { return 302 http://[::1]:8081/there; }
            location /hidden { return 302 http://[::1]:8081/private; }
            location /odd { return 302 gopher://example.org/; }
            location /nowhere { return 304; }
            location / { return 404; }
        }
        server {
            listen [::1]:8081;
            location = /robots.txt { return 301 http://[::1]:8082/rules; }
            location / { return 200 "$http_host $http_authorization$http_cookie$http_proxy_authorization"; }
        }
        server {
            listen [::1]:8082;
            location = /rules { return 200 "User-agent: *\nDisallow: /private\n"; }
            location /private { return 200 open; }
        }
CONF
