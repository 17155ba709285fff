# Functions of the HTTP tests. Read by each script; runs in a namespace of its own with /etc to itself.
ip -6 addr add fd00::1/128 dev lo nodad
ip -6 addr add fd00::2/128 dev lo nodad
ip -6 addr add fd00::3/128 dev lo nodad

has_listener() { [ -n "$(ss -Hltn "sport = :$1")" ]; }
# Waits until something listens on TCP port $1.
listening() { eventually has_listener "$1"; }

# nginx with the server blocks on standard input; waits for port $1.
nginx_with() {
    mkdir -p "$T/nginx"
    {
        echo "user root; daemon off; master_process off; pid $T/nginx/pid; error_log $T/nginx/error.log;"
        echo "events { worker_connections 1024; }"
        echo "http { access_log $T/nginx/access.log; default_type text/plain;"
        for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $T/nginx;"; done
        cat
        echo "}"
    } >"$T/nginx/conf"
    nginx -e "$T/nginx/error.log" -c "$T/nginx/conf" &
    listening "$1"
}

# A certificate and its key in $T/$1.pem and $T/$1.key, signed by itself; the rest is for openssl.
self_signed() {
    local name=$1
    shift
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
        -keyout "$T/$name.key" -out "$T/$name.pem" "$@" 2>/dev/null
}

# Every name server is on loopback here, and this is it.
name_server() { echo "nameserver 127.0.0.1" >/etc/resolv.conf; }

# Crawls into $T/$1; the summary goes to $T/$1.json, and what is said to $T/$1.err. Prints the exit code.
crawl() {
    local job=$1 code=0
    shift
    "$V6KIT" crawl -o "$T/$job" -r max --json "$@" >"$T/$job.json" 2>"$T/$job.err" || code=$?
    echo "$job $code"
}
