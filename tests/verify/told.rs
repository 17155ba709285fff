//! Endpoints that tell another address than the one they were asked from: what that shows, and what it does not.

use super::{assert_said, in_words};

/// `serve PORT FORM`: an endpoint on the target; what the form means stands below.
const SERVE: &str = include_str!("told/serve.sh");

#[track_caller]
fn told(topology: &str, script: &str) -> Vec<String> {
    in_words(topology, &format!("{SERVE}\n{script}"))
}

#[test]
fn an_endpoint_behind_a_proxy_of_its_own_says_nothing_about_the_way_to_it() {
    let forms = [
        "127.0.0.1",
        "::1",
        "172.18.0.3",
        "::ffff:10.1.2.3",
        "fe80::42:acff:fe11:2",
        "2001:db8:80::80",
        "2001:db8:80::5",
        "fd12::7",
    ];
    let mut script = "set_up\n".to_owned();
    for (n, form) in forms.iter().enumerate() {
        script.push_str(&format!("serve {} '{form}'\nsay\n", 9000 + n));
    }
    let all = told("routed", &script);
    assert_eq!(all.len(), forms.len());
    for (said, form) in all.iter().zip(forms) {
        assert_said(
            said,
            "bad-endpoint",
            &["Not known: whether", "hint: ask a server"],
        );
        assert!(!said.contains("NAT66"), "{form}: {said}");
    }
}

#[test]
fn a_server_that_tells_some_callers_and_not_others_is_no_proof_of_replaced_addresses() {
    let all = told(
        "routed",
        r#"
        set_up
        serve 9000 turns
        count=8 say
        serve 9001 cache
        as=$drop_all say
        serve 9002 own
        say
        as=$drop_all say
        "#,
    );
    assert_said(
        &all[0],
        "bad-endpoint",
        &["Not known: whether several servers answer there"],
    );
    assert_said(&all[1], "bad-endpoint", &["answers from a cache"]);
    // The own address is told rightly each time, those of the prefix are not.
    assert_said(
        &all[2],
        "rewritten",
        &[
            "leave this host unchanged and arrive as 2001:db8:80::9",
            "or answers in the endpoint's place",
        ],
    );
    assert_said(
        &all[3],
        "rewritten",
        &["Not known: whether this host or something behind it"],
    );
}

#[test]
fn a_router_that_replaces_every_address_is_known_by_where_its_own_answers() {
    let all = told(
        "routed",
        r#"
        set_up
        in_router nft add table ip6 n
        in_router nft "add chain ip6 n out { type nat hook postrouting priority srcnat; }"
        in_router nft add rule ip6 n out oifname wan masquerade
        say
        as=$drop_all say
        # Whoever does not answer there cannot be told from a proxy of the endpoint's.
        in_router nft add table ip6 f
        in_router nft "add chain ip6 f in { type filter hook input priority 0; }"
        in_router nft add rule ip6 f in meta l4proto udp drop
        say
        in_router nft delete table ip6 f
        in_router nft flush chain ip6 n out
        in_router nft add rule ip6 n out oifname wan snat ip6 prefix to ip6 saddr map '{ 2001:db8:6::/64 : 2001:db8:9::/64, 2001:db8:1::/64 : 2001:db8:8::/64 }'
        say
        "#,
    );
    assert_said(
        &all[0],
        "rewritten",
        &["as 2001:db8:80::1, which lies on the way to http://[2001:db8:80::80]"],
    );
    assert_said(
        &all[1],
        "rewritten",
        &["Not known: whether this host or something behind it"],
    );
    assert_said(
        &all[2],
        "bad-endpoint",
        &["to the host's own address 2001:db8:1::2 as well. Not known"],
    );
    assert_said(
        &all[3],
        "rewritten",
        &["leave this host unchanged and arrive with another prefix (2001:db8:6:"],
    );
}
