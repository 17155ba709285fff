//! `setup --persist`, `setup --config` and their undoing, under a real systemd.

use super::machine::{Install, Machine};
use crate::harness::in_namespace;

#[test]
fn what_is_persisted_is_there_after_a_reboot_and_a_power_cut_and_gone_after_its_undoing() {
    let mut machine = Machine::boot(Install::Binary);
    machine.run(
        r#"
        find /etc -type f | sort | xargs -d '\n' sha256sum 2>/dev/null >/root/etc.before
        cat /proc/sys/kernel/random/boot_id >/root/boot
        v6kit setup --prefix $P --dev up0 --persist >/root/out
        has 'At every boot: /etc/v6kit/host.toml' /root/out
        has '^dev = "up0"$' /etc/v6kit/host.toml
        same "$(grep -c '^\[\[setup\]\]$' /etc/v6kit/host.toml)" 1
        if grep -E '^(nofile|conntrack|route-dev|persist)' /etc/v6kit/host.toml; then fail "not the wish"; fi
        has '^ExecStart=/usr/local/bin/v6kit setup' /etc/systemd/system/v6kit-setup.service
        same "$(state v6kit-setup.service) $(state v6kit-check.timer) $(state v6kit-addresses.service)" 'active active active'
        # Again: the same, and another prefix beside it.
        cp /etc/v6kit/host.toml /root/one
        v6kit setup --prefix $P --dev up0 --persist
        diff /root/one /etc/v6kit/host.toml
        v6kit setup --prefix $P2 --dev up0 --nofile 70000 --persist --on-drift repair
        same "$(grep -c '^\[\[setup\]\]$' /etc/v6kit/host.toml)" 2
        has '^on-drift = "repair"$' /etc/v6kit/host.toml
        v6kit status | has '^At the next boot: /etc/v6kit/host.toml, by v6kit-setup.service'
        v6kit status --json | jq -e '.in_order and .at_boot.enabled and (.at_boot.cut_off | not)' >/dev/null
        "#,
    );
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
    machine.run(
        r#"
        v6kit setup --prefix $P --dev up0 -q
        kills=0
        for case in rename:1 fsync:3; do
            call=${case%:*}
            for n in $(seq 1 "${case#*:}" 40); do
                code=0
                strace -qq -o /dev/null -e trace=$call -e inject=$call:signal=SIGKILL:when=$n \
                    v6kit setup --prefix $P --dev up0 --persist >/dev/null 2>&1 || code=$?
                [ $code = 137 ] || break
                kills=$((kills + 1))
                v6kit status --json >/root/status || true
                if [ -e /var/lib/v6kit/at-boot.json ]; then
                    jq -e '.at_boot | .cut_off or .enabled' /root/status >/dev/null || fail "$call $n: $(cat /root/status)"
                fi
                if [ $((n % 2)) = 0 ]; then
                    v6kit setup --prefix $P --dev up0 --persist -q || fail "again after $call $n"
                    same "$(state v6kit-setup.service)" active
                fi
                v6kit teardown --persist -q || fail "undone after $call $n"
                test ! -e /etc/v6kit || fail "left after $call $n: $(ls /etc/v6kit)"
                test ! -e /etc/systemd/system/v6kit-setup.service
                test -z "$(ls /etc/systemd/system/*.wants | grep v6kit)" || fail "enabled after $call $n"
                v6kit setup --prefix $P --dev up0 -q
            done
            v6kit teardown --persist -q
            v6kit setup --prefix $P --dev up0 -q
        done
        [ $kills -ge 8 ] || fail "only $kills kills"
        v6kit teardown -q
        test ! -e /var/lib/v6kit
        "#,
    );
}

#[test]
fn a_file_of_the_administrator_is_kept_and_put_back() {
    let machine = Machine::boot(Install::Package);
    machine.run(
        r#"
        printf '# ours\nnofile = 100000\n\n[[setup]] # lab\nprefix = "%s"\ndev = "up0"\n' $P2 >/etc/v6kit/host.toml
        cp /etc/v6kit/host.toml /root/before
        v6kit setup --config /etc/v6kit/host.toml
        v6kit setup --prefix $P --dev up0 --persist
        head -n 6 /etc/v6kit/host.toml | diff - /root/before
        # A package brought the units: none are written.
        test ! -e /etc/systemd/system/v6kit-setup.service
        # What was said of a prefix before is told when it is replaced.
        v6kit setup --prefix $P2 --dev up0 --nofile 80000 --persist 2>&1 | has 'said of this prefix before'
        v6kit teardown --persist
        diff /root/before /etc/v6kit/host.toml
        # What is no TOML is refused before anything is changed.
        echo 'setup = [' >/etc/v6kit/host.toml
        ends 2 v6kit setup --prefix $P --dev up0 --persist 2>/root/err
        has '^hint: mend /etc/v6kit/host.toml' /root/err
        ends 1 v6kit status -q
        same "$(cat /etc/v6kit/host.toml)" 'setup = ['
        "#,
    );
}

