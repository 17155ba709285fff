//! What this host does not permit or deliver, said where it is known.

use super::{lab, wire};

#[test]
fn a_prefix_that_is_not_delivered_is_this_hosts_fault_at_once() {
    wire(
        "--connect-timeout 2s --access-log \"$T/log\"",
        "ip -6 route del local \"$V6KIT_LAB_PREFIX\" dev lo",
        include_str!("host/a_prefix_that_is_not_delivered_is_this_hosts_fault_at_once.py"),
    )
    .expect(0);
}

#[test]
fn a_prefix_that_nobody_answers_is_told_of_once_it_is_seen() {
    wire(
        "--connect-timeout 1s --access-log \"$T/log\"",
        "",
        include_str!("host/a_prefix_that_nobody_answers_is_told_of_once_it_is_seen.py"),
    )
    .expect(0);
}

#[test]
fn connections_are_fitted_to_the_open_files_and_that_is_said() {
    lab(include_str!(
        "host/connections_are_fitted_to_the_open_files_and_that_is_said.sh"
    ))
    .expect(0);
}

#[test]
fn a_listener_of_multipath_tcp_is_served_like_any_other() {
    lab(include_str!(
        "host/a_listener_of_multipath_tcp_is_served_like_any_other.sh"
    ))
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

#[test]
fn threads_that_cannot_be_started_are_told_before_anybody_connects() {
    lab(r#"
        ulimit -n 48
        code=0
        timeout 60 setpriv --bounding-set -sys_resource --inh-caps -sys_resource -- \
            "$V6KIT" proxy --listen 127.0.0.1:0 --threads 12 > "$T/out" 2> "$T/err" || code=$?
        # It ends by itself, and nobody was told to come.
        test "$code" = 1 || test "$code" = 2
        test ! -s "$T/out"
        grep -q '^why: .*Too many open files' "$T/err"
        grep -q '^hint: .*--threads' "$T/err"
    "#)
    .expect(0);
}
