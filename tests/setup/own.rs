//! The addresses of this host in a prefix that is shut to others: they come and go after setup.

use super::on_host;

/// A service on every address of the host, a bridge beside the uplink, and how the peer reaches them.
const SERVICE: &str = r#"
started "$V6KIT" echo --listen '[::]:8080'
reaches() { in_peer curl --silent --fail --connect-timeout 1 --output /dev/null "http://[$1]:8080/"; }
ip link add br0 type bridge
sysctl -qw net.ipv6.conf.br0.accept_dad=0
ip link set br0 up
"#;

#[test]
fn an_address_that_comes_later_is_open_on_its_device_at_once_and_elsewhere_when_renewed() {
    on_host(&format!(
        r#"{SERVICE}
        snapshot >"$T/log/before"
        $SETUP
        fails reaches 2001:db8:1::a
        # On the device that packets arrive on.
        ip addr add 2001:db8:1::a/128 dev up0 nodad
        until reaches 2001:db8:1::a; do sleep 0.1; done
        $V6KIT status
        ip addr del 2001:db8:1::a/128 dev up0
        fails reaches 2001:db8:1::a
        # Elsewhere: named until the next setup or check.
        ip addr add 2001:db8:1::b/128 dev br0 nodad
        ip addr add 2001:db8:1::c/128 dev lo nodad
        fails reaches 2001:db8:1::b
        ends 1 $V6KIT status >"$T/log/out"
        has 'inbound .*drifted .*shut: 2001:db8:1::b, an address of this host on br0' "$T/log/out"
        has 'shut: 2001:db8:1::c, an address of this host on lo' "$T/log/out"
        $SETUP --json | jq -e '.steps[] | select(.id == "inbound") | .state == "changed" and (.reason | contains("2001:db8:1::b"))'
        reaches 2001:db8:1::b
        reaches 2001:db8:1::c
        fails reaches 2001:db8:1::a
        $V6KIT status
        # One that is gone is open to nobody's use, and named.
        ip addr del 2001:db8:1::b/128 dev br0
        ends 1 $V6KIT status | has 'open: 2001:db8:1::b, which is no address of this host any more'
        printf 'prefix = "%s"\ndev = "up0"\n' $P >"$T/log/host.toml"
        $V6KIT status --config "$T/log/host.toml" >"$T/log/out" 2>&1
        has '2001:db8:1::b is no address of this host any more' "$T/log/out"
        fails reaches 2001:db8:1::b
        ip addr del 2001:db8:1::c/128 dev lo
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
}

#[test]
fn status_follows_the_addresses_where_it_is_told_to() {
    on_host(&format!(
        r#"{SERVICE}
        $SETUP
        $V6KIT status --follow >"$T/log/follow" 2>&1 &
        follow=$!
        ip addr add 2001:db8:1::b/128 dev br0 nodad
        until reaches 2001:db8:1::b; do kill -0 $follow; sleep 0.1; done
        # A restarted firewall and another setup: it goes on.
        nft flush ruleset
        $SETUP
        ip addr del 2001:db8:1::b/128 dev br0
        while reaches 2001:db8:1::b; do kill -0 $follow; sleep 0.1; done
        until has '2001:db8:1::b is no address' "$T/log/follow"; do kill -0 $follow; sleep 0.1; done
        kill $follow
        wait $follow || true
        $V6KIT teardown"#
    ));
}

#[test]
fn a_part_is_opened_inside_a_prefix_that_stays_shut_and_shut_again_with_its_teardown() {
    on_host(&format!(
        r#"{SERVICE}
        PART=2001:db8:1:0:5::/80
        snapshot >"$T/log/before"
        $SETUP
        $V6KIT setup --prefix $PART --dev up0 --inbound allow
        reaches 2001:db8:1:0:5::1
        fails reaches 2001:db8:1::1
        $V6KIT status
        $V6KIT teardown --prefix $PART
        fails reaches 2001:db8:1:0:5::1
        $V6KIT teardown
        # The other way round: what is shut with it is told.
        $V6KIT setup --prefix $PART --dev up0 --inbound allow
        $SETUP | has "note: $PART was set up open and is shut with $P"
        fails reaches 2001:db8:1:0:5::1
        $V6KIT setup --prefix $PART --dev up0 --inbound allow
        reaches 2001:db8:1:0:5::1
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
}

#[test]
fn sets_of_others_are_not_listed_however_large() {
    on_host(
        r#"
        mkdir "$T/log/bin"
        real=$(command -v nft)
        cat >"$T/log/bin/nft" <<NFT
#!/bin/sh
$real "\$@" >"$T/log/nft.\$\$"; code=\$?
cat "$T/log/nft.\$\$"; cat "$T/log/nft.\$\$" >>"$T/log/listed"
exit \$code
NFT
        chmod 755 "$T/log/bin/nft"
        nft -f - <<'NFT'
table inet crowd {
    set blocked { type ipv6_addr; elements = { 2001:db8:dead::1, 2001:db8:dead::2 } }
    map verdicts { type ipv6_addr : verdict; elements = { 2001:db8:dead::3 : drop } }
    chain in { type filter hook input priority -5; ip6 saddr @blocked drop; ip6 saddr vmap @verdicts; }
}
NFT
        export PATH="$T/log/bin:$PATH"
        $SETUP
        $V6KIT status
        $V6KIT doctor >"$T/log/doctor" || true
        $V6KIT teardown
        test -s "$T/log/listed"
        fails has 'db8:dead' "$T/log/listed""#,
    );
}
