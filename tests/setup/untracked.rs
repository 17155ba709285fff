//! `--conntrack notrack` beside firewalls that treat untracked packets in their own ways: it is tried.

use super::{ECHO, on_host};

const FETCH: &str = r#"
fetch() { curl --silent --show-error --fail --connect-timeout 2 --output /dev/null --interface $(random_address $P) "http://[$PEER]/"; }
state() { jq -r '.steps[] | select(.id == "notrack").state' "$T/log/report"; }
reason() { jq -r '.steps[] | select(.id == "notrack").reason' "$T/log/report"; }
"#;

/// Firewalls that let answers in by the state of their connection.
const BY_STATE: [&str; 3] = [
    // A verdict map, before routing.
    "chain a { type filter hook prerouting priority 0; meta l4proto ipv6-icmp accept; ct state vmap { established : accept, related : accept, new : accept, untracked : drop }; }",
    // What leaves: only what belongs to a connection.
    "chain a { type filter hook output priority 0; policy drop; oifname lo accept; meta l4proto ipv6-icmp accept; ct state new,established accept; }",
    // An accept of untracked packets that is none of theirs.
    "chain f { type filter hook forward priority 0; ct state untracked accept; }
     chain g { ct state established,related accept; meta l4proto ipv6-icmp accept; iifname lo accept; drop; }
     chain a { type filter hook input priority 0; iifname up0 goto g; }",
];

#[test]
fn where_untracked_answers_are_dropped_the_step_is_taken_back_and_the_prefix_works() {
    for chains in BY_STATE {
        on_host(&[ECHO, FETCH, format!("CHAINS='{chains}'").as_str(), include_str!("untracked/where_untracked_answers_are_dropped_the_step_is_taken_back_and_the_prefix_works.sh")].join("\n"));
    }
}

#[test]
fn a_firewall_that_comes_after_it_is_met_by_another_setup() {
    on_host(
        &[
            ECHO,
            FETCH,
            include_str!("untracked/a_firewall_that_comes_after_it_is_met_by_another_setup.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn beside_a_silent_gateway_nothing_is_claimed() {
    on_host(
        &[
            ECHO,
            FETCH,
            include_str!("untracked/beside_a_silent_gateway_nothing_is_claimed.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn without_a_gateway_that_answers_the_hooks_of_this_host_are_tried_by_themselves() {
    for (chain, found) in [
        (
            "chain a { type filter hook output priority 0; policy drop; meta l4proto ipv6-icmp accept; ct state new,established accept; }",
            "conflict",
        ),
        (
            "chain a { type filter hook input priority 0; ct state untracked meta l4proto tcp drop; }",
            "conflict",
        ),
        (
            "chain a { type filter hook input priority 0; tcp dport 9 counter; }",
            "changed",
        ),
    ] {
        on_host(&[FETCH, format!("CHAIN='{chain}' FOUND={found}").as_str(), include_str!("untracked/without_a_gateway_that_answers_the_hooks_of_this_host_are_tried_by_themselves.sh")].join("\n"));
    }
}