#[test]
fn a_restarted_or_reloaded_firewall_gets_our_table_back() {
    let machine = Machine::boot(Install::Package);
    machine.run(
        r#"
        systemctl enable -q --now nftables.service
        v6kit setup --prefix $P --dev up0 --persist -q
        nft list ruleset | has 'table inet v6kit'
        for how in restart reload; do
            systemctl $how nftables.service
            eventually v6kit status -q
            same "$(state v6kit-setup.service)" active
            nft list ruleset | has 'table inet filter'
            nft list ruleset | has 'table inet v6kit'
        done
        systemctl stop v6kit-setup.service
        if nft list ruleset | has 'table inet v6kit'; then fail 'not torn down'; fi
        if ip -6 route show table all | has "local $P"; then fail 'not torn down'; fi
        same "$(state v6kit-check.timer)" inactive
        systemctl start v6kit-setup.service
        v6kit status -q
        same "$(state v6kit-check.timer)" active
        "#,
    );
}

#[test]
fn the_check_reports_drift_or_repairs_it_as_configured() {
    let machine = Machine::boot(Install::Package);
    machine.run(
        r#"
        v6kit setup --prefix $P --dev up0 --persist -q
        systemctl start v6kit-check.service
        nft delete table inet v6kit
        ends 1 systemctl start v6kit-check.service
        same "$(result v6kit-check.service)" exit-code
        journalctl -u v6kit-check.service -o cat | has 'inbound .*missing'
        if nft list table inet v6kit 2>/dev/null; then fail 'repaired'; fi
        v6kit setup --prefix $P --dev up0 --persist --on-drift repair -q
        nft delete table inet v6kit
        ip -6 route del local $P dev lo table main
        systemctl start v6kit-check.service
        same "$(result v6kit-check.service)" success
        v6kit status -q
        journalctl -u v6kit-check.service -o cat | has 'repaired inbound'
        # Not at all set up: wished for all the same.
        v6kit teardown -q
        ends 1 v6kit status --config /etc/v6kit/host.toml --on-drift report >/root/out
        has "$P is wished for and not set up" /root/out
        # The timer starts it.
        mkdir -p /run/systemd/system/v6kit-check.timer.d
        printf '[Timer]\nOnActiveSec=\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=1s\n' >/run/systemd/system/v6kit-check.timer.d/soon.conf
        systemctl daemon-reload
        systemctl restart v6kit-check.timer
        eventually v6kit status -q >/dev/null 2>&1
        "#,
    );
}

#[test]
fn without_systemd_the_wish_is_written_and_what_is_missing_is_said() {
    in_namespace(
        r#"
        mount -t tmpfs tmpfs /run
        mount -t tmpfs tmpfs /var/lib
        mkdir "$T/bin"
        export PATH="$T/bin:$PATH"
        unset V6KIT_STATE_DIR
        P=2001:db8:1::/64
        ip link add up0 type veth peer name down0
        ip link set up0 up
        says() { grep -q -- "$1" "$T/err" || { cat "$T/err"; exit 1; }; }
        ends() { code=0; want=$1; shift; "$@" >"$T/out" 2>"$T/err" || code=$?; [ $code = $want ] || { cat "$T/out" "$T/err"; exit 1; }; }
        # The unit needs a place that services can see and nobody else can write to.
        cp "$V6KIT" "$T/v6kit"
        ends 2 "$T/v6kit" setup --prefix $P --dev up0 --persist
        says '^hint: install it first: `sudo install'
        test ! -e /etc/v6kit
        mount -t tmpfs -o mode=755 tmpfs /opt
        cp "$V6KIT" /opt/v6kit
        ends 2 /opt/v6kit setup --prefix $P --dev up0 --persist --state-dir "$T/state"
        says '^why: the service keeps its journal in /var/lib/v6kit'
        ends 1 /opt/v6kit setup --prefix $P --dev up0 --persist
        says '^why: this system does not run systemd; /etc/v6kit/host.toml is written'
        says '^hint: have your init run `v6kit setup --config /etc/v6kit/host.toml`'
        ends 0 /opt/v6kit setup --config /etc/v6kit/host.toml
        ends 0 /opt/v6kit status
        grep -q 'v6kit-setup.service is not enabled' "$T/out"
        ends 0 /opt/v6kit teardown --persist
        test ! -e /etc/v6kit
        test ! -e /etc/systemd/system/v6kit-setup.service
        test ! -e /var/lib/v6kit
        "#,
    )
    .expect(0);
}

#[test]
fn a_file_may_name_several_prefixes_and_one_that_fails_keeps_no_other_from_being_set_up() {
    in_namespace(
        r#"
        ip link add up0 type veth peer name down0
        ip link set up0 up
        cat >"$T/host.toml" <<'TOML'
dev = "up0"
[[setup]]
prefix = "2001:db8:1::/64"
dev = "none0"
[[setup]]
prefix = "2001:db8:2::/64"
[[setup]]
prefix = "2001:db8:3::/64"
inbound = "allow"
TOML
        code=0; "$V6KIT" setup --config "$T/host.toml" --json >"$T/out" 2>"$T/err" || code=$?
        test $code = 2
        jq -e '(.setups | map(.prefix) == ["2001:db8:2::/64", "2001:db8:3::/64"]) and (.errors | length == 1)' "$T/out" >/dev/null
        "$V6KIT" setup --config "$T/host.toml" --dev up0 >"$T/out"
        test "$("$V6KIT" status --json | jq '.prefixes | length')" = 3
        "$V6KIT" status --config "$T/host.toml" -q
        "$V6KIT" teardown -q
        "$V6KIT" setup --config "$T/host.toml" --prefix 2001:db8:3::/64 --dry-run --json | jq -e '.setups | length == 1' >/dev/null
        "#,
    )
    .expect(0);
}
