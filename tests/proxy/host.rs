//! What this host does not permit or deliver, said where it is known.

use super::{lab, wire};

#[test]
fn a_prefix_that_is_not_delivered_is_this_hosts_fault_at_once() {
    wire(
        "--connect-timeout 2s --access-log \"$T/log\"",
        "ip -6 route del local \"$V6KIT_LAB_PREFIX\" dev lo",
        r#"
import subprocess
target = "2001:db8:80::80"
warned = open(f"{T}/proxy.err").read()
check("said at the start", ("is not delivered to this host" in warned, "v6kit setup --prefix 2001:db8:6::/64" in warned), (True, True))
def refused(name):
    began = time.monotonic()
    for request in (b"CONNECT [%s]:80 HTTP/1.1\r\n\r\n", b"GET http://[%s]/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
        status, answer = http(request % target.encode())
        check(name, (status, b"not_delivered" in answer, b"v6kit setup --prefix" in answer), (503, True, True))
    check(name + ": SOCKS5", socks(target, 80)[0], 3)
    check(name + ": a datagram", socks("::", 0, command=3)[0], 3)
refused("from the start")
# What the host's own address reaches is reached all the same, and the prefix as soon as it is delivered.
def route(what):
    subprocess.run(["ip", "-6", "route", what, "local", "2001:db8:6::/64", "dev", "lo"], check=True)
route("add")
while http(b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\n\r\nGET / HTTP/1.0\r\n\r\n")[0] != 200:
    pass
check("a destination that refuses is not the host", http(b"CONNECT [2001:db8:80::80]:99 HTTP/1.1\r\n\r\n")[0], 502)
# Gone while it serves: seen with the first connection that gets no answer.
route("del")
refused("gone")
"#,
    )
    .expect(0);
}

#[test]
fn a_prefix_that_nobody_answers_is_told_of_once_it_is_seen() {
    wire(
        "--connect-timeout 1s --access-log \"$T/log\"",
        "",
        r#"
import os, subprocess
def router(*words):
    subprocess.run(["nsenter", "--net=" + os.environ["V6KIT_LAB_ROUTER_NS"], "nft", *words], check=True)
def ask(host):
    return http(b"CONNECT [2001:db8:80::%x]:80 HTTP/1.1\r\n\r\n" % host)
for host in range(0x81, 0x84):
    subprocess.run(["nsenter", "--net=" + os.environ["V6KIT_LAB_TARGET_NS"], "ip", "addr", "add",
                    "2001:db8:80::%x/128" % host, "dev", "lo", "nodad"], check=True)
router("add table ip6 silence; add chain ip6 silence f { type filter hook forward priority 0; }; "
       "add rule ip6 silence f ip6 daddr 2001:db8:6::/64 drop")
check("one that is silent", (ask(0x80)[0], ask(0x80)[0], ask(0x81)[0]), (504, 504, 504))
status, answer = ask(0x82)
check("many", (status, b"prefix_silent" in answer, b"no connection from 2001:db8:6::/64 was answered by any of 3 destinations since" in answer),
      (503, True, True))
check("the hint", b"`v6kit verify --prefix 2001:db8:6::/64`" in answer, True)
check("SOCKS5", socks("2001:db8:80::83", 80)[0], 3)
router("delete table ip6 silence")
check("who refuses has answered", ask(0x81)[0], 502)
"#,
    )
    .expect(0);
}

#[test]
fn connections_are_fitted_to_the_open_files_and_that_is_said() {
    lab(r#"
        ulimit -n 556
        # Without the privilege to raise it again.
        limited() {
            exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource -- "$V6KIT" proxy --json --listen 127.0.0.1:0 "$@"
        }
        mkfifo "$T/ready"
        for asked in "" "--max-connections 5000" "--max-connections 50"; do
            # shellcheck disable=SC2086
            limited $asked > "$T/ready" 2> "$T/err" &
            pid=$!
            read -r ready < "$T/ready"
            at=$(jq -r '.listening[0]' <<<"$ready")
            case $asked in
                "") grep -q 'at most 100 client connections at a time: 556 open files' "$T/err" ;;
                *5000) grep -q 'at most 100 client connections at a time, not 5000: 556 open files.*raise `ulimit -n` to 15256' "$T/err" ;;
                *) grep 'at most' "$T/err" && exit 1 ;;
            esac
            kill -TERM "$pid" && wait "$pid"
        done
    "#)
    .expect(0);
}

#[test]
fn a_listener_of_multipath_tcp_is_served_like_any_other() {
    lab(r#"
        cat > "$T/listen.py" <<'PY'
import os, socket, sys
listening = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
listening.bind(("::1", 0))
listening.listen(16)
open(sys.argv[1], "w").write(str(listening.getsockname()[1]))
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
PY
        cat > "$T/client.py" <<'PY'
import os, socket, sys, threading
proxy, target = ("::1", int(sys.argv[1])), sys.argv[2]
bulk = os.urandom(8 << 20)
origin = socket.create_server(("::1", 0), family=socket.AF_INET6)
def serve():
    made, _ = origin.accept()
    got = b""
    while len(got) < len(bulk):
        got += made.recv(1 << 20)
    made.sendall(got)
    made.close()
threading.Thread(target=serve, daemon=True).start()
def connect():
    made = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
    made.settimeout(60)
    made.connect(proxy)
    return made
made = connect()
made.sendall(f"GET http://{target}/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
assert made.recv(65536).startswith(b"HTTP/1.1 200"), "forward"
made = connect()
made.sendall(f"CONNECT [::1]:{origin.getsockname()[1]} HTTP/1.1\r\n\r\n".encode())
assert made.recv(65536).startswith(b"HTTP/1.1 200"), "CONNECT"
threading.Thread(target=made.sendall, args=(bulk,), daemon=True).start()
got = b""
while piece := made.recv(1 << 20):
    got += piece
assert got == bulk, f"{len(got)} bytes came back"
PY
        mkfifo "$T/ready"
        python3 "$T/listen.py" "$T/port" "$V6KIT" proxy --json --prefix "$V6KIT_LAB_PREFIX" --allow-destination ::1 > "$T/ready" 2> "$T/err" &
        pid=$!
        read -r ready < "$T/ready" || { cat "$T/err" >&2; exit 1; }
        python3 "$T/client.py" "$(cat "$T/port")" "$target"
        kill -TERM "$pid" && wait "$pid"
    "#)
    .expect(0);
}

#[test]
fn a_listening_socket_that_was_not_passed_is_missed_in_words() {
    lab(r#"
        bash -c 'exec 3>&-; LISTEN_PID=$$ LISTEN_FDS=1 exec "$V6KIT" proxy' 2> "$T/err" || code=$?
        is "${code:-0}" 2
        grep -q 'descriptor 3 is not a listening socket' "$T/err"
    "#)
    .expect(0);
}
