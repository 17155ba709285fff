//! Which address a connection leaves from, when the client has a wish.

use super::lab;

#[test]
fn a_session_keeps_its_address_in_every_form_and_over_a_restart() {
    lab(include_str!(
        "sessions/a_session_keeps_its_address_in_every_form_and_over_a_restart.sh"
    ))
    .expect(0);
}

#[test]
fn a_ttl_moves_a_session() {
    lab(r#"
        proxy
        first=$(get -x "http://a-session-1-ttl-1:x@$at" "$V6KIT_LAB_TARGET")
        moved() { [ "$(get -x "http://a-session-1-ttl-1:x@$at" "$V6KIT_LAB_TARGET")" != "$first" ]; }
        eventually moved
    "#)
    .expect(0);
}

#[test]
fn net64_changes_the_64_each_time() {
    // The lab routes one /64 to this host: the /60 around it is wide enough to see the networks that are chosen.
    lab(r#"
        V6KIT_LAB_PREFIX=2001:db8:60::/60
        ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo
        nsenter --net="$V6KIT_LAB_ROUTER_NS" ip -6 route add "$V6KIT_LAB_PREFIX" via 2001:db8:1::2
        nsenter --net="$V6KIT_LAB_TARGET_NS" ip -6 route add "$V6KIT_LAB_PREFIX" via 2001:db8:80::1 2>/dev/null || true
        proxy --metrics 127.0.0.1:0
        last=
        for _ in {1..12}; do
            seen=$(get -x "http://a-net64:x@$at" "$V6KIT_LAB_TARGET")
            net64=$(cut -d: -f1-4 <<<"$seen")
            [ "$net64" != "$last" ]
            last=$net64
        done
        [ "$(curl -sS "http://$metrics/metrics" | grep -c '^v6kit_proxy_source_connections_total{net64="2001:db8:60')" -gt 2 ]
        is "$(get -o /dev/null -w '%{http_code}' -x "http://a-net64-session-1:x@$at" "$V6KIT_LAB_TARGET")" 400
    "#)
    .expect(0);
}

#[test]
fn the_chosen_address_is_told_and_can_be_pinned_where_that_is_allowed() {
    lab(r#"
        proxy
        get -D "$T/head" -o "$T/body" -x "http://$at" "$V6KIT_LAB_TARGET"
        is "$(tr -d '\r' < "$T/head" | sed -n 's/^x-v6kit-source: //pi')" "$(cat "$T/body")"
        get -p -D "$T/head" -o "$T/body" -x "http://$at" "$V6KIT_LAB_TARGET"
        is "$(tr -d '\r' < "$T/head" | sed -n 's/^x-v6kit-source: //pi')" "$(cat "$T/body")"
        pin() { get -w '%{http_code}' -H "X-V6kit-Source: $1" -x "http://$at" "$V6KIT_LAB_TARGET" | tail -n 1; }
        is "$(pin "$net::77")" 403
        stop
        proxy --allow-pin
        is "$(get -H "X-V6kit-Source: $net::77" -x "http://$at" "$V6KIT_LAB_TARGET")" "$net::77"
        is "$(get -p --proxy-header "X-V6kit-Source: $net::77" -x "http://$at" "$V6KIT_LAB_TARGET")" "$net::77"
        is "$(pin 2001:db8:1::2) $(pin "$net::") $(pin nonsense)" "403 403 400"
    "#)
    .expect(0);
}

#[test]
fn a_session_uses_its_connection_to_the_origin_again_and_others_never_share_one() {
    lab(include_str!(
        "sessions/a_session_uses_its_connection_to_the_origin_again_and_others_never_share_one.sh"
    ))
    .expect(0);
}

/// An origin that refuses, and how it is asked.
const REFUSING: &str = include_str!("sessions/refusing.sh");

#[test]
fn a_refused_session_turns_to_another_address_once_and_not_for_ever() {
    lab(&[
        REFUSING,
        include_str!("sessions/a_refused_session_turns_to_another_address_once_and_not_for_ever.sh"),
    ]
    .join("\n"))
    .expect(0);
}

#[test]
fn a_client_has_its_session_turn_by_a_field_or_by_counting() {
    lab(&[
        REFUSING,
        include_str!("sessions/a_client_has_its_session_turn_by_a_field_or_by_counting.sh"),
    ]
    .join("\n"))
    .expect(0);
}

#[test]
fn per_says_when_those_without_a_wish_get_another_address() {
    lab(&[
        REFUSING,
        include_str!("sessions/per_says_when_those_without_a_wish_get_another_address.sh"),
    ]
    .join("\n"))
    .expect(0);
}
