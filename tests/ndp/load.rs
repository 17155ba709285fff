//! Many addresses, floods and broken packets.

use serde_json::Value;

use super::{PRELUDE, events, on_link, summary, verdicts};
use crate::harness::{in_lab, in_namespace, room_for_neighbours};

#[test]
fn two_thousand_source_addresses_do_not_overflow_a_router_of_default_size() {
    // A datagram to a closed port from each address, thirty addresses a second. The router has to find
    // each address to bring the refusal back. Its count of packets without a route is where an
    // overflowing neighbour table shows in its own namespace.
    let _room = room_for_neighbours();
    let run = on_link(include_str!(
        "load/two_thousand_source_addresses_do_not_overflow_a_router_of_default_size.sh"
    ))
    .expect(0);
    assert!(run.stdout.contains("came back: 400\n"), "{run}");
    assert!(run.stdout.contains("without a neighbour: 0\n"), "{run}");
    let summary = summary(&run);
    assert_eq!(summary["resolution"], 400, "{run}");
    assert_eq!(summary["live"], 400, "{run}");
    assert!(summary["causes"]["live_limit"].as_u64() >= Some(1600), "{run}");
    assert!(
        events(&run).iter().any(|event| event["event"] == "live_limit"),
        "{run}"
    );
}

#[test]
fn a_crawl_beside_a_responder_is_bounded_only_where_the_router_asks() {
    let said = |topology: &str| {
        let script = r#"
            "$V6KIT" setup --quiet --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV" >"$T/setup"
            start --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
            "$V6KIT" crawl "${V6KIT_LAB_TARGET%/}/items/{1..3}" -o "$T/job" --robots ignore --keep-free 0 >"$T/said" 2>&1
            stop >/dev/null
            cat "$T/said"
        "#;
        in_lab(topology, &format!("{PRELUDE}\n{script}")).expect(0).stdout
    };
    let (routed, on_link) = (said("routed"), said("on-link"));
    assert!(!routed.contains("is on-link"), "{routed}");
    assert!(on_link.contains("is on-link"), "{on_link}");
}

#[test]
fn a_source_that_is_dropped_on_the_way_is_given_up_for_the_other() {
    let run = on_link(
        r#"
        usable_prefix
        router nft -f - <<NFT
table netdev hypervisor {
    chain in {
        type filter hook ingress device lan priority 0;
        ip6 saddr $V6KIT_LAB_PREFIX icmpv6 type nd-neighbor-advert drop
    }
}
NFT
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        for host in 1 2 3 4; do fetch_from "${P}$host" >/dev/null; done
        stop
        "#,
    )
    .expect(0);
    let switched: Vec<Value> = events(&run)
        .into_iter()
        .filter(|event| event["event"] == "source_switched")
        .collect();
    assert_eq!(switched.len(), 1, "{run}");
    assert_eq!(switched[0]["source"], "link-local");
    assert_eq!(summary(&run)["source"], "link-local");
    let last = verdicts(&run, "2001:db8:6::4");
    assert_eq!(last.len(), 1, "the last is heard at once: {run}");
    assert_eq!(last[0]["source"], "link-local");
}

#[test]
fn a_flood_is_answered_at_the_given_rate_and_no_faster() {
    let run = on_link(
        r#"
        usable_prefix
        start --all --max-rate 1 --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        for n in $(seq 200); do echo "${P}f:$n"; done | router xargs -P 50 -n 1 ping -c 1 -W 1 >/dev/null || true
        stop
        cat "$T/ndp.err" >&2
        "#,
    )
    .expect(0);
    let summary = summary(&run);
    let (answered, seconds) = (
        summary["answered"].as_u64().unwrap(),
        summary["seconds"].as_u64().unwrap(),
    );
    assert!(answered >= 1 && answered <= seconds + 2, "{run}");
    assert!(summary["causes"]["rate_limit"].as_u64() >= Some(100), "{run}");
    let complaints = events(&run)
        .iter()
        .filter(|event| event["event"] == "rate_limit")
        .count() as u64;
    assert!(complaints >= 1 && complaints <= seconds / 10 + 1, "{run}");
}

#[test]
fn broken_solicitations_are_counted_by_their_fault_and_never_answered() {
    let run = on_link(include_str!(
        "load/broken_solicitations_are_counted_by_their_fault_and_never_answered.sh"
    ))
    .expect(0);
    let summary = summary(&run);
    assert_eq!(summary["answered"], 1, "{run}");
    assert_eq!(
        verdicts(&run, "2001:db8:6::af")[0]["answered"],
        "resolution",
        "{run}"
    );
    assert_eq!(
        summary["causes"],
        serde_json::json!({
            "hop_limit": 1, "checksum": 1, "malformed": 1, "options": 2, "duplicate_probe": 1
        }),
        "{run}"
    );
    assert_eq!(
        summary["solicitations"], 7,
        "those behind other headers stay in the kernel: {run}"
    );
}

#[test]
fn a_snooping_switch_lets_solicitations_through_because_it_is_told_to() {
    // host - switch with MLD snooping and a querier - router, in namespaces of their own.
    let run = in_namespace(include_str!(
        "load/a_snooping_switch_lets_solicitations_through_because_it_is_told_to.sh"
    ))
    .expect(0);
    assert!(run.stdout.starts_with("unheard when silent\n1\n"), "{run}");
    assert!(summary(&run)["resolution"].as_u64() >= Some(1), "{run}");
}
