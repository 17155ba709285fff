# shellcheck shell=bash
# Starts a site that logs to $T/NAME.log; $url is where it is.
site() { # name, mode...
    local name=$1 port
    shift
    exec {out}< <(exec python3 "$TESTS/site/server.py" "$T/$name.log" "$@")
    read -r port <&"$out"
    url=http://[::1]:$port
}
# Crawls into $T/NAME without robots.txt; its exit code is in $exit.
crawl() { # name, argument...
    local name=$1
    shift
    exit=0
    "$V6KIT" crawl "$@" -o "$T/$name" --robots ignore --json >"$T/$name.json" 2>"$T/$name.err" || exit=$?
}
# nginx on [::1]:8080 and further ports, with this inside its http block; its log has a line a request.
start_nginx() { # configuration
    local as=
    mkdir -p "$T/nginx"
    [ "$(id -u)" != 0 ] || as="user root;"
    cat >"$T/nginx.conf" <<CONF
$as
worker_processes 1;
pid $T/nginx.pid;
error_log $T/nginx.err;
events { worker_connections 4096; }
http {
    access_log off;
    log_format plain '\$msec \$status \$uri';
    keepalive_requests 10000000;
    server_names_hash_max_size 8192;
    client_body_temp_path $T/nginx/1; proxy_temp_path $T/nginx/2; fastcgi_temp_path $T/nginx/3;
    uwsgi_temp_path $T/nginx/4; scgi_temp_path $T/nginx/5;
    $1
}
CONF
    nginx -c "$T/nginx.conf" 2>"$T/nginx.out" || { cat "$T/nginx.out" >&2; return 1; }
    trap 'kill "$(cat "$T/nginx.pid")"' EXIT
}
