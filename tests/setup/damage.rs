//! Files of the state that were emptied, cut, or not written to the end: every command judges by one reading.

use super::{ECHO, on_host};

#[test]
fn without_a_summary_every_command_goes_by_the_journal() {
    on_host(&format!(
        r#"{ECHO}
        $SETUP
        cp "$V6KIT_STATE_DIR/summary.json" "$T/log/summary"
        rm "$V6KIT_STATE_DIR/summary.json"
        $V6KIT status
        $V6KIT verify --endpoint "http://[$PEER]/" --count 2
        $V6KIT doctor --json >"$T/log/doctor" || true
        jq -e '.findings[] | select(.id == "setup").state == "ok"' "$T/log/doctor"
        # A plain user too, and the next setup writes it.
        setpriv --bounding-set=-all --inh-caps=-all -- $V6KIT verify --endpoint "http://[$PEER]/" --count 2
        $SETUP
        diff "$T/log/summary" "$V6KIT_STATE_DIR/summary.json"
        $V6KIT teardown"#
    ));
}

#[test]
fn a_journal_that_was_emptied_cut_or_removed_is_named_by_all_and_the_hint_makes_room_for_a_new_setup() {
    on_host(include_str!(
        "damage/a_journal_that_was_emptied_cut_or_removed_is_named_by_all_and_the_hint_makes_room_for_a_new_setup.sh"
    ));
}

#[test]
fn a_setup_that_was_cut_off_is_none_to_any_command() {
    on_host(
        r#"
        code=0
        strace -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:signal=SIGKILL:when=9 $SETUP >/dev/null 2>&1 || code=$?
        same $code 137
        ends 1 $V6KIT status >"$T/log/status"
        has 'was cut off' "$T/log/status"
        ends 2 $V6KIT verify 2>"$T/log/said"
        has "^why: the setup of $P was cut off before its end" "$T/log/said"
        ends 1 $V6KIT doctor >"$T/log/doctor" 2>&1
        has 'was cut off' "$T/log/doctor"
        # Without --dev, as it was typed.
        $V6KIT setup --prefix $P >/dev/null
        $V6KIT status
        $V6KIT teardown"#,
    );
}
