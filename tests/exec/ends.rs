//! How a run begins and ends, whoever dies first.

use super::lab;

#[test]
fn the_exit_status_input_and_signals_are_the_programs_own() {
    lab(include_str!(
        "ends/the_exit_status_input_and_signals_are_the_programs_own.sh"
    ))
    .expect(0);
}

#[test]
fn keys_of_a_terminal_reach_the_program_and_a_stopped_one_stops_its_front() {
    lab(r#"
        python3 "$TESTS/exec/terminal.py" "$V6KIT" "$V6KIT_LAB_PREFIX"
        python3 "$TESTS/exec/stopped.py" "$V6KIT" "$V6KIT_LAB_PREFIX"
    "#)
    .expect(0);
}

#[test]
fn what_a_program_leaves_running_is_served_on_after_its_status_was_returned() {
    lab(r#"
        mkfifo "$T/go"
        from -- sh -c 'setsid sh -c "read _ < $T/go; curl -sS -g $V6KIT_LAB_TARGET > $T/seen; echo done > $T/end" \
            >/dev/null 2>&1 & exit 3' && exit 1 || is $? 3
        echo > "$T/go"
        eventually test -s "$T/end"
        rotates 1 "$(cat "$T/seen")"
        # Nothing stays behind it.
        gone() { ! pgrep -f "exec --prefix $V6KIT_LAB_PREFIX" >/dev/null; }
        eventually gone
    "#)
    .expect(0);
}

#[test]
fn when_the_supervisor_is_killed_nothing_leaves_from_elsewhere_and_all_that_it_served_ends() {
    lab(include_str!(
        "ends/when_the_supervisor_is_killed_nothing_leaves_from_elsewhere_and_all_that_it_served_ends.sh"
    ))
    .expect(0);
}

#[test]
fn a_supervisor_killed_while_it_holds_a_connection_or_serves_a_daemon_ends_both() {
    lab(include_str!(
        "ends/a_supervisor_killed_while_it_holds_a_connection_or_serves_a_daemon_ends_both.sh"
    ))
    .expect(0);
}
