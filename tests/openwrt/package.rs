//! The command, the events and the settings of the package.

use super::on_router;

const READY: &str = "
    make_topology
    router fw4 start
    install_package
    configure_crawler
    # Everything on the router's disk, with inode and time: what a write would change.
    disk() { find $R/etc $R/usr/share $R/usr/sbin -not -path '*/stub/*' -printf '%p %i %s %T@ %l\\n' | sort; }
    memory() { find $R/tmp -type f -not -name '*.lock' -printf '%p %i %s %T@\\n' | sort; }
    has_route() { [ -n \"$(ip -6 route show $1 via fe80::9 dev br-lan)\" ]; }
    has_element() { [[ $(nft list set inet fw4 v6kit_prefix) == *\"{ $1 }\"* ]]; }
";

#[test]
fn an_installed_package_does_nothing_until_it_is_enabled() {
    on_router(
        "
        make_topology
        router fw4 start
        before=$(ip -6 route)
        install_package
        is \"$(ip -6 route)\" \"$before\" 'routes'
        [ ! -e $R/tmp/run/v6kit-router/elements.nft ]
        [ ! -e $R/etc/sysctl.d/12-v6kit-router.conf ]
        is \"$(router /etc/init.d/v6kit-router triggers)\" 'reload trigger: v6kit-router' triggers
        not router v6kit-router check >/dev/null
        says \"$(router v6kit-router check)\" 'problem: v6kit-router is not enabled'
        ",
    )
    .expect(0);
}

#[test]
fn plan_says_what_apply_does_and_changes_nothing() {
    on_router(&format!(
        "{READY}
        before=$(disk; ip -6 route; nft -s list ruleset)
        plan=$(router v6kit-router plan)
        is \"$(disk; ip -6 route; nft -s list ruleset)\" \"$before\" 'after plan'
        is \"$(router v6kit-router apply)\" \"$plan\" 'what apply says'
        has_route $PREFIX
        has_element $PREFIX
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn a_second_apply_writes_nothing() {
    on_router(&format!(
        "{READY}
        router v6kit-router apply
        before=$(disk; memory)
        is \"$(router v6kit-router apply)\" 'nothing to change' 'the second time'
        is \"$(router v6kit-router plan)\" 'nothing to change' 'plan'
        is \"$(disk; memory)\" \"$before\" 'files'
        "
    ))
    .expect(0);
}

#[test]
fn route_and_set_follow_a_delegated_prefix_and_a_second_event_writes_nothing() {
    on_router(&format!(
        "{READY}
        router v6kit-router apply
        delegate 2001:db8:2:300:: 56 2001:db8:2:302::
        before=$(disk)
        hotplug ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1
        has_route 2001:db8:2:302:abcd::/80
        has_element 2001:db8:2:302:abcd::/80
        not has_route $PREFIX
        is \"$(disk)\" \"$before\" 'the disk after a new prefix'

        # From here on every command that could change something is noted.
        mv $R/usr/sbin/nft $R/usr/sbin/nft.real
        printf '#!/bin/sh\\ncase \"$1\" in list) ;; *) echo \"nft $*\" >>/etc/stub/changes ;; esac\\nexec nft.real \"$@\"\\n' >$R/usr/sbin/nft
        printf '#!/bin/sh\\ncase \"$*\" in *show*) ;; *) echo \"ip $*\" >>/etc/stub/changes ;; esac\\nexec busybox ip \"$@\"\\n' >$R/usr/sbin/ip
        chmod 755 $R/usr/sbin/nft $R/usr/sbin/ip
        before=$(disk; memory)
        hotplug ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1
        is \"$(disk; memory)\" \"$before\" 'files after the same event'
        [ ! -e $R/etc/stub/changes ] || {{ cat $R/etc/stub/changes; exit 1; }}

        # The same watch does see a change.
        delegate 2001:db8:3:300:: 56 2001:db8:3:302::
        hotplug ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1
        grep -q 'ip -6 route add 2001:db8:3:302:abcd::/80' $R/etc/stub/changes
        "
    ))
    .expect(0);
}

#[test]
fn the_old_prefix_that_lingers_in_the_list_is_not_taken() {
    on_router(&format!(
        "{READY}
        cat >$R/etc/stub/ubus/network.interface.lan <<-'END'
		{{\"up\":true,\"l3_device\":\"br-lan\",\"ipv6-prefix-assignment\":[
		{{\"address\":\"2001:db8:1:202::\",\"mask\":64,\"preferred\":0,\"valid\":300}},
		{{\"address\":\"2001:db8:7:702::\",\"mask\":64,\"preferred\":600,\"valid\":1800}}]}}
		END
        router v6kit-router apply
        has_route 2001:db8:7:702:abcd::/80
        "
    ))
    .expect(0);
}

#[test]
fn the_route_is_there_after_a_cold_boot_a_wan_flap_and_reloads() {
    on_router(&format!(
        "{READY}
        # Cold boot: the LAN is up long before the provider has given a prefix.
        delegate none
        router /etc/init.d/v6kit-router start
        hotplug ACTION=ifup INTERFACE=lan
        says \"$(router v6kit-router status)\" 'crawler: lan has no global prefix yet'
        delegate 2001:db8:1:200:: 56 2001:db8:1:202::
        hotplug ACTION=ifup INTERFACE=wan6
        has_route $PREFIX
        has_element $PREFIX

        # WAN down and up.
        delegate none
        hotplug ACTION=ifdown INTERFACE=wan6
        delegate 2001:db8:1:200:: 56 2001:db8:1:202::
        hotplug ACTION=ifup INTERFACE=wan6
        has_route $PREFIX

        # LAN down and up: the kernel takes the route along.
        ip link set br-lan down
        ip link set br-lan up
        not has_route $PREFIX
        ip addr add fe80::1/64 dev br-lan nodad 2>/dev/null || true
        hotplug ACTION=ifup INTERFACE=lan
        has_route $PREFIX

        # The firewall reloads and restarts without us.
        router fw4 reload
        has_element $PREFIX
        router fw4 restart
        has_element $PREFIX
        router /etc/init.d/v6kit-router reload
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn a_routed_prefix_of_its_own_needs_no_delegation_and_says_what_it_needs() {
    on_router(&format!(
        "{READY}
        settings 'delete v6kit-router.crawler.base' 'delete v6kit-router.crawler.part' \
            'set v6kit-router.crawler.prefix=2001:db8:9::/48'
        router v6kit-router apply
        has_route 2001:db8:9::/48
        says \"$(router v6kit-router status)\" 'uci set network.wan6.sourcefilter=0'
        "
    ))
    .expect(0);
}

#[test]
fn a_whole_subnet_of_the_delegation_can_go_to_a_host() {
    on_router(&format!(
        "{READY}
        settings 'set v6kit-router.crawler.base=wan' 'set v6kit-router.crawler.part=0:0:0:f0::/60'
        router v6kit-router apply
        has_route 2001:db8:1:2f0::/60
        has_element 2001:db8:1:2f0::/60
        "
    ))
    .expect(0);
}

#[test]
fn a_prefix_that_would_take_the_lan_away_is_refused() {
    for (base, part) in [("wan", "0:0:0:2::/64"), ("lan", "::/80"), ("lan", "0:0:0:2::/64")] {
        on_router(&format!(
            "{READY}
            settings 'set v6kit-router.crawler.base={base}' 'set v6kit-router.crawler.part={part}'
            before=$(ip -6 route)
            code=0
            router v6kit-router apply || code=$?
            is $code 2 'exit code'
            is \"$(ip -6 route)\" \"$before\" routes
            "
        ))
        .expect(0);
    }
}

#[test]
fn hostile_settings_are_refused_and_nothing_is_changed() {
    for (option, value) in [
        ("host", "fe80::9;touch /tmp/owned"),
        ("host", "$(touch /tmp/owned)"),
        ("host", "`touch /tmp/owned`"),
        ("host", "fe80::9\nfe80::8"),
        ("host", "fe80::9 dev lo"),
        ("host", "2001:db8::1"),
        (
            "part",
            "::abcd:0:0:0/80 }; flush ruleset; add element inet fw4 v6kit_prefix { ::",
        ),
        ("part", "::abcd:0:0:0/80\nflush ruleset"),
        ("part", "-h"),
        ("base", "lan; touch /tmp/owned"),
        ("enabled", "yes"),
    ] {
        on_router(&format!(
            "{READY}
            sed -i '/config prefix/,$d' $R/etc/config/v6kit-router
            cat >>$R/etc/config/v6kit-router <<'END'
config prefix 'crawler'
	option base 'lan'
	option part '::abcd:0:0:0/80'
	option host 'fe80::9'
	option {option} '{value}'
END
            before=$(disk; ip -6 route; nft -s list ruleset)
            for command in plan apply 'event wan6'; do
                code=0
                router v6kit-router $command >$T/out 2>$T/err || code=$?
                is $code 2 \"exit code of $command\"
            done
            is \"$(disk; ip -6 route; nft -s list ruleset)\" \"$before\" 'the router'
            [ ! -e $R/tmp/owned ]
            # What is refused is named, on one line, without what could steer a terminal or a log.
            (router v6kit-router check --json || true) | /usr/bin/python3 -c '
import json, sys
(problem,) = json.load(sys.stdin)[\"problems\"]
assert problem.startswith(\"crawler.{option}: \"), problem
assert not set(problem) & set(\"$;\\n\\\"\"), problem'
            "
        ))
        .expect(0);
    }
}

#[test]
fn hostile_interface_names_in_settings_and_in_events_are_refused() {
    on_router(&format!(
        "{READY}
        settings \"set v6kit-router.main.wan='wan6;touch /tmp/owned'\"
        code=0
        router v6kit-router apply 2>$T/err || code=$?
        is $code 2 'exit code'
        grep -q 'main.wan' $T/err
        hotplug ACTION=ifup 'INTERFACE=$(touch /tmp/owned)'
        hotplug ACTION=ifup 'INTERFACE=--json'
        [ ! -e $R/tmp/owned ]
        "
    ))
    .expect(0);
}

#[test]
fn a_section_that_hides_in_a_value_is_no_section() {
    on_router(&format!(
        "{READY}
        printf \"config other 'x'\\n\\toption y 'a\\nv6kit-router.evil=prefix\\n'\\n\" >>$R/etc/config/v6kit-router
        [[ $(router uci show v6kit-router) == *$'\\nv6kit-router.evil=prefix'* ]]
        router v6kit-router apply
        [[ $(router v6kit-router check --json) != *evil* ]]
        "
    ))
    .expect(0);
}

#[test]
fn somebody_elses_route_is_left_alone() {
    on_router(&format!(
        "{READY}
        ip -6 route add $PREFIX via fe80::77 dev br-lan
        not router v6kit-router apply 2>$T/err
        grep -q 'is routed elsewhere (fe80::77 br-lan)' $T/err
        router v6kit-router remove
        [ -n \"$(ip -6 route show $PREFIX via fe80::77)\" ]

        # And one that is what we would have set is not deleted by us.
        ip -6 route del $PREFIX
        ip -6 route add $PREFIX via fe80::9 dev br-lan
        settings 'set v6kit-router.main.enabled=1'
        router v6kit-router apply
        router v6kit-router remove
        has_route $PREFIX
        "
    ))
    .expect(0);
}

#[test]
fn an_apply_that_was_killed_half_way_is_completed_and_undone() {
    on_router(&format!(
        "{READY}
        # Killed after the route was added and before anything else.
        mkdir -p $R/tmp/run/v6kit-router
        echo \"$PREFIX fe80::9 br-lan\" >$R/tmp/run/v6kit-router/routes
        ip -6 route add $PREFIX via fe80::9 dev br-lan
        router v6kit-router apply
        has_element $PREFIX
        router v6kit-router remove
        not has_route $PREFIX

        # Killed after the note and before the route.
        settings 'set v6kit-router.main.enabled=1'
        mkdir -p $R/tmp/run/v6kit-router
        echo \"$PREFIX fe80::9 br-lan\" >$R/tmp/run/v6kit-router/routes
        router v6kit-router apply
        has_route $PREFIX
        is $(wc -l <$R/tmp/run/v6kit-router/routes) 1 'notes'
        "
    ))
    .expect(0);
}

#[test]
fn stop_keeps_every_setting_and_start_brings_everything_back() {
    on_router(&format!(
        "{READY}
        router v6kit-router apply
        before=$(disk)
        router /etc/init.d/v6kit-router stop
        not has_route $PREFIX
        not has_element $PREFIX
        is \"$(disk)\" \"$before\" 'the disk'
        router /etc/init.d/v6kit-router start
        has_route $PREFIX
        has_element $PREFIX
        "
    ))
    .expect(0);
}

/// Puts files in the place of RAM and the connection table, whose size only the first network namespace may
/// set.
const TABLE: &str = "
    table() {
        echo \"MemTotal: $1 kB\" >$T/meminfo
        for name in nf_conntrack_max nf_conntrack_buckets; do echo $2 >$T/$name; done
    }
    table 121000 15360
    mount --bind $T/meminfo $R/proc/meminfo
    for name in nf_conntrack_max nf_conntrack_buckets; do
        mount --bind $T/$name $R/proc/sys/net/netfilter/$name
    done
    settings 'set v6kit-router.main.conntrack=auto'
";

#[test]
fn the_connection_table_is_sized_by_memory_and_only_raised() {
    on_router(&format!(
        "{READY} {TABLE}
        router v6kit-router apply
        is $(cat $T/nf_conntrack_max) 32768 'on 128 MiB'
        is $(cat $T/nf_conntrack_buckets) 32768 'buckets'
        grep -qx net.netfilter.nf_conntrack_max=32768 $R/etc/sysctl.d/12-v6kit-router.conf
        before=$(disk)
        router v6kit-router apply
        is \"$(disk)\" \"$before\" 'the disk after a second time'

        # Somebody raises it further: it stays.
        echo 50000 >$T/nf_conntrack_max
        router v6kit-router apply
        is $(cat $T/nf_conntrack_max) 50000 'raised by somebody'

        # A larger size in another file makes ours superfluous.
        echo 'net.netfilter.nf_conntrack_max = 100000' >$R/etc/sysctl.d/99-mine.conf
        router v6kit-router apply
        [ ! -e $R/etc/sysctl.d/12-v6kit-router.conf ]
        rm $R/etc/sysctl.d/99-mine.conf

        router v6kit-router remove
        is $(cat $T/nf_conntrack_max) 50000 'never lowered under somebody'
        is $(cat $T/nf_conntrack_buckets) 15360 'put back'
        [ ! -e $R/etc/sysctl.d/12-v6kit-router.conf ]
        "
    ))
    .expect(0);
}

#[test]
fn a_table_that_is_large_enough_is_left_alone() {
    on_router(&format!(
        "{READY} {TABLE}
        table 250000 65536
        router v6kit-router apply
        [ ! -e $R/etc/sysctl.d/12-v6kit-router.conf ]
        is $(cat $T/nf_conntrack_max) 65536 max
        settings 'set v6kit-router.main.conntrack=200000'
        router v6kit-router apply
        is $(cat $T/nf_conntrack_max) 200000 max
        "
    ))
    .expect(0);
}

#[test]
fn check_reports_a_full_table_and_an_overflowing_neighbour_table() {
    on_router(&format!(
        "{READY}
        router v6kit-router apply
        router v6kit-router check
        router logger -t kernel 'nf_conntrack: nf_conntrack: table full, dropping packet'
        router logger -t kernel 'neighbour: ndisc_cache: neighbor table overflow!'
        echo 100 >$T/count && mount --bind $T/count $R/proc/sys/net/netfilter/nf_conntrack_count
        echo 110 >$T/max && mount --bind $T/max $R/proc/sys/net/netfilter/nf_conntrack_max
        code=0
        router v6kit-router check --json >$T/json || code=$?
        is $code 1 'exit code'
        /usr/bin/python3 - $T/json <<'END'
import json, sys
status = json.load(open(sys.argv[1]))
assert status['conntrack']['full_in_log'] == 1, status
assert status['neighbours']['overflows_in_log'] == 1, status
assert status['problems'] == ['the connection table is nearly full: 100 of 110'], status
assert len(status['warnings']) == 2, status
END
        "
    ))
    .expect(0);
}

#[test]
fn removal_leaves_the_ruleset_and_the_disk_as_they_were() {
    on_router(
        "
        make_topology
        router fw4 start
        state() { nft -s list ruleset; ip -6 route; find $R/etc $R/usr/share $R/usr/lib/v6kit-router $R/usr/sbin -type f | xargs md5sum; }
        mkdir -p $R/usr/lib/v6kit-router
        mkdir -p $R/usr/share/nftables.d/{table-pre,chain-post/raw_prerouting,chain-pre/forward,ruleset-post}
        before=$(state)
        install_package
        configure_crawler
        router v6kit-router apply
        says \"$(ip -6 route show $PREFIX)\" fe80::9
        uninstall_package
        is \"$(state)\" \"$before\" 'after removal'
        [ ! -e $R/tmp/run/v6kit-router ]
        ",
    )
    .expect(0);
}

#[test]
fn the_package_holds_every_file_and_its_scripts_are_sound() {
    on_router(
        "
        stage_package
        cd $T/package
        is \"$(cd data && find . -type f | sort)\" \
            \"$(cd $REPOSITORY/openwrt/v6kit-router/files && find . -type f | sort)\" 'files'
        is \"$(cd data && find . -type f -perm -u=x | sort | tr '\\n' ' ')\" \
            './etc/init.d/v6kit-router ./etc/uci-defaults/90-v6kit-router ./usr/sbin/v6kit-router ' 'executables'
        is \"$(cat control)\" 'all +firewall4 +jsonfilter +uci' 'architecture and dependencies'
        is \"$(grep . conffiles)\" /etc/config/v6kit-router 'conffiles'
        shellcheck -s dash postinst prerm postrm
        # While an image is built nothing may run: whatever they called would not be found.
        for script in postinst prerm postrm; do
            IPKG_INSTROOT=/somewhere PATH=/nonexistent /bin/sh -eu $script
        done
        ",
    )
    .expect(0);
}

#[test]
fn an_upgrade_keeps_settings_and_service() {
    on_router(&format!(
        "{READY}
        router v6kit-router apply
        before=$(router uci show v6kit-router)
        # opkg runs the scripts of the old package with PKG_UPGRADE=1, and stops the service.
        cp $T/package/prerm $T/package/postrm $R/tmp/
        router env PKG_UPGRADE=1 ash /tmp/prerm
        router /etc/init.d/v6kit-router stop
        cp $R/etc/config/v6kit-router $T/kept
        router env PKG_UPGRADE=1 ash /tmp/postrm
        cp -R $T/package/data/. $R/
        cp $T/kept $R/etc/config/v6kit-router
        router env PKG_UPGRADE=1 ash -e /tmp/postinst
        router ash -c 'cd /etc/uci-defaults && ash ./90-v6kit-router && rm 90-v6kit-router'
        router /etc/init.d/v6kit-router start
        is \"$(router uci show v6kit-router)\" \"$before\" 'settings'
        has_route $PREFIX
        has_element $PREFIX
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn rules_that_do_not_load_are_taken_out_again() {
    on_router(
        "
        make_topology
        router fw4 start
        before=$(nft -s list ruleset)
        cp -r $REPOSITORY/openwrt/v6kit-router/files/. $R/
        echo 'no such rule' >>$R/usr/share/nftables.d/table-pre/v6kit-router.nft
        not router v6kit-router load-rules 2>$T/err
        grep -q 'they were taken out again' $T/err
        router fw4 check
        router fw4 reload
        is \"$(nft -s list ruleset)\" \"$before\" ruleset
        ",
    )
    .expect(0);
}
