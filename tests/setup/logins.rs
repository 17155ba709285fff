//! The limit on open files that a login gets.

use super::on_host;

/// `login COMMAND…`: with the limits of a login; the first process has higher ones.
const LOGIN: &str = r#"
login() { prlimit --nofile=1024:4096 -- "$@"; }
LIMITED="login $SETUP --nofile 15000"
nofile() { jq -r '.steps[] | select(.id == "nofile") | '"$1" "$2"; }
prlimit --pid 1 --nofile=$(ulimit -Hn):
"#;

#[test]
fn a_login_is_raised_where_the_first_process_has_enough() {
    on_host(&format!(
        r#"{LOGIN}
        snapshot >"$T/log/before"
        $LIMITED --json >"$T/log/report"
        same "$(nofile .state "$T/log/report")" changed
        grep -q '^\* soft nofile 15000$' /etc/security/limits.d/90-v6kit.conf
        grep -q '^root hard nofile ' /etc/security/limits.d/90-v6kit.conf
        # The same again, from a shell of before and from a login that has got it.
        same "$($LIMITED --json | jq .changed)" 0
        same "$(prlimit --nofile=15000:15000 -- $SETUP --nofile 15000 --json | jq .changed)" 0
        $V6KIT status
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
}

#[test]
fn a_line_that_wins_is_named_with_its_file_and_the_step_is_a_conflict() {
    on_host(
        &[
            LOGIN,
            include_str!("logins/a_line_that_wins_is_named_with_its_file_and_the_step_is_a_conflict.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn lines_that_are_high_enough_or_come_before_ours_are_no_obstacle() {
    on_host(&format!(
        r#"{LOGIN}
        printf '%s\n' '* soft nofile 2048' 'www-data - nofile 100000' '@x - maxlogins 3' >/etc/security/limits.d/10-site.conf
        $LIMITED --json >"$T/log/report"
        same "$(nofile .state "$T/log/report")" changed
        $V6KIT teardown
        printf '%s\n' '* - nofile 20000' 'root - nofile 20000' >/etc/security/limits.d/95-site.conf
        $LIMITED --json >"$T/log/report"
        same "$(nofile .state "$T/log/report")" unchanged
        test ! -e /etc/security/limits.d/90-v6kit.conf
        $V6KIT teardown"#
    ));
}

#[test]
fn a_line_that_comes_after_setup_is_drift_even_where_setup_had_nothing_to_write() {
    on_host(&format!(
        r#"{LOGIN}
        printf '%s\n' '* - nofile 20000' 'root - nofile 20000' >/etc/security/limits.d/10-site.conf
        $LIMITED >/dev/null
        test ! -e /etc/security/limits.d/90-v6kit.conf
        $V6KIT status
        echo '@backup hard nofile 4096' >/etc/security/limits.d/99-later.conf
        ends 1 $V6KIT status --json >"$T/log/status"
        nofile .found "$T/log/status" | has -F '/etc/security/limits.d/99-later.conf:1 gives group backup 4096'
        rm /etc/security/limits.d/99-later.conf
        $V6KIT status
        $V6KIT teardown"#
    ));
}
