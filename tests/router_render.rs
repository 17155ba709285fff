//! `v6kit router render`: what it prints, and that it does what it says when it is copied.

use crate::harness::{in_namespace, v6kit};
use crate::openwrt::on_router;

#[test]
fn render_prints_the_settings_the_elements_and_the_files() {
    let run = v6kit(&[
        "router",
        "render",
        "--json",
        "--host",
        "fe80::9%eth0",
        "--prefix",
        "2001:db8:1:2:abcd::/80",
        "--follow",
        "lan",
    ])
    .expect(0);
    let json = run.json();
    assert_eq!(json["as"], "openwrt");
    let uci: Vec<&str> = json["uci"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert!(
        uci.contains(&"set v6kit-router.crawler.part='::abcd:0:0:0/80'"),
        "{run}"
    );
    assert_eq!(
        json["nft"][0],
        "add element inet fw4 v6kit_prefix { 2001:db8:1:2:abcd::/80 }"
    );
    for file in json["files"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        let ours = crate::harness::repository()
            .join("openwrt/v6kit-router/files")
            .join(path.trim_start_matches('/'));
        assert_eq!(file["text"], std::fs::read_to_string(&ours).unwrap(), "{path}");
    }
}

#[test]
fn what_render_prints_does_the_same_as_a_push_when_it_is_copied() {
    on_router(include_str!(
        "router_render/what_render_prints_does_the_same_as_a_push_when_it_is_copied.sh"
    ))
    .expect(0);
}

#[test]
fn rules_for_nftables_pass_the_traffic_of_a_router_that_drops_by_default() {
    on_router(include_str!(
        "router_render/rules_for_nftables_pass_the_traffic_of_a_router_that_drops_by_default.sh"
    ))
    .expect(0);
}

/// Two tables with a chain that drops, as beside a firewall of one's own another program's.
#[test]
fn rules_for_nftables_stand_in_every_chain_that_drops_and_the_route_takes_a_global_next_hop() {
    on_router(
        include_str!("router_render/rules_for_nftables_stand_in_every_chain_that_drops_and_the_route_takes_a_global_next_hop.sh"),
    )
    .expect(0);
}

#[test]
fn a_next_hop_that_cannot_be_is_refused() {
    let render = |host: &str, kind: &str| {
        v6kit(&[
            "router",
            "render",
            "--as",
            kind,
            "--host",
            host,
            "--prefix",
            "2001:db8:1::/48",
            "--lan",
            "eth1",
            "--wan",
            "eth0",
        ])
    };
    let inside = render("2001:db8:1::9", "vyos").expect(2);
    assert!(
        inside
            .stderr
            .contains("the next hop 2001:db8:1::9 lies in 2001:db8:1::/48 itself"),
        "{inside}"
    );
    let global = v6kit(&[
        "router",
        "render",
        "--host",
        "2001:db8:2::9",
        "--prefix",
        "2001:db8:1::/48",
    ])
    .expect(2);
    assert!(
        global.stderr.contains("OpenWrt needs a link-local address"),
        "{global}"
    );
    render("ff02::1", "vyos").expect(2);
    render("2001:db8:2::9", "vyos").expect(0);
}

#[test]
fn networkd_sets_the_route_from_the_drop_in() {
    in_namespace(include_str!(
        "router_render/networkd_sets_the_route_from_the_drop_in.sh"
    ))
    .expect(0);
}
