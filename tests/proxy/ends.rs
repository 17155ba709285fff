//! How tunnels end: by half, by reset, by silence.

use super::lab;

/// Opens tunnels in every form, over every kind of listener, to a server of the test.
const TUNNELS: &str = include_str!("ends/tunnels.py");

/// Runs Python with [`TUNNELS`] against a proxy with a plain, a TLS and a Unix listener.
fn run(arguments: &str, python: &str, then: &str) {
    lab(&format!(
        r#"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=proxy \
            -addext subjectAltName=IP:127.0.0.1 -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null
        start --listen 127.0.0.1:0 --listen tls://127.0.0.1:0 --listen "unix:$T/proxy.sock" \
            --cert "$T/cert.pem" --key "$T/key.pem" --allow-destination ::1 --access-log "$T/log" {arguments}
        cat > "$T/client.py" <<'PY'
{TUNNELS}
{python}
PY
        LISTENING="$all" CERT="$T/cert.pem" \
            timeout 300 python3 "$T/client.py" "$at"
        stop
        {then}
        "#
    ))
    .expect(0);
}

#[test]
fn a_half_close_is_passed_on_both_ways_in_every_form() {
    run(
        "",
        include_str!("ends/a_half_close_is_passed_on_both_ways_in_every_form.py"),
        r#"jq -e -s 'length == 12 and all(.[]; .outcome == "ok")
            and (map(select(.bytes_up == 8 and .bytes_down == 4194304)) | length == 6)
            and (map(select(.bytes_up == 4194304 and .bytes_down == 8)) | length == 6)' "$T/log" || { cat "$T/log" >&2; exit 1; }"#,
    );
}

#[test]
fn a_transfer_that_was_torn_off_never_looks_complete() {
    run(
        "",
        include_str!("ends/a_transfer_that_was_torn_off_never_looks_complete.py"),
        r#"is "$(jq -r .outcome "$T/log" | sort | uniq -c | awk '{print $2}' | tr '\n' ' ')" "client_gone destination_gone ok ""#,
    );
}

#[test]
fn who_sends_waits_for_who_reads() {
    run("", include_str!("ends/who_sends_waits_for_who_reads.py"), "");
}

#[test]
fn what_is_silent_for_the_idle_timeout_is_ended_and_what_speaks_is_not() {
    run(
        "--idle-timeout 3s --handshake-timeout 1s",
        include_str!("ends/what_is_silent_for_the_idle_timeout_is_ended_and_what_speaks_is_not.py"),
        r#"is "$(jq -r '"\(.protocol) \(.outcome)"' "$T/log" | sort | uniq -c | awk '{print $1, $2, $3}')" \
"3 connect idle
3 connect ok
1 forward idle
1 forward ok
1 forward response_timeout
3 socks5 idle
3 socks5 ok
1 socks5-udp idle""#,
    );
}

#[test]
fn a_forwarded_answer_is_heard_as_it_comes_and_its_connection_ends_with_it() {
    run(
        "",
        include_str!("ends/a_forwarded_answer_is_heard_as_it_comes_and_its_connection_ends_with_it.py"),
        "",
    );
}

#[test]
fn a_server_that_speaks_first_is_heard_also_where_the_client_mostly_does() {
    run(
        "",
        r#"
server = socket.create_server(("::1", 8080), family=socket.AF_INET6)
server.settimeout(60)
port = 8080
for name, made, far in tunnels():
    far.sendall(b"220 ready\r\n")
    check(f"{name}: the greeting", exactly(made, 11), b"220 ready\r\n")
    made.sendall(b"EHLO a\r\n")
    check(f"{name}: the answer", exactly(far, 8), b"EHLO a\r\n")
    made.close()
    far.close()
"#,
        "",
    );
}
