# Shared by the benchmarks: a private network namespace, nginx on the second core, CPU per request.
# Source it after `set -euo pipefail`.

repository=$(cd "$(dirname "$0")/../.." && pwd)
source "$repository/tests/harness/wait.bash"

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

# nginx with one worker, or $server_workers, on the server's core: 320 bytes of JSON, or $BODY, on [::1]:8080, and with TLS
# on 8443. $tls is what else is set for TLS, and $work/resumed gets a line for each request: r for a resumed session.
start_nginx() {
    need nginx openssl
    local body='{"id":1234567,"name":"item 1234567","price":64208,"stock":2816,"rating":4,"text":"' size=${BODY:-320} location kind temporary=
    body+=$(head -c $((size - 2 - ${#body})) /dev/zero | tr '\0' x)'"}'
    [[ ${#body} == "$size" ]]
    # Where nginx has run as root, the paths that are compiled in belong to others.
    for kind in client_body proxy fastcgi uwsgi scgi; do temporary+="${kind}_temp_path $work/temporary-$kind; "; done
    # A longer one than 4 KB has no place in the file.
    mkdir "$work/www"
    echo -n "$body" > "$work/www/body"
    location="return 200 '$body';"
    ((size < 4000)) || location="root $work/www; rewrite ^ /body break;"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -addext 'subjectAltName=DNS:localhost,DNS:*.bench.test,IP:::1' -addext basicConstraints=critical,CA:FALSE -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
    cat > "$work/nginx.conf" <<CONF
user root;
daemon on;
pid $work/nginx.pid;
error_log $work/error.log;
worker_processes ${server_workers:-1};
worker_rlimit_nofile 60000;
events { worker_connections 25000; }
http {
    log_format resumed '\$ssl_session_reused';
    access_log ${log:-off} ${log:+resumed buffer=64k};
    $temporary
    keepalive_requests 1000000000;
    default_type application/json;
    server {
        listen [::]:8080 backlog=4096;
        listen [::]:8443 ssl http2 backlog=4096;
        http2_max_concurrent_streams 1000;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate $work/cert.pem;
        ssl_certificate_key $work/key.pem;
        ${tls:-}
        location / { $location }
    }
}
CONF
    taskset -c "$server_core" nginx -e "$work/error.log" -p "$work" -c "$work/nginx.conf" 2>"$work/nginx.out" || { cat "$work/nginx.out" >&2; return 1; }
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

# crawl_all URL REQUESTS OPTION...: a crawl with everything on, whose CPU per request joins $work/v6kit. With $repeat, of
# one URL.
crawl_all() {
    local url=$1 requests=$2 used what
    shift 2
    what=("$url/items/{1..$requests}")
    [[ -z ${repeat:-} ]] || what=("$url/items/1" --repeat "$requests")
    rm -rf "$work/job"
    used=$(cpu "$v6kit" crawl "${what[@]}" -o "$work/job" --prefix 2001:db8:7::/64 -r 1000000/s \
        --threads 1 --cacert "$work/cert.pem" --keep-free 0 --json "$@")
    [[ $(jq .ok "$work/out") == "$requests" ]] || fail "items were lost: $(cat "$work/out")"
    bytes_v6kit=$(jq ".bytes_in / .requests | round" "$work/out")
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

# wrk_all URL SECONDS CONNECTIONS: the same by wrk, whose CPU per request joins $work/wrk; $requests is how many it made.
wrk_all() {
    local used
    used=$(cpu wrk -t1 -c"$3" -d"$2s" "$1/items/1")
    ! grep -E 'Non-2xx|Socket errors' "$work/out" || fail "wrk did not get what it asked for"
    requests=$(awk '/requests in/ { print $1 }' "$work/out")
    bytes_wrk=$(awk '/requests in/ { unit = $5; sub(/[0-9.]+/, "", unit); split("B 1 KB 1024 MB 1048576 GB 1073741824", u)
        for (i = 1; i < 8; i += 2) if (u[i] == unit) printf "%.0f", ($5 + 0) * u[i + 1] / $1 }' "$work/out")
    per_request "$used" "$requests" >> "$work/wrk"
}

# Both sides read the same, as far as wrk's two decimals tell.
same_bytes() { awk -v a="$bytes_wrk" -v b="$bytes_v6kit" 'BEGIN { exit !(a > 0.97 * b && a < 1.03 * b) }' ||
    fail "wrk read $bytes_wrk bytes per answer, v6kit $bytes_v6kit"; }

# range FILE: the least and the most of some numbers.
range() { sort -n "$1" | awk 'NR == 1 { least = $1 } { most = $1 } END { print least " to " most }'; }
