//! Answers that are missing: for how long is looked, whose rules are named, and what hints lead to.

use super::{assert_said, in_words};

#[test]
fn solicitations_are_watched_for_longer_than_a_short_timeout() {
    let all = in_words(
        "on-link",
        "set_up\npatience=300ms\nsay\npatience=1s\nsay\nas=$drop_all say\ncount=1\nas=$drop_all say",
    );
    assert_eq!(all.len(), 4);
    for said in &all {
        assert_said(
            said,
            "on-link",
            &["v6kit ndp --prefix 2001:db8:6::/64 --dev eth0`"],
        );
    }
}

#[test]
fn a_responder_that_answers_in_vain_is_not_recommended_once_more() {
    let all = in_words(
        "on-link",
        r#"
        set_up
        patience=2s
        # A switch that lets nobody tell of addresses that it did not give out.
        in_router nft add table netdev switch
        in_router nft "add chain netdev switch port { type filter hook ingress device lan priority 0; }"
        in_router nft add rule netdev switch port icmpv6 type nd-neighbor-advert @th,64,64 0x20010db800060000 drop
        coproc NDP { exec "$V6KIT" ndp --prefix "$V6KIT_LAB_PREFIX" --dev eth0 2>&1; }
        read -r line <&"${NDP[0]}"
        say
        kill -INT $NDP_PID
        wait $NDP_PID || true
        "#,
    );
    assert_said(
        &all[0],
        "on-link",
        &["this host advertises them (a responder runs here)"],
    );
    assert!(!all[0].contains("v6kit ndp"), "{}", all[0]);
}

#[test]
fn who_refuses_the_prefix_is_not_said_to_have_no_service() {
    let all = in_words(
        "routed",
        r#"
        set_up
        patience=1s
        in_router nft add table ip6 f
        in_router nft "add chain ip6 f forward { type filter hook forward priority 0; }"
        in_router nft add rule ip6 f forward ip6 saddr "$V6KIT_LAB_PREFIX" meta l4proto tcp reject with tcp reset
        say
        in_router nft flush chain ip6 f forward
        # A proxy of this host's own that is not there any more.
        nft add table ip6 n
        nft "add chain ip6 n out { type nat hook output priority -100; }"
        nft add rule ip6 n out ip6 saddr "$V6KIT_LAB_PREFIX" tcp dport 80 redirect to :3128
        say
        "#,
    );
    assert_said(
        &all[0],
        "filtered",
        &["answers the host's own address, and connections from 2001:db8:6::/64 are refused"],
    );
    assert!(!all[0].contains("service listens"), "{}", all[0]);
    assert_said(
        &all[1],
        "dropped-here",
        &["drop or divert them stand in `sudo nft -a list chain ip6 n out`"],
    );
}

/// `slow PORT`: an endpoint on the target that takes 1.5 s to answer addresses of the prefix.
const SLOW: &str = include_str!("missing/slow.sh");

#[test]
fn answers_that_come_too_late_are_told_as_late_and_with_the_time_they_need() {
    let all = in_words("routed", &format!("{SLOW}\nset_up\nslow 9000\npatience=1s\nsay"));
    assert_said(
        &all[0],
        "no-return",
        &[
            "later than --timeout allows",
            "answered after ",
            "give it more time: --timeout ",
        ],
    );
}

#[test]
fn rules_that_our_packets_cannot_meet_are_not_named() {
    let all = in_words(
        "routed",
        include_str!("missing/rules_that_our_packets_cannot_meet_are_not_named.sh"),
    );
    assert_said(
        &all[0],
        "dropped-here",
        &["`sudo nft -a list chain inet guard called` (its counter went up by "],
    );
    assert_said(
        &all[1],
        "dropped-here",
        &["them stand in `sudo nft -a list chain inet guard other_source`"],
    );
    for said in &all {
        for decoy in ["other_device", "other_protocol", "other_port", "guard answers"] {
            assert!(!said.contains(decoy), "{decoy}: {said}");
        }
    }
    assert!(!all[0].contains("other_source"), "{}", all[0]);
}

#[test]
fn a_host_that_lets_nothing_out_is_not_told_to_look_at_its_router() {
    let all = in_words(
        "routed",
        r#"
        set_up
        patience=1s
        nft add table inet guard
        nft "add chain inet guard out { type filter hook output priority 0; }"
        nft add rule inet guard out tcp dport 80 counter drop
        ip -6 neigh flush dev eth0
        say
        # As by somebody who drops what he does not know.
        nft flush chain inet guard out
        nft add rule inet guard out meta l4proto icmpv6 drop
        ip -6 neigh flush dev eth0
        say
        "#,
    );
    assert_said(
        &all[0],
        "dropped-here",
        &[
            "do not leave by eth0",
            "chain inet guard out` (its counter went up by ",
        ],
    );
}

