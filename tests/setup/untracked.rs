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
        on_host(&format!(
            r#"{ECHO}{FETCH}
            nft -f - <<'NFT'
table inet guard {{
{chains}
}}
NFT
            fetch2() {{ fetch && fetch; }}
            ends 1 $SETUP --conntrack notrack --json >"$T/log/report"
            same "$(state)" conflict
            reason | has 'taken back'
            fetch2
            nft list table inet v6kit | fails has notrack
            $V6KIT status
            # A later setup finds it still so; one without it is in order.
            ends 1 $SETUP --conntrack notrack
            $SETUP
            fetch2
            $V6KIT teardown"#
        ));
    }
}

#[test]
fn a_firewall_that_comes_after_it_is_met_by_another_setup() {
    on_host(&format!(
        r#"{ECHO}{FETCH}
        $SETUP --conntrack notrack --json >"$T/log/report"
        same "$(state)" changed
        reason | has 'tried with the default gateway'
        fetch
        nft -f - <<'NFT'
table inet late {{
chain a {{ type filter hook input priority 0; iifname up0 tcp sport 1-65535 ct state != {{ established, related }} drop; }}
}}
NFT
        fails fetch
        ends 1 $SETUP --conntrack notrack --json >"$T/log/report"
        same "$(state)" conflict
        reason | has 'inet late a'
        fetch
        nft delete table inet late
        $SETUP --conntrack notrack --json >"$T/log/report"
        same "$(state)" changed
        fetch
        $V6KIT teardown"#
    ));
}

#[test]
fn beside_a_silent_gateway_nothing_is_claimed() {
    on_host(&format!(
        r#"{ECHO}{FETCH}
        in_peer nft -f - <<'NFT'
table inet quiet {{
chain a {{ type filter hook input priority 0; tcp dport {{ 9, 53, 80 }} drop; }}
}}
NFT
        $SETUP --conntrack notrack --json >"$T/log/report"
        same "$(state)" changed
        reason | has 'not tried, as no default gateway answers'
        $V6KIT teardown
        nft -f - <<'NFT'
table inet guard {{
chain a {{ type filter hook input priority 0; policy drop; ct state established accept; meta l4proto ipv6-icmp accept; }}
}}
NFT
        ends 1 $SETUP --conntrack notrack --json >"$T/log/report"
        same "$(state)" conflict
        reason | has 'likely dropped by inet guard a, and no default gateway answers'
        $V6KIT teardown"#
    ));
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
        on_host(&format!(
            r#"
            snapshot >"$T/log/before"
            ip -6 route del default
            printf 'table inet guard {{\n%s\n}}\n' '{chain}' | nft -f -
            {FETCH}
            code=0
            $SETUP --conntrack notrack --json >"$T/log/report" || code=$?
            same "$(state)" {found}
            case {found} in
                conflict)
                    same $code 1
                    reason | has 'untracked, this host does not answer itself by lo; tracked, it does: taken back'
                    nft list table inet v6kit | fails has notrack ;;
                changed)
                    same $code 0
                    reason | has 'not tried, as no default gateway answers' ;;
            esac
            $V6KIT status
            $V6KIT teardown
            nft delete table inet guard
            ip -6 route add default via $PEER
            snapshot >"$T/log/after"
            diff "$T/log/before" "$T/log/after""#
        ));
    }
}
