//! Programs of the system that never end.

use super::on_host;

#[test]
fn an_nft_that_does_not_end_is_killed_and_named_and_everything_else_goes_on() {
    on_host(include_str!(
        "hanging/an_nft_that_does_not_end_is_killed_and_named_and_everything_else_goes_on.sh"
    ));
}

#[test]
fn a_router_behind_an_ssh_that_does_not_end_is_told_from_one_that_refuses() {
    on_host(
        r#"
        mkdir "$T/log/bin"
        ln -s "$(command -v sleep)" "$T/log/bin/hangs"
        printf '#!/bin/sh\nexec %s infinity\n' "$T/log/bin/hangs" >"$T/log/bin/ssh"
        chmod 755 "$T/log/bin/ssh"
        code=0
        PATH="$T/log/bin:$PATH" timeout 100 $V6KIT router check --host fe80::1 --prefix $P --ssh root@192.0.2.1 >"$T/log/said" 2>&1 || code=$?
        test $code -lt 124 || fail "it ended with $code"
        has -F '`ssh` did not end within' "$T/log/said" || fail "$(cat "$T/log/said")"
        if pgrep -x hangs; then fail 'it still runs'; fi"#,
    );
}
