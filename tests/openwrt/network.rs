//! What the package makes of the network that netifd tells it of.

use super::{READY, on_router};

#[test]
fn route_and_set_follow_a_delegated_prefix_and_a_second_event_writes_nothing() {
    on_router(
        &[
            READY,
            include_str!(
                "network/route_and_set_follow_a_delegated_prefix_and_a_second_event_writes_nothing.sh"
            ),
        ]
        .join("\n"),
    )
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
    on_router(
        &[
            READY,
            include_str!("network/the_route_is_there_after_a_cold_boot_a_wan_flap_and_reloads.sh"),
        ]
        .join("\n"),
    )
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
        ip -6 route add $PREFIX via fe80::9 dev br-lan metric 1086 proto 86
        router v6kit-router apply
        has_element $PREFIX
        is $(ip -6 route show $PREFIX | wc -l) 1 routes
        router v6kit-router remove
        not has_route $PREFIX

        # Killed after the note of who has what and before the route.
        settings 'set v6kit-router.main.enabled=1'
        mkdir -p $R/tmp/run/v6kit-router
        echo \"crawler $PREFIX fe80::9\" >$R/tmp/run/v6kit-router/served
        router v6kit-router apply
        has_route $PREFIX
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn a_route_of_a_version_before_is_taken_over_and_undone() {
    on_router(&format!(
        "{READY}
        # That version had no metric of its own, and a note of its routes.
        mkdir -p $R/tmp/run/v6kit-router
        echo \"$PREFIX fe80::9 br-lan\" >$R/tmp/run/v6kit-router/routes
        ip -6 route add $PREFIX via fe80::9 dev br-lan
        router v6kit-router apply
        says \"$(ip -6 route show $PREFIX)\" 'metric 1086'
        is $(ip -6 route show $PREFIX | wc -l) 1 routes
        router v6kit-router remove
        not has_route $PREFIX
        "
    ))
    .expect(0);
}

/// odhcpd sets the route to a host that it delegated a prefix to, and the LAN takes it along when it goes down.
#[test]
fn a_route_that_odhcpd_sets_again_after_the_lan_was_down_is_not_deleted_by_us() {
    on_router(&format!(
        "{READY}
        ip -6 route add $PREFIX via fe80::9 dev br-lan metric 1024
        router v6kit-router apply
        is $(ip -6 route show $PREFIX | wc -l) 1 'routes beside that of odhcpd'
        ip link set br-lan down
        ip link set br-lan up
        ip addr add fe80::1/64 dev br-lan nodad 2>/dev/null || true
        hotplug ACTION=ifup INTERFACE=lan
        has_route $PREFIX
        # The lease is renewed.
        ip -6 route replace $PREFIX via fe80::9 dev br-lan metric 1024
        hotplug ACTION=ifupdate INTERFACE=wan6
        router v6kit-router remove
        is \"$(ip -6 route show $PREFIX | cut -d ' ' -f 1-7)\" \"$PREFIX via fe80::9 dev br-lan metric 1024\" 'its route'
        "
    ))
    .expect(0);
}

/// Both names stand in front of `wan6`.
#[test]
fn a_tunnel_with_a_prefix_of_its_own_is_not_the_way_to_the_internet() {
    on_router(&format!(
        "{READY}
        uplink avpn avpn 0 $(delegated 2001:db8:77:: 48)
        uplink bvpn bvpn 1 $(delegated 2001:db8:88:: 48 9000)
        assign $(delegated 2001:db8:77:1:: 64) $(delegated 2001:db8:1:202:: 64 600)
        router v6kit-router apply
        # The one whose delegation holds the prefix, although another has a default route as well.
        has_route $PREFIX
        is \"$(nft list set inet fw4 v6kit_wan | grep elements | tr -d ' \\t')\" 'elements={{\"wan\"}}' devices
        serve outside :: 7000
        is $(exchanges tcp 100) 100 exchanges
        is $(entries) 0 entries
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn a_prefix_of_no_delegation_may_come_in_by_every_default_route() {
    on_router(&format!(
        "{READY}
        uplink lte wwan0 1
        settings 'delete v6kit-router.crawler.base' 'delete v6kit-router.crawler.part' \
            'set v6kit-router.crawler.prefix=2001:db8:9::/48'
        router v6kit-router apply
        devices=$(nft list set inet fw4 v6kit_wan)
        says \"$devices\" '\"wan\"'
        says \"$devices\" '\"wwan0\"'
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn of_two_delegations_at_once_the_one_that_is_preferred_for_longer_is_followed() {
    on_router(&format!(
        "{READY}
        settings 'set v6kit-router.crawler.base=wan' 'set v6kit-router.crawler.part=0:0:0:f0::/60'
        router v6kit-router apply
        has_route 2001:db8:1:2f0::/60
        # netifd lists the old one first while both live.
        uplink wan6 wan 1 $(delegated 2001:db8:1:200:: 56 250) $(delegated 2001:db8:5:500:: 56 600)
        hotplug ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1
        has_route 2001:db8:5:5f0::/60
        has_element 2001:db8:5:5f0::/60
        not has_route 2001:db8:1:2f0::/60
        # And the same for the LAN.
        settings 'set v6kit-router.crawler.base=lan' 'set v6kit-router.crawler.part=::abcd:0:0:0/80'
        assign $(delegated 2001:db8:1:202:: 64 250) $(delegated 2001:db8:5:502:: 64 600)
        router v6kit-router apply
        has_route 2001:db8:5:502:abcd::/80
        "
    ))
    .expect(0);
}

#[test]
fn an_event_with_nothing_new_costs_less_than_thirty_processes() {
    on_router(
        &[
            READY,
            include_str!("network/an_event_with_nothing_new_costs_less_than_thirty_processes.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}

#[test]
fn what_is_waited_for_or_refused_is_logged_once() {
    on_router(
        &[
            READY,
            include_str!("network/what_is_waited_for_or_refused_is_logged_once.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}

/// procd and hotplug leave SIGPIPE ignored to what they start: writing to a reader that is gone is an error there.
#[test]
fn nothing_is_said_about_broken_pipes() {
    on_router(&format!(
        "{READY}
        deaf() {{ (trap '' PIPE; router \"$@\") 2>>$T/err >/dev/null || true; }}
        deaf /etc/init.d/v6kit-router start
        for time in 1 2 3 4 5; do
            delegate 2001:db8:$time:200:: 56 2001:db8:$time:202::
            deaf ash -c 'ACTION=ifupdate INTERFACE=wan6; for script in /etc/hotplug.d/iface/*; do . $script; done'
            for command in plan apply status check 'check --json'; do deaf v6kit-router $command; done
        done
        deaf v6kit-router remove
        is \"$(cat $T/err)\" '' 'standard error'
        "
    ))
    .expect(0);
}
