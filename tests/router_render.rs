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
    on_router(
        "
        make_topology
        router fw4 start
        host ip -6 route add local $PREFIX dev lo
        $V6KIT router render --json --host fe80::9 --prefix $PREFIX --follow lan --conntrack keep >$T/rendering
        jq -r '.files[] | [.path, (.mode | tostring)] | @tsv' $T/rendering | while read -r path mode; do
            mkdir -p \"$R${path%/*}\"
            jq -rj --arg path $path '.files[] | select(.path == $path) | .text' $T/rendering >$R$path
            chmod $(printf %o $mode) $R$path
        done
        jq -r '.uci[]' $T/rendering | router uci batch >/dev/null
        router fw4 reload
        jq -r '.nft[]' $T/rendering | nft -f -
        router v6kit-router apply
        router v6kit-router check
        serve outside :: 7000
        is $(exchanges tcp 200) 200 exchanges
        is $(entries) 0 entries
        ",
    )
    .expect(0);
}

#[test]
fn rules_for_nftables_pass_the_traffic_of_a_router_that_drops_by_default() {
    on_router(
        "
        make_topology
        host ip -6 route add local $PREFIX dev lo
        cat >$T/filter.nft <<'END'
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname \"br-lan\" oifname \"wan\" accept
    }
}
END
        nft -f $T/filter.nft
        before=$(nft -s list ruleset)
        render() { $V6KIT router render --host fe80::9 --prefix $PREFIX --lan br-lan --wan wan \"$@\"; }
        render --as nftables --udp-port 7000 --ping drop >$T/rules.nft
        render --as iproute2 >$T/route.sh
        nft -c -f $T/rules.nft
        nft -f $T/rules.nft
        sh -eu $T/route.sh
        serve outside :: 7000
        is $(exchanges tcp 500) 500 'TCP exchanges'
        is $(exchanges udp 50) 50 'UDP exchanges'
        is $(entries) 0 entries
        serve host :: 7001
        code=0
        outside curl -gsS --max-time 2 'http://[2001:db8:1:202:abcd::7]:7001/' 2>/dev/null || code=$?
        is $code 28 'code of curl from outside, dropped'
        # As the rules' own remark says.
        nft delete rule inet filter forward handle \
            $(nft -a list chain inet filter forward | sed -n 's/.*jump v6kit_inbound # handle //p')
        nft delete chain inet filter v6kit_inbound
        nft delete table inet v6kit
        is \"$(nft -s list ruleset)\" \"$before\" 'after removal'
        ",
    )
    .expect(0);
}

/// Two tables with a chain that drops, as beside a firewall of one's own another program's.
#[test]
fn rules_for_nftables_stand_in_every_chain_that_drops_and_the_route_takes_a_global_next_hop() {
    on_router(
        "
        make_topology
        host ip -6 route add local $PREFIX dev lo
        for name in mine theirs; do
            nft -f - <<END
table ip6 $name {
    chain FWD-$name {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname \"br-lan\" oifname \"wan\" accept
    }
}
END
        done
        render() { $V6KIT router render --host 2001:db8:1:202::9 --prefix $PREFIX --lan br-lan --wan wan \"$@\"; }
        sh -eu <(render --as iproute2)
        says \"$(ip -6 route show $PREFIX)\" 'via 2001:db8:1:202::9 dev br-lan'
        serve outside :: 7000
        # One of two is not enough.
        render --as nftables --chain 'ip6 mine FWD-mine' | nft -f -
        is $(exchanges tcp 10 2) 0 'exchanges with a jump in one of them'
        nft delete table inet v6kit
        nft flush chain ip6 mine FWD-mine
        nft delete chain ip6 mine v6kit_inbound
        nft add rule ip6 mine FWD-mine iifname br-lan oifname wan accept
        render --as nftables --chain 'ip6 mine FWD-mine' --chain 'ip6 theirs FWD-theirs' | nft -f -
        is $(exchanges tcp 200) 200 'exchanges with a jump in both'
        is $(entries) 0 entries
        code=0
        render --as nftables --chain 'ip6 filter FORWARD' 2>$T/err || code=$?
        is $code 2 'exit code for a chain of iptables'
        ",
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
    in_namespace(
        "
        # As root of a namespace with one user, networkd can become nobody else: its user is root here. A
        # read-only /sys tells it that there is no udev to wait for.
        mount -t sysfs -o ro sysfs /sys
        mount -t tmpfs tmpfs /run
        mkdir -p /run/systemd/netif/{links,leases,lldp}
        sed -i '/^systemd-network:/d' /etc/passwd
        echo 'systemd-network:x:0:0::/:/usr/sbin/nologin' >>/etc/passwd
        rm -rf /etc/systemd/network
        mkdir -p /etc/systemd/network/10-lan.network.d
        printf '[Match]\\nName=br-lan\\n[Network]\\nAddress=2001:db8:1:202::1/64\\nIPv6AcceptRA=no\\n' \
            >/etc/systemd/network/10-lan.network
        $V6KIT router render --as systemd-networkd --host fe80::9 --prefix 2001:db8:1:202:abcd::/80 \
            --lan br-lan --wan wan >/etc/systemd/network/10-lan.network.d/v6kit.conf
        ip link add br-lan type veth peer name peer
        ip link set peer up
        exec {routes}< <(ip -6 monitor route)
        SYSTEMD_LOG_TARGET=console /lib/systemd/systemd-networkd 2>$T/log &
        while read -r -t 60 -u $routes line; do
            [[ $line != '2001:db8:1:202:abcd::/80 via fe80::9 dev br-lan '* ]] || exit 0
        done
        cat $T/log
        exit 1
        ",
    )
    .expect(0);
}
