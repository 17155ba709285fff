# Shared by the benchmarks: a private network namespace, nginx on the second core, CPU per request.
# Source it after `set -euo pipefail`.

repository=$(cd "$(dirname "$0")/../.." && pwd)

fail() { echo "$1" >&2; exit 2; }

need() {
    for program in "$@"; do
        command -v "$program" >/dev/null || fail "this benchmark needs $program"
    done
}

# build_example PACKAGE NAME: a program of the benchmarks themselves. Before enter_namespace, as is install_tool.
build_example() {
    [[ -n ${V6KIT_BENCH_INSIDE:-} ]] ||
        nice cargo build --release --locked --quiet --manifest-path "$repository/Cargo.toml" --package "$1" --example "$2"
}

# install_tool CRATE VERSION [PROGRAM]: a peer or tool from crates.io, built once into target/tools.
install_tool() {
    [[ -n ${V6KIT_BENCH_INSIDE:-} || -x $repository/target/tools/bin/${3:-$1} ]] ||
        nice -n 19 cargo install "$1" --version "$2" --locked --root "$repository/target/tools"
}

# Runs the script again inside a namespace of its own, where ports and addresses are ours alone.
enter_namespace() {
    if [[ -z ${V6KIT_BENCH_INSIDE:-} ]]; then
        exec env V6KIT_BENCH_INSIDE=1 unshare --user --map-root-user --net --mount --pid --fork --kill-child \
            --mount-proc bash "$0" "$@"
    fi
    ip link set lo up
    PATH=$PATH:/usr/sbin:/sbin
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    v6kit=${V6KIT:-$repository/target/release/v6kit}
    [[ -x $v6kit ]] || fail "build it first: cargo build --release"
    # Replies to any address of the prefix come back.
    ip -6 route add local 2001:db8:7::/64 dev lo
    client_core=${client_core:-${CLIENT_CORE:-0}}
    server_core=${server_core:-${SERVER_CORE:-1}}
}

# nginx with one worker, or $server_workers, on the server's core: 320 bytes of JSON on [::1]:8080, and with TLS on 8443.
start_nginx() {
    need nginx openssl
    local body='{"id":1234567,"name":"item 1234567","price":64208,"stock":2816,"rating":4,"text":"'
    body+=$(printf 'x%.0s' $(seq 1 $((318 - ${#body}))))'"}'
    [[ ${#body} == 320 ]]
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -addext 'subjectAltName=DNS:localhost,IP:::1' -addext basicConstraints=critical,CA:FALSE -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
    cat > "$work/nginx.conf" <<CONF
user root;
daemon on;
pid $work/nginx.pid;
error_log $work/error.log;
worker_processes ${server_workers:-1};
worker_rlimit_nofile 20000;
events { worker_connections 8192; }
http {
    access_log off;
    keepalive_requests 1000000000;
    default_type application/json;
    server {
        listen [::]:8080 backlog=4096;
        listen [::]:8443 ssl http2 backlog=4096;
        http2_max_concurrent_streams 1000;
        ssl_certificate $work/cert.pem;
        ssl_certificate_key $work/key.pem;
        location / { return 200 '$body'; }
    }
}
CONF
    taskset -c "$server_core" nginx -p "$work" -c "$work/nginx.conf" 2>"$work/nginx.out" || { cat "$work/nginx.out" >&2; return 1; }
}

# cpu COMMAND...: runs it on the client's core and prints user + system time in seconds.
cpu() {
    need /usr/bin/time
    taskset -c "$client_core" /usr/bin/time -o "$work/time" -f '%U %S' "$@" >"$work/out" 2>"$work/err" \
        || { cat "$work/err" >&2; return 1; }
    awk '{ print $1 + $2 }' "$work/time"
}

# median of the numbers on standard input
median() { sort -n | awk '{ a[NR] = $1 } END { print (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2 }'; }

per_request() { awk -v cpu="$1" -v n="$2" 'BEGIN { printf "%.2f\n", cpu * 1e6 / n }'; }

# crawl_all URL REQUESTS OPTION...: a crawl with everything on, whose CPU per request joins $work/v6kit.
crawl_all() {
    local url=$1 requests=$2 used
    shift 2
    rm -rf "$work/job"
    used=$(cpu "$v6kit" crawl "$url/items/{1..$requests}" -o "$work/job" --prefix 2001:db8:7::/64 -r 1000000/s \
        --threads 1 --cacert "$work/cert.pem" --json "$@")
    [[ $(jq .ok "$work/out") == "$requests" ]] || fail "items were lost: $(cat "$work/out")"
    per_request "$used" "$requests" >> "$work/v6kit"
    jq -c '{requests, rate, connections, addresses, bytes_stored}' "$work/out" > "$work/notes"
}

# compare TITLE PEER FILE: the peer's median and ours, and the ratio.
compare() {
    local peer ours
    peer=$(median < "$3")
    ours=$(median < "$work/v6kit")
    row "$1" "us/request" "ratio"
    row "  $2" "$peer" "1.00"
    row "  v6kit crawl" "$ours" "$(ratio "$ours" "$peer")"
    cat "$work/notes"
}

row() { printf '%-76s %10s %8s\n' "$@"; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f\n", a / b }'; }
