//! `v6kit router`, pushed to a router behind a real sshd.

use crate::harness::{Run, in_namespace, v6kit};
use crate::openwrt::on_router;

/// A router behind sshd, reached as root@192.168.1.1, and the options that every command needs for it.
const ROUTER: &str = "
    . $REPOSITORY/tests/openwrt/sshd.bash
    SSH=\"--ssh-config $T/ssh/config\"
    push() { $V6KIT router push $SSH --prefix $PREFIX --conntrack keep \"$@\"; }
    check() { $V6KIT router check $SSH \"$@\"; }
    fails_with() { local code=0; \"${@:2}\" >$T/out 2>$T/err || code=$?; is $code $1 \"exit code of ${*:2}\"; }
    json() { jq -r \"$1\"; }
";

#[track_caller]
fn behind_sshd(script: &str) -> Run {
    on_router(&format!("{ROUTER}\n{script}")).expect(0)
}

#[test]
fn push_routes_the_prefix_and_spares_it_tracking() {
    behind_sshd(
        "
        start_router
        push --json >$T/pushed
        is $(json .base <$T/pushed) lan 'what it follows'
        is $(json .router.status.release <$T/pushed) 24.10.0 'release'
        is $(json .router.status.lan.device <$T/pushed) br-lan 'device of the LAN'
        is $(json .router.status.wan.device <$T/pushed) wan 'device of the WAN'
        is $(json '.router.status.prefixes[0].host' <$T/pushed) fe80::9 'the address of this host, found out'
        check --host fe80::9 --prefix $PREFIX
        serve outside :: 7000
        is $(exchanges tcp 2000) 2000 exchanges
        # Our own ssh sessions are tracked as ever; nothing of the prefix is.
        count=$(there 'cat /proc/sys/net/netfilter/nf_conntrack_count')
        [ $count -lt 100 ] || { echo \"$count entries after 2000 exchanges\"; exit 1; }
        ",
    );
}

#[test]
fn a_dry_run_and_a_second_push_change_nothing() {
    behind_sshd(
        "
        start_router
        before=$(state)
        push --dry-run --json >$T/plan
        is \"$(state)\" \"$before\" 'after the dry run'
        push --json >$T/pushed
        # What the dry run named is done; the section `main` comes with a file.
        is \"$(comm -23 <(json '.changes[]' <$T/plan | sort) <(json '.changes[]' <$T/pushed | sort))\" \
            'set v6kit-router.main=settings' 'named and not done'
        before=$(state)
        is \"$(push --json | json '.changes | length')\" 0 'changes of the second push'
        says \"$(push)\" 'nothing to change'
        is \"$(state)\" \"$before\" 'after the second push'
        ",
    );
}

#[test]
fn a_changed_setting_is_pushed_alone() {
    behind_sshd(
        "
        start_router
        push >/dev/null
        push --ping drop --udp-port 443 --json | json '.changes[]' >$T/changes
        is \"$(grep -v firewall: $T/changes)\" \"$(printf 'set v6kit-router.main.ping=drop\\nadd v6kit-router.main.udp_port=443')\" changes
        says \"$(there 'nft list set inet fw4 v6kit_quiet')\" $PREFIX
        says \"$(there 'nft list set inet fw4 v6kit_udp')\" 443
        check >/dev/null
        ",
    );
}

#[test]
fn udp_ports_that_were_pushed_are_taken_back() {
    behind_sshd(
        "
        start_router
        push --udp-port 443 --udp-port 8443 >/dev/null
        says \"$(there 'nft list set inet fw4 v6kit_udp')\" '443, 8443'
        says \"$(push --udp-port none)\" 'delete v6kit-router.main.udp_port'
        [[ $(there 'nft list set inet fw4 v6kit_udp') != *443* ]]
        check >/dev/null
        fails_with 2 push --udp-port none --udp-port 443
        ",
    );
}

#[test]
fn a_prefix_that_goes_to_another_host_is_not_in_order() {
    behind_sshd(
        "
        start_router
        push --host fe80::7 >/dev/null
        check >/dev/null
        fails_with 1 check --prefix $PREFIX
        says \"$(cat $T/out)\" \"wrong: $PREFIX (\\`crawler\\`) is routed to fe80::7, not to fe80::9\"
        check --prefix $PREFIX --host fe80::7 >/dev/null
        # Under whatever name it is there.
        $V6KIT router push $SSH --conntrack keep --name other --prefix 2001:db8:1:202:beef::/80 >/dev/null
        check --prefix 2001:db8:1:202:beef::/80 >/dev/null
        fails_with 1 check --prefix 2001:db8:1:202:beef::/80 --host fe80::7
        ",
    );
}

#[test]
fn without_a_router_near_by_none_is_asked() {
    in_namespace(include_str!("router/without_a_router_near_by_none_is_asked.sh")).expect(0);
}

#[test]
fn check_finds_what_was_changed_by_hand_and_push_repairs_it() {
    behind_sshd(include_str!(
        "router/check_finds_what_was_changed_by_hand_and_push_repairs_it.sh"
    ));
}

#[test]
fn the_prefix_follows_a_new_delegation_without_another_push() {
    behind_sshd(
        "
        start_router
        push >/dev/null
        delegate 2001:db8:2:300:: 56 2001:db8:2:302::
        there 'ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1; for s in /etc/hotplug.d/iface/*; do . $s; done'
        check --prefix 2001:db8:2:302:abcd::/80 --host fe80::9
        ",
    );
}

#[test]
fn remove_leaves_the_router_as_it_was() {
    behind_sshd(
        "
        start_router
        before=$(state)
        push >/dev/null
        says \"$($V6KIT router remove $SSH --dry-run)\" 'nothing was changed'
        check >/dev/null
        $V6KIT router remove $SSH
        is \"$(state)\" \"$before\" 'after removal'
        says \"$($V6KIT router remove $SSH)\" 'nothing to change'
        ",
    );
}

#[test]
fn a_connection_that_breaks_half_way_changes_nothing() {
    behind_sshd(
        "
        start_router
        before=$(state)
        script=$REPOSITORY/openwrt/provision.sh
        size=$(wc -c <$script)
        for part in 1 3 5 7; do
            head -c $((size * part / 8)) $script |
                there \"sh -s -- --host fe80::9 --prefix 2001:db8:9::/64\" >/dev/null 2>&1 || true
        done
        # All but the newline of the last line.
        head -c $((size - 10)) $script | there \"sh -s -- --host fe80::9 --prefix 2001:db8:9::/64\" >/dev/null 2>&1 || true
        is \"$(state)\" \"$before\" 'the router'
        ",
    );
}

#[test]
fn a_push_that_was_cut_off_while_it_ran_is_completed_by_the_next() {
    behind_sshd(
        "
        start_router
        before=$(state)
        for lines in 1 8 15 18 20 22 25 27 28 29; do
            # Whoever reads it is gone after so many lines, as when the connection breaks.
            there \"sh -s -- --host fe80::9 --base lan --part ::abcd:0:0:0/80 --conntrack keep | head -n $lines\" \
                <$REPOSITORY/openwrt/provision.sh >/dev/null
            there 'fw4 check'
        done
        push >/dev/null
        check
        $V6KIT router remove $SSH >/dev/null
        is \"$(state)\" \"$before\" 'after removal'
        ",
    );
}

#[test]
fn a_prefix_that_holds_the_lan_is_refused_before_anything_is_written() {
    behind_sshd(
        "
        start_router
        before=$(state)
        for prefix in 2001:db8:1:202::/64 2001:db8:1::/48; do
            fails_with 2 $V6KIT router push $SSH --prefix $prefix
            says \"$(cat $T/err)\" \"$prefix holds the LAN's own prefix 2001:db8:1:202::/64\"
            says \"$(cat $T/err)\" 'hint: '
        done
        fails_with 2 $V6KIT router push $SSH --prefix 2001:db8:9::/64 --follow lan
        is \"$(state)\" \"$before\" 'the router'
        ",
    );
}

#[test]
fn a_key_or_a_router_that_is_not_known_is_named() {
    behind_sshd(
        "
        start_router
        cp $T/ssh/known_hosts $T/ssh/all
        >$T/ssh/known_hosts
        fails_with 1 check
        says \"$(cat $T/err)\" 'hint: run `ssh root@192.168.1.1` once'
        cp $T/ssh/all $T/ssh/known_hosts
        >$R/etc/ssh/authorized_keys
        fails_with 1 check
        says \"$(cat $T/err)\" 'why: ssh to root@192.168.1.1 failed: root@192.168.1.1: Permission denied'
        says \"$(cat $T/err)\" 'hint: put your public key on the router'
        fails_with 1 check --ssh ssh://root@192.168.1.1:2 --json
        is $(json .error.exit <$T/out) 1 'exit code in JSON'
        ",
    );
}

#[test]
fn a_router_that_is_not_openwrt_is_left_alone() {
    behind_sshd(
        "
        rm $R/sbin/uci
        start_router
        fails_with 1 push
        says \"$(cat $T/err)\" 'why: this is not OpenWrt'
        says \"$(cat $T/err)\" 'hint: router render prints the same for other routers'
        ",
    );
}

#[test]
fn a_full_router_is_named_and_nothing_is_half_written() {
    behind_sshd(
        "
        mount -t tmpfs -o size=4k tmpfs $R/usr/share
        head -c 4096 /dev/zero >$R/usr/share/full
        start_router
        fails_with 3 push
        says \"$(cat $T/err)\" 'cannot write /usr/share/nftables.d'
        is \"$(find $R/usr/share -type f)\" $R/usr/share/full 'files'
        $V6KIT router remove $SSH >/dev/null
        ",
    );
}

#[test]
fn hostile_values_never_reach_a_shell() {
    for (option, value) in [
        ("--host", "fe80::9;reboot"),
        ("--host", "$(reboot)"),
        ("--host", "2001:db8::1"),
        ("--prefix", "2001:db8::/64;reboot"),
        ("--name", "a;b"),
        ("--name", "a\nb"),
        ("--name", "main"),
        ("--lan", "lan'"),
        ("--wan", "`reboot`"),
        ("--ssh", "-oProxyCommand=touch /tmp/owned"),
        ("--ssh", "root@router;reboot"),
        ("--udp-port", "443;reboot"),
        ("--conntrack", "65536;reboot"),
    ] {
        let option_and_value = format!("{option}={value}");
        let run = v6kit(&["router", "push", &option_and_value]).expect(2);
        assert!(
            run.stderr.contains(&format!("is not a value for {option}")),
            "{run}"
        );
    }
    let device = v6kit(&[
        "router",
        "render",
        "--as",
        "nftables",
        "--host",
        "fe80::9",
        "--prefix",
        "2001:db8::/64",
        "--lan",
        "a\"b",
        "--wan",
        "eth0",
    ])
    .expect(2);
    assert!(
        device.stderr.contains("not the name of a network device"),
        "{device}"
    );
}
