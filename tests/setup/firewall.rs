//! What reaches the prefix from outside, and connection tracking.

use super::{ECHO, on_host};

/// A service on every address of the host, and how the peer reaches it.
const SERVICE: &str = r#"
A=2001:db8:1::a:b:c
started "$V6KIT" echo --listen '[::]:8080'
reaches() { in_peer curl --silent --show-error --fail --connect-timeout 1 --output /dev/null "http://[$1]:8080/"; }
pings() { in_peer ping -q -c 1 -W 1 "$1" >/dev/null; }
"#;

#[test]
fn inbound_protection_drops_new_connections_and_ping_and_lets_answers_through() {
    on_host(&format!(
        r#"{ECHO}{SERVICE}
        $SETUP --inbound allow --json >"$T/log/open"
        # Without it the service is reached at every address, and setup names it.
        jq -e '.steps[] | select(.id == "inbound").reason | contains("tcp 8080 (")' "$T/log/open"
        reaches $A
        pings $A
        $SETUP
        fails reaches $A
        fails pings $A
        # The host's own address is as open as before, and so is the prefix from the host itself.
        reaches $OWN
        pings $OWN
        curl --silent --show-error --fail --output /dev/null "http://[$A]:8080/"
        curl --silent --show-error --fail --output /dev/null --interface $A "http://[$PEER]/"
        $V6KIT teardown"#
    ));
}

#[test]
fn an_own_address_in_the_prefix_stays_open() {
    on_host(&format!(
        r#"{SERVICE}
        ip addr add 2001:db8:1::5/128 dev up0 nodad
        $SETUP
        reaches 2001:db8:1::5
        pings 2001:db8:1::5
        fails reaches $A"#
    ));
}

/// The first datagram that arrives at a socket: the one to a closed address is sent first.
const DATAGRAMS: &str = r#"
listen() { # name, address
    socat -u UDP6-RECVFROM:5353,bind="[$2]",reuseaddr "OPEN:$T/log/$1,creat,append" & 
    until ss -Hlun | has -F "[$2]:5353" || { [ "$2" = :: ] && ss -Hlun | has -E '(\*|\[::\]):5353'; }; do :; done
}
send() { printf '%s' "$2" | in_peer socat -u - "UDP6-SENDTO:[$1]:5353"; }
"#;

#[test]
fn datagrams_reach_the_sockets_of_that_very_address_and_no_service_on_every_address() {
    on_host(
        &[
            DATAGRAMS,
            include_str!(
                "firewall/datagrams_reach_the_sockets_of_that_very_address_and_no_service_on_every_address.sh"
            ),
        ]
        .join("\n"),
    );
}

/// A client of `v6kit proxy` with one UDP association, a server at the peer that answers, and a stranger there.
const ASSOCIATION: &str = include_str!("firewall/association.sh");

#[test]
fn a_proxys_datagrams_come_back_and_nothing_else_comes_in() {
    on_host(
        &[
            DATAGRAMS,
            SERVICE,
            ASSOCIATION,
            include_str!("firewall/a_proxys_datagrams_come_back_and_nothing_else_comes_in.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn without_nft_setup_warns_and_lists_the_services_that_are_now_reached() {
    on_host(
        &[
            SERVICE,
            include_str!("firewall/without_nft_setup_warns_and_lists_the_services_that_are_now_reached.sh"),
        ]
        .join("\n"),
    );
}

/// A firewall as in many guides: new connections out, their answers in, nothing else.
const DEFAULT_DROP: &str = r#"
nft -f - <<'RULES'
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname "lo" accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    }
    chain output {
        type filter hook output priority filter; policy accept;
    }
}
RULES
tracked() { conntrack -C; }
"#;

#[test]
fn notrack_asks_for_the_one_line_that_a_default_drop_firewall_lacks() {
    on_host(
        &[
            ECHO,
            DEFAULT_DROP,
            include_str!("firewall/notrack_asks_for_the_one_line_that_a_default_drop_firewall_lacks.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn connection_tracking_that_may_not_be_raised_here_is_skipped_with_advice() {
    on_host(&format!(
        r#"{DEFAULT_DROP}
        $SETUP --conntrack 100000000 --json >"$T/log/report"
        same "$(jq -r '[.steps[] | select(.id | startswith("net.netfilter")) | .state] | join(" ")' "$T/log/report")" 'skipped skipped'
        jq -e '.steps[] | select(.id == "net.netfilter.nf_conntrack_max").reason | contains("initial network namespace")' "$T/log/report""#
    ));
}

#[test]
fn where_nothing_is_tracked_connection_tracking_is_left_alone() {
    on_host(
        r#"
        $SETUP --json >"$T/log/report"
        same "$(jq -r '.steps[] | select(.id == "conntrack").state' "$T/log/report")" unchanged
        jq -e '.steps[] | select(.id == "conntrack").reason | test("nothing is tracked|not loaded")' "$T/log/report""#,
    );
}

#[test]
fn a_table_of_the_same_name_that_somebody_else_made_is_a_conflict_and_stays() {
    on_host(
        r#"
        nft add table inet v6kit
        snapshot >"$T/log/before"
        ends 1 $SETUP --json >"$T/log/report"
        same "$(jq -r '.steps[] | select(.id == "inbound").state' "$T/log/report")" conflict
        same "$(jq -r '.steps[] | select(.id == "route").state' "$T/log/report")" changed
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#,
    );
}

#[test]
fn an_nft_that_fails_is_a_conflict_where_a_service_is_left_open_and_denies_nothing_else() {
    on_host(&format!(
        r#"{SERVICE}
        mkdir "$T/log/bin"
        for said in 'Error: Could not process rule: Cannot allocate memory' \
            'netlink: Error: cache initialization failed: Operation not permitted'; do
            printf '#!/bin/sh\necho "%s" >&2\nexit 1\n' "$said" >"$T/log/bin/nft"
            chmod 755 "$T/log/bin/nft"
            code=0
            PATH="$T/log/bin:$PATH" $SETUP --json >"$T/log/report" || code=$?
            same $code 1 "$said"
            same "$(jq -r '.steps[] | select(.id == "inbound").state' "$T/log/report")" conflict
            jq -e '.steps[] | select(.id == "inbound").reason | contains("tcp 8080 (")' "$T/log/report"
            same "$(jq -r '.steps[] | select(.id == "route").state' "$T/log/report")" changed
            $V6KIT teardown >/dev/null
            test ! -e "$V6KIT_STATE_DIR"
        done"#
    ));
}
