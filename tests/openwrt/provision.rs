//! provision.sh: the same as the package, for a router without a package manager.

use std::process::Command;

use super::on_router;
use crate::harness::{repository, run};

const PROVISION: &str = "
    make_topology
    router fw4 start
    host ip -6 route add local $PREFIX dev lo
    cp $REPOSITORY/openwrt/provision.sh $R/tmp/
    provision() { router sh /tmp/provision.sh \"$@\"; }
    ARGS='--host fe80::9 --base lan --part ::abcd:0:0:0/80 --conntrack keep'
    state() { nft -s list ruleset; ip -6 route; find $R/etc $R/usr/{s,}bin $R/usr/share $R/lib/upgrade -type f | sort | xargs md5sum; }
";

#[test]
fn provision_carries_the_files_of_the_package() {
    run(Command::new("sh")
        .arg(repository().join("openwrt/embed.sh"))
        .arg("--check"))
    .expect(0);
}

#[test]
fn provision_passes_the_checker() {
    run(Command::new("shellcheck")
        .args(["-s", "dash"])
        .arg(repository().join("openwrt/provision.sh"))
        .arg(repository().join("openwrt/embed.sh")))
    .expect(0);
}

#[test]
fn a_dry_run_says_what_provision_does_and_changes_nothing() {
    on_router(&format!(
        "{PROVISION}
        before=$(state)
        plan=$(provision --dry-run $ARGS)
        is \"$(state)\" \"$before\" 'after the dry run'
        done=$(provision $ARGS)
        # Installing goes on with what the command itself reports, and need not create a section that a
        # file brings.
        while read -r line; do
            [[ $line == *main=settings ]] || says \"$done\" \"$line\"
        done <<<\"$plan\"
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn provisioning_twice_writes_nothing_the_second_time() {
    on_router(&format!(
        "{PROVISION}
        provision $ARGS
        files() {{ find $R/etc $R/usr/sbin $R/usr/share $R/lib/upgrade -printf '%p %i %T@\\n' | sort; }}
        before=$(files)
        is \"$(provision $ARGS)\" 'nothing to change' 'the second time'
        is \"$(files)\" \"$before\" 'files'
        serve outside :: 7000
        is $(exchanges tcp 200) 200 exchanges
        is $(entries) 0 entries
        "
    ))
    .expect(0);
}

#[test]
fn removal_of_what_was_provisioned_is_complete() {
    on_router(&format!(
        "{PROVISION}
        before=$(state)
        provision $ARGS
        provision --remove
        is \"$(state)\" \"$before\" 'after removal'
        [ ! -e $R/usr/lib/v6kit-router ]
        is \"$(provision --remove)\" 'nothing to remove' 'the second time'
        "
    ))
    .expect(0);
}

#[test]
fn an_installed_package_keeps_its_files() {
    on_router(&format!(
        "{PROVISION}
        install_package
        mkdir -p $R/lib/apk/db
        printf 'P:busybox\\nV:1\\n\\nP:v6kit-router\\nV:0.1.0-r1\\n' >$R/lib/apk/db/installed
        [[ $(provision $ARGS) != *'write /usr'* ]]
        router v6kit-router check
        says \"$(provision --remove)\" 'apk del'
        [ -x $R/usr/sbin/v6kit-router ]
        "
    ))
    .expect(0);
}

#[test]
fn wrong_and_hostile_arguments_are_refused_before_anything_happens() {
    on_router(
        &[
            PROVISION,
            include_str!("provision/wrong_and_hostile_arguments_are_refused_before_anything_happens.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}

#[test]
fn udp_ports_are_replaced_and_taken_back() {
    on_router(&format!(
        "{PROVISION}
        provision $ARGS --udp-port 443 --udp-port 8443 >/dev/null
        says \"$(nft list set inet fw4 v6kit_udp)\" '443, 8443'
        provision $ARGS >/dev/null
        says \"$(nft list set inet fw4 v6kit_udp)\" '443, 8443'
        says \"$(provision $ARGS --udp-port none)\" 'delete v6kit-router.main.udp_port'
        [[ $(nft list set inet fw4 v6kit_udp) != *443* ]]
        is \"$(provision $ARGS --udp-port none)\" 'nothing to change' 'the second time'
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn settings_that_cannot_be_read_and_sections_of_others_are_not_written_over() {
    on_router(&format!(
        "{PROVISION}
        provision $ARGS >/dev/null
        refused() {{
            before=$(state)
            code=0
            provision $ARGS \"$@\" 2>$T/err || code=$?
            is $code 2 'exit code'
            is \"$(state)\" \"$before\" 'the router'
        }}
        printf '\\nconfig other \\047x\\047\\n' >>$R/etc/config/v6kit-router
        refused --name x
        says \"$(cat $T/err)\" 'section x is not one for a host'
        echo 'option lost' >$R/etc/config/v6kit-router
        refused
        says \"$(cat $T/err)\" '/etc/config/v6kit-router cannot be read'
        "
    ))
    .expect(0);
}

#[test]
fn a_full_disk_leaves_the_router_as_it_was_and_is_named() {
    on_router(&format!(
        "{PROVISION}
        mount -t tmpfs -o size=4k tmpfs $R/usr/share
        head -c 4096 /dev/zero >$R/usr/share/full
        code=0
        provision $ARGS 2>$T/err || code=$?
        is $code 3 'exit code'
        says \"$(cat $T/err)\" 'cannot write /usr/share/nftables.d'
        is \"$(find $R/usr/share -name '*.new')\" '' 'leftovers'
        router fw4 check
        provision --remove
        "
    ))
    .expect(0);
}

/// What provision writes, read by the real libuci and by an independent reader.
#[test]
fn two_other_readers_read_the_settings_that_we_wrote() {
    let python = repository().join("target/python/bin/python");
    assert!(
        python.is_file(),
        "{} is missing: tests/run makes it from tests/openwrt/requirements.txt",
        python.display()
    );
    on_router(
        &[
            PROVISION,
            format!("PYTHON='{}'", python.display()).as_str(),
            include_str!("provision/two_other_readers_read_the_settings_that_we_wrote.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}
