//! Which addresses are answered for, and which are left alone.

use super::{assert_refused, on_link, summary, verdicts};

#[test]
fn only_addresses_with_a_socket_are_answered_for_while_somebody_sends_from_the_prefix() {
    let run = on_link(
        r#"
        usable_prefix
        "$V6KIT" echo --listen "[${P}50]:80" >/dev/null 2>&1 & ECHO=$!
        await sh -c "ss -6ltn | grep -q '${P}50'"
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        fetch_from "${P}1"
        router ping -c 1 -W 1 "${P}2" && exit 9
        # A socket that only listens counts as well.
        router ping -c 1 -W 30 "${P}50" >/dev/null
        stop
        kill "$ECHO"
        "#,
    )
    .expect(0);
    assert_refused(&run, "2001:db8:6::2", "unused");
    assert_eq!(
        verdicts(&run, "2001:db8:6::50")[0]["answered"],
        "resolution",
        "{run}"
    );
}

#[test]
fn every_address_is_answered_for_where_others_behind_the_host_use_the_prefix() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --all --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        fetch_from "${P}1"
        router ping -c 1 -W 30 "${P}2" >/dev/null
        stop
        cat "$T/ndp.err"
        "#,
    )
    .expect(0);
    assert_eq!(
        verdicts(&run, "2001:db8:6::2")[0]["answered"],
        "resolution",
        "{run}"
    );
    assert!(run.stdout.contains("will be told that it is taken"), "{run}");
}

#[test]
fn an_address_in_use_is_defended_against_others_and_a_free_one_is_not() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        "$V6KIT" echo --listen "[${P}7]:80" >/dev/null 2>&1 & ECHO=$!
        await sh -c "ss -6ltn | grep -q '${P}7'"
        router sysctl -qw net.ipv6.conf.lan.accept_dad=1 net.ipv6.conf.lan.dad_transmits=1
        router ip -6 address add "${P}7/128" dev lan
        router ip -6 address add "${P}8/128" dev lan
        settled() { ! router ip -6 address show dev lan tentative | grep -v dadfailed | grep -q "${P}$1/"; }
        await settled 7
        await settled 8
        router ip -6 address show dev lan dadfailed
        stop
        kill "$ECHO"
        "#,
    )
    .expect(0);
    assert!(
        run.stdout
            .contains("inet6 2001:db8:6::7/128 scope global dadfailed"),
        "{run}"
    );
    assert!(!run.stdout.contains("inet6 2001:db8:6::8/128"), "{run}");
    assert_eq!(summary(&run)["duplicate"], 1, "{run}");
    assert_refused(&run, "2001:db8:6::8", "unused");
}

#[test]
fn a_router_that_checks_on_an_address_is_answered() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        fetch_from "${P}7"
        mac=$(cat "/sys/class/net/$DEV/address")
        router ip -6 neighbour replace "${P}7" lladdr "$mac" dev lan nud probe
        await sh -c "nsenter --net=$V6KIT_LAB_ROUTER_NS ip -6 neighbour show ${P}7 | grep -q REACHABLE"
        stop
        "#,
    )
    .expect(0);
    assert!(summary(&run)["reachability"].as_u64() >= Some(1), "{run}");
}

#[test]
fn the_addresses_of_this_host_its_gateways_and_its_neighbours_are_left_alone() {
    let run = on_link(include_str!(
        "whom/the_addresses_of_this_host_its_gateways_and_its_neighbours_are_left_alone.sh"
    ))
    .expect(0);
    assert_refused(&run, "2001:db8:6::5", "own_address");
    assert_refused(&run, "2001:db8:6::15", "own_address");
    assert_refused(&run, "2001:db8:6::9", "gateway");
    assert_refused(&run, "2001:db8:6::", "anycast");
    let neighbour = verdicts(&run, "2001:db8:6::6");
    assert_eq!(neighbour[0]["refused"], "neighbour", "{run}");
    assert_eq!(neighbour.last().unwrap()["answered"], "resolution", "{run}");
}

#[test]
fn a_neighbour_that_was_heard_is_not_answered_for() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --all --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        # The router itself has an address in the prefix and asks from it. It gets an answer; the reply to
        # the ping stays on the host, where the whole prefix is local.
        router ip -6 address add "${P}20/128" dev lan nodad
        router ping -c 1 -W 1 -I "${P}20" "${P}21" >/dev/null || true
        await logged "\"asker\":\"${P}20\""
        router ip -6 address del "${P}20/128" dev lan
        if router ping -c 1 -W 1 "${P}20"; then exit 9; fi
        await logged "\"target\":\"${P}20\""
        stop
        "#,
    )
    .expect(0);
    assert_refused(&run, "2001:db8:6::20", "neighbour");
}
