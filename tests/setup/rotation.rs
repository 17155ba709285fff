//! `setup --for everything`: what passes this host leaves from addresses of the prefix.

use super::{ECHO, on_host};

/// A network behind the host, by `vm0`, with a client that has a unique local address and one of a subnet that the
/// peer has a route to; and an address of the peer's that is not on the link.
const LAN: &str = include_str!("rotation/lan.sh");

#[track_caller]
fn beside_a_lan(script: &str) {
    on_host(&[ECHO, LAN, script].join("\n"));
}

#[test]
fn what_comes_in_by_a_device_leaves_from_addresses_of_a_part_of_the_prefix() {
    beside_a_lan(include_str!(
        "rotation/what_comes_in_by_a_device_leaves_from_addresses_of_a_part_of_the_prefix.sh"
    ));
}

#[test]
fn a_network_is_served_wherever_it_comes_in_and_this_host_only_by_name_and_consent() {
    beside_a_lan(include_str!(
        "rotation/a_network_is_served_wherever_it_comes_in_and_this_host_only_by_name_and_consent.sh"
    ));
}

#[test]
fn two_packets_of_one_flow_at_once_leave_from_one_address_and_so_does_one_after_it_was_forgotten() {
    on_host(
        &[
            ECHO,
            LAN,
            "cat >\"$T/log/flows.py\" <<'PYTHON'",
            include_str!("rotation/flows.py"),
            "PYTHON",
            include_str!("rotation/two_packets_of_one_flow_leave_from_one_address.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn it_is_undone_exactly_and_changes_nothing_the_second_time() {
    beside_a_lan(include_str!(
        "rotation/it_is_undone_exactly_and_changes_nothing_the_second_time.sh"
    ));
}

#[test]
fn others_that_translate_at_their_usual_priority_may_come_and_go() {
    beside_a_lan(include_str!(
        "rotation/others_that_translate_at_their_usual_priority_may_come_and_go.sh"
    ));
}

#[test]
fn what_broke_it_is_named_by_status_and_mended_by_setup() {
    beside_a_lan(include_str!(
        "rotation/what_broke_it_is_named_by_status_and_mended_by_setup.sh"
    ));
}

#[test]
fn translated_addresses_stay_tracked_beside_notrack_of_the_rest() {
    beside_a_lan(include_str!(
        "rotation/translated_addresses_stay_tracked_beside_notrack_of_the_rest.sh"
    ));
}

#[test]
fn forwarding_is_never_switched_on_and_what_it_would_do_is_said() {
    beside_a_lan(include_str!(
        "rotation/forwarding_is_never_switched_on_and_what_it_would_do_is_said.sh"
    ));
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_changed() {
    beside_a_lan(include_str!(
        "rotation/what_cannot_be_meant_is_refused_before_anything_is_changed.sh"
    ));
}