/// An endpoint on port 9000 of the target whose answer is larger than a packet.
const LARGE: &str = include_str!("missing/large.sh");

#[test]
fn packets_of_full_size_that_are_lost_are_told_where_that_was_seen() {
    let all = in_words(
        "routed",
        &[
            LARGE,
            include_str!("missing/packets_of_full_size_that_are_lost_are_told_where_that_was_seen.sh"),
        ]
        .join("\n"),
    );
    assert_said(
        &all[0],
        "ok",
        &[
            "a request larger than a packet gets no answer, and does in segments of 1220 bytes",
            "this host sends packets of up to 1500 bytes there",
        ],
    );
    assert_said(
        &all[3],
        "ok",
        &["this host sends packets of up to 5000 bytes there"],
    );
    assert_said(
        &all[1],
        "path-mtu",
        &["are answered in segments of 1220 bytes. Not known: who drops them"],
    );
    assert_said(&all[2], "ok", &[]);
    assert!(!all[2].contains("1220"), "{}", all[2]);
}

#[test]
fn one_address_is_said_to_show_what_one_address_shows() {
    let all = in_words(
        "routed",
        r#"
        set_up
        count=1 say
        V6KIT_LAB_PREFIX=2001:db8:6::77/128 say
        "#,
    );
    assert_said(
        &all[0],
        "ok",
        &["one address shows nothing of the others of 2001:db8:6::/64"],
    );
    assert_said(
        &all[1],
        "ok",
        &["a connection left from 2001:db8:6::77 and was answered"],
    );
    for said in &all {
        assert!(!said.contains("random addresses"), "{said}");
    }
}

/// Runs every command of ours in the hints of verify as it is printed.
const FOLLOW: &str = include_str!("missing/follow.sh");

#[test]
fn each_hint_of_verify_runs_as_it_is_printed_and_leads_on() {
    let run = super::in_prepared_lab(
        "routed",
        &format!(
            r#"
            {FOLLOW}
            real=$V6KIT_LAB_TARGET
            follow "$real"
            set_up --inbound allow
            coproc SERVICE {{ exec "$V6KIT" echo --json --listen [::]:7777; }}
            read -r line <&"${{SERVICE[0]}}"
            as=$drop_all follow "$real"
            V6KIT_LAB_TARGET=${{real%/}}/nothing/there follow "$real"
            in_router ip -6 route del "$V6KIT_LAB_PREFIX"
            as=$drop_all follow "$real"
            kill $SERVICE_PID
            "#
        ),
    )
    .expect(0);
    for expected in [
        "setup --prefix 2001:db8:6::/64 --dev eth0 --dry-run (0)",
        "verify --prefix 2001:db8:6::/64 --endpoint 'http://[2001:db8:80::80]' (0)",
        "verify --prefix 2001:db8:6::/64 --endpoint http://[2001:db8:80::80] (0)",
        "verify --prefix 2001:db8:6::/64 --endpoint 'http://[2001:db8:80::80]' (1)",
    ] {
        assert!(
            run.stdout.contains(expected),
            "`{expected}` was not followed: {run}"
        );
    }
}

/// An nft in `$T/bin` that never ends, and leaves its process id in `$T/nft.pid`.
const ENDLESS: &str = r#"
    mkdir "$T/bin"
    printf '#!/bin/sh\necho $$ >"%s/nft.pid"\nexec sleep infinity\n' "$T" > "$T/bin/nft"
    chmod 755 "$T/bin/nft"
"#;

#[test]
fn a_program_that_never_ends_holds_nobody_up() {
    let all = in_words(
        "routed",
        &format!(
            r#"
            set_up
            patience=1s
            nft add table ip6 guard
            nft "add chain ip6 guard out {{ type filter hook output priority 0; }}"
            nft add rule ip6 guard out ip6 saddr "$V6KIT_LAB_PREFIX" drop
            {ENDLESS}
            PATH=$T/bin:$PATH
            say
            "#
        ),
    );
    assert_said(
        &all[0],
        "dropped-here",
        &["which rule is not known (nftables: `nft` did not end within "],
    );
}

#[test]
fn a_program_that_is_waited_for_ends_with_whoever_waits() {
    let run = super::in_prepared_lab(
        "routed",
        &[
            ENDLESS,
            include_str!("missing/a_program_that_is_waited_for_ends_with_whoever_waits.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
    assert_eq!(run.stdout, "INT: both are gone\nKILL: both are gone\n", "{run}");
}
