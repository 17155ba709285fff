//! The ways by which a program can send, each tried.

use super::lab;

#[test]
fn udp_leaves_from_the_prefix_however_it_is_sent_and_keeps_the_port_that_was_told() {
    lab(r#"
        udp_echo
        rotates 12 "$(from -- python3 "$TESTS/exec/datagrams.py")"
    "#)
    .expect(0);
}

#[test]
fn tcp_leaves_from_the_prefix_however_it_is_connected_or_is_refused() {
    lab(r#"
        at=2001:db8:80::80 own=$(ip -6 -o addr show dev "$V6KIT_LAB_DEV" scope global | grep -o '2001[^/ ]*' | head -n 1)
        export at own
        rotates 4 "$(from -- python3 "$TESTS/exec/streams.py" 2>"$T/err")"
        grep -q '2 connections to IPv4 refused, such as 192.0.2.1:80' "$T/err"
        grep -q '1 refused, as the program had bound the socket to a port of every address before' "$T/err"
        grep -q '1 left from an address that the program chose' "$T/err"
    "#)
    .expect(0);
}

#[test]
fn a_static_program_and_other_tables_of_system_calls_do_not_get_by() {
    lab(r#"
        gcc -static -O1 -o "$T/doors" "$TESTS/exec/doors.c"
        from -- "$T/doors" 2>"$T/err"
        grep -q 'doors uses system calls of another table' "$T/err"
    "#)
    .expect(0);
}

#[test]
fn threads_that_connect_at_once_lose_nothing_while_signals_arrive() {
    lab(r#"
        gcc -static -O1 -pthread -o "$T/many" "$TESTS/exec/many.c"
        own=$(ip -6 -o addr show dev "$V6KIT_LAB_DEV" scope global | grep -o '2001[^/ ]*' | head -n 1)
        # 64 threads, 20,000 connections.
        is "$(from -- "$T/many" 64 313 2001:db8:80::80 "$own" 2>"$T/err")" "made 20032 lost 0 leaked 0"
        from --json -- "$T/many" 8 50 2001:db8:80::80 "$own" 2>"$T/json"
        is "$(jq '[.connections, .addresses]' -c "$T/json")" '[400,400]'
    "#)
    .expect(0);
}

#[test]
fn a_thread_with_its_own_descriptors_is_served_after_the_first_thread_has_ended() {
    lab(r#"
        gcc -O1 -pthread -o "$T/threads" "$TESTS/exec/threads.c"
        rotates 1 "$(from -- "$T/threads" 2001:db8:80::80)"
    "#)
    .expect(0);
}

#[test]
fn a_name_with_both_families_is_one_connection_and_the_resolvers_own_sockets_are_none() {
    lab(r#"
        printf '%s both.example\n' 2001:db8:80::80 192.0.2.80 2001:db8:80::81 > "$T/hosts"
        mount --bind "$T/hosts" /etc/hosts
        rotates 1 "$(from --log "$T/log" -- curl -sS -m 60 http://both.example/)"
        is "$(jq -c '[.program, .protocol, .to]' "$T/log")" '["curl","tcp","[2001:db8:80::80]:80"]'
    "#)
    .expect(0);
}

#[test]
fn a_socket_of_another_network_namespace_is_none_of_its_business() {
    lab(r#"
        from -- unshare --net sh -c 'ip link set lo up && ip -6 addr add 2001:db8:99::1/64 dev lo nodad &&
            python3 -c "
import socket
server = socket.create_server((\"2001:db8:99::1\", 8099), family=socket.AF_INET6)
client = socket.create_connection((\"2001:db8:99::1\", 8099))
assert client.getsockname()[0] == \"2001:db8:99::1\", client.getsockname()
"'
    "#)
    .expect(0);
}
