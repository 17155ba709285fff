//! Settings that are wrong, for one host or for all.

use super::{READY, on_router};
use crate::harness::quoted;

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
        on_router(
            &[
                READY,
                format!("OPTION={option} VALUE={}", quoted(value)).as_str(),
                include_str!("settings/hostile_settings_are_refused_and_nothing_is_changed.sh"),
            ]
            .join("\n"),
        )
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
fn settings_that_cannot_be_read_change_nothing() {
    for damage in [
        "printf 'config settings main\\n\\toption enabled \"0\\n' >$R/etc/config/v6kit-router",
        "printf 'enabled 0\\n' >>$R/etc/config/v6kit-router",
        ": >$R/etc/config/v6kit-router",
        "rm $R/etc/config/v6kit-router",
        "settings 'set v6kit-router.main=other'",
    ] {
        on_router(
            &[
                READY,
                format!("damage() {{\n{damage}\n}}").as_str(),
                include_str!("settings/settings_that_cannot_be_read_change_nothing.sh"),
            ]
            .join("\n"),
        )
        .expect(0);
    }
}

#[test]
fn a_service_with_a_wrong_setting_does_not_start_and_a_restart_takes_nothing_away() {
    for (setting, code) in [("main.ping=maybe", 2), ("crawler.host=2001:db8::1", 2)] {
        on_router(&format!(
            "{READY}
            router /etc/init.d/v6kit-router start
            router /etc/init.d/v6kit-router status
            has_route $PREFIX
            settings 'set v6kit-router.{setting}'
            before=$(ip -6 route; nft -s list ruleset)
            for action in start restart reload; do
                code=0
                router /etc/init.d/v6kit-router $action >$T/out 2>$T/err || code=$?
                is $code {code} \"exit code of $action\"
                is \"$(ip -6 route; nft -s list ruleset)\" \"$before\" \"the router after $action\"
            done
            has_route $PREFIX
            not router /etc/init.d/v6kit-router status >$T/out
            says \"$(cat $T/out)\" 'problem: '
            "
        ))
        .expect(0);
    }
}

/// Three hosts, of which the second has a subnet of the delegation.
const THREE: &str = "
    settings 'set v6kit-router.b=prefix' 'set v6kit-router.b.host=fe80::b' 'set v6kit-router.b.base=wan' \
        'set v6kit-router.b.part=0:0:0:30::/64' \
        'set v6kit-router.c=prefix' 'set v6kit-router.c.host=fe80::c' 'set v6kit-router.c.prefix=2001:db8:9::/48'
    routed() { [ -n \"$(ip -6 route show $1 via fe80::$2 dev br-lan)\" ]; }
    refused() { local code=0; router v6kit-router apply >$T/out 2>$T/err || code=$?; is $code 2 'exit code'; says \"$(cat $T/err)\" \"refused: $1\"; }
";

#[test]
fn a_smaller_delegation_leaves_out_the_host_that_does_not_fit_and_no_other() {
    on_router(&format!(
        "{READY} {THREE}
        router v6kit-router apply
        routed 2001:db8:1:230::/64 b
        # A /64 instead of a /56, and another one.
        uplink wan6 wan 1 $(delegated 2001:db8:5:500:: 64 600)
        assign $(delegated 2001:db8:5:500:: 64 600)
        refused 'b.part: /64 is not inside the wan prefix 2001:db8:5:500::/64'
        routed 2001:db8:5:500:abcd::/80 9
        routed 2001:db8:9::/48 c
        not routed 2001:db8:1:230::/64 b
        is \"$(router v6kit-router check --json | jq -r '.prefixes[].name' | tr '\\n' ' ')\" 'crawler c ' 'served'
        "
    ))
    .expect(0);
}

#[test]
fn one_prefix_for_two_hosts_and_one_inside_another_are_refused_by_name() {
    for prefix in ["2001:db8:9::/48", "2001:db8:9:1::/64", "2001:db8::/32"] {
        on_router(&format!(
            "{READY} {THREE}
            settings 'set v6kit-router.d=prefix' 'set v6kit-router.d.host=fe80::d' 'set v6kit-router.d.prefix={prefix}' \
                'set v6kit-router.e=prefix' 'set v6kit-router.e.host=fe80::e' 'set v6kit-router.e.prefix=2001:db8:7::/64'
            refused 'd: {prefix} '
            [[ $(cat $T/err) != *rror:* ]]
            for pair in $PREFIX=9 2001:db8:1:230::/64=b 2001:db8:9::/48=c 2001:db8:7::/64=e; do
                routed ${{pair%=*}} ${{pair#*=}}
                says \"$(nft list set inet fw4 v6kit_prefix)\" ${{pair%=*}}
            done
            says \"$(router v6kit-router check || true)\" 'problem: d: {prefix} '
            "
        ))
        .expect(0);
    }
}

#[test]
fn a_host_whose_settings_become_wrong_keeps_what_it_has_and_others_change() {
    on_router(&format!(
        "{READY} {THREE}
        router v6kit-router apply
        settings 'set v6kit-router.b.host=nobody' 'set v6kit-router.c.prefix=2001:db8:8::/48'
        refused 'b.host: `nobody` is not a link-local address'
        routed 2001:db8:1:230::/64 b
        says \"$(nft list set inet fw4 v6kit_prefix)\" 2001:db8:1:230::/64
        routed 2001:db8:8::/48 c
        not routed 2001:db8:9::/48 c
        # Without the section nothing of it is left.
        settings 'delete v6kit-router.b'
        router v6kit-router apply
        not routed 2001:db8:1:230::/64 b
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn a_host_whose_prefix_nft_refuses_is_named_and_the_others_are_served() {
    on_router(
        &[
            READY,
            THREE,
            include_str!("settings/a_host_whose_prefix_nft_refuses_is_named_and_the_others_are_served.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}

#[test]
fn a_section_without_a_name_is_served_under_ucis_name_for_it() {
    on_router(&format!(
        "{READY}
        printf \"\\nconfig prefix\\n\\toption host 'fe80::b'\\n\\toption prefix '2001:db8:9::/48'\\n\" >>$R/etc/config/v6kit-router
        router v6kit-router apply
        [ -n \"$(ip -6 route show 2001:db8:9::/48 via fe80::b)\" ]
        name=$(router v6kit-router check --json | jq -r '.prefixes[] | select(.host == \"fe80::b\") | .name')
        router uci set v6kit-router.$name.host=bad
        says \"$(router v6kit-router apply 2>&1 || true)\" \"refused: $name.host: \\`bad\\` is not\"
        "
    ))
    .expect(0);
}

#[test]
fn values_that_are_quoted_for_a_shell_are_read_as_they_are() {
    on_router(&format!(
        "{READY}
        settings 'add_list v6kit-router.main.udp_port=443' \
            'add_list v6kit-router.main.udp_port=8443'
        cat >>$R/etc/config/v6kit-router <<'END'

config prefix 'b'
	option note 'x
v6kit-router.main.ping=drop
'\\'' v6kit-router.main.lan='
	option host 'fe80::b'
	option prefix '2001:db8:9::/48'
END
        router v6kit-router apply
        has_element \"$PREFIX, 2001:db8:9::/48\" || says \"$(nft list set inet fw4 v6kit_prefix)\" 2001:db8:9::/48
        is \"$(nft list set inet fw4 v6kit_udp | grep elements | tr -d ' \\t')\" 'elements={{443,8443}}' ports
        router v6kit-router check
        "
    ))
    .expect(0);
}
