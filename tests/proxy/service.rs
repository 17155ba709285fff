//! A service among others: logs, counters, reloads, draining, sockets handed over.

use super::{lab, wire};

#[test]
fn each_request_is_a_line_of_the_access_log_and_a_count() {
    lab(r#"
        proxy --auth a:p --access-log "$T/log" --metrics 127.0.0.1:0
        get -o /dev/null -x "http://a-session-7:p@$at" "$V6KIT_LAB_TARGET"
        get -o /dev/null -p -x "http://a:p@$at" "$V6KIT_LAB_TARGET"
        get -o /dev/null -x "socks5h://a:p@$at" "$V6KIT_LAB_TARGET"
        get -o /dev/null -x "http://a:p@$at" "$V6KIT_LAB_TARGET:99" || true
        get -o /dev/null -x "http://a:wrong@$at" "$V6KIT_LAB_TARGET"
        until [ "$(wc -l < "$T/log")" -ge 5 ]; do sleep 0.05; done
        page=$(curl -sS "http://$metrics/metrics")
        count() { grep -F "v6kit_proxy_requests_total{user=\"$1\",protocol=\"$2\",outcome=\"$3\"}" <<<"$page" | cut -d' ' -f2; }
        is "$(count a forward ok) $(count a connect ok) $(count a socks5 ok) $(count a forward refused) $(count '' forward auth_failed)" "1 1 1 1 1"
        grep -q "^v6kit_proxy_source_connections_total{net64=\"$net::/64\"} 3" <<<"$page"
        grep -q '^v6kit_proxy_bytes_total{user="a",direction="down"} [1-9]' <<<"$page"
        stop
        jq -e -s --arg net "$net:" 'length == 5 and
            (map(select(.outcome == "ok")) | length == 3 and all(.[]; .user == "a" and .status < 300
                and (.from | startswith($net)) and .bytes_down > 0 and .ms >= 0 and .client == "127.0.0.1"))
            and (.[0].session == "7") and (map(.outcome) | sort == ["auth_failed","ok","ok","ok","refused"])' "$T/log" \
            || { cat "$T/log"; exit 1; }
    "#)
    .expect(0);
}

#[test]
fn a_renamed_log_is_opened_anew() {
    lab(r#"
        proxy --access-log "$T/log"
        get -o /dev/null -x "http://$at" "$V6KIT_LAB_TARGET"
        until [ -s "$T/log" ]; do sleep 0.05; done
        mv "$T/log" "$T/log.1"
        kill -HUP "$pid"
        until [ -e "$T/log" ]; do sleep 0.05; done
        get -o /dev/null -x "http://$at" "$V6KIT_LAB_TARGET"
        stop
        is "$(wc -l < "$T/log.1") $(wc -l < "$T/log")" "1 1"
    "#)
    .expect(0);
}

#[test]
fn a_full_disk_under_the_log_does_not_stop_the_service() {
    lab(r#"
        proxy --access-log /dev/full
        for _ in 1 2 3; do rotates 1 "$(get -x "http://$at" "$V6KIT_LAB_TARGET")"; done
        stop
        is "$(grep -c 'the access log cannot be written' "$T/proxy.err")" 1
    "#)
    .expect(0);
}

#[test]
fn draining_lets_what_runs_finish_and_takes_nothing_new() {
    wire(
        "--grace 60s --access-log \"$T/log\"",
        "",
        r#"
import os, signal
pid = int(os.popen("pgrep -n -x v6kit").read())
code, _, made = socks("2001:db8:80::80", 80)
check("a tunnel", code, 0)
# A tunnel on a connection that carried a request before.
def head(made):
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += exactly(made, 1)
    return got.lower()
kept = connect()
kept.sendall(b"GET http://[2001:db8:80::80]/ HTTP/1.1\r\nHost: a\r\n\r\n")
exactly(kept, int(head(kept).split(b"content-length: ")[1].split(b"\r\n")[0]))
kept.sendall(b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\nHost: a\r\n\r\n")
check("CONNECT", head(kept)[:12], b"http/1.1 200")
os.kill(pid, signal.SIGTERM)
while True:
    try:
        connect().close()
        time.sleep(0.05)
    except ConnectionRefusedError:
        break
    except ConnectionResetError:
        # It was waiting to be accepted.
        pass
for tunnel in (made, kept):
    tunnel.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert b"200 OK" in rest(tunnel)
"#,
    )
    .expect(0);
}

#[test]
fn grace_has_an_end_and_what_was_cut_is_logged() {
    lab(r#"
        proxy --grace 1s --access-log "$T/log"
        exec 3<>"/dev/tcp/${at/://}"
        printf 'CONNECT %s:80 HTTP/1.1\r\n\r\n' "$target" >&3
        read -r answer <&3
        [[ $answer == "HTTP/1.1 200"* ]]
        stop
        is "$(jq -r .outcome "$T/log")" cut
        # A second signal does not wait.
        proxy --grace 1h
        exec 4<>"/dev/tcp/${at/://}"
        printf 'CONNECT %s:80 HTTP/1.1\r\n\r\n' "$target" >&4
        read -r answer <&4
        kill -TERM "$pid"
        while (exec 5<>"/dev/tcp/${at/://}") 2>/dev/null; do sleep 0.05; done
        kill -TERM "$pid"
        wait "$pid"
    "#)
    .expect(0);
}

#[test]
fn a_restart_under_socket_activation_loses_no_connection() {
    lab(r#"
        cat > "$T/activate.py" <<'PY'
# What systemd does: one listening socket, passed to each new process as descriptor 3.
import os, signal, socket, subprocess, sys, time, threading
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 0))
listener.listen(1024)
at = "127.0.0.1:%d" % listener.getsockname()[1]
def start():
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.dup2(write, 1)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="proxy")
        os.execv(os.environ["V6KIT"], ["v6kit", "proxy", "--json", "--prefix", os.environ["V6KIT_LAB_PREFIX"]])
    os.close(write)
    ready = os.fdopen(read).readline()
    assert at in ready, ready
    return pid
stop = threading.Event()
asked, failed = [], []
def ask():
    while not stop.is_set():
        run = subprocess.run(["curl", "-sS", "-g", "-m", "60", "-p", "-x", "http://" + at, os.environ["V6KIT_LAB_TARGET"]],
            capture_output=True, text=True)
        (asked if run.returncode == 0 else failed).append(run.stdout + run.stderr)
pid = start()
askers = [threading.Thread(target=ask) for _ in range(3)]
for asker in askers: asker.start()
for _ in range(4):
    before = len(asked)
    while len(asked) < before + 10: time.sleep(0.02)
    new = start()
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    pid = new
stop.set()
for asker in askers: asker.join()
os.kill(pid, signal.SIGTERM)
os.waitpid(pid, 0)
assert not failed, failed[:3]
assert len(set(asked)) == len(asked) >= 40
PY
        python3 "$T/activate.py"
    "#)
    .expect(0);
}

#[test]
fn a_second_proxy_on_the_same_port_is_refused() {
    lab(r#"
        proxy
        "$V6KIT" proxy --prefix "$V6KIT_LAB_PREFIX" --listen "$at" 2>"$T/err" && exit 1
        is $? 2
        grep -q "cannot listen on $at" "$T/err"
        grep -q '^hint: another program listens there' "$T/err"
    "#)
    .expect(0);
}

#[test]
fn a_missing_capability_is_named() {
    lab(r#"
        code=0
        setpriv --bounding-set -net_bind_service --inh-caps -net_bind_service \
            "$V6KIT" proxy --prefix "$V6KIT_LAB_PREFIX" --listen 127.0.0.1:80 2>"$T/err" || code=$?
        is "$code" 4
        grep -q 'CAP_NET_BIND_SERVICE' "$T/err"
    "#)
    .expect(0);
}

#[test]
fn systemd_is_told_that_it_is_ready_alive_and_stopping() {
    lab(r#"
        cat > "$T/manager.py" <<'PY'
# What systemd does for Type=notify-reload with WatchdogSec=1.
import os, signal, socket, subprocess, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = sys.argv[1] + "/notify"
manager.bind(path)
manager.settimeout(60)
proxy = subprocess.Popen(
    [os.environ["V6KIT"], "proxy", "--prefix", os.environ["V6KIT_LAB_PREFIX"], "--listen", "127.0.0.1:0", "--grace", "7s"],
    env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}, stdout=subprocess.DEVNULL)
def told(wanted):
    seen = []
    while wanted not in seen:
        seen += manager.recv(4096).decode().splitlines()
    return seen
told("READY=1")
told("STATUS=serving 0 connections")
for _ in range(4):
    told("WATCHDOG=1")
proxy.send_signal(signal.SIGHUP)
assert any(line.startswith("MONOTONIC_USEC=") for line in told("READY=1"))
told("WATCHDOG=1")
proxy.send_signal(signal.SIGTERM)
told("STOPPING=1")
assert proxy.wait(60) == 0
PY
        python3 "$T/manager.py" "$T"
    "#)
    .expect(0);
}
