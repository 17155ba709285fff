//! `setup --persist`, `setup --config` and their undoing, under a real systemd.

use super::machine::{Install, Machine};
use crate::harness::in_namespace;

#[test]
fn what_is_persisted_is_there_after_a_reboot_and_a_power_cut_and_gone_after_its_undoing() {
    let mut machine = Machine::boot(Install::Binary);
    machine.run(include_str!(
        "persist/what_is_persisted_is_there_after_a_reboot_and_a_power_cut_and_gone_after_its_undoing.sh"
    ));
    let there = r#"
        if [ "$(cat /root/boot)" = "$(cat /proc/sys/kernel/random/boot_id)" ]; then fail 'the same boot'; fi
        same "$(state v6kit-setup.service)" active
        v6kit status >/root/status || fail "$(cat /root/status)"
        for prefix in $P $P2; do
            has "$prefix" /root/status
            ip -6 route show table all | has "^local $prefix dev lo"
        done
        nft list table inet v6kit >/dev/null
    "#;
    machine.reboot();
    machine.run(there);
    machine.crash();
    machine.run(there);
    machine.run(
        r#"
        # One goes, the other stays.
        v6kit teardown --prefix $P2 --persist
        diff <(grep -v on-drift /etc/v6kit/host.toml) /root/one
        same "$(state v6kit-setup.service)" active
        v6kit status --prefix $P
        # Undone for now only: told that it comes back.
        v6kit teardown 2>&1 | has 'teardown --persist'
        v6kit teardown --persist >/root/out
        has '^Removed: /etc/v6kit/host.toml' /root/out
        same "$(state v6kit-setup.service) $(state v6kit-check.timer) $(state v6kit-addresses.service)" 'inactive inactive inactive'
        test ! -e /etc/v6kit
        test ! -e /var/lib/v6kit
        find /etc -type f | sort | xargs -d '\n' sha256sum 2>/dev/null >/root/etc.after
        diff /root/etc.before /root/etc.after
        v6kit teardown --persist | has 'Nothing was arranged'
        "#,
    );
    machine.reboot();
    machine.run(
        r#"
        if ip -6 route show table all | has '2001:db8:1::'; then fail 'set up again'; fi
        ends 1 v6kit status
        "#,
    );
}

#[test]
fn a_wish_killed_at_any_write_is_known_to_status_and_can_be_repeated_or_undone() {
    let machine = Machine::boot(Install::Binary);
    machine.run(include_str!(
        "persist/a_wish_killed_at_any_write_is_known_to_status_and_can_be_repeated_or_undone.sh"
    ));
}

#[test]
fn a_file_of_the_administrator_is_kept_and_put_back() {
    let machine = Machine::boot(Install::Package);
    machine.run(include_str!(
        "persist/a_file_of_the_administrator_is_kept_and_put_back.sh"
    ));
}

#[test]
fn a_restarted_or_reloaded_firewall_gets_our_table_back() {
    let machine = Machine::boot(Install::Package);
    machine.run(include_str!(
        "persist/a_restarted_or_reloaded_firewall_gets_our_table_back.sh"
    ));
}

#[test]
fn the_check_reports_drift_or_repairs_it_as_configured() {
    let machine = Machine::boot(Install::Package);
    machine.run(include_str!(
        "persist/the_check_reports_drift_or_repairs_it_as_configured.sh"
    ));
}

#[test]
fn without_systemd_the_wish_is_written_and_what_is_missing_is_said() {
    in_namespace(include_str!(
        "persist/without_systemd_the_wish_is_written_and_what_is_missing_is_said.sh"
    ))
    .expect(0);
}

#[test]
fn a_server_without_an_ipv6_address_is_set_up_at_every_boot_for_the_address_that_it_has_then() {
    in_namespace(include_str!(
        "persist/a_server_without_an_ipv6_address_is_set_up_at_every_boot_for_the_address_that_it_has_then.sh"
    ))
    .expect(0);
}

#[test]
fn a_file_may_name_several_prefixes_and_one_that_fails_keeps_no_other_from_being_set_up() {
    in_namespace(include_str!(
        "persist/a_file_may_name_several_prefixes_and_one_that_fails_keeps_no_other_from_being_set_up.sh"
    ))
    .expect(0);
}
