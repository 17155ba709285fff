//! A service among others: logs, counters, reloads, draining, sockets handed over.

use super::{lab, wire};

#[test]
fn each_request_is_a_line_of_the_access_log_and_a_count() {
    lab(include_str!(
        "service/each_request_is_a_line_of_the_access_log_and_a_count.sh"
    ))
    .expect(0);
}

#[test]
fn a_renamed_log_is_opened_anew() {
    lab(r#"
        proxy --access-log "$T/log"
        get -o /dev/null -x "http://$at" "$V6KIT_LAB_TARGET"
        eventually test -s "$T/log"
        mv "$T/log" "$T/log.1"
        kill -HUP "$pid"
        eventually test -e "$T/log"
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
        include_str!("service/draining_lets_what_runs_finish_and_takes_nothing_new.py"),
    )
    .expect(0);
}

#[test]
fn grace_has_an_end_and_what_was_cut_is_logged() {
    lab(include_str!(
        "service/grace_has_an_end_and_what_was_cut_is_logged.sh"
    ))
    .expect(0);
}

#[test]
fn a_restart_under_socket_activation_loses_no_connection() {
    lab(include_str!(
        "service/a_restart_under_socket_activation_loses_no_connection.sh"
    ))
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
    lab(include_str!(
        "service/systemd_is_told_that_it_is_ready_alive_and_stopping.sh"
    ))
    .expect(0);
}
