//! The long-running services under a real systemd, as whom and with what their units say.

use super::machine::{Install, Machine};

/// Sets the machine up and starts a target on http://[2001:db8:ffff::1]; `$target` is its URL.
const SET_UP: &str = include_str!("services/set_up.sh");

#[test]
fn a_crawl_goes_on_after_kill_9_and_stops_in_order() {
    let mut machine = Machine::boot(Install::Package);
    machine.run(
        &[
            SET_UP,
            include_str!("services/a_crawl_goes_on_after_kill_9_and_stops_in_order.sh"),
        ]
        .join("\n"),
    );
    machine.reboot();
    machine.run(
        r#"
        unit=v6kit-crawl@items.service
        directory=/var/lib/v6kit-crawl/items/records
        systemctl is-enabled -q $unit
        # The target is not enabled: bring it back before the last attempt is over.
        systemd-run -q --unit target v6kit echo --listen '[2001:db8:ffff::1]:80'
        systemctl reset-failed $unit || true
        systemctl restart $unit
        finished() { case $(state $unit) in inactive|failed) return 0 ;; *) return 1 ;; esac; }
        eventually finished
        v6kit crawl status $directory >/root/status || true
        has '3,000 of 3,000' /root/status || fail "$(cat /root/status)"
        v6kit crawl cat $directory | jq -e -s 'map(.pos) | length == 3000 and (unique | length == 3000)' >/dev/null
        "#,
    );
}

#[test]
fn a_crawl_that_is_refused_or_wrong_or_has_no_room_is_not_started_again() {
    let machine = Machine::boot(Install::Package);
    machine.run(
        &[
            SET_UP,
            include_str!("services/a_crawl_that_is_refused_or_wrong_or_has_no_room_is_not_started_again.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn a_restart_of_the_proxy_on_its_socket_fails_nobody() {
    let machine = Machine::boot(Install::Package);
    machine.run(
        &[
            SET_UP,
            include_str!("services/a_restart_of_the_proxy_on_its_socket_fails_nobody.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn solicitations_are_answered_with_the_right_to_raw_packets_alone() {
    let machine = Machine::boot(Install::Package);
    machine.run(
        &[
            SET_UP,
            include_str!("services/solicitations_are_answered_with_the_right_to_raw_packets_alone.sh"),
        ]
        .join("\n"),
    );
}
